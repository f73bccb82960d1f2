"""The native protocol on a real broker, spoken raw: frames, publish, subscriptions with credits."""
import os
import struct
import sys
import time
import urllib.request

from sluice_broker import SOURCE, Broker, SharedBroker, loader, wait_for

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from native_wire import (TOPICS, TOPIC_CONFIG, TOPIC_CREATE, TOPIC_DELETE, TOPIC_LIST, TRIM, GROUP_DELETE, CREDIT, ENDED, ERROR, GOAWAY, MAGIC, MESSAGES, PING, PONG, PUBLISH, PUBLISHED, SOURCE as SOURCE_KIND, STALLED, SUBSCRIBE,
                         SUBSCRIBED, UNSUBSCRIBE, UNSUBSCRIBED, Link, Reader, blob, frame, messages, record, text)  # noqa: E402

broker = SharedBroker("core.topics.auto_create=true")  # for the tests that need nothing of their own
tearDownModule = broker.close


def values(records):
    return [one.value for one in records]


def test_a_client_is_welcomed_with_the_limits_that_hold():
    with Link(broker().native) as link:
        reader = Reader(link.welcome.body)
        assert reader.numbers("HH") == (1, 0)
        assert len(reader.take(16)) == 16
        assert reader.numbers("III") == (8 << 20, 10000, 60000)
        assert reader.text().startswith("sluice ")
        assert reader.number("H") == 0  # no login is wanted
        link.send(PING, 0, 3, b"hello")
        assert link.take(PONG)[2:] == (3, b"hello")


def test_what_is_no_hello_is_answered_with_nothing():
    for data in (b"GET / HTTP/1.1\r\n\r\n", frame(PING, 0, 1, b"12345678"), frame(1, 0, 0, struct.pack("<IHH", MAGIC + 1, 1, 1) + text("") + text(""))):
        with Link(broker().native, hello=False) as link:
            link.socket.sendall(data)
            assert link.socket.recv(1) == b""


def test_a_version_that_is_not_spoken_is_refused_by_name():
    with Link(broker().native, hello=False) as link:
        assert link.hello(lowest=2, highest=3).kind == ERROR
        code, sentence = struct.unpack_from("<I", link.welcome.body)[0], link.welcome.body[10:].decode()
        assert (code, sentence) == (1600, "this server speaks version 1")
        assert link.read().kind == GOAWAY and link.is_closed()


def test_a_frame_that_cannot_be_ends_the_connection():
    for data in (frame(99), frame(PUBLISHED), struct.pack("<IHHI", 3, PING, 0, 0), struct.pack("<IHHI", 1 << 30, PUBLISH, 0, 0),
                 frame(PUBLISH, 0, 1, text("t")), frame(CREDIT, 0, 1, b"1234")):
        with Link(broker().native) as link:
            link.socket.sendall(data)
            assert link.read().kind == GOAWAY and link.is_closed()


def test_what_is_published_is_consumed_by_kafka_and_back():
    with Link(broker().native) as link:
        assert link.published(1, "both-ways", [record(b"one", b"key", [("h", b"1")]), record(b"two")], partition=0)[:2] == (0, 0)
        assert broker().consume("both-ways", "-f", "%k|%h|%s\n") == ["key|h=1|one", "||two"]
        broker().produce("both-ways", ["three"], "-p", "0")
        link.subscribe(5, "both-ways")
        assert link.source(5)[1:4] == (0, "both-ways", 0)
        first, second, third = link.records(5, 3)
        assert (first.offset, first.key, first.headers, first.value, first.deliveries) == (0, b"key", [("h", b"1")], b"one", 0)
        assert (second.key, second.value, third.value, third.offset) == (None, b"two", b"three", 2)


def test_null_and_empty_are_not_the_same():
    with Link(broker().native) as link:
        link.published(1, "nothing", [record(None, b""), record(b"", None, [("h", None), ("h", b"")])], partition=0)
        link.subscribe(2, "nothing")
        first, second = link.records(2, 2)
        assert (first.key, first.value) == (b"", None)
        assert (second.key, second.value, second.headers) == (None, b"", [("h", None), ("h", b"")])


