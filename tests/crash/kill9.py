#!/usr/bin/python3
"""kill9.py: the real broker is killed with SIGKILL under load, again and again, and nothing may be lost.

  kill9.py [--kills 50] [--seed N] [--build DIR] [--no-stage] [--stop]

Load, kept up through all kills by the same clients:
  two idempotent producers, each to three partitions, the second replaced by a new one now and then;
  one producer without idempotence, acks=all;
  a Lua stage that copies the first topic (left out, and said so, when the broker cannot load it);
  a group that commits an offset now and then.
Then everything is read back:
  each acknowledged record is at the offset that was acknowledged;
  with idempotence each record is there once, in the order of sending, without a hole;
  without it, each acknowledged record is there, in order of first appearance;
  the stage's output has each input once, in the order of its partition;
  a committed offset is the last acknowledged one, or the one under way at the kill;
  no worker process outlives its broker.
The kill comes at a random moment (by seed) after the broker is ready, or in the middle of its start.
With --stop the broker is ended by SIGTERM instead, and must end in order; now and then the stage is taken
out and dropped in again. This is for builds with a sanitizer, which looks on."""
import argparse
import array
import glob
import json
import os
import random
import sys
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "broker"))

STAGE = """return { name = "copier", on = "log", input = "ids.a", output = "ids.a.copied",
  process = function(record) return record end }
"""
PARTITIONS, WINDOW, VALUE_BYTES = 3, 400, 60
# A log that goes round within a few kills: records move into extents all the time.
LOG = ("wal.segment_bytes=2 MiB", "wal.bytes_max=16 MiB", "wal.frame_bytes_max=1900 KiB", "wal.seal_bytes=2 MiB")
RECORDS_PER_S_MAX = 6000  # of one producer: what is sent must be read back in Python
READ_LIMIT_S = 120


class Sender(threading.Thread):
    """Sends numbered records to each partition of a topic and remembers what was acknowledged where."""

    def __init__(self, address, topic, idempotent, seed):
        super().__init__(daemon=True)
        self.address, self.topic, self.idempotent = address, topic, idempotent
        self.random = random.Random(seed)
        self.sent = [0] * PARTITIONS
        self.acked = [array.array("q") for _ in range(PARTITIONS)]  # offset by number; -1 not (yet)
        self.pending, self.problems, self.producers = 0, [], 0
        self.ending, self.renew = threading.Event(), threading.Event()

    def open(self):
        from confluent_kafka import Producer
        self.producers += 1
        settings = {"bootstrap.servers": self.address, "acks": "all", "linger.ms": 2,
                    "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20,
                    "message.timeout.ms": 240000, "socket.timeout.ms": 10000,
                    "broker.address.family": "v4", "compression.type": self.random.choice(["none", "lz4", "zstd"]),
                    "error_cb": self.failed, "log_level": 0}
        if self.idempotent:
            settings["enable.idempotence"] = True
        else:
            settings["max.in.flight.requests.per.connection"] = 1  # order is not promised beyond
            settings["retries"] = 1000000
        return Producer(settings)

    def failed(self, error):
        if error.fatal():
            self.problems.append(f"{self.topic}: fatal: {error}")

    def delivered(self, partition, number, error, message):
        self.pending -= 1
        if error is not None:
            self.problems.append(f"{self.topic}-{partition} record {number}: {error}")
        else:
            self.acked[partition][number] = message.offset()

    def send_one(self, producer, partition):
        number = self.sent[partition]
        self.sent[partition] += 1
        self.acked[partition].append(-1)
        self.pending += 1
        value = f"{partition}:{number}:".ljust(VALUE_BYTES, "x")
        producer.produce(self.topic, value, partition=partition, key=str(partition),
                         on_delivery=lambda error, message: self.delivered(partition, number, error, message))

    def run(self):
        producer = self.open()
        while not self.ending.is_set():
            if self.renew.is_set():
                self.drain(producer)
                producer = self.open()
                self.renew.clear()
            burst = self.random.randint(1, 60)
            for _ in range(burst):
                if self.pending >= WINDOW:
                    break
                self.send_one(producer, self.random.randrange(PARTITIONS))
            producer.poll(burst / RECORDS_PER_S_MAX)
        self.drain(producer)

    def drain(self, producer):
        if producer.flush(READ_LIMIT_S) > 0:
            self.problems.append(f"{self.topic}: {self.pending} records were neither acknowledged nor refused")


