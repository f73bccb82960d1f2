"""sluice extent and sluice wal on the files of real brokers: sound, running, damaged, copied."""
import glob
import json
import os
import pty
import shutil
import subprocess
import tempfile

import sluice_broker
from sluice_broker import Broker, wait_for
from sluice_broker import SLUICE

SMALL = ("wal.segment_bytes=1 MiB", "wal.frame_bytes_max=256 KiB", "wal.group_bytes_max=256 KiB",
         "wal.seal_bytes=1 MiB", "runtime.shards=1")
VALUE = "x" * 1000


def sluice(*arguments):
    done = subprocess.run([SLUICE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def lines_of(*arguments, code=0):
    done, out, err = sluice(*arguments, "--json")
    assert done == code, (done, out, err)
    return [json.loads(line) for line in out.splitlines()]


def data_of(broker):
    return glob.glob(os.path.join(broker.home, "**", "sluice.meta"), recursive=True)[0].rsplit("/", 1)[0]


def fill(broker, topic, count=200):
    """Values of 1 kB that end in a number."""
    done = broker.run("produce", topic, stdin="".join("%s-%d\n" % (VALUE, i) for i in range(count)).encode())
    assert done[0] == 0, done


def extents_of(data):
    return sorted(glob.glob(os.path.join(data, "shard-0", "ext", "*.ext")))


def sealed(broker, topics=("orders", "events")):
    """Produces until there are extents."""
    for topic in topics:
        for _ in range(8):
            fill(broker, topic)
    return wait_for(lambda: extents_of(data_of(broker)), "extents")


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


# ---- extents ----

def test_extent_ls_names_topics_and_offsets():
    with Broker(*SMALL) as broker:
        sealed(broker)
        data = data_of(broker)
        assert broker.stop() == 0
        found, = lines_of("extent", "ls", data)
        assert found["extents"] and all(e["state"] == "live" for e in found["extents"]), found
        streams = [s for e in found["extents"] for s in e["streams"]]
        assert "orders" in {s["topic"] for s in streams}
        first = min((s for s in streams if s["topic"] == "orders"), key=lambda s: int(s["base_offset"]))
        assert first["base_offset"] == "0" and int(first["last_offset"]) > 0
        code, out, _ = sluice("extent", "ls", data)
        assert code == 0 and "orders/0 0-" in out and out.startswith("extent"), out


def test_extent_commands_work_beside_a_running_broker():
    with Broker(*SMALL) as broker:
        sealed(broker)
        code, out, err = broker.run("extent", "verify", "--dev")
        assert code == 0, err
        assert b"sound all=yes" in out
        assert broker.json("extent", "ls", "--dev")["extents"]
        fill(broker, "orders")
        assert broker.is_running()


def test_extent_dump_tells_of_every_batch():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        data = data_of(broker)
        assert broker.stop() == 0
        events = lines_of("extent", "dump", data)
        kinds = [e["event"] for e in events]
        assert kinds[:4] == ["extent", "stream", "block", "batch"], kinds[:4]
        batches = [e for e in events if e["event"] == "batch"]
        offsets = [(int(b["base_offset"]), int(b["last_offset"])) for b in batches]
        assert offsets[0][0] == 0
        assert all(a[1] + 1 == b[0] for a, b in zip(offsets, offsets[1:]))
        single = lines_of("extent", "dump", extents_of(data)[0])  # a file alone has no log, so no names
        assert single[0]["state"] == "unknown" and "topic" not in single[1] and "topic_id" in single[1]


def test_extent_verify_finds_a_flipped_bit_and_a_missing_file():
    with Broker(*SMALL) as broker:
        files = sealed(broker)
        data = data_of(broker)
        assert broker.stop() == 0
        files = extents_of(data)
        verdicts = lines_of("extent", "verify", data)
        assert verdicts[-1]["event"] == "sound" and verdicts[-1]["all"] and int(verdicts[-1]["batches"]) > 0
        flip(files[0], 5000)  # in the first block
        code, out, err = sluice("extent", "verify", data)
        assert code == 1, out
        assert os.path.basename(files[0]) in err and "restore it from a backup" in err
        damage = [e for e in lines_of("extent", "verify", data, code=1) if e["event"] == "damage"]
        assert len(damage) == 1 and damage[0]["topic"] in ("orders", "events")
        assert damage[0]["block_base_offset"] == damage[0]["base_offset"]
        flip(files[0], 5000)
        os.rename(files[0], files[0] + ".kept")
        code, out, err = sluice("extent", "verify", data)
        assert code == 1 and "missing" in out, (out, err)
        os.rename(files[0] + ".kept", files[0])
        assert sluice("extent", "verify", data)[0] == 0


def test_extent_that_no_log_names_is_an_orphan():
    with Broker(*SMALL) as broker:
        files = sealed(broker, ["orders"])
        data = data_of(broker)
        assert broker.stop() == 0
        other = os.path.join(data, "shard-0", "ext", "%020d.ext" % 999)
        shutil.copy(files[0], other)
        states = {e["extent"]: e["state"] for e in lines_of("extent", "ls", data)[0]["extents"]}
        assert states["999"] == "orphan", states
        assert sluice("extent", "verify", data)[0] == 0  # the next start removes it
        broker.start()
        assert not os.path.exists(other)


def test_extent_states_are_unknown_without_the_log():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        data = data_of(broker)
        assert broker.stop() == 0
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(os.path.join(data, "shard-0", "ext"), os.path.join(copy, "ext"))
            code, out, err = sluice("extent", "ls", copy, "--json")
            assert code == 3 and "which extents are live is not known" in err
            assert {e["state"] for e in json.loads(out)["extents"]} == {"unknown"}
    code, _, err = sluice("extent", "ls", "/nonexistent")
    assert code == 1 and "name a data folder" in err
    code, _, err = sluice("extent", "list")
    assert code == 2 and "extent ls" in err


def test_extent_verify_draws_on_a_terminal_only():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        data = data_of(broker)
        assert broker.stop() == 0
        main, side = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        done = subprocess.run([SLUICE, "extent", "verify", data], stdout=side, stderr=side, env=environment, timeout=60)
        os.close(side)
        shown = os.read(main, 65536)
        os.close(main)
        assert done.returncode == 0 and b"\x1b[32msound\x1b[0m" in shown, shown
        assert "\x1b" not in "".join(sluice("extent", "verify", data)[1:])


load_tests = sluice_broker.loader(globals())