def test_a_key_finds_its_partition_as_with_kafka():
    with Link(broker().native) as link:
        broker().json("topic", "create", "keyed", "--partitions", "5")
        places = [link.published(i, "keyed", [record(b"native", b"key-%d" % i)])[0] for i in range(20)]
        broker().produce("keyed", ["key-%d:kafka" % i for i in range(20)], "-K", ":", "-X", "topic.partitioner=murmur2")
        kafka = {line.split("|")[0]: int(line.split("|")[1]) for line in broker().consume("keyed", "-f", "%k|%p|%s\n") if line.endswith("kafka")}
        assert places == [kafka["key-%d" % i] for i in range(20)]


def test_publishes_are_appended_in_their_order_without_waiting():
    with Link(broker().native) as link:
        for i in range(500):
            link.publish(i, "in-order", [record(b"%d" % i)], partition=0)
        offsets = {one.id: Reader(one.body).numbers("iq")[1] for one in (link.take(PUBLISHED) for _ in range(500))}
        assert offsets == {i: i for i in range(500)}


def test_a_publish_that_fails_says_why():
    with Link(broker().native) as link:
        link.publish(1, "no such topic!", [record(b"x")])
        assert link.error(1)[0] == 1302
        link.published(2, "small", [record(b"x")])
        link.publish(3, "small", [record(b"x")], partition=77)
        assert link.error(3)[0] == 1300
        link.publish(4, "small", [record(b"x")], level=9)
        assert link.error(4) == (1601, "the level is 0 (accepted) or 1 (as the topic's durability)")


def test_without_an_answer_a_failure_ends_the_connection():
    with Link(broker().native) as link:
        link.publish(1, "silent", [record(b"a")], flags=1, level=0)
        assert link.has_nothing(PUBLISHED)
        link.publish(2, "silent", [record(b"a")], partition=77, flags=1)
        assert link.error(2)[0] == 1300
        assert link.take(GOAWAY) and link.is_closed()


def test_credit_is_kept_to_the_record():
    with Link(broker().native) as link:
        link.published(1, "by-record", [record(b"%d" % i) for i in range(10)], partition=0)
        link.subscribe(2, "by-record", records=0)
        assert link.has_nothing()
        for i in range(10):
            link.credit(2, 1)
            assert values(link.records(2, 1)) == [b"%d" % i]
            assert link.has_nothing()


def test_a_batch_is_taken_record_by_record_in_order_while_others_come():
    with Link(broker().native) as link:
        first = [record(b"%04d" % i + b"x" * 500, headers=[("sluice-expires", b"99999999999999")] if i == 70 else ()) for i in range(300)]
        link.published(1, "one-by-one", first, partition=0)  # more than is held at once
        link.subscribe(2, "one-by-one", records=1)
        found, is_last = [], False
        while len(found) < 310 or not is_last:
            one = link.take(MESSAGES, number=2)
            is_last, given = one.flags & 1, messages(one.body)[1]
            assert len(given) <= 1
            found += [each.offset for each in given]
            if found == [0, 1, 2]:
                link.published(3, "one-by-one", [record(b"later")] * 10, partition=0)
            link.credit(2, len(given))
        assert found == list(range(310)) and link.has_nothing()


def test_credit_is_kept_to_the_byte():
    with Link(broker().native) as link:
        size = len(record(b"x" * 10))
        link.published(1, "by-byte", [record(b"x" * 10) for i in range(4)] + [record(b"y" * 100)], partition=0)
        link.subscribe(2, "by-byte", size=size - 1)
        reader = Reader(link.take(STALLED).body)
        assert reader.numbers("IqQ") == (0, 0, size)
        assert link.has_nothing()
        link.credit(2, 0, 1)
        assert len(link.records(2, 1)) == 1 and link.has_nothing()
        assert Reader(link.take(STALLED).body).numbers("IqQ") == (0, 1, size)  # each record that waits is told of
        link.credit(2, 0, 3 * size + 5)
        assert len(link.records(2, 3)) == 3
        assert Reader(link.take(STALLED).body).numbers("IqQ") == (0, 4, len(record(b"y" * 100)))
        link.credit(2, 0, len(record(b"y" * 100)) - 5)
        assert values(link.records(2, 1)) == [b"y" * 100]


def test_the_last_record_is_marked():
    with Link(broker().native) as link:
        link.published(1, "to-the-end", [record(b"a"), record(b"b")], partition=0)
        link.subscribe(2, "to-the-end")
        one = link.take(MESSAGES)
        assert one.flags == 1 and len(messages(one.body)[1]) == 2
        link.published(3, "to-the-end", [record(b"c")], partition=0)
        assert link.take(MESSAGES).flags == 1


