#!/usr/bin/python3
"""histories.py [--runs N] [--seed N] [--seconds S] [--build DIR]: histories of clients under faults, judged by history_check.

Each run: a broker; clients in processes of their own, through a proxy that can cut their connections: an idempotent
producer, two with transactions of which some are aborted, a mover (reads committed records, writes them to another
topic with its offsets in the same transaction) and a reader; and meanwhile, by the seed, kill -9 of clients and of the
broker, SIGSTOP of both, and cut connections. Then everything heals, the mover comes to the end, all topics are read, and the
history must have no anomaly. Prints the seed of each run; the last line is "N passed, N failed"."""
import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "broker")]
import history_check  # noqa: E402
import sluice_broker  # noqa: E402

PARTITIONS = 2
CLIENTS = ("plain", "txn1", "txn2", "mover", "reader")
HEAL_S = 60  # until everything has settled


# ---- clients: each writes what it does into a file, before and after ----

class History:
    def __init__(self, path, client):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.client = client

    def write(self, **event):
        os.write(self.file, (json.dumps(dict(event, client=self.client)) + "\n").encode())


def settings(address, **more):
    return dict({"bootstrap.servers": address, "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 50, "retry.backoff.ms": 10,
                 "socket.timeout.ms": 5000, "log_level": 0, "topic.metadata.refresh.interval.ms": 200}, **more)


def run_plain(address, history, chance):
    from confluent_kafka import Producer
    producer = Producer(settings(address, **{"enable.idempotence": True, "linger.ms": 1}))

    def told(error, message):
        if error is None:
            history.write(do="ack", topic="plain", value=message.value().decode(), offset=message.offset())
    number = 0
    while True:
        value, partition = "%s-%d" % (history.client, number), chance.randrange(PARTITIONS)
        history.write(do="send", topic="plain", partition=partition, value=value, txn=None)
        producer.produce("plain", value.encode(), partition=partition, on_delivery=told)
        number += 1
        producer.poll(0.002)


def run_txn(address, history, chance):
    from confluent_kafka import KafkaException, Producer
    producer = Producer(settings(address, **{"transactional.id": history.client.split(".")[0], "linger.ms": 1, "transaction.timeout.ms": 10000}))
    producer.init_transactions(30)
    number = 0
    while True:
        number += 1
        producer.begin_transaction()
        for i in range(chance.randint(1, 5)):
            value, partition = "%s-%d-%d" % (history.client, number, i), chance.randrange(PARTITIONS)
            history.write(do="send", topic="txn", partition=partition, value=value, txn=number)
            producer.produce("txn", value.encode(), partition=partition)
        try:
            if chance.random() < 0.3:
                producer.flush(30)
                producer.abort_transaction(30)
                history.write(do="end", txn=number, how="abort")
            else:
                while True:
                    try:
                        producer.commit_transaction(30)
                        history.write(do="end", txn=number, how="commit")
                        break
                    except KafkaException as error:
                        if error.args[0].retriable():
                            continue
                        if not error.args[0].txn_requires_abort():
                            raise
                        producer.abort_transaction(30)
                        history.write(do="end", txn=number, how="abort")
                        break
        except KafkaException:
            return  # fenced, or worse: how it ended is not known


def run_mover(address, history, chance):
    from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
    producer = Producer(settings(address, **{"transactional.id": "mover", "linger.ms": 1, "transaction.timeout.ms": 10000}))
    producer.init_transactions(30)
    consumer = Consumer(settings(address, **{"group.id": "mover", "enable.auto.commit": False, "isolation.level": "read_committed",
                                             "auto.offset.reset": "earliest", "fetch.wait.max.ms": 10}))
    asked = [TopicPartition("txn", partition) for partition in range(PARTITIONS)]
    while True:
        try:
            committed = consumer.committed(asked, 5)
            break
        except KafkaException:
            pass
    consumer.assign([TopicPartition("txn", one.partition, max(0, one.offset)) for one in committed])
    while True:
        records = [record for record in consumer.consume(chance.randint(1, 20), 0.05) if record.error() is None]
        if not records:
            continue
        producer.begin_transaction()
        for record in records:
            producer.produce("out", record.value(), partition=record.partition())
        ends = {record.partition(): record.offset() + 1 for record in records}
        try:
            producer.send_offsets_to_transaction([TopicPartition("txn", *end) for end in ends.items()], consumer.consumer_group_metadata(), 30)
            while True:
                try:
                    producer.commit_transaction(30)
                    break
                except KafkaException as error:
                    if not error.args[0].retriable():
                        raise
        except KafkaException:
            return  # begins again from the offsets that are committed


