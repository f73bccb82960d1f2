"""Filters in Lua of native subscriptions on a real broker: what passes, what it costs, and what goes wrong in them."""
import os
import signal
import struct
import sys
import time
import urllib.request

from sluice_broker import SOURCE, Broker, SharedBroker, loader, wait_for

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
from native_wire import ACK, ACKED, ENDED, MESSAGES, STALLED, UNSUBSCRIBE, UNSUBSCRIBED, Link, Reader, messages, record  # noqa: E402

EVEN = "lua: tonumber(record.value) % 2 == 0"
LOOP = "lua: (function() while true do end end)()"
SETTINGS = ("core.topics.auto_create=true", "runtime.shards=1")  # one loop: the limit is of a loop
broker = SharedBroker(*SETTINGS, "native.filters.max=8", "native.filters.timeout=300 ms", "native.filters.errors_max=3")  # for the tests that need nothing of their own
tearDownModule = broker.close


def fill(link, topic, *values):
    link.published(1, topic, [record(value if isinstance(value, bytes) else b"%d" % value) for value in values], partition=0)


def values(records):
    return [one.value for one in records]


def ended(link, number):
    """Code and sentence."""
    reader = Reader(link.take(ENDED, number=number).body)
    return reader.number("I"), reader.text()


def refused(link, number, filters, **more):
    link.subscribe(number, "refused", filters=filters, wait=False, **more)
    return link.error(number)


def count_of(own, metric):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % own.http) as answer:
        return float([line.split()[-1] for line in answer.read().decode().splitlines() if line.startswith(metric + " ")][0])


def stop(link, number):
    link.send(UNSUBSCRIBE, 0, number)
    link.take(UNSUBSCRIBED, number=number)


