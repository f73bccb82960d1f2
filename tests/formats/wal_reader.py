#!/usr/bin/env python3
"""wal_reader.py DATA: prints what the logs of a data folder say. Written from docs/formats/wal.md and
docs/formats/backup.md alone, sharing no code and no table with the broker; slow.

Checkpoint and Log read and check files; State is what their items come to. Bodies of frames are kept as "body" of their
BATCH items and not read: the record batches in them have a CRC of their own (state_reader.py reads some)."""
import glob
import json
import os
import struct
import sys

from extent_reader import Refused, crc32c, need

BATCH, TOPIC_CREATE, TOPIC_DELETE, TOPIC_CONFIG, OFFSET_COMMIT, OFFSET_FORGET, STAGE_POSITION, PRODUCER_BLOCK, \
    PRODUCER_STATE, LOG_BOUNDS, CLEAN_SHUTDOWN, IDLE, EXTENT, EXTENT_DROP, COMPACTION, \
    PLUGIN_SWITCH = range(1, 17)
TOPIC_GROW = 24
ACL, CREDENTIAL, QUOTA = 40, 41, 42
SETTING = 60
MESSAGE_ID, DELAY = 43, 44
GROUP, GROUP_MEMBER, GROUP_ASSIGNMENT = 50, 51, 52
STREAMS_GROUP, STREAMS_MEMBER = 53, 54
SHARE_STATE, SHARE_FORGET, SHARE_CONFIG, SHARE_GROUP = range(55, 59)
TXN_OPEN, TXN_ABORTED, TXN_OFFSET, TXN_OFFSET_END, TXN = range(25, 30)
IN_FRAMES_ONLY = (BATCH, CLEAN_SHUTDOWN, IDLE)
SPREAD = 1  # incompatible feature of checkpoints


