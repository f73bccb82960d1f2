"""Everything slow at once: memory stays within its budget, nothing is lost, others go on, causes have names.

The peers here are rude on purpose: raw sockets that send without waiting for answers, ask without ever
reading, or begin a request and fall silent. The disk is slowed by a shim (tests/support/slow_sync.c).
Nothing is decided by time: bounds are those of a test that hangs, and "meanwhile" means that the flood is
not ended before."""
import os
import re
import selectors
import shutil
import socket
import struct
import threading
import time
import unittest
import urllib.request

import sluice_broker
from test_plugins import c_source, compile_plugin
from wire_batch import batch

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
except ImportError:
    Consumer = None

SHIM = os.path.join(sluice_broker.BUILD, "lib", "slow_sync.so")
SLOW_SYNC_MS = 200
MIB = 1 << 20
BUDGET = 32 * MIB
LARGEST = 8 * MIB  # memory of the largest request here, and of the largest answer at most
# Beside what the idle broker has: the budget, two requests beyond it (one that began below it, one that is
# exempt) and what they are copied from as they grow, and what malloc and the log's own buffers keep.
MEMORY_MAX = BUDGET + 3 * LARGEST + 16 * MIB
PRODUCERS = 100
BATCH_RECORDS = 500
READERS = 20
FETCHES = 300  # of each: more than the kernel buffers for a socket, even in the smallest answers
HOARDERS = 5
SLOW_RECORDS = 20
CALM_RECORDS = 200
PATIENCE_S = 120

# ---- Kafka by hand ----

def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def frame(key, version, body):
    request = struct.pack(">hhi", key, version, 7) + text("rude") + body
    return struct.pack(">i", len(request)) + request


def produce_frame(topic, records):
    return frame(0, 3, struct.pack(">hhi", -1, -1, 60000) + struct.pack(">i", 1) + text(topic)
                 + struct.pack(">ii", 1, 0) + struct.pack(">i", len(records)) + records)


def fetch_frame(topic, offset, bytes_max):
    return frame(1, 4, struct.pack(">iiiib", -1, 500, 1, bytes_max, 0) + struct.pack(">i", 1) + text(topic)
                 + struct.pack(">iiqi", 1, 0, offset, bytes_max))


class Flood(threading.Thread):
    """Connections that send the Produce requests of their own batch as fast as the sockets take them."""

    def __init__(self, port, topic, count):
        super().__init__(daemon=True)
        self.address, self.topic = ("127.0.0.1", port), topic
        self.answer_size = 4 + 4 + 4 + len(text(topic)) + 4 + 4 + 2 + 8 + 8 + 4
        times = [int(time.time() * 1000)] * BATCH_RECORDS
        self.requests = [produce_frame(topic, batch([b"%03d" % number + b"x" * 100] * BATCH_RECORDS, times=times))
                         for number in range(count)]
        self.sent, self.acknowledged = [0] * count, [0] * count
        self.errors, self.ending = [], threading.Event()

    def answered(self):
        return sum(self.acknowledged) + len(self.errors)

    def run(self):
        selector = selectors.DefaultSelector()
        for number in range(len(self.requests)):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)  # what the kernel takes is to be drained, too
            peer.connect(self.address)
            peer.setblocking(False)
            state = {"number": number, "left": b"", "answers": bytearray()}
            selector.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE, state)
        limit = None
        while limit is None or (self.answered() < sum(self.sent) and time.monotonic() < limit):
            if self.ending.is_set() and limit is None:
                limit = time.monotonic() + PATIENCE_S
            for key, events in selector.select(0.05):
                if events & selectors.EVENT_WRITE and not self.write(key.fileobj, key.data):
                    selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
                if events & selectors.EVENT_READ:
                    self.read(key.fileobj, key.data)
        for key in list(selector.get_map().values()):
            key.fileobj.close()

    def write(self, peer, state):
        """False: it has sent its last request."""
        if not state["left"] and self.ending.is_set():
            return False
        if not state["left"]:
            state["left"] = memoryview(self.requests[state["number"]])
            self.sent[state["number"]] += 1
        try:
            state["left"] = state["left"][peer.send(state["left"]):]
        except BlockingIOError:
            pass
        return True

    def read(self, peer, state):
        got = peer.recv(65536)
        if not got:
            raise ConnectionError("the broker closed a producer's connection")
        state["answers"] += got
        while len(state["answers"]) >= self.answer_size:
            error = struct.unpack_from(">h", state["answers"], self.answer_size - 4 - 8 - 8 - 2)[0]
            if error == 0:
                self.acknowledged[state["number"]] += 1
            else:
                self.errors.append(error)
            del state["answers"][:self.answer_size]