def test_who_has_nothing_to_read_is_told_at_once():
    with Link(broker().native) as link:
        link.published(1, "caught-up", [record(b"a")], partition=0)
        link.subscribe(2, "caught-up", start=0)
        one = link.take(MESSAGES)
        assert one.flags == 1 and messages(one.body)[1] == []
        link.subscribe(3, "caught-up", filters="nothing")  # what there is does not pass
        one = link.take(MESSAGES, number=3)
        assert one.flags == 1 and messages(one.body)[1] == []


def test_who_was_here_before_goes_on_where_it_stood():
    with Link(broker().native) as link:
        broker().json("topic", "create", "places", "--partitions", "2")
        for partition in (0, 1):
            link.published(1, "places", [record(b"%d-%d" % (partition, i)) for i in range(3)], partition=partition)
        link.subscribe(2, "places", records=0)
        ids = {link.source(2)[4] for _ in range(2)}
        assert len(ids) == 1
        link.subscribe(3, "places", start=1, places=[(ids.pop(), 1, 2), (bytes(16), 0, 5)])
        assert sorted((one[1], one[3]) for one in (link.source(3), link.source(3))) == [(0, 0), (1, 2)]
        assert sorted(values(link.records(3, 4))) == [b"0-0", b"0-1", b"0-2", b"1-2"]


def test_a_message_id_is_appended_once():
    with Link(broker().native) as link:
        link.ask(TOPIC_CREATE, text("once") + struct.pack("<iH", 3, 1) + text("sluice.dedup.window.ms") + text("600000"))
        first = link.published(1, "once", [record(b"a", b"key")], message_id="order-1")
        link.publish(2, "once", [record(b"b", b"other")], message_id="order-1")
        again = link.take(PUBLISHED)
        assert again.flags == 1 and Reader(again.body).numbers("iq") == first[:2]
        link.subscribe(3, "once")
        assert values(link.records(3, 1)) == [b"a"] and link.has_nothing()


def test_of_two_who_expect_the_same_end_one_is_refused():
    with Link(broker().native) as link:
        link.published(1, "expected", [record(b"a")], partition=0, expected=0)
        assert link.published(2, "expected", [record(b"b")], partition=0, expected=1)[1] == 1
        link.publish(3, "expected", [record(b"c")], partition=0, expected=1)
        code, sentence = link.error(3)
        assert code == 1415 and "2" in sentence
        link.publish(4, "expected", [record(b"c")], expected=1)
        assert link.error(4)[0] == 1601


def test_what_is_published_after_the_answer_is_received():
    with Link(broker().native) as link, Link(broker().native) as other:
        other.published(1, "from-the-end", [record(b"before")], partition=0)
        link.subscribe(2, "from-the-end", start=0)
        other.published(2, "from-the-end", [record(b"after")], partition=0)
        assert values(link.records(2, 1)) == [b"after"]


def test_a_subscription_starts_where_it_says():
    with Link(broker().native) as link:
        link.published(1, "starts", [record(b"%d" % i, timestamp=1000 * i) for i in range(10)], partition=0)
        link.subscribe(2, "starts", start=2, partition=0, value=7)
        assert values(link.records(2, 3)) == [b"7", b"8", b"9"]
        link.subscribe(3, "starts", start=3, value=7001)
        assert values(link.records(3, 2)) == [b"8", b"9"]
        link.subscribe(4, "starts", start=3, value=1 << 50)
        link.published(5, "starts", [record(b"10", timestamp=1)], partition=0)
        assert values(link.records(4, 1)) == [b"10"]


def test_patterns_match_what_is_there_and_what_comes():
    with Link(broker().native) as link:
        for name in ("pat.a.signup", "pat.b.signup", "pat.a.login", "pat.x"):
            link.published(1, name, [record(name.encode())])
        link.subscribe(2, "pat.*.signup")
        assert sorted(values(link.records(2, 2))) == [b"pat.a.signup", b"pat.b.signup"]
        link.subscribe(3, "pat.>")
        assert len(link.records(3, 4)) == 4
        link.published(4, "pat.c.signup", [record(b"new")])
        assert values(link.records(2, 1)) == [b"new"] and values(link.records(3, 1)) == [b"new"]


