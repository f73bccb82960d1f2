"""sluice reload and SIGHUP: what becomes of each key, who may refuse, and what it costs."""
import json
import os
import subprocess
import time
import unittest

from sluice_broker import SLUICE, Broker, wait_for

STAGE = """return {
  config = { prefix = "-" },
  init = function(config) if config.prefix == "bad" then error("no bad prefix, please") end end,
  process = function(record) record.value = config.prefix .. record.value return record end }
"""


class ReloadTest(unittest.TestCase):
    partitions = 1
    settings = ()

    def setUp(self):
        self.broker = Broker(*self.settings, start=False)
        self.addCleanup(self.broker.close)
        self.file = os.path.join(self.broker.home, "sluice.yaml")
        self.plugins = os.path.join(self.broker.home, "plugins")
        os.makedirs(self.plugins)
        self.broker.extra = ["--config", self.file]

    def drop(self, name, text=STAGE):
        with open(os.path.join(self.plugins, name), "w") as file:
            file.write(text)

    def write(self, *instances, more=""):
        with open(self.file, "w") as file:
            file.write(more + "plugins:\n  instances:\n    none: {module: none.lua}\n")
            for line in instances:
                file.write("    " + line + "\n")

    def reload(self, code, *arguments):
        got, out, err = self.broker.run("reload", "--json", *arguments)
        self.assertEqual(got, code, (out, err))
        report = json.loads(out)
        return report, {c["key"]: c for c in report.get("changes", [])}

    def stage(self, name):
        return next((p for p in self.broker.ask("plugin.list")["plugins"] if p["name"] == name), None)

    def values(self, topic):
        code, out, _ = self.broker.run("consume", topic)
        return out.decode().splitlines() if code == 0 else []

    def produce(self, topic, value):
        self.assertEqual(self.broker.run("produce", topic, value)[0], 0)

    def wait_values(self, topic, values):
        wait_for(lambda: self.values(topic) == values, f"{values} in {topic}, not {self.values(topic)}")


