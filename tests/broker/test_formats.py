"""What brokers leave on the disk, read by a reader that knows only docs/formats/, against what they report."""
import base64
import glob
import os
import random
import struct
import sys
import threading
import unittest

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
except ImportError as error:
    MISSING = str(error)

from sluice_broker import BUILD, SOURCE, Broker, loader, request, wait_for
from test_compaction import metric
from test_storage_tools import data_of, lines_of

sys.path.insert(0, os.path.join(SOURCE, "tests", "formats"))
import state_reader  # noqa: E402
import wal_reader  # noqa: E402

SMALL = ("wal.segment_bytes=1 MiB", "wal.frame_bytes_max=256 KiB", "wal.group_bytes_max=256 KiB",
         "wal.seal_bytes=1 MiB", "runtime.shards=2")
PARTITIONS = 4
VALUE = b"x" * 1000
SHIM = os.path.join(BUILD, "lib", "slow_sync.so")  # so that frames become durable while a checkpoint is written


def produce(broker, topic, count, key=lambda i: b"%d" % (i % 50)):
    """Batches of an idempotent producer, in turn to all partitions."""
    errors = []
    producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, "linger.ms": 1,
                         "batch.num.messages": 50})  # small enough for one frame
    for i in range(count):
        producer.produce(topic, VALUE, key=key(i), partition=i % PARTITIONS,
                         on_delivery=lambda error, _: error and errors.append(error))
        producer.poll(0)
    assert producer.flush(60) == 0
    assert not errors, errors[0]


def commit(broker, group, offsets):
    """offsets: (topic, partition): offset."""
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": group, "enable.auto.commit": False})
    asked = [TopicPartition(*place, offset) for place, offset in offsets.items()]
    assert not [told for told in consumer.commit(offsets=asked, asynchronous=False) if told.error]
    consumer.close()


def committed(broker, group, places):
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": group, "enable.auto.commit": False})
    told = consumer.committed([TopicPartition(*place) for place in places], 30)
    consumer.close()
    return {(group, about.topic, about.partition): about.offset for about in told if about.offset >= 0}


def next_producer_id(broker):
    with broker.connect() as raw:
        raw.send_frame(request(22, 1, 1, struct.pack(">hi", -1, 1000)))
        answer = raw.read_frame()
    error, producer = struct.unpack_from(">hq", answer, 8)
    assert error == 0, error
    return producer


def uuid_of(text):
    return base64.urlsafe_b64decode(text + "==")


class Names:
    """Reported: topics, by name. Read: ids."""

    def __init__(self, broker):
        self.topics = {}
        for topic in broker.json("topic", "list")["topics"]:
            told = broker.json("topic", "describe", topic["name"])
            own = {key: about["value"] for key, about in told["configs"].items() if about["source"] == "topic"}
            bounds = {p["partition"]: (int(p["log_start_offset"]), int(p["end_offset"])) for p in told["partition_list"]}
            self.topics[topic["name"]] = (uuid_of(told["id"]), own, bounds)
        self.names = {topic[0]: name for name, topic in self.topics.items()}

    def bounds(self):
        return {(name, p): bounds for name, (_, _, all_of) in self.topics.items() for p, bounds in all_of.items() if bounds != (0, 0)}


def read_topics(folder):
    return {item["name"]: (topic, item["configs"], len(item["shards"])) for topic, item in folder.topics.items()}


def assert_is_reported(folder, told, offsets):
    """Topics, bounds and committed offsets of the files are those that were told."""
    expected = {name: (topic, own, len(bounds)) for name, (topic, own, bounds) in told.topics.items()}
    assert read_topics(folder) == expected, (read_topics(folder), expected)
    bounds = {(told.names[topic], p): found for (topic, p), found in folder.all("bounds").items()}
    assert bounds == told.bounds(), (bounds, told.bounds())
    found = {(group, told.names[topic], p): item["offset"] for (group, topic, p), item in folder.all("offsets").items()}
    assert found == offsets, (found, offsets)


def lasts(folder, topic):
    """By partition: last sequence and last offset of the one producer that is remembered there."""
    found = {p: (batches[-1]["last"], batches[-1]["last_offset"])
             for (t, p, _), (_, batches) in folder.all("producers").items() if t == topic}
    assert len(found) == sum(1 for t, _, _ in folder.all("producers") if t == topic), "one producer each"
    return found


def refuses_flipped_bits(data):
    path = max(glob.glob(os.path.join(data, "shard-0", "wal", "checkpoint-[01]")), key=os.path.getmtime)
    with open(path, "rb") as file:
        whole = file.read()
    seed = random.randrange(1 << 32)
    for at in [*range(128), *random.Random(seed).sample(range(128, len(whole)), 100)]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        try:
            wal_reader.Checkpoint(bytes(damaged))
        except wal_reader.Refused:
            continue
        raise AssertionError(f"byte {at} is not noticed, seed {seed}")


