"""A new version that gets the records of the old one beside it, before it takes over or is refused."""
import os
import signal
import subprocess
import unittest

from sluice_broker import SLUICE, Broker, wait_for
from test_plugins import c_source, compile_plugin
from test_reload import ReloadTest, sha, write

LUA = 'return {name="tag", process=function(r)\n%s\nreturn r end}\n'


class Shadow(ReloadTest):
    FILE = ("plugins:\n  instances:\n    tag:\n      module: %s\n      input: [in]\n      output: out\n"
            "      limits: {cpu_percent: 100}\n      shadow: %d\n      shadow_max_diff_percent: %d\n")

    def begin(self, records, percent, module="tag.lua", partitions=1, settings=()):
        self.broker = Broker(*settings, start=False)
        self.addCleanup(self.broker.close)
        self.plugins = os.path.join(self.broker.home, "plugins")
        write(os.path.join(self.broker.home, "sluice.yaml"), self.FILE % (module, records, percent))
        self.broker.extra = ["--config", os.path.join(self.broker.home, "sluice.yaml")]
        self.broker.start()
        self.broker.run("topic", "create", "in", "-p", str(partitions))

    def setUp(self):
        self.sent = 0

    def version(self, body):
        text = LUA % body
        self.drop("tag.lua", text)
        return sha(text)

    def first(self, body):
        text = LUA % body
        self.drop("tag.lua", text)
        wait_for(lambda: self.knows("tag"), "tag")
        self.wait_hash("tag", text)
        return sha(text)

    def under_way(self, wanted):
        wait_for(lambda: self.info("tag").get("shadow", {}).get("hash") == wanted and
                 self.info("tag")["shadow"]["state"] == "under way", f"the shadow run: {self.broker.log()[-2000:]}")

    def send_until(self, condition):
        """Records one after the other, so that each is a batch of its own, until the run has ended."""
        def step():
            self.produce("in", f"r{self.sent}")
            self.sent += 1
            return condition()
        return wait_for(step, f"the end of the run: {self.info('tag')} {self.broker.log()[-2000:]}")

    def test_the_same_code_takes_over_when_enough_records_were_the_same(self):
        self.begin(10, 0)
        old = self.first('r.value = r.value .. "!"')
        self.produce("in", "before")
        new = self.version('r.value = r.value .. "!" -- other words')
        self.under_way(new)
        self.assertEqual(self.info("tag")["hash"], old)  # it runs
        self.send_until(lambda: self.info("tag")["hash"] == new)
        shadow = self.info("tag")["shadow"]
        self.assertEqual((shadow["state"], shadow["changed"], shadow["differences"]), ("ended", "0", []))
        self.assertGreaterEqual(int(shadow["same"]), 10)
        got = self.wait_values("out", self.sent + 1)  # nothing of the shadow's went anywhere
        self.assertEqual(got, ["before!"] + [f"r{i}!" for i in range(self.sent)])

    def test_differences_are_counted_and_shown_and_too_many_refuse(self):
        self.begin(10, 20)
        old = self.first('r.value = r.value .. "!"')
        new = self.version('r.value = r.value .. "?"')
        self.under_way(new)
        self.send_until(lambda: self.info("tag")["shadow"]["state"] == "ended")
        info = self.info("tag")
        self.assertEqual((info["hash"], info["shadow"]["same"]), (old, "0"))
        self.assertGreaterEqual(int(info["shadow"]["changed"]), 10)
        self.assertIn('in/0 offset 0: emitted "r0!" → emitted "r0?"', info["shadow"]["differences"][0])
        self.assertEqual(len(info["shadow"]["differences"]), 3)
        self.assertIn("its shadow run changed", info["reason"])
        self.assertIn("keeps running", info["reason"])
        self.wait_log(" tag ", "shadow run ended", "same=0", "changed=")
        self.assertEqual(self.wait_values("out", self.sent), [f"r{i}!" for i in range(self.sent)])

    def test_what_is_dropped_rejected_or_passed_is_compared_too(self):
        self.begin(6, 60)
        self.first('if r.value == "r1" then return nil end if r.value == "r2" then error("x") end')
        new = self.version('if r.value == "r2" then error("y") end')
        self.under_way(new)
        self.send_until(lambda: self.info("tag")["shadow"]["state"] == "ended")
        shadow = self.info("tag")["shadow"]
        self.assertEqual((shadow["changed"], len(shadow["differences"])), ("2", 2))
        self.assertIn("in/0 offset 1: dropped → passed", shadow["differences"][0])
        self.assertIn("in/0 offset 2: failed", shadow["differences"][1])
        self.assertEqual(self.info("tag")["hash"], new)

    def test_one_that_dies_in_its_shadow_run_is_refused(self):
        self.begin(10, 100, "tag.so")
        for body in ("writer->pass(writer, index);", "*(volatile int *)0 = 1;"):
            built = os.path.join(self.broker.home, "built.so")
            compile_plugin(built, c_source("tag", body))
            os.rename(built, os.path.join(self.plugins, "tag.so"))
            wait_for(lambda: "loaded" in self.broker.log(), "the first version")
            old = old if body[0] == "*" else self.info("tag")["hash"]
        wait_for(lambda: self.info("tag").get("shadow", {}).get("state") == "under way", "the shadow run")
        self.send_until(lambda: "keeps running" in self.info("tag")["reason"])
        info = self.info("tag")
        self.assertEqual((info["hash"], info["shadow"]["state"], info["state"]), (old, "ended", "running"))
        self.assertEqual(self.wait_values("out", self.sent), [f"r{i}" for i in range(self.sent)])

    def test_a_death_on_any_shard_refuses_it_on_all(self):
        self.begin(1000, 100, partitions=2, settings=("runtime.shards=2",))
        old = self.first('r.value = r.value .. "!"')
        for which in (0, 1):
            before = self.children()
            self.under_way(self.version(f'r.value = r.value .. "{which}"'))
            os.kill(sorted(self.children() - before)[which], signal.SIGKILL)
            wait_for(lambda: "keeps running" in self.info("tag")["reason"], "the refusal")
            wait_for(lambda: self.children() == before, "the other one to go")
            self.assertEqual(self.info("tag")["hash"], old)
            for partition in "01":
                self.broker.run("produce", "in", "-p", partition, "x")
            self.assertEqual(set(self.wait_values("out", 2 + 2 * which)), {"x!"})

    def test_a_newer_file_ends_the_run_of_the_one_before(self):
        self.begin(1000, 0)
        self.first('r.value = r.value .. "1"')
        second = self.version('r.value = r.value .. "2"')
        self.under_way(second)
        third = self.version('r.value = r.value .. "3"')
        self.under_way(third)
        os.remove(os.path.join(self.plugins, "tag.lua"))
        self.wait_log(" tag ", "unloaded")

    def test_a_reload_can_ask_for_a_run(self):
        self.begin(0, 100)
        old = self.first('r.value = r.value .. "!"')
        self.produce("in", "x")
        self.wait_values("out", 1)
        self.assertNotIn("shadow", self.info("tag"))
        asked = subprocess.Popen([SLUICE, "plugin", "reload", "tag", "--shadow", "3", "--home", self.broker.home],
                                 stdout=subprocess.PIPE)
        self.send_until(lambda: asked.poll() is not None)
        self.assertRegex(asked.communicate()[0].decode(),
                         rf"tag runs version {old}; in its shadow run \d+ records were the same and 0 changed")
        code, _, err = self.broker.run("plugin", "reload", "tag", "--shadow", "3", "--max-diff", "200")
        self.assertEqual(code, 64, err)

    def test_records_on_all_shards_are_compared(self):
        self.begin(12, 0, partitions=4, settings=("runtime.shards=2",))
        self.first('r.value = r.value .. "!"')
        new = self.version('r.value = r.value .. "!" -- again')
        self.under_way(new)

        def step():
            for partition in range(4):
                self.broker.run("produce", "in", "-p", str(partition), stdin=b"x\n")
                self.sent += 1
            return self.info("tag")["hash"] == new
        wait_for(step, f"the end of the run: {self.broker.log()[-2000:]}")
        shadow = self.info("tag")["shadow"]
        self.assertEqual(shadow["changed"], "0")
        self.assertGreaterEqual(int(shadow["same"]), 12)
        self.assertEqual(self.wait_values("out", self.sent), ["x!"] * self.sent)


if __name__ == "__main__":
    unittest.main()