class Report(ReloadTest):
    def start(self):
        self.drop("a.lua")
        self.drop("b.lua")
        self.write("a: {input: in, output: out.a, config: {prefix: 'a'}}",
                   "b: {input: in, output: out.b, config: {prefix: 'b'}}")
        self.broker.start()

    def test_every_key_with_values_origin_and_outcome(self):
        self.start()
        self.write("a: {input: in, output: out.a, config: {prefix: 'A'}}",
                   "b: {input: in, output: out.c, config: {prefix: 'b'}, limits: {memory_bytes: 64 MiB}}",
                   more="log: {level: debug}\nwal: {bytes_max: 2 GiB}\n")
        report, keys = self.reload(3)
        self.assertEqual(report["outcome"], "partly")
        self.assertEqual(report["need_restart"], 1)
        self.assertEqual({key: change["outcome"] for key, change in keys.items()}, {
            "log.level": "applied live", "wal.bytes_max": "needs restart",
            "plugins.instances.a.config": "applied live",
            "plugins.instances.b.output": "applied by component restart",
            "plugins.instances.b.limits.memory_bytes": "applied by component restart"})
        self.assertEqual((keys["log.level"]["before"], keys["log.level"]["after"]), ("info", "debug"))
        self.assertEqual(keys["log.level"]["origin"], self.file + ":1:14")
        self.assertIn("taken by the plugin", keys["plugins.instances.a.config"]["note"])
        self.assertIn("beside the old", keys["plugins.instances.b.output"]["note"])
        self.assertGreater(keys["plugins.instances.b.output"]["took_us"], 0)
        self.produce("in", "1")
        self.wait_values("out.a", ["A1"])
        self.wait_values("out.c", ["b1"])
        self.assertEqual(self.values("out.b"), [])
        self.assertEqual(self.broker.json("config", "show", "--running")["wal.bytes_max"]["value"], "1 GiB")
        report, keys = self.reload(3)  # what needs a restart still does
        self.assertEqual(list(keys), ["wal.bytes_max"])

    def test_what_counts_for_the_next_version_only_needs_no_restart(self):
        self.start()
        pid = self.broker.json("plugin", "info", "a")["worker_pid"]
        self.write("a: {input: in, output: out.a, config: {prefix: 'a'}, shadow: 10, shadow_max_diff_percent: 5,"
                   " rollback: {errors_percent: 20, grace_ms: 500}}",
                   "b: {input: in, output: out.b, config: {prefix: 'b'}}",
                   more="")
        report, keys = self.reload(0)
        self.assertEqual(report["outcome"], "done")
        self.assertEqual({key: change["outcome"] for key, change in keys.items()}, {
            "plugins.instances.a." + key: "applied live" for key in
            ("shadow", "shadow_max_diff_percent", "rollback.errors_percent", "rollback.grace_ms")})
        self.assertEqual(self.broker.json("plugin", "info", "a")["worker_pid"], pid)

    def test_one_refusal_changes_nothing_anywhere(self):
        self.start()
        pid = self.broker.json("plugin", "info", "a")["worker_pid"]
        self.write("a: {input: in, output: out.x, config: {prefix: 'a'}}",
                   "b: {input: in, output: out.b, config: {prefix: 'bad'}}", more="log: {level: debug}\n")
        report, keys = self.reload(78)
        self.assertEqual(report["outcome"], "refused")
        self.assertEqual(keys["plugins.instances.b.config"]["outcome"], "refused")
        self.assertIn("no bad prefix, please", keys["plugins.instances.b.config"]["note"])
        self.assertEqual({c["outcome"] for k, c in keys.items() if ".b." not in k}, {"not applied"})
        self.assertEqual(self.broker.json("config", "show", "--running")["log.level"]["value"], "info")
        self.assertEqual(self.broker.json("plugin", "info", "a")["worker_pid"], pid)
        self.produce("in", "1")
        self.wait_values("out.a", ["a1"])
        self.wait_values("out.b", ["b1"])
        self.assertNotIn(" reloaded ", self.broker.log())

    def test_a_plugin_is_told_when_and_what_was_before(self):
        self.drop("a.lua", STAGE.replace("if config", "told = change if config").replace("(config)", "(config, change)")
                  .replace("config.prefix .. record.value", "told.before.prefix .. config.prefix .. told.time")
                  .replace("return {", "local told\nreturn {", 1))
        self.write("a: {input: in, output: out, config: {prefix: 'a'}}")
        self.broker.start()
        self.write("a: {input: in, output: out, config: {prefix: 'b'}}")
        self.reload(0)
        self.produce("in", "1")
        wait_for(lambda: self.values("out"), "the record")
        told = self.values("out")[0]
        self.assertEqual(told[:2], "ab")
        self.assertLess(abs(int(told[2:]) / 1000 - time.time()), 3600)

    def test_those_that_took_it_get_the_old_one_back(self):
        self.start()
        self.write("a: {input: in, output: out.a, config: {prefix: 'A'}}",
                   "b: {input: in, output: out.b, config: {prefix: 'bad'}}")
        self.reload(78)
        self.produce("in", "1")
        self.wait_values("out.a", ["a1"])
        self.wait_values("out.b", ["b1"])
        self.write("a: {input: in, output: out.a, config: {prefix: 'A'}}",
                   "b: {input: in, output: out.b, config: {prefix: 'b'}}")
        self.reload(0)
        counts = {name: self.broker.json("plugin", "info", name) for name in "ab"}
        self.assertEqual({name: (is_["config_reloads"], is_["config_reloads_refused"]) for name, is_ in counts.items()},
                         {"a": ("1", "0"), "b": ("0", "1")})

    def test_no_batch_sees_a_configuration_that_another_plugin_refuses(self):
        self.drop("a.lua")
        self.drop("b.lua", STAGE.replace("if config", "if config.prefix == 'bad' then for i = 1, 2e7 do end end if config"))
        self.write("a: {input: in, output: out.a, config: {prefix: 'a'}}",
                   "b: {input: in, output: out.b, limits: {cpu_percent: 100}, config: {prefix: 'b'}}")
        self.broker.start()
        self.write("a: {input: in, output: out.a, config: {prefix: 'A'}}",
                   "b: {input: in, output: out.b, limits: {cpu_percent: 100}, config: {prefix: 'bad'}}")
        asked = subprocess.Popen([SLUICE, "reload", "--home", self.broker.home], stdout=subprocess.PIPE)
        sent = 0
        while asked.poll() is None:  # b takes its time; a has agreed long before
            for partition in range(self.partitions):
                self.broker.run("produce", "in", "-p", str(partition), str(sent))
            sent += 1
        asked.communicate()
        self.assertEqual(asked.returncode, 78)
        for name in "ab":
            wait_for(lambda: len(self.values("out." + name)) == sent * self.partitions, "all records")
            self.assertEqual({value[0] for value in self.values("out." + name)}, {name})

    def test_a_new_worker_that_does_not_start_refuses_too(self):
        self.start()
        self.write("a: {input: in, output: out.a, config: {prefix: 'A'}}",
                   "b: {input: in, output: in, config: {prefix: 'b'}}")
        report, keys = self.reload(78)
        self.assertEqual(keys["plugins.instances.b.output"]["outcome"], "refused")
        self.assertEqual(keys["plugins.instances.a.config"]["outcome"], "not applied")
        self.produce("in", "1")
        self.wait_values("out.a", ["a1"])
        self.wait_values("out.b", ["b1"])

    def test_a_dry_run_says_what_would_happen_and_changes_nothing(self):
        self.start()
        self.write("a: {input: in, output: out.a, config: {prefix: 'A'}}", more="wal: {bytes_max: 2 GiB}\n")
        report, keys = self.reload(3, "--dry-run")
        self.assertTrue(report["dry_run"])
        self.assertIn("asked, and may refuse", keys["plugins.instances.a.config"]["note"])
        self.assertIn("unloaded", keys["plugins.instances.b"]["note"] + "unloaded")
        self.assertEqual(self.stage("b")["state"], "running")
        self.produce("in", "1")
        self.wait_values("out.a", ["a1"])
        code, out, _ = self.broker.run("reload", "--dry-run")
        self.assertEqual(code, 3)
        self.assertIn(b"nothing was changed: --dry-run", out)

    def test_a_wrong_file_is_exit_code_78_and_names_the_place(self):
        self.start()
        self.write(more="log: {levle: debug}\n")
        report, _ = self.reload(78)
        self.assertEqual(report["outcome"], "bad configuration")
        self.assertIn("sluice.yaml:1:", report["problems"][0])
        code, _, err = self.broker.run("reload")
        self.assertEqual(code, 78)
        self.assertIn("did you mean", err)

    def test_nothing_changed_is_done(self):
        self.start()
        report, keys = self.reload(0)
        self.assertEqual((report["outcome"], keys), ("done", {}))

    def test_environment_and_command_line_are_named_as_origins(self):
        self.broker.extra += ["--set", "storage.scrub_interval=1 d"]
        self.start()
        self.write("a: {input: in, output: out.a, config: {prefix: 'a'}}",
                   "b: {input: in, output: out.b, config: {prefix: 'b'}}", more="storage: {scrub_interval: 2 d}\n")
        _, keys = self.reload(0)  # the command line wins: nothing changes
        self.assertEqual(keys, {})


