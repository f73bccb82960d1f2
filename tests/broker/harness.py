"""What the tests with Kafka clients share: a broker of its own for each test, kcat, raw frames.

    with Broker() as broker:              # the real binary, started and ready, in a home of its own
        broker.address                    # "127.0.0.1:12345"
        broker.crash(); broker.start()    # kill -9, then again on the same home

A test is a function test_… of a module that ends in `load_tests = harness.loader(globals())`, which
is what unittest asks for. A module that cannot import its client library sets MISSING to the reason,
and its tests are skipped.
"""
import shutil
import signal
import socket
import struct
import subprocess
import unittest

import sluice_broker
from sluice_broker import wait_for

SECONDS_MAX = 30        # for anything that a test waits for
TEST_SECONDS_MAX = 120  # for a whole test


def on_alarm(number, frame):
    raise AssertionError("not done after %d s" % TEST_SECONDS_MAX)


def limited(test, missing):
    """The test with its time limit; skipped when a library is missing."""
    def run():
        if missing:
            raise unittest.SkipTest(missing)
        signal.signal(signal.SIGALRM, on_alarm)
        signal.alarm(TEST_SECONDS_MAX)
        try:
            test()
        finally:
            signal.alarm(0)
    return run


class Test(unittest.FunctionTestCase):
    """Says its name, and not how it is made."""

    def __str__(self):
        return self.shortDescription()

    def id(self):
        return self.shortDescription()


def loader(names):
    """What unittest asks a module for: its tests, in the order of the file."""
    tests = [Test(limited(value, names.get("MISSING")), description=names["__name__"] + "." + name)
             for name, value in names.items() if name.startswith("test_")]
    return lambda *unused: unittest.TestSuite(tests)


def need(program):
    """Skips the test where a program is missing."""
    if shutil.which(program) is None:
        raise unittest.SkipTest(program + " is not installed")


class Broker(sluice_broker.Broker):
    """One `sluice serve --dev` while the with block lasts; its log is shown when the block fails."""

    @property
    def address(self):
        return "127.0.0.1:%d" % self.kafka

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and not issubclass(kind, unittest.SkipTest):
            print("---- log of the broker (%s)\n%s----" % (self.home, self.log()[-6000:]))
        self.close()

    def is_running(self):
        return self.process.poll() is None

    # ---- kcat ----

    def kcat(self, *arguments, lines=None, check=True):
        """Runs kcat against this broker and returns its output lines."""
        need("kcat")
        data = None if lines is None else "".join(line + "\n" for line in lines)
        done = subprocess.run(["kcat", "-b", self.address, "-m", "10", *arguments], input=data,
                              capture_output=True, text=True, timeout=2 * SECONDS_MAX)
        if check and done.returncode != 0:
            raise AssertionError("kcat %s: %d\n%s" % (" ".join(arguments), done.returncode,
                                                     done.stderr))
        return done.stdout.splitlines()

    def produce(self, topic, lines, *arguments):
        self.kcat("-P", "-t", topic, *arguments, lines=lines)

    def consume(self, topic, *arguments):
        """All values of a topic, by offset."""
        return self.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", *arguments)

    # ---- raw connections ----

    def connect(self):
        return Raw(self.kafka)


class Raw:
    """A connection for frames that no client would send."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_frame(self, body):
        self.send(struct.pack(">i", len(body)) + body)

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def read_frame(self):
        size, = struct.unpack(">i", self.read_exactly(4))
        return self.read_exactly(size)

    def is_closed(self):
        """Whether the broker closes the connection without an answer."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def request(key, version, correlation_id, body=b"", client_id=b"test"):
    """A frame with request header version 1, less its size."""
    return struct.pack(">hhih", key, version, correlation_id, len(client_id)) + client_id + body
