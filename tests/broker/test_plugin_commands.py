"""sluice plugin load, reload, unload, enable, disable, pause, resume, seek, forget: what each does and refuses."""
import json
import os
import pty
import subprocess
import time

from sluice_broker import BUILD, SLUICE, wait_for
from test_plugins import PluginTest

HANGS = os.path.join(BUILD, "tests", "hostile", "constructor_loop.so")
UPPER = """return { input = "in", output = "out",
  process = function(record, emit) record.value = "%s" .. record.value; return record end }
"""
GATE = """return { on = "produce", input = "in",
  process = function(record) if record.value == "bad" then return sluice.reject("no") end return record end }
"""


class CommandTest(PluginTest):
    def setUp(self):
        super().setUp()
        self.source = os.path.join(self.broker.home, "up.lua")
        self.write("a:")

    def write(self, prefix):
        with open(self.source, "w") as file:
            file.write(UPPER % prefix)

    def plugin(self, *arguments, code=0, **kwargs):
        """What the command said: an object of stdout, or the text of stderr."""
        got, out, err = self.broker.run("plugin", *arguments, *(["--json"] if code == 0 else []), **kwargs)
        self.assertEqual(got, code, (arguments, out, err))
        return json.loads(out) if code == 0 else err

    def state(self, name="up"):
        found = [p for p in self.broker.ask("plugin.list")["plugins"] if p["name"] == name]
        return found[0]["state"] if found else None

    def load(self):
        return self.plugin("load", self.source)

    def position(self):
        return [(p["partition"], p["position"], p["stall"]) for p in self.info("up")["partitions"]]


