"""Groups as administrators see them: ListGroups, DescribeGroups, DeleteGroups, OffsetDelete."""
try:
    from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
    from kafka.structs import OffsetAndMetadata
except ImportError as error:
    MISSING = str(error)

from kafka_wire import call
from sluice_broker import Broker, loader, wait_for

NEEDS = ("frontend_kafka",)

OK, NOT_EMPTY, NOT_FOUND, SUBSCRIBED, UNKNOWN_TOPIC = 0, 68, 69, 86, 3


def ask(broker, name, version, values):
    with broker.connect() as raw:
        return call(raw, name, version, values)


def listed(broker, version=5, **filters):
    answer = ask(broker, "ListGroups", version, filters)
    assert answer["error_code"] == OK
    return {group["group_id"]: group for group in answer["groups"]}


def described(broker, group, version=6):
    return ask(broker, "DescribeGroups", version, {"groups": [group]})["groups"][0]


def delete(broker, *groups, version=2):
    return [result["error_code"] for result in ask(broker, "DeleteGroups", version, {"groups_names": list(groups)})["results"]]


def delete_offsets(broker, group, topic, *partitions):
    answer = ask(broker, "OffsetDelete", 0, {"group_id": group, "topics": [
        {"name": topic, "partitions": [{"partition_index": index} for index in partitions]}]})
    return answer["error_code"], [entry["error_code"] for found in answer["topics"] for entry in found["partitions"]]


def committed(broker, group, topic="t"):
    answer = ask(broker, "OffsetFetch", 7, {"group_id": group, "topics": None})
    return {entry["partition_index"]: entry["committed_offset"] for found in answer["topics"] if found["name"] == topic
            for entry in found["partitions"]}


def commit(broker, group, **offsets):
    """From outside the group: p0=5."""
    consumer = KafkaConsumer(bootstrap_servers=broker.address, group_id=group, enable_auto_commit=False)
    consumer.assign([TopicPartition("t", int(name[1:])) for name in offsets])
    consumer.commit({TopicPartition("t", int(name[1:])): OffsetAndMetadata(offset, "") for name, offset in offsets.items()})
    consumer.close()


class Member:
    """A consumer that stays in its group."""

    def __init__(self, broker, group):
        self.consumer = KafkaConsumer("t", bootstrap_servers=broker.address, group_id=group, client_id="reader",
                                      enable_auto_commit=False, auto_offset_reset="earliest")

    def __enter__(self):
        wait_for(lambda: self.consumer.poll(100) is not None and self.consumer.assignment(), "an assignment")
        return self.consumer

    def __exit__(self, *unused):
        self.consumer.close()


def broker_with_topic():
    broker = Broker()
    code, _, err = broker.run("topic", "create", "t", "-p", "2")
    assert code == 0, err
    return broker


def test_groups_are_listed_with_their_state_and_described_with_their_members():
    with broker_with_topic() as broker:
        commit(broker, "outside", p0=1)
        with Member(broker, "inside"):
            wait_for(lambda: listed(broker)["inside"]["group_state"] == "Stable", "the group to be stable")
            groups = listed(broker)
            assert set(groups) == {"inside", "outside"}, groups
            assert groups["inside"] == {"group_id": "inside", "protocol_type": "consumer", "group_state": "Stable", "group_type": "classic"}
            assert groups["outside"]["group_state"] == "Empty" and groups["outside"]["protocol_type"] == ""
            assert set(listed(broker, states_filter=["stable"])) == {"inside"}
            assert listed(broker, types_filter=["share"]) == {}
            for version in (0, 3, 6):
                group = described(broker, "inside", version)
                assert (group["error_code"], group["group_state"], group["protocol_type"]) == (OK, "Stable", "consumer"), group
                member, = group["members"]
                assert member["client_id"] == "reader" and member["member_id"].startswith("reader-"), member
                assert "127.0.0.1" in member["client_host"], member
                assert b"t" in member["member_assignment"] and b"t" in member["member_metadata"]
            admin = KafkaAdminClient(bootstrap_servers=broker.address)
            assert ("inside", "consumer") in admin.list_consumer_groups()
            assert admin.describe_consumer_groups(["inside"])[0].state == "Stable"
            admin.close()
        wait_for(lambda: described(broker, "inside")["group_state"] in ("Empty", "Dead"), "the member to be gone")


def test_a_group_that_is_not_there_is_dead_and_from_version_6_an_error():
    with broker_with_topic() as broker:
        assert (described(broker, "none", 5)["error_code"], described(broker, "none", 5)["group_state"]) == (OK, "Dead")
        assert described(broker, "none", 6)["error_code"] == NOT_FOUND
        assert delete(broker, "none") == [NOT_FOUND]
        assert delete_offsets(broker, "none", "t", 0)[0] == NOT_FOUND


def test_a_deleted_group_and_its_offsets_stay_gone_over_kill_9():
    with broker_with_topic() as broker:
        commit(broker, "g", p0=5, p1=6)
        commit(broker, "kept", p0=7)
        with Member(broker, "busy"):
            assert delete(broker, "busy", "g", version=0) == [NOT_EMPTY, OK]
        broker.crash()
        broker.start()
        assert committed(broker, "g") == {} and committed(broker, "kept") == {0: 7}
        assert "g" not in listed(broker)


def test_single_offsets_go_unless_a_member_reads_the_topic():
    with broker_with_topic() as broker:
        commit(broker, "g", p0=5, p1=6)
        with Member(broker, "g"):
            assert delete_offsets(broker, "g", "t", 0) == (OK, [SUBSCRIBED])
        wait_for(lambda: described(broker, "g")["group_state"] == "Empty", "the member to be gone")
        assert delete_offsets(broker, "g", "t", 0, 9) == (OK, [OK, UNKNOWN_TOPIC])
        broker.crash()
        broker.start()
        assert committed(broker, "g") == {1: 6}


load_tests = loader(globals())