def test_a_topic_that_is_made_later_is_read_from_its_beginning():
    with Link(broker().native) as link:
        link.subscribe(1, "not-yet", start=0)
        link.published(2, "not-yet", [record(b"first")])
        assert values(link.records(1, 1)) == [b"first"]


def test_an_internal_topic_is_read_by_its_full_name_only():
    with Link(broker().native) as link:
        link.published(1, "alone", [record(b"x")])
        link.subscribe(2, ">", start=0)
        link.pings()
        topics = [Reader(one.body[24:]).text() for one in link.kept if one.kind == SOURCE_KIND]
        assert "alone" in topics and not [name for name in topics if name.startswith("__")]


def test_filters_are_kept_by_the_server():
    with Link(broker().native) as link:
        headers = ([("kind", b"a")], [("kind", b"b"), ("more", b"yes")], [("kind", b"abc")], [])
        link.published(1, "filtered", [record(b"%d" % i, headers=one) for i, one in enumerate(headers)], partition=0)
        wanted = {"kind": [b"0", b"1", b"2"], "!kind": [b"3"], "kind=a": [b"0"], "kind!=a": [b"1", b"2", b"3"], "kind^=a": [b"0", b"2"],
                  "kind&!more": [b"0", b"2"], "%6bind=%61": [b"0"]}
        for number, (text_of, found) in enumerate(wanted.items()):
            link.subscribe(10 + number, "filtered", filters=text_of, records=len(found))
            assert values(link.records(10 + number, len(found))) == found, text_of
        link.subscribe(50, "filtered", filters="=x", wait=False)
        assert link.error(50)[0] == 1002


def test_a_record_that_has_expired_is_not_sent():
    with Link(broker().native) as link:
        link.published(1, "expires", [record(b"old", headers=[("sluice-expires", b"1000")]),
                                      record(b"new", headers=[("sluice-expires", b"99999999999999")])], partition=0)
        link.subscribe(2, "expires")
        assert values(link.records(2, 1)) == [b"new"]


def test_a_subscription_that_is_ended_sends_nothing():
    with Link(broker().native) as link:
        link.subscribe(1, "ending")
        link.send(UNSUBSCRIBE, 0, 1)
        link.take(UNSUBSCRIBED)
        link.published(2, "ending", [record(b"x")])
        assert link.has_nothing()
        link.subscribe(1, "ending")  # the id is free again
        assert len(link.records(1, 1)) == 1
        link.send(UNSUBSCRIBE, 0, 9)
        assert link.error(9)[0] == 1004


def test_a_deleted_topic_ends_its_subscription_but_not_a_pattern():
    with Link(broker().native) as link:
        link.published(1, "gone.a", [record(b"x")])
        link.subscribe(2, "gone.a")
        link.subscribe(3, "gone.*")
        link.records(2, 1), link.records(3, 1)
        link.ask(TOPIC_DELETE, text("gone.a"))
        assert Reader(link.take(ENDED).body).number("I") == 1300
        link.published(4, "gone.b", [record(b"y")])
        assert values(link.records(3, 1)) == [b"y"]


def test_a_subscription_that_cannot_be_is_refused():
    with Link(broker().native) as link:
        link.subscribe(1, "taken")
        for wrong, code in (({"number": 1}, 1005), ({"number": 0}, 1601), ({"start": 5}, 1601), ({"start": 2}, 1601), ({"pattern": "a.>.b"}, 1302),
                            ({"pattern": ""}, 1302), ({"flags": 1}, 1601), ({"partition": -2}, 1601)):
            link.subscribe(**{"number": 7, "pattern": "taken", "wait": False, **wrong})
            assert link.error()[0] == code, wrong


def test_a_reader_that_stops_costs_the_others_nothing():
    with Link(broker().native) as slow, Link(broker().native) as quick, Link(broker().native) as source:
        slow.subscribe(1, "slow")
        quick.subscribe(1, "slow")
        value = b"x" * 100000
        for i in range(200):  # 20 MB, beyond what sockets hold; each waits for the disk
            source.published(i, "slow", [record(value)], partition=0)
            assert len(quick.records(1, 1)) == 1
        assert len(slow.records(1, 200)) == 200  # all of it, when it reads again


