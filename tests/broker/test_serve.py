"""The life of a broker as an operator sees it: reload by SIGHUP, frontends that come and go."""
import gc
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

from sluice_broker import BUILD, Broker, wait_for

SYSTEM_PLUGINS = os.path.join(BUILD, "lib", "sluice", "plugins")


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Stop(unittest.TestCase):
    def test_one_that_comes_while_it_starts_ends_it_in_order(self):
        for moment in range(30):
            broker = Broker(start=False)
            self.addCleanup(broker.close)
            broker.spawn()
            time.sleep(moment * 0.002)
            broker.process.send_signal(signal.SIGTERM)
            # Before it listens to signals the system ends it.
            self.assertIn(broker.process.wait(20), (0, -signal.SIGTERM), broker.log())


class Helper(unittest.TestCase):
    """Of the tests themselves: what is begun is ended, wherever a test breaks off."""

    def assert_gone(self, process, home):
        self.assertIsNotNone(process.poll(), "it runs still")
        self.assertFalse(os.path.exists(home))

    def test_a_broker_whose_preparation_fails_does_not_stay(self):
        left = []

        def prepare():
            broker = Broker()
            left.extend((broker.process, broker.home))
            raise KeyError("before any with block")
        with self.assertRaises(KeyError):
            prepare()
        gc.collect()  # frames of the error
        self.assert_gone(*left)

    def test_a_broker_that_does_not_start_leaves_nothing(self):
        homes = lambda: {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("sluice-broker-")}
        with tempfile.TemporaryDirectory() as folder, unittest.mock.patch("tempfile.tempdir", folder):
            with self.assertRaises(AssertionError):
                Broker("no.such.key=1")
            self.assertEqual(homes(), set())

    def test_a_broker_that_is_held_ends_with_the_program(self):
        program = "import sluice_broker as s\nheld = s.Broker()\nprint(held.process.pid, held.home, flush=True)\nraise SystemExit(held.kafka and 3)"
        done = subprocess.run([sys.executable, "-c", program], cwd=os.path.dirname(__file__), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 3, done.stderr)
        pid, home = done.stdout.split()
        self.assertFalse(os.path.exists("/proc/" + pid) or os.path.exists(home))


class Reload(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(start=False)
        self.file = os.path.join(self.broker.home, "sluice.yaml")
        self.write("log: {level: info}\n")
        self.broker.extra = ["--config", self.file]

    def tearDown(self):
        self.broker.close()

    def write(self, text):
        with open(self.file, "w") as file:
            file.write(text)

    def start(self):
        self.broker.start()

    def hang_up(self, expected):
        before = len(self.broker.log())
        self.broker.process.send_signal(signal.SIGHUP)
        return wait_for(lambda: expected in self.broker.log()[before:] and self.broker.log()[before:], expected)

    def test_applies_what_is_live_and_says_what_needs_a_restart(self):
        self.start()
        self.write("log: {level: debug}\nwal: {bytes_max: 2 GiB}\n")
        log = self.hang_up("reloaded")
        self.assertRegex(log, r"changed key=log.level before=info after=debug")
        self.assertRegex(log, r"needs a restart.* key=wal.bytes_max")
        self.assertEqual(self.broker.json("config", "show", "--running")["log.level"]["value"], "debug")

    def test_an_invalid_file_changes_nothing(self):
        self.start()
        self.write("log: {levle: debug}\n")
        log = self.hang_up("not reloaded: nothing was changed")
        self.assertIn("log.level", log)
        self.assertIn("sluice.yaml:1:", log)
        self.assertEqual(self.broker.json("config", "show", "--running")["log.level"]["value"], "info")


class Frontends(unittest.TestCase):
    def setUp(self):
        self.broker = Broker("plugins.enabled=frontend_http")
        self.plugins = os.path.join(self.broker.home, "plugins")

    def tearDown(self):
        self.broker.close()

    def test_a_broker_without_any_frontend_starts_and_answers_the_command_line(self):
        self.broker.stop()
        self.broker.settings = ["plugins.enabled="]
        self.broker.start()
        self.assertFalse(is_open(self.broker.kafka))
        self.assertFalse(is_open(self.broker.http))
        self.assertEqual(self.broker.run("topic", "create", "t")[0], 0)

    def test_adding_the_kafka_frontend_opens_its_port_and_removing_it_closes_only_that(self):
        self.assertFalse(is_open(self.broker.kafka))
        dropped = os.path.join(self.plugins, "frontend_kafka.so")
        shutil.copy(os.path.join(SYSTEM_PLUGINS, "frontend_kafka.so"), dropped)
        wait_for(lambda: is_open(self.broker.kafka), "the Kafka port to open")
        os.remove(dropped)
        wait_for(lambda: not is_open(self.broker.kafka), "the Kafka port to close")
        self.assertTrue(is_open(self.broker.http))
        self.assertEqual(self.broker.run("topic", "create", "t")[0], 0)


if __name__ == "__main__":
    unittest.main()
