"""The commands for those who write plugins, by the real binary: each case, batch and life in a worker."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from test_plugins import c_source, compile_plugin
from sluice_broker import SLUICE, SOURCE, Broker, on_a_terminal, wait_for

STATE_IN_C = "static const char *const wants_state[] = {SLUICE_EXT_STATE, NULL};"
COUNT_IN_C = """
        const struct sluice_host *host = self;
        const struct sluice_state *state = host->get_extension(host, SLUICE_EXT_STATE);
        struct sluice_bytes old = {NULL, 0};
        char text[512];
        sluice_status status = state->get(state, record->key, &old);
        if (status != SLUICE_OK && status != SLUICE_E_NOT_FOUND) return status;
        int size = snprintf(text, sizeof(text), "%.*s%.*s", (int)old.size, (const char *)old.data, (int)record->value.size,
                            (const char *)record->value.data);
        status = state->put(state, index, record->key, (struct sluice_bytes){(const uint8_t *)text, (uint64_t)size});
        if (status != SLUICE_OK) return status;
"""
MASK = os.path.join(SOURCE, "examples", "mask_lua", "mask.lua")


class Workbench(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-workbench-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def sluice(self, *arguments, cwd=None):
        """Exit code, standard output, standard error."""
        done = subprocess.run([SLUICE, *arguments], capture_output=True, text=True, timeout=120, cwd=cwd or self.folder)
        return done.returncode, done.stdout, done.stderr

    def ok(self, *arguments):
        code, out, err = self.sluice(*arguments)
        self.assertEqual(code, 0, out + err)
        return out

    def script(self, body, name="x.lua", head=""):
        return self.write(name, 'return { name = "x", on = "log", input = "in", output = "out", %s\n'
                                'process = function(record)\n%s\nend }\n' % (head, body))


class Test(Workbench):
    def cases(self, *cases, **more):
        return self.write("cases.yaml", json.dumps(dict(more, cases=list(cases))))

    def run_cases(self, *cases, **more):
        """(ok, differences) of each case."""
        self.cases(*cases, **more)
        code, out, err = self.sluice("plugin", "test", "x.lua", "--json")
        self.assertTrue(out, err)
        told = json.loads(out)
        self.assertEqual(code, 1 if told["failed"] else 0)
        return [(case["ok"], [difference["what"] for difference in case["differences"]]) for case in told["cases"]]

    def test_a_case_names_records_in_and_out_and_json_is_compared_as_json(self):
        shutil.copy(MASK, self.path("x.lua"))
        given = {"card": "1234-5678-9999", "id": 9007199254740993}
        good = {"id": 9007199254740993, "card": "****-****-9999"}
        self.assertEqual(self.run_cases(
            {"name": "good", "in": [{"json": given, "headers": {"a": "1"}}],
             "out": [{"json": good, "topic": "orders.masked", "headers": {"a": "1"}}]},
            {"name": "an id is not a float", "in": [{"json": given}], "out": [{"json": dict(good, id=9007199254740992)}]},
            {"name": "bytes are bytes", "in": [{"json": given}], "out": [{"value": json.dumps(good)}]},
            {"name": "topic, key and header", "in": [{"json": given}],
             "out": [{"topic": "other", "key": "k", "headers": {"b": "2"}}]},
            {"name": "too few and too many", "in": [{"json": {}}], "out": [{}, {}]},
            {"name": "nothing expected", "in": [{"json": {}}]}), [
                (True, []), (False, ["out 0, value"]), (False, ["out 0, value"]),
                (False, ["out 0, key", "out 0, topic", "out 0, header b"]), (False, ["out 1"]), (False, ["out 0"])])

    def test_rejections_errors_and_refusals_are_expected_by_a_part_of_their_reason(self):
        self.script('if record.value == "bad" then reject("no " .. config.word) end\nreturn nil',
                    head='init = function(config) if config.word == nil then error("word is missing") end end,')
        self.assertEqual(self.run_cases(
            {"name": "rejected", "in": [{"value": "good"}, {"value": "bad"}],
             "rejected": [{"record": 1, "reason": "no luck"}]},
            {"name": "not the reason", "in": [{"value": "bad"}], "rejected": [{"record": 0, "reason": "other"}]},
            {"name": "not rejected", "in": [{"value": "good"}], "rejected": [{"record": 0}]},
            {"name": "refused", "config": {"other": 1}, "refused": "word is missing"},
            {"name": "not refused", "refused": "word is missing"},
            config={"word": "luck"}), [
                (True, []), (False, ["record 0"]), (False, ["record 0"]), (True, []), (False, ["start"])])

    def test_the_limits_of_a_broker_are_in_force(self):
        self.script('if record.value == "spin" then while true do end end\nlocal t = {}\n'
                    'while true do t[#t + 1] = string.rep("x", 1000000) .. #t end')
        (spun, what), (grew, _) = self.run_cases({"name": "deadline", "in": [{"value": "spin"}], "rejected": [{"record": 0, "reason": ""}]},
                                                 {"name": "memory", "in": [{"value": "grow"}], "rejected": [{"record": 0, "reason": "memory"}]})
        self.assertTrue(spun, what)
        self.assertTrue(grew)

    def test_records_of_any_bytes_and_headers_that_come_twice(self):
        self.script("return record")
        self.assertEqual(self.run_cases(
            {"name": "bytes", "in": [{"key_base64": "/w==", "value_base64": "AAE="}, {"value": None}, {"value": ""}],
             "out": [{"key_base64": "/w==", "value_base64": "AAE="}, {"key": None, "value": None}, {"value": ""}]},
            {"name": "twice", "in": [{"value": "v", "headers": [{"a": "1"}, {"a": "2"}, {"b": None}]}],
             "out": [{"headers": [{"a": "1"}, {"a": "2"}, {"b": None}]}]},
            {"name": "time", "in": [{"value": "v", "timestamp": 1700000000000}], "out": [{"timestamp": 1700000000000}]}),
            [(True, [])] * 3)

    def test_an_output_to_a_topic_that_the_plugin_does_not_name_is_a_rejection(self):
        self.script('emit("elsewhere", record)')
        self.assertEqual(self.run_cases({"name": "granted", "in": [{"value": "v"}],
                                         "rejected": [{"record": 0, "reason": "may not write to the topic \"elsewhere\""}]}),
                         [(True, [])])

    def test_the_state_of_a_script_before_and_after_has_types_and_each_difference_is_told(self):
        self.script("""
          local key = record.key
          if record.value == "fail" then state[key] = 99 error("no") end
          if record.value == "away" then state[key] = 99 emit("elsewhere", record) return nil end
          if record.value == "drop" then state[key] = nil return nil end
          if record.value == "kind" then record.value = math.type(state[key]) or type(state[key]) return record end
          state[key] = (state[key] or 0) + 1
          record.value = tostring(state[key])
          return record""")
        kinds = {"i": 3, "d": 0.5, "t": True, "s": "3"}

        def case(name, values, out, **more):
            return dict({"name": name, "in": [{"key": k, "value": v} for k, v in values], "out": [{"value": v} for v in out]}, **more)
        self.assertEqual(self.run_cases(
            case("from nothing", [("a", "x"), ("a", "x")], ["1", "2"], state_after={"a": 2}),
            case("goes on", [("a", "x"), ("b", "x")], ["8", "1"], state={"a": 7, "gone": 1}, state_after={"a": 8, "b": 1, "gone": 1}),
            case("types", [(k, "kind") for k in "idts"], ["integer", "float", "boolean", "string"], state=kinds, state_after=kinds),
            case("not said is not compared", [("a", "x")], ["1"]),
            case("removed", [("a", "drop")], [], state={"a": 1}, state_after={}),
            case("failed ones leave nothing", [("a", "x"), ("a", "fail"), ("a", "x")], ["1", "2"], state_after={"a": 2},
                 rejected=[{"record": 1}]),
            case("nor do those that went where they may not", [("a", "x"), ("a", "away"), ("a", "x"), ("b", "x")], ["1", "2", "1"],
                 state_after={"a": 2, "b": 1}, rejected=[{"record": 1, "reason": "elsewhere"}]),
            case("differences", [("a", "x")], ["1"], state={"s": "3"}, state_after={"a": 2, "c": 1, "s": 3}),
            {"name": "bytes", "in": [{"key_base64": "/w==", "value": "x"}], "out": [{"value": "5"}], "state": [{"key_base64": "/w==", "value": 4}],
             "state_after": [{"key_base64": "/w==", "value": 5}]}), [
                *[(True, [])] * 7, (False, ["state, a", "state, c", "state, s"]), (True, [])])
        code, out, _ = self.sluice("plugin", "test", "x.lua")
        self.assertRegex(out, r'state, s\n *expected +3\n *actual +"3"')

    def test_the_state_of_a_module_is_bytes_and_that_of_many_records_goes_from_batch_to_batch(self):
        compile_plugin(self.path("x.so"), c_source("x", COUNT_IN_C, top=STATE_IN_C, wants="wants_state", input="in", output="out"))
        self.cases({"name": "goes on", "in": [{"key": "a", "value": "x"}] * 2, "out": [{}] * 2,
                    "state": [{"key": "a", "value": "7"}], "state_after": {"a": "7xx"}},
                   {"name": "many", "in": [{"key": f"k{i % 10}", "value": "x"} for i in range(1024)], "out": [{}] * 1024,
                    "state_after": {f"k{i}": "x" * (103 if i < 4 else 102) for i in range(10)}})
        self.assertIn("2 passed, 0 failed", self.ok("plugin", "test", "x.so"))

    def test_a_gate_has_no_state_and_the_example_counts(self):
        self.write("x.lua", 'return {name="x", on="produce", input="in", process=function(r) return r end}')
        self.assertEqual(self.run_cases({"name": "gate", "in": [{"value": "v"}], "out": [{}], "state_after": {}}), [(False, ["state"])])
        self.assertIn("3 passed, 0 failed", self.ok("plugin", "test", os.path.join(SOURCE, "examples", "count_lua")))

    def test_a_file_that_is_wrong_is_named_by_line_and_column(self):
        self.script("return record")
        for text, place, word in (
                ("cases:\n  - nam: x\n", ":2:", 'did you mean "name"'), ("cases: []\n", ":1:", "no cases"),
                ("cases:\n  - {in: []}\n", ":2:", "needs a name"), ("cases:\n  - {name: x, in: [{value: [1]}]}\n", ":2:", "json: "),
                ("cases:\n  - {name: x, in: [{value: a, json: b}]}\n", ":2:", "already"),
                ("cases:\n  - {name: x, in: [{value_base64: '='}]}\n", ":2:", "base64"),
                ("cases:\n  - {name: x, rejected: [{record: 1}]}\n", ":2:", "does not have"),
                ("cases:\n  - {name: x, refused: a, error: b}\n", ":2:", "alone"),
                ("cases:\n  - {name: x, refused: a, state_after: {}}\n", ":2:", "alone"),
                ("cases:\n  - {name: x, state: [{key: a}]}\n", ":2:", "a key and a value"),
                ("cases:\n  - {name: x, state: {a: null}}\n", ":2:", "left out"),
                ("cases:\n  - {name: x, state: text}\n", ":2:", "keys with values"),
                ("cases:\n  - {name: x, state_after: {a: [1]}}\n", ":2:", "json: "),
                ("cases:\n  - &a {name: x}\n", ":2:", "anchors"), ("cases:\n  - name: x\n   in: []\n", ":3:", "YAML"),
                ("cases: {" + "a: {" * 40, ":1:", "deep")):
            self.write("cases.yaml", text)
            code, out, err = self.sluice("plugin", "test", "x.lua")
            self.assertEqual((code, out), (78, ""), text)
            self.assertIn("cases.yaml" + place, err)
            self.assertIn(word, err)
        self.write("cases.yaml", "#" * 300000)
        code, _, err = self.sluice("plugin", "test", "x.lua")
        self.assertEqual(code, 1)
        self.assertIn("too large", err)

    def test_live_records_become_a_case_that_passes_until_the_plugin_changes(self):
        with Broker("runtime.shards=1") as broker:
            code, _, err = broker.run("produce", "in", "-k", "k", "-H", "h=1", stdin=b'one\n{"a":1}\n\xff\xfe\nbad\n')
            self.assertEqual(code, 0, err)
            self.script('if record.value == "bad" then reject("it is bad") end\nreturn record')
            code, _, err = broker.run("plugin", "test", self.path("x.lua"), "--record", "in", "3")
            self.assertEqual(code, 0, err)
            self.assertIn("3 records", err)
            told = json.loads(self.ok("plugin", "test", "x.lua", "--json"))
            self.assertEqual((told["passed"], told["failed"]), (1, 0))
            with open(self.path("cases.yaml")) as file:
                text = file.read()
            self.assertIn('{"a":1}'.replace('"', '\\"'), text)
            self.assertNotIn("one", text)
            code, _, err = broker.run("plugin", "test", self.path("x.lua"), "--record", "in", "4")
            self.assertEqual(code, 0, err)
            self.assertIn("2 passed", self.ok("plugin", "test", "x.lua"))
            self.script("return nil")
            code, out, _ = self.sluice("plugin", "test", "x.lua")
            self.assertEqual(code, 1)
            self.assertIn("0 passed, 2 failed", out)
            code, _, err = broker.run("plugin", "test", self.path("x.lua"), "--record", "nobody", "4")
            self.assertEqual(code, 1)


class NewAndBuild(Workbench):
    def test_each_template_builds_and_passes_its_own_test_at_once(self):
        out = self.ok("plugin", "new", "up", "--lang", "c")
        self.assertEqual(sorted(os.listdir(self.path("up"))), ["CMakeLists.txt", "README.md", "plugin.c", "tests"])
        self.assertIn("sluice plugin build up", out)
        self.assertIn("built up/up.so: up 0.1.0", self.ok("plugin", "build", "up"))
        self.assertIn("3 passed, 0 failed", self.ok("plugin", "test", "up"))
        self.ok("plugin", "new", "lower", "--lang", "lua")
        self.assertIn("3 passed, 0 failed", self.ok("plugin", "test", "lower"))
        self.assertIn("3 passed, 0 failed", self.ok("plugin", "test", "lower/tests/cases.yaml"))
        self.assertIn("3 passed, 0 failed", self.ok("plugin", "test", "lower/lower.lua"))
        self.ok("plugin", "new", "deep/line", "--lang", "frontend")
        self.assertIn("built deep/line/line.so: line 0.1.0", self.ok("plugin", "build", "deep/line"))
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertFalse(not name.endswith(".so") and b"my_" in file.read(), name)

    def test_a_folder_that_is_there_and_a_bad_name_are_refused_with_a_sentence(self):
        os.mkdir(self.path("there"))
        for words, code, sentence in ((["there"], 1, "is there already"), (["Up"], 64, "cannot be the name"),
                                      (["a-b"], 64, "cannot be the name"), (["../.."], 64, "cannot be the name"),
                                      (["x" * 49], 64, "at most 48"), (["x", "--lang", "rust"], 64, "c, lua and frontend")):
            got, out, err = self.sluice("plugin", "new", *words)
            self.assertEqual((got, out), (code, ""), words)
            self.assertIn(sentence, err)
        self.assertEqual(os.listdir(self.folder), ["there"])
        self.assertEqual(os.listdir(self.path("there")), [])

    def test_what_is_missing_to_build_is_named_and_the_old_module_stays(self):
        self.ok("plugin", "new", "up")
        self.ok("plugin", "build", "up")
        before = os.stat(self.path("up/up.so")).st_ino
        self.write("up/plugin.c", "int x = y;")
        code, _, err = self.sluice("plugin", "build", "up")
        self.assertEqual(code, 1)
        self.assertIn("undeclared", err)
        self.assertEqual(os.stat(self.path("up/up.so")).st_ino, before)
        self.assertEqual(sorted(os.listdir(self.path("up")))[-1], "up.so")
        done = subprocess.run([SLUICE, "plugin", "build", self.path("up")], capture_output=True, text=True, env={"PATH": "/nowhere"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("no C compiler", done.stderr)
        self.write("up/plugin.c", "int x;")
        code, out, err = self.sluice("plugin", "build", "up")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("no manifest", out)
        for words, sentence in ((["none"], "neither a folder nor"), (["none.c"], "no such file"), (["."], "holds no .c file")):
            code, _, err = self.sluice("plugin", "build", *words)
            self.assertEqual(code, 1)
            self.assertIn(sentence, err)
        lonely = os.path.join(self.folder, "bin")
        os.mkdir(lonely)
        shutil.copy(SLUICE, lonely)
        done = subprocess.run([os.path.join(lonely, "sluice"), "plugin", "build", self.path("up")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("SDK headers are missing", done.stderr)


# A processor with what a test puts into its slots.
PLUGIN = """#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
%(before)s
SLUICE_MANIFEST("{\\"id\\":\\"odd\\",\\"version\\":\\"%(version)s\\",\\"kind\\":\\"processor\\",\\"on\\":\\"log\\","
                "\\"input\\":\\"in\\",\\"output\\":\\"out\\"%(manifest)s}");
