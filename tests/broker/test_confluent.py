"""confluent-kafka 1.7 over librdkafka."""
import struct
import threading

try:
    from confluent_kafka import (OFFSET_BEGINNING, Consumer, KafkaException, Producer,
                                 TopicPartition)
    from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic
except ImportError as error:
    MISSING = str(error)

from sluice_broker import Broker, loader, request, wait_for

VALUES = [b"value %d" % i for i in range(500)]


def produce(broker, topic, values=VALUES, **settings):
    errors = []
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5,
                         **{key.replace("_", "."): value for key, value in settings.items()}})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: error and errors.append(error))
        producer.poll(0)
    assert producer.flush(30) == 0
    assert not errors, errors


def consumer_of(broker, group, **settings):
    return Consumer({"bootstrap.servers": broker.address, "group.id": group,
                     "auto.offset.reset": "earliest", "session.timeout.ms": 10000,
                     **{key.replace("_", "."): value for key, value in settings.items()}})


def take(consumer, count):
    got = []

    def poll():
        for message in consumer.consume(count - len(got), 0.2):
            assert message.error() is None, message.error()
            got.append(message)
        return len(got) >= count

    wait_for(poll, "%d records" % count)
    return got


def test_records_with_every_acks_and_codec_come_back():
    with Broker() as broker:
        for acks in ("0", "1", "all"):
            produce(broker, "acks-" + acks, acks=acks)
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            produce(broker, "codec-" + codec, compression_type=codec)
        for topic in ("acks-0", "acks-1", "acks-all", "codec-none", "codec-gzip", "codec-snappy",
                      "codec-lz4", "codec-zstd"):
            consumer = consumer_of(broker, "reader")
            consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
            assert [message.value() for message in take(consumer, len(VALUES))] == VALUES, topic
            consumer.close()


def test_an_idempotent_producer_writes_each_record_once():
    with Broker() as broker:
        produce(broker, "once", enable_idempotence=True)
        consumer = consumer_of(broker, "reader")
        consumer.assign([TopicPartition("once", 0, OFFSET_BEGINNING)])
        assert [message.value() for message in take(consumer, len(VALUES))] == VALUES
        assert consumer.get_watermark_offsets(TopicPartition("once", 0)) == (0, len(VALUES))
        consumer.close()


def test_a_group_of_two_rebalances_and_commits():
    with Broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic("shared", 4, 1)])["shared"].result(10)
        owned = {"a": set(), "b": set()}
        stop = {"a": threading.Event(), "b": threading.Event()}
        got = []

        def member(name):
            consumer = consumer_of(broker, "pair", heartbeat_interval_ms=300,
                                   enable_auto_commit=False)
            consumer.subscribe(["shared"])
            while not stop[name].is_set():
                for message in consumer.consume(100, 0.1):
                    if message.error() is None:
                        got.append(message.value())
                        consumer.commit(message, asynchronous=False)
                owned[name] = {part.partition for part in consumer.assignment()}
            consumer.close()
            owned[name] = set()

        threads = {name: threading.Thread(target=member, args=(name,)) for name in stop}
        threads["a"].start()
        wait_for(lambda: owned["a"] == {0, 1, 2, 3}, "the first member to own all")
        threads["b"].start()
        wait_for(lambda: len(owned["a"]) == 2 and len(owned["b"]) == 2, "the members to share")
        produce(broker, "shared", VALUES[:100])
        wait_for(lambda: len(got) >= 100, "all records")
        stop["a"].set()
        threads["a"].join()
        wait_for(lambda: owned["b"] == {0, 1, 2, 3}, "the second member to own all")
        stop["b"].set()
        threads["b"].join()
        assert sorted(got) == sorted(VALUES[:100]), len(got)
        asker = consumer_of(broker, "pair")
        told = asker.committed([TopicPartition("shared", i) for i in range(4)], 10)
        assert sum(max(about.offset, 0) for about in told) == 100, told
        asker.close()


