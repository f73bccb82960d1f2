#!/usr/bin/python3
"""Writes vectors.json beside itself: frames of docs/formats/native.md in hex, with what they mean.

Each is put together here by hand, field by field in the order of the page, and by no codec: clients are tested against
them. A piece is a pair of a type and a value; `meaning` says the same with the names that sluice_native.FRAMES has.
`rejected` are bodies that no client may accept."""
import json
import os

SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "i32": 4, "i64": 8}
KINDS = {"HELLO": 1, "WELCOME": 2, "AUTH": 3, "AUTH_NEXT": 4, "PING": 5, "PONG": 6, "ERROR": 7, "GOAWAY": 8, "PUBLISH": 16,
         "PUBLISHED": 17, "SUBSCRIBE": 18, "SUBSCRIBED": 19, "CREDIT": 20, "SOURCE": 21, "MESSAGES": 22, "ACK": 23, "ACKED": 24,
         "UNSUBSCRIBE": 25, "UNSUBSCRIBED": 26, "STALLED": 27, "ENDED": 28, "REPLY": 29, "TOPICS": 32, "TOPIC_LIST": 33,
         "TOPIC_CREATE": 34, "TOPIC_DELETE": 35, "TOPIC_CONFIG": 36, "OFFSETS": 37, "OFFSET_LIST": 38, "GROUP_DELETE": 39,
         "DONE": 40, "TRIM": 41}
TOPIC_ID = bytes(range(16))


def piece(kind, value):
    if kind in SIZES:
        return value.to_bytes(SIZES[kind], "little", signed=kind[0] == "i")
    if kind == "text":
        return len(value.encode()).to_bytes(2, "little") + value.encode()
    if kind == "blob":
        return b"\xff\xff\xff\xff" if value is None else len(value).to_bytes(4, "little") + value
    return value  # bytes as they are


def join(*pieces):
    return b"".join(piece(*one) for one in pieces)


def a_record(offset, timestamp, deliveries, headers, key, value):
    body = join(("i64", offset), ("i64", timestamp), ("u16", deliveries), ("u16", len(headers)), ("blob", key))
    for name, data in headers:
        body += join(("text", name), ("blob", data))
    body += join(("blob", value))
    meaning = {"offset": offset, "timestamp": timestamp, "deliveries": deliveries, "headers": [[n, d] for n, d in headers],
               "key": key, "value": value}
    return join(("u32", len(body))) + body, meaning


def frame(name, flags, identity, *pieces):
    body = join(*pieces)
    return join(("u32", len(body) + 8), ("u16", KINDS[name]), ("u16", flags), ("u32", identity)) + body


vectors = []


def vector(title, name, flags, identity, pieces, /, **meaning):
    vectors.append({"title": title, "kind": name, "flags": flags, "id": identity, "meaning": meaning,
                    "hex": frame(name, flags, identity, *pieces)})


ONE, ONE_MEANS = a_record(0, -1, 0, [], b"k", b"hello")
TWO, TWO_MEANS = a_record(0, 1700000000123, 0, [("h", b"1"), ("empty", b""), ("null", None), ("h", b"2")], None, None)
GOT, GOT_MEANS = a_record(41, 1700000000001, 1, [("sluice-message-id", b"m-1"), ("gr\u00fc\u00dfe", b"\x00\xff")], b"", b"value")
GAP, GAP_MEANS = a_record(77, 1700000000002, 3, [], None, b"")

vector("the first frame of a client", "HELLO", 0, 1,
       [("u32", 0x43554C53), ("u16", 1), ("u16", 1), ("text", "vectors"), ("text", "libsluice 1")],
       magic=0x43554C53, lowest=1, highest=1, client="vectors", software="libsluice 1")
vector("no login is wanted", "WELCOME", 0, 1,
       [("u16", 1), ("u16", 0), ("", TOPIC_ID), ("u32", 1048576), ("u32", 100), ("u32", 0), ("text", "sluice 0.1.0"), ("u16", 0)],
       version=1, reserved=0, cluster=TOPIC_ID, frame_max=1048576, subscriptions_max=100, heartbeat_ms=0, software="sluice 0.1.0",
       mechanisms=[])
