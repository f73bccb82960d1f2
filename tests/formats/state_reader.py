#!/usr/bin/env python3
"""state_reader.py DATA: prints what stages remember. Written from docs/formats/state.md, wal.md and extent.md alone,
sharing no code and no table with the broker; slow. The broker need not run; it must not while this reads."""
import os
import struct
import sys

from extent_reader import Extent, crc32c, need
from wal_reader import BATCH, Folder

PREFIX = "__sluice_state."


def varint(data, at):
    """A signed number of Kafka's records, and where it ends."""
    value = shift = 0
    while True:
        need(at < len(data) and shift < 70, "a number is cut")
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return (value >> 1) ^ -(value & 1), at


def field(data, at):
    """Bytes, or None, and where they end."""
    size, at = varint(data, at)
    need(size >= -1 and at + max(size, 0) <= len(data), "a field is cut")
    return (None, at) if size < 0 else (data[at:at + size], at + size)


def records_of(batch):
    """(offset, key, value) of each record of a batch of the state."""
    base, length, _, magic, crc, attributes, delta = struct.unpack_from(">qiibIhi", batch, 0)
    need(magic == 2 and length == len(batch) - 12 and crc == crc32c(batch[21:]), "a batch")
    need(attributes & 7 == 0, "the state has no codec")
    at = 61
    for _ in range(struct.unpack_from(">i", batch, 57)[0]):
        size, at = varint(batch, at)
        end = at + size
        _, at = varint(batch, at + 1)  # behind the attributes: the timestamp
        offset, at = varint(batch, at)
        key, at = field(batch, at)
        value, at = field(batch, at)
        headers, at = varint(batch, at)
        need(0 <= offset <= delta and headers == 0 and at == end, "a record of the state")
        yield base + offset, key, value


def ranges_of(extent, stream):
    """(first, last, records) of each range of a stream."""
    found = []
    for block in stream["blocks"]:
        if block["flags"] & 1 or not found:
            found.append([block["base"], block["last"], []])
        found[-1][1] = block["last"]
        for batch in extent.block_batches(block):
            found[-1][2] += records_of(batch)
    return found


def read_partition(path, folder, shard, topic, partition):
    """By offset: (key, value) of all that is there of a partition."""
    found, covered = {}, []
    for number in sorted(folder.states[shard].extents):
        with open(os.path.join(path, f"shard-{shard}", "ext", f"{number:020}.ext"), "rb") as file:
            extent = Extent(file.read())
        for stream in extent.streams:
            if (stream["topic"], stream["partition"]) != (topic, partition):
                continue
            for first, last, records in ranges_of(extent, stream):
                for offset in [offset for offset in found if first <= offset <= last]:
                    del found[offset]
                found.update({offset: (key, value) for offset, key, value in records})
                covered.append((first, last))
    for _, _, items in folder.logs[shard].frames:
        for kind, item in items:
            if kind != BATCH or (item["topic"], item["partition"]) != (topic, partition):
                continue
            if not any(first <= item["last_offset"] and item["base_offset"] <= last for first, last in covered):
                found.update({offset: (key, value) for offset, key, value in records_of(item["body"])})
    start, end = folder.states[shard].bounds.get((topic, partition), (0, 0))
    need(all(offset < end for offset in found), "a record behind the end")
    return {offset: record for offset, record in found.items() if offset >= start}


class State:
    """Of one partition of an input: version, and values by key."""

    def __init__(self):
        self.version, self.values = None, {}

    def take(self, key, value):
        if not key:
            need(value is not None and len(value) == 8, "a state_version")
            self.version, = struct.unpack(">q", value)
        elif value is None:
            self.values.pop(key, None)
        else:
            need(len(key) <= 1024 and len(value) <= 262144, "sizes of an entry")
            self.values[key] = value


def read_states(path, folder=None):
    """States by (instance, name of the input topic, partition)."""
    folder = folder or Folder(path)
    found, homes = {}, {}
    for topic, about in folder.topics.items():
        if not about["name"].startswith(PREFIX):
            continue
        need(about["internal"] and about["configs"].get("cleanup.policy") == "compact", "a topic of states")
        for partition, shard in enumerate(about["shards"]):
            for _, (key, value) in sorted(read_partition(path, folder, shard, topic, partition).items()):
                need(key is not None and len(key) >= 20, "a key of the state")
                if key[:16] not in folder.topics:
                    continue
                number, = struct.unpack_from(">I", key, 16)
                need(homes.setdefault((topic, key[:20]), partition) == partition, "a state in two partitions")
                place = about["name"][len(PREFIX):], folder.topics[key[:16]]["name"], number
                found.setdefault(place, State()).take(key[20:], value)
    return found


def lua_value(value):
    """What a Lua script stored."""
    kind, rest = value[:1], value[1:]
    need(kind in (b"s", b"i", b"d") or value in (b"t", b"f"), "a value of Lua")
    return {b"s": lambda: rest.decode(), b"i": lambda: int(rest), b"d": lambda: float(rest),
            b"t": lambda: True, b"f": lambda: False}[kind]()


def main():
    for (instance, topic, partition), state in sorted(read_states(sys.argv[1]).items()):
        print(f"{instance} {topic}-{partition} state_version {state.version}, {len(state.values)} keys")
        for key, value in sorted(state.values.items()):
            print(f"  {key!r} {value!r}")


if __name__ == "__main__":
    main()
