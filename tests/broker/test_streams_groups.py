"""Groups of Kafka Streams applications (KIP-1071), spoken raw: topologies, the topics the broker makes, tasks and their
way from one member to another, standbys, what a restart keeps, rights, and who else may use such a group.

Kafka's own Streams against the broker: tests/interop/kafka_tools."""
import os
import sys
import uuid

from kafka_wire import call
from sluice_broker import SOURCE, Broker, loader, wait_for
from test_acls import allow, rule, secured

sys.path.insert(0, os.path.join(SOURCE, "tests", "formats"))
import wal_reader  # noqa: E402

NEEDS = ("frontend_kafka",)

(OK, INVALID_REQUEST, UNKNOWN_MEMBER, INCONSISTENT, NOT_EMPTY, NO_GROUP, FENCED_EPOCH, STALE_EPOCH, BAD_TOPOLOGY, GROUP_DENIED, TOPIC_DENIED,
 SUBSCRIBED, FULL) = 0, 42, 25, 23, 68, 69, 110, 113, 130, 30, 29, 86, 81
STALE, NO_SOURCE, UNEVEN, NO_INTERNAL, SHUTDOWN, DELAYED = range(6)
AT_ONCE = ("groups.streams_initial_rebalance_delay=0 s", "groups.streams_assignment_interval=0 s")


def ask(broker, name, version, values):
    with broker.connect() as raw:
        return call(raw, name, version, values)


def broker_with_topics(*settings, **partitions):
    broker = Broker(*(settings or AT_ONCE))
    for topic, count in partitions.items():
        create(broker, topic, count)
    return broker


def create(broker, topic, partitions):
    code, _, err = broker.run("topic", "create", topic, "-p", str(partitions))
    assert code == 0, err


def topic(name, partitions=0, **configs):
    return {"name": name, "partitions": partitions, "topic_configs": [
        {"key": key.replace("_", "."), "value": value} for key, value in configs.items()]}


def plain(*sources):
    """One subtopology without state."""
    return [{"subtopology_id": "0", "source_topics": list(sources)}]


def counting(name="app"):
    """What a word count comes to: words through a repartition topic into a store."""
    return [{"subtopology_id": "0", "source_topics": ["in"], "repartition_sink_topics": [name + "-words"]},
            {"subtopology_id": "1", "repartition_source_topics": [topic(name + "-words", cleanup_policy="delete")],
             "state_changelog_topics": [topic(name + "-changelog", cleanup_policy="compact")]}]


class Member:
    def __init__(self, broker, group, subtopologies, epoch=0, process=None, endpoint=None):
        self.broker, self.group, self.endpoint = broker, group, endpoint
        self.topology = {"epoch": epoch, "subtopologies": subtopologies}
        self.member, self.process = str(uuid.uuid4()), process or str(uuid.uuid4())
        self.epoch, self.active, self.standby, self.error, self.endpoints_epoch = 0, {}, {}, OK, -1

    def send(self, epoch, active=None, standby=None, warmup=None, **more):
        def rows(tasks):
            return None if tasks is None else [{"subtopology_id": name, "partitions": sorted(parts)} for name, parts in sorted(tasks.items())]
        if active is not None:
            standby, warmup = standby or {}, warmup or {}
        answer = ask(self.broker, "StreamsGroupHeartbeat", 0, {
            "group_id": self.group, "member_id": self.member, "member_epoch": epoch, "endpoint_information_epoch": self.endpoints_epoch,
            "active_tasks": rows(active), "standby_tasks": rows(standby), "warmup_tasks": rows(warmup), **more})
        self.error, self.message = answer["error_code"], answer["error_message"]
        self.status = {one["status_code"]: one["status_detail"] for one in answer["status"] or []}
        if self.error == OK:
            self.epoch, self.endpoints_epoch = answer["member_epoch"], answer["endpoint_information_epoch"]
            if answer["active_tasks"] is not None:
                self.active, self.standby = ({row["subtopology_id"]: set(row["partitions"]) for row in answer[kind]}
                                             for kind in ("active_tasks", "standby_tasks"))
        return answer

    def join(self, **more):
        self.answer = self.send(0, {}, rebalance_timeout_ms=60000, process_id=self.process, user_endpoint=self.endpoint,
                                topology=self.topology, client_tags=[{"key": "zone", "value": "a"}], **more)
        return self

    def beat(self, **more):
        """Owns what it was given, and says so."""
        return self.send(self.epoch, self.active, self.standby, **more)

    def leave(self):
        self.send(-1)


