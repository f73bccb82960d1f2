"""sluice extent and sluice wal on the files of real brokers: sound, running, damaged, copied."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import threading
import urllib.request

import sluice_broker
from sluice_broker import SLUICE, Broker, on_a_terminal, wait_for

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
        at = next(int(e["position"]) for e in lines_of("extent", "dump", files[0]) if e["event"] == "block") + 900
        flip(files[0], at)
        code, out, err = sluice("extent", "verify", data)
        assert code == 1, out
        assert os.path.basename(files[0]) in err and "restore it from a backup" in err
        damage = [e for e in lines_of("extent", "verify", data, code=1) if e["event"] == "damage"]
        assert len(damage) == 1 and damage[0]["topic"] in ("orders", "events")
        assert damage[0]["block_base_offset"] == damage[0]["base_offset"]
        flip(files[0], at)
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
    assert code == 64 and "extent ls" in err


def test_extent_verify_draws_on_a_terminal_only():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        data = data_of(broker)
        assert broker.stop() == 0
        shown = on_a_terminal("extent", "verify", data)
        assert b"\x1b[32msound\x1b[0m" in shown, shown
        assert "\x1b" not in "".join(sluice("extent", "verify", data)[1:])


# ---- the log ----

def start_on(directory, *settings):
    """A broker on a copy of the data folder."""
    broker = Broker(*(settings or SMALL), start=False)
    data = os.path.join(broker.home, "data")
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(directory, data)
    broker.start()
    return broker


def filled(broker, frames=20):
    """A log without extents: one batch of ten records a frame."""
    for i in range(frames):
        text = "".join("value-%d\n" % n for n in range(i * 10, i * 10 + 10))
        assert broker.run("produce", "orders", stdin=text.encode())[0] == 0
    data = data_of(broker)
    broker.crash()
    return data


def frames_of(data, topic_records=10):
    """(segment file, position, LSN, bytes) of the frames that hold a batch."""
    frames, frame = [], None
    for event in lines_of("wal", "dump", data):
        if event["event"] == "frame":
            frame = event
        elif event["event"] == "item" and event["kind"] == "BATCH" and frame is not None:
            path = os.path.join(data, "shard-0", "wal", "%020d.seg" % int(frame["segment"]))
            frames.append((path, int(frame["position"]), int(frame["lsn"]), int(frame["bytes"])))
    return frames


def contents(data):
    found = {}
    for path in glob.glob(os.path.join(data, "shard-0", "*", "*")):
        with open(path, "rb") as file:
            found[path] = file.read()
    return found


def values(broker):
    code, out, err = broker.run("consume", "orders")
    assert code == 0, err
    return [int(line.rsplit(b"-", 1)[1]) for line in out.splitlines()]


def test_wal_inspect_says_what_the_next_start_would_do():
    with Broker(*SMALL) as broker:
        fill(broker, "orders", 10)
        shard, = [json.loads(line) for line in broker.run("wal", "inspect", "--dev", "--json")[1].splitlines()]
        assert shard["running"] and "a broker runs on it" in shard["next_start"]
        data = data_of(broker)
        assert broker.stop() == 0
        shard, = lines_of("wal", "inspect", data)
        assert shard["clean"] and shard["sound"] and "after a clean end" in shard["next_start"], shard
        assert shard["checkpoint"]["lsn"] and shard["segments"][-1]["last_lsn"] == shard["last_lsn"]
        assert "next_start" in sluice("wal", "inspect", data)[1]
        broker.start()
        fill(broker, "orders", 10)
        broker.crash()
        shard, = lines_of("wal", "inspect", data)
        assert not shard["clean"] and "epoch %d after an unclean end" % (int(shard["epoch"]) + 1) in shard["next_start"]
        path, position, _, _ = frames_of(data)[0]
        flip(path, position + 80)
        shard, = lines_of("wal", "inspect", data, code=1)
        assert not shard["sound"] and shard["next_start"].startswith("refuses: "), shard


def test_wal_salvage_keeps_all_but_the_damaged_frame():
    with Broker(*SMALL) as broker:
        data = filled(broker)
        frames = frames_of(data)
        path, position, lsn, _ = frames[7]
        flip(path, position + 70)  # in the entry header: the whole frame is unreadable
        broker.spawn()
        wait_for(lambda: "shard refuses to serve" in broker.log(), "the refusal")
        assert "sluice wal salvage" in broker.log()
        broker.crash()
        before = contents(data)
        new = os.path.join(broker.home, "new")
        would = lines_of("wal", "salvage", data, code=3)
        assert not os.path.exists(new)
        done = lines_of("wal", "salvage", data, new, code=3)
        assert [e for e in done if e["event"] == "lost"] == [e for e in would if e["event"] == "lost"]
        lost = [e for e in done if e["event"] == "lost"]
        assert lost[0]["first_lsn"] == lost[0]["last_lsn"] == str(lsn) and path in lost[0]["where"], lost
        assert lost[1:] == [{"event": "lost", "shard": 0, "topic": "orders", "partition": "0",
                             "first_offset": "70", "last_offset": "79"}], lost
        assert before == contents(data)  # the source is as it was
        assert sluice("wal", "verify", new)[0] == 0
        again = start_on(new)
        with again:
            assert values(again) == [n for n in range(200) if not 70 <= n < 80]
            assert again.run("produce", "orders", "value-200")[0] == 0
            assert values(again)[-1] == 200


def test_wal_salvage_loses_a_batch_but_not_its_neighbours_when_a_body_is_damaged():
    with Broker(*SMALL) as broker:
        data = filled(broker)
        path, position, _, size = frames_of(data)[3]
        flip(path, position + 128 + 16 + 72 + 100)  # in the body
        new = os.path.join(broker.home, "new")
        lost = [e for e in lines_of("wal", "salvage", data, new, code=3) if e["event"] == "lost"]
        assert [(e["first_offset"], e["last_offset"]) for e in lost] == [("30", "39")], lost
        with start_on(new) as again:
            assert values(again) == [n for n in range(200) if not 30 <= n < 40]


def test_wal_salvage_of_a_sound_folder_loses_nothing():
    with Broker(*SMALL) as broker:
        sealed(broker)
        fill(broker, "orders", 10)
        data = data_of(broker)
        code, _, err = sluice("wal", "salvage", data, os.path.join(broker.home, "new"))
        assert code == 1 and "a broker runs on it" in err
        broker.crash()
        new = os.path.join(broker.home, "new")
        done = lines_of("wal", "salvage", data, new)
        assert [e["event"] for e in done] == ["salvaged"] and done[0]["frames_lost"] == "0"
        code, _, err = sluice("wal", "salvage", data, new)
        assert code == 1 and "is not empty" in err
        code, _, err = sluice("wal", "salvage", data, data + "/new")
        assert code == 64 and "lies in the damaged folder" in err
        assert sluice("extent", "verify", new)[0] == 0
        with start_on(new) as again:
            assert len(again.run("consume", "orders")[1].splitlines()) == 1610


def test_wal_salvage_leaves_out_damaged_blocks_and_serves_the_others():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        data = data_of(broker)
        assert broker.stop() == 0
        path = extents_of(data)[0]
        blocks = [e for e in lines_of("extent", "dump", path) if e["event"] == "block"]
        flip(path, int(blocks[1]["position"]) + 100)
        new = os.path.join(broker.home, "new")
        lost, = [e for e in lines_of("wal", "salvage", data, new, code=3) if e["event"] == "lost"]
        first, last = int(lost["first_offset"]), int(lost["last_offset"])
        assert (first, last) == (int(blocks[1]["base_offset"]), int(blocks[1]["last_offset"]))
        assert sluice("extent", "verify", new)[0] == 0
        with start_on(new) as again:
            code, out, err = again.run("consume", "orders", "-f", "%o\\n")
            assert code == 0, err
            assert [int(o) for o in out.split()] == [o for o in range(1600) if not first <= o <= last]


def test_wal_salvage_without_an_extent():
    with Broker(*SMALL) as broker:
        sealed(broker)
        data = data_of(broker)
        assert broker.stop() == 0
        found, = lines_of("extent", "ls", data)
        first = found["extents"][0]
        streams = first["streams"]
        with open(first["path"], "r+b") as file:  # its footer
            file.truncate(int(first["bytes"]) - 100)
        new = os.path.join(broker.home, "new")
        done = lines_of("wal", "salvage", data, new, code=3)
        lost = [e for e in done if "first_offset" in e]
        assert [(e["topic"], e["first_offset"], e["last_offset"]) for e in lost] == \
            [(s["topic"], s["base_offset"], s["last_offset"]) for s in streams], (lost, streams)
        with start_on(new) as again:
            assert len(again.run("consume", "orders")[1].splitlines()) == 1600 - int(streams[0]["last_offset"]) - 1


def test_wal_salvage_survives_without_checkpoint_header_and_segment():
    with Broker(*SMALL) as broker:
        data = filled(broker)
        for at in range(12):  # a second segment, and a third
            broker.start()
            broker.crash()
            if at == 1:
                break
        segments = sorted(glob.glob(os.path.join(data, "shard-0", "wal", "*.seg")))
        assert len(segments) == 3, segments
        flip(segments[0], 20)  # a header
        os.remove(segments[1])
        for checkpoint in glob.glob(os.path.join(data, "shard-0", "wal", "checkpoint-*")):
            flip(checkpoint, 60)
        new = os.path.join(broker.home, "new")
        done = lines_of("wal", "salvage", data, new, code=3)
        assert any("first_lsn" in e for e in done), done
        with start_on(new) as again:
            assert values(again) == list(range(200))


# ---- dump and verify of the log ----

def test_wal_dump_and_verify_work_beside_a_running_broker():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        data = data_of(broker)
        stop, done = threading.Event(), []

        def write():
            while not stop.is_set():
                fill(broker, "orders")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(10):
                done.append(lines_of("wal", "verify", data)[-1])
                lines_of("wal", "dump", data)
        finally:
            stop.set()
            writer.join()
        assert all(one["event"] == "sound" and one["running"] for one in done), done
        assert int(done[-1]["last_lsn"]) > int(done[0]["last_lsn"]) > 0
        assert broker.run("backup", "create", os.path.join(broker.home, "backup"))[0] == 0  # nothing is held any more
        assert broker.stop() == 0
        last, = lines_of("wal", "verify", data)
        assert last["clean"] and "running" not in last and last["torn_tail_bytes"] == "0", last
        segment = sorted(glob.glob(os.path.join(data, "shard-0", "wal", "*.seg")))[-1]
        flip(segment, 4096 + 40)
        code, _, err = sluice("wal", "verify", data)
        assert code == 1 and "position" in err and os.path.basename(segment) in err, (code, err)


def test_wal_dump_shows_what_is_asked_for():
    with Broker(*SMALL) as broker:
        made = broker.run("produce", "other", "-k", "key", "hello", "w\u00f6rld")
        assert made[0] == 0, made
        data = filled(broker, 5)  # and then it is killed

        def dump(*arguments):
            return lines_of("wal", "dump", data, *arguments)

        kinds = {e["event"] for e in dump()}
        assert {"checkpoint", "frame", "item", "segment", "sound"} <= kinds, kinds
        frame, item = dump("--topic", "other")
        assert (frame["event"], item["topic"], item["base_offset"], item["last_offset"]) == ("frame", "other", "0", "1")
        _, _, first, second = dump("--topic", "other", "--records")
        assert (first["offset"], first["key"], first["value"]) == ("0", "key", "hello"), first
        assert second["value_base64"] == "d8O2cmxk", second
        found = [e for e in dump("--topic", "orders", "--partition", "0", "--offsets", "15-25") if e["event"] == "item"]
        assert [e["base_offset"] for e in found] == ["10", "20"], found
        assert [e["value"] for e in dump("--topic", "orders", "--offsets", "17", "--records") if e["event"] == "record"] \
            == ["value-17"]
        lsn = frame["lsn"]
        assert {e["lsn"] for e in dump("--lsn", lsn) if e["event"] in ("frame", "item")} == {lsn}
        assert sluice("wal", "dump", data, "--offsets", "9-3")[0] == 64
        code, out, _ = sluice("wal", "dump", data, "--topic", "other")
        assert code == 0 and out.startswith("frame lsn=%s " % lsn) and "\x1b" not in out


# ---- the report of a start ----

def metric(broker, name):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def test_a_start_reports_what_it_found_and_mended():
    with Broker(*SMALL) as broker:
        sealed(broker)
        data = data_of(broker)
        broker.crash()
        orphan = os.path.join(data, "shard-0", "ext", "%020d.ext" % 999)
        with open(orphan, "wb") as file:
            file.write(b"half")
        live = [e for e in lines_of("extent", "ls", data)[0]["extents"] if e["state"] == "live"]
        broker.start()
        report, = broker.json("status")["recovery"]
        assert broker.json("recovery")["recovery"] == [report]
        assert broker.run("recovery")[1].startswith(b"shard")
        assert not report["clean"] and report["frames"] > 0 and report["segments"] > 0, report
        assert report["extents"] == len(live) and report["repairs"] >= 1, report
        line = [one for one in broker.log().splitlines() if " recovered " in one][-1]
        for word in ("segments=%d" % report["segments"], "frames=%d" % report["frames"], "took=",
                     "repairs=%d" % report["repairs"], "extents=%d" % report["extents"], "scanned=", "cut="):
            assert word in line, (word, line)
        wait_for(lambda: metric(broker, "sluice_recovery_extents") == report["extents"], "the metrics")
        wait_for(lambda: metric(broker, "sluice_recovery_frames") == report["frames"], "the metrics")
        assert metric(broker, "sluice_recovery_repairs") == report["repairs"]
        assert broker.stop() == 0
        broker.start()
        report, = broker.json("status")["recovery"]
        assert report["clean"] and report["bytes_cut"] == 0, report


load_tests = sluice_broker.loader(globals())