class Fields:
    """Reads a payload from its front; end() refuses what is left."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        need(self.at + struct.calcsize("<" + form) <= len(self.data), "a payload is cut")
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]

    def text(self, size):
        need(self.at + size <= len(self.data), "a text is cut")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def end(self):
        need(self.at == len(self.data), "a payload is longer than its fields")


# ---- payloads ----

def configs(fields, count):
    found = {}
    for _ in range(count):
        key, value = fields.take("HH")
        key = fields.text(key)
        found[key] = fields.text(value)
    return found


def topic_create(fields):
    topic, flags, partitions, name, count = fields.take("16sIIHH")
    need(any(topic) and flags in (0, 1) and 1 <= partitions <= 1000000, "a topic")
    name = fields.text(name)
    shards = [fields.take("H") for _ in range(partitions)]
    return {"topic": topic, "internal": bool(flags), "name": name, "shards": shards, "configs": configs(fields, count)}


def topic_config(fields):
    topic, count = fields.take("16sH")
    return {"topic": topic, "configs": configs(fields, count)}


def topic_grow(fields):
    topic, first, count = fields.take("16sII")
    need(0 < first < count <= 1000000, "a growth")
    return {"topic": topic, "first": first, "shards": [fields.take("H") for _ in range(count - first)]}


def offset_commit(fields):
    topic, partition, epoch, offset, time, group, metadata = fields.take("16sIiqqHH")
    return {"topic": topic, "partition": partition, "epoch": epoch, "offset": offset, "time": time,
            "group": fields.text(group), "metadata": fields.text(metadata)}


def offset_forget(fields):
    what, _, group, partition, topic = fields.take("BBHI16s")
    need(what in (1, 2, 3), "what is forgotten")
    return {"what": what, "partition": partition, "topic": topic, "group": fields.text(group)}


def stage_position(fields):
    topic, offset, partition, name, _ = fields.take("16sqIHH")
    return {"topic": topic, "offset": offset, "partition": partition, "name": fields.text(name)}


def plugin_switch(fields):
    _, flags, name, who = fields.take("qIHH")
    need(flags < 32 and 1 <= name <= 64 and who <= 64, "a switch of a plugin")
    return {"flags": flags, "name": fields.text(name), "who": fields.text(who)}


def acl(fields):
    flags, resource, pattern, operation, permission, zero, name, principal, host = fields.take("BBBBBBHHH")
    need(flags < 2 and resource in range(2, 8) and pattern in (3, 4) and permission in (2, 3) and zero == 0, "an access rule")
    need(1 <= name <= 1023 and 1 <= principal <= 1023 and 1 <= host <= 255, "texts of an access rule")
    return {"gone": flags == 1, "resource": resource, "pattern": pattern, "operation": operation, "permission": permission,
            "name": fields.text(name), "principal": fields.text(principal), "host": fields.text(host)}


def credential(fields):
    mechanism, zero, iterations, name, salt, key = fields.take("BBIHBB")
    need(mechanism in (1, 2) and zero == 0 and name > 0, "a credential")
    need((salt, key) == (0, 0) if iterations == 0 else salt <= 128 and salt > 0 and key == 32 * mechanism, "keys of a credential")
    return {"mechanism": mechanism, "iterations": iterations, "name": fields.text(name), "salt": fields.take("%ds" % salt),
            "stored_key": fields.take("%ds" % key), "server_key": fields.take("%ds" % key)}


def quota(fields):
    key, flags = fields.take("BB")
    kinds, zero, sizes, value = fields.take("BBB"), fields.take("B"), fields.take("HHH"), fields.take("d")
    need(1 <= key <= 5 and flags < 2 and zero == 0 and value >= 0 and (value == 0) == bool(flags), "a quota")
    need(all(kind < 3 and (kind == 1) == (size > 0) for kind, size in zip(kinds, sizes)), "an entity of a quota")
    names = [fields.text(size) for size in sizes]
    return {"key": key, "value": value, "entity": tuple((None, name, "")[kind] for kind, name in zip(kinds, names))}


def message_id(fields):
    digest, offset, time, forgotten = fields.take("16sqqq")
    need(offset >= -1 and time >= -1 and forgotten > 0, "a message id")
    return {"digest": digest, "offset": offset, "time": time, "forgotten": forgotten}


def delay(fields):
    topic, partition, records, offset, due, flags, zero = fields.take("16sIIqqII")
    need(offset >= 0 and due >= 0 and flags < 2 and zero == 0, "a record that waits")
    return {"topic": topic, "partition": partition, "records": records, "offset": offset, "due": due, "over": flags == 1}


def setting(fields):
    kind, flags, name, key, value, revision = fields.take("BBHHIq")
    need(kind in (1, 16, 32) and flags < 2 and 1 <= name <= 1023 and 1 <= key <= 255 and value <= 65535 and revision >= 0
         and not (flags and value), "a setting")
    return {"kind": kind, "gone": flags == 1, "revision": revision, "name": fields.text(name), "key": fields.text(key),
            "value": fields.text(value)}


def producer_state(fields):
    topic, partition, epoch, count, producer, heard, _ = fields.take("16sIhHqqQ")
    need(0 <= count <= 5 and epoch >= 0 and producer >= 0, "a producer")
    batches = [dict(zip(("first", "last", "base_offset", "last_offset", "time"), fields.take("iiqqq"))) for _ in range(5)]
    need(not any(any(batch.values()) for batch in batches[count:]), "unused batches of a producer")
    return {"topic": topic, "partition": partition, "epoch": epoch, "producer": producer, "heard": heard,
            "batches": batches[:count]}


def txn(fields):
    producer, following, start, changed, timeout, epoch, last, state, flags, size, partitions, groups, zero = \
        fields.take("qqqqihhBBHIHH")
    need(producer >= 0 and following >= -1 and epoch >= 0 and last >= -1 and state <= 6 and flags <= 1 and zero == 0
         and start >= -1 and changed >= 0 and timeout >= 0, "a transactional id")
    return {"id": fields.text(size), "producer": producer, "epoch": epoch, "state": state,
            "partitions": [fields.take("16sI") for _ in range(partitions)],
            "groups": [fields.text(fields.take("H")) for _ in range(groups)]}


def txn_offset(fields):
    producer = fields.take("q")
    return dict(offset_commit(fields), producer=producer)


def txn_offset_end(fields):
    producer = fields.take("q")
    return {"producer": producer, "group": fields.text(len(fields.data) - fields.at)}


def group(fields):
    kind, flags, size, epoch, assigned, hashed = fields.take("BBHiiQ")
    need(kind == 1 and flags <= 1 and size > 0, "a group")
    return {"group": fields.text(size), "gone": bool(flags), "epoch": epoch, "assignment_epoch": assigned, "hash": hashed}


def group_member(fields):
    values = fields.take("H9HIIii")
    flags, sizes, (topics, protocols, rebalance, session) = values[0], values[1:10], values[10:]
    need(flags <= 3, "flags of a member")
    texts = [None if size == 0xFFFF else fields.text(size) for size in sizes]
    names = ("group", "member", "instance", "rack", "client_id", "client_host", "pattern", "assignor", "principal")
    found = dict(zip(names, texts), gone=bool(flags & 1), classic=bool(flags & 2), rebalance=rebalance, session=session)
    found["topics"] = [fields.text(fields.take("H")) for _ in range(topics)]
    found["protocols"] = []
    for _ in range(protocols):
        name, metadata = fields.take("HI")
        found["protocols"].append((fields.text(name), fields.take("%ds" % metadata)))
    return found


def group_assignment(fields):
    group_size, member_size, epoch, previous, state = fields.take("HHiiI")
    need(state <= 2, "state of a member")
    found = {"group": fields.text(group_size), "member": fields.text(member_size), "epoch": epoch, "previous": previous,
             "state": state}
    for part in ("assigned", "revoking", "target"):
        found[part] = {}
        for _ in range(fields.take("I")):
            topic, count = fields.take("16sI")
            found[part].update({(topic, number): epoch for number, epoch in (fields.take("Ii") for _ in range(count))})
    return found


def texts(fields):
    return [fields.text(fields.take("H")) for _ in range(fields.take("I"))]


def streams_topics(fields):
    found = {}
    for _ in range(fields.take("I")):
        name = fields.text(fields.take("H"))
        partitions, replicas, count = fields.take("ihI")
        found[name] = {"partitions": partitions, "replicas": replicas,
                       "configs": {fields.text(fields.take("H")): fields.text(fields.take("H")) for _ in range(count)}}
    return found


def streams_topology(fields):
    epoch, count = fields.take("iI")
    parts, before = {}, None
    for _ in range(count):
        name = fields.text(fields.take("H"))
        need(before is None or name.encode() > before, "subtopologies in order")
        before = name.encode()
        parts[name] = {"sources": texts(fields), "changelogs": streams_topics(fields), "sinks": texts(fields),
                       "repartitions": streams_topics(fields), "together": []}
        for _ in range(fields.take("I")):
            places = [[fields.take("h") for _ in range(fields.take("I"))] for _ in range(2)]
            parts[name]["together"].append(places)
    return {"epoch": epoch, "subtopologies": parts}


def streams_group(fields):
    flags, size, epoch, assigned, ready, standbys, hashed = fields.take("HHiiiiQ")
    need(flags <= 2 and size > 0, "a group of an application")
    found = {"group": fields.text(size), "gone": flags == 1, "epoch": epoch, "assignment_epoch": assigned, "ready_epoch": ready,
             "standbys": standbys, "hash": hashed}
    if flags == 2:
        found["topology"] = streams_topology(fields)
    return found


def streams_member(fields):
    flags, roles, group_size, member_size = fields.take("BBHH")
    need(flags == 1 or flags in (2, 4, 6), "flags of a member")
    need(roles == 2, "roles of tasks")
    found = {"group": fields.text(group_size), "member": fields.text(member_size), "gone": flags == 1}
    if flags & 2:
        values = fields.take("5HHiiI")
        names = ("rack", "client_id", "client_host", "process", "host")
        found["self"] = {name: None if size == 0xFFFF else fields.text(size) for name, size in zip(names, values)}
        found["self"].update(port=values[5], rebalance=values[6], topology_epoch=values[7])
        tags, end = {}, fields.at + values[8]
        while fields.at < end:
            key, value = fields.take("HH")
            key = fields.text(key)
            tags[key] = fields.text(value)
        need(fields.at == end, "tags of a member")
        found["self"]["tags"] = tags
    if flags & 4:
        epoch, previous, state = fields.take("iiI")
        need(state <= 2, "state of a member")
        found["tasks"] = {"epoch": epoch, "previous": previous, "state": state}
        for part in ("assigned", "revoking", "target"):
            found["tasks"][part] = [{(place, number): epoch for place, number, epoch in (fields.take("IIi") for _ in range(fields.take("I")))}
                                    for _ in range(roles)]
    return found


def share_state(fields):
    topic, partition, flags, zero, size, start, count, zeros = fields.take("16sIBBHqII")
    need(flags <= 1 and zero == zeros == 0 and size <= 1024 and start >= 0, "what a group has done with a stream")
    item = {"topic": topic, "partition": partition, "replaces": flags == 1, "start": start, "group": fields.text(size),
            "ranges": []}
    before = -1
    for _ in range(count):
        first, length, deliveries, state, reason = fields.take("qIHBB")
        need(first > before and length > 0 and state in (0, 2, 3, 4), "a range of a stream")
        need(reason in (1, 2) if state == 3 else reason == 0, "why a record waits for its dead letter")
        item["ranges"].append({"first": first, "last": first + length - 1, "deliveries": deliveries, "state": state, "reason": reason})
        before = first + length - 1
    return item


def share_forget(fields):
    what, zero, size, zeros, topic = fields.take("BBHI16s")
    need(what in (1, 2) and zero == zeros == 0 and size <= 1024, "streams that a group forgets")
    return {"what": what, "topic": topic, "group": fields.text(size)}


def share_config(fields):
    size, count, zero = fields.take("HHI")
    need(size <= 1024 and zero == 0, "the configuration of a group")
    item = {"group": fields.text(size), "values": {}}
    for _ in range(count):
        key, value = fields.take("HH")
        name = fields.text(key)
        item["values"][name] = fields.text(value)
    return item


def share_group(fields):
    what, flags, size, epoch = fields.take("BBHI")
    need(what in (1, 2) and flags in (0, 1) and size <= 1024, "a group that shares streams")
    return {"gone": what == 2, "begun": flags == 1, "epoch": epoch, "group": fields.text(size)}


def named(form, *names):
    def read(fields):
        values = fields.take(form)
        return dict(zip(names, values if len(names) > 1 else [values]))
    return read


PAYLOADS = {
    BATCH: named("16sqqqqIIiiihH", "topic", "base_offset", "last_offset", "timestamp", "producer", "partition", "records",
                 "first", "last", "leader_epoch", "epoch", "attributes"),
    TOPIC_CREATE: topic_create, TOPIC_DELETE: named("16s", "topic"), TOPIC_CONFIG: topic_config,
    TOPIC_GROW: topic_grow, ACL: acl, CREDENTIAL: credential, QUOTA: quota,
    OFFSET_COMMIT: offset_commit, OFFSET_FORGET: offset_forget, STAGE_POSITION: stage_position,
    PRODUCER_BLOCK: named("Q", "end"), PRODUCER_STATE: producer_state,
    LOG_BOUNDS: named("16sqqII", "topic", "start", "end", "partition", "zero"),
    CLEAN_SHUTDOWN: lambda fields: {}, IDLE: lambda fields: {},
    EXTENT: named("QQQqIIII", "id", "size", "bytes", "time", "crc", "streams", "blocks", "flags"),
    EXTENT_DROP: named("Q", "id"),
    COMPACTION: named("16sqII", "topic", "clean", "partition", "zero"), PLUGIN_SWITCH: plugin_switch,
    SETTING: setting, MESSAGE_ID: message_id, DELAY: delay,
    GROUP: group, GROUP_MEMBER: group_member, GROUP_ASSIGNMENT: group_assignment,
    STREAMS_GROUP: streams_group, STREAMS_MEMBER: streams_member,
    SHARE_STATE: share_state, SHARE_FORGET: share_forget, SHARE_CONFIG: share_config, SHARE_GROUP: share_group,
    TXN: txn, TXN_OFFSET: txn_offset, TXN_OFFSET_END: txn_offset_end,
    TXN_OPEN: named("16sIIqqqqq", "topic", "partition", "zero", "end", "producer", "first", "last", "stable"),
    TXN_ABORTED: named("16sIIqqqqq", "topic", "partition", "zero", "end", "producer", "first", "last", "stable"),
}


def items_of(data, in_frame, body_bytes=b""):
    """(kind, fields) of each item of a directory; and the size of all bodies."""
    found, bodies, at = [], 0, 0
    while at < len(data):
        need(at + 16 <= len(data), "an item is cut")
        kind, version, flags, payload, body, _ = struct.unpack_from("<HBBIII", data, at)
        end = at + 16 + payload
        need(end + -end % 8 <= len(data) and not any(data[end:end + -end % 8]), "padding of an item")
        if kind in PAYLOADS:
            need(version == 1, "version of an item")
            need(in_frame or kind not in IN_FRAMES_ONLY and body == 0, "an item that is none of a checkpoint")
            need(not in_frame or kind != PRODUCER_STATE, "an item that is none of a frame")
            fields = Fields(data[at + 16:end])
            found.append((kind, PAYLOADS[kind](fields)))
            fields.end()
            if kind == BATCH:
                found[-1][1]["body"] = body_bytes[bodies:bodies + body]
        else:
            need(flags & 1, "unknown kind of an item")
        bodies += body
        at = end + -end % 8
    return found, bodies


# ---- files ----

def file_header(data, magic, known):
    """Cluster, shard and the incompatible features."""
    need(len(data) >= 128, "too short")
    found, crc, major, _, _, incompatible = struct.unpack_from("<QIHHQQ", data, 0)
    need(found == magic, "magic")
    need(crc == crc32c(data[12:128]), "CRC of the header")
    need(major == 1 and not incompatible & ~known, "newer format")
    return data[32:48], struct.unpack_from("<I", data, 48)[0], incompatible


class Checkpoint:
    def __init__(self, data):
        self.cluster, self.shard, features = file_header(data, 0x504B435F4C57534C, SPREAD)
        self.generation, self.lsn, self.first_segment, self.last_segment, count, size, self.time, self.epoch, crc, end \
            = struct.unpack_from("<QQQQQQqIIQ", data, 56)
        self.spread = bool(features & SPREAD)
        need(end > self.lsn if self.spread else end == 0, "where the items end")
        self.end_lsn = end if self.spread else self.lsn
        need(size == len(data) - 128 and crc == crc32c(data[128:]), "CRC of the items")
        self.items, _ = items_of(data[128:], in_frame=False)
        need(len(self.items) == count, "number of items")


class Segment:
    """Frames that belong to the log, as far as this file alone tells: (lsn, envelope CRC, items)."""

    def __init__(self, data, number):
        self.cluster, self.shard, _ = file_header(data, 0x4745535F4C57534C, 0)
        self.number, self.first_lsn, self.previous_lsn, self.chain, self.epoch, self.created \
            = struct.unpack_from("<QQQIIq", data, 56)
        need(self.number == number and not any(data[128:4096]), "header of a segment")
        self.frames = []
        at, lsn, chain, self.durable_lsn = 4096, self.first_lsn, self.chain, 0
        while at + 128 <= len(data):
            frame = self._frame(data, at, lsn, chain)
            if frame is None:
                break
            size, chain, items = frame
            self.frames.append((lsn, chain, items))
            at, lsn = at + size, lsn + 1

    def _frame(self, data, at, lsn, chain):
        magic, crc, size, incarnation, durable, before = struct.unpack_from("<IIQQQI", data, at)
        entry_crc, _, found, _, count, directory, body, directory_crc, _, _ = struct.unpack_from("<IIQqIIQIII", data, at + 64)
        if magic != 0x4D52464C or incarnation != self.number or before != chain or found != lsn \
                or crc != crc32c(data[at + 8:at + 128]) or entry_crc != crc32c(data[at + 68:at + 128]):
            return None
        used = 128 + directory + body
        if size != used + -used % 4096 or at + size > len(data):
            return None
        behind = at + 128 + directory
        directory = data[at + 128:behind]
        if directory_crc != crc32c(directory):
            return None
        items, bodies = items_of(directory, True, data[behind:behind + body])
        need(bodies == body and len(items) == count, "items of a frame")
        self.durable_lsn = max(self.durable_lsn, durable)
        return size, crc, items


class Log:
    """A shard's log: the checkpoint that counts (or None) and all frames from its first segment on."""

    def __init__(self, folder):
        self.checkpoint = None
        for name in ("checkpoint-0", "checkpoint-1"):
            found = read_checkpoint(os.path.join(folder, name))
            if found and (self.checkpoint is None or found.generation > self.checkpoint.generation):
                self.checkpoint = found
        names = sorted(os.path.basename(path)[:-4] for path in glob.glob(os.path.join(folder, "*.seg")))
        numbers = [int(name) for name in names if len(name) == 20]
        first = self.checkpoint.first_segment if self.checkpoint else 1
        numbers = [number for number in numbers if number >= first]
        need(numbers == list(range(first, first + len(numbers))), "a segment is missing")
        need(self.checkpoint is None or numbers and numbers[-1] >= self.checkpoint.last_segment, "segments")
        self.frames = []
        claim = self.checkpoint.end_lsn if self.checkpoint else 0
        for number in numbers:
            with open(os.path.join(folder, f"{number:020}.seg"), "rb") as file:
                segment = Segment(file.read(), number)
            if self.frames:  # it says where the one before ends
                self.frames = [frame for frame in self.frames if frame[0] <= segment.previous_lsn]
                need(self.frames[-1][:2] == (segment.previous_lsn, segment.chain), "chain between segments")
            self.frames += segment.frames
            claim = max(claim, segment.previous_lsn, segment.durable_lsn)
        need(not self.frames or self.frames[-1][0] >= claim, "what was acknowledged is not there")

    def tail(self):
        """Items beyond the checkpoint's L."""
        lsn = self.checkpoint.lsn if self.checkpoint else 0
        return [item for frame in self.frames if frame[0] > lsn for item in frame[2]]