class Offsets:
    """A group's commits, made by the main thread."""

    def __init__(self, address, topic):
        from confluent_kafka import Consumer
        self.settings = {"bootstrap.servers": address, "group.id": "kept", "enable.auto.commit": False,
                         "broker.address.family": "v4", "reconnect.backoff.ms": 20,
                         "reconnect.backoff.max.ms": 100, "log_level": 0}
        self.make, self.topic, self.acked, self.tried = Consumer, topic, 0, 0
        self.consumer = Consumer(self.settings)

    def commit(self):
        from confluent_kafka import KafkaException, TopicPartition
        self.tried += 1
        try:
            self.consumer.commit(offsets=[TopicPartition(self.topic, 0, self.tried)], asynchronous=False)
            self.acked = self.tried
        except KafkaException:
            self.tried = max(self.tried, self.acked)

    def problem(self):
        from confluent_kafka import TopicPartition
        found = self.consumer.committed([TopicPartition(self.topic, 0)], timeout=30)[0].offset
        if self.acked > 0 and not self.acked <= found <= self.tried:
            return f"group offset {found}, acknowledged {self.acked}, tried {self.tried}"
        return None


def read_all(address, topic):
    """Values by partition and offset, up to the end."""
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader", "enable.auto.commit": False,
                         "broker.address.family": "v4", "log_level": 0})
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)[1]
            for number in range(PARTITIONS)]
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found, next_offset = [{} for _ in range(PARTITIONS)], [0] * PARTITIONS
    limit = time.monotonic() + READ_LIMIT_S
    while any(next_offset[p] < ends[p] for p in range(PARTITIONS)):
        for message in consumer.consume(10000, 1.0):
            if message.error() is None:
                found[message.partition()][message.offset()] = message.value()
                next_offset[message.partition()] = message.offset() + 1
        if time.monotonic() > limit:
            raise SystemExit(f"kill9: {topic}: read {next_offset} of {ends} within {READ_LIMIT_S} s")
    consumer.close()
    return found


def number_of(value):
    partition, number, _ = value.decode().split(":", 2)
    return int(partition), int(number)


def check_partition(sender, partition, found):
    """Problems of one partition; duplicates that are allowed are counted."""
    problems, duplicates, name = [], 0, f"{sender.topic}-{partition}"
    seen, expected = set(), 0
    for offset in sorted(found):
        home, number = number_of(found[offset])
        if home != partition:
            problems.append(f"{name} offset {offset}: a record of partition {home}")
        elif number in seen:
            duplicates += 1
            if sender.idempotent:
                problems.append(f"{name} offset {offset}: record {number} is there twice")
        else:
            if number != expected:
                problems.append(f"{name} offset {offset}: record {number} where {expected} was due")
            seen.add(number)
            expected = number + 1
    lost = 0
    for number, offset in enumerate(sender.acked[partition]):
        if offset >= 0 and (offset not in found or number_of(found[offset])[1] != number):
            lost += 1
            problems.append(f"{name}: record {number}, acknowledged at {offset}, is not there")
    return problems, duplicates, lost


def check_stage(address, source):
    """Each input once in the output, in order: compared with what the input topic holds."""
    limit = time.monotonic() + READ_LIMIT_S
    want = [number_of(value) for part in source for _, value in sorted(part.items())]
    while True:
        copies = read_all(address, "ids.a.copied")
        if sum(map(len, copies)) >= len(want) or time.monotonic() > limit:
            break
        time.sleep(0.5)
    problems, seen = [], {}
    for number, part in enumerate(copies):
        last = {}
        for offset, value in sorted(part.items()):
            one = number_of(value)
            if one in seen:
                problems.append(f"stage: input {one} came out twice, at {seen[one]} and {number}:{offset}")
            if last.get(one[0], -1) >= one[1]:
                problems.append(f"stage: input {one} came out after {last[one[0]]}")
            seen[one] = f"{number}:{offset}"
            last[one[0]] = one[1]
    missing = set(want) - set(seen)
    if missing:
        problems.append(f"stage: {len(missing)} inputs did not come out, first {min(missing)}")
    return problems, len(seen)


