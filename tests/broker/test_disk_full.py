"""A disk that fills and empties, as a shim for statvfs says (tests/support/fake_disk.c): producers are slowed, then
refused; reads, offset commits and deletion go on; then all is as before. Real file systems: tests/long."""
import os
import subprocess
import unittest

import sluice_broker
from sluice_broker import BUILD, Broker, wait_for
from test_scrub import ready
from test_storage_tools import SMALL, metric, sealed

SHIM = os.path.join(BUILD, "lib", "fake_disk.so")


class Disk:
    """How full it is, in tenths of a percent."""

    def __init__(self):
        self.path = "/tmp/sluice-fake-disk-%d" % os.getpid()
        self.set(500)
        self.environment = {"LD_PRELOAD": SHIM, "FAKE_DISK": self.path}

    def set(self, permille):
        with open(self.path + ".new", "w") as file:
            file.write("%d\n" % permille)
        os.rename(self.path + ".new", self.path)


def storage(broker):
    return broker.json("status")["storage"]


def lines(broker):
    return [line for line in broker.log().splitlines() if " storage " in line]


def live(broker):
    import urllib.request
    return urllib.request.urlopen("http://127.0.0.1:%d/livez" % broker.http, timeout=30).status


@unittest.skipUnless(os.path.exists(SHIM), "lib/fake_disk.so is not built")
class DiskFull(unittest.TestCase):
    def state(self, broker, name):
        wait_for(lambda: storage(broker)["state"] == name, "the state " + name)

    def test_producers_are_slowed_then_refused_and_all_else_goes_on(self):
        disk = Disk()
        with Broker(*SMALL, environment=disk.environment) as broker:
            sealed(broker, ["orders", "other"])
            self.assertEqual(storage(broker)["state"], "ok")
            self.assertEqual(metric(broker, "sluice_storage_state"), 0)

            disk.set(930)
            self.state(broker, "throttled")
            self.assertEqual(broker.run("produce", "orders", "slowed")[0], 0)
            status, text = ready(broker)
            self.assertEqual(status, 200)
            self.assertIn("throttled: the disk of data.dir is 93.0 % full", text)

            disk.set(960)
            self.state(broker, "read-only")
            code, _, err = broker.run("produce", "orders", "refused")
            self.assertEqual(code, 74)
            self.assertIn("the disk is full", err)
            self.assertEqual(broker.run("topic", "create", "more")[0], 74)
            status, text = ready(broker)
            self.assertEqual(status, 503)
            self.assertIn("read-only: the disk of data.dir is 96.0 % full", text)
            self.assertEqual(live(broker), 200)
            wait_for(lambda: metric(broker, "sluice_storage_state") == 2, "the metric")
            self.assertIn("read-only", storage(broker)["why"])
            # reads, offset commits, deletion of records and topics
            found = subprocess.run(["kcat", "-b", broker.address, "-G", "readers", "-X", "auto.offset.reset=earliest",
                                    "-c", "100", "-q", "orders"], stdout=subprocess.PIPE, timeout=60, check=True)
            self.assertEqual(len(found.stdout.splitlines()), 100)
            self.assertGreater(metric(broker, "sluice_committed_offsets"), 0)
            self.assertEqual(broker.run("topic", "trim", "--yes", "orders", "-p", "0", "--before", "50")[0], 0)
            self.assertEqual(broker.run("topic", "delete", "--yes", "other")[0], 0)

            disk.set(930)  # not yet below 92 %
            wait_for(lambda: storage(broker)["used_percent"] == 93, "a look at the disk")
            self.assertEqual(storage(broker)["state"], "read-only")
            self.assertEqual(broker.run("produce", "orders", "refused")[0], 74)
            disk.set(910)
            self.state(broker, "throttled")
            self.assertEqual(broker.run("produce", "orders", "taken again")[0], 0)
            disk.set(500)
            self.state(broker, "ok")
            self.assertEqual(ready(broker), (200, "ok\n"))
            for _ in range(20):
                self.assertEqual(broker.run("produce", "orders", "more")[0], 0)
            told = lines(broker)
            self.assertEqual([line.split(" state=")[1].split()[0] for line in told],
                             ["throttled", "read-only", "throttled", "ok"], told)
            self.assertIn("used_percent=96", told[1])
        os.unlink(disk.path)

    def test_a_broker_that_starts_on_a_full_disk_serves_what_it_has(self):
        disk = Disk()
        with Broker(*SMALL, environment=disk.environment) as broker:
            sealed(broker, ["orders"])
            broker.crash()
            disk.set(990)
            broker.start()
            self.state(broker, "read-only")
            self.assertEqual(len(broker.run("consume", "orders")[1].splitlines()), 1600)
            self.assertEqual(broker.run("produce", "orders", "refused")[0], 74)
            disk.set(100)
            self.state(broker, "ok")
            self.assertEqual(broker.run("produce", "orders", "taken")[0], 0)
        os.unlink(disk.path)


if __name__ == "__main__":
    unittest.main()