def settle(*members, until=lambda: True):
    def settled():
        epochs = {member.beat()["member_epoch"] for member in members}
        return len(epochs) == 1 and until()
    wait_for(settled, "the members to settle")


def describe(broker, group):
    return ask(broker, "StreamsGroupDescribe", 0, {"group_ids": [group], "include_authorized_operations": True})["groups"][0]


def partitions_of(broker, *topics):
    answer = ask(broker, "Metadata", 12, {"topics": [{"topic_id": bytes(16), "name": name} for name in topics]})
    return [len(one["partitions"]) for one in answer["topics"]]


def configs_of(broker, name):
    answer = ask(broker, "DescribeConfigs", 4, {"resources": [{"resource_type": 2, "resource_name": name, "configuration_keys": None}]})
    return {one["name"]: one["value"] for one in answer["results"][0]["configs"]}


def test_one_member_of_a_plain_topology_gets_all_tasks():
    with broker_with_topics(t=3) as broker:
        member = Member(broker, "app", plain("t")).join()
        assert (member.error, member.epoch, member.active, member.standby, member.status) == (OK, 2, {"0": {0, 1, 2}}, {}, {})
        answer = member.beat()
        assert answer["active_tasks"] is None and answer["heartbeat_interval_ms"] == 5000
        listed = ask(broker, "ListGroups", 5, {"types_filter": ["Streams"]})["groups"]
        assert [(one["group_id"], one["group_state"], one["group_type"], one["protocol_type"]) for one in listed] == [
            ("app", "Stable", "streams", "streams")]
        assert ask(broker, "ListGroups", 5, {"types_filter": ["consumer"]})["groups"] == []
        shown = describe(broker, "app")
        assert (shown["error_code"], shown["group_state"], shown["group_epoch"], shown["assignment_epoch"]) == (OK, "Stable", 2, 2)
        [one] = shown["members"]
        assert one["assignment"]["active_tasks"] == [{"subtopology_id": "0", "partitions": [0, 1, 2]}] == one["target_assignment"]["active_tasks"]
        assert one["client_tags"] == [{"key": "zone", "value": "a"}] and one["process_id"] == member.process
        assert describe(broker, "none")["error_code"] == NO_GROUP


def test_the_broker_makes_the_topics_that_the_application_needs():
    with broker_with_topics(**{"in": 3}) as broker:
        member = Member(broker, "app", counting()).join()
        assert member.status == {NO_INTERNAL: "Internal topics are missing: app-changelog, app-words"} and member.active == {}
        settle(member, until=lambda: member.active == {"0": {0, 1, 2}, "1": {0, 1, 2}})
        assert partitions_of(broker, "app-changelog", "app-words") == [3, 3]
        assert configs_of(broker, "app-changelog")["cleanup.policy"] == "compact"
        parts = describe(broker, "app")["topology"]["subtopologies"]
        assert [one["partitions"] for one in parts[1]["state_changelog_topics"] + parts[1]["repartition_source_topics"]] == [3, 3]


def test_what_is_missing_or_does_not_fit_is_told_and_nobody_has_tasks():
    with broker_with_topics(a=2, b=3) as broker:
        member = Member(broker, "app", plain("a", "z", "y")).join()
        assert member.status == {NO_SOURCE: "Source topics y, z are missing."} and member.active == {}
        assert describe(broker, "app")["group_state"] == "NotReady"
        create(broker, "y", 1)
        create(broker, "z", 4)
        settle(member, until=lambda: member.active == {"0": {0, 1, 2, 3}})
        together = plain("a", "b")
        together[0]["copartition_groups"] = [{"source_topics": [0, 1]}]
        other = Member(broker, "uneven", together).join()
        assert other.status == {UNEVEN: "Following topics do not have the same number of partitions: [{a=2, b=3}]"}
        create(broker, "wrong-changelog", 5)
        odd = plain("a")
        odd[0]["state_changelog_topics"] = [topic("wrong-changelog")]
        assert Member(broker, "wrong", odd).join().status == {
            UNEVEN: "Existing topic wrong-changelog has different number of partitions: expected 2, found 5"}


