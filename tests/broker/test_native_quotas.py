"""Quotas of users and clients over the native protocol: who sends too much is not read, who was sent too much gets nothing, and hears of it.

Nothing is timed: a frame says how long to wait, and where nothing may come the wait is far beyond the test's end."""
import os
import select
import sys

from sluice_broker import SOURCE, Broker, SharedBroker, loader
from test_compaction import metric

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from native_wire import (MESSAGES, PING, PONG, PUBLISHED, THROTTLED, TOPIC_CREATE, TOPIC_DELETE, Link, Reader, messages, record, text)  # noqa: E402

INPUT, PUSHES = 0, 1
broker = SharedBroker("core.topics.auto_create=true")  # for the tests that need nothing of their own
tearDownModule = broker.close


def limit(who, *limits, of=None):
    code, _, error = (of or broker()).run("quota", "set", who, *limits)
    assert code == 0, error


def throttled(link):
    """What, and for how long."""
    what, ms = Reader(link.take(THROTTLED).body).numbers("II")
    return what, ms


def is_not_read(link):
    """What it sends is not answered, while others are."""
    link.send(PING, 0, 1, b"?")
    with Link(broker().native, client_id="bystander") as other:
        other.pings()
    return not link.kept and not link.rest and not select.select([link.socket], [], [], 0)[0]


def fill(topic):
    """Each record is more than a quota of 1,000 bytes a second allows at once, 10,000 bytes, and takes 20 seconds of it."""
    with Link(broker().native, client_id="filler") as link:
        for i in range(20):
            link.published(i, topic, [record(b"x" * 30000)], partition=0)


def taken(link, number=None):
    """The records of all MESSAGES that are there, and nothing more is."""
    link.pings()
    return [one for frame in link.kept if frame.kind == MESSAGES for one in messages(frame.body)[1]]


def test_who_publishes_more_than_his_quota_is_answered_told_and_not_read():
    limit("Client:loud", "producer_byte_rate=1000")
    with Link(broker().native, client_id="loud") as link, Link(broker().native, client_id="quiet") as other:
        for i in range(20):
            link.publish(i, "published", [record(b"x" * 30000)], partition=0)
        what, ms = throttled(link)
        assert what == INPUT and 15000 < ms < 60000, ms
        assert link.take(PUBLISHED).id == 0 and is_not_read(link)
        for i in range(20):
            other.published(i, "published", [record(b"x" * 10000)], partition=0)
        assert metric(broker(), 'sluice_quota_throttled_total{quota="producer_byte_rate",principal="User:ANONYMOUS"}') == 1


def test_when_the_time_is_over_it_goes_on():
    with Broker("core.topics.auto_create=true", "quota.window_count=2") as own:
        limit("Client:loud", "producer_byte_rate=100000", "consumer_byte_rate=100000", of=own)
        with Link(own.native, client_id="loud") as link:  # each frame is more than two windows take
            for i in range(2):
                link.publish(i, "again", [record(b"x" * 210000)], partition=0, level=0, flags=1)
                assert throttled(link)[0] == INPUT
            link.pings()
            link.subscribe(2, "again")
            assert len(link.records(2, 2)) == 2 and throttled(link)[0] == PUSHES
            link.subscribe(3, "again", group="workers")
            assert len(link.records(3, 2)) == 2


def test_what_is_pushed_stays_within_the_quota_whoever_of_the_user_reads():
    fill("pushed")
    limit("Client:slow", "consumer_byte_rate=1000")
    with Link(broker().native, client_id="slow") as link, Link(broker().native, client_id="slow") as second, Link(broker().native) as other:
        link.subscribe(2, "pushed")
        what, ms = throttled(link)
        assert what == PUSHES and 15000 < ms < 60000, ms
        assert [one.offset for one in taken(link)] == [0]
        second.subscribe(3, "pushed")
        assert throttled(second)[0] == PUSHES and taken(second) == []
        other.subscribe(4, "pushed")
        assert len(other.records(4, 20)) == 20
        assert metric(broker(), 'sluice_quota_throttled_total{quota="consumer_byte_rate",principal="User:ANONYMOUS"}') >= 1


def test_a_durable_subscription_is_held_too_and_what_it_has_is_not_given_to_others():
    fill("queued")
    limit("Client:worker", "consumer_byte_rate=1000")
    with Link(broker().native, client_id="worker") as link:
        link.subscribe(2, "queued", group="workers")
        assert throttled(link)[0] == PUSHES
        got = taken(link)
        assert [one.offset for one in got] == [0]
        with Link(broker().native) as other:
            other.subscribe(2, "queued", group="workers")
            assert sorted((one.offset, one.deliveries) for one in other.records(2, 19)) == [(offset, 1) for offset in range(1, 20)]


def test_topics_beyond_the_quota_of_changes_are_neither_made_nor_deleted():
    limit("Client:maker", "controller_mutation_rate=1")
    with Link(broker().native, client_id="maker") as link:
        link.ask(TOPIC_CREATE, text("made") + b"\x1e\0\0\0" + b"\0\0")
        for kind, body in ((TOPIC_CREATE, text("more") + b"\x01\0\0\0" + b"\0\0"), (TOPIC_DELETE, text("made"))):
            link.send(kind, 0, 9, body)
            assert link.error(9)[0] == 1609
        assert "more" not in [one["name"] for one in broker().json("topic", "list")["topics"]]


def test_who_takes_too_much_time_of_a_loop_is_not_read():
    limit("Client:busy", "request_percentage=0.0001")
    with Link(broker().native, client_id="busy") as link:
        for i in range(1000):
            link.send(PING, 0, i, b"x" * 64)
        assert throttled(link)[0] == INPUT
        while link.kept and link.kept[0].kind == PONG:
            link.kept.pop(0)
        assert is_not_read(link)


load_tests = loader(globals())
