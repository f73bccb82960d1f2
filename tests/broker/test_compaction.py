"""Compaction as clients see it: the newest record of each key, over restarts and kill -9."""
import urllib.request

try:
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, ConfigResource
    from kafka import KafkaConsumer
    from kafka import TopicPartition as Partition
except ImportError as error:
    MISSING = str(error)

import sluice_broker
from sluice_broker import Broker, need, wait_for

SETTINGS = ("wal.segment_bytes=2 MiB", "wal.bytes_max=16 MiB", "wal.frame_bytes_max=1900 KiB", "wal.group_bytes_max=256 KiB",
            "wal.seal_bytes=2 MiB", "wal.age_max=1 s", "compaction.check_interval=50 ms", "runtime.shards=1")
KEYS = 50


def metric(broker, name):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith(name) and not line.startswith("#"))


def create(broker, topic, **configs):
    arguments = [word for key, value in configs.items()
                 for word in ("-c", "%s=%s" % (key.replace("_", "."), value))]
    code, _, err = broker.run("topic", "create", topic, "-p", "1", *arguments)
    assert code == 0, err


def push(broker):
    """Other records end the segment under way, so that what is before them moves into extents."""
    broker.produce("filler", ["x" * 1000] * 1500, "-p", "0")


def produce(broker, topic, records, **settings):
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5, "batch.num.messages": 20, **settings})
    failed = []
    for key, value in records:
        producer.produce(topic, value, key, partition=0, on_delivery=lambda err, _: err and failed.append(err))
    producer.flush(30)
    assert not failed, failed[:3]


def read(broker, topic):
    """(offset, key, value) of all records, as kafka-python sees them."""
    partition = Partition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=broker.address)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    found = []

    def read_more():
        found.extend((r.offset, r.key, r.value) for batch in consumer.poll(200).values() for r in batch)
        return consumer.position(partition) >= end
    wait_for(read_more, "the consumer to reach %d" % end)
    consumer.close()
    assert [r[0] for r in found] == sorted({r[0] for r in found})
    return found


def until_removed(broker, count):
    def look():
        push(broker)
        return metric(broker, "sluice_compaction_removed_records_total") >= count
    wait_for(look, "%d records to be removed" % count)


def updates(rounds, first=0):
    return [(b"k%d" % key, b"%d" % (first + turn)) for turn in range(rounds) for key in range(KEYS)]


def test_clients_find_the_newest_record_of_each_key_also_after_kill_9():
    with Broker(*SETTINGS) as broker:
        create(broker, "c", cleanup_policy="compact", min_cleanable_dirty_ratio=0.01)
        produce(broker, "c", updates(40), **{"enable.idempotence": True, "compression.type": "gzip"})
        until_removed(broker, 39 * KEYS)
        newest = {b"k%d" % key: b"39" for key in range(KEYS)}
        found = read(broker, "c")
        assert len(found) == KEYS and {r[1]: r[2] for r in found} == newest, len(found)
        assert [r[0] for r in found] == list(range(39 * KEYS, 40 * KEYS)), "offsets stay"
        need("kcat")
        assert sorted(broker.consume("c", "-f", "%k=%s\n")) == sorted("k%d=39" % key for key in range(KEYS))
        assert broker.consume("c", "-o", "7", "-c", "1", "-f", "%o\n") == [str(39 * KEYS)], "inside a hole"
        broker.crash()
        broker.start()
        assert read(broker, "c") == found
        produce(broker, "c", updates(3, 40), **{"compression.type": "zstd"})
        until_removed(broker, 2 * KEYS)
        assert sorted(broker.consume("c", "-f", "%k=%s\n")) == sorted("k%d=42" % key for key in range(KEYS))
        assert metric(broker, "sluice_compaction_failures_total") == 0


def test_tombstones_delete_and_go():
    with Broker(*SETTINGS) as broker:
        create(broker, "c", cleanup_policy="compact", min_cleanable_dirty_ratio=0.01, delete_retention_ms=1000)
        produce(broker, "c", updates(4) + [(b"k%d" % key, None) for key in range(0, KEYS, 2)])
        until_removed(broker, 3 * KEYS + KEYS // 2)
        keys = {r[1] for r in read(broker, "c") if r[2] is not None}
        assert keys == {b"k%d" % key for key in range(1, KEYS, 2)}

        def tombstones_are_gone():
            produce(broker, "c", [(b"other", b"v")])
            push(broker)
            return all(r[2] is not None for r in read(broker, "c"))
        wait_for(tombstones_are_gone, "the tombstones to go")
        found = {r[1]: r[2] for r in read(broker, "c")}
        found.pop(b"other")
        assert found == {b"k%d" % key: b"3" for key in range(1, KEYS, 2)}
        broker.crash()
        broker.start()
        assert {r[1] for r in read(broker, "c")} == set(found) | {b"other"}


def test_what_the_configuration_says_is_described():
    with Broker(*SETTINGS, "compaction.min_dirty_percent=25", "compaction.delete_retention_ms=5000",
                "compaction.min_lag_ms=7") as broker:
        create(broker, "c", cleanup_policy="compact", max_compaction_lag_ms=60000)
        admin = AdminClient({"bootstrap.servers": broker.address})

        def values(kind, name):
            resource = ConfigResource(kind, name)
            return {k: v.value for k, v in admin.describe_configs([resource])[resource].result(10).items()}
        topic = values("topic", "c")
        assert topic["min.cleanable.dirty.ratio"] == "0.25"
        assert topic["delete.retention.ms"] == "5000"
        assert topic["min.compaction.lag.ms"] == "7"
        assert topic["max.compaction.lag.ms"] == "60000"
        node = values("broker", "1")
        assert node["log.cleaner.min.cleanable.ratio"] == "0.25"
        assert node["log.cleaner.backoff.ms"] == "50"
        assert node["log.cleaner.dedupe.buffer.size"] == "134217728"


load_tests = sluice_broker.loader(globals())