vector("a login is wanted", "WELCOME", 0, 1,
       [("u16", 1), ("u16", 0), ("", TOPIC_ID), ("u32", 65536), ("u32", 8), ("u32", 30000), ("text", "sluice 0.1.0"), ("u16", 2),
        ("text", "SCRAM-SHA-256"), ("text", "PLAIN")],
       version=1, reserved=0, cluster=TOPIC_ID, frame_max=65536, subscriptions_max=8, heartbeat_ms=30000, software="sluice 0.1.0",
       mechanisms=["SCRAM-SHA-256", "PLAIN"])
vector("what a later version adds is skipped", "WELCOME", 0, 1,
       [("u16", 1), ("u16", 0), ("", TOPIC_ID), ("u32", 1048576), ("u32", 100), ("u32", 0), ("text", "s"), ("u16", 0), ("", b"later")],
       version=1, reserved=0, cluster=TOPIC_ID, frame_max=1048576, subscriptions_max=100, heartbeat_ms=0, software="s", mechanisms=[])
vector("the one step of PLAIN", "AUTH", 0, 2, [("text", "PLAIN"), ("blob", b"\0alice\0secret")], mechanism="PLAIN", data=b"\0alice\0secret")
vector("a challenge", "AUTH_NEXT", 0, 2, [("u8", 0), ("", bytes(3)), ("blob", b"r=ab,s=Yg==,i=4096")], complete=0, data=b"r=ab,s=Yg==,i=4096")
vector("the login is complete", "AUTH_NEXT", 0, 2, [("u8", 1), ("", bytes(3)), ("blob", b"")], complete=1, data=b"")
vector("a ping with a body", "PING", 0, 9, [("", b"\1\2\3")], data=b"\1\2\3")
vector("its pong", "PONG", 0, 9, [("", b"\1\2\3")], data=b"\1\2\3")
vector("a refusal", "ERROR", 0, 3, [("u32", 1300), ("u8", 1), ("", bytes(3)), ("text", "no such topic or partition")],
       code=1300, retriable=1, text="no such topic or partition")
vector("the broker stops", "GOAWAY", 0, 0, [("u32", 1012), ("u32", 250), ("text", "the broker is stopping")],
       code=1012, again_ms=250, text="the broker is stopping")
vector("not to come again", "GOAWAY", 0, 0, [("u32", 1903), ("u32", 0xFFFFFFFF), ("text", "authentication failed")],
       code=1903, again_ms=0xFFFFFFFF, text="authentication failed")
vector("one record", "PUBLISH", 0, 3,
       [("text", "orders"), ("i32", -1), ("u8", 1), ("", bytes(3)), ("i64", -1), ("text", ""), ("u32", 1), ("", ONE)],
       topic="orders", partition=-1, level=1, expected=-1, message_id="", records=[ONE_MEANS])
vector("two records with all there is", "PUBLISH", 0, 4,
       [("text", "orders"), ("i32", 2), ("u8", 0), ("", bytes(3)), ("i64", 17), ("text", "id-9"), ("u32", 2), ("", ONE), ("", TWO)],
       topic="orders", partition=2, level=0, expected=17, message_id="id-9", records=[ONE_MEANS, TWO_MEANS])
vector("an acknowledgement", "PUBLISHED", 0, 3, [("i32", 2), ("i64", 17), ("i64", 1700000000000)], partition=2, offset=17, timestamp=1700000000000)
vector("it was there already", "PUBLISHED", 1, 4, [("i32", 0), ("i64", 0), ("i64", -1)], partition=0, offset=0, timestamp=-1)
vector("ephemeral, from the beginning", "SUBSCRIBE", 0, 5,
       [("text", "events.>"), ("text", ""), ("u8", 1), ("", bytes(3)), ("i32", -1), ("i64", 0), ("u64", 100), ("u64", 65536), ("u32", 0),
        ("text", ""), ("u32", 0)],
       pattern="events.>", group="", start=1, partition=-1, start_value=0, credit_records=100, credit_bytes=65536, lock_ms=0, filter="", places=[])
