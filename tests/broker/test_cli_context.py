"""Contexts, sheets, and what a build says of itself."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from sluice_broker import SLUICE, Broker

NEEDS = ("frontend_kafka",)


class Context(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.broker.run("topic", "create", "here")
        cls.socket = os.path.join(cls.broker.home, "sluice.sock")

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def run_cli(self, *arguments, **environment):
        env = {**os.environ, "XDG_CONFIG_HOME": self.folder, **environment}
        env.pop("SLUICE_ADMIN__SOCKET", None)
        done = subprocess.run([SLUICE, *arguments], capture_output=True, text=True, env=env, cwd=self.folder)
        return done.returncode, done.stdout, done.stderr

    def ok(self, *arguments, **environment):
        code, out, err = self.run_cli(*arguments, **environment)
        self.assertEqual(code, 0, err)
        return out

    def test_a_context_says_which_broker_is_meant(self):
        self.ok("context", "add", "prod", "--socket", self.socket)
        self.ok("context", "add", "gone", "--socket", "/nonexistent/s")
        self.assertEqual(self.run_cli("topic", "list")[0], 69, "none is in use")
        self.ok("context", "use", "prod")
        self.assertIn("here", self.ok("topic", "list"))
        self.ok("context", "use", "gone")
        code, _, err = self.run_cli("topic", "list")
        self.assertEqual(code, 69)
        self.assertIn("/nonexistent/s, of context gone", err)
        self.assertIn("here", self.ok("topic", "list", "--context", "prod"))
        self.assertIn("here", self.ok("topic", "list", SLUICE_CONTEXT="prod"))
        self.assertEqual(self.ok("context", "use", "-"), "prod\n")
        self.assertIn("here", self.ok("topic", "list"))
        rows = json.loads(self.ok("context", "list", "--json"))["contexts"]
        self.assertEqual([(row["name"], row["current"]) for row in rows], [("gone", False), ("prod", True)])
        self.assertEqual(json.loads(self.ok("context", "show", "--json"))["socket"], self.socket)
        self.ok("context", "delete", "prod")
        self.assertEqual(self.run_cli("topic", "list")[0], 69)

    def test_a_home_is_as_good_as_a_socket(self):
        self.ok("context", "add", "home", "--home", self.broker.home, "--dev")
        self.assertIn("here", self.ok("topic", "list", "--context", "home"))

    def test_slips_are_told(self):
        self.ok("context", "add", "prod", "--socket", self.socket)
        code, _, err = self.run_cli("topic", "list", "--context", "prdo")
        self.assertEqual(code, 78)
        self.assertIn('did you mean "prod"?', err)
        for words, wanted in ((("use", "prdo"), 1), (("use", "-"), 1), (("delete", "x"), 1), (("add", "../x", "--dev"), 64), (("add", "x"), 64)):
            self.assertEqual(self.run_cli("context", *words)[0], wanted, words)
        self.assertEqual([line.split("\t")[0] for line in self.ok("__complete", "--", "context", "use", "").splitlines()], ["prod", "-"])

    def test_sheets(self):
        self.assertIn("FlashQ's commands", self.ok("cheat"))
        self.assertIn("sluice topic create orders", self.ok("cheat", "kafka"))
        self.assertIn("kafka        | `kafka-acls.sh`", self.ok("cheat", "kafka-acls"))
        code, _, err = self.run_cli("cheat", "kafak")
        self.assertEqual(code, 1)
        self.assertIn('did you mean "kafka"?', err)

    def test_the_build_tells_what_it_is(self):
        told = json.loads(self.ok("--version", "--json"))
        self.assertEqual("sluice " + told["version"] + "\n", self.ok("--version"))
        self.assertLessEqual({"version", "commit", "compiler", "build", "plugin_abi", "features", "libraries"}, set(told))
        self.assertIn("frontend_kafka", told["features"])
        self.assertRegex(told["libraries"]["libuv"], r"^\d+\.\d+")


if __name__ == "__main__":
    unittest.main()
