"""Dead letters: what on_error makes of a record that fails; dlq list, show and redrive."""
import os
import subprocess
import threading
import unittest

from sluice_broker import SLUICE, Broker, wait_for
from test_plugins import PluginTest, Consumer

FAILS_ON_X = ('return {name="s", input="in", output="out", process=function(r)\n'
              'if r.value:find("x") then error("no x here") end\nreturn r end}')
PASSES = 'return {name="s", input="in", output="out", process=function(r) return r end}'


class DeadLetterTest(PluginTest):
    def dlq(self, *arguments):
        return self.broker.json("dlq", *arguments)

    def redrive(self, *arguments, fails=False):
        code, out, err = self.broker.run("dlq", "redrive", "s", *arguments)
        self.assertEqual(code != 0, fails, out.decode() + err)
        return out.decode() if not fails else err

    def dead(self, *values):
        """Values of which those with an x become dead letters; then the stage passes everything."""
        self.drop("s.lua", FAILS_ON_X)
        self.wait_log(" s ", " loaded ")
        self.produce("in", *values)
        good = sum("x" not in v for v in values)
        if good > 0:
            self.wait_values("out", good)
        count = sum("x" in v for v in values)
        wait_for(lambda: int(self.info("s")["records_rejected"]) >= count, "the dead letters")

    def mend(self):
        before = self.info("s")["hash"]
        self.drop("s.lua", PASSES)
        wait_for(lambda: self.info("s")["hash"] != before and self.info("s")["state"] == "running", "the new version")

    def waiting(self):
        return [s["records"] for s in self.dlq("list")["stages"]][0]


class Redrive(DeadLetterTest):
    def test_list_and_show_say_what_failed_and_why(self):
        self.dead("a", "x1", "b", "x2")
        stage, = self.dlq("list")["stages"]
        self.assertEqual((stage["stage"], stage["records"], stage["redriven"]), ("s", 2, 0))
        self.assertIn("no x here", stage["reasons"][0]["reason"])
        self.assertEqual(stage["reasons"][0]["records"], 2)
        self.assertLessEqual(stage["oldest"], stage["newest"])
        code, out, _ = self.broker.run("dlq", "show", "s")
        self.assertEqual(code, 0)
        self.assertEqual(out.decode().count("no x here"), 2)
        code, out, _ = self.broker.run("dlq", "show", "s", "--letter", "0:1", "--json")
        self.assertIn('"value":"x2"', out.decode())
        self.assertIn('"offset":"3"', out.decode())
        all_of_it = self.broker.run("dlq", "show", "s", "--json")[1].splitlines()
        for place, wanted in (("1:2", all_of_it[1:2]), (":1", all_of_it[:1]), ("-1", all_of_it[-1:]), ("@-1h", all_of_it), ("end", [])):
            self.assertEqual(self.broker.run("dlq", "show", "s", "--json", "-o", place)[1].splitlines(), wanted, place)
        code, out, _ = self.broker.run("dlq", "show", "s", "--filter", "value=x1", "--json")
        self.assertEqual(out.decode().count('"letter"'), 1)
        code, _, err = self.broker.run("dlq", "show", "s", "--filter", "colour=red")
        self.assertEqual(code, 64)
        self.assertIn("reason, version", err)
        code, _, err = self.broker.run("dlq", "list", "nobody")
        self.assertEqual(code, 1)
        self.assertIn("nobody has no dead letters", err)

    def test_all_go_back_once_and_in_order(self):
        self.dead("a", *[f"x{i}" for i in range(50)], "b")
        self.mend()
        self.assertEqual(self.redrive(), "50 dead letters went to stage s; 0 failed again\n")
        want = ["a", "b", *[f"x{i}" for i in range(50)]]
        self.assertEqual(self.wait_values("out", 52), want)
        self.assertEqual(self.redrive(), "0 dead letters went to stage s; 0 failed again\n")
        self.assertEqual(self.values("out"), want)
        self.assertEqual(self.waiting(), 0)
        self.assertEqual(self.dlq("list")["stages"][0]["redriven"], 50)

    def test_one_goes_back_and_then_the_rest(self):
        self.dead("x0", "x1", "x2", "x3")
        self.mend()
        self.assertIn("1 dead letters", self.redrive("--letter", "0:2"))
        self.assertIn("0 dead letters", self.redrive("--letter", "0:2"))
        self.assertEqual(self.wait_values("out", 1), ["x2"])
        self.broker.crash()
        self.broker.start()
        self.wait_log(" s ", " loaded ")
        self.assertIn("3 dead letters", self.redrive())
        self.assertEqual(self.wait_values("out", 4), ["x2", "x0", "x1", "x3"])
        self.redrive("--letter", "nonsense", fails=True)

    def test_a_filter_chooses(self):
        self.dead("x-red", "x-blue", "x-red", "x-blue")
        self.mend()
        self.assertIn("2 dead letters", self.redrive("--filter", "value~red", "--filter", "topic=in"))
        self.assertEqual(self.wait_values("out", 2), ["x-red", "x-red"])
        self.assertEqual(self.waiting(), 2)
        self.assertIn("0 dead letters", self.redrive("--filter", "reason~SIGSEGV"))
        self.assertIn("2 dead letters", self.redrive("--filter", "reason~no x here"))
        self.assertEqual(self.values("out"), ["x-red", "x-red", "x-blue", "x-blue"])

    def test_what_fails_again_is_a_dead_letter_again_and_says_how_often(self):
        self.dead("x0", "x1")
        self.assertEqual(self.redrive(), "2 dead letters went to stage s; 2 failed again\n")
        self.assertEqual(self.redrive(), "2 dead letters went to stage s; 2 failed again\n")
        self.assertEqual(self.waiting(), 2)
        code, out, _ = self.broker.run("dlq", "show", "s", "--json")
        self.assertEqual(out.decode().count('"redrives":2'), 2)
        self.assertIn('"topic":"in"', out.decode())
        self.mend()
        self.redrive()
        self.assertEqual(self.wait_values("out", 2), ["x0", "x1"])

    def test_kills_of_the_broker_hand_nothing_back_twice(self):
        count = 3000
        self.fill(count)
        for _ in range(4):
            thread = threading.Thread(target=lambda: self.broker.run("dlq", "redrive", "s"))
            thread.start()
            wait_for(lambda: self.info("s")["records_redriven"] != "0" or not thread.is_alive(), "progress")
            self.broker.crash()
            thread.join()
            self.broker.start()
            wait_for(lambda: self.knows("s"), "the stage")
            wait_for(lambda: self.info("s")["state"] == "running", "the stage to run")
        self.redrive()
        got = self.wait_values("out", count)
        self.assertEqual(got, [f"x{i}" for i in range(count)])
        self.assertEqual(self.waiting(), 0)

    def fill(self, count):
        """Dead letters that a rejection made: those pause nothing."""
        self.drop("s.lua", FAILS_ON_X.replace("error", "reject"))
        self.wait_log(" s ", " loaded ")
        self.produce("in", *[f"x{i}" for i in range(count)])
        wait_for(lambda: int(self.info("s")["records_rejected"]) >= count, "the dead letters")
        self.mend()


