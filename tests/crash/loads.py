"""loads.py: what clients do to a broker that is being killed, and what must be true afterwards.

A load is a thread that works on one part of the broker through real clients, remembers what was
acknowledged, and goes on whatever happens to the broker. `finish` ends it, `check` reads everything back:
it adds to `problems` what must not be, and gives one line of counts.

  Sender     numbered records: librdkafka with idempotence or without, every codec, 20 bytes to 200 KB
  Plodder    the same through kafka-python, without idempotence
  Keyed      a compacted topic: updates and tombstones of some keys
  Brief      a topic with retention by size whose records are also deleted by offset
  Copied     a stage: each input comes out once
  Readers    a group of two that commits what it has read
  Offsets    commits of one group, looked at after each kill
  Topics     topics that come, are written to, go, and come again under the same name"""
import array
import json
import os
import random
import socket
import threading
import time

PARTITIONS, WINDOW = 3, 400
READ_LIMIT_S = 180
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
STAGE = """return { name = "copier", on = "log", input = "ids.a", output = "ids.a.copied",
  process = function(record) return record end }
"""


class Refused(Exception):
    """The broker answered, and said no: (code, message)."""


class Admin:
    """The admin socket: one command a connection. OSError: there is no answer, it may or may not be done."""

    def __init__(self, path):
        self.path = path

    def call(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(20)
            link.connect(self.path)
            link.sendall(json.dumps({"id": 1, "command": command, "args": arguments}).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = link.recv(1 << 20)
                if not part:
                    raise ConnectionError("closed without an answer")
                data += part
        reply = json.loads(data)
        if not reply["ok"]:
            raise Refused(reply["error"]["code"], reply["error"]["message"])
        return reply.get("result")


def stage_state(admin, name):
    """"running" …; None: it is not loaded. Asked for, not read from the log: that one tells of what it told before by a
    count, seconds later."""
    return next((one["state"] for one in admin.call("plugin.list")["plugins"] if one["name"] == name), None)


def client(address, **more):
    return {"bootstrap.servers": address, "broker.address.family": "v4", "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100, "log_level": 0, **{key.replace("_", "."): value for key, value in more.items()}}


def pause(event, seconds):
    event.wait(seconds)


class Load(threading.Thread):
    def __init__(self, name, address, seed):
        super().__init__(daemon=True, name=name)
        self.address, self.random = address, random.Random(f"{seed} {name}")
        self.problems, self.ending, self.kills, self.done = [], threading.Event(), 0, 0

    def killed(self):
        """The broker was killed and is ready again. Called by the main thread."""
        self.kills += 1

    def finish(self):
        self.ending.set()
        self.join(READ_LIMIT_S)
        if self.is_alive():
            self.problems.append(f"{self.name}: hangs")

    def run(self):
        try:
            self.work()
        except Exception as error:  # a load that ends early would prove nothing
            self.problems.append(f"{self.name}: {type(error).__name__}: {error}")


# ---- numbered records ----

def size_of(number):
    """Bytes of a record: mostly small, some of a few KB, few of 200 KB."""
    mixed = number * 2654435761 % 1000
    return 200000 if mixed == 7 else 2000 + 7 * mixed if mixed < 30 else 20 + mixed % 180


def value_of(partition, number):
    return f"{partition}:{number}:".ljust(size_of(number), chr(97 + number % 26)).encode()


def number_of(value):
    partition, number, _ = value[:30].split(b":", 2)
    return int(partition), int(number)


class Sender(Load):
    """Sends numbered records to each partition of a topic and remembers what was acknowledged where."""

    def __init__(self, name, address, seed, idempotent=True, per_s=1000, renew_every=0):
        super().__init__(name, address, seed)
        self.idempotent, self.per_s, self.renew_every = idempotent, per_s, renew_every
        self.sent = [0] * PARTITIONS
        self.acked = [array.array("q") for _ in range(PARTITIONS)]  # offset by number; -1 not (yet)
        self.pending, self.producers, self.refused, self.worst_s = 0, 0, 0, 0.0

    def open(self):
        from confluent_kafka import Producer
        self.producers += 1
        more = {"enable.idempotence": True} if self.idempotent else \
            {"max.in.flight.requests.per.connection": 1, "retries": 1000000}  # order is not promised beyond
        return Producer({**client(self.address), "acks": "all", "linger.ms": 2, "retry.backoff.ms": 20,
                         "message.timeout.ms": 240000, "socket.timeout.ms": 10000, "error_cb": self.failed,
                         "compression.type": self.random.choice(CODECS), **more})

    def failed(self, error):
        if error.fatal():
            self.problems.append(f"{self.name}: fatal: {error}")

    def delivered(self, partition, number, begun, error, message):
        self.pending -= 1
        if error is not None:
            self.problems.append(f"{self.name}-{partition} record {number}: {error}")
            return
        self.acked[partition][number] = message.offset()
        self.worst_s = max(self.worst_s, time.monotonic() - begun)
        self.done += 1

    def record(self, partition, number):
        return b"%d" % partition, value_of(partition, number)

    def send_one(self, producer, partition):
        number, begun = self.sent[partition], time.monotonic()
        self.sent[partition] += 1
        self.acked[partition].append(-1)
        self.pending += 1
        key, value = self.record(partition, number)
        producer.produce(self.name, value, partition=partition, key=key,
                         on_delivery=lambda error, message: self.delivered(partition, number, begun, error, message))

    def work(self):
        producer, renewed = self.open(), 0
        while not self.ending.is_set():
            if self.renew_every and self.kills >= renewed + self.renew_every:
                self.drain(producer)
                producer, renewed = self.open(), self.kills
            burst = self.random.randint(1, 60)
            for _ in range(burst):
                if self.pending >= WINDOW:
                    break
                self.send_one(producer, self.random.randrange(PARTITIONS))
            until = time.monotonic() + burst / self.per_s
            while time.monotonic() < until:
                producer.poll(0.02)
        self.drain(producer)

    def drain(self, producer):
        if producer.flush(READ_LIMIT_S) > 0:
            self.problems.append(f"{self.name}: {self.pending} records were neither acknowledged nor refused")

    # -- afterwards --

    def check(self):
        self.found, _ = read_all(self.address, self.name)
        duplicates = lost = 0
        for partition in range(PARTITIONS):
            twice, gone = self.check_partition(partition, self.found[partition])
            duplicates, lost = duplicates + twice, lost + gone
        return self.line(sum(map(len, self.found)), lost, duplicates)

    def line(self, there, lost, duplicates, more=""):
        return (f"{self.name}: {sum(self.sent)} sent by {self.producers} producers, {there} there, {lost} acknowledged lost, "
                f"{duplicates} duplicates" + ("" if self.idempotent else " (allowed)") + more)

    def check_partition(self, partition, found, first=0):
        """Of offsets from `first` on: counts of duplicates and of what is lost."""
        name, seen, expected, duplicates, lost = f"{self.name}-{partition}", set(), None, 0, 0
        for offset in sorted(found):
            home, number = number_of(found[offset][1])
            if home != partition or found[offset] != self.record(partition, number):
                self.problems.append(f"{name} offset {offset}: not what was sent")
            elif number in seen:
                duplicates += 1
                if self.idempotent:
                    self.problems.append(f"{name} offset {offset}: record {number} is there twice")
            else:
                if number != (expected if expected is not None else 0 if first == 0 else number):
                    self.problems.append(f"{name} offset {offset}: record {number} where {expected} was due")
                seen.add(number)
                expected = number + 1
        for number, offset in enumerate(self.acked[partition]):
            if offset >= first and (offset not in found or number_of(found[offset][1])[1] != number):
                lost += 1
                self.problems.append(f"{name}: record {number}, acknowledged at {offset}, is not there")
        return duplicates, lost


def log_starts(address, topic, partitions=PARTITIONS):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({**client(address), "group.id": "reader"})
    lows = [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[0] for number in range(partitions)]
    consumer.close()
    return lows


def read_all(address, topic, partitions=PARTITIONS):
    """(key, value) by partition and offset, up to the end; and the log start offsets."""
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({**client(address), "group.id": "reader", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "check.crcs": True})
    bounds = [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30) for number in range(partitions)]
    found, next_offset = [{} for _ in range(partitions)], [low for low, _ in bounds]
    consumer.assign([TopicPartition(topic, number, low) for number, (low, _) in enumerate(bounds)])
    limit = time.monotonic() + READ_LIMIT_S
    while any(next_offset[p] < bounds[p][1] for p in range(partitions)):
        messages = consumer.consume(10000, 0.2)
        for message in messages:
            if message.error() is None:
                found[message.partition()][message.offset()] = message.key(), message.value()
        if not messages:  # retention may have taken the rest meanwhile
            for number in range(partitions):
                low, _ = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
                next_offset[number] = max(next_offset[number], low)
        if time.monotonic() > limit:
            raise SystemExit(f"{topic}: read {next_offset} of {bounds} within {READ_LIMIT_S} s")
        for place in consumer.position([TopicPartition(topic, number) for number in range(partitions)]):
            next_offset[place.partition] = max(next_offset[place.partition], place.offset)
    consumer.close()
    return found, [low for low, _ in bounds]


class Plodder(Sender):
    """Through kafka-python, which has no idempotence: what is acknowledged is there, the rest may be."""

    def __init__(self, name, address, seed, per_s=100):
        super().__init__(name, address, seed, idempotent=False, per_s=per_s)
        self.lock = threading.Lock()

    def open(self):
        from kafka import KafkaProducer
        self.producers += 1
        while True:
            try:
                # api_version: its guess would be of an ancient broker when a kill comes in between.
                return KafkaProducer(bootstrap_servers=self.address, acks="all", retries=1000000, linger_ms=5,
                                     api_version=(2, 1, 0),
                                     retry_backoff_ms=20, reconnect_backoff_ms=20, reconnect_backoff_max_ms=100,
                                     max_in_flight_requests_per_connection=1, max_block_ms=60000, max_request_size=1000000,
                                     compression_type=self.random.choice((None, "gzip", "lz4")))
            except Exception:
                if self.ending.is_set():
                    raise
                time.sleep(0.05)

    def acknowledged(self, partition, number, metadata):
        with self.lock:
            self.acked[partition][number] = metadata.offset
            self.done += 1

    def send_one(self, producer, partition):
        from kafka.errors import KafkaTimeoutError
        with self.lock:
            number = self.sent[partition]
            self.sent[partition] += 1
            self.acked[partition].append(-1)
        key, value = self.record(partition, number)
        try:
            producer.send(self.name, value, key, partition=partition).add_callback(
                lambda metadata: self.acknowledged(partition, number, metadata))
        except KafkaTimeoutError:  # no metadata meanwhile: not sent, its number is free
            pass

    def work(self):
        producer = self.open()
        while not self.ending.is_set():
            for _ in range(self.random.randint(1, 10)):
                self.send_one(producer, self.random.randrange(PARTITIONS))
            pause(self.ending, self.random.random() * 10 / self.per_s)
        producer.flush(READ_LIMIT_S)
        producer.close(10)

    def check_partition(self, partition, found, first=0):
        numbers = []
        for offset in sorted(found):
            home, number = number_of(found[offset][1])
            if home != partition or found[offset] != self.record(partition, number):
                self.problems.append(f"{self.name}-{partition} offset {offset}: not what was sent")
            numbers.append(number)
        lost = 0
        for number, offset in enumerate(self.acked[partition]):
            if offset >= 0 and (offset not in found or number_of(found[offset][1])[1] != number):
                lost += 1
                self.problems.append(f"{self.name}-{partition}: record {number}, acknowledged at {offset}, is not there")
        return len(numbers) - len(set(numbers)), lost


# ---- records that go ----

class Keyed(Sender):
    """Updates of a few keys; one in ten is a tombstone. The newest of each key is kept."""
    KEYS = 300
    CONFIGS = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "500"}

    def choice(self, partition, number):
        draw = number * 2654435761 + partition * 40503 & 0xffffffff
        return draw % self.KEYS, draw // 7919 % 10 == 0

    def record(self, partition, number):
        key, is_tombstone = self.choice(partition, number)
        return b"key-%d" % key, None if is_tombstone else value_of(partition, number)[:400]

    def check(self):
        found, _ = read_all(self.address, self.name)
        kept = lost = 0
        for partition in range(PARTITIONS):
            lost += self.check_keys(partition, found[partition])
            kept += len(found[partition])
        if kept == sum(self.sent) and kept > 20000:
            self.problems.append(f"{self.name}: nothing was compacted")
        return self.line(kept, lost, 0, f", {self.KEYS * PARTITIONS} keys")

    def check_keys(self, partition, found):
        name, lost, newest, number_at = f"{self.name}-{partition}", 0, {}, {}
        for number, offset in enumerate(self.acked[partition]):
            number_at[offset] = number
            if offset >= 0:
                newest[self.choice(partition, number)[0]] = number
        last = {}
        for offset in sorted(found):
            number = number_at.get(offset, -1)
            if number < 0 or found[offset] != self.record(partition, number):
                self.problems.append(f"{name} offset {offset}: not what was acknowledged there")
            else:
                last[self.choice(partition, number)[0]] = number
        for key, number in newest.items():
            gone = self.choice(partition, number)[1] and key not in last  # the tombstone and all before it
            if last.get(key) != number and not gone:
                lost += 1
                self.problems.append(f"{name} key {key}: {last.get(key)} where {number} is the newest")
        return lost


class Brief(Sender):
    """Old records go by size and by DeleteRecords; none comes back, and what is behind the start is whole."""
    CONFIGS = {"retention.bytes": str(512 << 10)}

    def __init__(self, name, address, seed, admin, **more):
        super().__init__(name, address, seed, **more)
        self.admin, self.floor, self.trims = admin, [0] * PARTITIONS, 0

    def killed(self):
        super().killed()
        try:
            self.look()
            if self.random.random() < 0.3:
                self.trim(self.random.randrange(PARTITIONS))
        except OSError:
            pass

    def look(self):
        """The start of a partition never goes back."""
        for place in self.admin.call("topic.describe", topic=self.name)["partition_list"]:
            number, low = place["partition"], int(place["log_start_offset"])
            if low < self.floor[number]:
                self.problems.append(f"{self.name}-{number}: starts at {low}, and started at {self.floor[number]} before")
            self.floor[number] = low
        return [int(place["end_offset"]) for place in sorted(
            self.admin.call("topic.describe", topic=self.name)["partition_list"], key=lambda place: place["partition"])]

    def trim(self, partition):
        end = self.look()[partition]
        before = self.random.randint(self.floor[partition], end)
        answer = self.admin.call("topic.trim", topic=self.name, partition=partition, before=before)
        self.trims += 1
        self.floor[partition] = int(answer["log_start_offset"])

    def check(self):
        self.look()
        self.found, lows = read_all(self.address, self.name)
        duplicates = lost = 0
        for partition, low in enumerate(lows):
            twice, gone = self.check_partition(partition, self.found[partition], low)
            duplicates, lost = duplicates + twice, lost + gone
        return self.line(sum(map(len, self.found)), lost, duplicates, f", {sum(lows)} gone in order, {self.trims} deletions")


# ---- stage ----

class Copied:
    """Each input of a stage once in its output or among its dead letters, in order: compared with what its input holds."""

    def __init__(self, name, address, source, output, admin=None):
        self.name, self.address, self.source, self.output, self.admin = name, address, source, output, admin
        self.problems, self.done, self.seen, self.letters_from = [], 0, {}, self.letters_end() if admin else {}

    def killed(self):
        pass

    def finish(self):
        pass

    # Dead letters: those of before are of no concern.

    def letters_end(self):
        try:
            places = self.admin.call("topic.describe", topic=f"__sluice_dlq.{self.name}")["partition_list"]
            return {place["partition"]: int(place["end_offset"]) for place in places}
        except Refused:  # none ever
            return {}

    def letters(self):
        ends = self.letters_end() if self.admin else {}
        if not ends:
            return []
        found, _ = read_all(self.address, f"__sluice_dlq.{self.name}", len(ends))
        return [number_of(value) for partition, part in enumerate(found)
                for offset, (_, value) in part.items() if offset >= self.letters_from.get(partition, 0)]

    def look(self, copies):
        self.seen = {}
        for number, part in enumerate(copies):
            last = {}
            for offset, (_, value) in sorted(part.items()):
                one = number_of(value)
                if value != value_of(*one):
                    self.problems.append(f"{self.name}: {number}:{offset} is not what went in")
                if one in self.seen:
                    self.problems.append(f"{self.name}: input {one} came out twice, at {self.seen[one]} and {number}:{offset}")
                if last.get(one[0], -1) >= one[1]:
                    self.problems.append(f"{self.name}: input {one} came out after {last[one[0]]}")
                self.seen[one] = f"{number}:{offset}"
                last[one[0]] = one[1]

    def check(self):
        limit = time.monotonic() + READ_LIMIT_S
        want = [number_of(value) for part in self.source.found for _, (_, value) in sorted(part.items())]
        while True:
            copies, _ = read_all(self.address, self.output)
            letters = self.letters()
            if sum(map(len, copies)) + len(letters) >= len(want) or time.monotonic() > limit:
                break
            time.sleep(0.3)
        self.look(copies)
        for one in letters:
            if one in self.seen:
                self.problems.append(f"{self.name}: input {one} came out, and is a dead letter")
            self.seen[one] = "dead letter"
        missing = set(want) - set(self.seen)
        if missing:
            self.problems.append(f"{self.name}: {len(missing)} inputs did not come out, first {min(missing)}")
        self.done = len(self.seen)
        return f"stage {self.name}: {len(want)} in, {len(self.seen) - len(letters)} out, {len(letters)} dead letters"


# ---- groups ----

class Readers(Load):
    """A group of two reads a topic and commits: each record comes at least once, no acknowledged commit is lost."""
    MEMBERS = 2

    def __init__(self, name, address, seed, source):
        super().__init__(name, address, seed)
        self.source, self.seen = source, [set() for _ in range(PARTITIONS)]
        self.commits, self.again, self.assignments = 0, 0, 0
        self.committed = [0] * PARTITIONS  # as last acknowledged
        self.due = {}                      # (member, partition): the first record after an assignment is not before

    def open(self, member):
        from confluent_kafka import Consumer

        def assigned(_, partitions):
            self.assignments += 1
            for place in partitions:
                self.due[member, place.partition] = self.committed[place.partition]
        consumer = Consumer({**client(self.address), "group.id": self.name, "enable.auto.commit": False,
                             "auto.offset.reset": "earliest", "heartbeat.interval.ms": 100, "session.timeout.ms": 6000,
                             "topic.metadata.refresh.interval.ms": 1000})
        consumer.subscribe([self.source.name], on_assign=assigned)
        return consumer

    def step(self, member, consumer):
        from confluent_kafka import KafkaException, TopicPartition
        ends = {}
        for message in consumer.consume(2000, 0.05):
            if message.error() is not None:
                continue
            partition, offset = message.partition(), message.offset()
            due = self.due.pop((member, partition), None)
            if due is not None and offset < due:
                self.problems.append(f"{self.name}-{partition}: goes on at {offset}, {due} was committed")
            self.again += offset in self.seen[partition]
            self.seen[partition].add(offset)
            self.done += 1
            ends[partition] = offset + 1
        if ends:
            try:
                answer = consumer.commit(offsets=[TopicPartition(self.source.name, partition, end)
                                                  for partition, end in ends.items()], asynchronous=False)
                for place in answer:
                    if place.error is None:
                        self.committed[place.partition] = place.offset
                        self.commits += 1
            except KafkaException:
                pass  # the broker went away, or the group has another generation
        return bool(ends)

    def work(self):
        members = [self.open(member) for member in range(self.MEMBERS)]
        limit = None
        while True:
            got = any([self.step(member, consumer) for member, consumer in enumerate(members)])
            if self.ending.is_set() and not got:
                limit = limit or time.monotonic() + READ_LIMIT_S / 2
                if self.is_complete() or time.monotonic() > limit:
                    break
        for consumer in members:
            consumer.close()

    def is_complete(self):
        return all(offset in self.seen[partition] for partition in range(PARTITIONS)
                   for offset in self.source.acked[partition] if offset >= 0)

    def check(self):
        missing = sum(offset not in self.seen[partition] for partition in range(PARTITIONS)
                      for offset in self.source.acked[partition] if offset >= 0)
        if missing:
            self.problems.append(f"{self.name}: {missing} acknowledged records were never delivered")
        return (f"{self.name}: {sum(map(len, self.seen))} read, {self.again} of them more than once (allowed), "
                f"{self.commits} commits, {self.assignments} assignments, {missing} missed")


class Offsets(Load):
    """The same group's offset, one higher each time: found again after each kill."""

    def __init__(self, name, address, seed, topic):
        from confluent_kafka import Consumer, TopicPartition
        super().__init__(name, address, seed)
        self.acked = self.tried = self.looks = 0
        self.consumer = Consumer({**client(address), "group.id": name, "enable.auto.commit": False,
                                  "socket.timeout.ms": 5000})
        self.place = lambda offset=-1001: TopicPartition(topic, 0, offset)

    def work(self):
        from confluent_kafka import KafkaException
        looked = 0
        while not self.ending.is_set():
            try:
                if looked != self.kills:
                    kills = self.kills
                    self.look()
                    looked = kills
                self.tried += 1
                self.consumer.commit(offsets=[self.place(self.tried)], asynchronous=False)
                self.acked = self.tried
                self.done += 1
            except KafkaException:
                pause(self.ending, 0.01)
            pause(self.ending, self.random.random() * 0.01)

    def look(self):
        found = self.consumer.committed([self.place()], timeout=10)[0].offset
        self.looks += 1
        if self.acked > 0 and not self.acked <= found <= self.tried:
            self.problems.append(f"{self.name}: offset {found}, acknowledged {self.acked}, tried {self.tried}")

    def check(self):
        self.look()
        self.consumer.close()
        return f"{self.name}: {self.acked} commits acknowledged at the end, {self.looks} times found again"


# ---- topics ----

class Topics(Load):
    """Topics come, are written to, go, and come again: what is acknowledged holds, nothing old comes back."""
    NAMES = 4

    def __init__(self, name, address, seed, admin):
        super().__init__(name, address, seed)
        self.admin, self.changes = admin, 0
        # Per name: generation, what is known of it (there, gone, None: in doubt), acknowledged values.
        self.state = {f"come.{i}": {"generation": 0, "there": False, "acked": []} for i in range(self.NAMES)}

    def work(self):
        while not self.ending.is_set():
            name = self.random.choice(list(self.state))
            try:
                self.change(name, self.state[name])
            except OSError:
                pause(self.ending, 0.02)
            pause(self.ending, self.random.random() * 0.03)

    def change(self, name, state):
        if state["there"] is None:
            state["there"] = any(topic["name"] == name for topic in self.admin.call("topic.list")["topics"])
        elif not state["there"]:
            self.create(name, state)
        elif self.random.random() < 0.3:
            self.delete(name, state)
        else:
            self.write(name, state)

    def create(self, name, state):
        state.update(there=None, acked=[], generation=state["generation"] + 1)
        self.admin.call("topic.create", topic=name, partitions=2)
        state["there"] = True
        self.changes += 1

    def delete(self, name, state):
        self.verify(name, state)
        state.update(there=None)
        before, state["acked"] = state["acked"], []  # in doubt: they may be gone
        try:
            self.admin.call("topic.delete", topic=name)
            state["there"] = False
        except Refused as refused:
            self.problems.append(f"{name}: {refused}")
            state.update(there=True, acked=before)
        self.changes += 1

    def write(self, name, state):
        partition = self.random.randrange(2)
        values = [f"{state['generation']}.{self.random.randrange(1 << 30)}" for _ in range(self.random.randint(1, 20))]
        answer = self.admin.call("produce", topic=name, partition=partition, records=[{"value": value} for value in values])
        base = int(answer["partitions"][0]["base_offset"])
        state["acked"] += [(partition, base + i, value) for i, value in enumerate(values)]
        self.done += len(values)

    def verify(self, name, state):
        for partition in range(2):
            offset, found = 0, {}
            while True:
                answer = self.admin.call("consume", topic=name, partition=partition, offset=offset, max=5000)
                found.update((int(record["offset"]), record["value"]) for record in answer["records"])
                if not answer["records"]:
                    break
                offset = max(found) + 1
            for offset, value in found.items():
                if value.split(".")[0] != str(state["generation"]):
                    self.problems.append(f"{name}-{partition} offset {offset}: {value} of a topic that was deleted")
            for home, offset, value in state["acked"]:
                if home == partition and found.get(offset) != value:
                    self.problems.append(f"{name}-{partition} offset {offset}: {found.get(offset)}, acknowledged {value}")

    def check(self):
        there = {topic["name"] for topic in self.admin.call("topic.list")["topics"]}
        for name, state in self.state.items():
            if state["there"] is not None and state["there"] != (name in there):
                self.problems.append(f"{name}: {'not ' if state['there'] else ''}there, against the last acknowledgement")
            elif state["there"]:
                self.verify(name, state)
        return f"topics: {self.changes} created and deleted, {self.done} records"


# ---- all of it ----

# A log that goes round within a few kills, and everything in the background all the time.
SETTINGS = ("runtime.shards=2", "wal.segment_bytes=1 MiB", "wal.bytes_max=8 MiB", "wal.frame_bytes_max=960 KiB",
            "wal.group_bytes_max=256 KiB", "wal.seal_bytes=1 MiB", "wal.age_max=1 s", "retention.check_interval=100 ms",
            "compaction.check_interval=50 ms", "compaction.buffer_bytes=64 KiB", "groups.initial_rebalance_delay=0 s")


def mixed(address, admin, seed, scale=1.0):
    """Every load, less the stage: topics are created here."""
    loads = [Sender("ids.a", address, seed, per_s=1200 * scale),
             Sender("ids.b", address, seed, per_s=800 * scale, renew_every=7),
             Sender("plain", address, seed, idempotent=False, per_s=800 * scale),
             Plodder("slow", address, seed, per_s=60 * scale),
             Keyed("keyed", address, seed, per_s=1500 * scale),
             Brief("brief", address, seed, admin, per_s=600 * scale)]
    for load in loads:
        admin.call("topic.create", topic=load.name, partitions=PARTITIONS, configs=getattr(load, "CONFIGS", {}))
    return loads + [Readers("readers", address, seed, loads[1]), Offsets("kept", address, seed, "ids.a"),
                    Topics("topics", address, seed, admin)]


def stage_runs(broker):
    """Drops the stage in; False when this broker does not load it."""
    folder = os.path.join(broker.home, "plugins")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "copier.lua"), "w") as file:
        file.write(STAGE)
    for _ in range(100):
        if "copier" in broker.log():
            return "error" not in broker.log()
        time.sleep(0.05)
    return False
