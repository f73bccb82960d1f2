"""What is written for a record, and what is given back of it: write amplification of promoted and of mixed segments (counts, so
they are the same on every machine), files that are half dead, and bytes of deleted records after storage.erase_max."""
import os
import time
import urllib.request

import sluice_broker
from sluice_broker import Broker, wait_for

ONE = "runtime.shards=1"
LOG = (ONE, "wal.segment_bytes=4 MiB", "wal.frame_bytes_max=2 MiB", "wal.seal_bytes=8 MiB", "wal.bytes_max=64 MiB")


def metrics(broker):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30).read().decode()
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            name = name.split("{", 1)[0]
            found[name] = found.get(name, 0) + float(value)
    return found


def files(broker):
    return [os.path.join(place, name) for place, _, names in os.walk(broker.home) for name in names if name.endswith(".ext")]


def amplification(broker, before):
    """(log and extents, padding, zeros) per byte that producers sent since `before`."""
    now = metrics(broker)
    made = {name: value - before.get(name, 0) for name, value in now.items()}
    produced = made["sluice_wal_written_body_bytes_total"]
    written = sum(made[name] for name in ("sluice_wal_written_body_bytes_total", "sluice_wal_written_head_bytes_total",
                                          "sluice_seal_written_bytes_total", "sluice_wal_written_checkpoint_bytes_total"))
    return (written / produced, made["sluice_wal_written_padding_bytes_total"] / produced,
            made["sluice_wal_written_zero_bytes_total"] / produced)


def produce(broker, partitions, megabytes):
    before = metrics(broker)
    code, _, err = broker.run("topic", "create", "t", "-p", str(partitions))
    assert code == 0, err
    lines = ["%08d" % i + "x" * 1016 for i in range(megabytes * 1024)]
    keyed = ["%d:%s" % (i, line) for i, line in enumerate(lines)]  # a key each, so that partitions mix
    broker.produce("t", keyed, "-K", ":", "-X", "linger.ms=20", "-X", "batch.size=1000000", "-X", "max.in.flight=5")
    at_rest(broker)
    return before, lines


def at_rest(broker):
    """Everything that is due was moved."""
    seen = [None]

    def is_quiet():
        before, seen[0] = seen[0], metrics(broker)["sluice_sealed_bytes_total"]
        return before == seen[0] and seen[0] > 0
    wait_for(is_quiet, "the log to be moved", every_s=1.5)


def test_a_promoted_byte_is_written_once():
    with Broker(*LOG, "wal.age_max=1 s") as broker:
        before, lines = produce(broker, 1, 48)
        written, padding, zeros = amplification(broker, before)
        found = metrics(broker)
        print("write amplification where promoted: %.3f, padding %.3f, zeros ahead %.3f; %d segments promoted"
              % (written, padding, zeros, found["sluice_seal_promoted_segments_total"]))
        assert found["sluice_seal_promoted_segments_total"] >= 8, found
        assert written <= 1.1, written
        assert zeros <= 0.5, zeros  # the first segments; later spares are not filled where frames are large
        assert broker.consume("t") == lines
        broker.crash()
        broker.start()
        assert broker.consume("t") == lines
        code, out, err = broker.run("extent", "verify", os.path.join(broker.home, "data"))
        assert code == 0, (out, err)


def test_a_byte_of_mixed_streams_is_written_twice():
    with Broker(*LOG, "wal.age_max=1 s") as broker:
        before, lines = produce(broker, 8, 32)
        written, padding, zeros = amplification(broker, before)
        print("write amplification of mixed streams: %.3f, padding %.3f, zeros ahead %.3f" % (written, padding, zeros))
        assert metrics(broker)["sluice_seal_promoted_segments_total"] == 0
        assert written <= 2.2, written
        assert sorted(broker.consume("t")) == lines


def test_a_file_that_is_half_dead_is_rewritten():
    with Broker(ONE, "wal.age_max=1 s", "retention.check_interval=100 ms") as broker:
        for topic in ("gone", "kept"):
            broker.run("topic", "create", topic, "-p", "1")
        broker.produce("gone", ["gone-record %d " % i * 50 for i in range(2000)])
        kept = ["kept-record %d " % i * 20 for i in range(1000)]
        broker.produce("kept", kept)
        wait_for(lambda: len(files(broker)) == 1, "one file for both", every_s=0.1)
        assert any(b"gone-record" in open(path, "rb").read() for path in files(broker))
        broker.run("topic", "delete", "--yes", "gone")
        wait_for(lambda: metrics(broker)["sluice_rewrite_extents_total"] == 1, "the file to be rewritten", every_s=0.2)
        wait_for(lambda: len(files(broker)) == 1, "the old file to go", every_s=0.1)
        assert not any(b"gone-record" in open(path, "rb").read() for path in files(broker))
        assert broker.consume("kept") == kept
        broker.crash()
        broker.start()
        assert broker.consume("kept") == kept


def test_little_that_is_deleted_is_erased_after_erase_max():
    with Broker(ONE, "wal.age_max=1 s", "storage.erase_max=2 s") as broker:
        for topic in ("little", "kept"):
            broker.run("topic", "create", topic, "-p", "1")
        broker.produce("little", ["secret-record %d" % i for i in range(100)])
        kept = ["kept-record %d " % i * 20 for i in range(2000)]
        broker.produce("kept", kept)
        wait_for(lambda: len(files(broker)) == 1, "one file for both", every_s=0.1)
        time.sleep(6)
        assert metrics(broker)["sluice_rewrite_extents_total"] == 0, "nothing is dead"
        broker.run("topic", "trim", "--yes", "little", "--partition", "0", "--before", "100")
        wait_for(lambda: metrics(broker)["sluice_rewrite_extents_total"] == 1, "the file to be rewritten", every_s=0.2)
        wait_for(lambda: len(files(broker)) == 1, "the old file to go", every_s=0.1)
        assert not any(b"secret-record" in open(path, "rb").read() for path in files(broker))
        assert broker.consume("kept") == kept
        assert broker.consume("little") == []


load_tests = sluice_broker.loader(globals())
