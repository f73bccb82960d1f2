"""Measures a broker with very many partitions; used by test_many_streams.py and tests/long/many_streams.sh.

Partitions are made and written through Kafka's protocol, thousands in a request: every partition gets the same
batch, so that a request is put together from one piece repeated. What is measured is the broker's own process.
"""
import os
import re
import struct
import time
import urllib.request

from sluice_broker import Broker, Raw, request, wait_for
from wire_batch import batch

PRODUCE, LIST_OFFSETS, METADATA, CREATE_TOPICS, DELETE_TOPICS = 0, 2, 3, 19, 20
INIT_PRODUCER_ID = 22
PARTITIONS_A_REQUEST = 10_000
TOPICS_A_REQUEST = 1_000


def one_record(value, producer_id=-1, epoch=-1, sequence=-1):
    """A record batch with one record, whose time is now."""
    return batch([value], times=[int(time.time() * 1000)], producer=producer_id, epoch=epoch, sequence=sequence)


def text(name):
    return struct.pack(">h", len(name)) + name


class Link:
    """One connection: requests with many in flight, answers in order."""

    def __init__(self, broker):
        self.raw = Raw(broker.kafka)
        self.raw.socket.settimeout(600)
        self.number = 0

    def close(self):
        self.raw.socket.close()

    def send(self, key, version, body):
        self.number += 1
        self.raw.send_frame(request(key, version, self.number, body))

    def answer(self):
        size, = struct.unpack(">i", self.raw.read_exactly(4))
        parts = bytearray()
        while len(parts) < size:
            part = self.raw.socket.recv(min(size - len(parts), 1 << 20))
            if not part:
                raise EOFError
            parts += part
        return memoryview(parts)[4:]

    def call(self, key, version, body):
        self.send(key, version, body)
        return self.answer()


def create(link, names, partitions):
    body = struct.pack(">i", len(names))
    for name in names:
        body += text(name) + struct.pack(">ihii", partitions, 1, 0, 0)
    answer = link.call(CREATE_TOPICS, 2, body + struct.pack(">ib", 60000, 0))
    at = 8
    for _ in names:
        size, = struct.unpack_from(">h", answer, at)
        error, reason = struct.unpack_from(">hh", answer, at + 2 + size)
        at += 6 + size
        if error != 0:
            raise AssertionError((error, bytes(answer[at:at + reason])))
        at += max(reason, 0)


def groups_of(topics, partitions):
    """Topics in requests of at most PARTITIONS_A_REQUEST partitions; a larger topic is its own."""
    count = max(PARTITIONS_A_REQUEST // partitions, 1)
    for i in range(0, len(topics), count):
        yield topics[i:i + count]


def produce_body(names, partitions, data):
    piece = struct.pack(">i", len(data)) + data
    all_partitions = b"".join(struct.pack(">i", p) + piece for p in range(partitions))
    body = struct.pack(">hhii", -1, -1, 60000, len(names))
    return body + b"".join(text(name) + struct.pack(">i", partitions) + all_partitions for name in names)


def check_produced(answer, names, partitions, offset):
    """Each partition: error 0 at the offset."""
    at = 4
    for name in names:
        at += 2 + len(name) + 4
        for _ in range(partitions):
            _, error, base, _ = struct.unpack_from(">ihqq", answer, at)
            if error != 0 or base != offset:
                raise AssertionError((name, error, base))
            at += 22


def produce(link, topics, partitions, offset, producer=None):
    """One record to each partition, acknowledged; at most two requests under way."""
    data = one_record(b"v%d" % offset, *(producer or (-1, -1)), -1 if producer is None else offset)
    waiting = []
    for names in groups_of(topics, partitions):
        link.send(PRODUCE, 3, produce_body(names, partitions, data))
        waiting.append(names)
        if len(waiting) == 2:
            check_produced(link.answer(), waiting.pop(0), partitions, offset)
    for names in waiting:
        check_produced(link.answer(), names, partitions, offset)


def check_ends(link, topics, partitions, end):
    """Every partition begins at 0 and ends at `end`."""
    for timestamp, expected in ((-2, 0), (-1, end)):
        for names in groups_of(topics, partitions):
            places = b"".join(struct.pack(">iq", p, timestamp) for p in range(partitions))
            body = struct.pack(">ii", -1, len(names))
            body += b"".join(text(name) + struct.pack(">i", partitions) + places for name in names)
            answer, at = link.call(LIST_OFFSETS, 1, body), 4
            for name in names:
                at += 2 + len(name) + 4
                for _ in range(partitions):
                    _, error, _, offset = struct.unpack_from(">ihqq", answer, at)
                    assert error == 0 and offset == expected, (name, error, offset, expected)
                    at += 22


def producer_id(link):
    answer = link.call(INIT_PRODUCER_ID, 0, struct.pack(">hi", -1, 60000))
    _, error, identity, epoch = struct.unpack(">ihqh", answer)
    assert error == 0, error
    return identity, epoch


# ---- the process ----

def rss_bytes(broker):
    with open("/proc/%d/status" % broker.process.pid) as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) * 1024


