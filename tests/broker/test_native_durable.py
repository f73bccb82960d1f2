"""Durable subscriptions of the native protocol on a real broker: groups, acknowledgements, redelivery, dead letters."""
import os
import struct
import sys

from kafka_wire import call
from share_member import Member, configure_group
from sluice_broker import SOURCE, Broker, SharedBroker, loader, wait_for

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from native_wire import ACK, ACKED, ENDED, ERROR, GROUP_DELETE, STALLED, SUBSCRIBED, TOPIC_CREATE, UNSUBSCRIBE, UNSUBSCRIBED, Link, Reader, record, text  # noqa: E402

DONE_WITH, AGAIN, NOBODY, LONGER, UP_TO = range(5)
EXCLUSIVE = 1
broker = SharedBroker("core.topics.auto_create=true")  # for the tests that need nothing of their own
tearDownModule = broker.close


def values(records):
    return [one.value for one in records]


def fill(link, topic, count):
    link.published(1, topic, [record(b"%d" % i) for i in range(count)], partition=0)


def ack(link, number, what, *runs, source=0, ms=0, wait=True):
    """The code of ACKED; None without waiting for it."""
    link.send(ACK, 1 if wait else 0, number, struct.pack("<IIII", what, ms, source, len(runs)) + b"".join(struct.pack("<qq", *run) for run in runs))
    return Reader(link.take(ACKED, number=number).body).numbers("II")[1] if wait else None


def stop(link, number):
    link.send(UNSUBSCRIBE, 0, number)
    link.take(UNSUBSCRIBED)


def test_what_was_acknowledged_is_not_given_again_over_a_crash():
    with Broker("core.topics.auto_create=true") as own:
        with Link(own.native) as link:
            fill(link, "jobs", 4)
            link.subscribe(2, "jobs", group="workers")
            assert link.source(2)[1:4] == (0, "jobs", -1)
            records = link.records(2, 4)
            assert [(one.offset, one.deliveries) for one in records] == [(i, 1) for i in range(4)]
            assert ack(link, 2, DONE_WITH, (0, 0), (2, 2)) == 0
        own.crash()
        own.start()
        with Link(own.native) as link:
            link.subscribe(2, "jobs", group="workers")
            assert values(link.records(2, 2)) == [b"1", b"3"]


def test_each_record_is_given_to_one_of_the_group_and_kafka_counts_too():
    with Link(broker().native) as one, Link(broker().native) as other:
        one.subscribe(2, "shared", group="two", records=3)
        other.subscribe(2, "shared", group="two", records=3)
        fill(one, "shared", 6)
        given = one.records(2, 3) + other.records(2, 3)
        assert sorted(values(given)) == [b"%d" % i for i in range(6)]
        assert one.has_nothing() and other.has_nothing()


def test_credit_is_kept_to_the_record_and_no_more_are_taken():
    with Link(broker().native) as one, Link(broker().native) as other:
        fill(one, "few", 3)
        one.subscribe(2, "few", group="few", records=1)
        assert values(one.records(2, 1)) == [b"0"]
        other.subscribe(2, "few", group="few", records=5)
        assert values(other.records(2, 2)) == [b"1", b"2"]
        assert one.has_nothing()


def test_credit_is_kept_to_the_byte():
    with Link(broker().native) as link:
        size = len(record(b"0"))
        fill(link, "bytes", 3)
        link.subscribe(2, "bytes", group="bytes", size=size + 1)
        assert values(link.records(2, 1)) == [b"0"]
        assert Reader(link.take(STALLED).body).numbers("IqQ") == (0, 1, size)
        link.credit(2, 0, 2 * size)
        assert values(link.records(2, 2)) == [b"1", b"2"]
        assert ack(link, 2, DONE_WITH, (0, 2)) == 0


def test_a_record_is_given_again_when_it_is_released():
    with Link(broker().native) as link:
        fill(link, "again", 2)
        link.subscribe(2, "again", group="again")
        link.records(2, 2)
        assert ack(link, 2, AGAIN, (0, 0)) == 0
        one, = link.records(2, 1)
        assert (one.offset, one.deliveries) == (0, 2)
        assert ack(link, 2, AGAIN, (1, 1), ms=300) == 0  # not at once, and it does come
        one, = link.records(2, 1)
        assert (one.offset, one.deliveries) == (1, 2)


