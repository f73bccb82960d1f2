"""The legacy tier (kafka.legacy: true): versions that Kafka 4 dropped, with message sets of magic 0 and 1, by clients of
the time and by raw requests. Sets are built and read by kafka-python's own code."""
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka_wire import call, tables
from sluice_broker import Broker, loader, need

NEEDS = ("frontend_kafka",)

OK, CORRUPT, UNSUPPORTED_CODEC, INVALID_RECORD, UNKNOWN_TOPIC = 0, 2, 76, 87, 3
DROPPED = {"Produce": 3, "Fetch": 4, "ListOffsets": 1, "OffsetCommit": 2, "OffsetFetch": 1, "CreateTopics": 2,
           "DeleteTopics": 1, "DescribeConfigs": 1}  # first version without the tier
WORDS = [b"one", b"two", None, b"four" * 40]


def legacy(*settings):
    broker = Broker("kafka.legacy=true", *settings)
    assert broker.run("topic", "create", "t")[0] == 0
    return broker


def old_set(magic, codec=0, values=WORDS, time_ms=5000):
    builder = LegacyRecordBatchBuilder(magic, codec, 1 << 20)
    for i, value in enumerate(values):
        builder.append(i, time_ms + i, b"k%d" % i, value)
    return bytes(builder.build())


def new_batch(codec=0, values=WORDS, headers=True):
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 20)
    for i, value in enumerate(values):
        builder.append(i, 5000 + i, b"k%d" % i, value, [("h", b"1")] if headers else [])
    return bytes(builder.build())


def produce(raw, version, records, acks=1, topic="t"):
    answer = call(raw, "Produce", version, {"acks": acks, "timeout_ms": 1000, "topic_data": [
        {"name": topic, "partition_data": [{"index": 0, "records": records}]}]})
    return answer["responses"][0]["partition_responses"][0]


def fetch(raw, version, offset, bytes_max=1 << 20, wait_ms=0, topic="t"):
    answer = call(raw, "Fetch", version, {"max_wait_ms": wait_ms, "min_bytes": 1, "replica_id": -1, "topics": [
        {"topic": topic, "partitions": [{"partition": 0, "fetch_offset": offset, "partition_max_bytes": bytes_max}]}]})
    return answer["responses"][0]["partitions"][0]


def read(data):
    """(offset, time, key, value) of every record, and the magics of the sets."""
    found, magics, sets = [], set(), MemoryRecords(data)
    while sets.has_next():
        one = sets.next_batch()
        magics.add(0 if not isinstance(one, DefaultRecordBatch) and one._magic == 0 else 2 if isinstance(one, DefaultRecordBatch) else 1)
        assert one.validate_crc()
        found += [(r.offset, r.timestamp, r.key, r.value) for r in one]
    return found, magics


def test_what_is_dropped_is_offered_and_served_with_it_alone():
    with Broker() as plain, legacy() as old:
        for broker, is_old in ((plain, False), (old, True)):
            with broker.connect() as raw:
                ranges = {one["api_key"]: one["min_version"] for one in call(raw, "ApiVersions", 3, {
                    "client_software_name": "x", "client_software_version": "1"})["api_keys"]}
            for name, first in DROPPED.items():
                table = tables()[name]
                assert (table.first, table.legacy) == (first, 0)
                assert ranges[table.key] == (0 if is_old or name == "Produce" else first), name
        for name, first in DROPPED.items():
            with plain.connect() as raw:
                try:
                    answer = call(raw, name, first - 1, {})
                except (ConnectionError, EOFError):
                    continue
                assert False, (name, answer)


def test_every_old_set_is_taken_and_every_reader_gets_its_records():
    with legacy() as broker, broker.connect() as raw:
        base = 0
        for version in (0, 1, 2):
            for magic in (0, 1):
                for codec in (0, 1):
                    answer = produce(raw, version, old_set(magic, codec))
                    assert (answer["error_code"], answer["base_offset"]) == (OK, base), answer
                    times = [-1] * 4 if magic == 0 else [5000, 5001, 5002, 5003]
                    expected = [(base + i, times[i], b"k%d" % i, value) for i, value in enumerate(WORDS)]
                    assert read(fetch(raw, 11, base)["records"]) == (expected, {2})
                    assert read(fetch(raw, 2, base)["records"]) == (expected, {1})
                    found, magics = read(fetch(raw, 0, base)["records"])
                    assert magics == {0} and [(r[0], r[2], r[3]) for r in found] == [(r[0], r[2], r[3]) for r in expected]
                    base += 4