vector("durable, exclusive, committed, filtered", "SUBSCRIBE", 3, 6,
       [("text", "orders"), ("text", "workers"), ("u8", 0), ("", bytes(3)), ("i32", -1), ("i64", 0), ("u64", 1), ("u64", 1 << 20),
        ("u32", 30000), ("text", "kind=a&!old"), ("u32", 0)],
       pattern="orders", group="workers", start=0, partition=-1, start_value=0, credit_records=1, credit_bytes=1 << 20, lock_ms=30000,
       filter="kind=a&!old", places=[])
vector("going on where it stood", "SUBSCRIBE", 0, 7,
       [("text", "events.>"), ("text", ""), ("u8", 0), ("", bytes(3)), ("i32", -1), ("i64", 0), ("u64", 50), ("u64", 65536), ("u32", 0),
        ("text", ""), ("u32", 1), ("", TOPIC_ID), ("i32", 3), ("i64", 78)],
       pattern="events.>", group="", start=0, partition=-1, start_value=0, credit_records=50, credit_bytes=65536, lock_ms=0, filter="",
       places=[{"topic_id": TOPIC_ID, "partition": 3, "offset": 78}])
vector("subscribed", "SUBSCRIBED", 0, 5, [])
vector("more credit", "CREDIT", 0, 5, [("u64", 50), ("u64", 32768)], records=50, bytes=32768)
vector("a source", "SOURCE", 0, 5, [("u32", 1), ("i32", 3), ("", TOPIC_ID), ("text", "events.eu.signup"), ("i64", 40)],
       source=1, partition=3, topic_id=TOPIC_ID, topic="events.eu.signup", offset=40)
vector("two records and no more", "MESSAGES", 1, 5, [("u32", 1), ("u32", 2), ("", GOT), ("", GAP)], source=1, records=[GOT_MEANS, GAP_MEANS])
vector("nothing, and that is all", "MESSAGES", 1, 5, [("u32", 0), ("u32", 0)], source=0, records=[])
vector("an answer to a request", "MESSAGES", 0, 0, [("u32", 0), ("u32", 1), ("", GAP)], source=0, records=[GAP_MEANS])
vector("done with two ranges", "ACK", 1, 6, [("u8", 0), ("", bytes(3)), ("u32", 0), ("u32", 1), ("u32", 2), ("i64", 41), ("i64", 41), ("i64", 77), ("i64", 79)],
       what=0, ms=0, source=1, ranges=[{"first": 41, "last": 41}, {"first": 77, "last": 79}])
vector("give it again in two seconds", "ACK", 0, 6, [("u8", 1), ("", bytes(3)), ("u32", 2000), ("u32", 1), ("u32", 1), ("i64", 41), ("i64", 41)],
       what=1, ms=2000, source=1, ranges=[{"first": 41, "last": 41}])
vector("cumulative", "ACK", 0, 6, [("u8", 4), ("", bytes(3)), ("u32", 0), ("u32", 1), ("u32", 1), ("i64", 0), ("i64", 77)],
       what=4, ms=0, source=1, ranges=[{"first": 0, "last": 77}])
vector("all of it holds", "ACKED", 0, 6, [("u32", 1), ("u32", 0)], source=1, code=0)
vector("none of it holds", "ACKED", 0, 6, [("u32", 1), ("u32", 1525)], source=1, code=1525)
vector("unsubscribe", "UNSUBSCRIBE", 0, 5, [])
vector("unsubscribed", "UNSUBSCRIBED", 0, 5, [])
vector("stalled", "STALLED", 0, 5, [("u32", 1), ("i64", 80), ("u64", 100000)], source=1, offset=80, bytes=100000)
vector("ended", "ENDED", 0, 5, [("u32", 1300), ("text", "the topic was deleted")], code=1300, text="the topic was deleted")
vector("an answer that wants to be confirmed", "REPLY", 1, 8, [("text", "_inbox.3f"), ("", ONE)], address="_inbox.3f", record=ONE_MEANS)
vector("all topics", "TOPICS", 0, 9, [("text", "")], pattern="")
vector("two topics", "TOPIC_LIST", 0, 9, [("u32", 2), ("text", "a"), ("", TOPIC_ID), ("i32", 1), ("text", "b.c"), ("", bytes(16)), ("i32", 12)],
       topics=[{"name": "a", "topic_id": TOPIC_ID, "partitions": 1}, {"name": "b.c", "topic_id": bytes(16), "partitions": 12}])