def test_a_task_is_given_back_before_another_member_gets_it():
    with broker_with_topics(t=4) as broker:
        first = Member(broker, "app", plain("t")).join()
        second = Member(broker, "app", plain("t")).join()
        assert second.active == {} and second.epoch == 3, "all are the first one's still"
        first.beat()
        assert len(first.active["0"]) == 2 and first.epoch == 2
        second.beat()
        assert second.active == {}, "the first has not said that it gave them back"
        settle(first, second, until=lambda: first.active["0"] | second.active.get("0", set()) == {0, 1, 2, 3})
        assert len(second.active["0"]) == 2
        second.leave()
        assert second.error == OK
        settle(first, until=lambda: first.active == {"0": {0, 1, 2, 3}})


def test_standby_tasks_are_in_other_processes_and_take_over():
    with broker_with_topics(*AT_ONCE, "groups.streams_standby_replicas=1", **{"in": 2}) as broker:
        stored = [{"subtopology_id": "0", "source_topics": ["in"], "state_changelog_topics": [topic("app-changelog")]}]
        first = Member(broker, "app", stored).join()
        settle(first, until=lambda: first.active == {"0": {0, 1}})
        second = Member(broker, "app", stored).join()
        settle(first, second, until=lambda: len(first.active.get("0", ())) == 1 and first.standby == second.active and second.standby == first.active)
        held = first.active["0"]
        first.leave()
        settle(second, until=lambda: second.active == {"0": {0, 1}} and second.standby == {})
        assert held <= second.active["0"]


def test_what_is_set_for_one_group_is_that_ones():
    with broker_with_topics(**{"in": 2}) as broker:
        answer = ask(broker, "IncrementalAlterConfigs", 1, {"resources": [{"resource_type": 32, "resource_name": "app", "configs": [
            {"name": "streams.num.standby.replicas", "config_operation": 0, "value": "1"},
            {"name": "streams.heartbeat.interval.ms", "config_operation": 0, "value": "6000"}]}]})
        assert answer["responses"][0]["error_code"] == OK, answer
        stored = [{"subtopology_id": "0", "source_topics": ["in"], "state_changelog_topics": [topic("app-changelog")]}]
        first, second = Member(broker, "app", stored).join(), Member(broker, "app", stored).join()
        settle(first, second, until=lambda: first.standby == second.active != {} and second.standby == first.active)
        assert second.send(second.epoch)["heartbeat_interval_ms"] == 6000
        assert Member(broker, "other", stored).join().answer["heartbeat_interval_ms"] == 5000


def test_topologies_are_checked_and_stay():
    with broker_with_topics(t=1, u=1) as broker:
        member = Member(broker, "app", plain("t"), epoch=3).join()
        assert Member(broker, "app", plain("u"), epoch=3).join().error == INVALID_REQUEST
        older = Member(broker, "app", plain("u"), epoch=2).join()
        assert older.status == {STALE: "The member's topology epoch 2 is behind the group's topology epoch 3."}
        bad = plain("t")
        bad[0]["state_changelog_topics"] = [topic("c", partitions=2)]
        refused = Member(broker, "bad", bad).join()
        assert (refused.error, refused.message) == (
            BAD_TOPOLOGY, "Changelog topic c must have an undefined partition count, but it is set to 2.")
        loop = [{"subtopology_id": "0", "repartition_source_topics": [topic("r")], "repartition_sink_topics": ["r"]}]
        assert Member(broker, "bad", loop).join().error == BAD_TOPOLOGY
        assert Member(broker, "bad", plain("t") + plain("u")).join().error == BAD_TOPOLOGY, "two of one id"
        assert Member(broker, "bad", plain("__consumer_offsets")).join().error == BAD_TOPOLOGY
        assert describe(broker, "bad")["error_code"] == NO_GROUP, "nothing stays of what was refused"
        assert member.send(member.epoch, {"7": {0}}).get("error_code") == INVALID_REQUEST
        assert member.send(member.epoch, {"0": {9}}).get("error_code") == INVALID_REQUEST


