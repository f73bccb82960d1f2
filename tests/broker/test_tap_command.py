"""sluice tap and sluice log: what comes in, what the broker says, live."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

from sluice_broker import SLUICE, SOURCE, WAIT_S, Broker, loader

MASK = os.path.join(SOURCE, "examples", "mask_lua", "mask.lua")


def begin(broker, *words):
    return subprocess.Popen([SLUICE, *words, "--home", broker.home], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=broker.home)


def feed(broker, tapping, *topics, records=100):
    """Writes until it has seen enough."""
    deadline = time.monotonic() + 2 * WAIT_S
    while tapping.poll() is None and time.monotonic() < deadline:
        for topic in topics:
            broker.ask("produce", topic=topic, records=[{"key": "k", "value": "v%d" % i} for i in range(records)])
        time.sleep(0.02)
    out, err = tapping.communicate(timeout=WAIT_S)
    assert tapping.returncode == 0, err
    return out.decode().splitlines(), err.decode()


def test_a_sample_of_what_comes_in_is_shown_and_the_rest_is_counted():
    with Broker() as broker:
        lines, err = feed(broker, begin(broker, "tap", "o*", "-n", "3", "--rate", "2"), "orders", "other", "payments")
        assert len(lines) == 3 and all(re.fullmatch(r"o(rders|ther)\[0\]@\d+ k v\d+", line) for line in lines), lines
        shown, left_out = map(int, re.findall(r"tap: (\d+) records shown, (\d+) left out", err)[-1])
        assert shown == 3 and left_out > 0, err
        lines, _ = feed(broker, begin(broker, "tap", "orders", "-n", "1", "--json"), "orders")
        record = json.loads(lines[0])
        assert (record["topic"], record["partition"], record["key"]) == ("orders", 0, "k"), record
        lines, _ = feed(broker, begin(broker, "tap", "[!a-o]ayments", "-n", "2", "-f", r"%t=%v\n"), "orders", "payments", records=1)
        assert lines == ["payments=v0"] * 2, lines


def test_what_can_never_show_a_record_is_said():
    with Broker() as broker:
        code, out, err = broker.run("tap", "ordres", "-n", "1")  # a script would wait for ever
        assert code == 1 and "no topic fits" in err and out == b"", (code, err)
        waiting = begin(broker, "tap", "orders", "--seconds", "60")  # a person is told, and a topic may come
        assert b"it waits for one" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(WAIT_S) == 0
        waiting.communicate()
        for wrong in (("tap", "a b"), ("tap", "orders", "-f", "%q")):
            assert broker.run(*wrong)[0] == 64, wrong
        assert b"%t" in broker.run("tap", "orders", "--format", "help")[1]
        assert broker.run("log", "--since", "@-1h")[0] == 0


def test_the_log_is_read_and_followed():
    with Broker() as broker:
        lines = [json.loads(line) for line in broker.run("log", "--json")[1].splitlines()]
        ready = [line for line in lines if line["component"] == "sluice" and line["text"].startswith("ready ")]
        assert len(ready) == 1 and ready[0]["level"] == "info", lines
        assert not any(b'"level":"info"' in line for line in broker.run("log", "--json", "--level", "warn")[1].splitlines())
        assert broker.run("log", "--since", "2099-01-01T00:00:00Z")[1] == b""
        assert len(broker.run("log", "--since", "1h")[1].splitlines()) == len(lines)
        assert broker.run("log", "--since", "noon")[0] == 64
        following = begin(broker, "log", "-f", "--json", "--component", "mask")
        shutil.copy(MASK, os.path.join(broker.home, "plugins"))
        line = json.loads(following.stdout.readline())
        assert line["component"] == "mask" and "loaded" in line["text"], line
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=WAIT_S)
        assert following.returncode == 0


load_tests = loader(globals())
