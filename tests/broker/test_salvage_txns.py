"""`sluice wal salvage` and transactions: what the salvaged folder shows to readers of committed records."""
import json
import os
import subprocess

from sluice_broker import SLUICE, Broker, loader
from test_storage_tools import data_of, flip, start_on
from test_transactions import ends, make_topic, producer_of, read, send

SETTINGS = ("wal.segment_bytes=1 MiB", "wal.frame_bytes_max=256 KiB", "wal.group_bytes_max=256 KiB")


def salvage(data, code):
    new = data + "-new"
    done = subprocess.run([SLUICE, "wal", "salvage", data, new, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return new, [json.loads(line) for line in done.stdout.splitlines()]


def frames_with(data, topic, offset):
    """Where the frame with the batch of partition 0 at that offset begins: (segment file, position)."""
    done = subprocess.run([SLUICE, "wal", "dump", data, "--json"], stdout=subprocess.PIPE, timeout=60)
    found, frame, shard, lsn = [], None, 0, 0
    for event in map(json.loads, done.stdout.splitlines()):
        if event["event"] == "frame":
            frame = event
            shard += int(event["lsn"]) < lsn  # they come one after the other
            lsn = int(event["lsn"])
        elif event["event"] == "item" and event["kind"] == "BATCH" and int(event["base_offset"]) == offset \
                and event.get("topic") == topic:
            segment = "shard-%d/wal/%020d.seg" % (shard, int(frame["segment"]))
            found.append((os.path.join(data, segment), int(frame["position"])))
    return found


def lose(data, topic, offset):
    (path, position), = frames_with(data, topic, offset)
    flip(path, position + 70)


def aborted(events):
    return [(e["topic"], e["partition"], e["first_offset"]) for e in events if e["event"] == "aborted"]


def transact(producer, values, commits):
    producer.begin_transaction()
    send(producer, "t", values)
    if commits:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def test_a_lost_marker_that_aborted_lets_nothing_be_seen():
    with Broker(*SETTINGS) as broker:
        make_topic(broker, "t")
        producer, other = producer_of(broker, "a"), producer_of(broker, "b")
        transact(producer, [b"never"], False)  # the marker is at offset 1
        transact(producer, [b"kept"], True)
        transact(other, [b"too"], True)
        assert read(broker, "t") == [b"kept", b"too"]
        broker.crash()
        data = data_of(broker)
        lose(data, "t", 1)
        new, events = salvage(data, 3)
        assert aborted(events) == [("t", "0", "0")], events
        with start_on(new, *SETTINGS) as again:
            assert read(again, "t") == [b"kept", b"too"]
            low, high = ends(again, "t")
            assert low == high == 6
            transact(producer_of(again, "a"), [b"after"], True)
            assert read(again, "t") == [b"kept", b"too", b"after"]


def test_a_lost_marker_that_committed_lets_nobody_wait():
    with Broker(*SETTINGS) as broker:
        make_topic(broker, "t")
        make_topic(broker, "u")
        producer = producer_of(broker, "a")
        transact(producer, [b"first"], True)
        transact(producer, [b"second"], True)  # its marker, at offset 3, is the last batch of the partition
        for value in (b"one", b"two"):  # frames behind it say that it was durable
            assert broker.run("produce", "u", stdin=value + b"\n")[0] == 0
        broker.crash()
        data = data_of(broker)
        lose(data, "t", 3)
        new, events = salvage(data, 3)
        with start_on(new, *SETTINGS) as again:
            seen = read(again, "t")
            assert seen in ([b"first"], [b"first", b"second"]), seen
            assert bool(aborted(events)) == (b"second" not in seen), events
            low, high = ends(again, "t")
            assert low == high
            transact(producer_of(again, "a"), [b"after"], True)
            assert read(again, "t") == seen + [b"after"]


def test_what_is_open_is_aborted_where_something_is_lost():
    with Broker(*SETTINGS) as broker:
        make_topic(broker, "t")
        producer, other = producer_of(broker, "a"), producer_of(broker, "b")
        transact(other, [b"lost"], True)
        transact(other, [b"kept"], True)
        producer.begin_transaction()
        send(producer, "t", [b"open"])
        assert ends(broker, "t") == (4, 5)
        broker.crash()
        data = data_of(broker)
        lose(data, "t", 0)
        new, events = salvage(data, 3)
        assert aborted(events) == [("t", "0", "4")], events
        with start_on(new, *SETTINGS) as again:
            assert read(again, "t") == [b"kept"]
            low, high = ends(again, "t")
            assert low == high == 6
            transact(producer_of(again, "a"), [b"after"], True)
            assert read(again, "t") == [b"kept", b"after"]


def test_what_is_open_goes_on_where_nothing_is_lost():
    with Broker(*SETTINGS) as broker:
        make_topic(broker, "t")
        producer = producer_of(broker, "a")
        transact(producer, [b"done"], True)
        producer.begin_transaction()
        send(producer, "t", [b"open"])
        broker.crash()
        new, events = salvage(data_of(broker), 0)
        assert aborted(events) == []
        with start_on(new, *SETTINGS) as again:
            assert ends(again, "t") == (2, 3), "its coordinator aborts it when its time is over, or its producer comes back"
            producer_of(again, "a")
            low, high = ends(again, "t")
            assert low == high == 4
            assert read(again, "t") == [b"done"]


def test_the_marker_of_a_known_aborted_transaction_is_written_anew():
    with Broker(*SETTINGS) as broker:
        make_topic(broker, "t")
        producer = producer_of(broker, "a")
        transact(producer, [b"never"], False)
        transact(producer, [b"kept"], True)
        assert broker.stop() == 0  # with a checkpoint that knows of it
        data = data_of(broker)
        lose(data, "t", 1)
        new, _ = salvage(data, 3)
        with start_on(new, *SETTINGS) as again:
            assert read(again, "t") == [b"kept"]
            assert read(again, "t", committed=False) == [b"never", b"kept"]
            assert ends(again, "t") == (4, 4)


load_tests = loader(globals())