def test_a_record_is_given_to_another_when_its_connection_ends_or_the_subscription():
    with Link(broker().native) as other:
        with Link(broker().native) as one:
            fill(one, "leaves", 2)
            one.subscribe(2, "leaves", group="leaves")
            one.records(2, 2)
            other.subscribe(2, "leaves", group="leaves")
            assert other.has_nothing()
            assert ack(one, 2, DONE_WITH, (1, 1)) == 0
        assert values(other.records(2, 1)) == [b"0"]
        with Link(broker().native) as third:
            stop(other, 2)
            third.subscribe(2, "leaves", group="leaves")
            assert values(third.records(2, 1)) == [b"0"]


def test_a_record_is_given_again_when_its_time_is_over():
    with Link(broker().native) as link:
        fill(link, "late", 1)
        link.subscribe(2, "late", group="late", lock_ms=1000)
        assert [one.deliveries for one in link.records(2, 1)] == [1]
        assert [one.deliveries for one in link.records(2, 1)] == [2]
        assert ack(link, 2, LONGER, (0, 0)) in (0, 1525)  # a slow machine may be late again
        while ack(link, 2, DONE_WITH, (0, 0)) != 0:
            link.records(2, 1)


def test_all_up_to_an_offset_is_done_with():
    with Link(broker().native) as link:
        fill(link, "cumulative", 6)
        link.subscribe(2, "cumulative", group="cumulative")
        link.records(2, 6)
        assert ack(link, 2, DONE_WITH, (1, 2)) == 0
        assert ack(link, 2, UP_TO, (0, 4)) == 0
        assert ack(link, 2, UP_TO, (0, 4)) == 0  # nothing is held up to there
        stop(link, 2)
        link.subscribe(3, "cumulative", group="cumulative")
        assert values(link.records(3, 1)) == [b"5"] and link.has_nothing()


def test_what_is_not_held_cannot_be_acknowledged():
    with Link(broker().native) as link:
        fill(link, "not-mine", 2)
        link.subscribe(2, "not-mine", group="not-mine", records=1)
        link.records(2, 1)
        assert ack(link, 2, DONE_WITH, (1, 1)) == 1525
        assert ack(link, 2, DONE_WITH, (0, 0), source=9) == 1525
        ack(link, 2, DONE_WITH, (1, 1), wait=False)
        assert link.error(2)[0] == 1525
        assert ack(link, 2, DONE_WITH, (0, 0)) == 0


def test_answers_to_acknowledgements_come_in_their_order():
    with Link(broker().native) as link:
        fill(link, "ordered", 200)
        link.subscribe(2, "ordered", group="ordered")
        link.records(2, 200)
        for i in range(200):
            link.send(ACK, 1, 2, struct.pack("<IIIIqq", DONE_WITH, 0, 7 if i % 3 == 0 else 0, 1, i, i))
        codes = [Reader(link.take(ACKED).body).numbers("II") for _ in range(200)]
        assert codes == [(7, 1525) if i % 3 == 0 else (0, 0) for i in range(200)]


def test_what_nobody_can_use_goes_to_the_dead_letters():
    with Link(broker().native) as link:
        link.ask(TOPIC_CREATE, text("dlq.native") + struct.pack("<iH", 1, 1) + text("errors.deadletterqueue.group.enable") + text("true"))
        fill(link, "poisoned", 2)
        assert configure_group(broker(), "poisoned", errors__deadletterqueue__topic__name="dlq.native",
                               errors__deadletterqueue__copy__record__enable="true") == 0
        link.subscribe(2, "poisoned", group="poisoned")
        link.subscribe(3, "dlq.native")
        link.records(2, 2)
        assert ack(link, 2, NOBODY, (0, 0)) == 0
        assert values(link.records(3, 1)) == [b"0"]
        assert ack(link, 2, DONE_WITH, (1, 1)) == 0


def test_filters_and_expiry_are_done_with_by_the_server():
    with Link(broker().native) as link:
        link.published(1, "choosy", [record(b"0", headers=[("kind", b"a")]), record(b"1"),
                                     record(b"2", headers=[("kind", b"a"), ("sluice-expires", b"5")]), record(b"3", headers=[("kind", b"a")])], partition=0)
        link.subscribe(2, "choosy", group="choosy", filters="kind=a")
        assert values(link.records(2, 2)) == [b"0", b"3"]
        assert ack(link, 2, DONE_WITH, (0, 0), (3, 3)) == 0
        stop(link, 2)
        link.subscribe(3, "choosy", group="choosy")
        fill(link, "choosy", 1)
        assert [one.offset for one in link.records(3, 1)] == [4]


