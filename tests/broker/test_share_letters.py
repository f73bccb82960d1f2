"""Dead letters of share groups (KIP-1191): where records go that are rejected or delivered too often, and what a crash leaves."""
import json
import os
import re

from kafka_wire import call
from share_member import ACCEPT, REJECT, RELEASE, RENEW, Member, configure_group, make, measured
from sluice_broker import Broker, loader, wait_for

INVALID_CONFIG = 40
GUIDE = os.path.join(os.environ["SLUICE_SOURCE_DIR"], "docs", "share-groups.md")


def make_letters(broker, name="dlq.t", partitions=1, enable="true", **configs):
    with broker.connect() as raw:
        made, = call(raw, "CreateTopics", 7, {"timeout_ms": 10000, "topics": [{
            "name": name, "num_partitions": partitions, "replication_factor": 1, "configs": [
                {"name": "errors.deadletterqueue.group.enable", "value": enable}] + [
                    {"name": key.replace("__", "."), "value": value} for key, value in configs.items()]}]})["topics"]
    assert made["error_code"] == 0, made


def name_letters(broker, name="dlq.t", **more):
    return configure_group(broker, errors__deadletterqueue__topic__name=name, share__auto__offset__reset="earliest", **more)


def letters(broker, name="dlq.t"):
    """[(partition, key, value, {header: text})]"""
    found = []
    for line in broker.consume(name, "-f", "%p|%k|%s|%h\\n"):
        partition, key, value, headers = line.split("|")
        found.append((int(partition), key, value, dict(one.split("=", 1) for one in headers.split(",") if one)))
    return found


def wait_for_letters(broker, count, name="dlq.t"):
    return wait_for(lambda: (found := letters(broker, name)) and len(found) >= count and found, f"{count} dead letters")


def origins(found):
    return sorted((int(one[3]["__dlq.errors.partition"]), int(one[3]["__dlq.errors.offset"])) for one in found)


def test_a_rejected_record_and_one_that_came_too_often_are_written_with_where_they_lie_and_why():
    with Broker() as broker:
        topic = make(broker)
        make_letters(broker)
        assert name_letters(broker, errors__deadletterqueue__copy__record__enable="true", share__delivery__count__limit="2") == 0
        broker.produce("t", ["k1:a", "k2:b", "k3:c"], "-K:", "-H", "own=header")
        with Member(broker, "g", "ann", "t") as ann:
            assert ann.acquire(topic) == [(0, 0, 2, 1)]
            assert ann.acknowledge(topic, (0, 2, [REJECT, ACCEPT, RELEASE])) == 0
            assert ann.acquire(topic) == [(0, 2, 2, 2)]
            assert ann.acknowledge(topic, (2, 2, [RELEASE])) == 0
            first, second = wait_for_letters(broker, 2)
            common = {"__dlq.errors.topic": "t", "__dlq.errors.partition": "0", "__dlq.errors.group": "g", "own": "header"}
            assert first == (0, "k1", "a", {**common, "__dlq.errors.offset": "0", "__dlq.errors.delivery.count": "1",
                                            "__dlq.errors.message": "Offset rejected by client."}), first
            assert second == (0, "k3", "c", {**common, "__dlq.errors.offset": "2", "__dlq.errors.delivery.count": "2",
                                             "__dlq.errors.message": "Offset delivery count exceeded the threshold."}), second
            assert ann.acquire(topic) == [], "nothing comes again"
            wait_for(lambda: not stands(broker), "the group to be done with all")


def stands(broker, group="g"):
    """The group's lag."""
    with broker.connect() as raw:
        told, = call(raw, "DescribeShareGroupOffsets", 1, {"groups": [{"group_id": group, "topics": None}]})["groups"]
    return sum(part["lag"] for topic in told["topics"] for part in topic["partitions"])


def test_a_letter_holds_no_record_unless_it_is_asked_for_or_when_it_is_too_large():
    with Broker() as broker:
        topic = make(broker)
        make_letters(broker, max__message__bytes="1000")
        assert name_letters(broker) == 0
        broker.produce("t", ["small", "small", "x" * 2000, "small"], "-z", "lz4")
        with Member(broker, "g", "ann", "t") as ann:
            ann.acquire(topic)
            assert ann.acknowledge(topic, (0, 0, [REJECT])) == 0
            assert [one[2] for one in wait_for_letters(broker, 1)] == [""]
            assert name_letters(broker, errors__deadletterqueue__copy__record__enable="true") == 0
            assert ann.acknowledge(topic, (1, 3, [REJECT])) == 0
            assert [one[2] for one in wait_for_letters(broker, 4)] == ["", "small", "", "small"]


