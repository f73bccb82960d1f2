"""Groups that share a topic (KIP-932), raw: who gets which record, what becomes of it, and what a crash leaves."""
from kafka_wire import call
from share_member import ACCEPT, RELEASE, RENEW, Member, acquired, make
from sluice_broker import Broker, loader, wait_for

NEEDS = ("frontend_kafka",)

INVALID_RECORD_STATE, SESSION_NOT_FOUND, SESSION_EPOCH = 121, 122, 123


def test_a_record_is_one_members_at_a_time_and_comes_again_when_it_is_given_back():
    with Broker() as broker:
        topic = make(broker)
        with Member(broker, "g", "ann", "t") as ann, Member(broker, "g", "bob", "t") as bob:
            assert ann.join() == {topic: [0]} and bob.join() == {topic: [0]}
            assert ann.acquire(topic) == [] and bob.acquire(topic) == []
            broker.produce("t", ["a", "b", "c", "d"])
            answer = ann.fetch(wait_ms=10000)
            assert acquired(answer) == [(0, 0, 3, 1)] and answer["acquisition_lock_timeout_ms"] == 30000
            assert b"a" in answer["responses"][0]["partitions"][0]["records"]
            assert acquired(bob.fetch()) == [], "all of them are Ann's"
            assert ann.acknowledge(topic, (0, 1, [ACCEPT]), (2, 3, [RELEASE, ACCEPT])) == 0
            assert acquired(bob.fetch(wait_ms=10000)) == [(0, 2, 2, 2)]
            assert ann.acknowledge(topic, (2, 2, [ACCEPT])) == INVALID_RECORD_STATE, "it is Bob's"
            answer = bob.fetch(topic, acks={0: [(2, 2, [ACCEPT])]})
            assert answer["responses"][0]["partitions"][0]["acknowledge_error_code"] == 0 and acquired(answer) == []


def test_what_was_acknowledged_does_not_come_again_after_a_crash_and_the_rest_does():
    with Broker() as broker:
        topic = make(broker)
        with Member(broker, "g", "ann", "t") as ann:
            ann.join()
            ann.acquire(topic)
            broker.produce("t", list("abcdef"))
            assert ann.acquire(topic, wait_ms=10000) == [(0, 0, 5, 1)]
            assert ann.acknowledge(topic, (0, 0, [ACCEPT]), (2, 2, [RELEASE]), (4, 4, [ACCEPT])) == 0
        broker.crash()
        broker.start()
        with Member(broker, "g", "ann", "t") as ann:
            assert ann.beat(3)["error_code"] == 25, "members live in memory"
            ann.join()
            again = ann.acquire(topic, wait_ms=10000)
            assert again == [(0, 1, 1, 1), (0, 2, 2, 2), (0, 3, 3, 1), (0, 5, 5, 1)], again
            assert ann.acknowledge(topic, (1, 3, [ACCEPT])) == 0
        assert broker.stop() == 0
        broker.start()
        with Member(broker, "g", "ann", "t") as ann:
            assert ann.acquire(topic) == [(0, 5, 5, 1)], "a checkpoint says the same, and who left did not deliver"


def test_records_of_a_connection_that_ends_are_given_back_and_not_counted():
    with Broker() as broker:
        topic = make(broker)
        with Member(broker, "g", "bob", "t") as bob:
            bob.acquire(topic)
            broker.produce("t", ["a"])
            with Member(broker, "g", "ann", "t") as ann:
                assert ann.acquire(topic, wait_ms=10000) == [(0, 0, 0, 1)]
            assert acquired(bob.fetch(wait_ms=10000)) == [(0, 0, 0, 1)]
            assert bob.acknowledge(topic, (0, 0, [RELEASE])) == 0
            assert acquired(bob.fetch(wait_ms=10000)) == [(0, 0, 0, 2)]
            answer = bob.fetch(topic, epoch=-1)
            assert answer["error_code"] == 0 and answer["responses"] == [], "the session ends"
            assert bob.fetch(epoch=7)["error_code"] == SESSION_NOT_FOUND


