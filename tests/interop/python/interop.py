"""The Python clients against the broker: the checks of ../README.md, over the driver (with_*.py) that CLIENT names.

    interop.py CLIENT write ADDRESS NAME          all checks on topics NAME.*
    interop.py CLIENT read ADDRESS TOPIC…         reads what other clients wrote

Environment: ../listeners.py; INTEROP_SHARE=whole for all checks. A driver is used by one thread at a time for each of its
producers and consumers; what it must have is in with_confluent.py."""
import contextlib
import importlib
import os
import sys
import threading
import time
import traceback

from kinds import Record, Way

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
RECORDS = 300  # of a codec
ROUND = 400  # of one round of the group
FEW = 20  # of a codec with acks 0 or 1, of a transaction
WAIT_S = 30
SPECIAL = [  # key, value
    (None, b"no key"),
    (b"tombstone", None),
    (None, b""),
    (b"", b"empty key"),
    (None, None),
]
HEADERS = [("n", b"3"), ("bin", b"\x00\xff\x80"), ("dup", b"1"), ("dup", b"2"), ("empty", b""), ("null", None)]


def value_of(i):
    size = 300000 if i in (7, 8) else i * 37 % 1400 + 1
    if i % 2 == 0:
        text = b"sluice %d " % i
        return (text * (size // len(text) + 1))[:size]
    out, x = bytearray(size), i * 2654435761 & 0xFFFFFFFF
    for at in range(size):
        out[at] = x >> 24
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
    return bytes(out)


def require(true, what):
    if not true:
        raise AssertionError(what)


class Member:
    """A thread that reads in a group, commits what it read, and leaves when told."""

    def __init__(self, driver, way, topic, protocol, seen):
        self.consumer = driver.consumer(way, topic, group=topic, protocol=protocol)
        self.seen, self.stop, self.count, self.partitions, self.error = seen, False, 0, 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stop:
                records = self.consumer.poll(0.2)
                self.seen.update(int(record.value) for record in records)
                self.count += len(records)
                self.partitions = self.consumer.assigned()
                if self.partitions:
                    self.consumer.commit()
            self.consumer.close()
        except Exception as error:
            traceback.print_exc()
            self.error = error

    def leave(self):
        self.stop = True
        self.thread.join(WAIT_S)
        require(self.error is None and not self.thread.is_alive(), f"a member failed: {self.error}")


def batch(topic, what):
    """What one transaction writes."""
    return [Record(topic, b"%s %d" % (what.encode(), i)) for i in range(FEW)]


def require_values(found, expected):
    require([record.value for record in found] == [record.value for record in expected],
            f"{len(found)} records, the last is {found[-1].value}; of {len(expected)}")


class Client:
    def __init__(self, driver, address, name):
        self.driver, self.name, self.way = driver, name, Way(address)

    def check(self, name, work, later=False):
        for begin, why in self.driver.CANNOT.items():
            if name.startswith(begin):
                print(f"skip {name} ({why})", flush=True)
                return
        if later and os.environ.get("INTEROP_SHARE") != "whole":
            print("left", name, flush=True)
            return
        try:
            work()
            print("ok", name, flush=True)
        except Exception as error:  # every failure is a line, the others go on
            traceback.print_exc()
            print("fail", name + ":", type(error).__name__, str(error).replace("\n", " "), flush=True)

    def topics(self):
        with contextlib.closing(self.driver.admin(self.way)) as admin:
            gone = f"{self.name}.gone"
            topics = {f"{self.name}.{what}": 1 for what in CODECS + ["special", "acks", "txn", "out", "secure"]}
            admin.create(topics | {f"{self.name}.group": 4, f"{self.name}.new": 4, gone: 2})
            try:
                admin.create({f"{self.name}.none": 1})
                require(False, "a topic that exists was created")
            except admin.Exists:
                pass
            require(admin.partitions(gone) == 2, "a new topic is not listed")
            admin.remove(gone)
            require(admin.partitions(gone) == 0, "a deleted topic is listed")

    def describe(self):
        """After the group."""
        with contextlib.closing(self.driver.admin(self.way)) as admin:
            topic, group = f"{self.name}.special", f"{self.name}.group"
            admin.configure(topic, "retention.ms", "3600000")
            for key, value in (("retention.ms", "3600000"), ("cleanup.policy", "delete")):
                found = admin.config(topic, key)
                require(found == value, f"{key} is {found}")
            require(group in admin.groups(), f"groups {admin.groups()}")
            state = admin.group(group)
            require(state.lower() == "empty", f"state of the group: {state}")

    def delete_group(self):
        with contextlib.closing(self.driver.admin(self.way)) as admin:
            admin.remove_group(f"{self.name}.group")
            require(f"{self.name}.group" not in admin.groups(), "it is still listed")

    def trim(self):
        topic = f"{self.name}.special"
        with contextlib.closing(self.driver.admin(self.way)) as admin:
            mark = admin.delete_records(topic, 2)
        require(mark == 2, f"low watermark: {mark}")
        require(self.first(topic, 1)[0].offset == 2, "the offset after the deletion")

    def send(self, records, way=None, **how):
        with contextlib.closing(self.driver.producer(way or self.way, **how)) as producer:
            return producer.send(records)

    def produce(self, codec):
        offsets = self.send([Record(f"{self.name}.{codec}", value_of(i), b"k%d" % i, [("n", b"%d" % i)])
                             for i in range(RECORDS)], codec=codec)
        require(offsets == list(range(RECORDS)), f"offsets {offsets[:5]}… {offsets[-1]}")

    def first(self, topic, count, way=None, **how):
        """The first count records of a topic."""
        found, deadline = [], time.monotonic() + WAIT_S
        with contextlib.closing(self.driver.consumer(way or self.way, topic, **how)) as consumer:
            while len(found) < count:
                require(time.monotonic() < deadline, f"only {len(found)} of {count} records came")
                found += consumer.poll(0.2)
        return found

    def read(self, topic):
        for i, record in enumerate(self.first(topic, RECORDS)):
            require(record.offset == i, f"offset {record.offset}, not {i}")
            require(record.key == b"k%d" % i, f"key of {i}: {record.key}")
            require(record.value == value_of(i), f"value of {i} differs")
            require(record.headers == [("n", b"%d" % i)], f"headers of {i}: {record.headers}")

    def acks(self):
        """Not idempotent. Of acks=0 nothing is told: that all arrived shows when it is read."""
        topic, sent = f"{self.name}.acks", set()
        for acks in (0, 1):
            for codec in CODECS:
                values = [b"acks %d, %s, %d" % (acks, codec.encode(), i) for i in range(FEW)]
                offsets = self.send([Record(topic, value) for value in values], codec=codec, acks=acks)
                require(acks == 0 or min(offsets) >= 0, "no offsets")
                sent.update(values)
        found = {record.value for record in self.first(topic, len(sent))}
        require(found == sent, f"{len(found)} of {len(sent)} came")

    def special(self):
        topic = f"{self.name}.special"
        pairs = SPECIAL if self.driver.NULL_BOTH else SPECIAL[:-1]
        headers = HEADERS if self.driver.NULL_HEADERS else HEADERS[:-1]
        self.send([Record(topic, value, key, headers) for key, value in pairs])
        for record, pair in zip(self.first(topic, len(pairs)), pairs):
            require((record.key, record.value) == pair, f"{record.key}, {record.value}")
            require(record.headers == headers, f"headers {record.headers}")

    def send_round(self, topic, first):
        self.send([Record(topic, b"%d" % i, partition=i % 4) for i in range(first, first + ROUND)])

    def group(self, topic, protocol):
        seen, members = set(), []

        def until(true, what):
            deadline = time.monotonic() + WAIT_S
            while not true():
                for member in members:
                    require(member.error is None, f"a member failed: {member.error}")
                require(time.monotonic() < deadline, f"waited for {what}; {len(seen)} seen, "
                        f"{[member.partitions for member in members]} partitions")
                time.sleep(0.02)

        def join():
            members.append(Member(self.driver, self.way, topic, protocol, seen))
            return members[-1]

        self.send_round(topic, 0)
        first = join()
        until(lambda: len(seen) == ROUND, "the first round")
        second = join()
        until(lambda: first.partitions == 2 and second.partitions == 2, "two partitions each")
        self.send_round(topic, ROUND)
        until(lambda: len(seen) == 2 * ROUND, "the second round")
        require(second.count > 0, "the second member read nothing")
        first.leave()
        until(lambda: second.partitions == 4, "all partitions at the one that stayed")
        self.send_round(topic, 2 * ROUND)
        until(lambda: len(seen) == 3 * ROUND, "the third round")
        second.leave()
        seen.clear()
        self.send_round(topic, 3 * ROUND)
        third = join()
        until(lambda: len(seen) >= ROUND, "the round after the commit")
        require(seen == set(range(3 * ROUND, 4 * ROUND)), f"committed offsets went back: {min(seen)}")
        third.leave()

    def transactions(self):
        """One that commits, one that aborts, one that commits; who reads committed sees two, who does not all three."""
        topic = f"{self.name}.txn"
        kept, dropped, last = batch(topic, "kept"), batch(topic, "dropped"), batch(topic, "last")
        with contextlib.closing(self.driver.producer(self.way, transaction=topic)) as producer:
            for records, commit in ((kept, True), (dropped, False), (last, True)):
                producer.begin()
                producer.send(records)
                producer.end(commit)
        require_values(self.first(topic, 2 * FEW, committed=True), kept + last)
        require_values(self.first(topic, 3 * FEW), kept + dropped + last)

    def offsets(self):
        """A group's offsets in a transaction go the way of the transaction. It reads what transactions() left."""
        source, sink, group = f"{self.name}.txn", f"{self.name}.out", f"{self.name}.txn-group"
        for commit in (False, True):  # both begin with the first record
            consumer = self.driver.consumer(self.way, source, group=group, committed=True)
            producer = self.driver.producer(self.way, transaction=group)
            with contextlib.closing(consumer), contextlib.closing(producer):
                producer.begin()
                count, deadline = 0, time.monotonic() + WAIT_S
                while count < 2 * FEW:
                    require(time.monotonic() < deadline, f"only {count} records came")
                    found = consumer.poll(0.2)
                    count += len(found)
                    if found:
                        producer.send([Record(sink, record.value) for record in found])
                producer.send_offsets(consumer)
                producer.end(commit)
        require_values(self.first(sink, 2 * FEW, committed=True), batch(source, "kept") + batch(source, "last"))
        more = [Record(source, b"one more")]
        self.send(more)
        require_values(self.first(source, 1, group=group, committed=True), more)

    def comes_in(self, name, way):
        topic = f"{self.name}.secure"
        records = batch(topic, name)
        self.send(records, way=way)
        deadline = time.monotonic() + WAIT_S
        with contextlib.closing(self.driver.consumer(way, topic)) as consumer:
            while records[-1].value not in [record.value for record in consumer.poll(0.2)]:
                require(time.monotonic() < deadline, "the records did not come back")

    def is_refused(self, name, way):
        way.quick, topic = True, f"{self.name}.secure"
        try:
            self.send(batch(topic, name), way=way)
        except Exception as error:
            print(f"{name}: {type(error).__name__} {error}", file=sys.stderr)
            return
        raise AssertionError("records were taken")

    def security(self):
        env = os.environ
        ca, password = env["INTEROP_CA"], env["INTEROP_PASSWORD"]

        def login(listener, ca, mechanism, password):
            return Way(env[listener], ca=ca, mechanism=mechanism, user=env["INTEROP_USER"], password=password,
                       token=env["INTEROP_TOKEN"])

        for name, later, way, refused in (
                ("SASL PLAIN", True, login("INTEROP_SASL", None, "PLAIN", password), False),
                ("SASL PLAIN, a wrong password is refused", True, login("INTEROP_SASL", None, "PLAIN", "wrong"), True),
                ("SASL SCRAM-SHA-256", True, login("INTEROP_SASL", None, "SCRAM-SHA-256", password), False),
                ("SASL SCRAM-SHA-256, a wrong password is refused", True,
                 login("INTEROP_SASL", None, "SCRAM-SHA-256", "wrong"), True),
                ("SASL SCRAM-SHA-512", True, login("INTEROP_SASL", None, "SCRAM-SHA-512", password), False),
                ("SASL OAUTHBEARER", True, login("INTEROP_SASL", None, "OAUTHBEARER", None), False),
                ("TLS", True, Way(env["INTEROP_TLS"], ca), False),
                ("TLS, another authority is refused", True, Way(env["INTEROP_TLS"], env["INTEROP_OTHER_CA"]), True),
                ("mTLS", True, Way(env["INTEROP_MTLS"], ca, env["INTEROP_CERTIFICATE"], env["INTEROP_KEY"]), False),
                ("mTLS, no certificate is refused", True, Way(env["INTEROP_MTLS"], ca), True),
                ("SASL PLAIN over TLS", True, login("INTEROP_SASL_TLS", ca, "PLAIN", password), False),
                ("SASL SCRAM-SHA-512 over TLS", False,
                 login("INTEROP_SASL_TLS", ca, "SCRAM-SHA-512", password), False)):
            work = self.is_refused if refused else self.comes_in
            self.check(name, lambda: work(name, way), later)

    def all(self):
        self.check("admin: create, list, delete topics", self.topics)
        for codec in CODECS:
            self.check(f"produces {codec}, acks=all, idempotent", lambda: self.produce(codec))
            self.check(f"consumes {codec}", lambda: self.read(f"{self.name}.{codec}"))
        self.check("produces with acks=0 and acks=1, every codec", self.acks)
        self.check("headers, null keys, tombstones", self.special)
        self.check("admin: deletes records", self.trim)
        self.check("group of two with a rebalance", lambda: self.group(f"{self.name}.group", "classic"))
        self.check("group.protocol=consumer", lambda: self.group(f"{self.name}.new", "consumer"), True)
        self.check("admin: describe, configs, groups", self.describe, True)
        self.check("admin: deletes a group", self.delete_group, True)
        self.check("transactions: commit, abort, read_committed", self.transactions)
        self.check("transactions: offsets of a group", self.offsets, True)
        self.security()


def main(driver, mode, address, *names):
    driver = importlib.import_module("with_" + driver.replace("-", "_"))
    client = Client(driver, address, names[0])
    if mode == "read":
        for topic in names:
            client.check(f"reads {topic}", lambda: client.read(topic))
    else:
        client.all()
    sys.stdout.flush()
    os._exit(0)  # whatever threads a client left that was refused


main(*sys.argv[1:])
