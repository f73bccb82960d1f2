"""What plugins do beside their records: metrics of their own (sluice.metrics/1), tasks in Lua (sluice.task/1), the broker's
configuration (sluice.broker_config/1), and the rules that a script says in its own table; with the permissions for them."""
import json
import os
import re
import signal
import unittest
import urllib.request

import test_plugins
import test_sandbox
from sluice_broker import SOURCE, wait_for

RECENT = os.path.join(SOURCE, "examples", "recent_lua", "recent.lua")
# Counts and tells one key of the broker's configuration for each record.
TOP = r"""
#include <sluice/metrics.h>
#include <stdio.h>
static const struct sluice_metrics *metrics;
static uint32_t counter, gauge, histogram;
static sluice_status init(void *self)
{
    const struct sluice_host *host = self;
    metrics = host->get_extension(host, SLUICE_EXT_METRICS);
    sluice_status status = metrics->metric(metrics, SLUICE_METRIC_COUNTER, sluice_text_of("seen"), &counter);
    if (status != SLUICE_OK) return status;
    uint32_t again, many;
    if (metrics->metric(metrics, SLUICE_METRIC_COUNTER, sluice_text_of("seen"), &again) != SLUICE_OK || again != counter)
        return SLUICE_E_INTERNAL;
    if (metrics->metric(metrics, SLUICE_METRIC_COUNTER, sluice_text_of("Seen"), &again) != SLUICE_E_INVALID ||
        metrics->metric(metrics, 9, sluice_text_of("seen"), &again) != SLUICE_E_INVALID)
        return SLUICE_E_INTERNAL;
    metrics->metric(metrics, SLUICE_METRIC_GAUGE, sluice_text_of("last"), &gauge);
    metrics->metric(metrics, SLUICE_METRIC_HISTOGRAM, sluice_text_of("bytes"), &histogram);
    for (int i = 0; i < 29; i++) {
        char name[8];
        snprintf(name, sizeof(name), "m%d", i);
        if (metrics->metric(metrics, SLUICE_METRIC_GAUGE, sluice_text_of(name), &many) != SLUICE_OK) return SLUICE_E_INTERNAL;
    }
    return metrics->metric(metrics, SLUICE_METRIC_GAUGE, sluice_text_of("one_more"), &many) == SLUICE_E_LIMIT
               ? SLUICE_OK : SLUICE_E_INTERNAL;
}
"""
EACH = r"""
    const struct sluice_host *host = self;
    metrics->add(metrics, counter, 2);
    metrics->set(metrics, gauge, -7);
    metrics->observe(metrics, histogram, record->value.size);
    metrics->add(metrics, 4711, 1);
    metrics->add(metrics, gauge, 1);
    const struct sluice_broker_config *config = host->get_extension(host, SLUICE_EXT_BROKER_CONFIG);
    char text[256];
    struct sluice_text value = sluice_text_of("nothing");
    char key[64] = "";
    memcpy(key, record->value.data, record->value.size);
    if (config != 0) value = config->get(config, key, sluice_text_of("no such key"));
    snprintf(text, sizeof(text), "%.*s", (int)value.size, value.data);
    struct sluice_emit out = {.size = sizeof(out), .partition = SLUICE_PARTITION_AUTO, .timestamp = -1,
                              .value = {(const unsigned char *)text, strlen(text)}};
    writer->emit(writer, index, &out);
"""


class WorkTest(test_sandbox.SandboxTest):
    def own(self, name):
        return {row["metric"]: row for row in self.info(name)["metrics"]}

    def series(self, metric, plugin):
        text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.broker.http, timeout=30).read().decode()
        found = re.findall(r'^%s\{plugin="%s",metric="(\w+)"\} (\S+)$' % (metric, plugin), text, re.M)
        return {name: float(value) for name, value in found}

    def drop_example(self):
        with open(RECENT) as file:
            self.drop("recent.lua", file.read())

    def drop_use(self, *permissions, wait=True):
        source = test_plugins.c_source("use", EACH, TOP, permissions=list(permissions))
        source = source.replace("    (void)self;\n    for", "    for").replace(".create = create,", ".create = create, .init = init,")
        built = os.path.join(self.broker.home, "use.built")
        test_plugins.compile_plugin(built, source)
        os.rename(built, os.path.join(self.plugins, "use.so"))
        if wait:
            self.wait_log(" use ", "loaded", "attached=")


