"""Kafka's requests and responses of any version as Python values, for tests that no client library can write.

    with broker.connect() as raw:
        answer = call(raw, "DescribeCluster", 2, {"endpoint_type": 1})
        answer["brokers"][0]["port"]

Encoder and decoder of their own, driven by the tables of plugins/frontend_kafka/codec/messages; what is not given
has its default. Names are those of the tables; records and bytes are bytes, uuids 16 bytes, None is null."""
import functools
import glob
import os
import struct

from sluice_broker import SOURCE

FOLDER = os.path.join(SOURCE, "plugins", "frontend_kafka", "codec", "messages")
NUMBERS = {"int8": ">b", "int16": ">h", "int32": ">i", "int64": ">q", "float64": ">d"}
NO_UUID = bytes(16)


class Field:
    def __init__(self, name, kind, first, last):
        self.name, self.array, self.kind = name, kind.startswith("[]"), kind.replace("[]", "")
        self.first, self.last, self.tag, self.null_from = first, last, None, None
        self.default, self.classic, self.fields = None, False, None

    def attributes(self, words):
        words = list(words)
        while words:
            word = words.pop(0)
            if word in ("since", "until", "tag"):
                number = int(words.pop(0))
                setattr(self, {"since": "first", "until": "last", "tag": "tag"}[word], number)
            elif word == "versions":
                self.first, self.last = [int(x) for x in (words.pop(0) + "-").split("-")[:2]]
            elif word == "default":
                self.default = words.pop(0)
            elif word == "null":
                self.null_from = int(words.pop(0)) if words and words[0].isdigit() else self.first
            elif word == "classic":
                self.classic = True
        if self.null_from is not None:
            self.null_from = max(self.null_from, self.first)

    def initial(self):
        if self.default == "null":
            return None
        if self.array:
            return []
        if self.fields is not None:
            return {}
        if self.kind == "bool":
            return self.default == "true"
        if self.kind in NUMBERS:
            return int(self.default or 0)
        return {"string": self.default or "", "uuid": NO_UUID, "bytes": b"", "records": None}[self.kind]


class Table:
    """One API: key, name, version range, first flexible version (None: none), fields of request and response."""

    def __init__(self, path):
        self.flexible, self.legacy, parts, shared, stack = None, None, {}, {}, []
        with open(path) as file:
            lines = [line.rstrip() for line in file if line.strip() and not line.lstrip().startswith("#")]
        words = lines[0].split()
        self.is_api = words[0] == "api"
        if not self.is_api:
            return
        self.key, self.name, rest = int(words[1]), words[2], words[3:]
        while rest:
            word, value = rest.pop(0), rest.pop(0)
            if word == "versions":
                self.first, self.last = int(value.split("-")[0]), int(value.split("-")[-1])
            elif word == "legacy-from":
                self.legacy = int(value)
            elif word == "flexible-from":
                self.flexible = None if value == "none" else int(value)
        for line in lines[1:]:
            text = line.split("#")[0]
            depth, words = (len(text) - len(text.lstrip())) // 2, text.split()
            if words[0] == "struct":
                stack = [*stack[:depth], shared.setdefault(words[1], [])]
            elif depth == 0:
                shared = {}
                stack = [parts.setdefault(words[0], [])]
            elif words[0] == "struct":
                stack[depth:] = [shared.setdefault(words[1], [])]
            else:
                owner = stack[depth - 1]
                lowest = self.first if self.legacy is None else self.legacy
                field = Field(words[0], words[1], lowest, self.last)
                field.attributes(words[2:])
                owner.append(field)
                if field.kind not in NUMBERS and field.kind not in ("bool", "string", "bytes", "records", "uuid"):
                    field.fields = shared.setdefault(field.kind, [])
                    stack[depth:] = [field.fields]
        self.request, self.response = parts["request"], parts["response"]

    def is_flexible(self, version):
        return self.flexible is not None and version >= self.flexible


@functools.lru_cache(None)
def tables():
    found = [Table(path) for path in sorted(glob.glob(os.path.join(FOLDER, "*.tbl")))]
    return {table.name: table for table in found if table.is_api}


# ---- encoding ----

def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def encode_size(size, flexible, short):
    """Of a text, bytes or an array; None: null."""
    if flexible:
        return varint(0 if size is None else size + 1)
    return struct.pack(">h" if short else ">i", -1 if size is None else size)