def read_checkpoint(path):
    try:
        with open(path, "rb") as file:
            return Checkpoint(file.read())
    except (FileNotFoundError, Refused):
        return None  # the log tells whether it does without it


# ---- what the items come to ----

class State:
    """topics by id; by (topic, partition): bounds, clean; offsets by (group, topic, partition); positions by (name,
    topic, partition); producers by (topic, partition, id): (epoch, batches); extents by id."""

    def __init__(self):
        self.topics, self.bounds, self.clean, self.offsets = {}, {}, {}, {}
        self.positions, self.producers, self.extents = {}, {}, {}
        self.switches = {}  # by name: (flags, who)
        self.settings = {}
        self.messages = {}  # by digest
        self.delays = {}  # by offset in the stream of the shard
        self.groups, self.members, self.assignments = {}, {}, {}  # by group; by (group, member)
        self.applications, self.workers = {}, {}  # of Streams: likewise
        self.rules, self.credentials, self.quotas = {}, {}, {}
        self.next_producer = self.extent_id = 0

    def apply(self, items):
        for kind, item in items:
            getattr(self, "_%d" % kind, lambda item: None)(item)

    def without_dead_topics(self, topics):
        """What is said of topics that shard 0 does not know means nothing."""
        for table, place in ((self.bounds, 0), (self.clean, 0), (self.offsets, 1), (self.positions, 1), (self.producers, 0)):
            for key in [key for key in table if key[place] not in topics]:
                del table[key]

    def _widen(self, place, start, end):
        before = self.bounds.get(place, (0, 0))
        self.bounds[place] = (max(before[0], start), max(before[1], end))

    def _1(self, item):  # BATCH
        place = item["topic"], item["partition"]
        self._widen(place, 0, item["last_offset"] + 1)
        epoch, batches = self.producers.get((*place, item["producer"]), (item["epoch"], []))
        if item["attributes"] & 0x20:  # a marker
            if item["epoch"] > epoch or not batches:
                self.producers[(*place, item["producer"])] = item["epoch"], []
            return
        if item["producer"] < 0 or batches and item["base_offset"] <= batches[-1]["last_offset"]:
            return
        batch = {key: item[key] for key in ("first", "last", "base_offset", "last_offset")}
        self.producers[(*place, item["producer"])] = item["epoch"], (batches if epoch == item["epoch"] else [])[-4:] + [batch]

    def _2(self, item):  # TOPIC_CREATE
        self.topics.setdefault(item["topic"], item)

    def _3(self, item):  # TOPIC_DELETE
        self.topics.pop(item["topic"], None)

    def _4(self, item):  # TOPIC_CONFIG
        if item["topic"] in self.topics:
            self.topics[item["topic"]] = dict(self.topics[item["topic"]], configs=item["configs"])

    def _24(self, item):  # TOPIC_GROW
        topic = self.topics.get(item["topic"])
        if topic is not None:
            need(item["first"] <= len(topic["shards"]), "a growth without a gap")
            new = item["shards"][len(topic["shards"]) - item["first"]:]
            self.topics[item["topic"]] = dict(topic, shards=topic["shards"] + new)

    def _5(self, item):  # OFFSET_COMMIT
        self.offsets[item["group"], item["topic"], item["partition"]] = item

    def _6(self, item):  # OFFSET_FORGET
        for group, topic, partition in list(self.offsets):
            if item["what"] == 1 and (group, topic, partition) == (item["group"], item["topic"], item["partition"]) \
                    or item["what"] == 2 and group == item["group"] or item["what"] == 3 and topic == item["topic"]:
                del self.offsets[group, topic, partition]

    def _50(self, item):  # GROUP
        self.groups[item["group"]] = item
        if item["gone"]:
            del self.groups[item["group"]]
            for table in (self.members, self.assignments):
                for key in [key for key in table if key[0] == item["group"]]:
                    del table[key]

    def _51(self, item):  # GROUP_MEMBER
        key = item["group"], item["member"]
        if item["gone"]:
            self.members.pop(key, None)
            self.assignments.pop(key, None)
        elif item["group"] in self.groups:
            self.members[key] = item

    def _52(self, item):  # GROUP_ASSIGNMENT
        key = item["group"], item["member"]
        if key in self.members:
            self.assignments[key] = item

    def _53(self, item):  # STREAMS_GROUP
        if item["gone"]:
            self.applications.pop(item["group"], None)
            for key in [key for key in self.workers if key[0] == item["group"]]:
                del self.workers[key]
        else:
            self.applications.setdefault(item["group"], {}).update(item)

    def _54(self, item):  # STREAMS_MEMBER
        key = item["group"], item["member"]
        if item["gone"]:
            self.workers.pop(key, None)
        elif item["group"] in self.applications:
            self.workers.setdefault(key, {}).update(item)

    def _7(self, item):  # STAGE_POSITION
        key = item["name"], item["topic"], item["partition"]
        self.positions[key] = item["offset"]
        if item["offset"] < 0:
            del self.positions[key]

    def _8(self, item):  # PRODUCER_BLOCK
        self.next_producer = max(self.next_producer, item["end"])

    def _9(self, item):  # PRODUCER_STATE
        self.producers[item["topic"], item["partition"], item["producer"]] = item["epoch"], item["batches"]

    def _10(self, item):  # LOG_BOUNDS
        need(0 <= item["start"] <= item["end"], "bounds of a partition")
        self._widen((item["topic"], item["partition"]), item["start"], item["end"])

    def _13(self, item):  # EXTENT
        self.extent_id = max(self.extent_id, item["id"])
        self.extents[item["id"]] = item

    def _14(self, item):  # EXTENT_DROP
        self.extent_id = max(self.extent_id, item["id"])
        self.extents.pop(item["id"], None)

    def _15(self, item):  # COMPACTION
        place = item["topic"], item["partition"]
        self.clean[place] = max(self.clean.get(place, 0), item["clean"])

    def _16(self, item):  # PLUGIN_SWITCH
        self.switches[item["name"]] = item["flags"], item["who"]
        if item["flags"] == 0:
            del self.switches[item["name"]]

    def _40(self, item):  # ACL
        rule = tuple(item[key] for key in ("principal", "host", "operation", "permission", "resource", "pattern", "name"))
        self.rules[rule] = True
        if item["gone"]:
            del self.rules[rule]

    def _41(self, item):  # CREDENTIAL
        place = item["name"], item["mechanism"]
        self.credentials[place] = item["iterations"], item["salt"], item["stored_key"], item["server_key"]
        if item["iterations"] == 0:
            del self.credentials[place]

    def _42(self, item):  # QUOTA
        self.quotas[item["entity"], item["key"]] = item["value"]
        if not item["value"]:
            del self.quotas[item["entity"], item["key"]]

    def _43(self, item):  # MESSAGE_ID
        if item["forgotten"] >= self.messages.get(item["digest"], {"forgotten": 0})["forgotten"]:
            self.messages[item["digest"]] = item

    def _44(self, item):  # DELAY
        if item["over"]:
            self.delays.pop(item["offset"], None)
        else:
            self.delays.setdefault(item["offset"], item)

    def _60(self, item):  # SETTING
        self.settings[item["kind"], item["name"], item["key"]] = item["value"]
        if item["gone"]:
            del self.settings[item["kind"], item["name"], item["key"]]


