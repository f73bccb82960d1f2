"""Durable state of stages (sluice.state/1): running counts that stay exact whatever ends on the way."""
import os
import signal
import threading
import unittest

from sluice_broker import SOURCE, wait_for
from test_reload import ReloadTest

COUNT = """-- %s
return { name = "count", input = "in", output = "out", process = function(r)
  local word = r.value
  state[word] = (state[word] or 0) + 1
  if word:find("bad") then error("no " .. word) end
  r.value = word .. " " .. state[word]
  return r
end }
"""
C_TOP = """
#include <stdio.h>
static const char *const wants_state[] = {SLUICE_EXT_STATE, NULL};
static uint64_t bump(const struct sluice_host *host, uint32_t index, struct sluice_bytes key, sluice_status *status)
{
    const struct sluice_state *state = host->get_extension(host, SLUICE_EXT_STATE);
    struct sluice_bytes value;
    uint64_t count = 0;
    *status = state->get(state, key, &value);
    if (*status == SLUICE_OK && value.size == sizeof(count)) memcpy(&count, value.data, sizeof(count));
    if (*status != SLUICE_OK && *status != SLUICE_E_NOT_FOUND) return 0;
    count++;
    *status = state->put(state, index, key, (struct sluice_bytes){(const uint8_t *)&count, sizeof(count)});
    return count;
}
"""
C_EACH = """
        sluice_status status;
        uint64_t count = bump(self, index, record->value, &status);
        if (status != SLUICE_OK) return status;
        if (has(record, "boom")) *(volatile int *)0 = 1;
        char text[256];
        int size = snprintf(text, sizeof(text), "%.*s %llu", (int)record->value.size, (const char *)record->value.data,
                            (unsigned long long)count);
        struct sluice_emit emit = {.size = sizeof(emit), .partition = SLUICE_PARTITION_AUTO, .timestamp = -1,
                                   .value = {(const uint8_t *)text, (uint64_t)size}};
        if (has(record, "bad")) writer->reject(writer, index, sluice_text_of("bad"));
        else if (writer->emit(writer, index, &emit) != SLUICE_OK) return SLUICE_E_LIMIT;
"""


def counted(values, failing=("bad", "boom")):
    """What a running count makes of them, without those that fail."""
    seen, lines = {}, []
    for value in values:
        if not any(word in value for word in failing):
            seen[value] = seen.get(value, 0) + 1
            lines.append(f"{value} {seen[value]}")
    return lines


def words(count, seed=0):
    return [f"w{(i * 7 + seed) % 13}" for i in range(count)]


class StateTest(ReloadTest):
    def expect(self, sent, topic="out"):
        wanted = counted(sent)
        got = self.wait_values(topic, len(wanted))
        self.assertEqual(got, wanted)

    def load(self, text, name="count"):
        self.drop(name + ".lua", text)
        wait_for(lambda: self.broker.run("plugin", "info", name)[0] == 0, "it to be loaded")
        self.wait_hash(name, text)


