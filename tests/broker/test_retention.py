"""Records that go: DeleteRecords, retention by time and by size, as clients see it, over restarts."""
import os
import time
import urllib.request

try:
    from confluent_kafka import Consumer, KafkaException, TopicPartition
    from confluent_kafka.admin import AdminClient, ConfigResource
    from kafka import KafkaAdminClient, KafkaConsumer
    from kafka import TopicPartition as Partition
    from kafka.admin import NewTopic
    from kafka.errors import OffsetOutOfRangeError
except ImportError as error:
    MISSING = str(error)

import sluice_broker
from sluice_broker import Broker, need, wait_for

CHECK = "retention.check_interval=100 ms"


def produce(broker, topic, first, count, partition=0):
    broker.produce(topic, ["v%d" % i for i in range(first, first + count)], "-p", str(partition))


def create(broker, topic, partitions=1, **configs):
    arguments = [word for key, value in configs.items()
                 for word in ("-c", "%s=%s" % (key.replace("_", "."), value))]
    code, _, err = broker.run("topic", "create", topic, "-p", str(partitions), *arguments)
    assert code == 0, err


def bounds(broker, topic, partition=0):
    """Earliest and latest offset, by ListOffsets."""
    need("kcat")
    found = []
    for question in ("-2", "-1"):
        line = broker.kcat("-Q", "-t", "%s:%d:%s" % (topic, partition, question))[0]
        found.append(int(line.rsplit(" ", 1)[1]))
    return tuple(found)


def trim(broker, topic, before, partition=0):
    return broker.json("topic", "trim", "--yes", topic, "--partition", str(partition), "--before", str(before))


def error_of(broker, *arguments):
    code, _, err = broker.run(*arguments)
    assert code in (1, 64, 65), (code, err)
    return err


def metric(broker, name):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith(name) and not line.startswith("#"))


# ---- DeleteRecords ----

def delete_records(broker, topic, offset, version, partition=0):
    """DeleteRecords by hand: error code and low watermark."""
    name = topic.encode()
    if version < 2:
        body = (1).to_bytes(4, "big") + len(name).to_bytes(2, "big") + name + (1).to_bytes(4, "big")
        body += partition.to_bytes(4, "big", signed=True) + offset.to_bytes(8, "big", signed=True)
        body += (30000).to_bytes(4, "big")
        head = b"\0\x15" + version.to_bytes(2, "big") + b"\0\0\0\x07" + b"\xff\xff"
    else:
        body = bytes([2, len(name) + 1]) + name + bytes([2])
        body += partition.to_bytes(4, "big", signed=True) + offset.to_bytes(8, "big", signed=True)
        body += b"\0\0" + (30000).to_bytes(4, "big") + b"\0"
        head = b"\0\x15" + version.to_bytes(2, "big") + b"\0\0\0\x07" + b"\xff\xff" + b"\0"
    frame = head + body
    with broker.connect() as raw:
        raw.socket.sendall(len(frame).to_bytes(4, "big") + frame)
        size = int.from_bytes(exactly(raw.socket, 4), "big")
        answer = exactly(raw.socket, size)
    assert answer[:4] == b"\0\0\0\x07"
    end = len(answer) - (3 if version >= 2 else 0)  # three sets of tagged fields
    return (int.from_bytes(answer[end - 2:end], "big", signed=True),
            int.from_bytes(answer[end - 10:end - 2], "big", signed=True))