def test_a_checkpoint_says_what_the_broker_reported_before_it_ended():
    with Broker(*SMALL) as broker:
        path = os.path.join(broker.home, "plugins", "copy.lua")
        with open(path + "~", "w") as file:
            file.write('return {name="copy", input="in", output="out", process=function(r) return r end}')
        os.rename(path + "~", path)
        wait_for(lambda: " copy " in broker.log() and " loaded " in broker.log(), "the plugin")
        for topic, *configs in (("in",), ("keyed", "cleanup.policy=compact", "min.cleanable.dirty.ratio=0.01"),
                                ("quick", "sluice.durability=os"), ("gone",), ("empty", "retention.ms=3600000")):
            settings = [word for config in configs for word in ("-c", config)]
            assert broker.run("topic", "create", topic, "-p", str(PARTITIONS), *settings)[0] == 0, topic
        for topic, count in (("in", 4000), ("keyed", 2000), ("quick", 400), ("gone", 100)):
            produce(broker, topic, count)
        given = {(topic, p): 7 * p + len(topic) for topic in ("in", "keyed", "gone") for p in range(PARTITIONS)}
        commit(broker, "readers", given)
        commit(broker, "others", {("quick", 2): 5})
        assert broker.run("topic", "delete", "--yes", "gone")[0] == 0
        assert broker.run("topic", "trim", "--yes", "in", "-p", "1", "-b", "10")[0] == 0
        wait_for(lambda: len(glob.glob(os.path.join(data_of(broker), "shard-*", "ext", "*.ext"))) > 1, "extents")
        wait_for(lambda: [p["lag"] for p in broker.json("plugin", "info", "copy")["partitions"]] == ["0"] * PARTITIONS, "the stage")
        producer = next_producer_id(broker)
        positions = {(p["topic"], p["partition"]): int(p["position"]) for p in broker.json("plugin", "info", "copy")["partitions"]}
        told = Names(broker)
        offsets = {**committed(broker, "readers", [place for place in given if place[0] != "gone"]),
                   **committed(broker, "others", [("quick", 2)])}
        assert len(offsets) == 2 * PARTITIONS + 1
        broker.stop()

        data = data_of(broker)
        folder = wal_reader.Folder(data)
        for log in folder.logs:
            assert {kind for kind, _ in log.tail()} <= {wal_reader.IDLE, wal_reader.CLEAN_SHUTDOWN}, log.tail()
            kinds = {kind for kind, _ in log.checkpoint.items}
            assert kinds >= {wal_reader.STAGE_POSITION, wal_reader.PRODUCER_STATE, wal_reader.LOG_BOUNDS}, kinds
        assert_is_reported(folder, told, offsets)
        assert {(told.names[topic], p): offset for (name, topic, p), offset in folder.all("positions").items()
                if name == "copy"} == positions
        for topic, count in (("in", 4000), ("keyed", 2000), ("quick", 400)):
            each = count // PARTITIONS - 1
            assert lasts(folder, told.topics[topic][0]) == {p: (each, each) for p in range(PARTITIONS)}, topic
        assert producer < folder.states[0].next_producer
        extents = lines_of("extent", "ls", "--home", broker.home)[0]["extents"]
        live = {(extent["shard"], int(extent["extent"])) for extent in extents if extent["state"] == "live"}
        assert {(shard, number) for shard, state in enumerate(folder.states) for number in state.extents} == live and live, live
        refuses_flipped_bits(data)
        broker.start()
        assert next_producer_id(broker) == folder.states[0].next_producer
        assert Names(broker).topics == told.topics


def load_until(broker, topics, condition, what):
    """Produces and commits until the condition holds; then nothing is under way."""
    going, failures = [True], []

    def load(topic):
        try:
            for at in range(1000):
                produce(broker, topic, 500)
                commit(broker, "group-" + topic, {(topic, p): at for p in range(PARTITIONS)})
                if not going:
                    return
        except Exception as error:  # pylint: disable=broad-except
            failures.append(error)
    threads = [threading.Thread(target=load, args=(topic,)) for topic in topics]
    for thread in threads:
        thread.start()
    try:
        wait_for(condition, what)
    finally:
        going.clear()
        for thread in threads:
            thread.join()
    assert not failures, failures