class RedriveElsewhere(DeadLetterTest):
    def test_to_another_topic_they_go_as_they_were(self):
        self.dead("x0", "x1")
        self.assertIn("no-such", self.redrive("--to", "no-such", fails=True))
        self.broker.run("topic", "create", "aside", "-p", "4")  # on every shard; one letter after the other in one
        self.assertEqual(self.redrive("--to", "aside"), "2 dead letters went to topic aside; 0 failed again\n")
        self.assertEqual(self.values("aside"), ["x0", "x1"])
        self.assertEqual(self.records("aside", 2, partitions=4)[0].headers() or [], [])
        self.assertEqual(self.waiting(), 0)


class RedriveToAnotherShard(DeadLetterTest):
    settings = ("runtime.shards=2",)

    def test_a_topic_without_a_partition_there_is_refused_with_how_many_it_takes(self):
        self.dead("x")
        for i in range(40):  # which shard has a topic's only partition is by chance
            self.broker.run("topic", "create", f"aside{i}", "-p", "1")
            code, out, err = self.broker.run("dlq", "redrive", "s", "--to", f"aside{i}")
            if code != 0:
                break
            self.assertEqual(self.values(f"aside{i}"), ["x"])
            self.produce("in", "x")
            wait_for(lambda: self.waiting() == 1, "another letter")
        self.assertRegex(out.decode() + err, "where the letter lies; any topic of 2 partitions has one on each")
        self.assertEqual((self.waiting(), self.values(f"aside{i}")), (1, []))
        self.broker.run("topic", "create", "wide", "-p", "2")
        self.redrive("--to", "wide")
        self.assertEqual((self.waiting(), self.values("wide")), (0, ["x"]))