class Counts(StateTest):
    def test_a_count_in_lua_is_exact_over_kills_of_the_broker_and_its_worker(self):
        self.load(COUNT % 1)
        sent = []
        for turn in range(4):
            more = words(500, turn)
            sent += more
            self.produce("in", *more)
            if turn % 2 == 0:
                self.broker.crash()
                self.broker.start()
            else:
                wait_for(lambda: self.info("count")["worker_pid"] not in (None, 0, "0"), "a worker")
                os.kill(int(self.info("count")["worker_pid"]), signal.SIGKILL)
        self.expect(sent)

    def test_a_count_in_lua_goes_on_in_a_new_version_and_after_a_stop(self):
        self.load(COUNT % 1)
        sent = words(100)
        self.produce("in", *sent)
        self.expect(sent)
        for version in range(2, 6):
            self.load(COUNT % version)
            more = words(50, version)
            sent += more
            self.produce("in", *more)
            self.expect(sent)
        self.broker.stop()
        self.broker.start()
        sent += words(20)
        self.produce("in", *words(20))
        self.expect(sent)

    def test_a_rejected_record_leaves_nothing_in_the_state(self):
        self.load(COUNT % 1 + "\n")
        sent = [w if i % 5 else "bad" for i, w in enumerate(words(200))]
        self.produce("in", *sent)
        self.expect(sent)
        self.assertEqual(len(self.values("__sluice_dlq.count")), 40)

    def test_a_count_in_c_is_exact_over_crashes_and_poison(self):
        self.drop_c("tally", C_EACH, top=C_TOP, wants="wants_state", input="in", output="out")
        sent = []
        for turn in range(3):
            more = words(150, turn)
            more[70] = "boom"
            more[10] = more[100] = "bad"
            sent += more
            self.produce("in", *more)
        self.expect(sent)
        self.broker.crash()
        self.broker.start()
        more = words(40)
        self.produce("in", *more)
        self.expect(sent + more)
        self.assertEqual(len(self.values("__sluice_dlq.tally")), 9)

    def test_the_example_counts_keys(self):
        with open(os.path.join(SOURCE, "examples", "count_lua", "count.lua")) as file:
            self.load(file.read())
        self.broker.kcat("-P", "-t", "clicks", "-K:", lines=["ann:x", "bob:x", "ann:x"])
        self.wait_values("clicks.counted", 3)
        self.assertEqual(self.broker.kcat("-C", "-t", "clicks.counted", "-o", "beginning", "-e", "-q", "-K:"),
                         ["ann:1", "bob:1", "ann:2"])

    def test_each_partition_has_a_state_of_its_own_that_many_keys_survive(self):
        self.broker.run("topic", "create", "in", "--partitions", "3")
        self.load(COUNT % 1)
        lines = [f"k{i}" for i in range(4000)] * 2
        self.produce("in", *lines)
        wait_for(lambda: len(self.values("out")) == len(lines), "all of them")
        self.broker.crash()
        self.broker.start()
        self.produce("in", *lines)
        got = wait_for(lambda: (lambda v: v if len(v) == 2 * len(lines) else None)(self.values("out")), "all again")
        totals = {}
        for line in got:
            totals.setdefault(line.split()[0], []).append(int(line.split()[1]))
        self.assertEqual({len(v) for v in totals.values()}, {4})


class Values(StateTest):
    def run_lua(self, body, *values):
        self.load("return {name=\"count\", input=\"in\", output=\"out\", process=function(r)\n" + body + "\nend}\n")
        self.produce("in", *values)

    def test_types_and_pairs_and_nil(self):
        self.run_lua("""
          if r.value == "set" then
            state.s, state.i, state.d, state.t, state.f = "a\\0b", 1 << 62, 0.1, true, false
            state.gone = 1; state.gone = nil
            return nil
          end
          local count = 0
          for k, v in pairs(state) do count = count + 1 end
          if count ~= 5 then error(count) end
          r.value = string.format("%d %d %s %s %s %s %s", #state.s, state.i, tostring(state.d), tostring(state.t),
                                  tostring(state.f), tostring(state.gone), math.type(state.i))
          return r""", "set", "get")
        self.assertEqual(self.wait_values("out", 1), ["3 4611686018427387904 0.1 true false nil integer"])

    def test_what_is_no_value_is_refused_with_its_key(self):
        self.run_lua("state.k = r.value == 'x' and {} or 1 return r", "x", "y")
        self.assertEqual(self.wait_values("out", 1), ["y"])
        self.assertIn('state["k"]: a value is a string, a number or a boolean, not a table', self.dead_reason("count"))

    def dead_reason(self, name):
        lines = self.broker.kcat("-C", "-t", "__sluice_dlq." + name, "-o", "beginning", "-e", "-q", "-f", "%h\\n")
        return "\n".join(lines)

    def test_a_gate_has_none(self):
        self.drop("g.lua", 'return {name="g", on="produce", input="in", process=function(r) state.x = 1 return r end}\n')
        self.wait_log(" g ", "loaded", "attached=")
        code, _, err = self.broker.run("produce", "in", stdin=b"x\n")
        self.assertNotEqual(code, 0)
        self.assertIn("a gate has no durable state in ABI 1", err)
        self.drop_c("cg", C_EACH, top=C_TOP, wants="wants_state", on="produce", input="in2", wait=False)
        self.wait_log(" cg ", "gates have no durable state in ABI 1")


