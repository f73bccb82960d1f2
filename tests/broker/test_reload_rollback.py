"""Versions that ran before: listed, put back by hand, and put back by themselves when a new one fails too often."""
import json
import os
import re
import unittest
import urllib.request

from sluice_broker import Broker, wait_for
from test_plugins import c_source
from test_reload import ReloadTest, sha, write

TAG = 'return {name="tag", input="in", output="out", process=function(r)\n%s\nr.value = r.value .. " %s"\nreturn r end}\n'


class RollbackTest(ReloadTest):
    def deploy(self, tag, body=""):
        text = TAG % (body, tag)
        self.drop("tag.lua", text)
        wait_for(lambda: self.knows("tag"), "tag to be loaded")
        return text

    def settle(self, tag, body=""):
        text = self.deploy(tag, body)
        self.wait_hash("tag", text)
        return sha(text)

    def send(self, value):
        before = len(self.values("out"))
        self.produce("in", value)
        return self.wait_values("out", before + 1)[-1]

    def back(self, *arguments):
        return self.broker.json("plugin", "rollback", "tag", *arguments)

    def hashes(self):
        return [version["hash"] for version in self.info("tag")["versions"]]

    def rolled_back(self, good, bad):
        wait_for(lambda: self.info("tag")["hash"] == good and self.info("tag")["state"] == "running" and
                 self.info("tag")["reason"].startswith("rolled back"),
                 f"the rollback to {good}: {self.broker.log()[-3000:]}")
        line = self.wait_log(" tag ", "goes back", "rolled back")
        self.assertIn(bad, line)
        info = self.info("tag")
        self.assertRegex(info["reason"], r"rolled back: \d+ of \d+ failed .* until the file changes")
        self.assertEqual([v["hash"] for v in info["versions"]], [good, bad])
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.broker.http}/metrics", timeout=30).read().decode()
        self.assertEqual(re.findall(r'^sluice_plugin_rollbacks_total\{plugin="tag"\} (\d+)$', text, re.M), ["1"])
        self.looked()
        self.assertEqual((self.info("tag")["hash"], self.info("tag")["rollbacks"]), (good, "1"))  # not tried again