def test_letters_that_hold_their_records_go_back_once_to_where_they_came_from():
    with Broker("runtime.shards=1") as broker:  # with more a topic of one partition may lie elsewhere than its letters
        topic = make(broker)
        make_letters(broker)
        assert name_letters(broker) == 0
        broker.produce("t", ["k0:bare"], "-K:")
        with Member(broker, "g", "ann", "t") as ann:
            assert ann.acquire(topic) == [(0, 0, 0, 1)] and ann.acknowledge(topic, (0, 0, [REJECT])) == 0
            wait_for_letters(broker, 1)
            assert name_letters(broker, errors__deadletterqueue__copy__record__enable="true") == 0
            broker.produce("t", ["k1:a", "k2:b"], "-K:", "-H", "own=header")
            assert ann.acquire(topic) == [(0, 1, 2, 1)] and ann.acknowledge(topic, (1, 2, [REJECT])) == 0
            wait_for_letters(broker, 3)
            listed, = broker.json("dlq", "list")["stages"]
            assert (listed["stage"], listed["of"], listed["records"], listed["reasons"][0]["reason"]) == ("dlq.t", "groups", 3, "Offset rejected by client.")
            code, out, _ = broker.run("dlq", "show", "dlq.t", "--filter", "key=k2", "--json")
            shown, = [json.loads(line) for line in out.splitlines()]
            assert (shown["letter"], shown["topic"], shown["offset"], shown["group"], shown["deliveries"]) == ("0:2", "t", "2", "g", 1)
            assert shown["headers"] == [{"key": "own", "value": "header"}]
            code, out, err = broker.run("dlq", "redrive", "dlq.t", "--filter", "key=k2", "--dry-run")
            assert (code, out) == (0, b"1 dead letters would go to the partitions that they came from (nothing was changed: --dry-run)\n"), (out, err)
            code, out, err = broker.run("dlq", "redrive", "dlq.t", "--filter", "key=k2")
            assert (code, out) == (0, b"1 dead letters went to the partitions that they came from\n"), (out, err)
            assert ann.acquire(topic) == [(0, 3, 3, 1)] and ann.acknowledge(topic, (3, 3, [ACCEPT])) == 0
            broker.crash()
            broker.start()
            code, out, err = broker.run("dlq", "redrive", "dlq.t")
            assert (code, out) == (0, b"1 dead letters went to the partitions that they came from\n"), (out, err)
            assert "1 were left: they hold no record" in err
        rows = broker.consume("t", "-f", "%k|%s|%h\\n")
        assert rows[3:] == ["k2|b|own=header", "k1|a|own=header"], rows
        code, _, err = broker.run("dlq", "redrive", "t")
        assert code != 0 and "nor a topic that is open to those of groups" in err


def test_letters_on_several_shards_go_back_each_to_its_partition_and_those_of_another_shard_stay():
    with Broker("runtime.shards=2") as broker:
        make(broker, partitions=4)
        make_letters(broker, partitions=4)
        broker.run("topic", "create", "kept", "-p", "4")
        for at in range(4):
            for home in range(4):
                words = (("__dlq.errors.topic", "t"), ("__dlq.errors.partition", str(home)), ("__dlq.errors.offset", "7"), ("__dlq.errors.group", "g"))
                broker.produce("dlq.t", ["%d" % home], "-p", str(at), *[word for name, text in words for word in ("-H", name + "=" + text)])
        _, out, err = broker.run("dlq", "redrive", "dlq.t", "--json")
        told = json.loads(out)
        assert [told[name] for name in ("redriven", "distant", "orphans", "bare", "failed_again")] == ["8", "8", "0", "0", "0"], told
        assert "8 were left: where they came from lies on another shard" in err
        got = [line.split("|") for line in broker.consume("t", "-f", "%p|%s|%h\\n")]
        assert len(got) == 8 and all(partition == value and headers == "" for partition, value, headers in got), got
        assert broker.run("dlq", "redrive", "dlq.t", "--to", "kept")[0] == 0
        assert len(broker.consume("kept")) == 8


def test_what_cannot_be_written_waits_over_a_crash_and_is_written_once_it_can():
    with Broker() as broker:
        topic = make(broker)
        assert name_letters(broker, share__partition__max__record__locks="100") == 0
        broker.produce("t", map(str, range(200)))
        with Member(broker, "g", "ann", "t") as ann:
            assert ann.acquire(topic, mode=1, records=100) == [(0, 0, 99, 1)]
            assert ann.acknowledge(topic, (0, 99, [REJECT])) == 0
            assert ann.acquire(topic) == [], "no more records are under way than may be"
        wait_for(lambda: "dead letters cannot be written" in broker.log(), "a word in the log")
        broker.crash()
        broker.start()
        make_letters(broker, enable="false")
        with Member(broker, "g", "ann", "t") as ann:
            assert ann.acquire(topic) == [], "it was rejected, and that holds"
            with broker.connect() as raw:
                call(raw, "IncrementalAlterConfigs", 1, {"resources": [{"resource_type": 2, "resource_name": "dlq.t", "configs": [
                    {"name": "errors.deadletterqueue.group.enable", "config_operation": 0, "value": "true"}]}]})
            assert origins(wait_for_letters(broker, 100)) == [(0, i) for i in range(100)]
            assert ann.acquire(topic, wait_ms=10000) == [(0, 100, 199, 1)]