def test_topics_are_created_described_and_deleted():
    with Broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        made = admin.create_topics([NewTopic("made", 3, 1, config={"cleanup.policy": "compact"}),
                                    NewTopic("no/name", 1, 1)])
        made["made"].result(10)
        try:
            made["no/name"].result(10)
            raise AssertionError("an invalid name was taken")
        except KafkaException as error:
            assert error.args[0].name() == "TOPIC_EXCEPTION", error
        assert len(admin.list_topics("made", 10).topics["made"].partitions) == 3
        resource = ConfigResource("topic", "made")
        described = admin.describe_configs([resource])[resource].result(10)
        assert described["cleanup.policy"].value == "compact"
        assert described["cleanup.policy"].source == 1, described["cleanup.policy"].source
        assert described["retention.ms"].value == "604800000"
        assert described["retention.ms"].source == 5
        node = ConfigResource("broker", "%d" % admin.list_topics(timeout=10).controller_id)
        assert len(admin.describe_configs([node])[node].result(10)) > 5
        admin.delete_topics(["made"])["made"].result(10)
        wait_for(lambda: "made" not in admin.list_topics(timeout=10).topics, "the topic to be gone")


def test_a_creation_on_trial_makes_nothing():
    with Broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic("trial", 1, 1)], validate_only=True)["trial"].result(10)
        assert "trial" not in admin.list_topics(timeout=10).topics


def created_configs(raw, number, name, trial):
    """CreateTopics 7 of one topic with two settings: its configuration as answered, (name, value, read only, source)."""
    def text(value):
        return bytes([len(value) + 1]) + value

    def string(answer, at):
        size = answer[at] - 1  # short ones only
        return None if size < 0 else bytes(answer[at + 1:at + 1 + size]), at + 1 + max(size, 0)
    settings = [(b"cleanup.policy", b"compact"), (b"max.message.bytes", b"54321")]
    body = b"\0\x02" + text(name) + struct.pack(">ihb", 3, 1, 1) + bytes([len(settings) + 1])
    body += b"".join(text(key) + text(value) + b"\0" for key, value in settings)
    raw.send_frame(request(19, 7, number, body + b"\0" + struct.pack(">ib", 10000, trial) + b"\0"))
    answer = raw.read_frame()
    at = 4 + 1 + 4 + 1  # correlation id, tags, throttle time, one topic
    assert string(answer, at)[0] == name, answer
    at = string(answer, at)[1] + 16
    error, = struct.unpack_from(">h", answer, at)
    reason, at = string(answer, at + 2)
    partitions, replicas = struct.unpack_from(">ih", answer, at)
    assert (error, reason, partitions, replicas) == (0, None, 3, 1), (error, reason)
    count, at, configs = answer[at + 6] - 1, at + 7, []
    for _ in range(count):
        key, at = string(answer, at)
        value, at = string(answer, at)
        configs.append((key, value, *answer[at:at + 2]))
        at += 4
    assert bytes(answer[at:]) == b"\0\0", answer[at:]
    return configs


def test_a_creation_on_trial_answers_the_configuration_of_a_real_one():
    with Broker() as broker:
        with broker.connect() as raw:
            trial = created_configs(raw, 1, b"maybe", True)
            assert trial == created_configs(raw, 2, b"maybe", False)
        assert {(b"cleanup.policy", b"compact", 0, 1), (b"max.message.bytes", b"54321", 0, 1)} < set(trial), trial


def test_a_record_without_a_key_is_refused_on_a_compacted_topic():
    with Broker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic("compact", 1, 1,
                                      config={"cleanup.policy": "compact"})])["compact"].result(10)
        errors = []
        producer = Producer({"bootstrap.servers": broker.address})
        producer.produce("compact", b"v", key=b"k", on_delivery=lambda e, _: errors.append(e))
        producer.flush(10)
        producer.produce("compact", b"v", on_delivery=lambda e, _: errors.append(e))
        producer.flush(10)
        assert errors[0] is None and errors[1].name() == "INVALID_RECORD", errors


def test_many_producers_at_once_lose_nothing():
    with Broker() as broker:
        threads = [threading.Thread(target=produce, args=(broker, "many", VALUES))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        consumer = consumer_of(broker, "reader")
        consumer.assign([TopicPartition("many", 0, OFFSET_BEGINNING)])
        got = take(consumer, 8 * len(VALUES))
        assert [message.offset() for message in got] == list(range(8 * len(VALUES)))
        consumer.close()


def test_broker_options_are_told_as_they_are_in_force():
    with Broker("kafka.connections_idle_ms=500", "kafka.fetch_session_slots=7") as broker:
        with broker.connect() as silent:
            assert silent.is_closed()
        resource = ConfigResource("broker", "1")
        admin = AdminClient({"bootstrap.servers": broker.address})
        told = admin.describe_configs([resource])[resource].result(10)
        assert told["connections.max.idle.ms"].value == "500"
        assert told["max.incremental.fetch.session.cache.slots"].value == "7"


load_tests = loader(globals())