class Rollback(RollbackTest):
    def test_the_version_before_comes_back_and_any_that_is_kept(self):
        a, b, c = self.settle("a"), self.settle("b"), self.settle("c")
        self.assertEqual(self.hashes(), [c, b, a])
        self.assertEqual(self.send("1"), "1 c")
        code, out, _ = self.broker.run("plugin", "rollback", "tag")
        self.assertEqual((code, out.decode()), (0, f"tag runs version {b} again\n"))
        self.assertEqual(self.send("2"), "2 b")
        self.assertEqual(self.hashes(), [b, c, a])
        self.assertIn("rolled back", self.info("tag")["versions"][1]["ended"])
        self.assertIn("until the file changes", self.info("tag")["reason"])
        self.assertEqual(self.back()["hash"], a)  # c was rolled back: the one before b is a
        self.assertEqual(self.back("--to", c)["hash"], c)  # by name it comes all the same
        self.assertEqual(self.send("3"), "3 c")
        self.assertEqual(self.info("tag")["rollbacks"], "3")
        self.looked()
        self.assertEqual(self.info("tag")["hash"], c)
        self.back("--to", a)
        self.looked()
        self.assertEqual(self.info("tag")["hash"], a)  # the file says c, but did not change
        d = self.settle("d")
        self.assertEqual((self.send("4"), self.info("tag")["reason"]), ("4 d", ""))
        self.assertEqual(self.hashes()[0], d)

    def test_what_cannot_come_back_is_refused_with_the_reason(self):
        a = self.settle("a")
        code, _, err = self.broker.run("plugin", "rollback", "tag")
        self.assertEqual(code, 1)
        self.assertIn("no such version", err)
        for arguments in (("tag", "--to", "ffffffff"), ("nobody",)):
            code, _, err = self.broker.run("plugin", "rollback", *arguments)
            self.assertEqual(code, 1, err)
        self.assertEqual(self.info("tag")["hash"], a)

    def test_state_of_another_version_is_not_given_to_old_code(self):
        self.drop_c("stateful", 'writer->pass(writer, index);', state_version=1)
        old = self.info("stateful")["hash"]
        self.drop_c("stateful", 'writer->pass(writer, index);', state_version=2, wait=False)
        wait_for(lambda: self.info("stateful")["hash"] != old, "the second version")
        code, _, err = self.broker.run("plugin", "rollback", "stateful")
        self.assertEqual(code, 1)
        self.assertIn("state_version", err)

    def test_the_last_eight_are_kept(self):
        hashes = [self.settle(f"v{i}") for i in range(12)]
        self.assertEqual(self.hashes(), hashes[:-10:-1])
        self.assertEqual(self.back("--to", hashes[3])["hash"], hashes[3])
        self.assertEqual(self.send("x"), "x v3")
        code, _, _ = self.broker.run("plugin", "rollback", "tag", "--to", hashes[2])
        self.assertEqual(code, 1)

    def test_a_deploy_that_rejects_too_much_goes_back_by_itself(self):
        good = self.settle("a")
        self.assertEqual(self.send("1"), "1 a")
        bad = self.settle("b", 'if r.value:find("x") then error("no x") end')
        self.assertEqual(self.send("2"), "2 b")
        self.produce("in", *["x"] * 20)
        self.rolled_back(good, bad)
        self.assertEqual(self.send("3"), "3 a")
        again = self.settle("c")  # a new file is a new chance
        self.assertEqual((self.send("4"), self.info("tag")["hash"]), ("4 c", again))

    def test_a_deploy_that_rejects_as_much_as_the_one_before_stays(self):
        body = 'if r.value:find("x") then error("no x") end'
        self.settle("a", body)
        self.produce("in", *["x"] * 50)
        wait_for(lambda: self.info("tag")["records_rejected"] == "50", "50 rejected")
        second = self.settle("b", body)
        self.produce("in", *["x"] * 50)
        wait_for(lambda: self.info("tag")["records_rejected"] == "100", "100 rejected")
        self.assertEqual(self.send("1"), "1 b")
        self.assertEqual((self.info("tag")["hash"], self.info("tag")["rollbacks"]), (second, "0"))

    def test_a_deploy_that_crashes_goes_back_before_the_records_are_dead_letters(self):
        self.drop_c("tag", 'writer->pass(writer, index);', input="in", output="out")
        good = self.info("tag")["hash"]
        self.produce("in", "1")
        self.wait_values("out", 1)
        self.drop_c("tag", '*(volatile int *)0 = 1;', input="in", output="out", wait=False)
        wait_for(lambda: self.info("tag")["hash"] != good, "the bad version")
        bad = self.info("tag")["hash"]
        self.produce("in", *[f"r{i}" for i in range(1000)])
        self.rolled_back(good, bad)
        self.assertEqual(self.wait_values("out", 1001), ["1"] + [f"r{i}" for i in range(1000)])
        self.assertEqual(self.info("tag")["records_poisoned"], "0")

    def test_few_failures_among_many_records_do_not_count(self):
        self.settle("a")
        self.produce("in", "1")
        second = self.settle("b", 'if r.value == "x" then error("no x") end')
        self.produce("in", *["y"] * 91, *["x"] * 9)  # at no time are they more than 9 %
        self.wait_values("out", 92)
        self.settle("c")
        self.assertIn(second, self.hashes())
        self.assertEqual(self.info("tag")["rollbacks"], "0")


