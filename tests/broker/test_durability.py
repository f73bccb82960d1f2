"""What a topic's durability class keeps over kill -9 and restarts, as clients see it."""
import os
import shutil
import subprocess
import threading

try:
    from confluent_kafka import Producer
except ImportError as error:
    MISSING = str(error)

from sluice_broker import SLUICE, SOURCE, Broker, loader, need, wait_for

MASK = os.path.join(SOURCE, "examples", "mask_lua", "mask.lua")


def create(broker, topic, durability, partitions=1, **configs):
    configs["sluice.durability"] = durability
    arguments = [word for key, value in configs.items()
                 for word in ("-c", "%s=%s" % (key.replace("_", "."), value))]
    code, _, err = broker.run("topic", "create", topic, "-p", str(partitions), *arguments)
    assert code == 0, err


def refused(broker, *arguments):
    code, _, err = broker.run(*arguments)
    assert code in (1, 65), (code, err)
    return err


def describe(broker, topic):
    return broker.json("topic", "describe", topic)


def bounds(broker, topic, partition=0):
    """Earliest and latest offset, by ListOffsets."""
    need("kcat")
    found = []
    for question in ("-2", "-1"):
        line = broker.kcat("-Q", "-t", "%s:%d:%s" % (topic, partition, question))[0]
        found.append(int(line.rsplit(" ", 1)[1]))
    return tuple(found)


class Load:
    """A producer in the background: what was acknowledged, until the broker goes."""

    def __init__(self, broker, topic):
        self.acknowledged = {}
        self.sent = 0
        self.ended = False
        self.producer = Producer({"bootstrap.servers": broker.address, "acks": "all", "linger.ms": 1,
                                  "enable.idempotence": True, "message.timeout.ms": 60000})
        self.topic = topic
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def took(self, error, message):
        if error is None:
            self.acknowledged[message.offset()] = message.value()

    def run(self):
        while not self.ended:
            try:
                self.producer.produce(self.topic, b"value %d" % self.sent, on_delivery=self.took)
                self.sent += 1
            except BufferError:
                pass
            self.producer.poll(0 if self.sent % 50 else 0.001)

    def stop(self):
        self.ended = True
        self.thread.join()


# ---- os ----

def test_kill_9_loses_nothing_of_an_os_topic():
    with Broker() as broker:
        create(broker, "written", "os")
        load = Load(broker, "written")
        for rounds in range(1, 6):
            wait_for(lambda: len(load.acknowledged) > 2000 * rounds, "records to be acknowledged")
            broker.crash()
            broker.start()
        load.stop()
        load.producer.flush(30)
        found = broker.consume("written", "-f", "%o %s\n")
        values = dict(line.split(" ", 1) for line in found)
        lost = [offset for offset, value in load.acknowledged.items()
                if values.get(str(offset)) != value.decode()]
        assert lost == [], lost[:5]
        assert len(set(values.values())) == len(values), "no record is there twice"
        assert len(values) == load.sent, (len(values), load.sent)


def test_the_class_is_what_describe_says_and_an_unknown_one_is_refused():
    with Broker() as broker:
        create(broker, "written", "os")
        from confluent_kafka.admin import AdminClient, ConfigResource
        admin = AdminClient({"bootstrap.servers": broker.address})
        resource = ConfigResource(ConfigResource.Type.TOPIC, "written")
        configs = admin.describe_configs([resource])[resource].result()
        assert configs["sluice.durability"].value == "os"
        assert "sluice.durability" in refused(broker, "topic", "create", "x", "-c", "sluice.durability=disk")


def test_a_stage_on_a_topic_that_is_not_fsync_is_refused_by_name():
    with Broker() as broker:
        create(broker, "orders", "os")
        shutil.copy(MASK, os.path.join(broker.home, "plugins"))
        wait_for(lambda: "topic orders has sluice.durability=os" in broker.log(), "the refusal: " + broker.log()[-2000:])