def stuck_reader(port, topic):
    """Asks for much, many times, and never reads."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect(("127.0.0.1", port))
    peer.sendall(fetch_frame(topic, 0, 16 * MIB) * FETCHES)
    return peer


def hoarder(port, topic):
    """Sends the larger part of a large request and falls silent. In a thread: it may have to wait."""
    peer = socket.create_connection(("127.0.0.1", port))
    request = produce_frame(topic, bytes(LARGEST - 1024))

    def run():
        try:
            peer.sendall(request[:5 * MIB])
        except OSError:
            pass  # closed meanwhile
    threading.Thread(target=run, daemon=True).start()
    return peer


# ---- what is looked at ----

def resident(pid, field):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(field + r":\s+(\d+) kB", file.read()).group(1)) * 1024


def page(broker, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http}{path}", timeout=sluice_broker.WAIT_S) as answer:
        return answer.read().decode()


def metric(broker, name):
    """0 when it is not there."""
    return sum(float(value) for value in
               re.findall(rf"^{re.escape(name)} ([0-9.e+-]+)$", page(broker, "/metrics"), re.M))


class Livez(threading.Thread):
    """Asks /livez all the time."""

    def __init__(self, broker):
        super().__init__(daemon=True)
        self.broker, self.count, self.failure, self.ending = broker, 0, None, threading.Event()

    def run(self):
        try:
            while not self.ending.is_set():
                page(self.broker, "/livez")
                self.count += 1
                time.sleep(0.05)
        except OSError as failure:
            self.failure = failure


def client(broker):
    return {"bootstrap.servers": f"127.0.0.1:{broker.kafka}", "broker.address.family": "v4"}


def read_values(broker, topic, count):
    """The first so many values of partition 0; fewer when nothing comes any more."""
    consumer = Consumer({**client(broker), "group.id": "reader", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values, deadline = [], time.monotonic() + PATIENCE_S
    while len(values) < count and time.monotonic() < deadline:
        values += [message.value() for message in consumer.consume(10000, 0.5) if message.error() is None]
    end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=sluice_broker.WAIT_S)[1]
    consumer.close()
    return values, end


def produce(broker, topic, values):
    """Errors of a well-behaved client, and how many were not answered."""
    failures = []
    producer = Producer({**client(broker), "acks": "all"})
    for value in values:
        producer.produce(topic, value, partition=0,
                         on_delivery=lambda error, _: failures.append(error) if error else None)
    return failures, producer.flush(PATIENCE_S)


@unittest.skipUnless(os.path.exists(SHIM), "lib/slow_sync.so is not built")
@unittest.skipUnless(Consumer, "confluent_kafka is not installed")
@unittest.skipUnless(shutil.which("cc"), "no cc")
class Backpressure(unittest.TestCase):
    def setUp(self):
        self.broker = sluice_broker.Broker(
            f"core.memory_bytes_max={BUDGET // MIB} MiB", "core.frame_bytes_max=16 MiB",
            "kafka.request_bytes_max=16 MiB",
            environment={"LD_PRELOAD": SHIM, "SLOW_SYNC_MS": str(SLOW_SYNC_MS),
                         "MALLOC_PERTURB_": "0"})  # filled memory is resident, used or not
        self.addCleanup(self.broker.close)
        self.idle_bytes = resident(self.broker.process.pid, "VmRSS")

    def cause(self, name):
        return metric(self.broker, f'sluice_connections_stalled{{cause="{name}"}}')

    def wait_cause(self, name):
        sluice_broker.wait_for(lambda: self.cause(name) > 0, f"connections that stall for {name}")

    def assert_goes_on(self, topic):
        values = [b"%d" % number for number in range(CALM_RECORDS)]
        self.assertEqual(produce(self.broker, topic, values), ([], 0))
        self.assertEqual(read_values(self.broker, topic, CALM_RECORDS), (values, CALM_RECORDS))

    def start_stage(self):
        """A stage that sleeps for each record of "slow"; its input waits in the log."""
        built = os.path.join(self.broker.home, "sleepy.built")
        compile_plugin(built, c_source("sleepy", each="usleep(200000);", input="slow", output="slow.out"))
        os.rename(built, os.path.join(self.broker.home, "plugins", "sleepy.so"))
        # It begins at the end of its input: not before it has a position it may miss something.
        position = 'sluice_plugin_lag_records{plugin="sleepy",topic="slow",partition="0"} 0\n'
        sluice_broker.wait_for(lambda: position in page(self.broker, "/metrics"), "the stage to have a position")
        self.assertEqual(produce(self.broker, "slow", [b"%d" % number for number in range(SLOW_RECORDS)]), ([], 0))
        stalled = 'sluice_plugin_stalled_partitions{plugin="sleepy",cause="waits for the worker"}'
        sluice_broker.wait_for(lambda: metric(self.broker, stalled), "the stage's cause")

    def test_all_that_is_slow_at_once(self):
        for topic in ("flood", "calm", "quiet", "slow"):
            code, _, error = self.broker.run("topic", "create", topic)
            self.assertEqual(code, 0, error)
        livez = Livez(self.broker)
        livez.start()
        self.start_stage()

        flood = Flood(self.broker.kafka, "flood", PRODUCERS)
        flood.start()
        sluice_broker.wait_for(lambda: flood.answered() > PRODUCERS, "the flood to be answered")
        self.wait_cause("log")
        self.assert_goes_on("calm")

        readers = [stuck_reader(self.broker.kafka, "flood") for _ in range(READERS)]
        self.wait_cause("output")
        hoarders = [hoarder(self.broker.kafka, "flood") for _ in range(HOARDERS)]
        self.wait_cause("memory")
        self.assert_goes_on("quiet")
        self.assertTrue(flood.is_alive())

        flood.ending.set()
        for peer in readers + hoarders:
            peer.close()
        flood.join(2 * PATIENCE_S)
        self.assertEqual((flood.errors, flood.acknowledged), ([], flood.sent))
        for name in ("log", "output", "memory"):
            sluice_broker.wait_for(lambda: self.cause(name) == 0, f"the end of what stalls for {name}")
        self.assert_all_is_there(flood)
        livez.ending.set()
        livez.join(PATIENCE_S)
        self.assertIsNone(livez.failure)
        self.assertGreater(livez.count, 0)
        if not os.environ.get("SLUICE_SANITIZER"):  # which keeps freed memory, and a shadow of all
            self.assertLess(resident(self.broker.process.pid, "VmHWM") - self.idle_bytes, MEMORY_MAX)

    def assert_all_is_there(self, flood):
        """What was acknowledged, no less and no more, by each producer; and each record of the stage once."""
        records = sum(flood.acknowledged) * BATCH_RECORDS
        values, end = read_values(self.broker, "flood", records)
        self.assertEqual((len(values), end), (records, records))
        found = [0] * PRODUCERS
        for value in values:
            found[int(value[:3])] += 1
        self.assertEqual(found, [count * BATCH_RECORDS for count in flood.acknowledged])
        values, end = read_values(self.broker, "slow.out", SLOW_RECORDS)
        self.assertEqual((values, end), ([b"%d" % number for number in range(SLOW_RECORDS)], SLOW_RECORDS))


if __name__ == "__main__":
    unittest.main()