vector("create", "TOPIC_CREATE", 0, 10, [("text", "orders"), ("i32", -1), ("u16", 1), ("text", "retention.ms"), ("text", "60000")],
       name="orders", partitions=-1, config=[{"key": "retention.ms", "value": "60000"}])
vector("delete", "TOPIC_DELETE", 0, 11, [("text", "orders")], name="orders")
vector("configure", "TOPIC_CONFIG", 0, 12, [("text", "orders"), ("u16", 2), ("text", "retention.ms"), ("blob", b"1"), ("text", "cleanup.policy"), ("blob", None)],
       name="orders", config=[{"key": "retention.ms", "value": b"1"}, {"key": "cleanup.policy", "value": None}])
vector("where the ends are", "OFFSETS", 0, 13, [("text", "orders"), ("i32", -1), ("i64", -1)], topic="orders", partition=-1, time=-1)
vector("offsets", "OFFSET_LIST", 0, 13, [("u32", 2), ("i32", 0), ("i64", 17), ("i64", -1), ("i32", 1), ("i64", -1), ("i64", -1)],
       offsets=[{"partition": 0, "offset": 17, "timestamp": -1}, {"partition": 1, "offset": -1, "timestamp": -1}])
vector("forget a group", "GROUP_DELETE", 0, 14, [("text", "workers")], group="workers")
vector("trim", "TRIM", 0, 15, [("text", "orders"), ("i32", 0), ("i64", 10)], topic="orders", partition=0, offset=10)
vector("done", "DONE", 0, 15, [])

rejected = [
    ("a text is longer than its frame", frame("ERROR", 0, 3, ("u32", 1300), ("u8", 0), ("", bytes(3)), ("u16", 9), ("", b"short"))),
    ("the body ends inside a field", frame("PUBLISHED", 0, 3, ("i32", 0), ("u32", 1))),
    ("more records than there are bytes", frame("MESSAGES", 0, 5, ("u32", 1), ("u32", 0xFFFFFFFF), ("", GAP))),
    ("a record that is longer than its frame", frame("MESSAGES", 0, 5, ("u32", 1), ("u32", 1), ("u32", 500), ("", GAP))),
    ("a record whose value is longer than itself",
     frame("MESSAGES", 0, 5, ("u32", 1), ("u32", 2), ("u32", 28), ("i64", 1), ("i64", 1), ("u16", 0), ("u16", 0), ("blob", None), ("u32", 60), ("", GAP))),
    ("a record with fewer headers than it says",
     frame("MESSAGES", 0, 5, ("u32", 1), ("u32", 1), ("u32", 28), ("i64", 1), ("i64", 1), ("u16", 0), ("u16", 9), ("blob", None), ("blob", None))),
    ("an empty frame", bytes.fromhex("00000000")),
    ("a frame shorter than its head", bytes.fromhex("07000000" "0700" "0000" "000000")),
]


def plain(value):
    """For JSON: bytes as {"hex": …}."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def main():
    for one in vectors:
        one["hex"] = one["hex"].hex()
        one["meaning"] = plain(one["meaning"])
    pages = {"vectors": vectors, "rejected": [{"title": title, "hex": data.hex()} for title, data in rejected]}
    for name, content in pages.items():
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".json"), "w", encoding="utf-8") as file:
            file.write("[\n" + ",\n".join(json.dumps(one) for one in content) + "\n]\n")


if __name__ == "__main__":
    main()
