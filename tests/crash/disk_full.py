#!/usr/bin/python3
"""disk_full.py: the real broker on small file systems that get full, and the way back.

  disk_full.py [--on tmpfs,ext4,xfs,btrfs] [--ways trim,delete,retention] [--seed N] [--build DIR]

Each file system is an image of its own, mounted through a loop device (tmpfs: by its size). Without the right
to mount, or without its mkfs, it is skipped and the reason is printed. Then, for each way back:
  producers fill it until the broker refuses with Kafka's KAFKA_STORAGE_ERROR;
  full: every acknowledged record is read back, offsets are committed and found again, the metrics say so;
  kill -9 while it is full, three times: it starts, reads, commits, and still refuses;
  records are deleted by offset, or the topic is deleted, or retention comes: below 92 % it takes records again;
  a foreign file takes the last byte under load: the broker refuses, or stops and acknowledges nothing more;
  when that file is gone, after a start where it had stopped, it takes records again.
Meanwhile an idempotent producer waits and a group commits. At the end nothing acknowledged is lost, nothing is
there twice."""
import argparse
import contextlib
import errno
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "broker"))
import loads

MIB = 1 << 20
# Name: size, what makes it. The smallest that each mkfs takes, or that says something.
SYSTEMS = {"tmpfs": (64 * MIB, None), "ext4": (80 * MIB, ["mkfs.ext4", "-q", "-F"]),
           "xfs": (300 * MIB, ["mkfs.xfs", "-q", "-f"]), "btrfs": (256 * MIB, ["mkfs.btrfs", "-q", "-f"])}
WAYS = ("trim", "delete", "retention")
SETTINGS = ("wal.segment_bytes=1 MiB", "wal.bytes_max=8 MiB", "wal.frame_bytes_max=960 KiB", "wal.group_bytes_max=256 KiB",
            "wal.seal_bytes=1 MiB", "wal.age_max=1 s", "retention.check_interval=200 ms", "runtime.shards=1",
            "groups.initial_rebalance_delay=0 s", "core.topics.auto_create=false")
RECORD_BYTES, RETENTION_MS, BACK_LIMIT_S, FILL_LIMIT_S = 60000, 25000, 90, 180
KAFKA_STORAGE_ERROR = 56


class Skip(Exception):
    """Not here, and why."""


# ---- file systems ----

@contextlib.contextmanager
def mounted(name):
    """A folder on a new file system."""
    size, make = SYSTEMS[name]
    if os.geteuid() != 0:
        raise Skip("only root can mount")
    if make and shutil.which(make[0]) is None:
        raise Skip(make[0] + " is not installed")
    folder = tempfile.mkdtemp(prefix="sluice-full-")
    image, place = os.path.join(folder, "image"), os.path.join(folder, "place")
    os.mkdir(place)
    try:
        if make:
            with open(image, "wb") as file:
                file.truncate(size)
            subprocess.run(make + [image], check=True, stdout=subprocess.DEVNULL)
            command = ["mount", "-t", name, "-o", "loop", image, place]
        else:
            command = ["mount", "-t", name, "-o", f"size={size}", "none", place]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Skip(f"mount: {done.stdout.strip()}")
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)
    finally:
        if not os.path.ismount(place):
            shutil.rmtree(folder)


def percent_used(place):
    state = os.statvfs(place)
    return 100 - 100 * state.f_bavail / state.f_blocks