# ---- folders ----

def read_meta(data):
    """Number of shards and cluster of sluice.meta."""
    need(len(data) == 4096 and data[:8] == b"SLUICEDB", "magic of sluice.meta")
    major, _, shards, _, incompatible, cluster = struct.unpack_from("<HHIQQ16s", data, 8)
    need(struct.unpack_from("<I", data, 4092)[0] == crc32c(data[:4092]), "CRC of sluice.meta")
    need(major == 1 and incompatible == 0 and 1 <= shards <= 64, "sluice.meta")
    return shards, cluster


class Folder:
    """A data folder: its logs and their states, by shard."""

    def __init__(self, path):
        with open(os.path.join(path, "sluice.meta"), "rb") as file:
            count, self.cluster = read_meta(file.read())
        self.logs = [Log(os.path.join(path, f"shard-{shard}", "wal")) for shard in range(count)]
        self.states = []
        for shard, log in enumerate(self.logs):
            state = State()
            if log.checkpoint:
                need((log.checkpoint.cluster, log.checkpoint.shard) == (self.cluster, shard), "another's checkpoint")
                state.apply(log.checkpoint.items)
            state.apply(log.tail())
            self.states.append(state)
        self.topics = self.states[0].topics
        for state in self.states:
            state.without_dead_topics(self.topics)

    def all(self, table):
        """A table of all shards; no key is in two of them."""
        found = {}
        for state in self.states:
            need(not found.keys() & getattr(state, table).keys(), "a key on two shards")
            found.update(getattr(state, table))
        return found