def test_a_stage_does_not_attach_to_a_later_topic_that_is_not_fsync():
    with Broker() as broker:
        shutil.copy(MASK, os.path.join(broker.home, "plugins"))
        wait_for(lambda: " mask " in broker.log() and "loaded" in broker.log(), "the plugin")
        create(broker, "orders", "os")
        wait_for(lambda: "not attached" in broker.log(), "the refusal")
        broker.produce("orders", ["x"])
        assert broker.consume("orders") == ["x"]


# ---- memory ----

def topic_id(broker, topic):
    return next(entry["id"] for entry in broker.json("topic", "list")["topics"] if entry["name"] == topic)


def check_memory(end):
    with Broker() as broker:
        create(broker, "live", "memory")
        create(broker, "kept", "fsync")
        uuid = topic_id(broker, "live")
        highest = -1
        for rounds in range(3):
            lines = ["%d-%d" % (rounds, i) for i in range(100)]
            broker.produce("live", lines, "-X", "enable.idempotence=true")
            broker.produce("kept", ["x"])
            assert broker.consume("live") == lines
            start, stop = bounds(broker, "live")
            assert start > highest and stop == start + 100, (start, stop, highest)
            highest = stop - 1
            end(broker)
            broker.start()
            assert topic_id(broker, "live") == uuid
            start, stop = bounds(broker, "live")
            assert start == stop > highest, (start, stop, highest)
        assert broker.consume("kept") == ["x"] * 3


def test_a_topic_in_memory_is_empty_after_a_stop_and_offsets_go_on():
    check_memory(lambda broker: broker.stop())


def test_a_topic_in_memory_is_empty_after_kill_9_and_offsets_go_on():
    check_memory(lambda broker: broker.crash())


def test_nothing_of_a_topic_in_memory_is_on_the_disk():
    with Broker() as broker:
        create(broker, "secret", "memory")
        broker.produce("secret", ["needle-in-the-haystack-%d" % i for i in range(2000)])
        broker.stop()
        for folder, _, names in os.walk(os.path.join(broker.home, "data")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    assert b"needle-in-the-haystack" not in file.read(), name


def test_a_group_on_a_topic_in_memory_resets_after_a_restart():
    with Broker() as broker:
        create(broker, "live", "memory")
        broker.produce("live", ["before %d" % i for i in range(20)])
        read = broker.kcat("-G", "g", "-c", "10", "-q", "-X", "auto.offset.reset=earliest", "live")
        assert len(read) == 10
        broker.crash()
        broker.start()
        broker.produce("live", ["after"])
        read = broker.kcat("-G", "g", "-c", "1", "-q", "-X", "auto.offset.reset=earliest", "live")
        assert read == ["after"], read


SMALL = ("-X", "batch.size=100000")  # a log in memory takes batches up to a share of its bound


def test_at_the_bound_the_oldest_records_go_and_producers_do_not_stop():
    with Broker("memory.bytes_max=4 MiB") as broker:
        create(broker, "live", "memory")
        lines = ["%06d " % i + "x" * 500 for i in range(30000)]
        broker.produce("live", lines, *SMALL, "-X", "enable.idempotence=true")  # one refused for want of room keeps its place
        start, stop = bounds(broker, "live")
        assert stop == 30000 and start > 0, (start, stop)
        kept = broker.consume("live")
        assert kept == lines[start:], (start, len(kept), kept[:1])
        create(broker, "all", "memory", retention_ms="-1")
        broker.kcat("-P", "-t", "all", *SMALL, "-X", "message.timeout.ms=3000", "-X", "max.in.flight=1", lines=lines, check=False)
        start, stop = bounds(broker, "all")
        assert start == 0 and 0 < stop < 30000, "what has no retention is refused at the bound"
        kept = broker.consume("all")
        assert len(kept) == stop and kept == sorted(set(kept)) and set(kept) <= set(lines), "in order, once"


def test_compaction_in_memory_is_refused():
    with Broker() as broker:
        reason = refused(broker, "topic", "create", "x", "-c", "sluice.durability=memory", "-c", "cleanup.policy=compact")
        assert "cannot be compacted" in reason, reason


# ---- no disk ----

def files_below(folder):
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]


