"""The native protocol over a Unix socket: the same frames, and who may connect and is who."""
import os
import socket
import stat
import sys
import unittest

from sluice_broker import SOURCE, Broker, wait_for
from test_acls import allow
from test_native_client import example, bound

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from sluice_native import BEGINNING, Client, NativeError, record  # noqa: E402


def local_broker(*settings, **options):
    """A broker with a Unix socket in its home, at broker.local."""
    broker = Broker(start=False, **options)
    broker.local = os.path.join(broker.home, "native.sock")
    broker.settings = ["core.topics.auto_create=true", "native.unix=" + broker.local, *settings]
    broker.start()
    return broker


def expect_credit(test, client, other, topic):
    """What `other` publishes is pushed to the client, and no more of it than there is credit for."""
    client.create(topic, 1)
    subscription = client.subscribe(topic, start=BEGINNING, records=2)
    other.publish(topic, [record(b"%d" % i) for i in range(3)])
    test.assertEqual([m.value for m in subscription.take(2)], [b"0", b"1"])
    client.ping()  # a third record would have come before the answer
    test.assertFalse(subscription.kept)
    subscription.credit(1, 1 << 20)
    test.assertEqual(subscription.next().value, b"2")


class Frames(unittest.TestCase):
    """One broker for all."""

    @classmethod
    def setUpClass(cls):
        cls.broker = local_broker()

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def test_a_client_by_the_page_publishes_subscribes_and_gets_no_more_than_its_credit(self):
        with Client(self.broker.local) as client, Client(("127.0.0.1", self.broker.native)) as other:
            expect_credit(self, client, other, "local")

    def test_the_examples_in_c_and_kafka_see_each_others_records(self):
        address = "unix:" + self.broker.local
        self.assertEqual(example("client_publish", address, "shared", "one", "two"), ["2 records from offset 0 on"])
        self.broker.produce("shared", ["three"])
        self.assertEqual(example("client_subscribe", address, "shared", "", "3"),
                         ["shared[0]@0 one", "shared[0]@1 two", "shared[0]@2 three"])
        self.assertEqual(self.broker.consume("shared"), ["one", "two", "three"])

    def test_the_binding_for_python_acknowledges_on_it(self):
        sluice = bound()
        with sluice.Connection("unix:" + self.broker.local) as connection:
            connection.publish("queue", [b"one", b"two"])
            subscription = connection.subscribe("queue", group="local-workers", start="beginning")
            for wanted in (b"one", b"two"):
                message = subscription.next(30)
                self.assertEqual(message.value, wanted)
                subscription.ack(message)

    def test_it_is_listed_as_a_listener_of_its_own(self):
        listeners = {one["listener"]: one for one in self.broker.json("status")["frontends"]}
        self.assertEqual(listeners["native-unix"]["address"], "unix:" + self.broker.local)


class Files(unittest.TestCase):
    """The file of the socket."""

    def test_it_is_the_owners_alone_outlives_no_broker_and_one_that_is_left_is_replaced(self):
        with local_broker() as broker:
            self.assertEqual(stat.S_IMODE(os.stat(broker.local).st_mode), 0o600)
            broker.crash()
            self.assertTrue(os.path.exists(broker.local))
            broker.start()
            Client(broker.local).close()
            broker.stop()
            self.assertFalse(os.path.exists(broker.local))

    def test_the_group_may_connect_when_the_configuration_says_so(self):
        with local_broker("native.unix_access=group") as broker:
            self.assertEqual(stat.S_IMODE(os.stat(broker.local).st_mode), 0o660)

    def test_one_that_somebody_listens_on_is_left_alone_and_the_sentence_names_the_key(self):
        broker = Broker(start=False)
        with broker, socket.socket(socket.AF_UNIX) as other:
            path = os.path.join(broker.home, "taken.sock")
            other.bind(path)
            other.listen()
            broker.settings = ["native.unix=" + path]
            broker.spawn()
            wait_for(lambda: "choose another native.unix, or stop what uses the address" in broker.log(), "the refusal")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)  # still the other's

    def test_a_path_that_is_too_long_is_refused_at_the_start(self):
        broker = Broker(start=False)
        with broker:
            broker.settings = ["native.unix=/" + "x" * 107]
            broker.spawn()
            self.assertNotEqual(broker.process.wait(30), 0)
            self.assertIn("native.unix has 108 bytes, but the path of a socket has at most 107", broker.log())


class Principals(unittest.TestCase):
    """Who a client is."""

    def test_a_login_is_asked_for_as_over_tcp(self):
        with local_broker("kafka.sasl.mechanisms=PLAIN") as broker:
            code, _, error = broker.run("user", "add", "alice", stdin=b"secret\n")
            self.assertEqual(code, 0, error)
            with Client(broker.local) as client, self.assertRaises(NativeError) as caught:
                client.publish("t", [record(b"x")])
            self.assertEqual(caught.exception.code, 1905)
            with Client(broker.local, user="alice", password="secret", mechanism="PLAIN") as client:
                client.publish("t", [record(b"x")])

    def test_with_peer_the_kernel_says_who_it_is_and_rules_hold_for_him(self):
        settings = ("native.unix_login=peer", "kafka.sasl.mechanisms=PLAIN", "security.authorization=true",
                    "security.super_users=User:root")
        with local_broker(*settings) as broker, Client(broker.local) as client:
            for name in ("mine", "others"):
                broker.json("topic", "create", name)
            allow(broker, "Write", "topic:mine", principal="User:uid=%d" % os.getuid())
            client.publish("mine", [record(b"x")])
            with self.assertRaises(NativeError) as caught:
                client.publish("others", [record(b"x")])
            self.assertEqual(caught.exception.code, 1313)


if __name__ == "__main__":
    unittest.main()