def exactly(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        assert more, "the broker closed the connection"
        data += more
    return data


def test_delete_records_of_every_version_moves_the_start_and_says_where():
    with Broker() as broker:
        create(broker, "t", 2)
        produce(broker, "t", 0, 20)
        for version in range(3):
            assert delete_records(broker, "t", 5 + version, version) == (0, 5 + version)
            assert bounds(broker, "t") == (5 + version, 20)
            assert delete_records(broker, "t", 2, version) == (0, 5 + version), "a lower offset changes nothing"
        assert delete_records(broker, "t", 21, 2) == (1, -1), "OFFSET_OUT_OF_RANGE"
        assert delete_records(broker, "t", -2, 2) == (1, -1), "OFFSET_OUT_OF_RANGE"
        assert delete_records(broker, "none", 0, 2) == (3, -1), "UNKNOWN_TOPIC_OR_PARTITION"
        assert delete_records(broker, "t", 0, 2, partition=2) == (3, -1), "UNKNOWN_TOPIC_OR_PARTITION"
        create(broker, "c", cleanup_policy="compact")
        assert delete_records(broker, "c", 0, 2) == (44, -1), "POLICY_VIOLATION"
        assert broker.consume("t") == ["v%d" % i for i in range(7, 20)]
        assert delete_records(broker, "t", -1, 2) == (0, 20), "all of them"
        assert bounds(broker, "t") == (20, 20)
        assert broker.consume("t") == []
        broker.crash()
        broker.start()
        assert bounds(broker, "t") == (20, 20)
        produce(broker, "t", 20, 3)
        assert broker.consume("t") == ["v20", "v21", "v22"]
        assert bounds(broker, "t") == (20, 23), "offsets go on"


def test_the_admin_client_deletes_records():
    with Broker() as broker:
        create(broker, "t", 2)
        produce(broker, "t", 0, 10)
        produce(broker, "t", 0, 10, partition=1)
        client = AdminClient({"bootstrap.servers": broker.address})
        if not hasattr(client, "delete_records"):
            sluice_broker.unittest.TestCase().skipTest("confluent_kafka is too old for delete_records")
        answers = client.delete_records([TopicPartition("t", 0, 4), TopicPartition("t", 1, -1)])
        found = {(p.topic, p.partition): future.result().low_watermark for p, future in answers.items()}
        assert found == {("t", 0): 4, ("t", 1): 10}, found
        try:
            list(client.delete_records([TopicPartition("t", 0, 99)]).values())[0].result()
            raise AssertionError("an offset above the high watermark was accepted")
        except KafkaException as error:
            assert error.args[0].name() in ("OFFSET_OUT_OF_RANGE",), error


def test_the_command_line_trims_a_partition():
    with Broker() as broker:
        create(broker, "t")
        produce(broker, "t", 0, 10)
        assert trim(broker, "t", 4) == {"topic": "t", "partition": 0, "log_start_offset": "4"}
        assert broker.json("topic", "describe", "t")["partition_list"][0]["log_start_offset"] == "4"
        assert trim(broker, "t", "end")["log_start_offset"] == "10"
        assert "out of range" in error_of(broker, "topic", "trim", "--yes", "t", "-p", "0", "-b", "11")
        assert "no such topic" in error_of(broker, "topic", "trim", "--yes", "t", "-p", "1", "-b", "0")
        assert "before" in error_of(broker, "topic", "trim", "--yes", "t", "-p", "0", "-b", "x")
        code, _, err = broker.run("topic", "trim", "--yes", "t", "--partition", "0")
        assert code == 64 and "--before" in err, (code, err)


def test_trimming_on_two_shards_survives_a_crash():
    with Broker("runtime.shards=2") as broker:
        create(broker, "t", 6)
        for partition in range(6):
            produce(broker, "t", 0, 10, partition)
            trim(broker, "t", 3 + partition, partition)
        broker.crash()
        broker.start()
        assert [bounds(broker, "t", partition) for partition in range(6)] == [(3 + p, 10) for p in range(6)]


# ---- consumers ----

def test_a_consumer_below_the_start_goes_where_its_reset_policy_says():
    with Broker() as broker:
        create(broker, "t")
        produce(broker, "t", 0, 10)
        trim(broker, "t", 6)
        for reset, first in (("earliest", b"v6"), ("latest", b"new")):
            consumer = KafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset=reset)
            partition = Partition("t", 0)
            consumer.assign([partition])
            consumer.seek(partition, 2)
            got = consumer.poll(3000 if reset == "earliest" else 1000)
            if reset == "latest":
                produce_one(broker, "new")
                got = wait_for(lambda: consumer.poll(500), "the new record")
            assert got[partition][0].value == first, got
            consumer.close()
        consumer = KafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="none")
        consumer.assign([Partition("t", 0)])
        consumer.seek(Partition("t", 0), 2)
        try:
            wait_for(lambda: consumer.poll(500), "an error")
            raise AssertionError("records below the log start were read")
        except OffsetOutOfRangeError:
            pass
        consumer.close()


def produce_one(broker, value):
    broker.produce("t", [value], "-p", "0")


def test_a_group_whose_offset_is_below_the_start_goes_on_at_the_start():
    with Broker() as broker:
        create(broker, "t")
        produce(broker, "t", 0, 10)
        settings = {"bootstrap.servers": broker.address, "group.id": "g", "enable.auto.commit": False,
                    "auto.offset.reset": "earliest", "session.timeout.ms": 6000}
        consumer = Consumer(settings)
        consumer.subscribe(["t"])
        values = [wait_for(lambda: consumer.poll(1), "a record").value() for _ in range(3)]
        assert values == [b"v0", b"v1", b"v2"], values
        consumer.commit(asynchronous=False)
        consumer.close()
        trim(broker, "t", 8)
        broker.crash()
        broker.start()
        consumer = Consumer(settings)
        assert consumer.committed([TopicPartition("t", 0)], 30)[0].offset == 3, "what was committed stays"
        consumer.subscribe(["t"])
        record = wait_for(lambda: consumer.poll(1), "a record")
        assert record.error() is None and record.value() == b"v8", (record.error(), record.value())
        consumer.close()


# ---- retention ----

def test_records_go_when_they_are_older_than_retention_ms():
    with Broker(CHECK) as broker:
        create(broker, "short", retention_ms=1000)
        create(broker, "long")
        for topic in ("short", "long"):
            produce(broker, topic, 0, 10)
        wait_for(lambda: bounds(broker, "short") == (10, 10), "the records to go")
        assert broker.consume("short") == []
        assert bounds(broker, "long") == (0, 10)
        broker.crash()
        broker.start()
        assert bounds(broker, "short") == (10, 10)
        assert bounds(broker, "long") == (0, 10)
        before = time.time()
        produce(broker, "short", 10, 5)
        wait_for(lambda: bounds(broker, "short") == (15, 15), "the records to go")
        assert time.time() - before > 1.0, "gone before their time"
        wait_for(lambda: metric(broker, "sluice_removed_records_total") == 5, "them to be counted")
        assert metric(broker, "sluice_removed_bytes_total") > 0