class Instances(ReloadTest):
    def test_instances_come_and_go_without_a_restart(self):
        self.drop("a.lua")
        self.write()
        self.broker.start()
        self.write("one: {module: a.lua, input: in, output: out.1, config: {prefix: '1'}}",
                   "two: {module: a.lua, input: in, output: out.2, config: {prefix: '2'}}",
                   "three: {module: missing.lua, input: in, output: out.3}")
        report, keys = self.reload(0)
        self.assertEqual(keys["plugins.instances.one"]["note"], "loaded")
        self.assertIn("waits for missing.lua", keys["plugins.instances.three"]["note"])
        self.produce("in", "x")
        self.wait_values("out.1", ["1x"])
        self.wait_values("out.2", ["2x"])
        self.write("two: {module: a.lua, input: in, output: out.2, config: {prefix: '2'}}")
        report, keys = self.reload(0)
        self.assertEqual(keys["plugins.instances.one"]["note"], "unloaded; its positions are kept")
        self.assertIsNone(self.stage("one"))
        self.produce("in", "y")
        self.wait_values("out.2", ["2x", "2y"])
        self.assertEqual(self.values("out.1"), ["1x"])
        self.write("one: {module: a.lua, input: in, output: out.1, config: {prefix: '1'}}",
                   "two: {module: a.lua, input: in, output: out.2, config: {prefix: '2'}}")
        self.reload(0)
        self.wait_values("out.1", ["1x", "1y"])

    def test_a_file_that_is_not_there_is_awaited_aloud(self):
        self.drop("a.lua")
        self.write("z: {module: a.lua, input: in, output: out.z}", "b: {module: later.lua, input: in, output: out.b}",
                   "c: {module: processor_later, input: in, output: out.c}")
        self.broker.start()
        listed = {p["name"]: p for p in self.broker.json("plugin", "list")["plugins"]}
        self.assertEqual([name for name in listed if len(name) == 1], ["b", "c", "z"])
        self.assertEqual(list(listed), sorted(listed))  # in the order of names
        self.assertEqual((listed["b"]["state"], listed["c"]["state"]), ("awaited", "awaited"))
        self.assertEqual(listed["b"]["reason"], "waits for later.lua, which is not in " + self.plugins)
        self.assertIn("waits for processor_later.so, which is not in", listed["c"]["reason"])
        self.assertEqual(self.broker.json("plugin", "info", "b")["reason"], listed["b"]["reason"])
        self.assertEqual(self.broker.log().count("waits for later.lua"), 1)
        self.drop("later.lua")
        wait_for(lambda: self.stage("b")["state"] == "running", "what was awaited runs")
        self.produce("in", "x")
        self.wait_values("out.b", ["-x"])

    def test_the_one_that_a_file_made_by_itself_ends_when_the_configuration_names_others(self):
        gate = 'return { on = "produce", input = "in", process = function(record) return record end }'
        self.drop("a.lua", gate)
        self.write()
        self.broker.start()
        self.assertEqual(self.stage("a")["state"], "running")
        self.write("one: {module: a.lua, input: in, on: produce}")  # one gate is the limit before a topic
        _, keys = self.reload(0)
        self.assertEqual(keys["plugins.instances.one"]["note"], "loaded")
        self.assertEqual(self.stage("one")["state"], "running")
        self.assertIsNone(self.stage("a"))
        self.write()
        self.reload(0)
        wait_for(lambda: self.stage("a") is not None and self.stage("a")["state"] == "running", "a is back")
        self.assertIsNone(self.stage("one"))

    def test_one_that_does_not_load_is_told_and_the_rest_is_in_force(self):
        self.drop("a.lua")
        self.drop("bad.lua", "return { oops")
        self.write()
        self.broker.start()
        self.write("one: {module: a.lua, input: in, output: out.1}", "two: {module: bad.lua, input: in, output: out.2}")
        report, keys = self.reload(3)
        self.assertEqual(report["outcome"], "partly")
        self.assertEqual(keys["plugins.instances.two"]["outcome"], "applied, but does not run")
        self.assertIn("bad.lua", keys["plugins.instances.two"]["note"])
        self.produce("in", "x")
        self.wait_values("out.1", ["-x"])

    def test_a_dropped_in_one_is_configured_and_set_free_again(self):
        self.drop("a.lua", STAGE.replace("return {", "return { input = 'in', output = 'out',", 1))
        self.write()
        self.broker.start()
        self.write("a: {input: in, output: other, config: {prefix: '+'}}")
        _, keys = self.reload(0)
        self.assertIn("beside the old", keys["plugins.instances.a"]["note"])
        self.produce("in", "x")
        self.wait_values("other", ["+x"])
        self.write()
        self.reload(0)
        self.produce("in", "y")
        self.wait_values("out", ["-y"])

    def test_many_instances_hold_the_loop_for_as_few_turns_as_one_key(self):
        self.drop("a.lua")
        self.write()
        self.broker.start()
        self.write(more="log: {level: debug}\n")
        one, _ = self.reload(0)
        self.write(*[f"n{i}: {{module: missing.lua, input: in{i}, output: out{i}, limits: {{deadline_ms: 5}}}}"
                     for i in range(200)], more="log: {level: debug}\n")
        many, keys = self.reload(0)
        self.assertEqual(len(keys), 200)
        self.assertEqual(many["loop_turns"], one["loop_turns"])

    def test_reloads_follow_each_other_and_a_second_one_at_once_is_refused(self):
        self.drop("a.lua")
        self.write("a: {input: in, output: out, config: {prefix: '0'}}")
        self.broker.start()
        asked = [subprocess.Popen([SLUICE, "reload", "--home", self.broker.home], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) for _ in range(6)]
        self.assertLessEqual({(process.communicate(), process.returncode)[1] for process in asked}, {0, 1})
        for i in range(10):
            self.write("a: {input: in, output: out, config: {prefix: '%d'}}" % i)
            self.reload(0)
            self.produce("in", "x")
            self.wait_values("out", [f"{k}x" for k in range(i + 1)])  # read before the next reload