def test_what_kafka_does_not_do_yet_is_refused_as_kafka_does():
    with broker_with_topics(t=1) as broker:
        def says(**more):
            return Member(broker, "g", plain("t")).join(**more).message
        assert says(instance_id="i") == "Static membership is not yet supported."
        assert says(task_offsets=[]) == "TaskOffsets are not supported yet."
        pattern = plain("t")
        pattern[0]["source_topic_regex"] = ["t.*"]
        assert Member(broker, "g", pattern).join().message == "Regular expressions for source topics are not supported yet."
        member = Member(broker, "g", plain("t")).join()
        assert member.send(member.epoch, {}, {}, {"0": {0}})["error_message"] == "WarmupTasks are not supported yet."


def test_epochs_fence_and_may_be_repeated():
    with broker_with_topics(t=2) as broker:
        first = Member(broker, "app", plain("t")).join()
        second = Member(broker, "app", plain("t")).join()
        settle(first, second, until=lambda: first.active != {} and second.active != {})
        assert first.send(first.epoch + 1, first.active)["error_code"] == FENCED_EPOCH
        assert first.send(2, first.active)["error_code"] == OK, "the answer was lost: the same again"
        assert first.send(2, {"0": {0, 1}})["error_code"] == FENCED_EPOCH
        stranger = Member(broker, "app", plain("t"))
        assert stranger.send(1)["error_code"] == UNKNOWN_MEMBER
        assert Member(broker, "none", plain("t")).send(1)["error_code"] == NO_GROUP


def test_endpoints_tell_where_a_key_can_be_asked_for():
    with broker_with_topics(t=2) as broker:
        first = Member(broker, "app", plain("t"), endpoint={"host": "here", "port": -1}).join()
        shown = first.answer["partitions_by_user_endpoint"]
        assert shown == [{"user_endpoint": {"host": "here", "port": -1}, "standby_partitions": [],
                          "active_partitions": [{"topic": "t", "partitions": [0, 1]}]}], "the codec shows the port with a sign"
        assert first.beat()["partitions_by_user_endpoint"] is None, "it knows"
        second = Member(broker, "app", plain("t"), endpoint={"host": "there", "port": 1}).join()
        settle(first, second, until=lambda: second.active != {})
        first.endpoints_epoch = -1
        shown = {one["user_endpoint"]["host"]: one["active_partitions"][0]["partitions"] for one in first.beat()["partitions_by_user_endpoint"]}
        assert sorted(shown["here"] + shown["there"]) == [0, 1]


def test_one_member_can_ask_all_to_stop():
    with broker_with_topics(t=2) as broker:
        first, second = Member(broker, "app", plain("t")).join(), Member(broker, "app", plain("t")).join()
        first.beat(shutdown_application=True)
        second.beat()
        assert first.member in second.status[SHUTDOWN]
        first.leave()
        second.leave()
        assert SHUTDOWN not in Member(broker, "app", plain("t")).join().status, "an empty group forgets it"


def test_first_tasks_wait_for_more_members():
    with broker_with_topics("groups.streams_initial_rebalance_delay=10 min", t=1) as broker:
        member = Member(broker, "app", plain("t")).join()
        assert (member.active, member.status) == ({}, {DELAYED: "Assignment delayed due to the configured initial rebalance delay."})