def test_at_least_retention_bytes_stay():
    with Broker(CHECK) as broker:
        create(broker, "t", retention_bytes=4000)
        for i in range(20):
            broker.produce("t", ["x" * 1000], "-p", "0")
        wait_for(lambda: bounds(broker, "t")[0] > 0, "the oldest to go")
        time.sleep(0.5)
        start, end = bounds(broker, "t")
        assert end == 20 and 15 <= start <= 17, (start, end)
        broker.stop()
        broker.start()
        time.sleep(0.5)
        assert bounds(broker, "t") == (start, end)


def test_the_brokers_retention_holds_for_topics_without_their_own():
    with Broker(CHECK, "retention.ms=1000") as broker:
        create(broker, "own", retention_ms=-1)
        create(broker, "none")
        create(broker, "kept", cleanup_policy="compact")
        produce(broker, "own", 0, 5)
        broker.produce("kept", ["k:v"], "-p", "0", "-K:")
        produce(broker, "none", 0, 5)
        wait_for(lambda: bounds(broker, "none") == (5, 5), "the records to go")
        assert bounds(broker, "own") == (0, 5)
        assert bounds(broker, "kept") == (0, 1)
        described = broker.json("topic", "describe", "none")["configs"]
        assert described["retention.ms"] == {"value": "1000", "source": "broker"}
        described = broker.json("topic", "describe", "own")["configs"]
        assert described["retention.ms"] == {"value": "-1", "source": "topic"}


def test_configuration_is_described_as_it_is_in_force():
    with Broker("retention.ms=7200000", "retention.bytes=5000", "retention.check_interval=2 s") as broker:
        create(broker, "t", retention_bytes=7000)
        client = AdminClient({"bootstrap.servers": broker.address})

        def described(kind, name, keys):
            resource = ConfigResource(kind, name)
            found = client.describe_configs([resource])[resource].result(30)
            return [(found[key].value, found[key].source) for key in keys]
        topic, node, default = 1, 4, 5  # Kafka's sources; 4: the broker's static configuration
        assert described("topic", "t", ["retention.ms", "retention.bytes", "cleanup.policy"]) == \
            [("7200000", node), ("7000", topic), ("delete", default)]
        assert described("broker", "1", ["log.retention.ms", "log.retention.minutes", "log.retention.hours",
                                         "log.retention.bytes", "log.retention.check.interval.ms"]) == \
            [("7200000", node), ("120", node), ("2", node), ("5000", node), ("2000", node)]


def test_topics_created_by_a_client_obey_their_configuration():
    with Broker(CHECK) as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.create_topics([NewTopic("t", 1, 1, topic_configs={"retention.ms": "500"})])
        admin.close()
        produce(broker, "t", 0, 3)
        wait_for(lambda: bounds(broker, "t") == (3, 3), "the records to go")


def test_a_log_that_retention_keeps_short_never_fills():
    with Broker(CHECK, "wal.bytes_max=6 MiB", "wal.segment_bytes=1 MiB", "wal.frame_bytes_max=512 KiB",
                "wal.group_bytes_max=512 KiB") as broker:
        create(broker, "t", retention_ms=300)
        value = "x" * 60000
        for _ in range(30):
            broker.produce("t", [value] * 5, "-p", "0")
        assert bounds(broker, "t")[1] == 150


def extent_files(broker):
    return [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(broker.home, "data"))
            for name in names if name.endswith(".ext")]


def test_what_retention_removes_gives_its_files_back():
    with Broker(CHECK, "wal.bytes_max=16 MiB", "wal.segment_bytes=1 MiB", "wal.frame_bytes_max=512 KiB",
                "wal.group_bytes_max=512 KiB", "wal.seal_bytes=2 MiB") as broker:
        create(broker, "kept")
        create(broker, "short", retention_ms=2000)
        value = "x" * 60000
        for _ in range(20):
            broker.produce("kept", [value] * 5, "-p", "0")
            broker.produce("short", [value] * 5, "-p", "0")
        wait_for(lambda: extent_files(broker), "records to be sealed")
        wait_for(lambda: bounds(broker, "short") == (100, 100), "the records to go")
        files = wait_for(lambda: extent_files(broker), "extents")
        size = sum(os.path.getsize(name) for name in files)
        trim(broker, "kept", "end")
        wait_for(lambda: not extent_files(broker), "the last extents to go")
        broker.crash()
        broker.start()
        assert bounds(broker, "kept") == (100, 100) and bounds(broker, "short") == (100, 100)
        assert not extent_files(broker) and size > 0


load_tests = sluice_broker.loader(globals())
