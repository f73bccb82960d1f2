"""What topic configurations do to records: compression.type and its levels, times, sizes, min.insync.replicas."""
import struct
import time
import zlib

from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka_wire import call
from sluice_broker import Broker, loader
from test_topic_configs import SET, DELETE, create, incremental

NEEDS = ("frontend_kafka",)

OK, TOO_LARGE, NOT_ENOUGH_REPLICAS, BAD_TIME, INVALID_RECORD, BAD_CONFIG = 0, 10, 19, 32, 87, 40
CODECS = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
TEXT = b"".join(b'{"id": %d, "name": "n%d", "seen": %d}' % (i, zlib.crc32(b"%d" % i) % 977, i * i) for i in range(400))


def batch(codec=0, count=3, value=TEXT, time_ms=None, key=b"k"):
    builder = DefaultRecordBatchBuilder(2, codec, False, -1, -1, -1, 1 << 30)
    for i in range(count):
        builder.append(i, int(time.time() * 1000) if time_ms is None else time_ms, key, value, [])
    return bytes(builder.build())


def produce(raw, topic, records, acks=-1, version=9):
    """The answer for the partition."""
    answer = call(raw, "Produce", version, {"acks": acks, "timeout_ms": 1000, "topic_data": [
        {"name": topic, "partition_data": [{"index": 0, "records": records}]}]})
    return answer["responses"][0]["partition_responses"][0]


def fetch(raw, topic, offset):
    """The batch that holds the offset."""
    answer = call(raw, "Fetch", 11, {"max_wait_ms": 0, "session_epoch": -1, "topics": [{"topic": topic, "partitions": [
        {"partition": 0, "fetch_offset": offset, "partition_max_bytes": 1}]}]})
    return answer["responses"][0]["partitions"][0]["records"]


def codec_of(data):
    return struct.unpack(">h", data[21:23])[0] & 7


def values(data):
    return [record.value for record in DefaultRecordBatch(bytearray(data))]


def test_batches_are_compressed_as_the_topic_says_and_the_change_is_live():
    with Broker() as broker, broker.connect() as raw:
        create(broker, "t")
        expected = [TEXT] * 3
        for word, codec in CODECS.items():
            assert incremental(broker, "t", ("compression.type", SET, word)) == (OK, None)
            for sent in (0, 1):
                answer = produce(raw, "t", batch(sent))
                assert answer["error_code"] == OK, answer
                data = fetch(raw, "t", answer["base_offset"])
                assert codec_of(data) == codec and DefaultRecordBatch(bytearray(data)).validate_crc()
                assert codec > 1 or values(data) == expected
        assert incremental(broker, "t", ("compression.type", DELETE, None)) == (OK, None)
        for sent in (0, 1):
            data = fetch(raw, "t", produce(raw, "t", batch(sent))["base_offset"])
            assert codec_of(data) == sent and values(data) == expected


def test_a_higher_level_is_smaller_and_a_batch_that_grows_too_large_is_refused():
    with Broker() as broker, broker.connect() as raw:
        for word, fast, small in (("gzip", "2", "9"), ("lz4", "9", "12"), ("zstd", "-20", "15")):
            create(broker, word, compression_type=word)
            sizes = []
            for level in (fast, small):
                assert incremental(broker, word, ("compression.%s.level" % word, SET, level)) == (OK, None)
                sizes.append(len(fetch(raw, word, produce(raw, word, batch())["base_offset"])))
            assert sizes[0] > sizes[1], (word, sizes)
        assert incremental(broker, "gzip", ("compression.gzip.level", SET, "0"))[0] == BAD_CONFIG
        create(broker, "t", compression_type="uncompressed", max_message_bytes="2000")
        packed = batch(1, value=b"x" * 3000)
        assert len(packed) < 2000
        assert produce(raw, "t", packed)["error_code"] == TOO_LARGE
        assert incremental(broker, "t", ("max.message.bytes", SET, "20000")) == (OK, None)
        assert produce(raw, "t", packed)["base_offset"] == 0


def test_times_are_the_brokers_or_within_their_bounds():
    with Broker() as broker, broker.connect() as raw:
        create(broker, "t", message_timestamp_type="LogAppendTime", compression_type="gzip")
        for codec in (0, 1):
            answer = produce(raw, "t", batch(codec, time_ms=5))
            data = fetch(raw, "t", answer["base_offset"])
            assert struct.unpack(">h", data[21:23])[0] & 8 and answer["log_append_time_ms"] > 5
            assert struct.unpack(">q", data[35:43])[0] == answer["log_append_time_ms"]
            assert DefaultRecordBatch(bytearray(data)).validate_crc() and codec_of(data) == 1
        assert incremental(broker, "t", ("message.timestamp.type", SET, "CreateTime"),
                           ("message.timestamp.before.max.ms", SET, "60000")) == (OK, None)
        now = int(time.time() * 1000)
        old, ahead = produce(raw, "t", batch(time_ms=now - 120000)), produce(raw, "t", batch(time_ms=now + 7200000))
        for answer in (old, ahead):
            assert answer["error_code"] == BAD_TIME and len(answer["record_errors"]) == 3, answer
        answer = produce(raw, "t", batch(time_ms=now))
        assert (answer["error_code"], answer["log_append_time_ms"]) == (OK, -1)
        assert incremental(broker, "t", ("message.timestamp.after.max.ms", SET, "36000000")) == (OK, None)
        assert produce(raw, "t", batch(time_ms=now + 7200000))["error_code"] == OK


def test_two_replicas_in_sync_are_not_to_be_had():
    with Broker() as broker, broker.connect() as raw:
        create(broker, "t", min_insync_replicas="2")
        answer = produce(raw, "t", batch())
        assert answer["error_code"] == NOT_ENOUGH_REPLICAS and "min.insync.replicas" in answer["error_message"], answer
        assert produce(raw, "t", batch(), acks=1)["error_code"] == OK
        assert incremental(broker, "t", ("min.insync.replicas", SET, "1")) == (OK, None)
        assert produce(raw, "t", batch())["error_code"] == OK


def test_records_of_a_compacted_topic_need_keys_whatever_the_codec_becomes():
    with Broker() as broker, broker.connect() as raw:
        create(broker, "t", cleanup_policy="compact", compression_type="lz4")
        for codec in (0, 1):
            answer = produce(raw, "t", batch(codec, key=None))
            assert answer["error_code"] == INVALID_RECORD and [e["batch_index"] for e in answer["record_errors"]] == [0, 1, 2]
        assert produce(raw, "t", batch(1))["base_offset"] == 0


load_tests = loader(globals())