class Metrics(WorkTest):
    def test_the_example_counts_and_its_counters_outlive_its_worker(self):
        self.start({"recent": {"permissions": ["write_metrics"]}})
        self.drop_example()
        self.wait_log(" recent ", "loaded", "attached=")

        def send(*keys):
            for key in keys:
                code, _, err = self.broker.run("produce", "events", "-k", key, stdin=b"x\n")
                self.assertEqual(code, 0, err)
        send("a", "b", "a")
        self.assertEqual(self.wait_values("events.recent", 2), ["x", "x"])
        wait_for(lambda: self.info("recent")["records_in"] == "3", "three records")
        own = self.own("recent")
        self.assertEqual({name: own[name]["value"] for name in own},
                         {"records_passed": "2", "records_repeated": "1", "keys_remembered": "2", "value_bytes": "3"})
        self.assertEqual((own["value_bytes"]["sum"], own["value_bytes"]["p50"]), ("3", "1"))
        os.kill(self.info("recent")["worker_pid"], signal.SIGKILL)
        wait_for(lambda: self.info("recent")["worker_deaths"] == "1", "its death")
        send("a")
        self.wait_values("events.recent", 3)
        wait_for(lambda: self.own("recent")["records_passed"]["value"] == "3", "what both workers counted")
        self.assertEqual(self.own("recent")["keys_remembered"]["value"], "1")
        self.broker.run("produce", "events", stdin=b"no key\n")
        wait_for(lambda: self.info("recent")["records_discarded"] == "1", "the record without a key")
        self.assertEqual(self.info("recent")["on_error"], "drop")
        wait_for(lambda: self.series("sluice_plugin_counter_total", "recent") == {"records_passed": 3, "records_repeated": 1}, "/metrics")
        self.assertEqual(self.series("sluice_plugin_gauge", "recent"), {"keys_remembered": 1})
        self.assertEqual(self.series("sluice_plugin_histogram_count", "recent"), {"value_bytes": 4})
        text = self.broker.run("plugin", "info", "recent")[1].decode()
        self.assertRegex(text, r"(?m)^records_passed +counter +3")

    def test_without_the_permission_they_are_refused_by_name(self):
        self.start({})
        self.drop_example()
        self.wait_log(" recent", "not loaded", "recent.lua:5: metrics.counter: the metric records_passed needs the permission write_metrics",
                      "plugins.instances.NAME.permissions")
        self.drop_use("write_metrics", wait=False)
        self.wait_log(" use ", "not loaded", "the metric seen: it needs the permission write_metrics")

    def test_in_c_bounds_and_odd_numbers_and_the_brokers_configuration(self):
        self.start({"use": {"permissions": ["write_metrics", "read_config"], "config": {"secret": "of use"}}})
        self.drop_use("write_metrics", "read_config")
        self.produce("use", "plugins.dir", "plugins.instances.use.config", "plugins.instances", "runtime.shards", "nobody")
        got = self.wait_values("use.out", 5)
        self.assertEqual(got[0], self.broker.json("config", "show")["plugins.dir"]["value"])
        self.assertEqual(got[1:], ["no such key", "no such key", "1", "no such key"])
        own = self.own("use")
        self.assertEqual((len(own), own["seen"]["value"], own["last"]["value"], own["bytes"]["value"]), (32, "10", "-7", "5"))
        states = {entry["permission"]: entry["state"] for entry in self.explain("use")["permissions"]}
        self.assertEqual(states, {"write_metrics": "granted", "read_config": "granted"})

    def test_without_read_config_a_plugin_sees_its_own_configuration_alone(self):
        self.start({"use": {"permissions": ["write_metrics"]}, "look": {"config": {"own": "seen"}}})
        self.drop_use("write_metrics", "read_config")
        self.produce("use", "plugins.dir")
        self.assertEqual(self.wait_values("use.out", 1), ["nothing"])
        states = {entry["permission"]: entry["state"] for entry in self.explain("use")["permissions"]}
        self.assertEqual(states["write_metrics"], "granted")
        self.assertIn("not granted", states["read_config"])
        self.drop("look.lua", 'return {name="look", input="look", output="look.out", process=function(r)\n'
                  'local good, why = pcall(broker_config, "plugins.dir") r.value = config.own .. tostring(good) .. why return r end}')
        self.wait_log(" look ", "loaded", "attached=")
        self.produce("look", "x")
        self.assertRegex(self.wait_values("look.out", 1)[0], "^seenfalse.*needs the permission read_config")