def read_backup(path):
    """The manifest of a backup, with every file of it checked."""
    with open(os.path.join(path, "backup.json"), "rb") as file:
        first, second, rest = file.read().split(b"\n")
    need(rest == b"" and json.loads(second) == {"crc32c": f"{crc32c(first):08x}"}, "CRC of backup.json")
    manifest = json.loads(first)
    need((manifest["format"], manifest["major"]) == ("sluice-backup", 1), "newer format")
    for entry in manifest["files"]:
        with open(os.path.join(path, "data", entry["path"]), "rb") as file:
            data = file.read()
        sums = "".join(f"{crc32c(data[at:at + (1 << 20)]):08x}" for at in range(0, len(data), 1 << 20))
        need((len(data), sums) == (int(entry["bytes"]), entry["crc32c"]), "a file of the backup")
    return manifest


def main():
    folder = Folder(sys.argv[1])
    for shard, (log, state) in enumerate(zip(folder.logs, folder.states)):
        checkpoint = f"checkpoint at {log.checkpoint.lsn} to {log.checkpoint.end_lsn}" if log.checkpoint else "no checkpoint"
        print(f"shard {shard}: {checkpoint}, {len(log.frames)} frames, {len(state.topics)} topics, {len(state.bounds)} partitions, "
              f"{len(state.offsets)} offsets, {len(state.positions)} positions, {len(state.producers)} producers, {len(state.extents)} extents")


if __name__ == "__main__":
    main()
