"""sluice backup of a broker under load: what was acknowledged before is in it, nothing else is, and it serves again."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.request

import sluice_broker
from sluice_broker import SLUICE, Broker, on_a_terminal, wait_for
from test_storage_tools import SMALL, data_of, extents_of, flip, fill, lines_of, sealed, sluice, start_on
from wire_batch import crc32c

try:
    import confluent_kafka
except ImportError:
    MISSING = "confluent_kafka is not installed"

TWO = [s for s in SMALL if "shards" not in s] + ["runtime.shards=2"]


def create(broker, *arguments, code=0):
    target = os.path.join(broker.home, "backup-%d" % len(glob.glob(os.path.join(broker.home, "backup-*"))))
    done = broker.run("backup", "create", target, "--json", *arguments)
    assert done[0] == code, done
    return target, done


def restored(target, *settings):
    """A broker on what was restored."""
    home = tempfile.mkdtemp(prefix="sluice-restored-")
    data = os.path.join(home, "data")
    done = sluice("backup", "restore", target, data, "--json")
    assert done[0] == 0, done
    assert json.loads(done[1].splitlines()[-1])["event"] == "restored"
    assert sorted(os.listdir(data)) == sorted(["lock", "sluice.meta"] + [os.path.basename(p) for p in
                                              glob.glob(os.path.join(target, "data", "shard-*"))]), os.listdir(data)
    try:
        return start_on(data, *settings)  # on a copy
    finally:
        shutil.rmtree(home)


def records(broker, topic, partitions=1):
    """{(partition, offset): value} of a topic."""
    found = {}
    for partition in range(partitions):
        out = subprocess.run(["kcat", "-b", broker.address, "-C", "-t", topic, "-p", str(partition), "-o", "beginning",
                              "-e", "-q", "-f", "%o %s\n"], stdout=subprocess.PIPE, timeout=60, check=True)
        for line in out.stdout.decode().splitlines():
            offset, value = line.split(" ", 1)
            found[partition, int(offset)] = value
    return found


class Load:
    """Idempotent producers, and a group that consumes and commits; acknowledged: {(partition, offset): value}."""

    def __init__(self, broker, topic, partitions):
        self.broker, self.topic, self.partitions = broker, topic, partitions
        self.acknowledged, self.ends, self.lock = {}, False, threading.Lock()
        self.sent = 0
        self.threads = [threading.Thread(target=self.produce), threading.Thread(target=self.consume)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.ends = True
        for thread in self.threads:
            thread.join()

    def acknowledge(self, error, message):
        if error is None:
            with self.lock:
                self.acknowledged[message.partition(), message.offset()] = message.value().decode()

    def produce(self):
        producer = confluent_kafka.Producer({"bootstrap.servers": self.broker.address, "enable.idempotence": True,
                                             "linger.ms": 2})
        while not self.ends:
            for _ in range(50):
                producer.produce(self.topic, ("%08d " % self.sent + "x" * 500).encode(),
                                 partition=self.sent % self.partitions, on_delivery=self.acknowledge)
                self.sent += 1
            producer.poll(0.01)
        producer.flush(30)

    def consume(self):
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.broker.address, "group.id": "readers",
                                             "auto.offset.reset": "earliest", "enable.auto.commit": False})
        consumer.subscribe([self.topic])
        while not self.ends:
            if consumer.consume(200, 0.2):
                try:
                    consumer.commit(asynchronous=False)
                except confluent_kafka.KafkaException:
                    pass
        consumer.close()

    def snapshot(self):
        with self.lock:
            return dict(self.acknowledged)


def committed(broker, topic, partitions):
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": "readers"})
    found = consumer.committed([confluent_kafka.TopicPartition(topic, p) for p in range(partitions)], 20)
    ends = [consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, p), 20)[1] for p in range(partitions)]
    consumer.close()
    return [one.offset for one in found], ends


def check_cut(target, before, after, topic, partitions, settings):
    """What the restored broker has: all of before, nothing that was not sent, offsets without a gap."""
    with restored(target, *settings) as again:
        found = records(again, topic, partitions)
        lost = {k: v for k, v in before.items() if found.get(k) != v}
        assert not lost, ("lost", len(lost), sorted(lost)[:3])
        for key, value in found.items():
            assert after.get(key, value) == value and re.match(r"\d{8} x+$", value), (key, value[:20])
        for partition in range(partitions):
            offsets = sorted(o for p, o in found if p == partition)
            assert offsets == list(range(len(offsets))), partition
        offsets, ends = committed(again, topic, partitions)
        assert all(o <= e for o, e in zip(offsets, ends)), (offsets, ends)
        return found, offsets, again.json("topic", "describe", topic)["id"]


def test_a_backup_under_load_has_all_that_was_acknowledged_and_nothing_else():
    with Broker(*TWO) as broker:
        assert broker.run("topic", "create", "orders", "-p", "4")[0] == 0
        identity = broker.json("topic", "describe", "orders")["id"]
        with Load(broker, "orders", 4) as load:
            taken = []
            wait_for(lambda: extents_of(data_of(broker)) and len(load.snapshot()) > 3000, "extents and records")
            wait_for(lambda: max(committed(broker, "orders", 4)[0]) > 0, "a commit")
            for _ in range(3):
                before = load.snapshot()
                target, _ = create(broker)
                taken.append((target, before))
        after = load.snapshot()
        found = []
        for target, before in taken:
            assert sluice("backup", "verify", target)[0] == 0
            one, offsets, topic = check_cut(target, before, after, "orders", 4, TWO)
            assert topic == identity and max(offsets) > 0, (topic, offsets)
            found.append(len(one))
        assert found == sorted(found), found
        assert broker.run("scrub", "--now")[0] == 0


def test_a_restored_broker_knows_producers_groups_and_a_higher_epoch():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        with Load(broker, "events", 1) as load:
            wait_for(lambda: len(load.snapshot()) > 500, "records")
            wait_for(lambda: committed(broker, "events", 1)[0][0] > 0, "a commit")
        offsets, _ = committed(broker, "events", 1)
        epoch = broker.json("status")["shards"][0]["epoch"]
        target, _ = create(broker)
        producers = metric_of(broker, "sluice_producers")
        assert producers > 0
        with restored(target, *SMALL) as again:
            assert committed(again, "events", 1)[0] == offsets
            assert metric_of(again, "sluice_producers") == producers
            assert again.json("status")["shards"][0]["epoch"] > epoch + 100
            assert again.json("status")["cluster_id"] == broker.json("status")["cluster_id"]
            assert len(records(again, "orders")) == 1600
            assert again.run("produce", "orders", "more")[0] == 0


def metric_of(broker, name):
    text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split(" ")[0] == name)


def test_flipped_bytes_of_a_backup_are_refused_with_file_and_position():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        data = data_of(broker)
        target, _ = create(broker)
        new = os.path.join(broker.home, "new")
        files = sorted(glob.glob(os.path.join(target, "data", "**"), recursive=True))
        files = [path for path in files if os.path.isfile(path)]
        assert len(files) >= 4, files
        for path in files:
            at = os.path.getsize(path) * 2 // 3
            flip(path, at)
            code, out, err = sluice("backup", "verify", target, "--json")
            event = json.loads(out.splitlines()[0])
            assert code == 1 and event["event"] == "damaged" and event["path"] == path, (out, err)
            assert int(event["position"]) <= at < int(event["position"]) + int(event["bytes"]), event
            assert path in err and "position" in err, err
            code, _, err = sluice("backup", "restore", target, new)
            assert code == 1 and path in err and not os.listdir(new), (code, err)
            flip(path, at)
        for at in range(0, os.path.getsize(os.path.join(target, "backup.json")), 97):
            flip(os.path.join(target, "backup.json"), at)
            code, _, err = sluice("backup", "restore", target, new)
            assert code == 1 and "backup.json is damaged" in err, (at, err)
            flip(os.path.join(target, "backup.json"), at)
        os.rename(files[0], files[0] + ".kept")
        code, _, err = sluice("backup", "verify", target)
        assert code == 1 and "missing" in err, err
        os.rename(files[0] + ".kept", files[0])
        assert sluice("backup", "verify", target)[0] == 0
        code, _, err = sluice("backup", "restore", target, data)
        assert code == 1 and "is not empty" in err, err
        code, _, err = broker.run("backup", "create", target)
        assert code == 1 and "is not empty" in err, err


def test_a_manifest_that_leads_out_of_its_folder_or_is_newer_is_refused():
    with tempfile.TemporaryDirectory() as target:
        def manifest(**members):
            text = json.dumps({"format": "sluice-backup", "major": 1, "minor": 0, "shards": [], "files": [], **members})
            with open(os.path.join(target, "backup.json"), "w") as file:
                file.write(text + '\n{"crc32c":"%08x"}\n' % crc32c(text.encode()))
            return sluice("backup", "restore", target, os.path.join(target, "new"))

        for path in ("../../../etc/passwd", "/etc/passwd", "shard-0/../../x", ""):
            code, _, err = manifest(files=[{"path": path, "bytes": "1", "crc32c": "00000000"}])
            assert code == 1 and "is damaged" in err, (path, err)
        code, _, err = manifest(major=2)
        assert code == 1 and "newer version" in err, err
        code, _, err = manifest(files=[{"path": "sluice.meta", "bytes": "4096", "crc32c": ""}])
        assert code == 1 and "missing" in err, err
        assert not os.path.exists(os.path.join(target, "new", "sluice.meta"))


def test_an_interrupted_backup_is_none_and_holds_nothing():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        data = data_of(broker)
        target = os.path.join(broker.home, "backup")
        done = subprocess.Popen([SLUICE, "backup", "create", target, "--rate", "200 KiB", "--home", broker.home])
        wait_for(lambda: glob.glob(os.path.join(target, "incomplete", "shard-0", "wal", "*")), "the copying")
        code, _, err = broker.run("backup", "create", os.path.join(broker.home, "other"))
        assert code == 1 and "another backup" in err, err
        done.send_signal(signal.SIGKILL)
        done.wait()
        code, _, err = sluice("backup", "verify", target)
        assert code == 1 and "no finished backup" in err, err
        code, _, err = sluice("backup", "restore", target, os.path.join(broker.home, "new"))
        assert code == 1 and "no finished backup" in err, err
        for _ in range(8):
            fill(broker, "orders")
        again = os.path.join(broker.home, "again")
        wait_for(lambda: broker.run("backup", "create", again)[0] == 0 or shutil.rmtree(again, True), "the next backup")
        segments = os.path.join(data, "shard-0", "wal", "*.seg")
        assert broker.run("topic", "delete", "--yes", "orders")[0] == 0
        wait_for(lambda: not extents_of(data), "extents that nothing holds")
        assert len(glob.glob(segments)) < 20


def test_a_broker_that_is_damaged_is_not_backed_up():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        wait_for(lambda: metric_of(broker, "sluice_extents") > 0, "an extent that is live")
        path = extents_of(data_of(broker))[0]
        block = next(e for e in lines_of("extent", "dump", path) if e["event"] == "block")
        flip(path, int(block["position"]) + 100)
        target, done = create(broker, code=1)
        assert "is damaged, so it was not backed up" in done[2] and "position" in done[2], done
        assert not os.path.exists(os.path.join(target, "backup.json"))


def test_a_backup_draws_on_a_terminal_only():
    with Broker(*SMALL) as broker:
        sealed(broker, ["orders"])
        output = on_a_terminal("backup", "create", os.path.join(broker.home, "b"), "--rate", "3 MiB", "--home", broker.home)
        assert re.search(rb"copying \[#*\.*\] +\d+ %  [\d.]+ of [\d.]+ MiB  [\d.]+ MiB/s", output), output
        assert b"created" in output.split(b"\x1b[K")[-1], output


load_tests = sluice_broker.loader(globals())