def test_who_is_silent_loses_its_tasks():
    with broker_with_topics(*AT_ONCE, "groups.streams_session_timeout=1 s", "groups.streams_heartbeat_interval=100 ms", t=2) as broker:
        stays, silent = Member(broker, "app", plain("t")).join(), Member(broker, "app", plain("t")).join()

        def has_all():
            stays.beat()
            if stays.error in (UNKNOWN_MEMBER, NO_GROUP):  # a machine that stood still: it was silent, too
                stays.join()
            return stays.active == {"0": {0, 1}} and len(describe(broker, "app")["members"]) == 1
        wait_for(has_all, "the silent member to be out")
        assert silent.send(silent.epoch)["error_code"] == UNKNOWN_MEMBER


def commit(broker, group, member, epoch, partition=0):
    answer = ask(broker, "OffsetCommit", 9, {"group_id": group, "member_id": member, "generation_id_or_member_epoch": epoch, "topics": [
        {"name": "t", "partitions": [{"partition_index": partition, "committed_offset": 5, "committed_leader_epoch": -1}]}]})
    return answer["topics"][0]["partitions"][0]["error_code"]


def fetch(broker, group, member=None, epoch=-1):
    answer = ask(broker, "OffsetFetch", 9, {"groups": [{"group_id": group, "member_id": member, "member_epoch": epoch, "topics": [
        {"name": "t", "partition_indexes": [0]}]}]})["groups"][0]
    return answer["error_code"], [part["committed_offset"] for one in answer["topics"] for part in one["partitions"]]


def test_offsets_are_for_members_with_their_epoch():
    with broker_with_topics(t=2) as broker:
        first = Member(broker, "app", plain("t")).join()
        assert commit(broker, "app", first.member, first.epoch) == OK
        assert commit(broker, "app", first.member, first.epoch + 1) == STALE_EPOCH
        assert commit(broker, "app", "stranger", 1) == UNKNOWN_MEMBER
        assert commit(broker, "app", "", -1) == UNKNOWN_MEMBER, "an outsider, while there are members"
        assert fetch(broker, "app", first.member, first.epoch) == (OK, [5]) == fetch(broker, "app")
        assert fetch(broker, "app", first.member, 9)[0] == STALE_EPOCH
        second = Member(broker, "app", plain("t")).join()
        settle(first, second, until=lambda: second.active != {})
        kept, given = first.active["0"].pop(), second.active["0"].pop()
        assert commit(broker, "app", first.member, 2, kept) == OK, "it has had the task since"
        assert commit(broker, "app", second.member, 2, given) == STALE_EPOCH
        deleted = ask(broker, "OffsetDelete", 0, {"group_id": "app", "topics": [{"name": "t", "partitions": [{"partition_index": 0}]}]})
        assert deleted["topics"][0]["partitions"][0]["error_code"] == SUBSCRIBED


def join_classic(broker, group):
    return ask(broker, "JoinGroup", 3, {"group_id": group, "session_timeout_ms": 10000, "rebalance_timeout_ms": 10000,
                                        "protocol_type": "consumer", "protocols": [{"name": "range", "metadata": b""}]})


def test_other_kinds_of_groups_keep_out_and_an_empty_one_changes():
    with broker_with_topics(*AT_ONCE, "groups.initial_rebalance_delay=0 s", t=1) as broker:
        member = Member(broker, "app", plain("t")).join()
        assert join_classic(broker, "app")["error_code"] == INCONSISTENT
        consumer = {"group_id": "app", "member_id": "c", "member_epoch": 0, "rebalance_timeout_ms": 1000, "subscribed_topic_names": ["t"],
                    "topic_partitions": []}
        assert ask(broker, "ConsumerGroupHeartbeat", 1, consumer)["error_code"] == NO_GROUP
        assert ask(broker, "ConsumerGroupDescribe", 1, {"group_ids": ["app"]})["groups"][0]["error_code"] == NO_GROUP
        assert ask(broker, "ConsumerGroupHeartbeat", 1, dict(consumer, group_id="c"))["error_code"] == OK
        assert Member(broker, "c", plain("t")).join().error == NO_GROUP
        assert commit(broker, "app", member.member, member.epoch) == OK
        deleted = ask(broker, "DeleteGroups", 2, {"groups_names": ["app"]})
        assert deleted["results"][0]["error_code"] == NOT_EMPTY
        member.leave()
        assert describe(broker, "app")["group_state"] == "Empty"
        joined = join_classic(broker, "app")
        assert joined["error_code"] == OK and describe(broker, "app")["error_code"] == NO_GROUP
        assert Member(broker, "app", plain("t")).join().error == NO_GROUP, "now it is a classic one with a member"
        ask(broker, "LeaveGroup", 3, {"group_id": "app", "members": [{"member_id": joined["member_id"]}]})
        back = Member(broker, "app", plain("t")).join()
        assert back.error == OK and fetch(broker, "app") == (OK, [5]), "offsets stay"
        back.leave()
        assert ask(broker, "DeleteGroups", 2, {"groups_names": ["app"]})["results"][0]["error_code"] == OK
        assert describe(broker, "app")["error_code"] == NO_GROUP and fetch(broker, "app") == (OK, [-1])


