"""Transactions (KIP-98), with confluent-kafka over librdkafka: what readers see of them, whatever happens meanwhile."""
import os
import struct

try:
    from confluent_kafka import (OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer,
                                 TopicPartition)
    from confluent_kafka.admin import AdminClient, NewTopic
except ImportError as error:
    MISSING = str(error)

from sluice_broker import Broker, loader, request, wait_for


def producer_of(broker, name, timeout_ms=60000):
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": name, "linger.ms": 2,
                         "transaction.timeout.ms": timeout_ms, "topic.metadata.refresh.interval.ms": 100})
    producer.init_transactions(30)
    return producer


def make_topic(broker, name, partitions=1, **config):
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(10)


def send(producer, topic, values, partition=0):
    for value in values:
        producer.produce(topic, value, partition=partition)
    assert producer.flush(30) == 0


def read(broker, topic, committed=True, partition=0):
    """What a reader gets up to the end that it is told; nothing where there is no such topic."""
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "reader", "enable.partition.eof": True,
                         "fetch.wait.max.ms": 10, "isolation.level": "read_committed" if committed else "read_uncommitted"})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    values = []
    while True:
        message = consumer.poll(20)
        assert message is not None, "neither a record nor the end"
        if message.error() is None:
            values.append(message.value())
        elif message.error().code() in (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART):
            break
        else:
            raise AssertionError(message.error())
    consumer.close()
    return values


def ends(broker, topic, partition=0):
    """Last stable offset and high watermark, by ListOffsets 2."""
    found = []
    for isolation in (1, 0):
        body = (struct.pack(">ibi", -1, isolation, 1) + struct.pack(">h", len(topic)) + topic.encode()
                + struct.pack(">iiq", 1, partition, -1))
        with broker.connect() as connection:
            connection.send_frame(request(2, 2, 7, body))
            answer = connection.read_frame()
        error, _, offset = struct.unpack(">hqq", answer[-18:])
        assert error == 0, error
        found.append(offset)
    return tuple(found)


def code_of(caught):
    return caught.args[0].code()


def test_what_is_committed_is_seen_and_what_is_aborted_is_not():
    with Broker() as broker:
        make_topic(broker, "t", 2)
        producer = producer_of(broker, "a")
        producer.begin_transaction()
        send(producer, "t", [b"one", b"two"])
        send(producer, "t", [b"other"], 1)
        producer.commit_transaction(30)
        producer.begin_transaction()
        send(producer, "t", [b"never"])
        producer.abort_transaction(30)
        producer.begin_transaction()
        send(producer, "t", [b"three"])
        producer.commit_transaction(30)
        assert read(broker, "t") == [b"one", b"two", b"three"]
        assert read(broker, "t", partition=1) == [b"other"]
        assert read(broker, "t", committed=False) == [b"one", b"two", b"never", b"three"]
        assert ends(broker, "t") == (7, 7), "markers occupy offsets"


def test_readers_of_committed_records_wait_at_the_last_stable_offset():
    with Broker() as broker:
        make_topic(broker, "t")
        producer, plain = producer_of(broker, "a"), Producer({"bootstrap.servers": broker.address})
        send(plain, "t", [b"before"])
        producer.begin_transaction()
        send(producer, "t", [b"open"])
        send(plain, "t", [b"behind"])
        assert ends(broker, "t") == (1, 3)
        assert read(broker, "t") == [b"before"]
        assert read(broker, "t", committed=False) == [b"before", b"open", b"behind"]
        producer.commit_transaction(30)
        assert read(broker, "t") == [b"before", b"open", b"behind"]


def test_a_second_producer_aborts_and_fences_the_first():
    with Broker() as broker:
        make_topic(broker, "t")
        first = producer_of(broker, "a")
        first.begin_transaction()
        send(first, "t", [b"of the first"])
        second = producer_of(broker, "a")
        assert ends(broker, "t") == (2, 2), "what was open is aborted"
        second.begin_transaction()
        send(second, "t", [b"of the second"])
        try:
            first.commit_transaction(30)
            raise AssertionError("it was not fenced")
        except KafkaException as error:
            assert error.args[0].fatal() and code_of(error) == KafkaError._FENCED, error
        second.commit_transaction(30)
        assert read(broker, "t") == [b"of the second"]