def test_a_group_begins_at_the_end_or_the_beginning_and_reads_topics_that_come():
    with Link(broker().native) as link:
        fill(link, "dur.a", 2)
        link.subscribe(2, "dur.*", group="from-the-end", start=0)
        link.subscribe(3, "dur.*", group="from-the-beginning", start=1)
        assert len(link.records(3, 2)) == 2
        fill(link, "dur.b", 1)
        assert values(link.records(2, 1)) == [b"0"] and values(link.records(3, 1)) == [b"0"]
        fill(link, "dur.a", 1)
        assert [one.offset for one in link.records(2, 1)] == [2]


def test_a_group_over_partitions_on_all_shards_reads_everything_once():
    with Link(broker().native) as link:
        link.ask(TOPIC_CREATE, text("wide") + struct.pack("<iH", 6, 0))
        link.subscribe(2, "wide", group="wide", records=1)
        sources = {source: partition for source, partition, *_ in (link.source(2) for _ in range(6))}
        for i in range(30):
            link.published(3, "wide", [record(b"%d" % i)], partition=i % 6)
        found = []
        for i in range(30):
            found += values(link.records(2, 1))
            link.credit(2, 1)
        assert sorted(found) == sorted(b"%d" % i for i in range(30)) and sorted(sources.values()) == list(range(6))


def members(group):
    return {one["client_id"]: one for one in broker().json("group", "describe", group)["members"]}


def assigned(member):
    return {(one["topic"], partition) for one in member["assigned"] for partition in one["partitions"]}


def both_partitions(topic):
    return {(topic, 0), (topic, 1)}


def make(link, topic, partitions):
    link.ask(TOPIC_CREATE, text(topic) + struct.pack("<iH", partitions, 0))


def test_subscribers_are_members_that_are_shown_with_what_they_read_beside_those_of_kafka():
    with Link(broker().native, client_id="first") as first, Link(broker().native, client_id="second") as second, \
            Member(broker(), "seen", "of-kafka", "seen.a") as kafka:
        make(first, "seen.a", 2)
        first.subscribe(2, "seen.*", group="seen")
        second.subscribe(2, "seen.*", group="seen", partition=1)
        assert sorted(len(parts) for parts in kafka.join().values()) == [2]  # what native ones read is not taken from it
        shown = members("seen")
        assert assigned(shown["first"]) == both_partitions("seen.a") and assigned(shown["second"]) == {("seen.a", 1)}
        assert shown["first"]["host"].startswith("127.0.0.1:") and assigned(shown["test"]) == both_partitions("seen.a")
        with broker().connect() as raw:
            told, = call(raw, "ShareGroupDescribe", 1, {"group_ids": ["seen"], "include_authorized_operations": False})["groups"]
        assert (told["group_state"], len(told["members"])) == ("Stable", 3), told
        make(first, "seen.b", 2)
        wait_for(lambda: assigned(members("seen")["first"]) == both_partitions("seen.a") | both_partitions("seen.b"), "the new topic")
        second.close()
        wait_for(lambda: "second" not in members("seen"), "the second to be gone")


def test_a_group_is_kept_while_a_subscriber_is_there_and_deleted_when_it_has_left():
    with Link(broker().native) as link:
        fill(link, "kept", 1)
        link.subscribe(2, "kept", group="kept")
        link.send(GROUP_DELETE, 0, 7, text("kept"))
        assert link.error(7)[0] == 1513
        stop(link, 2)
        link.ask(GROUP_DELETE, text("kept"))
        assert "kept" not in [one["group"] for one in broker().json("group", "list")["groups"]]
        link.subscribe(3, "kept", group="kept", start=0)  # anew, and so at the end
        fill(link, "kept", 1)
        assert [one.offset for one in link.records(3, 1)] == [1]