struct odd { const struct sluice_host *host; int ready; };
static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    struct odd *self = calloc(1, sizeof(*self));
    self->host = host;
    *ret_self = self;
    %(create)s
    return SLUICE_OK;
}
static sluice_status init(void *data)
{
    struct odd *self = data;
    self->ready = 1;
    %(init)s
    return SLUICE_OK;
}
static sluice_status process_batch(void *data, const struct sluice_batch *batch, const struct sluice_writer *writer)
{
    struct odd *self = data;
    (void)self;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct sluice_record *record = (const void *)((const char *)batch->records + i * batch->record_stride);
        (void)record;
        (void)writer;
        %(record)s
    }
    return SLUICE_OK;
}
static void destroy(void *data)
{
    struct odd *self = data;
    (void)self;
    %(destroy)s
}
static const struct sluice_processor processor = {.size = sizeof(processor), .create = create, .init = init,
    .process_batch = process_batch, .destroy = destroy};
SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR, .kind = SLUICE_KIND_PROCESSOR,
              .id = "odd", .version = "1.0.0", .entry = &processor);
"""


class Check(Workbench):
    def check(self, name, *words):
        """Exit code, and (group, check) -> (result, detail) of all that is not ok."""
        code, out, err = self.sluice("plugin", "check", name, *words, "--json")
        self.assertTrue(out, err)
        told = json.loads(out)
        self.assertEqual(code, 1 if told["failed"] else 0)
        self.assertEqual(told["failed"], sum(row["result"] == "failed" for row in told["checks"]))
        return {(row["group"], row["check"]): (row["result"], row["detail"]) for row in told["checks"] if row["result"] != "ok"}

    def built(self, before="", create="", init="", record="", destroy="", manifest="", version="1.0.0"):
        self.write("odd.c", PLUGIN % locals())
        self.ok("plugin", "build", "odd.c")
        return "odd.so"

    def test_the_templates_keep_all_rules(self):
        for lang, name in (("c", "up"), ("lua", "low"), ("frontend", "line")):
            self.ok("plugin", "new", name, "--lang", lang)
            if lang != "lua":
                self.ok("plugin", "build", name)
            found = self.check(name)
            self.assertFalse([row for row in found.values() if row[0] == "failed"], found)
        out = self.ok("plugin", "check", "up")
        self.assertIn("0 failed", out)
        self.assertNotIn("\x1b", out)
        self.assertIn(b"\x1b[32mok", on_a_terminal("plugin", "check", self.path("up")))

    def test_a_life_that_ends_early_and_state_that_is_shared_are_found(self):
        found = self.check(self.built(destroy="if (!self->ready) abort(); free(self);"))
        self.assertEqual(found["life", "create, destroy"][0], "failed")
        self.assertIn("SIGABRT", found["life", "create, destroy"][1])
        self.assertNotIn(("life", "create, init, destroy"), found)
        found = self.check(self.built(before="static int living;", create="if (++living > 1) abort();",
                                      destroy="living--; free(self);"))
        self.assertEqual(found["life", "two instances side by side"][0], "failed")
        self.assertEqual(found["life", "random legal orders"][0], "failed")
        self.assertNotIn(("life", "several lives in one process"), found)

    def test_records_that_kill_are_found_and_the_other_checks_go_on(self):
        found = self.check(self.built(record="if (record->value.data == NULL) { *(volatile int *)0 = 1; }"))
        self.assertEqual(found["batches", "null value"][0], "failed")
        self.assertIn("SIGSEGV", found["batches", "null value"][1])
        self.assertEqual(found["batches", "random batches"][0], "failed")
        self.assertIn("seed 1", found["batches", "random batches"][1])
        self.assertNotIn(("batches", "10,000 records"), found)

    def test_what_it_may_not_do_is_found(self):
        found = self.check(self.built(record="if (record->header_count > 100) { if (fork() == 0) _exit(0); }"))
        self.assertEqual(found["batches", "1,000 headers, without names or values"][0], "failed")
        self.assertEqual(found["threads", "starts no thread, no process"][0], "failed")
        emit = ("struct sluice_emit out = {.size = sizeof(out), .partition = %s, .timestamp = -1, .topic = sluice_text_of(\"%s\")};"
                "writer->emit(writer, i, &out);")
        found = self.check(self.built(record=emit % ("-1", "elsewhere")), "--batches", "1")
        self.assertIn("may not write", found["batches", "one record"][1])
        found = self.check(self.built(record="return SLUICE_E_INVALID;"), "--batches", "1")
        self.assertEqual(found["batches", "one record"][0], "warning")
        self.assertIn("whole batch failed", found["batches", "one record"][1])

    def test_configurations_are_tried_without_what_they_need_and_with_other_types(self):
        needs = ',\\"config\\":{\\"type\\":\\"object\\",\\"required\\":[\\"a\\",\\"b\\"],\\"properties\\":{\\"a\\":{\\"type\\":\\"string\\"},\\"b\\":{\\"type\\":\\"integer\\"}}}'
        init = ('if (self->host->get_config(self->host, "a", sluice_text_of("")).size == 0) {'
                'self->host->set_error(self->host, sluice_text_of("a is missing")); return SLUICE_E_PLUGIN_CONFIG; }'
                'if (self->host->get_config(self->host, "b", sluice_text_of("1")).size > 5) abort();')
        found = self.check(self.built(manifest=needs, init=init), "--batches", "1")
        self.assertEqual(found["config", "without b"][0], "warning")
        self.assertNotIn(("config", "without a"), found)
        self.assertEqual(found["config", "values of other types"][0], "failed")

    def test_what_is_no_plugin_is_said_and_never_loaded_here(self):
        self.write("x.so", "no ELF")
        self.assertEqual(list(self.check("x.so")), [("file", "can be read")])
        self.assertEqual(self.check("gone.so")["file", "can be read"][0], "failed")
        trap = self.built(before='__attribute__((constructor)) static void trap(void) { _exit(99); }')
        self.assertEqual(self.check(trap)["load", "loads and becomes active"][0], "failed")
        found = self.check(self.built(version="2.0.0"), "--batches", "1")
        self.assertEqual(found["load", "manifest and descriptor agree"][0], "failed")

    def test_what_is_kept_for_a_thread_is_found_whether_it_kills_or_is_silent(self):
        found = self.check(self.built(before="static _Thread_local struct odd *mine;", create="mine = self;",
                                      record="if (mine->host != self->host) abort();"), "--batches", "1")
        result, detail = found["threads", "batches on another thread than create"]
        self.assertEqual(result, "failed")
        for word in ("SIGSEGV", "step 6 (process_batch of instance 1, on thread 2)", "seed 1", "1cia2ppb1r2pp1dxq"):
            self.assertIn(word, detail)
        self.assertNotIn(("life", "two instances side by side"), found)
        self.assertEqual(found["threads", "random legal hand-overs"][0], "failed")
        found = self.check(self.built(before="static _Thread_local int ready;", create="ready = 1;",
                                      record="if (!ready) writer->drop(writer, i);"), "--batches", "1")
        self.assertEqual(list(found), [("threads", "the same results on every thread")])
        self.assertEqual(found["threads", "the same results on every thread"][0], "failed")

    def test_instances_that_share_what_one_thread_had_for_itself_are_found(self):
        found = self.check(self.built(before="#include <stdatomic.h>\nstatic atomic_int inside;",
                                      record="if (atomic_fetch_add(&inside, 1) > 0) abort(); usleep(500); atomic_fetch_sub(&inside, 1);"),
                           "--batches", "1")
        self.assertEqual(list(found), [("threads", "two instances at once")])
        self.assertIn("SIGABRT", found["threads", "two instances at once"][1])

    def test_a_seed_repeats_its_batches(self):
        self.built(record='if (record->key.size > 2 && record->key.data[0] == 0x41) abort();')
        first = self.check("odd.so", "--seed", "7", "--batches", "500").get(("batches", "random batches"))
        self.assertEqual(first, self.check("odd.so", "--seed", "7", "--batches", "500").get(("batches", "random batches")))


class Live(Workbench):
    """With a broker beside."""

    def setUp(self):
        super().setUp()
        self.broker = Broker("runtime.shards=1")
        self.addCleanup(self.broker.close)

    def plugin(self, *words):
        return self.broker.run("plugin", *words)

    def test_a_new_version_is_tried_beside_the_running_one_on_live_records(self):
        for value in (b"one", b"two", b"three"):
            self.broker.run("produce", "in", stdin=value + b"\n")
        name = self.script("record.value = record.value:upper()\nreturn record")
        code, out, err = self.plugin("try", name, "--topic", "in", "--last", "2")
        self.assertEqual(code, 0, err)
        self.assertIn(b"THREE", out)
        self.assertNotIn(b"ONE", out)
        self.assertIn(b"no other version", out)
        code, _, err = self.plugin("load", name)
        self.assertEqual(code, 0, err)
        self.assertEqual(self.plugin("try", name, "--topic", "in")[0], 0)
        self.script('if record.value == "two" then return nil end\nrecord.value = record.value:upper()\nreturn record')
        code, out, _ = self.plugin("try", name, "--topic", "in", "--json")
        told = json.loads(out)
        self.assertEqual((code, told["records"], told["different"]), (1, 3, 1))
        self.assertEqual(told["differences"], [{"record": 1, "before": ['out {"value":"TWO"}'], "now": ["dropped"]}])

    def test_a_sample_file_is_lines_or_consumed_records_or_cases(self):
        name = self.script('record.headers["k"] = record.key\nreturn record')
        self.broker.run("produce", "in", "-k", "key", stdin=b"value\n")
        consumed = self.broker.run("consume", "in", "--json")[1].decode()
        for sample, text, word in (("a.txt", "one\ntwo\n", '"value":"two"'), ("a.jsonl", consumed, '{"k":"key"}'),
                                   ("a.yaml", "cases:\n  - {name: x, in: [{key: y, value: z}]}\n", '{"k":"y"}')):
            out = self.ok("plugin", "try", name, "--sample", self.write(sample, text))
            self.assertIn(word, out)
        for words in (["--sample", "none"], ["--sample", self.write("empty", "")]):
            self.assertEqual(self.sluice("plugin", "try", name, *words)[0], 1)
        self.assertEqual(self.sluice("plugin", "try", name)[0], 64)

    def test_what_is_deployed_is_tested_and_checked_first_and_compared_with_what_runs(self):
        with Broker() as broker:
            home = ("--home", broker.home)
            self.ok("transform", "new", "up", "--lang", "lua")
            self.assertIn("would be put into", self.ok("transform", "deploy", "up", "--dry-run", *home))
            self.assertEqual(os.listdir(os.path.join(broker.home, "plugins")), [])
            self.assertIn("up runs version", self.ok("transform", "deploy", "up", *home))
            self.assertIn("the same as what runs", self.ok("transform", "diff", "up", *home))
            with open(self.path("up/up.lua")) as file:
                good = file.read()
            self.write("up/up.lua", good.replace("    return record\n", "    return record -- changed\n", 1))
            code, out, _ = self.sluice("plugin", "diff", "up/up.lua", *home)
            self.assertEqual(code, 1)
            self.assertIn("-    return record\n", out)
            self.assertIn("+    return record -- changed\n", out)
            self.assertFalse(json.loads(self.sluice("plugin", "diff", "up", "--json", *home)[1])["same"])
            self.write("up/up.lua", good + "not Lua\n")
            code, _, err = self.sluice("transform", "deploy", "up", *home)
            self.assertEqual(code, 1)
            self.assertIn("was not deployed", err)
            with open(os.path.join(broker.home, "plugins", "up.lua")) as file:
                self.assertEqual(file.read(), good)

    def test_dev_builds_tests_and_loads_at_each_save_and_a_bad_one_leaves_what_runs(self):
        self.ok("plugin", "new", "live", "--lang", "c")
        log = self.path("log")
        with open(log, "w") as out:
            dev = subprocess.Popen([SLUICE, "plugin", "dev", self.path("live"), "--home", self.broker.home], stdout=out, stderr=out)
        self.addCleanup(dev.wait)
        self.addCleanup(dev.terminate)

        def said(word):
            with open(log) as file:
                return word in file.read()

        def running():
            return {one["name"]: one["hash"] for one in self.broker.json("plugin", "list")["plugins"]}.get("live")
        wait_for(lambda: said("the broker runs it"), "the first round")
        first = running()
        self.assertTrue(first)
        with open(self.path("live/plugin.c")) as file:
            source = file.read()
        self.write("live/plugin.c", source.replace("a record without a value", "no value"))
        wait_for(lambda: said("2 of 3 passed"), "a test that fails")
        self.write("live/plugin.c", "not C")
        wait_for(lambda: said("the version before stays"), "a build that fails")
        self.assertEqual(running(), first)
        self.write("live/plugin.c", source.replace("0.1.0", "0.2.0"))
        wait_for(lambda: running() not in (None, first), "the new version")
        dev.send_signal(2)
        self.assertEqual(dev.wait(30), 0)

    def test_logs_tell_what_a_plugin_logged_and_what_the_broker_said_of_it(self):
        name = self.script('log.warn("saw " .. record.value)\nif record.value == "loud" then print("more\\27[31m") end\nreturn record')
        self.assertEqual(self.plugin("load", name)[0], 0)
        with subprocess.Popen([SLUICE, "plugin", "logs", "x", "-F", "--home", self.broker.home], stdout=subprocess.PIPE, text=True) as follow:
            self.broker.run("produce", "in", stdin=b"loud\n")
            seen = ""
            while "more" not in seen:
                seen += follow.stdout.readline()
            follow.terminate()
        self.assertIn("info  loaded", seen)
        self.assertIn("warn  saw loud", seen)
        self.assertNotIn("\x1b", seen)
        lines = [json.loads(line) for line in self.plugin("logs", "x", "--json")[1].splitlines()]
        self.assertEqual([line["text"] for line in lines if line["level"] == "warn"], ["saw loud"])
        code, _, err = self.plugin("logs", "nobody")
        self.assertEqual(code, 1)
        self.assertIn("nothing is kept", err)

    def test_dev_goes_on_without_a_broker_and_once_ends_after_a_round(self):
        self.ok("plugin", "new", "alone", "--lang", "lua")
        self.broker.stop()
        code, out, _ = self.plugin("dev", self.path("alone"), "--once")
        self.assertEqual(code, 69)
        self.assertIn(b"3 of 3 passed", out)


if __name__ == "__main__":
    unittest.main()


# A frontend that keeps its rules, with what a test puts in: each line is published and answered.
FRONTEND = """#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
SLUICE_MANIFEST("{\\"id\\":\\"odd\\",\\"version\\":\\"1.0.0\\",\\"kind\\":\\"frontend\\"}");
struct odd { const struct sluice_host *host; const struct sluice_frontend_host *io; const struct sluice_broker *broker; };
struct peer { struct odd *self; uint64_t token; int gone, waiting; struct sluice_context context; };
%(before)s
static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    struct odd *self = calloc(1, sizeof(*self));
    if (self == NULL) return SLUICE_E_NO_MEMORY;
    self->host = host;
    self->io = host->get_extension(host, SLUICE_EXT_FRONTEND);
    self->broker = host->get_extension(host, SLUICE_EXT_BROKER);
    *ret_self = self;
    return SLUICE_OK;
}
static sluice_status conn_open(void *data, const struct sluice_connection *connection, void **ret_conn)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    %(opened)s
    if (peer == NULL) return SLUICE_E_NO_MEMORY;
    peer->self = data;
    peer->token = connection->token;
    peer->context = connection->context;
    %(context)s
    *ret_conn = peer;
    return SLUICE_OK;
}
static void write_text(struct peer *peer, const char *text)
{
    struct sluice_piece piece = {{(const uint8_t *)text, strlen(text)}, 0};
    (void)peer->self->io->conn_write(peer->self->io, peer->token, &piece, 1);
}
static void done(void *arg, sluice_status status, struct sluice_text text)
{
    struct peer *peer = arg;
    (void)status;
    (void)text;
    %(done)s
    if (!peer->gone) write_text(peer, "ok\\n");
    peer->waiting = 0;
    if (peer->gone) free(peer);
}
static sluice_status conn_input(void *data, void *conn, struct sluice_bytes input, uint64_t *ret_consumed, uint64_t *ret_wanted)
{
    struct peer *peer = conn;
    (void)data;
    *ret_wanted = 0;
    *ret_consumed = input.size;
    %(input)s
    if (!peer->waiting) {
        peer->waiting = 1;
        peer->self->broker->metrics(peer->self->broker, &peer->context, done, peer);
    }
    return SLUICE_OK;
}
static void conn_closed(void *data, void *conn)
{
    struct peer *peer = conn;
    (void)data;
    peer->gone = 1;
    %(closed)s
    if (!peer->waiting) free(peer);
}
static const struct sluice_frontend frontend = {.size = sizeof(frontend), .create = create, .destroy = free,
    .conn_open = conn_open, .conn_input = conn_input, .conn_closed = conn_closed};
SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR, .kind = SLUICE_KIND_FRONTEND,
              .id = "odd", .version = "1.0.0", .entry = &frontend);
"""
CUT = "connections that open, are cut anywhere and end at any moment"
MEMORY = "memory is refused"
WRITES = "writes are refused, and their connection ends inside"
DESTROYED = "calls to the broker that end after destroy"
TWO = "two instances on two threads"
LEAKS = "connections leave no memory behind"


class CheckFrontends(Workbench):
    check = Check.check

    def frontend(self, *words, **parts):
        """Name of the check -> detail, of those that failed."""
        slots = dict(before="", opened="", context='peer->context.client_host = sluice_text_of("me");', done="", input="", closed="")
        self.write("odd.c", FRONTEND % dict(slots, **parts))
        self.ok("plugin", "build", "odd.c")
        return {name: detail for (_, name), (result, detail) in self.check("odd.so", *words).items() if result == "failed"}

    def test_one_that_keeps_its_rules_has_no_finding(self):
        self.assertEqual(self.frontend("--batches", "400", "--seed", "5"), {})

    def test_each_planted_fault_is_found_with_its_place(self):
        for parts, name, words in (
                (dict(input="if (input.data[3] == 'x') return SLUICE_E_INVALID;"), CUT, ("SIGSEGV in conn_input", "seed")),
                (dict(closed="peer->waiting = 1;"), LEAKS, ("connections leave", "blocks of memory behind")),
                (dict(before="static uint64_t last;", closed="last = peer->token;",
                      input="uint64_t token = peer->token; if (last) { peer->token = last; write_text(peer, \"late\"); } peer->token = token;"),
                 CUT, ("conn_write for connection", "after its conn_closed", "in conn_input")),
                (dict(done="write_text(peer, \"ok\\n\"); if (!peer->gone) write_text(peer, \"more\\n\");", closed="write_text(peer, \"bye\");"),
                 CUT, ("after its conn_closed",)),
                (dict(opened="peer->token = 0;"), MEMORY, ("SIGSEGV in conn_open",)),
                (dict(input="if (!peer->waiting) { write_text(peer, \"x\"); write_text(peer, \"y\"); }"), WRITES, ("seed",)),
                (dict(done='peer->self->host->log(peer->self->host, 1, sluice_text_of("done"));'), DESTROYED, ("the done of metrics", "seed")),
                (dict(input="*ret_consumed = input.size + 1;"), CUT, ("consumes", "bytes")),
                (dict(input="peer->self->io->conn_resume(peer->self->io, peer->token);"), CUT, ("conn_resume without its conn_pause",)),
                (dict(context=""), CUT, ("metrics is asked with a context that conn_open was given",)),
                (dict(before="#include <stdatomic.h>\nstatic atomic_int inside;",
                      input="if (atomic_fetch_add(&inside, 1) > 0) abort(); usleep(200); atomic_fetch_sub(&inside, 1);"), TWO, ("SIGABRT",)),
                (dict(input="if (fork() == 0) _exit(0);"), CUT, ("in conn_input",))):
            found = self.frontend("--batches", "50", **parts)
            self.assertIn(name, found, parts)
            for word in words:
                self.assertIn(word, found[name], parts)

    def test_what_is_shipped_keeps_its_rules(self):
        sample = self.path("kafka.bin")
        with open(os.path.join(SOURCE, "tests", "data", "kafka", "frames.jsonl")) as lines, open(sample, "wb") as file:
            for frame in map(json.loads, lines):
                if frame["dir"] == "request":
                    file.write(len(bytes.fromhex(frame["hex"])).to_bytes(4, "big") + bytes.fromhex(frame["hex"]))
        build = os.path.dirname(os.path.dirname(SLUICE))
        for name, words in (("lib/sluice/plugins/frontend_kafka.so", ["--sample", sample]), ("lib/sluice/plugins/frontend_http.so", []),
                            ("lib/sluice/plugins/frontend_native.so", ["--sample", os.path.join(SOURCE, "tests", "fuzz", "corpus", "native", "session")]),
                            ("examples/frontend_line/frontend_line.so", []), ("examples/uppercase_c/uppercase.so", []),
                            ("examples/logging/logging.so", [])):
            path = os.path.join(build, name)
            with open(path, "rb") as file:
                code = file.read()
            if any(word in code for word in (b"__asan_", b"__tsan_")):
                continue  # no sanitizer runs in a worker
            found = self.check(path, *words)
            self.assertFalse([row for row in found.items() if row[1][0] == "failed"], name)
        for name in ("mask_lua/mask.lua", "count_lua/count.lua"):
            found = self.check(os.path.join(SOURCE, "examples", name))
            self.assertFalse([row for row in found.items() if row[1][0] == "failed"], name)