def test_a_transaction_that_runs_out_of_time_is_aborted():
    with Broker() as broker:
        make_topic(broker, "t")
        producer = producer_of(broker, "a", timeout_ms=1000)
        producer.begin_transaction()
        send(producer, "t", [b"late"])
        wait_for(lambda: ends(broker, "t") == (2, 2), "the marker")
        assert read(broker, "t") == []
        try:
            producer.commit_transaction(30)
            raise AssertionError("it was not fenced")
        except KafkaException as error:
            assert error.args[0].fatal(), error


def test_an_open_transaction_outlives_a_kill_and_is_committed_after_it():
    with Broker() as broker:
        make_topic(broker, "t", 3)
        producer = producer_of(broker, "a")
        producer.begin_transaction()
        send(producer, "t", [b"never"], 1)
        producer.abort_transaction(30)
        producer.begin_transaction()
        for partition in range(3):
            send(producer, "t", [b"before the kill"], partition)
        broker.crash()
        broker.start()
        assert ends(broker, "t") == (0, 1)
        assert read(broker, "t", partition=1) == []
        producer.commit_transaction(60)
        for partition in range(3):
            assert read(broker, "t", partition=partition) == [b"before the kill"]


def test_aborted_transactions_are_known_after_their_segments_were_sealed():
    with Broker("wal.segment_bytes=2 MiB", "wal.bytes_max=16 MiB", "wal.frame_bytes_max=1900 KiB",
                "wal.group_bytes_max=256 KiB", "wal.seal_bytes=4 MiB", "runtime.shards=1") as broker:
        make_topic(broker, "t")
        producer = producer_of(broker, "a")
        producer.begin_transaction()
        send(producer, "t", [b"never"])
        producer.abort_transaction(30)
        producer.begin_transaction()
        send(producer, "t", [b"seen"])
        producer.commit_transaction(30)
        make_topic(broker, "filler")
        plain = Producer({"bootstrap.servers": broker.address})

        def is_sealed():
            send(plain, "filler", [bytes(500000)] * 4)
            return any(name.endswith(".ext") for _, _, names in os.walk(broker.home) for name in names)

        wait_for(is_sealed, "an extent")
        broker.crash()
        broker.start()
        assert read(broker, "t") == [b"seen"]
        assert read(broker, "t", committed=False) == [b"never", b"seen"]


def test_consuming_transforming_and_producing_is_exactly_once_over_kills():
    count = 60
    with Broker() as broker:
        make_topic(broker, "in")
        make_topic(broker, "out")
        send(Producer({"bootstrap.servers": broker.address}), "in", [b"%d" % i for i in range(count)])
        for round_number in range(3):
            copy(broker, kill=round_number < 2)
        assert read(broker, "out") == [b"done %d" % i for i in range(count)]


def copy(broker, kill):
    """Copies until the end, or until the broker was killed in the middle of a transaction."""
    producer = producer_of(broker, "copier")
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "copier", "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 10,
                         "isolation.level": "read_committed"})
    consumer.assign([committed for committed in consumer.committed([TopicPartition("in", 0)], 30)])
    at_end, done = False, 0
    while not at_end:
        producer.begin_transaction()
        for _ in range(7):
            message = consumer.poll(20)
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                at_end = True
                break
            producer.produce("out", b"done " + message.value())
        producer.send_offsets_to_transaction(consumer.position([TopicPartition("in", 0)]),
                                             consumer.consumer_group_metadata(), 30)
        done += 1
        if kill and done == 3:
            producer.flush(30)
            broker.crash()
            broker.start()
            break
        producer.commit_transaction(30)
    consumer.close()