class Limits(StateTest):
    settings = ("plugins.instances.count.limits.state_bytes=8KiB",)

    def test_over_the_limit_the_record_is_rejected_and_others_go_on(self):
        self.load(COUNT % 1)
        self.produce("in", *[f"key{i // 2}" for i in range(240)], *["key0"] * 60)
        wait_for(lambda: len(self.values("out")) + len(self.values("__sluice_dlq.count")) == 300, "all are dealt with")
        good = len(self.values("out"))
        self.assertGreater(good, 150)
        self.assertLess(good, 300)
        self.produce("in", "key0", "key0")
        self.assertEqual(self.wait_values("out", good + 2)[-2:], ["key0 63", "key0 64"])


class Redrive(StateTest):
    """A dead letter that is handed back sees and changes the state of its partition, once."""

    def test_a_dead_letter_counts_when_it_is_handed_back_and_once_whatever_is_killed(self):
        fails = COUNT.replace("error(", "reject(") % 1
        self.load(fails)
        sent = [w if i % 3 else "bad" for i, w in enumerate(words(900))]
        self.produce("in", *sent)
        self.expect(sent)
        self.load(COUNT.replace('word:find("bad")', "false") % 2)
        for _ in range(2):
            thread = threading.Thread(target=lambda: self.broker.run("dlq", "redrive", "count"))
            before = len(self.values("out"))
            thread.start()
            self.produce("in", *words(60))  # its partition's own task wants the state too
            sent += words(60)
            wait_for(lambda: len(self.values("out")) > before, "progress")
            self.broker.crash()
            thread.join()
            self.broker.start()
            wait_for(lambda: self.knows("count"), "the stage")
            wait_for(lambda: self.info("count")["state"] == "running", "the stage to run")
        code, out, err = self.broker.run("dlq", "redrive", "count")
        self.assertEqual(code, 0, err)
        self.assertIn(b"; 0 failed again", out)
        self.produce("in", "bad", "w1")
        want = counted(sent + ["bad", "w1"], failing=())
        got = self.wait_values("out", len(want))
        self.assertEqual(sorted(got), sorted(want))
        self.assertEqual([v for v in got if v.startswith("bad")], [f"bad {i + 1}" for i in range(301)])


class Forget(StateTest):
    def test_forgotten_state_is_gone(self):
        self.load(COUNT % 1)
        self.produce("in", "a", "a")
        self.expect(["a", "a"])
        os.remove(os.path.join(self.plugins, "count.lua"))
        self.wait_log(" count ", "unloaded")
        code, out, err = self.broker.run("plugin", "forget", "count", "--yes")
        self.assertEqual(code, 0, err)
        self.load(COUNT % 2)
        self.produce("in", "a")
        self.assertEqual(self.wait_values("out", 3), ["a 1", "a 2", "a 1"])


class Versions(StateTest):
    def test_state_goes_to_the_same_state_version_and_to_those_that_import_it(self):
        def deploy(mark, wait, **manifest):
            self.drop_c("tally", f'(void)"{mark}";' + C_EACH, top=C_TOP, wants="wants_state", input="in", output="out", wait=wait, **manifest)
        deploy("a", True, state_version=1)
        self.produce("in", "a", "a")
        self.expect(["a", "a"])
        old = self.info("tally")["hash"]
        deploy("b", False, state_version=2)
        self.wait_log(" tally ", "its state_version is 2, the state was written with 1")
        self.produce("in", "a")
        self.expect(["a"] * 3)
        self.assertEqual(self.info("tally")["hash"], old)
        deploy("c", False, state_version=3, state_import=[1])
        wait_for(lambda: self.info("tally")["hash"] != old, "the version that imports")
        self.produce("in", "a")
        self.expect(["a"] * 4)


if __name__ == "__main__":
    unittest.main()