def test_topics_are_made_listed_changed_trimmed_and_deleted():
    with Link(broker().native) as link:
        link.ask(TOPIC_CREATE, text("adm.a") + struct.pack("<iH", 3, 1) + text("retention.ms") + text("60000"))
        link.ask(TOPIC_CREATE, text("adm.b") + struct.pack("<iH", -1, 0))
        link.send(TOPICS, 0, 5, text("adm.*"))
        reader = Reader(link.take(TOPIC_LIST, number=5).body)
        topics = {}
        for _ in range(reader.number("I")):
            name = reader.text()
            topics[name] = (reader.take(16), reader.number("i"))
        assert {name: count for name, (_, count) in topics.items()} == {"adm.a": 3, "adm.b": 1}
        link.ask(TOPIC_CONFIG, text("adm.a") + struct.pack("<H", 1) + text("retention.ms") + blob(b"120000"))
        assert broker().json("topic", "describe", "adm.a")["configs"]["retention.ms"]["value"] == "120000"
        for i in range(4):
            link.published(9, "adm.b", [record(b"%d" % i, timestamp=1000 * i)], partition=0)
        link.ask(TRIM, text("adm.b") + struct.pack("<iq", 0, 2))
        answers = [link.offsets("adm.b", partition, time) for partition, time in ((0, -1), (0, -2), (0, 2500), (-1, 1 << 50))]
        assert [[one[1] for one in answer] for answer in answers] == [[4], [2], [3], [-1]]
        assert [one[0] for one in link.offsets("adm.a", -1, -1)] == [0, 1, 2]
        link.ask(TOPIC_DELETE, text("adm.b"))
        link.send(TOPIC_DELETE, 0, 6, text("adm.b"))
        assert link.error(6)[0] == 1300
        link.send(GROUP_DELETE, 0, 7, text("no-such-group"))
        assert link.error(7)[0] == 1514
        link.send(TOPIC_CREATE, 0, 8, text("adm.a") + struct.pack("<iH", 1, 0))
        assert link.error(8)[0] == 1303


def test_of_each_key_the_last_record_comes_and_then_all_that_follow():
    with Link(broker().native) as link:
        keys = [b"a", b"b", None, b"a", b"c", b"b", b""]
        link.published(1, "last", [record(b"%d" % i, key) for i, key in enumerate(keys)], partition=0)
        link.subscribe(2, "last", start=4, records=2)
        assert values(link.records(2, 2)) == [b"3", b"4"]
        link.credit(2, 100)
        assert values(link.records(2, 2)) == [b"5", b"6"]
        link.published(3, "last", [record(b"7", b"a"), record(b"8"), record(b"9", b"a")], partition=0)
        assert values(link.records(2, 3)) == [b"7", b"8", b"9"]


def test_a_record_may_be_appended_later():
    with Link(broker().native) as link:
        link.subscribe(2, "later")
        at = int(time.time() * 1000) + 1500
        link.publish(1, "later", [record(b"x", headers=[("sluice-deliver-at", b"%d" % at)])], partition=0)
        answer = link.take(PUBLISHED)
        assert answer.flags == 2 and Reader(answer.body).numbers("iq") == (0, -1) or time.time() * 1000 >= at
        assert values(link.records(2, 1)) == [b"x"] and time.time() * 1000 >= at


def test_connections_beyond_the_bound_are_refused_and_counted():
    with Broker("native.connections_max=2") as own, Link(own.native), Link(own.native):
        with Link(own.native, hello=False) as third:
            assert third.is_closed()
        wait_for(lambda: 'listener="native",cause="connections"} 1' in urllib.request.urlopen("http://127.0.0.1:%d/metrics" % own.http).read().decode(),
                 "the refusal to be counted")


def test_who_is_silent_for_too_long_is_taken_for_gone():
    with Broker("native.heartbeat=1 s") as own, Link(own.native) as silent:
        assert Reader(silent.take(GOAWAY).body).number("I") == 1007 and silent.is_closed()


def test_what_was_trimmed_while_it_was_held_for_want_of_credit_is_not_sent():
    with Link(broker().native) as link:
        link.published(1, "held", [record(b"%d" % i) for i in range(10)], partition=0)
        link.subscribe(2, "held", records=1)
        assert [one.offset for one in link.records(2, 1)] == [0]
        held_until = time.monotonic() + 0.6  # what is held longer is read again
        link.ask(TRIM, text("held") + struct.pack("<iq", 0, 5))
        wait_for(lambda: time.monotonic() > held_until, "it to be held for a while")
        link.credit(2, 3)
        assert [one.offset for one in link.records(2, 3)] == [5, 6, 7]



load_tests = loader(globals())
