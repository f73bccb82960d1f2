"""Records move out of the write-ahead log into extents: more goes in than the log may hold, and all of it comes out."""
import os
import urllib.request

import sluice_broker
from sluice_broker import Broker, wait_for

LOG = ("wal.segment_bytes=2 MiB", "wal.bytes_max=16 MiB", "wal.frame_bytes_max=1900 KiB", "wal.group_bytes_max=256 KiB",
       "wal.seal_bytes=4 MiB", "runtime.shards=1")
LOG_BYTES = 16 << 20


def lines_of(first, count):
    """Lines of about 1 KB, none like another."""
    return [("%08d " % i) * 110 for i in range(first, first + count)]


def metric(broker, name):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith(name) and not line.startswith("#"))


def extents(broker):
    found = []
    for place, _, names in os.walk(os.path.join(broker.home)):
        found += [name for name in names if name.endswith(".ext")]
    return found


def test_three_times_the_log_goes_in_and_comes_out_also_after_kill_9():
    with Broker(*LOG) as broker:
        lines = lines_of(0, 50000)
        broker.produce("t", lines, "-X", "enable.idempotence=true")
        wait_for(lambda: metric(broker, "sluice_sealed_bytes_total") > LOG_BYTES, "what was sealed to be counted")
        assert metric(broker, "sluice_wal_used_bytes") <= LOG_BYTES
        assert metric(broker, "sluice_seal_failures_total") == 0
        assert broker.consume("t") == lines
        assert broker.consume("t", "-o", "40000", "-c", "3") == lines[40000:40003]
        broker.crash()
        broker.start()
        assert broker.consume("t") == lines
        more = lines_of(50000, 20000)
        broker.produce("t", more, "-X", "enable.idempotence=true")
        broker.stop()
        broker.start()
        assert broker.consume("t") == lines + more


def test_many_partitions_keep_their_own_records():
    with Broker(*LOG, "core.topics.partitions=12") as broker:
        lines = lines_of(0, 40000)
        broker.produce("t", lines)
        wait_for(lambda: metric(broker, "sluice_seal_jobs_total") > 0, "the jobs to be counted")
        assert sorted(broker.consume("t")) == lines
        broker.crash()
        broker.start()
        assert sorted(broker.consume("t")) == lines


def test_a_deleted_topic_gives_its_files_back():
    with Broker(*LOG) as broker:
        broker.produce("t", lines_of(0, 30000))
        assert extents(broker)
        code, _, err = broker.run("topic", "delete", "--yes", "t")
        assert code == 0, err
        wait_for(lambda: not extents(broker), "the files to go")
        wait_for(lambda: metric(broker, "sluice_extents") == 0, "the extents to be counted as gone")


load_tests = sluice_broker.loader(globals())