def test_a_broker_without_a_disk_serves_everything_and_leaves_nothing():
    with Broker("data.dir=none") as broker:
        assert "NOTHING IS LEFT" in wait_for(lambda: "NOTHING" in broker.log() and broker.log(), "the warning")
        broker.produce("t", ["a", "b", "c"], "-X", "enable.idempotence=true")
        assert broker.consume("t") == ["a", "b", "c"]
        read = broker.kcat("-G", "g", "-c", "2", "-q", "-X", "auto.offset.reset=earliest", "t")
        assert read == ["a", "b"], read
        read = broker.kcat("-G", "g", "-c", "1", "-q", "-X", "auto.offset.reset=earliest", "t")
        assert read == ["c"], "the offset was committed"
        status = broker.json("status")
        assert status["data_dir"] == "none" and status["durability"] == "memory", status
        assert "sluice.durability" in refused(broker, "topic", "create", "x", "-c", "sluice.durability=fsync")
        for command in (["scrub"], ["backup", "create", os.path.join(broker.home, "copy")]):
            assert "no disk" in refused(broker, *command)
        broker.stop()
        broker.start()
        assert broker.json("topic", "list")["topics"] == []


def test_a_stage_runs_in_a_broker_without_a_disk():
    with Broker("data.dir=none", start=False) as broker:
        os.mkdir(os.path.join(broker.home, "plugins"))
        shutil.copy(MASK, os.path.join(broker.home, "plugins"))
        broker.start()
        wait_for(lambda: " mask " in broker.log() and "loaded" in broker.log(), "the plugin")
        broker.produce("orders", ['{"card":"4111 1111 1111 1111"}'])
        wait_for(lambda: broker.kcat("-L", "-t", "orders.masked", check=False) and
                 broker.consume("orders.masked", ) == ['{"card":"**** **** **** 1111"}'], "the masked record")


def test_a_broker_without_a_disk_writes_no_file():
    with Broker("data.dir=none", "admin.socket=none", start=False) as broker:
        folder = os.path.join(broker.home, "empty")
        os.mkdir(folder)
        os.chmod(folder, 0o555)
        broker.log_path = os.path.join(broker.home, "log")
        home, broker.home = broker.home, folder
        try:
            broker.start()
            broker.produce("t", ["x" * 1000] * 5000)
            assert len(broker.consume("t")) == 5000
            opened = [os.readlink("/proc/%d/fd/%s" % (broker.process.pid, name))
                      for name in os.listdir("/proc/%d/fd" % broker.process.pid)]
            files = [path for path in opened if path.startswith("/") and not path.startswith("/dev/") and
                     not path.startswith("/memfd") and path != os.path.join(home, "log")]
            assert files == [], files
            with open("/proc/%d/io" % broker.process.pid) as file:
                written = dict(line.split(": ") for line in file.read().splitlines())
            # ThreadSanitizer writes half a MiB of its own when a program starts.
            own = 1 << 20 if os.environ.get("SLUICE_SANITIZER") == "thread" else 0
            assert int(written["write_bytes"]) < own + 65536, written
            assert files_below(folder) == [] and os.listdir(folder) == []
            assert broker.stop() == 0
            assert os.listdir(folder) == []
        finally:
            broker.home = home


def test_tools_for_files_say_that_there_is_none():
    with Broker(start=False) as broker:
        config = os.path.join(broker.home, "sluice.yaml")
        with open(config, "w") as file:
            file.write("data:\n  dir: none\n")
        for command in (["wal", "inspect"], ["wal", "verify"], ["extent", "ls"]):
            done = subprocess.run([SLUICE, *command, "--config", config], capture_output=True, text=True, timeout=60)
            assert done.returncode != 0 and "data.dir is none" in done.stderr, done


load_tests = loader(globals())