def take_the_rest(path):
    """A file that grows until nothing is left."""
    with open(path, "wb", buffering=0) as file:
        for size in (MIB, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\xa5" * size)
        with contextlib.suppress(OSError):
            os.fsync(file.fileno())


# ---- loads ----

class Filler:
    """Records that do not compress, each tried once."""

    def __init__(self, address, topic):
        from confluent_kafka import Producer
        self.topic, self.numbers, self.acked, self.errors, self.pending = topic, 0, {}, {}, 0
        self.producer = Producer({**loads.client(address), "message.send.max.retries": 0, "linger.ms": 2,
                                  "message.timeout.ms": 30000, "queue.buffering.max.messages": 100,
                                  "topic.metadata.refresh.interval.ms": 500})

    def value(self, number):
        return b"%d:" % number + random.Random(number).randbytes(RECORD_BYTES)

    def delivered(self, number, error, message):
        self.pending -= 1
        if error is None:
            self.acked[message.partition(), message.offset()] = number
        else:
            self.errors[error.code()] = self.errors.get(error.code(), 0) + 1

    def send(self):
        from confluent_kafka import KafkaException
        number = self.numbers
        self.numbers += 1
        self.pending += 1
        try:
            self.producer.produce(self.topic, self.value(number), partition=number % loads.PARTITIONS,
                                  on_delivery=lambda error, message: self.delivered(number, error, message))
        except KafkaException:  # it still knows of the deleted topic: not sent
            self.pending -= 1

    def flush(self):
        self.producer.flush(60)

    def until_refused(self, is_full):
        """Gives the errors of the time when it is full: before, the log may have been at its bound for a moment."""
        self.errors, limit = {}, time.monotonic() + FILL_LIMIT_S
        while time.monotonic() < limit:
            if self.pending < 16:
                self.send()
            self.producer.poll(0 if self.pending < 16 else 0.01)
            if self.errors:
                self.flush()
                if is_full():
                    break
                self.errors = {}
                time.sleep(0.05)
        self.flush()
        return self.errors

    def takes(self):
        """One record of it is acknowledged."""
        before = len(self.acked)
        self.send()
        self.flush()
        return len(self.acked) > before

    def missing(self, address):
        """Acknowledged records, from the log start on, that are not there as sent."""
        found, _ = loads.read_all(address, self.topic)
        lows = loads.log_starts(address, self.topic)  # what retention takes in between is not missing
        return [place for place, number in self.acked.items() if place[1] >= lows[place[0]]
                and found[place[0]].get(place[1], (None, None))[1] != self.value(number)]


# ---- one file system, one way back ----

class Scenario:
    def __init__(self, name, way, place, seed):
        import sluice_broker
        self.name, self.way, self.place, self.seed = name, way, place, seed
        self.problems, self.facts = [], []
        folder = tempfile.mkdtemp(prefix="sluice-full-socket-")
        self.socket_folder = folder
        self.admin = loads.Admin(os.path.join(folder, "sock"))
        self.broker = sluice_broker.Broker(*SETTINGS, f"data.dir={place}/data", f"admin.socket={folder}/sock")

    def need(self, condition, what):
        if not condition:
            self.problems.append(f"{self.name}, {self.way}: {what}")
        return condition

    def metric(self, name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.broker.http}/metrics", timeout=30).read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith(name) and not line.startswith("#"))

    def is_full(self):
        return not self.broker.is_running() or self.metric("sluice_wal_disk_full") >= 1

    def begin(self):
        address = self.broker.address
        configs = {"retention.ms": str(RETENTION_MS)} if self.way == "retention" else {}
        self.admin.call("topic.create", topic="bulk", partitions=loads.PARTITIONS, configs=configs)
        self.admin.call("topic.create", topic="steady", partitions=loads.PARTITIONS)
        self.filler = Filler(address, "bulk")
        self.steady = loads.Sender("steady", address, self.seed, per_s=100)
        self.offsets = loads.Offsets("kept", address, self.seed, "steady")
        self.loads = [self.steady, self.offsets]
        for load in self.loads:
            load.start()

    def fill(self, what):
        errors = self.filler.until_refused(self.is_full)
        self.need(set(errors) == {KAFKA_STORAGE_ERROR}, f"{what}: refused with {errors or 'nothing'}")
        self.facts.append(f"{what} at {percent_used(self.place):.1f} %")

    def look_while_full(self, what, with_commits=True):
        """Reads and commits go on."""
        missing = self.filler.missing(self.broker.address)
        self.need(not missing, f"{what}: {len(missing)} acknowledged records are not there, first {missing[:1]}")
        if not with_commits:
            return
        before, limit = self.offsets.done, time.monotonic() + 60
        while self.offsets.done < before + 50 and time.monotonic() < limit:
            time.sleep(0.05)
        self.need(self.offsets.done >= before + 50, f"{what}: {self.offsets.done - before} commits within 60 s")

    def kill_while_full(self):
        for kill in range(3):
            self.broker.crash()
            self.broker.start()
            for load in self.loads:
                load.killed()
            self.look_while_full(f"kill {kill + 1} while full")

    def is_created(self):
        """A new topic is refused while the disk is full."""
        try:
            if self.way == "delete" and all(topic["name"] != "bulk" for topic in self.admin.call("topic.list")["topics"]):
                self.admin.call("topic.create", topic="bulk", partitions=loads.PARTITIONS)
        except loads.Refused as refused:
            self.need(refused.args[0] in ("SLU-1101", "SLU-1106"), f"a topic is refused with {refused}")
            return False
        return True

    def come_back(self):
        if self.way == "trim":
            for partition in range(loads.PARTITIONS):
                newest = max(offset for home, offset in self.filler.acked if home == partition)
                self.admin.call("topic.trim", topic="bulk", partition=partition, before=newest * 3 // 4)
        elif self.way == "delete":
            self.admin.call("topic.delete", topic="bulk")
            self.filler.acked = {}
        begun = time.monotonic()
        while not (self.is_created() and self.filler.takes()):
            if not self.need(time.monotonic() < begun + BACK_LIMIT_S, f"does not take records {BACK_LIMIT_S} s after"
                             f" the {self.way}, disk {percent_used(self.place):.1f} % used"):
                return
            time.sleep(0.2)
        self.facts.append(f"takes records again {time.monotonic() - begun:.1f} s after the {self.way}, "
                          f"at {percent_used(self.place):.1f} %")

    def outsider(self):
        """Someone else takes the last byte while records come."""
        path = os.path.join(self.place, "foreign")
        for _ in range(8):
            self.filler.send()
        take_the_rest(path)
        errors = self.filler.until_refused(lambda: True) if self.broker.is_running() else {"stopped": 1}
        self.need(errors, "took records without an end on a disk without a byte")
        ended = None if self.broker.is_running() else self.broker.process.returncode
        self.facts.append("a foreign file takes the last byte: " + (f"stopped, exit code {ended}" if ended is not None else "refuses"))
        if ended is None:
            self.look_while_full("without a byte left", with_commits=False)  # what was reserved for them is taken
        self.broker.crash() if ended is None else None
        self.broker.spawn()  # it may refuse to start without a byte; it must not harm anything
        time.sleep(1)
        os.remove(path)
        self.broker.crash()
        self.broker.start()
        for load in self.loads:
            load.killed()

    def end(self):
        for load in self.loads:
            load.finish()
        for load in self.loads:
            self.facts.append(load.check())
            self.problems += load.problems
        missing = self.filler.missing(self.broker.address)
        self.need(not missing, f"at the end {len(missing)} acknowledged records are not there, first {missing[:1]}")
        self.facts.append(f"{self.filler.numbers} records of {RECORD_BYTES >> 10} KiB tried, {len(missing)} acknowledged lost")

    def run(self):
        self.begin()
        self.fill("refused")
        self.look_while_full("full")
        self.kill_while_full()
        self.fill("after kills refused")
        self.come_back()
        if not self.problems:
            self.fill("refused again")
            self.outsider()
            self.come_back()
        self.end()


def run_one(name, way, seed):
    begun = time.monotonic()
    with mounted(name) as place:
        scenario = Scenario(name, way, place, seed)
        try:
            scenario.run()
        except Exception as error:
            traceback.print_exc(file=sys.stdout)
            scenario.problems.append(f"{name}, {way}: {type(error).__name__}: {error}")
        finally:
            if scenario.problems:
                print("\n".join(line[:300] for line in scenario.broker.log().splitlines()[-12:]))
            scenario.broker.close()
            shutil.rmtree(scenario.socket_folder)
    print(f"{name}, {SYSTEMS[name][0] // MIB} MiB, {way}: {len(scenario.problems)} problems, {time.monotonic() - begun:.0f} s")
    for fact in scenario.facts:
        print(f"    {fact}")
    for problem in scenario.problems:
        print("PROBLEM", problem)
    sys.stdout.flush()
    return len(scenario.problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default=",".join(SYSTEMS))
    parser.add_argument("--ways", default=",".join(WAYS), help="'one': another one on each")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SLUICE_SEED", random.randrange(1 << 31))))
    parser.add_argument("--build", default=os.environ.get("SLUICE_BUILD_DIR", os.path.join(SOURCE, "build", "test")))
    args = parser.parse_args()
    os.environ["SLUICE_BUILD_DIR"] = os.path.abspath(args.build)
    print(f"disk_full: seed {args.seed}", flush=True)
    problems = done = 0
    for index, name in enumerate(args.on.split(",")):
        for way in [WAYS[index % len(WAYS)]] if args.ways == "one" else args.ways.split(","):
            try:
                problems += run_one(name, way, args.seed)
                done += 1
            except Skip as skip:
                print(f"skip {name}: {skip}", flush=True)
                break
    print(f"disk_full: seed {args.seed}, {done} times full and back, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
