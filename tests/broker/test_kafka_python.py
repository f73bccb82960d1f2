"""kafka-python 2.0.2, which deduces the broker's version from what is advertised."""
import threading
import time

try:
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, codec
    from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
    from kafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError
except ImportError as error:
    MISSING = str(error)

from sluice_broker import Broker, loader, wait_for

NEEDS = ("frontend_kafka",)

VALUES = [b"value %d" % i for i in range(100)]


def codecs():
    """Those for which Debian has the library that kafka-python wants; kcat does all of them."""
    has = {"gzip": codec.has_gzip, "snappy": codec.has_snappy, "lz4": codec.has_lz4}
    return [None] + [name for name, check in has.items() if check()]


def produce(broker, topic, values=VALUES, **settings):
    producer = KafkaProducer(bootstrap_servers=broker.address, **settings)
    futures = [producer.send(topic, value, key=b"k%d" % i, headers=[("h", b"1")])
               for i, value in enumerate(values)]
    producer.flush(30)
    producer.close()
    return [future.get(1) for future in futures]


def consume(broker, topic, count, **settings):
    consumer = KafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest",
                             consumer_timeout_ms=15000, **settings)
    got = []
    for record in consumer:
        got.append(record)
        if len(got) == count:
            break
    consumer.close()
    return got


def test_the_version_is_deduced_high_enough_for_headers():
    with Broker() as broker:
        client = KafkaConsumer(bootstrap_servers=broker.address)
        assert client.config["api_version"] >= (2, 4), client.config["api_version"]
        client.close()


def test_records_with_every_acks_and_codec_come_back():
    with Broker() as broker:
        for acks in (0, 1, "all"):
            produce(broker, "acks", acks=acks)
        assert len(consume(broker, "acks", 300)) == 300
        for name in codecs():
            topic = "codec-%s" % name
            produce(broker, topic, compression_type=name)
            got = consume(broker, topic, len(VALUES))
            assert [record.value for record in got] == VALUES
            assert got[0].headers == [("h", b"1")], got[0]
            assert got[0].key == b"k0"


def test_offsets_are_told_to_the_producer():
    with Broker() as broker:
        told = produce(broker, "told", acks="all")
        assert [about.offset for about in told] == list(range(100))


def test_offsets_by_time_end_and_beginning():
    with Broker() as broker:
        told = produce(broker, "times")
        consumer = KafkaConsumer(bootstrap_servers=broker.address)
        partition = TopicPartition("times", 0)
        assert consumer.beginning_offsets([partition]) == {partition: 0}
        assert consumer.end_offsets([partition]) == {partition: 100}
        found = consumer.offsets_for_times({partition: told[0].timestamp})[partition]
        assert found.offset == 0 and found.timestamp == told[0].timestamp, found
        assert consumer.offsets_for_times({partition: told[-1].timestamp + 60000})[partition] is None
        consumer.close()


def test_a_group_of_two_shares_partitions_and_rebalances():
    with Broker() as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.create_topics([NewTopic("shared", 4, 1)])
        owned = {}
        stop = {"a": threading.Event(), "b": threading.Event()}
        got = []

        def member(name):
            consumer = KafkaConsumer("shared", bootstrap_servers=broker.address, group_id="pair",
                                     auto_offset_reset="earliest", session_timeout_ms=10000,
                                     heartbeat_interval_ms=300, enable_auto_commit=False)
            while not stop[name].is_set():
                for records in consumer.poll(200).values():
                    got.extend(record.value for record in records)
                consumer.commit()
                owned[name] = {part.partition for part in consumer.assignment()}
            consumer.close()
            owned[name] = set()

        threads = {name: threading.Thread(target=member, args=(name,)) for name in stop}
        threads["a"].start()
        wait_for(lambda: owned.get("a") == {0, 1, 2, 3}, "the first member to own all")
        threads["b"].start()
        wait_for(lambda: len(owned.get("a", ())) == 2 and len(owned.get("b", ())) == 2
                   and owned["a"] | owned["b"] == {0, 1, 2, 3}, "the members to share")
        produce(broker, "shared")
        wait_for(lambda: len(got) >= 100, "all records")
        stop["b"].set()
        threads["b"].join()
        wait_for(lambda: owned["a"] == {0, 1, 2, 3}, "the first member to own all again")
        stop["a"].set()
        threads["a"].join()
        assert sorted(got) == sorted(VALUES), len(got)
        offsets = admin.list_consumer_group_offsets("pair")
        assert sum(about.offset for about in offsets.values()) == 100, offsets
        admin.close()


def test_a_group_goes_on_where_it_was():
    with Broker() as broker:
        produce(broker, "resumed")
        first = consume(broker, "resumed", 100, group_id="g")
        assert len(first) == 100
        produce(broker, "resumed", [b"later"])
        again = consume(broker, "resumed", 1, group_id="g")
        assert [record.value for record in again] == [b"later"]


def test_topics_are_created_described_and_deleted():
    with Broker() as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.create_topics([NewTopic("made", 3, 1, topic_configs={"retention.ms": "1234000"})])
        assert "made" in admin.list_topics()
        assert len(admin.describe_topics(["made"])[0]["partitions"]) == 3
        try:
            admin.create_topics([NewTopic("made", 1, 1)])
            raise AssertionError("made twice")
        except TopicAlreadyExistsError:
            pass
        answer = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "made")])
        entries = {entry[0]: entry for entry in answer[0].resources[0][4]}
        assert entries["retention.ms"][1] == "1234000", entries["retention.ms"]
        assert entries["cleanup.policy"][1] == "delete"
        assert len(entries) > 20, len(entries)
        admin.delete_topics(["made"])
        wait_for(lambda: "made" not in admin.list_topics(), "the topic to be gone")
        try:
            admin.delete_topics(["made"])
            raise AssertionError("deleted twice")
        except UnknownTopicOrPartitionError:
            pass
        admin.close()


def test_a_long_poll_is_answered_when_records_come():
    with Broker() as broker:
        produce(broker, "poll", [b"first"])
        consumer = KafkaConsumer(bootstrap_servers=broker.address, fetch_max_wait_ms=20000)
        partition = TopicPartition("poll", 0)
        consumer.assign([partition])
        consumer.seek(partition, 1)
        timer = threading.Timer(1, produce, (broker, "poll", [b"second"]))
        timer.start()
        start = time.monotonic()
        got = {}
        while not got and time.monotonic() - start < 15:
            got = consumer.poll(500)
        assert [record.value for record in got[partition]] == [b"second"]
        assert time.monotonic() - start < 10, "answered only when the wait was over"
        timer.join()
        consumer.close()


load_tests = loader(globals())