def encode_value(field, value, version, flexible, inner=()):
    if field.kind in NUMBERS:
        return struct.pack(NUMBERS[field.kind], value)
    if field.kind == "bool":
        return bytes([bool(value)])
    if field.kind == "uuid":
        return value
    if field.fields is not None:
        data = encode_fields(field.fields, value, version, flexible, inner, inner)
        return b"\x01" + data if field.null_from is not None and not field.array else data
    data = value.encode() if isinstance(value, str) else value
    return encode_size(len(data), flexible and not field.classic, field.kind == "string") + data


def encode_null(field, flexible):
    if field.array:
        return encode_size(None, flexible, False)
    return b"\xff" if field.fields is not None else encode_size(None, flexible and not field.classic, field.kind == "string")


def encode_field(field, value, version, flexible, inner=()):
    if value is None:
        return encode_null(field, flexible)
    if field.array:
        return encode_size(len(value), flexible, False) + b"".join(encode_value(field, one, version, flexible, inner) for one in value)
    return encode_value(field, value, version, flexible, inner)


def encode_fields(fields, values, version, flexible, tagged=(), inner=()):
    """`tagged`: further tagged fields, as (tag, bytes); `inner`: of the structs within, too."""
    unknown = set(values) - {field.name for field in fields}
    assert not unknown, unknown
    out, tags = b"", list(tagged)
    for field in fields:
        if not field.first <= version <= field.last:
            continue
        value = values.get(field.name, field.initial())
        if field.tag is None:
            out += encode_field(field, value, version, flexible, inner)
        elif field.name in values:
            tags.append((field.tag, encode_field(field, value, version, flexible, inner)))
    if flexible:
        out += encode_tags(tags)
    return out


# ---- decoding ----

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        assert 0 <= size <= len(self.data) - self.at, "the answer ends too early"
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def varint(self):
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def size(self, flexible, short):
        """-1: null."""
        return self.varint() - 1 if flexible else self.number(">h" if short else ">i")


def decode_value(reader, field, version, flexible):
    if field.kind in NUMBERS:
        return reader.number(NUMBERS[field.kind])
    if field.kind == "bool":
        return reader.take(1) != b"\0"
    if field.kind == "uuid":
        return reader.take(16)
    if field.fields is not None:
        if field.null_from is not None and not field.array and reader.number(">b") < 0:
            return None
        return decode_fields(reader, field.fields, version, flexible)
    size = reader.size(flexible and not field.classic, field.kind == "string")
    if size < 0:
        return None
    data = reader.take(size)
    return data.decode() if field.kind == "string" else data


def decode_field(reader, field, version, flexible):
    if not field.array:
        return decode_value(reader, field, version, flexible)
    count = reader.size(flexible, False)
    return None if count < 0 else [decode_value(reader, field, version, flexible) for _ in range(count)]


def decode_fields(reader, fields, version, flexible):
    values, there = {}, [field for field in fields if field.first <= version <= field.last]
    for field in there:
        values[field.name] = field.initial() if field.tag is not None else decode_field(reader, field, version, flexible)
    if flexible:
        for _ in range(reader.varint()):
            tag, data = reader.varint(), Reader(reader.take(reader.varint()))
            for field in there:
                if field.tag == tag:
                    values[field.name] = decode_field(data, field, version, flexible)
    return values


# ---- calls ----

def encode_tags(tagged):
    return varint(len(tagged)) + b"".join(varint(tag) + varint(len(data)) + data for tag, data in sorted(tagged))


def frame(name, version, values, correlation_id=7, client_id="test", tagged=(), header_tagged=(), inner=()):
    """A request, less the 4 bytes of its size."""
    table = tables()[name]
    flexible = table.is_flexible(version)
    client = client_id.encode()
    head = struct.pack(">hhih", table.key, version, correlation_id, len(client)) + client + (encode_tags(header_tagged) if flexible else b"")
    return head + encode_fields(table.request, values, version, flexible, tagged, inner)


def answer_of(name, version, data):
    """The response in a frame; all of it must be read."""
    table, reader = tables()[name], Reader(data)
    flexible = table.is_flexible(version)
    reader.take(4)
    if flexible and name != "ApiVersions":
        assert reader.varint() == 0, "tags in the header"
    values = decode_fields(reader, table.response, version, flexible)
    assert reader.at == len(data), "%d bytes are left" % (len(data) - reader.at)
    return values


def call(raw, name, version, values=None, **more):
    """Sends a request on a connection of Broker.connect() and gives the answer."""
    raw.send_frame(frame(name, version, values or {}, **more))
    return answer_of(name, version, raw.read_frame())