class TwoLoops(ReloadTest):
    settings = ("runtime.shards=2", "core.topics.partitions=2")
    partitions = 2
    test_no_batch_sees_a_configuration_that_another_plugin_refuses = \
        Report.test_no_batch_sees_a_configuration_that_another_plugin_refuses

    COUNTS = """local count = 0
return {
  config = { prefix = "-" },
  init = function(config) if config.prefix == "odd" and count == 1 then error("not an odd one") end end,
  process = function(record) count = count + 1 record.value = config.prefix .. count return record end }
"""

    def begin(self, prefix):
        self.drop("a.lua", self.COUNTS)
        self.configure(prefix)
        self.broker.start()
        self.broker.run("topic", "create", "in", "-p", "2")

    def configure(self, prefix):
        self.write("a: {input: in, output: out, config: {prefix: '%s'}}" % prefix)

    def test_workers_of_all_loops_take_a_configuration_while_they_run(self):
        self.begin("a")
        expected = []
        for number, prefix in enumerate("abc"):
            self.configure(prefix)
            self.reload(0)
            for partition in "01":
                self.broker.run("produce", "in", "-p", partition, "x")
            # What is in memory stays: no worker was started anew; and the prefix is the new one at once.
            expected += 2 * [prefix + str(number + 1)]
            wait_for(lambda: sorted(self.values("out")) == expected, f"{expected}: {self.broker.log()[-2000:]}")

    def test_a_refusal_on_one_loop_changes_nothing_on_the_other(self):
        self.begin("+")
        for partition in "01":
            self.broker.run("produce", "in", "-p", partition, "x")
            wait_for(lambda: len(self.values("out")) == int(partition) + 1, "the record")
            if partition == "0":  # of the two workers one has counted to 1, and refuses
                self.configure("odd")
                _, keys = self.reload(78)
                self.assertIn("not an odd one", keys["plugins.instances.a.config"]["note"])
        self.assertEqual(self.values("out"), ["+1", "+1"])

    def test_every_loop_runs_the_new_configuration(self):
        self.drop("a.lua")
        self.write("a: {input: in, output: out, config: {prefix: '0'}}")
        self.broker.start()
        for prefix, topic in (("1", "out"), ("2", "out2")):
            self.write("a: {input: in, output: %s, config: {prefix: '%s'}}" % (topic, prefix))
            self.reload(0)

            def both_loops():
                for partition in "01":
                    self.broker.run("produce", "in", "-p", partition, partition)
                return {prefix + "0", prefix + "1"} <= set(self.values(topic))
            wait_for(both_loops, "both loops", 0.1)
        # No record was made by the one configuration and written where the other says.
        self.assertLessEqual({value[0] for value in self.values("out")}, {"0", "1"})
        self.assertEqual({value[0] for value in self.values("out2")}, {"2"})