def workers(own):
    """Processes that the broker started and that live."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if int(parent) == own.process.pid and state != "Z":
            found.append(int(name))
    return found


def test_what_fits_comes_in_order_and_costs_credit_alone():
    with Link(broker().native) as link:
        fill(link, "order", *range(500))
        link.subscribe(2, "order", filters=EVEN, records=3)
        assert values(link.records(2, 3)) == [b"0", b"2", b"4"]
        assert link.has_nothing()
        link.credit(2, 1)
        assert values(link.records(2, 1)) == [b"6"]
        link.credit(2, 10000, 1 << 30)
        assert values(link.records(2, 246)) == [b"%d" % i for i in range(8, 500, 2)]
        fill(link, "order", 501, 502)
        assert [(one.offset, one.value) for one in link.records(2, 1)] == [(501, b"502")]


def test_it_sees_key_headers_topic_offset_and_what_is_in_the_value():
    with Link(broker().native) as link:
        link.published(1, "seen", [record(b'{"amount": 7}', key=b"a"), record(b'{"amount": 700}', key=b"b", headers=(("kind", b"big"),)),
                                   record(b'{"amount": 900}', key=b"c")], partition=0)
        link.subscribe(2, "seen", filters='lua: record:json_get("amount") > 100 and record.topic == "seen"\n and record.offset < 2 -- the last is out')
        assert [one.key for one in link.records(2, 1)] == [b"b"]
        stop(link, 2)
        link.subscribe(2, "seen", filters='lua: record.key == "c" or record.headers["kind"] == "big"')
        assert [one.key for one in link.records(2, 2)] == [b"b", b"c"]


def test_metrics_count_filters_records_and_failures():
    with Broker(*SETTINGS) as own, Link(own.native) as link:
        fill(link, "counted", 2, 3, 4)
        link.subscribe(2, "counted", filters=EVEN)
        assert values(link.records(2, 2)) == [b"2", b"4"]
        fill(link, "counted", b"no number")
        assert refused(link, 3, "lua: 1 +")[0] == 1702
        names = ("s", "_records_total", "_passed_records_total", "_errors_total", "_failures_total", "_worker_deaths_total")
        wait_for(lambda: [count_of(own, "sluice_filter" + what) for what in names] == [1, 4, 2, 1, 1, 0], "the figures")
        wait_for(lambda: count_of(own, "sluice_filter_memory_bytes") > 1 << 20 and count_of(own, "sluice_filter_cpu_seconds_total") > 0, "what it costs")
        one, = own.ask("plugin.list")["filters"]
        assert one["name"] == EVEN and one["clients"] == ["127.0.0.1 test"] and one["state"] == "running" and [one["worker_pid"]] == workers(own), one
        assert [one[key] for key in ("records_in", "records_out", "errors")] == ["4", "2", "1"], one
        assert int(one["cpu_ns"]) > 0 and int(one["memory_bytes"]) > 1 << 20 and "filter:1:" in one["last_error"], one
        assert all(EVEN.encode() in own.run(*command)[1] for command in (("plugin", "list"), ("top", "--once")))
        stop(link, 2)
        wait_for(lambda: count_of(own, "sluice_filters") == 0, "it to go")
        assert count_of(own, "sluice_filter_cpu_seconds_total") > 0  # is kept
        assert own.ask("plugin.list")["filters"] == []


def test_all_that_was_there_is_told_as_read_though_nothing_fits():
    with Link(broker().native) as link:
        fill(link, "none", 1, 3, 5)
        link.subscribe(2, "none", filters=EVEN)
        assert messages(link.take(MESSAGES, number=2).body)[1] == []


def test_one_that_does_not_compile_is_refused_with_the_compilers_words():
    with Link(broker().native) as link:
        code, reason = refused(link, 2, "lua: record.value ==")
        assert code == 1702 and "filter:" in reason and "near" in reason, (code, reason)
        for text in ("lua: true) then end end os.exit() function x() if (true", "lua: true --[[", "lua: 'a", "lua: {"):
            code, reason = refused(link, 2, text)
            assert code == 1002 and "not an expression" in reason, (text, code, reason)
        assert refused(link, 2, "lua:" + "1" * 5000)[0] == 1002
        fill(link, "refused", 2)
        link.subscribe(2, "refused", filters=EVEN)
        assert values(link.records(2, 1)) == [b"2"]


def test_a_record_on_which_it_raises_does_not_pass_and_the_next_ones_are_judged():
    with Link(broker().native) as link:
        fill(link, "raises", 2, b"no number", b"none", 3, b"neither", 4)
        link.subscribe(2, "raises", filters=EVEN)
        assert values(link.records(2, 2)) == [b"2", b"4"]
        fill(link, "raises", b"no number", b"none", b"neither", 6)  # as many as may
        assert values(link.records(2, 1)) == [b"6"]


def test_one_that_raises_on_too_many_in_a_row_ends_that_subscription_with_its_words_and_no_others():
    with Link(broker().native) as link, Link(broker().native) as other:
        fill(link, "too-many", 2)
        fill(link, "few", 2)
        link.subscribe(2, "too-many", filters=EVEN)
        link.subscribe(4, "too-many", filters="lua: true")
        other.subscribe(3, "few", filters=EVEN)  # the same worker
        assert [values(one.records(number, 1)) for one, number in ((link, 2), (other, 3), (link, 4))] == 3 * [[b"2"]]
        fill(link, "too-many", *4 * [b"no number"])
        code, reason = ended(link, 2)
        assert code == 1710 and "on 4 records" in reason and "filter:1:" in reason and "nil" in reason, (code, reason)
        assert values(link.records(4, 4)) == 4 * [b"no number"]
        fill(link, "few", 4)
        assert values(other.records(3, 1)) == [b"4"]
        link.subscribe(2, "too-many", filters=EVEN, start=0)  # anew
        fill(link, "too-many", 4)
        assert values(link.records(2, 1)) == [b"4"]


def test_credit_in_bytes_holds_and_what_does_not_pass_costs_none():
    with Link(broker().native) as link:
        fill(link, "bytes", *range(1, 100), 200, 201, 202)
        size = len(record(b"200"))
        link.subscribe(2, "bytes", filters="lua: tonumber(record.value) >= 200", records=100, size=2 * size)
        assert values(link.records(2, 2)) == [b"200", b"201"]
        link.credit(2, 0, size - 1)
        stalled = Reader(link.take(STALLED, number=2).body)
        assert stalled.numbers("Iqq")[1:] == (101, size)
        assert link.has_nothing()
        link.credit(2, 0, 1)
        assert values(link.records(2, 1)) == [b"202"]


def test_one_that_does_not_end_is_stopped_in_time_and_others_go_on():
    with Link(broker().native) as link:
        fill(link, "loops", 2)
        link.subscribe(2, "loops", filters=LOOP)
        link.subscribe(3, "loops", filters=EVEN)
        assert values(link.records(3, 1)) == [b"2"]
        code, reason = ended(link, 2)
        assert code in (1705, 1710) and "deadline" in reason, (code, reason)


def test_one_that_wants_all_memory_ends_and_the_broker_goes_on():
    with Link(broker().native) as link:
        fill(link, "memory", *4 * [2])
        link.subscribe(2, "memory", filters='lua: (function() local all = {} while true do all[#all + 1] = string.rep("x", 1048576) .. #all end end)()')
        code, reason = ended(link, 2)
        assert code in (1707, 1710) and "memory" in reason, (code, reason)
        link.subscribe(3, "memory", filters=EVEN)
        assert values(link.records(3, 4)) == 4 * [b"2"]


def test_one_that_changes_records_or_keeps_state_is_ended():
    with Link(broker().native) as link:
        fill(link, "changes", 2)
        link.subscribe(2, "changes", filters='lua: (function() record.value = "other" return true end)()')
        code, reason = ended(link, 2)
        assert code == 1710 and "changes no records" in reason, (code, reason)


def test_the_same_text_is_one_worker_that_goes_with_its_last_subscription():
    own = broker()
    with Link(own.native) as link, Link(own.native) as other:
        wait_for(lambda: not workers(own), "workers of tests before to go")
        fill(link, "workers", 2)
        link.subscribe(2, "workers", filters=EVEN)
        other.subscribe(2, "workers", filters=EVEN)
        assert values(link.records(2, 1)) == values(other.records(2, 1)) == [b"2"]
        assert len(workers(own)) == 1
        for number in range(3, 6):
            link.subscribe(number, "workers", filters="lua: record.offset > %d" % number)
        code, reason = refused(link, 6, "lua: false")
        assert code == 1006 and "of this client (127.0.0.1 test)" in reason and "half of native.filters.max" in reason, (code, reason)
        with Link(own.native, client_id="another") as another:
            for number in range(6, 10):
                another.subscribe(number, "workers", filters="lua: record.offset > %d" % number)
            with Link(own.native, client_id="a third") as third:
                code, reason = refused(third, 2, "lua: false")
                assert code == 1006 and "as many as native.filters.max" in reason, (code, reason)
                third.subscribe(3, "workers", filters=EVEN)  # one that is there
        wait_for(lambda: len(workers(own)) == 4, "the workers of another client to go")
        stop(link, 3)
        link.subscribe(6, "workers", filters="lua: false")
        for number in (4, 5, 6, 2):
            stop(link, number)
        wait_for(lambda: len(workers(own)) == 1, "the worker of one text to go")
    wait_for(lambda: not workers(own), "the last worker to go with its connection")


def test_a_worker_that_is_killed_comes_again_and_nothing_is_lost_or_given_twice():
    own = broker()
    with Link(own.native) as link:
        wait_for(lambda: not workers(own), "workers of tests before to go")
        fill(link, "killed", *range(10))
        link.subscribe(2, "killed", filters=EVEN)
        assert values(link.records(2, 5)) == [b"%d" % i for i in range(0, 10, 2)]
        first, = workers(own)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: workers(own) and first not in workers(own), "another worker")
        fill(link, "killed", 10, 11, 12)
        assert values(link.records(2, 2)) == [b"10", b"12"]


def test_a_record_that_expires_while_there_is_no_credit_is_not_sent():
    with Link(broker().native) as link:
        expires = int(time.time() * 1000) + 200
        link.published(1, "expires", [record(b"0"), record(b"2", headers=(("sluice-expires", b"%d" % expires),)), record(b"3"), record(b"4")], partition=0)
        link.subscribe(2, "expires", filters=EVEN, records=1)
        assert values(link.records(2, 1)) == [b"0"]
        wait_for(lambda: time.time() * 1000 > expires, "the record to expire")
        link.credit(2, 5)
        assert values(link.records(2, 1)) == [b"4"]


def test_a_queue_is_done_with_what_does_not_fit_over_a_crash_and_off_means_refused():
    with Broker(*SETTINGS) as own:
        with Link(own.native) as link:
            fill(link, "jobs", *range(6))
            link.subscribe(2, "jobs", group="workers", filters=EVEN, records=2)
            assert values(link.records(2, 2)) == [b"0", b"2"]
            link.credit(2, 5, 1 << 20)
            assert values(link.records(2, 1)) == [b"4"]
            link.send(ACK, 1, 2, struct.pack("<IIIIqqqq", 0, 0, 0, 2, 0, 0, 2, 2))
            assert Reader(link.take(ACKED, number=2).body).numbers("II")[1] == 0
        own.crash()
        own.settings.append("native.filters.max=0")
        own.start()
        with Link(own.native) as link:
            link.subscribe(2, "jobs", group="workers")
            fill(link, "jobs", 6)
            assert values(link.records(2, 2)) == [b"4", b"6"]
            code, reason = refused(link, 3, EVEN)
            assert code == 1009 and "native.filters.max" in reason, (code, reason)


def test_what_a_queue_held_when_its_filter_failed_is_given_again():
    with Link(broker().native) as link:
        fill(link, "failed", 2, *4 * [b"no number"])
        link.subscribe(2, "failed", group="failed", filters=EVEN)
        code, reason = ended(link, 2)
        assert code == 1710 and "filter:1:" in reason, (code, reason)
        link.subscribe(3, "failed", group="failed")
        assert [(one.value, one.deliveries) for one in link.records(3, 5)] == [(b"2", 1)] + 4 * [(b"no number", 1)]


def test_a_queue_rejects_what_its_filter_raises_on_and_is_done_with_what_does_not_fit():
    own = broker()
    with Link(own.native) as link:
        fill(link, "careful", 2, b"no number", 3, 4)
        link.subscribe(2, "careful", group="careful", filters=EVEN)
        assert values(link.records(2, 2)) == [b"2", b"4"]
        wait_for(lambda: count_of(own, 'sluice_share_archived_records_total{group="careful"}') == 1, "the record to be rejected")
        stop(link, 2)
        link.subscribe(3, "careful", group="careful")
        assert values(link.records(3, 2)) == [b"2", b"4"]
        assert link.has_nothing()


load_tests = loader(globals())