def test_every_letter_is_written_once_on_any_number_of_shards():
    with Broker("runtime.shards=2") as broker:
        topic = make(broker, partitions=4)
        make_letters(broker, partitions=2)  # one on each shard: in one commit with the end of the record
        assert name_letters(broker) == 0
        for partition in range(4):
            broker.produce("t", map(str, range(30)), "-p", str(partition))
        with Member(broker, "g", "ann", "t") as ann:
            held = wait_for(lambda: len(got := ann.acquire(topic, partitions=range(4), wait_ms=1000)) and got, "records")
            while sum(last - first + 1 for _, first, last, _ in held) < 120:
                held += ann.acquire(topic, wait_ms=1000)
            for partition, first, last, _ in held:
                assert ann.acknowledge(topic, (first, last, [REJECT]), partition=partition) == 0
            broker.crash()  # some of them are written by now, and some are not
            broker.start()
            found = wait_for_letters(broker, 120)
            assert origins(found) == [(p, i) for p in range(4) for i in range(30)]
        assert broker.stop() == 0
        broker.start()
        assert len(letters(broker)) == 120


def test_letters_go_to_another_shard_where_they_have_no_partition_beside_the_record():
    with Broker("runtime.shards=2") as broker:
        topic = make(broker, partitions=2)
        make_letters(broker)
        assert name_letters(broker) == 0
        for partition in range(2):
            broker.produce("t", ["a", "b"], "-p", str(partition))
        with Member(broker, "g", "ann", "t") as ann:
            held = []
            while sum(last - first + 1 for _, first, last, _ in held) < 4:
                held += ann.acquire(topic, partitions=range(2), wait_ms=1000)
            for partition, first, last, _ in held:
                assert ann.acknowledge(topic, (first, last, [REJECT]), partition=partition) == 0
        assert origins(wait_for_letters(broker, 4)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
        wait_for(lambda: stands(broker) == 0, "the group to be done with all")


def test_a_topic_is_named_by_its_prefix_made_when_wanted_and_letters_end_with_its_name():
    with Broker("groups.dead_letters_auto_create=true", "groups.dead_letters_prefix=bad.") as broker:
        topic = make(broker)
        assert name_letters(broker, "dlq.t") == INVALID_CONFIG and name_letters(broker, "bad. ") == INVALID_CONFIG
        assert configure_group(broker, share__auto__offset__reset="yesterday") == INVALID_CONFIG
        assert name_letters(broker, "bad.t") == 0
        broker.produce("t", ["a", "b"])
        with Member(broker, "g", "ann", "t") as ann:
            ann.acquire(topic)
            assert ann.acknowledge(topic, (0, 0, [REJECT])) == 0
            wait_for_letters(broker, 1, "bad.t")
            assert name_letters(broker, "") == 0
            assert ann.acknowledge(topic, (1, 1, [REJECT])) == 0
            assert len(letters(broker, "bad.t")) == 1 and stands(broker) == 0


def test_the_metrics_of_a_group_say_what_became_of_its_records_and_are_those_of_the_guide():
    def becomes(**values):
        wait_for(lambda: values.items() <= measured(broker).items(), f"{values}")

    with Broker() as broker:
        topic = make(broker)
        assert configure_group(broker, share__auto__offset__reset="earliest") == 0
        broker.produce("t", map(str, range(10)))
        with Member(broker, "g", "ann", "t") as ann:
            assert ann.acquire(topic) == [(0, 0, 9, 1)]
            becomes(in_flight_records=10, lag_records=10, acquired_records_total=10)
            assert ann.acknowledge(topic, (0, 1, [RENEW]), renew=True) == 0
            assert ann.acknowledge(topic, (0, 3, [ACCEPT]), (4, 5, [RELEASE, REJECT])) == 0
            becomes(accepted_records_total=4, released_records_total=1, rejected_records_total=1, renewed_records_total=2,
                    archived_records_total=1, in_flight_records=6, lag_records=5)
            assert name_letters(broker) == 0
            assert ann.acknowledge(topic, (6, 9, [REJECT])) == 0
            becomes(dead_letters_waiting=4, archived_records_total=1)
            wait_for(lambda: measured(broker)["dead_letter_failures_total"] >= 1, "a try")
            make_letters(broker)
            becomes(dead_letters_total=4, dead_letters_waiting=0, lag_records=1)
        told = {"sluice_share_" + name for name in measured(broker, None)}
        with open(GUIDE, encoding="utf-8") as guide:
            assert len(told) == 12 and told == set(re.findall(r"^\| `(sluice_share_\w+)`", guide.read(), re.M))


load_tests = loader(globals())