def run_reader(address, history, chance):
    from confluent_kafka import Consumer, TopicPartition
    topic = chance.choice(("plain", "txn", "out"))
    consumer = Consumer(settings(address, **{"group.id": "reader", "enable.auto.commit": False, "isolation.level": "read_committed",
                                             "auto.offset.reset": "error", "fetch.wait.max.ms": 10}))
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    while True:
        records = [record for record in consumer.consume(50, 0.05) if record.error() is None]
        if records:
            history.write(do="poll", topic=topic, records=[[record.partition(), record.offset(), record.value().decode()] for record in records])


# ---- the proxy ----

class Proxy:
    """Passes bytes on until its connections are cut."""

    def __init__(self, port, target):
        self.target, self.pairs, self.lock = target, set(), threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            pair = (client, server)
            with self.lock:
                self.pairs.add(pair)
            for one, other in (pair, pair[::-1]):
                threading.Thread(target=self.pump, args=(one, other, pair), daemon=True).start()

    def pump(self, one, other, pair):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        self.end(pair)

    def end(self, pair):
        with self.lock:
            self.pairs.discard(pair)
        for one in pair:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def cut(self, chance):
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            if chance.random() < 0.7:
                self.end(pair)

    def close(self):
        self.listener.close()
        self.cut(random.Random(0))


# ---- a run ----

class Run:
    def __init__(self, seed):
        self.seed, self.chance = seed, random.Random(seed)
        self.folder = tempfile.mkdtemp(prefix="sluice-history-")
        self.processes, self.lives, self.faults = {}, dict.fromkeys(CLIENTS, 0), {}
        port = sluice_broker.free_port()
        self.address = "127.0.0.1:%d" % port
        self.broker = sluice_broker.Broker("kafka.advertised=" + self.address, start=False)
        self.broker.start()
        self.proxy = Proxy(port, self.broker.kafka)
        for topic in ("plain", "txn", "out"):
            code, _, error = self.broker.run("topic", "create", topic, "-p", str(PARTITIONS))
            assert code == 0, error

    def begin(self, client):
        name = "%s.%d" % (client, self.lives[client])
        self.lives[client] += 1
        self.processes[client] = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--client", client, name, self.address, os.path.join(self.folder, name), str(self.chance.randrange(1 << 30))],
            stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.folder, "stderr"), "ab"), stdin=subprocess.DEVNULL)

    def kill(self, client):
        self.processes[client].send_signal(signal.SIGKILL)
        self.processes[client].wait()

    def keep_alive(self):
        """A client that gave up begins again."""
        for client, process in list(self.processes.items()):
            if process.poll() is not None:
                self.begin(client)

    def stop_for(self, process):
        process.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0.02, 0.2))
        process.send_signal(signal.SIGCONT)

    def fault(self):
        kind = self.chance.choice(("kill client", "kill client", "stop client", "kill broker", "stop broker", "cut", "cut"))
        client = self.chance.choice(CLIENTS)
        self.faults[kind] = self.faults.get(kind, 0) + 1
        if kind == "kill client":
            self.kill(client)
            self.begin(client)
        elif kind == "stop client":
            self.stop_for(self.processes[client])
        elif kind == "kill broker":
            self.broker.crash()
            self.broker.start()
        elif kind == "stop broker":
            self.stop_for(self.broker.process)
        else:
            self.proxy.cut(self.chance)

    def play(self, seconds):
        for client in CLIENTS:
            self.begin(client)
        # Not before each has done something: a slow machine has its faults later.
        sluice_broker.wait_for(lambda: self.keep_alive() or self.counts("plain", "txn1", "txn2"), "the clients to begin", 0.05)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.chance.uniform(0.02, 0.25))
            self.fault()
            self.keep_alive()

    def counts(self, *clients):
        names = os.listdir(self.folder)
        return all(any(name.startswith(client + ".") and os.path.getsize(os.path.join(self.folder, name)) for name in names) for client in clients)

    def settle(self):
        """Ends the writers, and their transactions; the mover comes to the end."""
        from confluent_kafka import Producer
        for client in ("plain", "txn1", "txn2", "reader"):
            self.kill(client)
            del self.processes[client]
        for name in ("txn1", "txn2"):
            Producer(settings(self.address, **{"transactional.id": name})).init_transactions(30)  # aborts what is open
        wanted = len(self.read("txn"))
        deadline = time.monotonic() + HEAL_S
        while len(self.read("out")) < wanted and time.monotonic() < deadline:
            self.keep_alive()
            time.sleep(0.05)
        self.kill("mover")
        Producer(settings(self.address, **{"transactional.id": "mover"})).init_transactions(30)

    def read(self, topic):
        from confluent_kafka import Consumer, KafkaError, TopicPartition
        consumer = Consumer(settings(self.address, **{"group.id": "judge", "enable.partition.eof": True, "isolation.level": "read_committed",
                                                      "fetch.wait.max.ms": 5, "enable.auto.commit": False}))
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        ended, found, deadline = set(), [], time.monotonic() + HEAL_S
        while len(ended) < PARTITIONS:
            assert time.monotonic() < deadline, "%s is not read to its end" % topic
            for record in consumer.consume(500, 0.1):
                if record.error() is None:
                    found.append([record.partition(), record.offset(), record.value().decode()])
                elif record.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(record.partition())
        consumer.close()
        return sorted(found)

    def events(self):
        found = []
        for name in sorted(os.listdir(self.folder)):
            if name != "stderr":
                with open(os.path.join(self.folder, name)) as file:
                    found += [json.loads(line) for line in file if line.endswith("\n")]
        return found

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.proxy.close()
        self.broker.close()


