"""What a build leaves out (SLUICE_FRONTENDS, SLUICE_HOT_RELOAD, SLUICE_TELEMETRY, SLUICE_TOP) is not there, says so when it is
asked for, and takes nothing else with it. In a whole build: all of it is there. tests/long/options.sh makes the builds."""
import json
import os
import pty
import shutil
import socket
import subprocess
import unittest
import urllib.error
import urllib.request

from sluice_broker import SLUICE, SOURCE, Broker, wait_for

NEEDS = ()
FEATURES = set(json.loads(subprocess.run([SLUICE, "--version", "--json"], capture_output=True, check=True).stdout)["features"])
MASK = os.path.join(SOURCE, "examples", "mask_lua", "mask.lua")


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Options(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def test_the_frontends_that_are_in_listen_and_nothing_is_missed(self):
        ports = {"frontend_kafka": self.broker.kafka, "frontend_http": self.broker.http, "frontend_native": self.broker.native}
        for name, port in ports.items():
            self.assertEqual(answers(port), name in FEATURES, name)
        self.assertNotRegex(self.broker.log(), r" (warn|error) ")

    def test_records_go_in_and_out_by_the_command_line(self):
        self.assertEqual(self.broker.run("produce", "plain", "one")[0], 0)
        self.assertEqual(self.broker.run("consume", "plain")[:2], (0, b"one\n"))

    def test_the_exposition_is_there_or_said_not_to_be(self):
        if "frontend_http" not in FEATURES:
            self.skipTest("this build has no frontend_http")
        base = "http://127.0.0.1:%d" % self.broker.http
        with urllib.request.urlopen(base + "/livez", timeout=60) as answer:
            self.assertEqual(answer.status, 200)
        try:
            with urllib.request.urlopen(base + "/metrics", timeout=60) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        if "telemetry" in FEATURES:
            self.assertIn(b"sluice_records_in_total", text)
        else:
            self.assertEqual(status, 501)
            self.assertIn(b"not supported", text)

    def test_a_topic_for_metrics_of_clients_is_taken_or_refused_at_the_start(self):
        with Broker("telemetry.topic=metrics", start=False) as broker:
            if "telemetry" in FEATURES:
                broker.start()
            else:
                self.assertRaises(AssertionError, broker.start)
                self.assertIn("SLUICE_TELEMETRY=OFF", broker.log())

    def test_the_selftest_tries_what_is_there(self):
        done = subprocess.run([SLUICE, "selftest", "--json"], capture_output=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        tried = {step["step"] for step in json.loads(done.stdout)["steps"]}
        for step, feature in (("kafka", "frontend_kafka"), ("native", "frontend_native"), ("plugin", "hot-reload"), ("stop", None)):
            self.assertEqual(step in tried, feature is None or feature in FEATURES, step)

    def test_the_screen_of_top_is_there_or_said_not_to_be(self):
        self.assertEqual(self.broker.run("top", "--once")[0], 0)
        if "top-screen" not in FEATURES:
            main, side = pty.openpty()
            self.addCleanup(os.close, main)
            done = subprocess.run([SLUICE, "top", "--home", self.broker.home], stdin=side, stdout=side, stderr=subprocess.PIPE,
                                  env=dict(os.environ, TERM="xterm"), timeout=60)
            os.close(side)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"no screen for top", done.stderr)


class Plugins(unittest.TestCase):
    """A broker whose folder has one plugin from the start."""

    def setUp(self):
        self.broker = Broker(start=False)
        self.addCleanup(self.broker.close)
        self.plugins = os.path.join(self.broker.home, "plugins")
        self.config = os.path.join(self.broker.home, "sluice.yaml")
        os.makedirs(self.plugins)
        shutil.copy(MASK, os.path.join(self.plugins, "first.lua"))
        self.write_config("info", "orders")
        self.broker.extra = ["--config", self.config]
        self.broker.start()

    def write_config(self, level, topic):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("log: {level: %s}\nplugins:\n  instances:\n    first: {module: first.lua, input: %s, output: out}\n" % (level, topic))

    def states(self):
        return {is_["name"]: is_["state"] for is_ in self.broker.json("plugin", "list")["plugins"]}

    def test_what_lies_there_at_the_start_runs(self):
        wait_for(lambda: self.states().get("first") == "running", "the plugin to run")
        self.assertEqual(self.broker.run("produce", "orders", '{"card":"4111 1111 1111 1111"}')[0], 0)
        wait_for(lambda: b"**** 1111" in self.broker.run("consume", "out")[1], "the masked record")

    def test_what_comes_later_is_followed_or_waits_for_the_next_start(self):
        shutil.copy(MASK, os.path.join(self.plugins, "mask.lua"))
        if "hot-reload" in FEATURES:
            wait_for(lambda: "mask" in self.states(), "the file to be loaded")
            return
        for words in (("load", MASK), ("reload", "first"), ("rollback", "first")):
            code, _, err = self.broker.run("plugin", *words)
            self.assertNotEqual(code, 0, words)
            self.assertIn("SLUICE_HOT_RELOAD=OFF", err, words)
        self.assertEqual(set(self.states()), {"first"})
        self.assertEqual(self.broker.stop(), 0)
        self.broker.start()
        self.assertIn("mask", self.states())

    def test_commands_that_change_no_version_work(self):
        for words, state in ((("pause", "first"), "paused"), (("resume", "first"), "running"), (("disable", "first"), "disabled"),
                             (("enable", "first"), "running")):
            code, _, err = self.broker.run("plugin", *words)
            self.assertEqual(code, 0, err)
            wait_for(lambda state=state: self.states()["first"] == state, state)

    def test_a_reload_takes_the_level_of_the_log_and_tells_what_it_cannot(self):
        self.write_config("debug", "orders")
        self.assertEqual(self.broker.run("reload")[0], 0)
        self.write_config("debug", "others")
        code, out, err = self.broker.run("reload")
        if "hot-reload" in FEATURES:
            self.assertEqual(code, 0, err)
        else:
            self.assertEqual(code, 78)
            self.assertIn("SLUICE_HOT_RELOAD=OFF", out.decode() + err)


if __name__ == "__main__":
    unittest.main()
