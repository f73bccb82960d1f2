"""sluice group list, describe, seek, delete: groups of all kinds, made by members that speak raw."""
import json
import time

import share_member
import test_consumer_groups as consumer
import test_streams_groups as streams
from kafka_wire import call
from sluice_broker import Broker, loader, wait_for

NEEDS = ("frontend_kafka",)


def describe(broker, group):
    return broker.json("group", "describe", group)


def commit(broker, group, topic, **offsets):
    """As somebody outside of the group; offsets by p0, p1 …"""
    with broker.connect() as raw:
        answer = call(raw, "OffsetCommit", 8, {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": "", "topics": [
            {"name": topic, "partitions": [{"partition_index": int(name[1:]), "committed_offset": offset, "committed_metadata": ""}
                                           for name, offset in offsets.items()]}]})
    assert all(part["error_code"] == 0 for row in answer["topics"] for part in row["partitions"]), answer


def partitions(described):
    return {(part["topic"], part["partition"]): part for part in described["partitions"]}


def refused(broker, *arguments):
    code, _, err = broker.run(*arguments)
    assert code != 0
    return err


def test_a_classic_group_is_described_with_its_lag_in_records_and_in_time():
    with Broker() as broker:
        broker.run("topic", "create", "t", "-p", "2")
        for value in ("1", "2", "3"):
            broker.run("produce", "t", value, "--partition", "0")
        written_ms = int(json.loads(broker.run("consume", "t", "--json")[1].splitlines()[1])["timestamp"])
        commit(broker, "g", "t", p0=1, p1=0)
        shown = describe(broker, "g")
        age_max = time.time() * 1000 - written_ms
        assert (shown["type"], shown["state"], shown["members"], shown["lag"]) == ("classic", "Empty", [], "2"), shown
        parts = partitions(shown)
        assert [parts["t", 0][name] for name in ("offset", "start", "end", "lag")] == ["1", "0", "3", "2"]
        assert 0 <= int(parts["t", 0]["lag_ms"]) <= age_max, (parts, age_max)
        assert (parts["t", 1]["lag"], parts["t", 1]["lag_ms"]) == ("0", "0")
        text = broker.run("group", "describe", "g")[1].decode()
        assert "g: classic group, Empty, 0 members\nlag: 2 records, the oldest unread one is " in text, text
        assert {"group": "g", "type": "classic", "state": "Empty", "protocol": ""} in broker.json("group", "list")["groups"]
        assert "SLU-1514" in refused(broker, "group", "describe", "nobody")


def test_members_of_every_kind_of_group_are_shown_with_client_host_and_what_is_assigned():
    with Broker(*streams.AT_ONCE) as broker:
        share_member.make(broker, "t", 2)
        member = consumer.Member(broker, "new").join()
        consumer.settle(member)
        app = streams.Member(broker, "app", streams.plain("t")).join()
        streams.wait_for(lambda: app.beat() and app.active, "tasks")
        consumer.Classic(broker, "old", "t").lead(0, 1)
        with share_member.Member(broker, "share", "m", "t") as sharing:
            sharing.join()
            kinds = {row["group"]: row["type"] for row in broker.json("group", "list")["groups"]}
            assert kinds == {"new": "consumer", "app": "streams", "share": "share", "old": "classic"}, kinds
            whole = [{"topic": "t", "partitions": [0, 1]}]
            for group, assigned in (("new", whole), ("old", whole), ("share", whole), ("app", [{"subtopology": "0", "partitions": [0, 1]}])):
                only, = describe(broker, group)["members"]
                assert only["assigned"] == assigned, (group, only)
                assert only["host"].startswith("127.0.0.1") and only["id"], (group, only)
                assert "SLU-1513" in refused(broker, "group", "seek", group, "--to", "start", "--topic", "t")
                assert "still has members" in refused(broker, "group", "delete", group, "--yes")


def test_an_empty_group_goes_on_from_where_it_is_told_and_only_then():
    with Broker() as broker:
        broker.run("topic", "create", "t", "-p", "2")
        broker.run("produce", "t", "first", "--partition", "0")
        broker.run("produce", "t", *map(str, range(9)), "--partition", "0")
        commit(broker, "g", "t", p0=4)

        def seek(to, *more):
            moved = broker.json("group", "seek", "g", "--to", to, *more)["partitions"]
            return [(part["partition"], part["before"], part["after"]) for part in moved]

        assert seek("start", "--dry-run") == [(0, "4", "0")]
        assert seek("+3") == [(0, "4", "3")]  # the dry run changed nothing
        assert seek("-2") == [(0, "3", "8")]
        assert seek("7") == [(0, "8", "7")]
        assert seek("99") == [(0, "7", "10")]  # kept within what is there
        first = json.loads(broker.run("consume", "t", "--json", "-n", "2")[1].splitlines()[1])
        assert seek("@" + first["timestamp"]) == [(0, "10", "1")]
        assert seek("@-1h") == [(0, "1", "0")]
        assert seek("end", "--topic", "t") == [(0, "0", "10"), (1, "-1", "0")]
        assert partitions(describe(broker, "g"))["t", 0]["offset"] == "10"
        assert "must be start, end" in refused(broker, "group", "seek", "g", "--to", "yesterday")
        assert "SLU-1514" in refused(broker, "group", "seek", "nobody", "--to", "start", "--topic", "t")
        assert "--yes" in refused(broker, "group", "delete", "g")
        assert broker.run("group", "delete", "g", "--yes")[0] == 0
        assert broker.json("group", "list")["groups"] == []


def test_a_share_group_begins_anew_where_it_is_told():
    with Broker() as broker:
        topic = share_member.make(broker, "t")
        broker.run("produce", "t", "a", "b", "c")
        share_member.configure_group(broker, "s", share__auto__offset__reset="earliest")
        with share_member.Member(broker, "s", "m", "t") as member:
            member.join()
            wait_for(lambda: member.acquire(topic), "records")
            assert member.acknowledge(topic, (0, 0, [share_member.ACCEPT])) == 0
            assert member.beat(-1)["error_code"] == 0
        wait_for(lambda: describe(broker, "s")["partitions"], "what was acknowledged")
        moved = broker.json("group", "seek", "s", "--to", "2")["partitions"]
        assert [(part["before"], part["after"]) for part in moved] == [("1", "2")], moved
        assert partitions(describe(broker, "s"))["t", 0]["offset"] == "2"
        assert broker.run("group", "delete", "s", "--yes")[0] == 0


load_tests = loader(globals())
