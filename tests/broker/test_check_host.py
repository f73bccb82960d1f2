"""sluice check host: verdicts with reasons, as Nagios wants them, without a broker and beside one."""
import json
import os
import subprocess
import tempfile
import unittest

from sluice_broker import SLUICE, Broker

NAMES = ["kernel", "processors", "clock", "memory", "overcommit", "huge pages", "open files", "processes", "locked memory", "file system",
         "disk space", "sync", "sandbox", "kafka port", "native port", "http port"]


def check(*words, wrap=()):
    done = subprocess.run([*wrap, SLUICE, "check", "host", *words, "--json"], capture_output=True, text=True, timeout=60)
    told = json.loads(done.stdout)
    assert done.returncode == ["OK", "WARNING", "CRITICAL", "UNKNOWN"].index(told["status"]), done.stdout
    return told["status"], {row["name"]: row for row in told["rows"]}


class CheckHost(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)

    def words(self, *more):
        ports = {"kafka": self.broker.kafka, "native": self.broker.native, "http": self.broker.http}
        return ["--home", self.broker.home, *[word for name, port in ports.items() for word in ("--set", f"{name}.listen=127.0.0.1:{port}")], *more]

    def test_each_thing_has_a_verdict_and_what_is_wrong_a_reason_and_a_way_out(self):
        _, rows = check(*self.words())
        self.assertEqual(list(rows), NAMES)
        for row in rows.values():
            self.assertTrue(row["found"], row)
            self.assertEqual("fix" in row, row["status"] in ("WARNING", "CRITICAL"), row)
        self.assertRegex(rows["sync"]["found"], r"^4 KiB in \d+\.\d\d ms")
        self.assertEqual(rows["kafka port"]["found"], f"127.0.0.1:{self.broker.kafka} is in use, by the broker that runs")
        self.assertEqual(rows["kafka port"]["status"], "OK")
        self.assertEqual([name for name in os.listdir(self.broker.home) if name.startswith("sluice-check")], [])

    def test_a_low_limit_a_port_of_another_and_a_disk_that_is_memory_are_critical(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            status, rows = check("--home", folder, "--set", f"http.listen=127.0.0.1:{self.broker.kafka}", wrap=("prlimit", "--nofile=256:256"))
        self.assertEqual(status, "CRITICAL")
        for name, word in (("open files", "ulimit -n"), ("file system", "data.dir"), ("http port", "another")):
            self.assertEqual(rows[name]["status"], "CRITICAL", rows[name])
            self.assertIn(word, rows[name]["fix"])

    def test_the_first_line_is_for_nagios_and_nothing_is_wider_than_a_terminal(self):
        done = subprocess.run([SLUICE, "check", "host", *self.words()], capture_output=True, text=True)
        self.assertRegex(done.stdout.splitlines()[0], r"^HOST (OK|WARNING|CRITICAL|UNKNOWN) - ")
        self.assertEqual([line for line in done.stdout.splitlines()[1:] if len(line) > 80], [])

    def test_a_broker_without_a_disk_needs_none(self):
        _, rows = check("--set", "data.dir=none", "--home", self.broker.home)
        self.assertEqual({rows[name]["status"] for name in ("file system", "disk space", "sync")}, {"OK"})


if __name__ == "__main__":
    unittest.main()
