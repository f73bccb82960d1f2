"""Rolling as users of Kafka expect it: segment.ms, segment.bytes and wal.age_max end a segment that is not full, in a quiet
broker too, so that compaction and retention act and the disk gets its space back."""
import os
import time
import urllib.request

import sluice_broker
from sluice_broker import Broker, wait_for

ONE = "runtime.shards=1"


def metric(broker, name):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith(name) and not line.startswith("#"))


def create(broker, topic, **configs):
    arguments = [word for key, value in configs.items() for word in ("-c", "%s=%s" % (key.replace("_", "."), value))]
    code, _, err = broker.run("topic", "create", topic, "-p", "1", *arguments)
    assert code == 0, err


def files(broker):
    return [name for _, _, names in os.walk(broker.home) for name in names if name.endswith(".ext")]


def test_a_quiet_broker_moves_what_is_older_than_age_max():
    with Broker("wal.age_max=1 s", ONE) as broker:
        broker.produce("t", ["a", "b"])
        wait_for(lambda: files(broker), "an extent", every_s=0.1)
        wait_for(lambda: metric(broker, "sluice_seal_jobs_total") > 0, "the job to be counted")
        sealed = metric(broker, "sluice_seal_jobs_total")
        time.sleep(2.5)
        assert metric(broker, "sluice_seal_jobs_total") == sealed, "nothing was written"
        assert broker.consume("t") == ["a", "b"]
        broker.crash()
        broker.start()
        assert broker.consume("t") == ["a", "b"]


def test_segment_ms_lets_compaction_see_records_of_a_quiet_topic():
    with Broker("compaction.check_interval=50 ms", ONE) as broker:
        create(broker, "t", cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0")
        broker.produce("t", ["k:%d" % i for i in range(100)], "-K", ":")
        wait_for(lambda: len(broker.consume("t")) < 5, "what is older of the key to go", every_s=0.2)
        assert broker.consume("t")[-1] == "99"


def test_without_segment_ms_a_quiet_topic_is_not_compacted_soon():
    with Broker("compaction.check_interval=50 ms", ONE) as broker:
        create(broker, "t", cleanup_policy="compact", min_cleanable_dirty_ratio="0")
        broker.produce("t", ["k:%d" % i for i in range(100)], "-K", ":")
        time.sleep(2)
        assert len(broker.consume("t")) == 100


def test_segment_bytes_rolls_when_a_partition_has_so_much():
    with Broker(ONE) as broker:
        create(broker, "t", segment_bytes=str(1 << 20))
        lines = ["%07d" % i + "x" * 993 for i in range(1200)]
        broker.produce("t", lines[:200])
        time.sleep(2.5)
        assert not files(broker), "a fifth of it is not enough"
        broker.produce("t", lines[200:])
        wait_for(lambda: files(broker), "an extent", every_s=0.1)
        assert broker.consume("t") == lines


def test_retention_takes_small_old_records_and_their_files():
    with Broker("retention.check_interval=100 ms", ONE) as broker:
        create(broker, "t", retention_ms="3000", segment_ms="200")
        create(broker, "stays", segment_ms="200")
        broker.produce("t", ["old%d" % i for i in range(10)])
        wait_for(lambda: files(broker), "an extent", every_s=0.1)
        wait_for(lambda: broker.consume("t") == [], "the records to go", every_s=0.2)
        wait_for(lambda: not files(broker), "their file to go", every_s=0.2)
        broker.produce("t", ["new"])
        broker.produce("stays", ["kept"])
        wait_for(lambda: broker.consume("t") == [], "what came behind them to go", every_s=0.2)
        assert broker.consume("stays") == ["kept"]


load_tests = sluice_broker.loader(globals())
