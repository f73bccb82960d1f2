"""The native frontend on a broker that is made up (`sluice plugin check`): what a client sends, cut anywhere, with answers that come at once,
late, after the end, or are errors."""
import os
import struct
import subprocess
import sys
import tempfile
import unittest

from sluice_broker import BUILD, SLUICE, SOURCE, loader

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from native_wire import ACK, CREDIT, GROUP_DELETE, HELLO, MAGIC, SUBSCRIBE, UNSUBSCRIBE, frame, text  # noqa: E402

EXCLUSIVE = 1


def subscribe(number, pattern, group="", start=1, records=1, size=1 << 20, flags=0, partition=-1, filters=""):
    return frame(SUBSCRIBE, flags, number, text(pattern) + text(group) + struct.pack("<IiqQQI", start, partition, 0, records, size, 0) + text(filters) +
                 struct.pack("<I", 0))


def credit(number, records, size=0):
    return frame(CREDIT, 0, number, struct.pack("<QQ", records, size))


def ack(number, what, first, last, flags=1):
    return frame(ACK, flags, number, struct.pack("<IIIIqq", what, 0, 0, 1, first, last))


def session():
    """Subscriptions of every kind, with little credit."""
    sent = frame(HELLO, 0, 0, struct.pack("<IHH", MAGIC, 1, 1) + text("c") + text("s"))
    sent += subscribe(1, "rehearsed") + subscribe(2, ">", "g") + subscribe(3, "rehearsed", "alone", start=0, records=1000, flags=EXCLUSIVE)
    sent += subscribe(4, "r*", records=2, size=50) + subscribe(5, "*", "h", start=0, partition=1)
    sent += subscribe(6, "rehearsed", records=100, filters="lua: true") + subscribe(7, "rehearsed", "judged", records=100, filters="lua: 1")
    sent += (credit(1, 1) + credit(2, 1) + credit(3, 5) + credit(4, 0, 30) + ack(2, 0, 7, 7) + ack(3, 1, 7, 7, flags=0) + ack(3, 4, 0, 7)) * 6
    sent += frame(UNSUBSCRIBE, 0, 2, b"") + frame(UNSUBSCRIBE, 0, 3, b"") + subscribe(2, ">", "g", records=10)
    return sent + frame(GROUP_DELETE, 0, 50, text("g")) + credit(1, 1) + frame(UNSUBSCRIBE, 0, 1, b"")


def test_the_frontend_keeps_the_rules_whatever_the_broker_answers_and_when():
    if os.environ.get("SLUICE_SANITIZER"):
        raise unittest.SkipTest("a worker is a program without sanitizer, which cannot load one with")
    with tempfile.NamedTemporaryFile() as sample:
        sample.write(session())
        sample.flush()
        for seed in ("8", "1"):  # 1: a connection that ends while its SUBSCRIBE is handled
            done = subprocess.run([SLUICE, "plugin", "check", os.path.join(BUILD, "lib", "sluice", "plugins", "frontend_native.so"),
                                   "--sample", sample.name, "--seed", seed], capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr


load_tests = loader(globals())