def test_a_session_goes_on_by_its_epochs():
    with Broker() as broker:
        topic = make(broker)
        with Member(broker, "g", "ann", "t") as ann:
            assert ann.fetch(epoch=1)["error_code"] == SESSION_NOT_FOUND
            assert ann.acknowledge(topic, (0, 0, [ACCEPT]), epoch=0) == SESSION_EPOCH
            assert [part["partition_index"] for part in ann.fetch(topic)["responses"][0]["partitions"]] == [0]
            assert ann.fetch()["responses"] == [], "nothing is new"
            assert ann.fetch(epoch=1)["error_code"] == SESSION_EPOCH
            assert ann.fetch(topic, acks={0: [(0, 0, [RENEW])]})["error_code"] == 42, "not said that there is a renewal"


def test_exact_fetches_split_a_batch_and_locks_are_renewed():
    with Broker() as broker:
        topic = make(broker)
        with Member(broker, "g", "ann", "t") as ann, Member(broker, "g", "bob", "t") as bob:
            ann.acquire(topic), bob.acquire(topic)
            broker.produce("t", list("abcdef"))
            assert acquired(ann.fetch(wait_ms=10000, records=2, mode=1)) == [(0, 0, 1, 1)]
            assert acquired(bob.fetch(wait_ms=10000, records=3, mode=1, batch=2)) == [(0, 2, 4, 1)]
            assert ann.acknowledge(topic, (0, 0, [RENEW]), renew=True) == 0
            assert bob.acknowledge(topic, (0, 0, [RENEW]), renew=True) == INVALID_RECORD_STATE
            assert ann.acknowledge(topic, (0, 1, [ACCEPT])) == 0


def test_members_share_the_partitions_and_are_told_when_that_changes():
    with Broker() as broker:
        topic = make(broker, partitions=3)
        with Member(broker, "g", "ann", "t") as ann, Member(broker, "g", "bob", "t") as bob:
            assert ann.join() == {topic: [0, 1, 2]}
            first = ann.epoch
            both = sorted(bob.join()[topic])
            told = ann.beat()
            assert told["member_epoch"] == bob.epoch > first
            both += told["assignment"]["topic_partitions"][0]["partitions"]
            assert sorted(both) == [0, 1, 2]
            assert ann.beat()["assignment"] is None, "nothing has changed"
            assert ann.beat(77)["error_code"] == 110
            described = call(ann.raw, "ShareGroupDescribe", 1, {"group_ids": ["g", "other"]})["groups"]
            assert (described[0]["group_state"], described[0]["assignor_name"]) == ("Stable", "simple")
            assert [member["member_id"] for member in described[0]["members"]] == ["ann", "bob"]
            assert described[0]["members"][0]["assignment"]["topic_partitions"][0]["topic_name"] == "t"
            assert described[1]["error_code"] == 69
            assert bob.beat(-1)["member_epoch"] == -1
            told = ann.beat()
            assert sorted(told["assignment"]["topic_partitions"][0]["partitions"]) == [0, 1, 2]


def test_offsets_of_a_group_are_described_moved_and_deleted():
    with Broker() as broker:
        topic = make(broker)
        with Member(broker, "g", "ann", "t") as ann:
            ann.join()
            ann.acquire(topic)
            broker.produce("t", list("abcd"))
            assert ann.acquire(topic, wait_ms=10000) == [(0, 0, 3, 1)]
            assert ann.acknowledge(topic, (0, 0, [ACCEPT]), (2, 2, [ACCEPT])) == 0

            def stands(topics=None):
                group, = call(ann.raw, "DescribeShareGroupOffsets", 1, {"groups": [{"group_id": "g", "topics": topics}]})["groups"]
                return group["error_code"], [(part["start_offset"], part["lag"], part["error_code"])
                                             for one in group["topics"] for part in one["partitions"]]

            assert stands() == (0, [(1, 2, 0)])
            assert stands([{"topic_name": "t", "partitions": [0]}]) == (0, [(1, 2, 0)])
            move = {"group_id": "g", "topics": [{"topic_name": "t", "partitions": [{"partition_index": 0, "start_offset": 2}]}]}
            assert call(ann.raw, "AlterShareGroupOffsets", 0, move)["error_code"] == 68, "it has members"
            ann.beat(-1)
            moved = call(ann.raw, "AlterShareGroupOffsets", 0, move)
            assert moved["error_code"] == moved["responses"][0]["partitions"][0]["error_code"] == 0, moved
            assert stands() == (0, [(2, 2, 0)])
            broker.crash()
            broker.start()
        with Member(broker, "g", "ann", "t") as ann:
            assert stands() == (0, [(2, 2, 0)])
            assert ann.acquire(topic) == [(0, 2, 3, 1)]
            gone = call(ann.raw, "DeleteShareGroupOffsets", 0, {"group_id": "g", "topics": [{"topic_name": "t"}, {"topic_name": "u"}]})
            assert [one["error_code"] for one in gone["responses"]] == [0, 3], gone
            assert stands() == (0, [])
            group, = call(ann.raw, "DescribeShareGroupOffsets", 1, {"groups": [{"group_id": "x", "topics": None}]})["groups"]
            assert group["error_code"] == 69