class Lua(WorkTest):
    def test_tasks_go_by_priority_and_one_that_fails_or_never_ends_costs_no_record(self):
        self.start({"t": {"permissions": ["read_config"]}})
        self.drop("t.lua", """local function say(word) return function() log.info("ran " .. word) end end
local left = 200
local function chain() left = left - 1 if left == 0 then log.info("chain ended") else task(chain) end end
return {name="t", input="t", output="t.out", process=function(r)
  if r.value == "go" then
    task(say("background")) task(say("processing"), "processing") task(say("io"), "io") task(say("control"), "control")
  elseif r.value == "bad" then task(function() error("a task") end) task(function() emit(r) end) task(function() return state.x end)
  elseif r.value == "loop" then task(function() while true do end end)
  elseif r.value == "chain" then task(chain)
  elseif r.value == "many" then local good, why for i = 1, 100 do good, why = pcall(task, chain) if not good then break end end r.value = why
  elseif r.value == "word" then r.value = select(2, pcall(task, chain, "urgent"))
  else r.value = broker_config("runtime.shards") .. broker_config("none", "?") end
  return r
end}
""")
        self.wait_log(" t ", "loaded", "attached=")
        self.produce("t", "go", "bad", "loop", "chain", "word", "config")
        got = self.wait_values("t.out", 6)
        self.assertEqual(got[:4] + got[5:], ["go", "bad", "loop", "chain", "1?"])
        self.assertIn("invalid option 'urgent'", got[4])
        for line in ("t.lua:7: a task", "emit works only while process runs", "only while process runs", "the deadline passed",
                     "chain ended"):
            self.wait_log(" t ", line)
        order = re.findall(r" ran (\w+)", self.broker.log())
        self.assertEqual(order, ["control", "io", "processing", "background"])
        self.produce("t", "many")
        self.assertIn("64 are under way", self.wait_values("t.out", 7)[6])
        info = self.info("t")
        self.assertEqual((info["worker_deaths"], info["records_rejected"], info["records_poisoned"]), ("0", "0", "0"))

    def test_on_error_is_said_by_the_script_and_the_configuration_wins(self):
        script = 'return {name="%s", input="%s", output="%s.out", on_error="%s", process=function(r) error("no") end}'
        self.start({"b": {"on_error": "dead-letter"}})
        for name, rule in (("a", "drop"), ("b", "drop"), ("c", "perhaps")):
            self.drop(name + ".lua", script % (name, name, name, rule))
        self.wait_log(" c ", "not loaded", "c.lua: on_error must be dead-letter, drop, retry")
        for name in ("a", "b"):
            self.wait_log(f" {name} ", "loaded", "attached=")
            self.produce(name, "x")
        wait_for(lambda: self.info("a")["records_discarded"] == "1", "a's record is dropped")
        wait_for(lambda: self.info("b")["records_dead_lettered"] == "1", "b's record is dead-lettered")
        self.assertEqual((self.info("a")["on_error"], self.info("b")["on_error"]), ("drop", "dead-letter"))

    def test_a_state_version_of_a_script_guards_its_state(self):
        script = 'return {name="s", input="s", output="s.out", %s process=function(r) state.n = (state.n or 0) + 1 r.value = %s .. state.n return r end}'
        self.start({})
        self.drop("s.lua", script % ("state_version=1,", "'one '"))
        self.wait_log(" s ", "loaded", "attached=")
        self.produce("s", "x")
        self.assertEqual(self.wait_values("s.out", 1), ["one 1"])
        self.drop("s.lua", script % ("state_version=2,", "'two '"))
        self.wait_log(" s ", "not loaded", "its state_version is 2, the state was written with 1")
        self.produce("s", "x")
        self.assertEqual(self.wait_values("s.out", 2)[1], "one 2")
        self.drop("s.lua", script % ("state_version=2, state_import={1},", "'two '"))

        def is_new():
            self.produce("s", "x")
            return self.values("s.out")[-1].startswith("two ")
        wait_for(is_new, "the new version")
        counts = [int(value.split()[1]) for value in self.values("s.out")]
        self.assertEqual(counts, list(range(1, len(counts) + 1)))
        for wrong, word in (("state_version=-1,", "must be 0 to"), ("state_import={'x'},", "state_import"), ("state_version='1',", "must be a number")):
            self.drop("s.lua", script % (wrong, "''"))
            self.wait_log(" s", "not loaded", word)


if __name__ == "__main__":
    unittest.main()