def test_members_and_tasks_survive_a_kill():
    with broker_with_topics(**{"in": 2}) as broker:
        first = Member(broker, "app", counting(), endpoint={"host": "h", "port": 9}).join()
        settle(first, until=lambda: first.active == {"0": {0, 1}, "1": {0, 1}})
        second = Member(broker, "app", counting()).join()
        settle(first, second, until=lambda: sum(map(len, second.active.values())) == 2)
        before = describe(broker, "app")
        for member in before["members"]:  # ports of the connections
            member.pop("client_host")
        broker.crash()
        broker.start()
        after = describe(broker, "app")
        for member in after["members"]:
            member.pop("client_host")
        assert after["members"] == before["members"] and after["group_epoch"] == before["group_epoch"]
        settle(first, second, until=lambda: describe(broker, "app")["group_state"] == "Stable")
        assert sum(map(len, second.active.values())) == 2
        assert broker.stop() == 0
        states = wal_reader.Folder(os.path.join(broker.home, "data")).states
        workers = {key: item for state in states for key, item in state.workers.items()}
        assert set(workers) == {("app", first.member), ("app", second.member)}
        tasks = workers["app", second.member]["tasks"]["assigned"][0]
        assert {(place, number) for place, number in tasks} == {(int(name), number) for name, parts in second.active.items() for number in parts}
        [application] = [state.applications["app"] for state in states if "app" in state.applications]
        assert list(application["topology"]["subtopologies"]) == ["0", "1"]


def test_a_member_needs_rights_on_the_group_its_topics_and_those_to_be_made():
    with secured(*AT_ONCE) as broker:
        create(broker, "in", 1)
        member = Member(broker, "app", counting())
        assert member.join().error == GROUP_DENIED and describe(broker, "app")["error_code"] == GROUP_DENIED
        allow(broker, "Read", "Group:app")
        assert member.join().error == TOPIC_DENIED
        allow(broker, "Describe", "Topic:in")
        allow(broker, "Describe", "Topic:app-*")
        assert member.join().error == OK
        assert member.status[NO_INTERNAL].endswith("; Unauthorized to CREATE on topics app-changelog, app-words."), member.status
        allow(broker, "Create", "Topic:app-*")
        member.join()
        settle(member, until=lambda: member.active == {"0": {0}, "1": {0}})
        assert describe(broker, "app")["error_code"] == OK
        rule("acl.remove", broker, "Describe", "Topic:in")
        assert describe(broker, "app")["error_code"] == TOPIC_DENIED, "its topology names it"


def test_they_are_not_there_without_groups_or_without_the_feature():
    with Broker("kafka.groups=false") as broker:
        keys = {one["api_key"] for one in ask(broker, "ApiVersions", 3, {"client_software_name": "t", "client_software_version": "1"})["api_keys"]}
        assert not keys & {88, 89}
    with broker_with_topics(t=1) as broker:
        update = {"feature_updates": [{"feature": "streams.version", "max_version_level": 0, "upgrade_type": 2}]}
        assert ask(broker, "UpdateFeatures", 1, update)["error_code"] == OK
        assert Member(broker, "app", plain("t")).join().error == 35


load_tests = loader(globals())
