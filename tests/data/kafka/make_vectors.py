#!/usr/bin/python3
"""Prints lines of vectors.tsv from Kafka's published message descriptors: make_vectors.py FOLDER KEY…

FOLDER holds Kafka's <Name>Request.json and <Name>Response.json. Values count upwards as kafka_random.h says: the n-th
value of a message is n for its type; arrays have two elements. Shares nothing with the codec."""
import json
import os
import re
import struct
import sys

NUMBERS = {"int16": (">h", 1000), "uint16": (">H", 1000), "int32": (">i", 100000), "int64": (">q", 10000000000),
           "float64": (">d", 0.5)}


def span(text, top):
    if text == "none":
        return None
    first, _, last = text.partition("-")
    return (int(first.rstrip("+")), int(last)) if last else (int(first.rstrip("+")), top if first.endswith("+") else int(first))


def covers(text, version):
    found = span(text or "none", 32767)
    return found is not None and found[0] <= version <= found[1]


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


class Encoder:
    def __init__(self, message, version):
        self.message, self.version, self.n = message, version, 0
        self.flexible = covers(message["flexibleVersions"], version)
        self.structs = {common["name"]: common["fields"] for common in message.get("commonStructs", [])}

    def count(self):
        self.n += 1
        return self.n

    def scalar(self, kind, field):
        flexible = self.flexible and not ("flexibleVersions" in field and not covers(field["flexibleVersions"], self.version))
        if kind in NUMBERS:
            form, base = NUMBERS[kind]
            return struct.pack(form, base + self.count())
        if kind == "int8":
            return struct.pack(">b", self.count() % 100)
        if kind == "bool":
            return bytes([self.count() % 2])
        if kind == "uuid":
            n = self.count()
            return bytes((n + i) & 255 for i in range(16))
        data = ("%s%d" % (kind[0], self.count())).encode()
        if flexible:
            return varint(len(data) + 1) + data
        return struct.pack(">h" if kind == "string" else ">i", len(data)) + data

    def value(self, field):
        kind = field["type"]
        if not kind.startswith("[]"):
            return self.one(kind, field)
        items = b"".join(self.one(kind[2:], field) for _ in range(2))
        return (varint(3) if self.flexible else struct.pack(">i", 2)) + items

    def one(self, kind, field):
        if kind in NUMBERS or kind in ("int8", "bool", "uuid", "string", "bytes", "records"):
            return self.scalar(kind, field)
        lone = not field["type"].startswith("[]") and covers(field.get("nullableVersions"), self.version)
        return (b"\x01" if lone else b"") + self.struct(field.get("fields") or self.structs[kind])

    def struct(self, fields):
        out, tagged = b"", []
        for field in fields:
            if not covers(field["versions"], self.version):
                continue
            if covers(field.get("taggedVersions"), self.version):
                tagged.append((field["tag"], self.value(field)))
            else:
                out += self.value(field)
        if self.flexible:
            out += varint(len(tagged))
            for tag, data in sorted(tagged):
                out += varint(tag) + varint(len(data)) + data
        return out


def main(folder, keys):
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name)) as file:
            message = json.loads(re.sub(r"(?m)//.*$", "", file.read()))
        if message.get("apiKey") not in keys or message["validVersions"] == "none":
            continue
        first, last = span(message["validVersions"], 0)
        stem = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", message["name"]).lower()
        for version in range(first, last + 1):
            encoder = Encoder(message, version)
            print("%s\t%d\t%s" % (stem, version, encoder.struct(message["fields"]).hex()))


main(sys.argv[1], {int(key) for key in sys.argv[2:]})