def test_batches_come_down_from_any_offset_within_the_soft_bound():
    with legacy() as broker, broker.connect() as raw:
        values = [b"v%05d" % i for i in range(300)]
        for codec in (0, 1):
            assert produce(raw, 9, new_batch(codec, values))["error_code"] == OK
        for version in (0, 1, 2, 3):
            at, seen = 7, []
            while at < 600:
                answer = fetch(raw, version, at, bytes_max=1000)
                found, _ = read(answer["records"])
                assert found and answer["high_watermark"] == 600 and len(answer["records"]) < 20000
                found = [record for record in found if record[0] >= at]
                seen += found
                at = found[-1][0] + 1
            assert [r[0] for r in seen] == list(range(7, 600)) and [r[3] for r in seen] == (values * 2)[7:]
            assert fetch(raw, version, 600)["records"] in (b"", None)


def test_what_cannot_be_is_refused_and_what_is_beside_it_is_taken():
    with legacy() as broker, broker.connect() as raw:
        good, bad = old_set(1), bytearray(old_set(1))
        bad[30] ^= 1
        answer = produce(raw, 2, bytes(bad))
        assert answer["error_code"] == CORRUPT, answer
        assert produce(raw, 2, good[:-3])["error_code"] == CORRUPT
        assert produce(raw, 2, b"")["error_code"] == INVALID_RECORD
        assert broker.run("topic", "create", "u", "-p", "2")[0] == 0
        answer = call(raw, "Produce", 2, {"acks": 1, "timeout_ms": 1000, "topic_data": [
            {"name": "u", "partition_data": [{"index": 0, "records": bytes(bad)}, {"index": 1, "records": good}]},
            {"name": "absent", "partition_data": [{"index": 0, "records": good}]}]})
        codes = [one["error_code"] for topic in answer["responses"] for one in topic["partition_responses"]]
        assert codes == [CORRUPT, OK, UNKNOWN_TOPIC], codes
        assert broker.run("topic", "create", "z", "-c", "compression.type=zstd")[0] == 0
        assert produce(raw, 2, good, topic="z")["error_code"] == OK
        assert fetch(raw, 2, 0, topic="z")["error_code"] == UNSUPPORTED_CODEC


def transact(raw, values, sequence):
    """One committed transaction with a batch, or without."""
    who = call(raw, "InitProducerId", 2, {"transactional_id": "x", "transaction_timeout_ms": 60000})
    assert who["error_code"] == OK
    one = {"transactional_id": "x", "producer_id": who["producer_id"], "producer_epoch": who["producer_epoch"]}
    call(raw, "AddPartitionsToTxn", 1, {"v3_and_below_transactional_id": "x", "v3_and_below_producer_id": who["producer_id"],
                                        "v3_and_below_producer_epoch": who["producer_epoch"],
                                        "v3_and_below_topics": [{"name": "t", "partitions": [0]}]})
    builder = DefaultRecordBatchBuilder(2, 0, True, who["producer_id"], who["producer_epoch"], sequence, 1 << 20)
    for i, value in enumerate(values):
        builder.append(i, 5000, b"k", value, [])
    answer = call(raw, "Produce", 9, {"transactional_id": "x", "acks": -1, "timeout_ms": 1000, "topic_data": [
        {"name": "t", "partition_data": [{"index": 0, "records": bytes(builder.build())}]}]})
    assert answer["responses"][0]["partition_responses"][0]["error_code"] == OK, answer
    assert call(raw, "EndTxn", 1, dict(one, committed=True))["error_code"] == OK


def test_an_old_reader_passes_over_markers_of_transactions():
    with legacy() as broker, broker.connect() as raw:
        transact(raw, [b"a"], 0)
        transact(raw, [b"b"], 0)
        found, _ = read(fetch(raw, 2, 1, bytes_max=1, wait_ms=2000)["records"])
        assert [(r[0], r[3]) for r in found] == [(2, b"b")], "behind the marker at 1"
        assert fetch(raw, 2, 3, wait_ms=100)["records"] in (b"", None), "there is a marker alone"