def test_a_checkpoint_in_slices_and_the_frames_behind_it_come_to_what_the_next_start_reports():
    topics = ("a", "b", "c")
    if not os.path.exists(SHIM):
        raise unittest.SkipTest("lib/slow_sync.so is not built")
    with Broker(*SMALL, environment={"LD_PRELOAD": SHIM, "SLOW_SYNC_MS": "30"}) as broker:
        for topic in topics:
            durability = "sluice.durability=" + ("os" if topic == "c" else "fsync")  # a checkpoint waits for what is told early
            assert broker.run("topic", "create", topic, "-p", str(PARTITIONS), "-c", durability)[0] == 0

        def sliced():
            files = glob.glob(os.path.join(data_of(broker), "shard-*", "wal", "checkpoint-[01]"))
            return any(found and found.spread for found in map(wal_reader.read_checkpoint, files))
        for _ in range(20):  # a newer one may have taken its place
            load_until(broker, topics, sliced, "a checkpoint in slices")
            broker.crash()
            folder = wal_reader.Folder(data_of(broker))
            broker.start()
            offsets = {}
            for topic in topics:
                offsets.update(committed(broker, "group-" + topic, [(topic, p) for p in range(PARTITIONS)]))
            assert_is_reported(folder, Names(broker), offsets)
            if any(log.checkpoint and log.checkpoint.spread and log.tail() for log in folder.logs):
                return
        raise AssertionError("no checkpoint in slices was read from")


COUNT = """return { name = "count", input = "in", output = "out", process = function(r)
  local n = (state[r.key] or 0) + 1
  state[r.key] = n < 7 and n or nil
  r.value = r.key .. " " .. n
  return r
end }
"""


def counted(broker, count):
    """What the outputs say that is remembered of each partition; keys begin with its number."""
    lines = wait_for(lambda: (lambda all_of: all_of if len(all_of) >= count else None)(broker.consume("out")), "the outputs")
    assert len(lines) == count, len(lines)
    found = {}
    for line in lines:
        key, text = line.split(" ")
        state = found.setdefault(("count", "in", int(key.split("-")[0])), {})
        state.pop(key, None)
        if text != "7":
            state[key] = int(text)
    return found


def state_in(data):
    """What the files say, as counted() does; and whether the topic was compacted."""
    folder = wal_reader.Folder(data)
    states = state_reader.read_states(data, folder)
    assert all(state.version == 0 for state in states.values()), "a script has no state_version of its own"
    topics = {topic for topic, about in folder.topics.items() if about["name"] == "__sluice_state.count"}
    clean = [place for place, offset in folder.all("clean").items() if place[0] in topics and offset > 0]
    return {place: {key.decode(): state_reader.lua_value(value) for key, value in state.values.items()}
            for place, state in states.items()}, bool(clean)


def test_the_state_of_a_stage_is_read_by_its_document_from_the_log_and_from_compacted_extents():
    count = 0
    with Broker(*SMALL, "compaction.check_interval=50 ms", "compaction.min_dirty_percent=1") as broker:
        assert broker.run("topic", "create", "in", "-p", str(PARTITIONS))[0] == 0
        with open(os.path.join(broker.home, "plugins", "count.lua"), "w") as file:
            file.write(COUNT)
        wait_for(lambda: " count " in broker.log() and " loaded " in broker.log(), "the plugin")
        for more in (4000, 300):
            produce(broker, "in", more, lambda i: b"%d-%d" % (i % PARTITIONS, i * 7 % 97))
            count += more
            said = counted(broker, count)
            wait_for(lambda: metric(broker, "sluice_compaction_jobs_total") > 0 or count > 4000, "the state to be compacted")
            broker.crash()
            states, compacted = state_in(data_of(broker))
            assert states == said, (states, said)
            assert compacted and len(states) == PARTITIONS
            broker.start()


def test_a_backup_is_read_by_its_document():
    with Broker(*SMALL) as broker:
        assert broker.run("topic", "create", "t", "-p", str(PARTITIONS))[0] == 0
        produce(broker, "t", 1000)
        commit(broker, "g", {("t", 3): 12})
        target = os.path.join(broker.home, "backup")
        assert broker.run("backup", "create", target)[0] == 0
        told = Names(broker)
        manifest = wal_reader.read_backup(target)
        folder = wal_reader.Folder(os.path.join(target, "data"))
        assert uuid_of(manifest["cluster_id"]) == folder.cluster
        assert_is_reported(folder, told, {("g", "t", 3): 12})
        for shard, log in zip(manifest["shards"], folder.logs):
            assert int(shard["lsn"]) == log.frames[-1][0], (shard, log.frames[-1][0])
            assert int(shard["extents"]) == len(folder.states[shard["shard"]].extents)


load_tests = loader(globals())