def test_the_groups_configuration_has_an_effect_and_outlives_a_crash():
    with Broker() as broker:
        topic = make(broker)
        broker.produce("t", ["a", "b"])
        with broker.connect() as raw:
            configs = [{"name": name, "config_operation": 0, "value": value} for name, value in (
                ("share.auto.offset.reset", "earliest"), ("share.delivery.count.limit", "2"),
                ("share.record.lock.duration.ms", "20000"))]
            done, = call(raw, "IncrementalAlterConfigs", 1, {"resources": [
                {"resource_type": 32, "resource_name": "g", "configs": configs}]})["responses"]
            assert done["error_code"] == 0, done
        with Member(broker, "g", "ann", "t") as ann:
            answer = ann.fetch(topic)
            assert acquired(answer) == [(0, 0, 1, 1)] and answer["acquisition_lock_timeout_ms"] == 20000
            assert ann.acknowledge(topic, (0, 1, [RELEASE])) == 0
        broker.crash()
        broker.start()
        with Member(broker, "g", "ann", "t") as ann:
            assert ann.acquire(topic) == [(0, 0, 1, 2)]
            assert ann.acknowledge(topic, (0, 0, [RELEASE])) == 0
            assert ann.acquire(topic) == [], "it was delivered twice"
            assert ann.acknowledge(topic, (1, 1, [ACCEPT])) == 0


def test_a_group_of_one_kind_is_not_of_another():
    with Broker() as broker:
        topic = make(broker)
        with Member(broker, "g", "ann", "t") as ann:
            ann.join()
            listed = call(ann.raw, "ListGroups", 5, {})["groups"]
            assert [(one["group_id"], one["group_type"], one["group_state"]) for one in listed] == [("g", "share", "Stable")]
            assert call(ann.raw, "ListGroups", 5, {"types_filter": ["classic"]})["groups"] == []
            joined = call(ann.raw, "JoinGroup", 7, {"group_id": "g", "protocol_type": "consumer", "session_timeout_ms": 30000,
                                                    "rebalance_timeout_ms": 30000, "protocols": [{"name": "range", "metadata": b"x"}]})
            assert joined["error_code"] == 23, joined
            commit = {"group_id": "old", "generation_id_or_member_epoch": -1, "topics": [
                {"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 0}]}]}
            assert call(ann.raw, "OffsetCommit", 8, commit)["topics"][0]["partitions"][0]["error_code"] == 0
            with Member(broker, "old", "eve", "t") as eve:
                assert eve.beat(0, ["t"])["error_code"] == 69
            delete = {"groups_names": ["g"]}
            assert call(ann.raw, "DeleteGroups", 2, delete)["results"][0]["error_code"] == 68
            assert ann.acquire(topic) == []
            ann.beat(-1)
            assert call(ann.raw, "DeleteGroups", 2, delete)["results"][0]["error_code"] == 0
            assert [one["group_id"] for one in call(ann.raw, "ListGroups", 5, {})["groups"]] == ["old"]
            assert call(ann.raw, "DeleteGroups", 2, delete)["results"][0]["error_code"] == 69


load_tests = loader(globals())