def test_offsets_topics_and_configurations_in_their_first_versions():
    with legacy() as broker, broker.connect() as raw:
        for _ in range(2):
            assert produce(raw, 2, old_set(1))["error_code"] == OK

        def offsets(time, count=1):
            return call(raw, "ListOffsets", 0, {"replica_id": -1, "topics": [{"name": "t", "partitions": [
                {"partition_index": 0, "timestamp": time, "max_num_offsets": count}]}]})["topics"][0]["partitions"][0]

        assert [offsets(time, count)["old_offsets"] for time, count in ((-1, 1), (-1, 9), (-2, 1), (5002, 1), (9999, 1), (-1, 0))] == [
            [8], [8, 0], [0], [2], [8], []]
        for version in (0, 1):
            answer = call(raw, "OffsetCommit", version, dict({"group_id": "g", "topics": [{"name": "t", "partitions": [
                {"partition_index": 0, "committed_offset": 3 + version, "committed_metadata": "m"}]}]}))
            assert answer["topics"][0]["partitions"][0]["error_code"] == OK
            found = call(raw, "OffsetFetch", 0, {"group_id": "g", "topics": [{"name": "t", "partition_indexes": [0]}]})
            assert found["topics"][0]["partitions"][0]["committed_offset"] == 3 + version
        for version in (0, 1):
            made = call(raw, "CreateTopics", version, {"timeout_ms": 1000, "topics": [
                {"name": "n%d" % version, "num_partitions": 1, "replication_factor": 1, "configs": [{"name": "retention.ms", "value": "9"}]}]})
            assert made["topics"][0]["error_code"] == OK
        told = call(raw, "DescribeConfigs", 0, {"resources": [{"resource_type": 2, "resource_name": "n0", "configuration_keys": None}]})
        by_name = {one["name"]: one for one in told["results"][0]["configs"]}
        assert by_name["retention.ms"]["value"] == "9" and not by_name["retention.ms"]["is_default"]
        assert by_name["cleanup.policy"]["is_default"]
        gone = call(raw, "DeleteTopics", 0, {"topic_names": ["n0", "n1", "n2"], "timeout_ms": 1000})
        assert [one["error_code"] for one in gone["responses"]] == [OK, OK, UNKNOWN_TOPIC]


def test_kafka_python_as_of_0_9_and_0_10_produces_and_reads_as_a_group():
    with legacy() as broker:
        for version in ((0, 9), (0, 10)):
            topic = "v%d%d" % version[:2]
            assert broker.run("topic", "create", topic)[0] == 0
            for codec in (None, "gzip"):
                producer = KafkaProducer(bootstrap_servers=broker.address, api_version=version, compression_type=codec, acks="all")
                sent = [producer.send(topic, b"%d" % i) for i in range(50)]
                assert [one.get(10).offset for one in sent][-1] % 50 == 49
                producer.close()
            group = "g" + topic
            consumer = KafkaConsumer(bootstrap_servers=broker.address, api_version=version, group_id=group, consumer_timeout_ms=20000,
                                     auto_offset_reset="earliest", enable_auto_commit=False)
            consumer.subscribe([topic])
            got = []
            for record in consumer:
                got.append((record.offset, record.value))
                if len(got) == 100:
                    break
            assert got == [(i, b"%d" % (i % 50)) for i in range(100)], (version, got)
            consumer.commit()
            assert consumer.committed(TopicPartition(topic, 0)) == 100
            consumer.close()


def test_librdkafka_that_asks_for_no_versions_speaks_as_0_9_and_0_10():
    need("kcat")
    lines = ["line %d of text that repeats, repeats, repeats" % i for i in range(200)]
    with legacy() as broker:
        for release, codecs in (("0.9.0", ("snappy", "lz4")), ("0.10.0", ("lz4",))):
            old = ["-X", "api.version.request=false", "-X", "broker.version.fallback=" + release]
            for codec in codecs:
                topic = "r%s.%s" % (release, codec)
                assert broker.run("topic", "create", topic)[0] == 0
                broker.kcat("-P", "-t", topic, "-p", "0", "-z", codec, *old, lines=lines)
                out = broker.kcat("-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", *old)
                assert out == lines, (release, codec, out[:3])


load_tests = loader(globals())