def test_a_group_remembers_that_it_has_begun_so_that_topics_that_came_meanwhile_are_read_whole():
    with Broker("core.topics.auto_create=true") as own:
        with Link(own.native) as link:
            fill(link, "begun.a", 1)
            link.subscribe(2, "begun.*", group="begun", start=0)
            stop(link, 2)
            fill(link, "begun.b", 2)
        own.crash()
        own.start()
        with Link(own.native) as link:
            fill(link, "begun.a", 1)
            link.subscribe(2, "begun.*", group="begun", start=0)
            assert sorted(one.offset for one in link.records(2, 3)) == [0, 1, 1]
            assert link.has_nothing()


def test_an_exclusive_subscriber_is_alone_in_its_group_and_reads_in_order_until_it_goes():
    with Broker("core.topics.auto_create=true") as own:
        def refuses(link, number, group="alone", flags=0):
            link.subscribe(number, "alone", group=group, flags=flags, wait=False)
            return link.error(number)[0] == 1530

        one, other = Link(own.native), Link(own.native)
        fill(one, "alone", 500)
        one.subscribe(2, "alone", group="alone", flags=EXCLUSIVE, records=100)
        assert refuses(other, 2) and refuses(other, 3, flags=EXCLUSIVE) and refuses(one, 4)
        with Member(own, "alone", "of-kafka", "alone") as kafka:
            assert kafka.beat(0, ["alone"])["error_code"] == 81
        assert [record.offset for record in one.records(2, 100)] == list(range(100))
        assert ack(one, 2, DONE_WITH, (0, 49)) == 0
        one.credit(2, 100)
        assert [record.offset for record in one.records(2, 100)] == list(range(100, 200))
        one.close()

        def comes():
            other.subscribe(5, "alone", group="alone", flags=EXCLUSIVE, wait=False)
            return other.take(SUBSCRIBED, ERROR, number=5).kind == SUBSCRIBED
        wait_for(comes, "the first to be gone")
        assert [record.offset for record in other.records(5, 450)] == list(range(50, 500))  # what was held is given back before it goes
        own.crash()
        own.start()
        with Link(own.native) as third, Link(own.native) as fourth:
            third.subscribe(2, "alone", group="shared")
            assert refuses(fourth, 2, group="shared", flags=EXCLUSIVE)
            fourth.subscribe(3, "alone", group="alone", flags=EXCLUSIVE)
            assert fourth.records(3, 450)[0].offset == 50
            stop(fourth, 3)
            third.subscribe(4, "alone", group="alone", flags=EXCLUSIVE)


def test_an_exclusive_subscriber_goes_back_by_releasing_all_from_a_record_on():
    with Link(broker().native) as link:
        fill(link, "back", 20)
        link.subscribe(2, "back", group="back", flags=EXCLUSIVE, records=10)
        assert [record.offset for record in link.records(2, 10)] == list(range(10))
        assert ack(link, 2, DONE_WITH, (0, 2)) == 0
        assert ack(link, 2, AGAIN, (4, 4)) == 0  # one alone comes behind what was sent, before what was not
        link.credit(2, 2)
        assert [record.offset for record in link.records(2, 2)] == [4, 10]
        assert ack(link, 2, AGAIN, (3, 10)) == 0
        link.credit(2, 12)
        assert [record.offset for record in link.records(2, 12)] == list(range(3, 15))
        stop(link, 2)


def test_a_group_of_another_kind_is_not_subscribed_to():
    with Link(broker().native) as link, broker().connect() as raw:
        fill(link, "taken", 1)
        call(raw, "OffsetCommit", 8, {"group_id": "taken", "generation_id_or_member_epoch": -1, "member_id": "", "topics": [
            {"name": "taken", "partitions": [{"partition_index": 0, "committed_offset": 0, "committed_metadata": ""}]}]})
        link.subscribe(2, "taken", group="taken", wait=False)
        assert link.error(2) == (1514, "a group of another kind has this name")


def test_a_durable_subscription_that_cannot_be_is_refused():
    with Link(broker().native) as link:
        for more, code in (({"start": 3}, 1601), ({"group": "x" * 256}, 1505), ({"places": [(bytes(16), 0, 0)]}, 1601)):
            link.subscribe(**{"number": 5, "pattern": "refused", "group": "refused", "wait": False, **more})
            assert link.error(5)[0] == code, more
        link.subscribe(6, "refused")
        link.send(ACK, 1, 6, struct.pack("<IIIIqq", 0, 0, 0, 1, 0, 0))
        assert link.error(6)[0] == 1601
        assert ENDED not in [one.kind for one in link.kept]


load_tests = loader(globals())
