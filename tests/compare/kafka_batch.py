"""Record batches of magic 2 and message sets of magic 0 and 1, written and read, for tests that compare them by field."""
import gzip
import struct

HEAD = struct.Struct(">qiibIhiqqqhii")
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 8, 16, 32


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def zigzag(number):
    number = number << 1 if number >= 0 else (-number << 1) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def text(data):
    if data is None:
        return zigzag(-1)
    data = data if isinstance(data, bytes) else data.encode()
    return zigzag(len(data)) + data


def record(offset, key, value, headers=(), timestamp_delta=0):
    body = b"\0" + zigzag(timestamp_delta) + zigzag(offset) + text(key) + text(value) + zigzag(len(headers))
    for name, held in headers:
        body += text(name) + text(held)
    return zigzag(len(body)) + body


def batch(records, producer=(-1, -1, -1), timestamp=1700000000000, attributes=0, codec="none", base_offset=0, magic=2,
          last_offset_delta=None, count=None, wrong_crc=False, length=None, max_timestamp=None, epoch=-1, cut=0):
    """`records`: keys and values, and headers where there are any; the rest is what a test may want wrong."""
    data = b"".join(record(i, *entry) for i, entry in enumerate(records))
    if codec == "gzip":
        data = gzip.compress(data, mtime=0)
    last = len(records) - 1 if last_offset_delta is None else last_offset_delta
    behind = struct.pack(">hiqqqhii", attributes | CODECS[codec], last, timestamp,
                         timestamp if max_timestamp is None else max_timestamp, *producer,
                         len(records) if count is None else count) + data
    crc = crc32c(behind) ^ (1 if wrong_crc else 0)
    size = len(behind) + 9 if length is None else length
    whole = struct.pack(">qiibI", base_offset, size, epoch, magic, crc) + behind
    return whole[:len(whole) - cut]


def message_set(entries, magic=1, timestamp=1700000000000):
    """Without a codec."""
    import zlib
    out = b""
    for i, (key, value) in enumerate(entries):
        body = struct.pack(">bb", magic, 0) + (struct.pack(">q", timestamp) if magic else b"")
        for part in (key, value):
            part = None if part is None else part.encode()
            body += struct.pack(">i", -1) if part is None else struct.pack(">i", len(part)) + part
        body = struct.pack(">I", zlib.crc32(body)) + body
        out += struct.pack(">qi", i, len(body)) + body
    return out


def describe(data):
    """The batches in the records of an answer, each as a dictionary."""
    found = []
    while len(data) >= HEAD.size:
        (base, size, epoch, magic, crc, attributes, last, first_ms, max_ms, producer, producer_epoch, sequence,
         count) = HEAD.unpack_from(data)
        whole = data[:size + 12]
        if len(whole) < size + 12:
            break
        found.append({"base_offset": base, "size": size, "leader_epoch": epoch, "magic": magic, "attributes": attributes,
                      "last_offset_delta": last, "first_timestamp": first_ms, "max_timestamp": max_ms, "producer_id": producer,
                      "producer_epoch": producer_epoch, "sequence": sequence, "count": count,
                      "crc": "right" if crc32c(whole[21:]) == crc else "wrong", "records": whole[HEAD.size:].hex()})
        data = data[size + 12:]
    if data:
        found.append({"rest": len(data)})
    return found
