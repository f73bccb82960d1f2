#!/usr/bin/python3
"""sluice_native.py against the vectors of the format and against a scripted server."""
import json
import os
import struct
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from fake_server import HELLO, WELCOME, FakeServer, answer  # noqa: E402
from sluice_native import (AGAIN, BEGINNING, Client, Closed, NativeError, Record, decode, encode, header, record,  # noqa: E402
                           put_record)

DATA = os.path.join(os.path.dirname(HERE), "data", "native")
TOPIC_ID = bytes(range(16))


def vectors(name):
    with open(os.path.join(DATA, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def meant(value):
    """What JSON cannot say, back again."""
    if isinstance(value, dict):
        if set(value) == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {key: meant(inner) for key, inner in value.items()}
    return [meant(inner) for inner in value] if isinstance(value, list) else value


def with_records(meaning):
    def one(fields):
        return Record(fields["offset"], fields["timestamp"], fields["deliveries"], [tuple(h) for h in fields["headers"]],
                      fields["key"], fields["value"])
    out = dict(meaning)
    if "records" in out and isinstance(out["records"], list):
        out["records"] = [one(fields) for fields in out["records"]]
    if "record" in out:
        out["record"] = one(out["record"])
    return out


class Vectors(unittest.TestCase):
    def test_every_vector_means_what_it_says_and_is_written_so(self):
        for vector in vectors("vectors"):
            with self.subTest(vector["title"]):
                data, meaning = bytes.fromhex(vector["hex"]), with_records(meant(vector["meaning"]))
                frame = decode(data)
                self.assertEqual((vector["kind"], vector["flags"], vector["id"]), frame[:3])
                self.assertEqual(meaning, frame.body)
                if "later" not in vector["title"]:
                    self.assertEqual(data.hex(), encode(vector["kind"], vector["id"], vector["flags"], **meaning).hex())

    def test_what_is_malformed_is_rejected(self):
        for vector in vectors("rejected"):
            with self.subTest(vector["title"]), self.assertRaises((ValueError, struct.error)):
                decode(bytes.fromhex(vector["hex"]))


SOURCE = dict(source=1, partition=0, topic_id=TOPIC_ID, topic="orders", offset=0)


def messages(server, identity, *offsets, flags=0):
    server.send("MESSAGES", identity, flags, source=1, records=[Record(offset, 5, 1, [("h", b"x")], None, b"v") for offset in offsets])


def subscribed(*offsets):
    def deed(server, frame):
        server.send("SUBSCRIBED", frame.id)
        server.send("SOURCE", frame.id, **SOURCE)
        messages(server, frame.id, *offsets, flags=1)
    return deed


class Conversations(unittest.TestCase):
    def play(self, script, **settings):
        server = FakeServer(script)
        self.addCleanup(server.check)
        client = Client(server.address, **settings)
        self.addCleanup(client.close)
        return server, client

    def test_publishes_and_takes_answers_in_any_order(self):
        kept = []
        server, client = self.play([HELLO, ("PUBLISH", lambda _, frame: kept.append(frame.id)), ("PUBLISH", lambda server, frame: (
            server.send("PUBLISHED", frame.id, 1, partition=1, offset=9, timestamp=-1),
            server.send("PUBLISHED", kept[0], partition=0, offset=4, timestamp=7)))])
        first = client.publish("orders", [record(b"one")], wait=False)
        second = client.publish("orders", [record(b"two", key=b"k")], message_id="m", wait=False)
        self.assertEqual(4, client.wait(first).body["offset"])
        self.assertEqual((1, 9), (client.wait(second).flags, 9))
        self.assertEqual("m", server.seen[-1].body["message_id"])

    def test_an_error_is_raised_with_its_code(self):
        _, client = self.play([HELLO, ("TOPIC_DELETE", answer("ERROR", code=1300, retriable=1, text="no such topic"))])
        with self.assertRaises(NativeError) as caught:
            client.delete("none")
        self.assertEqual((1300, True), (caught.exception.code, caught.exception.retriable))

    def test_subscribes_and_acknowledges(self):
        _, client = self.play([HELLO, ("SUBSCRIBE", subscribed(3, 8)), ("ACK", answer("ACKED", source=1, code=0)),
                               ("ACK", answer("ACKED", source=1, code=1525)), ("CREDIT", None), ("UNSUBSCRIBE", answer("UNSUBSCRIBED"))])
        subscription = client.subscribe("orders", group="g", start=BEGINNING, records=2)
        first, second = subscription.take(2)
        self.assertEqual(("orders", 3, b"v", b"x"), (first.topic, first.offset, first.value, header(first, "h")))
        self.assertEqual([0, 1525], [subscription.ack(first), subscription.ack(second, AGAIN, ms=100)])
        self.assertTrue(subscription.caught_up)
        subscription.credit(2, 100)
        subscription.close()

    def test_notices_a_server_that_sends_more_than_it_has_credit_for(self):
        _, client = self.play([HELLO, ("SUBSCRIBE", subscribed(1, 2, 3))])
        with self.assertRaisesRegex(AssertionError, "credit"):
            client.subscribe("orders", records=2).take(3)

    def test_notices_a_server_that_sends_more_bytes_than_it_has_credit_for(self):
        size = len(put_record(Record(1, 5, 1, [("h", b"x")], None, b"v")))
        _, client = self.play([HELLO, ("SUBSCRIBE", subscribed(1, 2))])
        with self.assertRaisesRegex(AssertionError, "credit"):
            client.subscribe("orders", size=2 * size - 1).take(2)

    def test_an_answer_to_a_request_comes_without_a_subscription(self):
        def replies(server, frame):
            server.send("PUBLISHED", frame.id, partition=0, offset=0, timestamp=-1)
            server.send("MESSAGES", 0, source=0, records=[record(b"pong")])
        server, client = self.play([HELLO, ("PUBLISH", replies)])
        self.assertEqual(b"pong", client.request("rpc", b"ping", b"c1").value)
        self.assertIn(("sluice-reply-to", b"_inbox"), server.seen[-1].body["records"][0].headers)

    def test_answers_pings_and_tells_why_the_server_went(self):
        def ping(server, frame):
            server.send("PING", 77, data=b"abc")
        _, client = self.play([HELLO, ("TOPICS", ping), ("PONG", lambda server, frame: (
            self.assertEqual((77, b"abc"), (frame.id, frame.body["data"])),
            server.send("GOAWAY", 0, 0, code=1012, again_ms=10, text="stopping"), server.drop()))])
        with self.assertRaisesRegex(Closed, "SLU-1012 stopping"):
            client.topics()

    def test_logs_in_with_plain(self):
        welcome = dict(WELCOME, mechanisms=["PLAIN"])
        server, _ = self.play([("HELLO", answer("WELCOME", **welcome)), ("AUTH", answer("AUTH_NEXT", complete=1, data=b""))],
                              user="alice", password="secret")
        self.assertEqual({"mechanism": "PLAIN", "data": b"\0alice\0secret"}, server.seen[-1].body)


if __name__ == "__main__":
    unittest.main()