class Kept(RollbackTest):
    """What ran before a start of the broker can be put back after it."""

    def kept(self):
        """The files of the copies, by the index and by the folder, which agree once it is written."""
        folder = os.path.join(self.broker.home, "data", "plugins")
        with open(os.path.join(folder, "index.json")) as file:
            index = json.load(file)
        named = {v["hash"] + os.path.splitext(v["file"])[1] for v in index["versions"]}
        there = set(os.listdir(folder)) - {"index.json"}
        return {name[:8]: os.path.join(folder, name) for name in named} if named == there else {}

    def again(self):
        self.assertEqual(self.broker.stop(), 0)
        self.broker.start()

    def test_versions_outlast_a_restart_and_a_kill(self):
        a, b, c = self.settle("a"), self.settle("b"), self.settle("c")
        self.drop_c("solid", 'writer->drop(writer, index);')
        self.drop_c("solid", 'writer->pass(writer, index);', wait=False)
        wait_for(lambda: len(self.info("solid")["versions"]) == 2, "the second one")
        self.drop_c("solid", 'if (index != 7) writer->drop(writer, index); else writer->pass(writer, index);', wait=False)
        wait_for(lambda: len(self.info("solid")["versions"]) == 3, "the third one")
        passes = self.info("solid")["versions"][1]
        self.again()
        self.assertEqual(self.hashes(), [c, b, a])
        listed = {p["name"]: p for p in self.broker.json("plugin", "list")["plugins"]}
        self.assertEqual(listed["tag"]["versions"], self.info("tag")["versions"])
        self.assertEqual(self.info("tag")["kept_versions"], "2")
        self.assertEqual(self.info("solid")["versions"][1], passes)
        self.assertEqual((self.info("tag")["reloads"], self.back()["hash"]), ("0", b))
        self.assertEqual(self.send("1"), "1 b")
        self.assertEqual(self.hashes(), [b, c, a])
        self.assertEqual(self.broker.json("plugin", "rollback", "solid")["hash"], passes["hash"])
        self.produce("solid", "x")
        self.wait_values("solid.out", 1)
        wait_for(lambda: self.kept().keys() == {a, b, c} | {v["hash"] for v in self.info("solid")["versions"]}, "the copies")
        self.broker.crash()
        self.broker.start()
        self.assertEqual(self.hashes(), [c, b, a])  # the file counts at a start
        self.assertEqual(self.back("--to", a)["hash"], a)
        self.assertEqual(self.send("2"), "2 a")

    def test_a_file_that_broke_while_no_broker_ran(self):
        a = self.settle("a")
        self.assertEqual(self.send("1"), "1 a")
        self.broker.stop()
        self.drop("tag.lua", "return 7\n")
        self.broker.start()
        self.assertEqual((self.info("tag")["state"], self.hashes()), ("refused", [a]))
        self.assertEqual(self.back()["hash"], a)
        self.assertEqual(self.send("2"), "2 a")
        b = self.settle("b")
        self.assertEqual(self.hashes(), [b, a])
        os.remove(os.path.join(self.plugins, "tag.lua"))
        wait_for(lambda: not self.knows("tag"), "tag to go")
        c = self.settle("c")  # under its name
        self.assertEqual(self.hashes(), [c, b, a])
        os.remove(os.path.join(self.plugins, "tag.lua"))
        wait_for(lambda: not self.knows("tag"), "tag to go")
        wait_for(lambda: self.kept().keys() == {a, b, c}, "the copies")
        self.assertEqual(self.broker.run("plugin", "forget", "tag", "--yes")[0], 0)
        wait_for(lambda: os.listdir(os.path.join(self.broker.home, "data", "plugins")) == ["index.json"], "none")

    def test_what_is_read_back_is_not_trusted(self):
        hashes = [self.settle(f"v{i}") for i in range(11)]
        kept = wait_for(lambda: (lambda kept: kept.keys() == set(hashes[2:]) and kept)(self.kept()), "nine copies")
        with open(kept[hashes[9]], "r+b") as file:
            file.write(b"R")
        os.truncate(kept[hashes[8]], 5)
        os.remove(kept[hashes[7]])
        self.again()
        for bad, word in ((9, "has other bytes"), (8, "copy on the disk"), (7, "copy on the disk")):
            code, _, err = self.broker.run("plugin", "rollback", "tag", "--to", hashes[bad])
            self.assertEqual(code, 1)
            self.assertIn(word, err)
        self.assertEqual(self.send("1"), "1 v10")
        self.assertEqual(self.back("--to", hashes[6])["hash"], hashes[6])
        self.broker.stop()
        index = os.path.join(self.broker.home, "data", "plugins", "index.json")
        with open(index) as file:
            entry = json.load(file)["versions"][0]
        entries = [dict(entry, **change) for change in (
            {"hash": "../../sluice.yaml"}, {"hash": "g" * 64}, {"file": "../tag.lua"}, {"instance": "../tag"},
            {"bytes": -1}, {"bytes": 1e300}, {"since_ms": "x"}, {"ended": "x" * 1000}, {"version": None},
            {"active": False, "hash": "0" * 64, "ended": "\x1b[2J"})]
        write(index, json.dumps({"format": 1, "versions": entries + [7, None, [[]]]}))
        self.broker.start()
        self.assertEqual(self.hashes(), [hashes[10], "00000000"])
        self.assertEqual(self.info("tag")["versions"][1]["ended"], "?[2J")
        for text in ("", "{", '{"format":2,"versions":[]}', "[" * 100000):
            self.broker.crash()
            write(index, text)
            offset = os.path.getsize(self.broker.log_path)
            self.broker.start()
            self.assertIn("earlier versions cannot be read", self.broker.log(offset))
            self.assertEqual(self.hashes(), [hashes[10]])
        self.assertEqual(self.send("2"), "2 v10")

    def test_without_a_disk_they_are_in_memory(self):
        broker = Broker("data.dir=none", start=False)
        self.addCleanup(broker.close)
        self.broker.close()
        self.broker, self.plugins = broker, os.path.join(broker.home, "plugins")
        os.mkdir(self.plugins)
        broker.start()
        a, b = self.settle("a"), self.settle("b")
        self.assertEqual((self.hashes(), self.back()["hash"]), ([b, a], a))
        self.assertEqual(sorted(os.listdir(broker.home)), ["log", "plugins", "sluice.sock"])


