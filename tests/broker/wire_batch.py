"""Record batches of format 2 by hand, and what Produce and Fetch say of them, for tests that no client library can write."""
import struct

from kafka_wire import call

TABLE = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    TABLE.append(number)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def zigzag(number):
    number, out = (number << 1) ^ (number >> 63), b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def record(index, key, value, delta=0):
    def text(data):
        return zigzag(-1) if data is None else zigzag(len(data)) + data
    body = b"\0" + zigzag(delta) + zigzag(index) + text(key) + text(value) + zigzag(0)
    return zigzag(len(body)) + body


def batch(records, codec=0, compress=lambda data: data, times=None, producer=-1, epoch=-1, sequence=-1, attributes=0):
    """records: values, or (key, value); times: of each, milliseconds."""
    pairs = [one if isinstance(one, tuple) else (None, one) for one in records]
    times = times or [1] * len(pairs)
    data = b"".join(record(i, key, value, times[i] - times[0]) for i, (key, value) in enumerate(pairs))
    tail = struct.pack(">hiqqqhii", codec | attributes, len(pairs) - 1, times[0], max(times), producer, epoch, sequence,
                       len(pairs)) + compress(data)
    body = struct.pack(">ibI", 0, 2, crc32c(tail)) + tail
    return struct.pack(">qi", 0, len(body)) + body


def headers(data):
    """Of each whole batch in the records of a fetch."""
    found = []
    while len(data) >= 61 and len(data) >= 12 + struct.unpack_from(">i", data, 8)[0]:
        base, size, epoch, _, crc, attributes, last, first_time, max_time, producer, producer_epoch, sequence, count = \
            struct.unpack_from(">qiibIhiqqqhii", data)
        assert crc == crc32c(data[21:12 + size]), "the checksum of a batch"
        found.append({"base_offset": base, "last_offset": base + last, "leader_epoch": epoch, "attributes": attributes,
                      "max_time": max_time, "producer": producer, "epoch": producer_epoch, "sequence": sequence,
                      "count": count, "size": 12 + size})
        data = data[12 + size:]
    return found


def produce_on(raw, topic, records, partition=0, version=9, acks=-1, transactional_id=None):
    """The answer for the one partition."""
    answer = call(raw, "Produce", version, {"acks": acks, "timeout_ms": 30000, "transactional_id": transactional_id, "topic_data": [
        {"name": topic, "partition_data": [{"index": partition, "records": records}]}]})
    return answer["responses"][0]["partition_responses"][0]


def produce(broker, topic, records, **more):
    with broker.connect() as raw:
        return produce_on(raw, topic, records, **more)


def fetch_request(topic, offset=0, partition=0, bytes_max=1 << 20, epoch=-1, **more):
    return dict({"max_wait_ms": 0, "min_bytes": 0, "topics": [{"topic": topic, "partitions": [
        {"partition": partition, "fetch_offset": offset, "partition_max_bytes": bytes_max, "current_leader_epoch": epoch}]}]}, **more)


def fetch(broker, topic, offset=0, version=11, **more):
    with broker.connect() as raw:
        answer = call(raw, "Fetch", version, fetch_request(topic, offset, **more))
    return answer["responses"][0]["partitions"][0]
