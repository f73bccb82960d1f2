"""What `serve` tells a service manager over NOTIFY_SOCKET: ready, reloading, stopping, and that its loops turn."""
import os
import signal
import socket
import tempfile
import unittest

from sluice_broker import WAIT_S, Broker


class Manager:
    """Listens as systemd would."""

    def __init__(self, test):
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-notify-")
        test.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        test.addCleanup(self.socket.close)
        self.socket.settimeout(WAIT_S)
        self.socket.bind(self.path)

    def next(self, but=("WATCHDOG=1",)):
        """The lines of the next datagram that has none of these."""
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            if not set(but) & set(lines):
                return lines


class ServiceManager(unittest.TestCase):
    def start(self, **environment):
        self.manager = Manager(self)
        broker = Broker(environment={"NOTIFY_SOCKET": self.manager.path, **environment})
        self.addCleanup(broker.close)
        return broker

    def test_it_hears_ready_reloading_ready_and_stopping(self):
        broker = self.start()
        self.assertIn("READY=1", self.manager.next())
        for ask in (lambda: broker.run("reload"), lambda: broker.process.send_signal(signal.SIGHUP)):
            ask()
            begun = self.manager.next()
            self.assertIn("RELOADING=1", begun)
            self.assertTrue(any(line.startswith("MONOTONIC_USEC=") for line in begun), begun)
            self.assertIn("READY=1", self.manager.next())
        broker.stop()
        self.assertIn("STOPPING=1", self.manager.next())

    def test_a_dry_run_of_a_reload_is_not_told(self):
        broker = self.start()
        self.assertIn("READY=1", self.manager.next())
        self.assertEqual(broker.run("reload", "--dry-run")[0], 0)
        broker.stop()
        self.assertIn("STOPPING=1", self.manager.next())

    def test_the_watchdog_is_fed_when_there_is_one(self):
        self.start(WATCHDOG_USEC="200000")
        self.assertIn("READY=1", self.manager.next())
        self.assertEqual(["WATCHDOG=1"], self.manager.next(but=()))
        self.assertEqual(["WATCHDOG=1"], self.manager.next(but=()))

    def test_a_watchdog_of_another_process_is_not_fed(self):
        broker = self.start(WATCHDOG_USEC="20000", WATCHDOG_PID="1")
        self.assertIn("READY=1", self.manager.next(but=()))
        broker.stop()
        self.assertIn("STOPPING=1", self.manager.next(but=()))
        self.manager.socket.setblocking(False)
        self.assertRaises(BlockingIOError, self.manager.next)
