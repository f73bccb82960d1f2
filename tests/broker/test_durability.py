"""What a topic's durability class keeps over kill -9 and restarts, as clients see it."""
import os
import shutil
import threading

try:
    from confluent_kafka import Producer
except ImportError as error:
    MISSING = str(error)

from sluice_broker import SOURCE, Broker, loader, need, wait_for

MASK = os.path.join(SOURCE, "examples", "mask_lua", "mask.lua")


def create(broker, topic, durability, partitions=1, **configs):
    configs["sluice.durability"] = durability
    arguments = [word for key, value in configs.items()
                 for word in ("-c", "%s=%s" % (key.replace("_", "."), value))]
    code, _, err = broker.run("topic", "create", topic, "-p", str(partitions), *arguments)
    assert code == 0, err


def refused(broker, *arguments):
    code, _, err = broker.run(*arguments)
    assert code == 1, (code, err)
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


load_tests = loader(globals())