def cpu_s(broker):
    with open("/proc/%d/stat" % broker.process.pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(broker):
    return len(os.listdir("/proc/%d/fd" % broker.process.pid))


def files(broker):
    return sum(len(names) for _, _, names in os.walk(os.path.join(broker.home, "data")))


def metrics(broker):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=120) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def turns(broker):
    """The histogram of loop turns: how many took at most so many seconds."""
    found = {}
    for name, value in metrics(broker).items():
        match = re.match(r'sluice_loop_turn_seconds_bucket\{le="([^+"]+)"\}', name)
        if match:
            found[float(match.group(1))] = value
    return found


def longest_ms(before, after):
    """Upper end of the bucket of the longest turn between two readings."""
    last, longest = 0, 0.0
    for limit in sorted(after):
        count = after[limit] - before.get(limit, max((v for k, v in before.items() if k <= limit), default=0))
        if count > last:
            longest = limit
        last = max(last, count)
    return longest * 1000


def settled(broker):
    """Nothing is being moved, and no checkpoint is under way: counters stand still for two seconds."""
    keys = ("sluice_seal_jobs_total", "sluice_checkpoints_total", "sluice_sealed_bytes_total",
            "sluice_wal_used_bytes", "sluice_extents")
    last, since = None, time.monotonic()
    while time.monotonic() - since < 2:
        now = [metrics(broker).get(key) for key in keys]
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.2)


class Measure:
    """Phases of one broker, each with what it cost."""

    def __init__(self, topics, partitions, shards=1, idempotent=False, show=None):
        self.topics = [b"many-%06d" % i for i in range(topics)]
        self.partitions, self.idempotent = partitions, idempotent
        self.count = topics * partitions
        self.show = show or (lambda line: None)
        self.rows = {}
        settings = ["wal.segment_bytes=16 MiB", "wal.frame_bytes_max=8 MiB", "wal.seal_bytes=16 MiB",
                    "wal.age_max=1 s", f"runtime.shards={shards}", "retention.check_interval=5 s"]
        self.broker = Broker(*settings, start=False)

    def phase(self, name, work):
        before = turns(self.broker) if self.broker.process and self.broker.is_running() else {}
        cpu = cpu_s(self.broker) if before else 0.0
        begin = time.monotonic()
        work()
        seconds = time.monotonic() - begin
        row = {"seconds": seconds, "longest_ms": longest_ms(before, turns(self.broker)),
               "rss": rss_bytes(self.broker), "cpu_s": cpu_s(self.broker) - cpu,
               "descriptors": descriptors(self.broker), "files": files(self.broker)}
        self.rows[name] = row
        per = (row["rss"] - self.rows["empty"]["rss"]) / self.count
        self.show("%-24s %8.2f s  cpu %6.2f s  longest turn %8.2f ms  rss %8.1f MiB  %6.0f B/stream  %4d fds  %4d files"
                  % (name, seconds, row["cpu_s"], row["longest_ms"], row["rss"] / 2**20, per, row["descriptors"],
                     row["files"]))
        return row

    def per_stream(self, name):
        return (self.rows[name]["rss"] - self.rows["empty"]["rss"]) / self.count

    def start(self):
        self.broker.start()
        link = Link(self.broker)
        link.call(18, 0, b"")  # answers
        link.close()

    def restart_clean(self):
        assert self.broker.stop() == 0

    def link(self):
        return Link(self.broker)

    def create(self):
        link = self.link()
        step = TOPICS_A_REQUEST if self.partitions < 1000 else 1
        for i in range(0, len(self.topics), step):
            create(link, self.topics[i:i + step], self.partitions)
        link.close()

    def produce(self, offset):
        link = self.link()
        if self.idempotent and offset == 0:
            self.producer = producer_id(link)
        produce(link, self.topics, self.partitions, offset, self.producer if self.idempotent else None)
        link.close()

    def check(self, end):
        link = self.link()
        check_ends(link, self.topics, self.partitions, end)
        link.close()

    def metadata(self):
        """All partitions of the first topics, 10,000 partitions in a request."""
        link = self.link()
        for names in list(groups_of(self.topics, self.partitions))[:20]:
            answer = link.call(METADATA, 1, struct.pack(">i", len(names)) + b"".join(text(n) for n in names))
            assert len(answer) > 20 * self.partitions
        link.close()

    def delete(self):
        link = self.link()
        link.call(DELETE_TOPICS, 1, struct.pack(">i", 1) + text(self.topics[-1]) + struct.pack(">i", 60000))
        link.close()

    def close(self):
        self.broker.close()


def run(measure):
    """All phases; the rows are in measure.rows."""
    measure.phase("empty", measure.start)
    measure.phase("create", measure.create)
    measure.phase("first record", lambda: measure.produce(0))
    measure.phase("settle", lambda: settled(measure.broker))
    measure.restart_clean()
    measure.phase("restart, clean", measure.start)
    measure.phase("idle", lambda: (settled(measure.broker), time.sleep(6)))
    measure.phase("ends", lambda: measure.check(1))
    measure.phase("metadata", measure.metadata)
    measure.phase("second record", lambda: measure.produce(1))
    measure.broker.crash()
    measure.phase("restart, kill -9", measure.start)
    measure.phase("settle again", lambda: settled(measure.broker))
    measure.phase("ends again", lambda: measure.check(2))
    measure.phase("delete a topic", measure.delete)