def one_run(seed, seconds):
    """Anomalies; prints a line."""
    run = Run(seed)
    try:
        run.play(seconds)
        run.settle()
        log, events = {topic: run.read(topic) for topic in ("plain", "txn", "out")}, run.events()
        found = history_check.check(events, log, moved=("txn", "out"))
        ends = [event["how"] for event in events if event["do"] == "end"]
        print("seed %d: %d acknowledged, %d committed, %d aborted, %d moved, %d polls, faults %s: %s" % (
            seed, sum(event["do"] == "ack" for event in events), ends.count("commit"), ends.count("abort"), len(log["out"]),
            sum(event["do"] == "poll" for event in events), run.faults, "%d anomalies" % len(found)), flush=True)
        for line in found[:20]:
            print("    " + line)
        if found:
            print("    kept: %s\n%s" % (run.folder, run.broker.log()[-3000:]))
        else:
            subprocess.run(["rm", "-rf", run.folder], check=True)
        return found
    finally:
        run.close()


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--client", nargs=5, help=argparse.SUPPRESS)
    options.add_argument("--runs", type=int, default=10)
    options.add_argument("--seed", type=int, default=int(os.environ.get("SLUICE_SEED", random.SystemRandom().randrange(1 << 30))))
    options.add_argument("--seconds", type=float, default=1.5, help="of faults in each run")
    options.add_argument("--build")
    given = options.parse_args()
    if given.client:
        kind, name, address, path, seed = given.client
        {"plain": run_plain, "txn1": run_txn, "txn2": run_txn, "mover": run_mover, "reader": run_reader}[kind](
            address, History(path, name), random.Random(int(seed)))
        return
    if given.build:
        sluice_broker.SLUICE = os.path.join(os.path.abspath(given.build), "bin", "sluice")
    start, failed = time.monotonic(), 0
    for i in range(given.runs):
        failed += bool(one_run(given.seed + i, given.seconds))
    print("%.1f s" % (time.monotonic() - start))
    print("%d passed, %d failed" % (given.runs - failed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
