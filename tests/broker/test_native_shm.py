"""The native protocol over shared memory: the client of the page, libsluice and Kafka beside each other, and peers that
break the rules or die."""
import contextlib
import os
import socket
import struct
import subprocess
import sys
import unittest
import urllib.request

from sluice_broker import BUILD, SOURCE, wait_for
from test_native_client import bound, example
from test_native_local import expect_credit, local_broker

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from sluice_native import BEGINNING, Client, Closed, NativeError, Shared, encode, record  # noqa: E402

RING, LIMIT = 16 << 10, 4


def metric(broker, name):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30) as page:
        lines = [line for line in page.read().decode().splitlines() if line.startswith(name + "{")]
    return sum(int(float(line.split()[-1])) for line in lines)


def held(broker):
    """How many mappings and descriptors of shared memory the broker has."""
    process = "/proc/%d/" % broker.process.pid
    with open(process + "maps") as maps:
        mapped = sum("memfd:sluice-native" in line for line in maps)
    links = []
    for name in os.listdir(process + "fd"):
        try:
            links.append(os.readlink(process + "fd/" + name))
        except FileNotFoundError:
            pass  # was closed meanwhile
    return mapped, sum("memfd:sluice-native" in link for link in links)


class Rings(unittest.TestCase):
    """One broker for all, with rings so small that most frames go round their ends."""

    @classmethod
    def setUpClass(cls):
        cls.broker = local_broker("native.shm.ring_bytes=%d" % RING, "native.shm.connections_max=%d" % LIMIT)

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def setUp(self):
        wait_for(lambda: held(self.broker) == (0, 0), "the memory of the test before to go")

    def shared(self):
        return Client(Shared(self.broker.local))

    def plain(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        client.connect(self.broker.local)
        return client

    def test_a_client_by_the_page_publishes_subscribes_and_gets_no_more_than_its_credit(self):
        with self.shared() as client, Client(("127.0.0.1", self.broker.native)) as other:
            expect_credit(self, client, other, "credit")

    def test_a_frame_larger_than_the_ring_passes_both_ways_and_kafka_sees_it(self):
        value = b"0123456789abcdef" * (RING // 4)
        with self.shared() as client:
            client.create("large", 1)
            client.publish("large", [record(value)])
            self.assertEqual(client.subscribe("large", start=BEGINNING).next().value, value)
        self.assertEqual(self.broker.consume("large"), [value.decode()])

    def test_the_examples_in_c_use_it_by_address(self):
        address = "shm://" + self.broker.local
        self.broker.produce("examples", ["kafka"])
        self.assertEqual(example("client_publish", address, "examples", "one", "two"), ["2 records from offset 1 on"])
        self.assertEqual(example("client_subscribe", address, "examples", "", "3"),
                         ["examples[0]@0 kafka", "examples[0]@1 one", "examples[0]@2 two"])
        self.assertEqual(self.broker.consume("examples"), ["kafka", "one", "two"])

    def test_a_connection_on_a_loop_of_ones_own_gets_what_it_publishes_and_comes_back(self):
        addresses = ["shm://" + self.broker.local, "unix:" + self.broker.local, "tcp://127.0.0.1:%d" % self.broker.native]
        ticks = ["%d tick %d" % (i, i) for i in range(10)]
        for number, address in enumerate(addresses):
            self.assertEqual(example("client_loop", address, "ticks-%d" % number), ticks)
        commands = [[os.path.join(BUILD, "bin", "client_loop"), address, "again-%d" % number, "11"] for number, address in enumerate(addresses)]
        clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
        seen = [[client.stdout.readline().rstrip() for _ in range(10)] for client in clients]
        self.assertEqual(seen, 3 * [ticks])
        self.broker.stop()
        self.broker.start()
        for number, client in enumerate(clients):
            self.broker.produce("again-%d" % number, ["more"])
            self.assertEqual(client.communicate(timeout=60)[0], "10 more\n")
            self.assertEqual(client.returncode, 0)

    def test_the_binding_for_python_acknowledges_over_it_what_is_larger_than_the_ring(self):
        sluice = bound()
        with sluice.Connection("shm://" + self.broker.local) as connection:
            values = [bytes([i]) * RING for i in range(20)]
            connection.publish("queue", values)
            subscription = connection.subscribe("queue", group="shm-workers", start="beginning", credit_bytes=4 * RING)
            for value in values:
                message = subscription.next(30)
                self.assertEqual(message.value, value)
                subscription.ack(message)

    def test_a_reader_that_stops_costs_the_others_nothing_and_gets_all_of_it_later(self):
        with self.shared() as slow, self.shared() as client:
            client.create("slow", 1)
            subscription = slow.subscribe("slow", start=BEGINNING, records=1 << 20, size=1 << 30)
            mine = client.subscribe("slow", start=BEGINNING, records=1 << 20, size=1 << 30)
            values = [b"%d" % i * 2000 for i in range(60)]
            for value in values:
                client.publish("slow", [record(value)])
                self.assertEqual(mine.next().value, value)
            self.assertEqual([m.value for m in subscription.take(len(values))], values)

    def test_more_than_the_limit_are_refused_with_a_reason_and_counted(self):
        before = metric(self.broker, "sluice_shared_memory_refused_total")
        clients = [self.shared() for _ in range(LIMIT)]
        wait_for(lambda: metric(self.broker, "sluice_shared_memory_connections") == LIMIT, "the gauge")
        with self.assertRaises(NativeError) as caught:
            self.shared()
        self.assertEqual(caught.exception.code, 1006)
        done = subprocess.run([os.path.join(BUILD, "bin", "client_publish"), "shm://" + self.broker.local, "t", "x"],
                              capture_output=True, text=True, timeout=60)
        self.assertIn("SLU-1006", done.stderr)
        with Client(self.broker.local) as plain:  # the socket itself goes on
            plain.ping()
        wait_for(lambda: metric(self.broker, "sluice_shared_memory_refused_total") >= before + 2, "the counter")
        for client in clients:
            client.close()
        wait_for(lambda: metric(self.broker, "sluice_shared_memory_connections") == 0, "the gauge")
        self.shared().close()

    def test_a_client_that_is_killed_leaves_no_memory_and_no_descriptor(self):
        command = [os.path.join(BUILD, "bin", "client_subscribe"), "shm://" + self.broker.local, "killed", "", "1"]
        with subprocess.Popen(command) as client:
            wait_for(lambda: held(self.broker) == (1, 0), "its memory")
            client.kill()
        wait_for(lambda: held(self.broker) == (0, 0), "its memory to go")

    def test_a_peer_that_lies_in_shared_memory_is_cut_off_and_the_others_go_on(self):
        lies = [(0, RING + 1), (0, (1 << 64) - 1), (Shared.LINE, 1 << 40)]
        with self.shared() as honest:
            honest.create("honest", 1)
            for at, value in lies:
                with self.subTest(at=at, value=value):
                    liar = self.shared()
                    struct.pack_into("<Q", liar.link.socket.memory, at, value)
                    if at == Shared.LINE:  # it is found when the broker writes: the answer to a PING
                        liar.link.socket.sendall(encode("PING", 99))
                    with contextlib.suppress(ConnectionError):  # it may be cut off already
                        liar.link.socket.socket.send(b"\0")
                        while liar.link.socket.socket.recv(64):
                            pass  # bytes that wake
                    honest.publish("honest", [record(b"x")])
                    liar.link.socket.socket.close()
            self.assertEqual(len(honest.subscribe("honest", start=BEGINNING).take(len(lies))), len(lies))

    def test_bytes_behind_the_question_end_the_connection(self):
        with self.plain() as client:
            client.sendall(struct.pack("<IHHQ", Shared.MAGIC, 1, 1, 0) + b"x")
            self.assertEqual(client.recv(16), b"")
        with self.shared() as client:
            client.ping()

    def test_a_version_that_is_not_spoken_is_refused_by_number(self):
        with self.plain() as client:
            client.sendall(struct.pack("<IHH", Shared.MAGIC, 2, 9))
            client.sendall(bytes(8))  # the question may come in parts
            self.assertEqual(struct.unpack("<IHHII", client.recv(16))[3], 1600)


class Settings(unittest.TestCase):
    def test_none_may_have_it_where_the_limit_is_0_and_looking_can_be_turned_off(self):
        with local_broker("native.shm.connections_max=0") as broker, self.assertRaises(NativeError) as caught:
            Client(Shared(broker.local))
        self.assertEqual(caught.exception.code, 1009)
        with local_broker("native.shm.look_us=0") as broker, Client(Shared(broker.local)) as client:
            client.ping()
            broker.crash()
            with self.assertRaises(Closed):
                client.ping()


if __name__ == "__main__":
    unittest.main()
