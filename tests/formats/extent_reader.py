#!/usr/bin/env python3
"""extent_reader.py FILE …: prints what an extent holds. Written from docs/formats/extent.md alone.

Shares no code and no table with the broker: when both agree on a file, the document is right. Slow: the CRC
is a table of 256 entries in Python."""
import struct
import sys

HEADER_SIZE = 4096
TRAILER_SIZE = 64
STREAM_SIZE = 72
BLOCK_SIZE = 48


class Refused(Exception):
    """The file is not an extent to believe."""


def _crc_table():
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = _crc_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = CRC_TABLE[(value ^ byte) & 255] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def need(condition, what):
    if not condition:
        raise Refused(what)


class Extent:
    """header, streams (each with its blocks), all checked; batches() reads and checks a stream's."""

    def __init__(self, data):
        self.data = data
        need(len(data) > HEADER_SIZE + TRAILER_SIZE, "too short")
        self._header()
        self._trailer()
        self._footer()

    def _header(self):
        magic, crc, major, self.minor, _, incompatible = struct.unpack_from("<QIHHQQ", self.data, 0)
        self.promoted = magic == 0x4745535F4C57534C
        need(magic == 0x5244485F5845534C or self.promoted, "magic of the header")
        need(crc == crc32c(self.data[12:128]), "CRC of the header")
        need(major == 1 and incompatible == 0, "newer format")
        need(not any(self.data[128:HEADER_SIZE]), "padding of the header")
        self.cluster = self.data[32:48]
        self.shard, = struct.unpack_from("<I", self.data, 48)
        self.segment = 0
        if self.promoted:
            self.segment, = struct.unpack_from("<Q", self.data, 56)
            self.created_ms, = struct.unpack_from("<q", self.data, 88)
            need(self.segment > 0, "number of the segment")
        else:
            self.id, self.created_ms = struct.unpack_from("<Qq", self.data, 56)

    def _trailer(self):
        at = len(self.data) - TRAILER_SIZE
        magic, crc, _, identity, self.footer_position, self.footer_size, self.stream_count, self.block_count, \
            self.footer_crc, _, segment = struct.unpack_from("<QIIQQQIIIIQ", self.data, at)
        need(magic == 0x444E455F5845534C, "magic of the trailer")
        need(crc == crc32c(self.data[at + 12:]), "CRC of the trailer")
        if self.promoted:
            self.id = identity
        need(identity == self.id and 0 < self.id < 1 << 63, "id")
        need(segment == self.segment, "segment of the trailer")
        need(self.block_count >= self.stream_count >= 1, "counts")
        need(self.footer_size == STREAM_SIZE * self.stream_count + BLOCK_SIZE * self.block_count <= 1 << 28,
             "size of the footer")
        need(self.footer_position + self.footer_size == at, "place of the footer")

    def _footer(self):
        footer = self.data[self.footer_position:self.footer_position + self.footer_size]
        need(crc32c(footer) == self.footer_crc, "CRC of the footer")
        blocks = [dict(zip(("base", "last", "timestamp", "position", "size", "epoch", "crc", "flags"),
                           struct.unpack_from("<qqqQIiII", footer, STREAM_SIZE * self.stream_count + BLOCK_SIZE * i)))
                  for i in range(self.block_count)]
        at, used, seen = HEADER_SIZE, 0, set()
        need(not self.promoted or self.stream_count == 1, "streams of a promoted extent")
        self.streams = []
        for i in range(self.stream_count):
            names = ("topic", "partition", "first", "count", "zero", "base", "last", "timestamp", "position", "bytes")
            stream = dict(zip(names, struct.unpack_from("<16sIIIIqqqQQ", footer, STREAM_SIZE * i)))
            own = stream["blocks"] = blocks[used:used + stream["count"]]
            need(stream["first"] == used and 1 <= stream["count"] == len(own), "blocks of a stream")
            need(stream["position"] == own[0]["position"], "position of a stream")
            need(any(stream["topic"]) and stream["partition"] < 1 << 31, "name of a stream")
            need((stream["topic"], stream["partition"]) not in seen, "a stream comes twice")
            seen.add((stream["topic"], stream["partition"]))
            before, size = -1, 0
            for block in own:
                need(block["position"] == at or self.promoted and block["position"] > at, "place of a block")
                need(block["size"] >= 61, "size of a block")
                at = block["position"]
                need(before < block["base"] <= block["last"] < (1 << 63) - 1, "offsets of a block")
                before = block["last"]
                at += block["size"]
                size += block["size"]
            used += stream["count"]
            need(stream["base"] == own[0]["base"] and stream["last"] == before, "offsets of a stream")
            need(stream["timestamp"] == max(b["timestamp"] for b in own), "timestamp of a stream")
            need(stream["bytes"] == size, "bytes of a stream")
            self.streams.append(stream)
        need(used == self.block_count, "blocks")
        need(at == self.footer_position or self.promoted and at < self.footer_position, "batches")

    def block_batches(self, block):
        """The batches of one block, as bytes."""
        data = self.data[block["position"]:block["position"] + block["size"]]
        need(crc32c(data) == block["crc"], "CRC of a block")
        found, last, timestamp = [], block["base"] - 1, None
        while data:
            need(len(data) >= 61, "a batch is cut")
            base, length, epoch, magic, crc, _, delta, _, stamp = struct.unpack_from(">qiibIhiqq", data, 0)
            need(magic == 2 and 49 <= length <= len(data) - 12, "frame of a batch")
            batch, data = data[:length + 12], data[length + 12:]
            need(crc == crc32c(batch[21:]), "CRC of a batch")
            need(base > last and delta >= 0 and (found or base == block["base"]), "offsets of a batch")
            need(epoch == block["epoch"], "leader epoch of a batch")
            last, timestamp = base + delta, stamp if timestamp is None else max(timestamp, stamp)
            found.append(batch)
        need(last == block["last"] and timestamp == block["timestamp"], "end of a block")
        return found

    def batches(self, stream):
        return [batch for block in stream["blocks"] for batch in self.block_batches(block)]


def main():
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            extent = Extent(file.read())
        print(f"{'promoted ' if extent.promoted else ''}extent {extent.id} shard {extent.shard} cluster {extent.cluster.hex()} created {extent.created_ms}")
        for stream in extent.streams:
            print(f"  {stream['topic'].hex()}-{stream['partition']} offsets {stream['base']}..{stream['last']} "
                  f"{len(extent.batches(stream))} batches in {stream['count']} blocks, {stream['bytes']} bytes")


if __name__ == "__main__":
    main()