def orphans(home):
    """Workers of a broker that is gone."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "sluice-worker" in line and home in line:
            found.append(line)
    return found


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


def crash(broker, moments):
    broker.crash()
    if moments.random() < 0.1:  # again, in the middle of its start
        broker.spawn()
        time.sleep(moments.random() * 0.02)
        broker.crash()


def swap_stage(broker):
    """Takes the stage out and drops it in again."""
    from sluice_broker import wait_for

    def count(words):
        return sum("copier" in line and words in line for line in broker.log().splitlines())
    path = os.path.join(broker.home, "plugins", "copier.lua")
    for words, change in ((" unloaded ", lambda: os.rename(path, path + "~")),
                          (" worker runs ", lambda: os.rename(path + "~", path))):
        before = count(words)
        change()
        wait_for(lambda: count(words) > before, f"copier:{words.rstrip()}")


def stop(broker, moments, args):
    if args.swaps and moments.random() < 0.5:
        swap_stage(broker)
    code = broker.stop()
    return [] if code == 0 else [f"the broker ended with {code}"]


def progress(done, of, sent):
    """A bar on a terminal, a line now and then in a log."""
    if sys.stdout.isatty():
        bar = "#" * (40 * done // of)
        print(f"\r  [{bar:<40}] {done} of {of}, {sent} records sent", end="\n" if done == of else "", flush=True)
    elif done % 100 == 0 and done < of:
        print(f"  {done} of {of}, {sent} records sent", flush=True)


def crash_loop(broker, senders, offsets, args, seed):
    """Kills and restarts; gives the times of the starts and what went wrong."""
    moments, problems, starts = random.Random(seed), [], []
    for kill in range(args.kills):
        if moments.random() < 0.3:
            offsets.commit()
        time.sleep(moments.random() * 0.6)
        killer = None
        if moments.random() < 0.3:  # while a commit is under way
            killer = threading.Thread(target=offsets.commit)
            killer.start()
            time.sleep(moments.random() * 0.005)
        if args.stop:
            problems += stop(broker, moments, args)
        else:
            crash(broker, moments)
        if orphans(broker.home):
            time.sleep(1)
            problems += [f"after kill {kill}: {line} lives on" for line in orphans(broker.home)]
        begun = time.monotonic()
        broker.start()
        starts.append(time.monotonic() - begun)
        progress(len(starts), args.kills, sum(len(numbers) for sender in senders for numbers in sender.acked))
        if killer:
            killer.join()
        problem = offsets.problem()
        if problem:
            problems.append(f"after kill {kill}: {problem}")
        if kill % 7 == 6:
            senders[1].renew.set()
        for sender in senders:
            problems += sender.problems
            sender.problems = []
        if problems:
            break
    return starts, problems


def verify(address, senders, with_stage):
    problems, lines, source = [], [], None
    for sender in senders:
        found = read_all(address, sender.topic)
        source = source or found
        duplicates = lost = 0
        for partition in range(PARTITIONS):
            more, twice, gone = check_partition(sender, partition, found[partition])
            problems, duplicates, lost = problems + more, duplicates + twice, lost + gone
        lines.append(f"{sender.topic}: {sum(sender.sent)} sent by {sender.producers} producers, "
                     f"{sum(map(len, found))} there, {lost} acknowledged lost, {duplicates} duplicates"
                     + ("" if sender.idempotent else " (allowed)"))
    if with_stage:
        more, count = check_stage(address, source)
        problems += more
        lines.append(f"stage: {sum(map(len, source))} in, {count} out")
    return problems, lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SLUICE_SEED", random.randrange(1 << 31))))
    parser.add_argument("--build", default=os.environ.get("SLUICE_BUILD_DIR", os.path.join(SOURCE, "build", "test")))
    parser.add_argument("--no-stage", action="store_true")
    parser.add_argument("--stop", action="store_true", help="by SIGTERM, in order")
    args = parser.parse_args()
    os.environ["SLUICE_BUILD_DIR"] = os.path.abspath(args.build)
    import sluice_broker
    print(f"kill9: seed {args.seed}, {args.kills} {'stops' if args.stop else 'kills'}", flush=True)
    broker = sluice_broker.Broker(*LOG)
    address = f"127.0.0.1:{broker.kafka}"
    try:
        for topic in ("ids.a", "ids.b", "plain"):  # the stage makes its output beside its input
            code, _, error = broker.run("topic", "create", topic, "--partitions", str(PARTITIONS))
            assert code == 0, error
        with_stage = not args.no_stage and stage_runs(broker)
        args.swaps = args.stop and with_stage
        if not with_stage and not args.no_stage:
            os.remove(os.path.join(broker.home, "plugins", "copier.lua"))
            print("kill9: skipped: stages, this broker does not load copier.lua")
        senders = [Sender(address, "ids.a", True, args.seed + 1), Sender(address, "ids.b", True, args.seed + 2),
                   Sender(address, "plain", False, args.seed + 3)]
        for sender in senders:
            sender.start()
        time.sleep(0.3)
        begun = time.monotonic()
        starts, problems = crash_loop(broker, senders, Offsets(address, "ids.a"), args, args.seed)
        loop_s = time.monotonic() - begun
        for sender in senders:
            sender.ending.set()
        for sender in senders:
            sender.join()
            problems += sender.problems
        more, lines = verify(address, senders, with_stage)
        problems += more
        extents = glob.glob(os.path.join(broker.home, "**", "*.ext"), recursive=True)
        lines.append(f"{len(extents)} extents of {sum(map(os.path.getsize, extents)) >> 20} MiB")
    finally:
        if "problems" not in locals() or problems:
            print(f"kill9: the broker's home is kept: {broker.home}")
            broker.stop()
        else:
            broker.close()
    print("\n".join(lines))
    starts.sort()
    print(f"ready again after {starts[len(starts) // 2] * 1e3:.0f} ms (median), {starts[-1] * 1e3:.0f} ms (worst)")
    for problem in problems[:20]:
        print("PROBLEM", problem)
    print(f"kill9: seed {args.seed}, {len(starts)} {'stops' if args.stop else 'kills'} in {loop_s:.0f} s, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