class OnError(DeadLetterTest):
    """The four ways, from the configuration."""
    def setUp(self):
        self.plugins = None

    def begin(self, on_error, lua=FAILS_ON_X, extra="", settings=()):
        self.broker = Broker(*settings, start=False)
        self.addCleanup(self.broker.close)
        self.plugins = os.path.join(self.broker.home, "plugins")
        os.makedirs(self.plugins, exist_ok=True)
        with open(os.path.join(self.broker.home, "sluice.yaml"), "w") as file:
            file.write("plugins:\n  instances:\n    s:\n      module: s.lua\n      input: [in]\n      output: out\n"
                       f"      on_error: {on_error}\n{extra}")
        self.broker.extra = ["--config", os.path.join(self.broker.home, "sluice.yaml")]
        self.broker.start()
        self.drop("s.lua", lua)

    def test_drop_leaves_the_record_out(self):
        self.begin("drop")
        self.wait_log(" s ", " loaded ")
        self.produce("in", "a", "x", "b")
        self.assertEqual(self.wait_values("out", 2), ["a", "b"])
        wait_for(lambda: self.info("s")["records_discarded"] == "1", "the count")
        self.assertEqual(self.dlq("list")["stages"], [])

    def test_stop_pauses_before_it_and_resume_goes_on(self):
        self.begin("stop")
        self.wait_log(" s ", " loaded ")
        self.produce("in", "a", "x", "b")
        wait_for(lambda: self.info("s")["state"] == "paused", "the pause")
        self.assertEqual(self.values("out"), ["a"])
        self.assertIn("on_error: stop", self.info("s")["reason"])
        self.assertEqual(self.info("s")["on_error"], "stop")
        self.assertEqual(self.broker.run("plugin", "resume", "s")[0], 0)
        wait_for(lambda: self.info("s")["state"] == "paused", "the pause again")
        self.mend()
        self.assertEqual(self.wait_values("out", 3), ["a", "x", "b"])

    def stopped(self, why):
        """It stopped by itself, and that is in the log."""
        info = wait_for(lambda: (lambda i: i if i["state"] == "paused" and "switched_by" in i else None)(self.info("s")),
                        "the pause")
        self.assertIn(why, info["reason"])
        self.assertEqual(info["switched_by"], "version " + info["hash"])

    def test_a_stage_that_stopped_by_itself_stays_so_over_restarts_until_there_is_new_code(self):
        self.begin("stop")
        self.wait_log(" s ", " loaded ")
        self.produce("in", "a", "x", "b")
        self.stopped("on_error: stop")
        self.broker.crash()
        self.broker.start()
        self.wait_log(" s ", "stays paused", "on_error: stop")
        self.stopped("on_error: stop")
        self.assertEqual(self.broker.log().count("stage is paused"), 1)
        self.assertEqual(self.broker.run("plugin", "resume", "s")[0], 0)
        wait_for(lambda: self.broker.log().count("stage is paused") == 2, "the next try")
        self.stopped("on_error: stop")
        self.broker.stop()
        self.drop("s.lua", PASSES)
        self.broker.start()
        self.assertEqual(self.wait_values("out", 3), ["a", "x", "b"])
        wait_for(lambda: "switched_by" not in self.info("s"), "the switch to go")
        self.broker.crash()
        self.broker.start()
        self.assertEqual(self.info("s")["state"], "running")

    def test_too_many_failures_stop_a_stage_over_restarts_until_it_is_resumed(self):
        self.begin("dead-letter")
        self.wait_log(" s ", " loaded ")
        self.produce("in", *[f"x{i}" for i in range(150)], "a")
        self.stopped("every record fails")
        letters = self.waiting()
        self.broker.stop()
        self.broker.start()
        self.stopped("every record fails")
        self.assertEqual(self.waiting(), letters)
        self.assertEqual(self.broker.run("plugin", "resume", "s")[0], 0)
        self.assertEqual(self.wait_values("out", 1), ["a"])
        self.assertEqual(self.waiting(), 150)

    def test_retry_tries_again_and_then_gives_up(self):
        self.begin("retry 2")
        self.wait_log(" s ", " loaded ")
        self.produce("in", "a", "x", "b")
        self.assertEqual(self.wait_values("out", 2), ["a", "b"])
        self.assertEqual(self.waiting(), 1)
        self.assertEqual(self.info("s")["retries"], "2")

    def test_a_wrong_word_is_refused_with_the_right_ones(self):
        for word in ("ignore", "retry 0", "retry x"):
            broker = Broker(start=False)
            self.addCleanup(broker.close)
            path = os.path.join(broker.home, "sluice.yaml")
            with open(path, "w") as file:
                file.write(f"plugins:\n  instances:\n    s:\n      on_error: {word}\n")
            done = subprocess.run([SLUICE, "config", "check", path], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("dead-letter, drop, retry, retry N (1 to 1000000) or stop", done.stdout + done.stderr)

    def test_a_gate_cannot_retry_and_with_drop_leaves_records_out(self):
        gate = FAILS_ON_X.replace("error", "reject").replace('input="in"', 'input="in", on="produce"')
        self.begin("retry 2", gate)
        self.wait_log(" s ", "not loaded", "producer")
        self.begin("drop", gate)
        self.wait_log(" s ", " loaded ")
        self.produce("in", "a", "x", "b")
        self.assertEqual(self.values("in"), ["a", "b"])


@unittest.skipIf(Consumer is None, "python3-confluent-kafka is not installed")
class Kafka(DeadLetterTest):
    def test_a_client_reads_them_with_their_reason_in_headers(self):
        self.dead("x0")
        headers = {k: v.decode() for k, v in self.records("__sluice_dlq.s", 1)[0].headers()}
        self.assertEqual((headers["sluice.topic"], headers["sluice.offset"]), ("in", "0"))


if __name__ == "__main__":
    unittest.main()