class Commands(CommandTest):
    # ---- load, reload ----

    def test_load_copies_the_file_and_says_what_runs(self):
        said = self.load()
        self.assertTrue(said["changed"])
        self.assertIn("up runs version", said["text"])
        self.assertEqual(sorted(os.listdir(self.plugins)), ["up.lua"])
        self.produce("in", "1")
        self.assertEqual(self.wait_values("out", 1), ["a:1"])
        self.broker.stop()
        self.broker.start()
        self.assertEqual(self.state(), "running")

    def test_a_load_that_fails_leaves_the_version_before(self):
        self.load()
        with open(self.source, "w") as file:
            file.write("return { oops")
        self.assertIn("keeps running", self.plugin("load", self.source, code=1))
        self.produce("in", "1")
        self.assertEqual(self.wait_values("out", 1), ["a:1"])

    def test_load_refuses_what_is_no_plugin(self):
        self.assertIn("does not exist", self.plugin("load", "none.lua", code=74))
        path = os.path.join(self.broker.home, "notes.txt")
        with open(path, "w") as file:
            file.write("x")
        self.assertIn("ends in .so or .lua", self.plugin("load", path, code=65))
        with open(os.path.join(self.broker.home, "bad.so"), "w") as file:
            file.write("x")
        self.plugin("load", os.path.join(self.broker.home, "bad.so"), code=1)
        self.assertIsNone(self.state("notes.txt"))

    def test_reload_reads_the_file_changed_or_not(self):
        self.load()
        pid = self.info("up")["worker_pid"]
        self.assertTrue(self.plugin("reload", "up")["changed"])
        wait_for(lambda: self.info("up")["worker_pid"] not in (0, pid), "another worker")
        os.remove(os.path.join(self.plugins, "up.lua"))
        self.assertIn("is not in", self.plugin("reload", "up", code=1))

    def test_unknown_names_are_answered_with_what_is_like_them(self):
        self.load()
        for command in (("reload",), ("unload",), ("enable",), ("disable",), ("pause",), ("resume",)):
            self.assertIn('did you mean up?', self.plugin(*command, "upp", code=1))
        self.assertIn("no position", self.plugin("seek", "upp", "--to", "end", "--yes", code=1))
        self.assertIn("nothing is kept", self.plugin("forget", "upp", "--yes", code=1))
        self.assertIn('did you mean "sluice plugin unload"', self.plugin("unlaod", "up", code=64))

    # ---- unload, disable ----

    def test_unload_keeps_the_position_and_a_reload_brings_it_back(self):
        self.load()
        self.produce("in", "1")
        self.wait_values("out", 1)
        self.assertIn("positions are kept", self.plugin("unload", "up")["text"])
        self.assertEqual(self.state(), "unloaded")
        self.assertFalse(self.plugin("unload", "up")["changed"])
        self.produce("in", "2")
        self.assertEqual(self.values("out"), ["a:1"])
        self.plugin("reload", "up")
        self.assertEqual(self.wait_values("out", 2), ["a:1", "a:2"])

    def test_a_change_of_the_file_loads_what_was_unloaded(self):
        self.load()
        self.plugin("unload", "up")
        self.drop("up.lua", UPPER % "b:")
        wait_for(lambda: self.state() == "running", "the new version")

    def test_a_disabled_instance_stays_so_across_restarts(self):
        self.load()
        self.produce("in", "1")
        self.wait_values("out", 1)
        self.assertTrue(self.plugin("disable", "up")["changed"])
        self.assertFalse(self.plugin("disable", "up")["changed"])
        for end in (self.broker.stop, self.broker.crash):
            end()
            self.broker.start()
            self.assertEqual(self.state(), "disabled")
        self.drop("up.lua", UPPER % "b:")
        self.produce("in", "2")
        self.assertIn("is disabled", self.plugin("reload", "up", code=1))
        self.assertEqual(self.values("out"), ["a:1"])
        info = self.info("up")
        self.assertEqual(info["switched_by"], "User:admin")
        self.assertLess(abs(int(info["switched_ms"]) / 1000 - time.time()), 3600)
        self.assertIn("up runs version", self.plugin("enable", "up")["text"])
        self.assertEqual(self.wait_values("out", 2), ["a:1", "b:2"])
        self.assertFalse(self.plugin("enable", "up")["changed"])

    def test_a_gate_is_not_taken_away_by_accident(self):
        self.drop("up.lua", GATE)
        wait_for(lambda: self.state() == "running", "the gate")
        for command in ("unload", "disable"):
            self.assertIn("unchecked", self.plugin(command, "up", code=64))
        self.assertIn("is a gate", self.plugin("pause", "up", code=1))
        self.assertIn("has no positions", self.plugin("seek", "up", "--to", "end", "--yes", code=1))
        self.assertEqual(self.state(), "running")
        self.plugin("disable", "up", "--force")
        self.produce("in", "bad")
        self.assertEqual(self.wait_values("in", 1), ["bad"])

    # ---- pause, resume ----

    def test_a_paused_stage_reads_nothing_across_restarts_and_goes_on_where_it_was(self):
        self.load()
        self.produce("in", "1")
        self.wait_values("out", 1)
        self.assertTrue(self.plugin("pause", "up")["changed"])
        self.assertFalse(self.plugin("pause", "up")["changed"])
        self.produce("in", "2")
        self.assertEqual(self.state(), "paused")
        self.assertEqual(self.position(), [(0, "1", "paused")])
        self.broker.crash()
        self.broker.start()
        self.assertEqual(self.state(), "paused")
        self.assertEqual(self.values("out"), ["a:1"])
        self.assertTrue(self.plugin("resume", "up")["changed"])
        self.assertEqual(self.wait_values("out", 2), ["a:1", "a:2"])
        self.assertFalse(self.plugin("resume", "up")["changed"])

    def test_a_topic_made_while_it_is_paused_is_read_from_its_start(self):
        self.drop("up.lua", (UPPER % "a:").replace('"in"', '"in*"').replace('"out"', '"got"'))
        wait_for(lambda: self.state() == "running", "the stage")
        self.plugin("pause", "up")
        self.produce("in2", "1")
        self.plugin("resume", "up")
        self.assertEqual(self.wait_values("got", 1), ["a:1"])

    # ---- seek, forget ----

    def test_seek_moves_every_position_and_processes_again(self):
        self.load()
        self.produce("in", "1", "2", "3")
        self.wait_values("out", 3)
        self.assertIn("say --yes", self.plugin("seek", "up", "--to", "start", code=64))
        self.assertEqual(self.values("out"), ["a:1", "a:2", "a:3"])
        moves = self.plugin("seek", "up", "--to", "1", "--yes")["moves"]
        self.assertEqual(moves, [{"topic": "in", "partition": 0, "before": "3", "after": "1"}])
        self.assertEqual(self.wait_values("out", 5), ["a:1", "a:2", "a:3", "a:2", "a:3"])
        self.plugin("pause", "up")
        self.plugin("seek", "up", "--to", "start", "--yes", "--topic", "in", "--partition", "0")
        self.assertEqual(self.position(), [(0, "0", "paused")])
        self.broker.crash()
        self.broker.start()
        self.assertEqual(self.position(), [(0, "0", "paused")])
        self.plugin("seek", "up", "--to", "end", "--yes")
        self.plugin("resume", "up")
        self.produce("in", "4")
        self.assertEqual(self.wait_values("out", 6)[5:], ["a:4"])

    def test_seek_to_a_time(self):
        self.load()
        self.produce("in", "1")
        self.wait_values("out", 1)
        time.sleep(0.01)
        between = int(time.time() * 1000)
        time.sleep(0.01)
        self.produce("in", "2")
        self.wait_values("out", 2)
        self.assertEqual(self.plugin("seek", "up", "--to", f"@{between}", "--yes")["moves"][0]["after"], "1")
        self.wait_values("out", 3)
        text = time.strftime("@%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        self.assertEqual(self.plugin("seek", "up", "--to", text, "--yes")["moves"][0]["after"], "2")
        self.assertIn("must be start", self.plugin("seek", "up", "--to", "@20-20", "--yes", code=64))

    def test_seek_refuses_what_is_not_there_and_moves_nothing(self):
        self.load()
        self.produce("in", "1")
        self.wait_values("out", 1)
        self.assertIn("holds 0 to 1", self.plugin("seek", "up", "--to", "7", "--yes", code=65))
        self.assertIn("--to", self.plugin("seek", "up", code=64))
        self.assertIn('must be start', self.plugin("seek", "up", "--to", "soon", "--yes", code=64))
        self.plugin("seek", "up", "--to", "start", "--topic", "other", "--yes", code=1)
        self.assertEqual(self.values("out"), ["a:1"])

    def test_forget_wants_an_instance_that_is_not_loaded_and_removes_all_of_it(self):
        self.load()
        self.produce("in", "1")
        self.wait_values("out", 1)
        self.assertIn("unload up", self.plugin("forget", "up", "--yes", code=1))
        self.plugin("disable", "up")
        self.assertIn("1 positions of up are forgotten for good", self.plugin("forget", "up", code=64))
        self.plugin("forget", "up", "--yes")
        self.produce("in", "2")
        self.broker.crash()
        self.broker.start()
        self.assertEqual(self.state(), "running")  # the switch is forgotten too
        self.produce("in", "3")
        self.assertEqual(self.wait_values("out", 2), ["a:1", "a:3"])  # it began at the end, as a new one

    def test_a_person_at_a_terminal_is_asked(self):
        self.load()
        self.plugin("unload", "up")
        for answer, code in ((b"n\n", 1), (b"y\n", 0)):
            main, side = pty.openpty()
            done = subprocess.Popen([SLUICE, "plugin", "forget", "up", "--home", self.broker.home],
                                    stdin=side, stdout=side, stderr=side)
            os.close(side)
            shown = b""
            while b"[y/N]" not in shown:
                shown += os.read(main, 4096)
            self.assertIn(b"0 positions of up are forgotten for good", shown)
            os.write(main, answer)
            self.assertEqual(done.wait(30), code)
            os.close(main)


class Ends(CommandTest):
    def test_a_plugin_that_hangs_in_its_load_and_a_fifo_among_the_files_hold_up_no_end(self):
        os.makedirs(self.plugins, exist_ok=True)
        os.mkfifo(os.path.join(self.plugins, "pipe.lua"))
        self.load()  # the folder is read beside it
        with subprocess.Popen([SLUICE, "plugin", "load", HANGS, "--home", self.broker.home], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as loading:
            wait_for(lambda: "constructor_loop.so" in os.listdir(self.plugins) and len(self.broker.ask("plugin.list")["plugins"]) == 2, "the load to begin")
            self.assertEqual(self.broker.stop(), 0)
            self.assertNotEqual(loading.wait(60), 0)
            self.assertIn(b"SLU-", loading.stderr.read())


class Shards(CommandTest):
    settings = ("runtime.shards=2", "core.topics.partitions=4")

    def test_commands_reach_the_partitions_of_every_loop(self):
        self.load()
        for partition in range(4):
            self.broker.run("produce", "in", "-p", str(partition), str(partition))
        wait_for(lambda: len(self.values("out")) == 4, "all of them")
        moves = self.plugin("seek", "up", "--to", "start", "--yes")["moves"]
        self.assertEqual(sorted((m["partition"], m["before"], m["after"]) for m in moves),
                         [(p, "1", "0") for p in range(4)])
        wait_for(lambda: len(self.values("out")) == 8, "all of them again")
        self.plugin("unload", "up")
        self.assertEqual(len(self.plugin("seek", "up", "--to", "start", "--yes", "--partition", "2")["moves"]), 1)
        self.plugin("reload", "up")
        wait_for(lambda: len(self.values("out")) == 9, "one of them again")
        self.plugin("pause", "up")
        self.assertEqual([stall for _, _, stall in self.position()], ["paused"] * 4)
        self.broker.crash()
        self.broker.start()
        for partition in range(4):
            self.broker.run("produce", "in", "-p", str(partition), str(partition))
        self.assertEqual(len(self.values("out")), 9)
        self.plugin("resume", "up")
        wait_for(lambda: len(self.values("out")) == 13, "what waited")
        self.plugin("unload", "up")
        self.assertEqual(len(self.plugin("forget", "up", "--yes")["moves"]), 4)