class Configured(RollbackTest):
    """The keys of the configuration, of all and of one instance."""
    FILE = ("plugins:\n  rollback: {errors_percent: %s, errors_min: %s, grace: 30 s}\n  instances:\n    tag:\n"
            "      module: tag.lua\n      input: [in]\n      output: out\n      rollback: {errors_percent: %s}\n")

    def setUp(self):
        pass

    def begin(self, *values):
        self.broker = Broker(start=False)
        self.addCleanup(self.broker.close)
        self.plugins = os.path.join(self.broker.home, "plugins")
        write(os.path.join(self.broker.home, "sluice.yaml"), self.FILE % values)
        self.broker.extra = ["--config", os.path.join(self.broker.home, "sluice.yaml")]
        self.broker.start()

    def fails(self, count):
        first = self.settle("a")
        self.assertEqual(self.send("1"), "1 a")
        second = self.settle("b", 'error("never")')
        self.produce("in", *["x"] * count)
        wait_for(lambda: int(self.info("tag")["records_rejected"]) >= count or self.info("tag")["rollbacks"] == "1", "all")
        return first, second

    def test_nothing_goes_back_where_it_is_switched_off(self):
        for values in ((0, 1, -1), (10, 1, 0)):
            self.begin(*values)
            _, second = self.fails(50)
            self.settle("c")
            self.assertEqual((self.hashes()[1], self.info("tag")["rollbacks"]), (second, "0"))

    def test_one_failure_is_enough_where_it_is_said_so(self):
        self.begin(0, 1, 50)
        good, bad = self.fails(1)
        self.rolled_back(good, bad)


if __name__ == "__main__":
    unittest.main()