def test_offsets_of_an_open_transaction_are_unstable_and_of_an_aborted_one_gone():
    with Broker() as broker:
        make_topic(broker, "in")
        make_topic(broker, "out")
        producer = producer_of(broker, "a")
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "g"})

        def offer(offset):
            producer.begin_transaction()
            send(producer, "out", [b"x"])
            producer.send_offsets_to_transaction([TopicPartition("in", 0, offset)],
                                                 consumer.consumer_group_metadata(), 30)

        def committed(stable):
            # OffsetFetch 7, flexible: compact strings and arrays, then require_stable.
            body = b"\x02g" + b"\x02" + b"\x03in" + b"\x02" + struct.pack(">i", 0) + b"\x00" + bytes([stable]) + b"\x00"
            with broker.connect() as connection:
                connection.send_frame(struct.pack(">hhih", 9, 7, 1, 1) + b"c" + b"\x00" + body)
                answer = connection.read_frame()
            at = answer.index(b"\x03in") + 4
            _, offset, _ = struct.unpack(">iqi", answer[at:at + 16])
            error = struct.unpack(">h", answer[at + 17:at + 19])[0]
            return error, offset

        offer(5)
        assert committed(stable=1)[0] == 88
        assert committed(stable=0) == (0, -1)
        producer.commit_transaction(30)
        assert committed(stable=1) == (0, 5)
        offer(9)
        producer.abort_transaction(30)
        assert committed(stable=1) == (0, 5)
        consumer.close()


def test_transactions_are_refused_where_a_topic_is_not_acknowledged_when_durable():
    with Broker() as broker:
        for durability in ("os", "memory"):
            make_topic(broker, durability, **{"sluice.durability": durability})
            producer = producer_of(broker, durability)
            producer.begin_transaction()
            producer.produce(durability, b"x")
            try:
                producer.commit_transaction(30)
                raise AssertionError("it was taken")
            except KafkaException as error:
                assert error.args[0].txn_requires_abort(), error


def test_compaction_does_not_let_an_aborted_record_take_the_place_of_a_committed_one():
    with Broker("wal.segment_bytes=2 MiB", "wal.bytes_max=16 MiB", "wal.frame_bytes_max=1900 KiB",
                "wal.group_bytes_max=256 KiB", "wal.seal_bytes=2 MiB", "wal.age_max=1 s",
                "compaction.check_interval=50 ms", "runtime.shards=1") as broker:
        make_topic(broker, "t", **{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"})
        make_topic(broker, "filler")
        producer = producer_of(broker, "a")
        for value, commits in ((b"old", True), (b"committed", True), (b"aborted", False)):
            producer.begin_transaction()
            producer.produce("t", value, b"key", partition=0)
            assert producer.flush(30) == 0
            if commits:
                producer.commit_transaction(30)
            else:
                producer.abort_transaction(30)
        plain = Producer({"bootstrap.servers": broker.address})

        def is_compacted():
            send(plain, "filler", [bytes(1000)] * 500)
            return b"old" not in read(broker, "t", committed=False)

        wait_for(is_compacted, "compaction", 0.1)
        assert read(broker, "t") == [b"committed"]
        broker.crash()
        broker.start()
        assert read(broker, "t") == [b"committed"]


STAGE = """return { name = "copy", on = "log", input = "in", output = "out",
         process = function(record) return record end }
"""


def test_a_stage_reads_what_was_committed_and_nothing_else():
    with Broker() as broker:
        make_topic(broker, "in")
        with open(os.path.join(broker.home, "plugins", "copy.lua"), "w", encoding="utf-8") as file:
            file.write(STAGE)
        wait_for(lambda: "copy.lua" in broker.log(), "the stage")
        producer = producer_of(broker, "a")
        producer.begin_transaction()
        send(producer, "in", [b"never"])
        producer.abort_transaction(30)
        producer.begin_transaction()
        send(producer, "in", [b"first"])
        producer.commit_transaction(30)
        producer.begin_transaction()
        send(producer, "in", [b"second"])
        wait_for(lambda: read(broker, "out") == [b"first"], "the first")
        producer.commit_transaction(30)
        wait_for(lambda: read(broker, "out") == [b"first", b"second"], "both")


load_tests = loader(globals())
