"""Groups whose partitions the broker assigns (KIP-848), spoken raw: joins, heartbeats, revocation before assignment,
fencing, static members, patterns, what a restart keeps; and members of the classic protocol in such groups."""
import os
import struct
import sys
import uuid

from kafka_wire import call
from sluice_broker import SOURCE, Broker, loader, wait_for
from test_acls import allow, rule, secured

sys.path.insert(0, os.path.join(SOURCE, "tests", "formats"))
import wal_reader  # noqa: E402

NEEDS = ("frontend_kafka",)

(OK, UNKNOWN_MEMBER, STALE, INVALID_REQUEST, NOT_EMPTY, NOT_FOUND, SUBSCRIBED, FENCED_INSTANCE, FENCED_EPOCH, UNRELEASED,
 UNSUPPORTED_ASSIGNOR, BAD_REGEX, INCONSISTENT, NO_TOPIC, NO_GROUP) = 0, 25, 113, 42, 68, 69, 86, 82, 110, 111, 112, 128, 23, 29, 30


def ask(broker, name, version, values):
    with broker.connect() as raw:
        return call(raw, name, version, values)


def broker_with_topics(*settings, **partitions):
    broker = Broker(*settings)
    for topic, count in partitions.items():
        create(broker, topic, count)
    return broker


def create(broker, topic, partitions):
    code, _, err = broker.run("topic", "create", topic, "-p", str(partitions))
    assert code == 0, err


def topic_ids(broker, *topics):
    answer = ask(broker, "Metadata", 12, {"topics": [{"topic_id": bytes(16), "name": name} for name in topics]})
    return {topic["topic_id"]: topic["name"] for topic in answer["topics"]}


class Member:
    """A client of one connection's worth of state: what it was told, and what it says it owns."""

    def __init__(self, broker, group, topics=("t",), instance=None, regex=None, assignor=None, member=None):
        self.broker, self.group, self.instance, self.regex, self.assignor = broker, group, instance, regex, assignor
        self.topics = topics
        self.member = member or str(uuid.uuid4())
        self.epoch, self.assigned, self.owned, self.error = 0, set(), set(), OK

    def send(self, epoch, owned=None, **more):
        by_topic = {}
        for topic, partition in sorted(owned or ()):
            by_topic.setdefault(topic, []).append(partition)
        values = {"group_id": self.group, "member_id": self.member, "member_epoch": epoch, "instance_id": self.instance,
                  "rebalance_timeout_ms": -1, "topic_partitions": None if owned is None else [
                      {"topic_id": topic, "partitions": numbers} for topic, numbers in by_topic.items()], **more}
        answer = ask(self.broker, "ConsumerGroupHeartbeat", 1, values)
        self.error, self.message = answer["error_code"], answer["error_message"]
        if self.error == OK:
            self.epoch = answer["member_epoch"]
            if answer["assignment"] is not None:
                self.assigned = {(part["topic_id"], number) for part in answer["assignment"]["topic_partitions"]
                                 for number in part["partitions"]}
        return answer

    def join(self, **more):
        values = {"rebalance_timeout_ms": 60000, "server_assignor": self.assignor, **more}
        if self.topics is not None:
            values["subscribed_topic_names"] = list(self.topics)
        if self.regex is not None:
            values["subscribed_topic_regex"] = self.regex
        self.owned = set()
        self.send(0, set(), **values)
        return self

    def beat(self):
        """Owns what it was assigned, and says so."""
        self.owned = set(self.assigned)
        return self.send(self.epoch, self.owned)

    def numbers(self):
        return sorted(number for _, number in self.assigned)

    def leave(self, epoch=-1):
        return self.send(epoch)


def settle(*members):
    """Heartbeats until nobody's epoch or assignment moves any more."""
    before = None
    for _ in range(20):
        for member in members:
            member.beat()
            assert member.error == OK, (member.error, member.message)
        state = [(member.epoch, member.assigned) for member in members]
        if state == before:
            return
        before = state
    raise AssertionError("the group does not settle")


def described(broker, group):
    return ask(broker, "ConsumerGroupDescribe", 1, {"group_ids": [group]})["groups"][0]


def test_the_feature_is_offered_and_in_force():
    with Broker() as broker:
        answer = ask(broker, "ApiVersions", 4, {"client_software_name": "test", "client_software_version": "1"})
        finalized = {entry["name"]: entry["max_version_level"] for entry in answer["finalized_features"]}
        ranges = {entry["api_key"]: (entry["min_version"], entry["max_version"]) for entry in answer["api_keys"]}
        assert finalized["group.version"] == 1
        assert ranges[68] == (0, 1) and ranges[69] == (0, 1), ranges


def test_a_member_joins_gets_all_partitions_and_is_described():
    with broker_with_topics(t=3) as broker:
        member = Member(broker, "g").join()
        assert (member.error, member.epoch, member.numbers()) == (OK, 1, [0, 1, 2])
        assert set(topic_ids(broker, "t")) == {topic for topic, _ in member.assigned}
        answer = member.beat()
        assert answer["assignment"] is None and answer["heartbeat_interval_ms"] == 5000
        group = described(broker, "g")
        assert (group["group_state"], group["group_epoch"], group["assignment_epoch"]) == ("Stable", 1, 1)
        assert group["assignor_name"] == "uniform"
        seen = group["members"][0]
        assert (seen["member_id"], seen["member_epoch"], seen["member_type"]) == (member.member, 1, 1)
        assert seen["subscribed_topic_names"] == ["t"] and seen["assignment"] == seen["target_assignment"]
        assert seen["assignment"]["topic_partitions"][0]["partitions"] == [0, 1, 2]
        listed = {entry["group_id"]: entry for entry in ask(broker, "ListGroups", 5, {})["groups"]}
        assert (listed["g"]["group_type"], listed["g"]["protocol_type"], listed["g"]["group_state"]) == (
            "consumer", "consumer", "Stable")
        assert ask(broker, "ListGroups", 5, {"types_filter": ["classic"]})["groups"] == []
        assert ask(broker, "DescribeGroups", 6, {"groups": ["g"]})["groups"][0]["error_code"] == NOT_FOUND


def test_partitions_are_given_back_before_another_member_gets_them():
    with broker_with_topics(t=4) as broker:
        first = Member(broker, "g").join()
        second = Member(broker, "g").join()
        assert (second.epoch, second.numbers()) == (2, []), "what the first still owns is not given away"
        assert described(broker, "g")["group_state"] == "Reconciling"
        first.beat()
        assert first.epoch == 1 and len(first.assigned) == 2, "it gives back at its old epoch"
        second.beat()
        assert second.numbers() == []
        first.beat()
        assert first.epoch == 2
        second.beat()
        assert sorted(first.numbers() + second.numbers()) == [0, 1, 2, 3] and len(second.assigned) == 2
        settle(first, second)
        second.leave()
        settle(first)
        assert first.numbers() == [0, 1, 2, 3]


def test_a_wrong_epoch_is_fenced_and_a_lost_answer_is_repeated():
    with broker_with_topics(t=2) as broker:
        first = Member(broker, "g").join()
        second = Member(broker, "g").join()
        settle(first, second)
        epoch = first.epoch
        first.send(epoch + 1, first.assigned)
        assert first.error == FENCED_EPOCH
        first.send(epoch - 1, first.assigned)
        assert first.error == OK and first.epoch == epoch, "the answer with the new epoch may have been lost"
        first.send(epoch - 1)
        assert first.error == FENCED_EPOCH
        Member(broker, "g", member="nobody").send(epoch)
        stranger = Member(broker, "g")
        stranger.send(3)
        assert stranger.error == UNKNOWN_MEMBER
        stranger.group = "none"
        stranger.send(3)
        assert stranger.error == NOT_FOUND


def test_requests_that_cannot_be_are_refused():
    with broker_with_topics(t=2) as broker:
        def refused(code, **more):
            member = Member(broker, "g")
            member.send(more.pop("epoch", 0), more.pop("owned", set()), **{
                "rebalance_timeout_ms": 1000, "subscribed_topic_names": ["t"], **more})
            assert member.error == code, (more, member.error, member.message)
            assert member.message

        refused(INVALID_REQUEST, rebalance_timeout_ms=-1)
        refused(INVALID_REQUEST, subscribed_topic_names=None)
        refused(INVALID_REQUEST, owned=None)
        refused(INVALID_REQUEST, group_id="")
        refused(INVALID_REQUEST, member_id="")
        refused(INVALID_REQUEST, instance_id="")
        refused(INVALID_REQUEST, rack_id="")
        refused(INVALID_REQUEST, epoch=-3)
        refused(INVALID_REQUEST, epoch=-2)
        refused(UNSUPPORTED_ASSIGNOR, server_assignor="sticky")
        refused(BAD_REGEX, subscribed_topic_regex="(t")
        assert described(broker, "g")["error_code"] == NOT_FOUND


def test_a_static_member_comes_back_to_its_partitions():
    with broker_with_topics(t=4) as broker:
        stays, goes = Member(broker, "g", instance="a").join(), Member(broker, "g", instance="b").join()
        settle(stays, goes)
        had, epoch = goes.assigned, stays.epoch
        twin = Member(broker, "g", instance="b").join()
        assert twin.error == UNRELEASED
        goes.leave(-2)
        assert goes.epoch == -2
        stays.beat()
        assert stays.epoch == epoch, "nothing moves while it is away"
        twin.join()
        assert twin.error == OK and twin.assigned == had and twin.epoch == epoch
        goes.send(epoch)
        assert goes.error == FENCED_INSTANCE


def test_range_is_chosen_by_the_members():
    with broker_with_topics(t=3, u=3) as broker:
        first = Member(broker, "g", ["t", "u"], assignor="range").join()
        second = Member(broker, "g", ["t", "u"], assignor="range").join()
        settle(first, second)
        names = topic_ids(broker, "t", "u")
        shares = sorted(sorted((names[topic], number) for topic, number in member.assigned) for member in (first, second))
        assert shares in ([[("t", 0), ("t", 1), ("u", 0), ("u", 1)], [("t", 2), ("u", 2)]],
                          [[("t", 0), ("u", 0)], [("t", 1), ("t", 2), ("u", 1), ("u", 2)]]), shares
        assert described(broker, "g")["assignor_name"] == "range"


def test_new_topics_and_partitions_reach_the_members():
    with broker_with_topics(t=1) as broker:
        member = Member(broker, "g", ["t", "later"]).join()
        assert len(member.assigned) == 1
        create(broker, "later", 2)
        settle(member)
        assert len(member.assigned) == 3
        code, _, err = broker.run("topic", "alter", "t", "--partitions", "3")
        assert code == 0, err
        settle(member)
        assert len(member.assigned) == 5
        code, _, err = broker.run("topic", "delete", "--yes", "later")
        assert code == 0, err
        settle(member)
        assert member.numbers() == [0, 1, 2]


def test_a_pattern_subscribes_to_what_it_matches():
    with broker_with_topics(order_a=1, order_b=2, other=1) as broker:
        member = Member(broker, "g", topics=None, regex="order_[a-z]+").join()
        names = topic_ids(broker, "order_a", "order_b", "other")
        assert {names[topic] for topic, _ in member.assigned} == {"order_a", "order_b"}
        create(broker, "order_c", 1)
        create(broker, "order_9", 1)
        settle(member)
        assert len(member.assigned) == 4
        member.send(member.epoch, member.assigned, subscribed_topic_regex="")
        settle(member)
        assert member.assigned == set()


def commit(broker, group, member, epoch, version=9, offset=5):
    answer = ask(broker, "OffsetCommit", version, {
        "group_id": group, "generation_id_or_member_epoch": epoch, "member_id": member, "topics": [
            {"name": "t", "partitions": [{"partition_index": 0, "committed_offset": offset}]}]})
    return answer["topics"][0]["partitions"][0]["error_code"]


def fetch(broker, group, member, epoch):
    answer = ask(broker, "OffsetFetch", 9, {"groups": [{"group_id": group, "member_id": member, "member_epoch": epoch,
                                                       "topics": [{"name": "t", "partition_indexes": [0]}]}]})["groups"][0]
    return answer["error_code"] or answer["topics"][0]["partitions"][0]["committed_offset"]


def test_offsets_are_for_members_of_the_right_epoch():
    with broker_with_topics(t=1) as broker:
        member = Member(broker, "g").join()
        assert commit(broker, "g", member.member, member.epoch) == OK
        assert commit(broker, "g", member.member, member.epoch + 1) == STALE
        assert commit(broker, "g", "nobody", member.epoch) == UNKNOWN_MEMBER
        assert commit(broker, "g", "", -1) == UNKNOWN_MEMBER
        assert fetch(broker, "g", member.member, member.epoch) == 5
        assert fetch(broker, "g", member.member, member.epoch + 1) == STALE
        assert fetch(broker, "g", "nobody", 1) == UNKNOWN_MEMBER
        assert fetch(broker, "g", None, -1) == 5
        erased = ask(broker, "OffsetDelete", 0, {"group_id": "g", "topics": [
            {"name": "t", "partitions": [{"partition_index": 0}]}]})
        assert erased["topics"][0]["partitions"][0]["error_code"] == SUBSCRIBED
        assert ask(broker, "DeleteGroups", 2, {"groups_names": ["g"]})["results"][0]["error_code"] == NOT_EMPTY
        member.leave()
        assert described(broker, "g")["group_state"] == "Empty"
        assert commit(broker, "g", "", -1, offset=7) == OK
        assert ask(broker, "DeleteGroups", 2, {"groups_names": ["g"]})["results"][0]["error_code"] == OK
        assert described(broker, "g")["error_code"] == NOT_FOUND
        assert fetch(broker, "g", None, -1) == -1


def test_members_and_assignments_outlive_a_crash_and_a_checkpoint():
    with broker_with_topics(t=4) as broker:
        first, second = Member(broker, "g").join(), Member(broker, "g", instance="i").join()
        settle(first, second)
        for _ in range(2):
            before = described(broker, "g")
            broker.crash()
            broker.start()
            after = described(broker, "g")
            assert sorted(before.pop("members"), key=str) == sorted(after.pop("members"), key=str)
            assert before == after
        epoch, had = first.epoch, first.assigned
        first.beat()
        assert (first.error, first.epoch, first.assigned) == (OK, epoch, had)
        second.leave()
        settle(first)
        Member(broker, "gone").join().leave()
        assert ask(broker, "DeleteGroups", 2, {"groups_names": ["gone"]})["results"][0]["error_code"] == OK
        first.beat()
        told = described(broker, "g")
        broker.stop()
        states = wal_reader.Folder(os.path.join(broker.home, "data")).states
        groups = [state for state in states if state.groups]
        assert len(groups) == 1 and set(groups[0].groups) == {"g"}
        assert groups[0].groups["g"]["epoch"] == told["group_epoch"]
        key = "g", first.member
        assert groups[0].members[key]["topics"] == ["t"] and list(groups[0].assignments) == [key]
        assert set(groups[0].assignments[key]["assigned"]) == first.assigned
        broker.start()
        assert len(described(broker, "g")["members"]) == 1
        settle(first)
        assert len(first.assigned) == 4


def test_who_is_silent_loses_its_partitions():
    with broker_with_topics("groups.consumer_session_timeout=1 s", "groups.consumer_heartbeat_interval=100 ms",
                            t=2) as broker:
        stays, silent = Member(broker, "g").join(), Member(broker, "g").join()

        def has_all():
            stays.beat()
            if stays.error == UNKNOWN_MEMBER:  # a machine that stood still: it was silent, too
                stays.join()
            return len(described(broker, "g")["members"]) == 1 and stays.numbers() == [0, 1]
        wait_for(has_all, "the silent member to be out")
        silent.send(silent.epoch)
        assert silent.error in (UNKNOWN_MEMBER, NOT_FOUND)


def test_a_member_needs_rights_on_the_group_and_on_the_topics_it_names():
    with secured() as broker:
        create(broker, "t", 1)
        member = Member(broker, "g").join()
        assert member.error == NO_GROUP
        assert described(broker, "g")["error_code"] == NO_GROUP
        allow(broker, "Read", "Group:g")
        assert member.join().error == NO_TOPIC
        allow(broker, "Describe", "Topic:t")
        assert member.join().error == OK and member.numbers() == [0]
        assert described(broker, "g")["error_code"] == OK
        rule("acl.remove", broker, "Describe", "Topic:t")
        assert described(broker, "g")["error_code"] == NO_TOPIC, "it names a topic"


def test_a_pattern_matches_what_its_member_may_describe():
    with secured() as broker:
        for topic in ("order_a", "order_b"):
            create(broker, topic, 1)
        allow(broker, "Read", "Group:g")
        allow(broker, "Describe", "Topic:order_a")
        member = Member(broker, "g", topics=None, regex="order_.*").join()

        def reads(count):
            settle(member)
            return len(member.assigned) == count
        assert reads(1), member.error
        assert described(broker, "g")["error_code"] == OK
        allow(broker, "Describe", "Topic:order_b")
        assert reads(2)
        rule("acl.remove", broker, "Describe", "Topic:order_a")
        assert reads(1)
        before = member.epoch, member.assigned
        broker.crash()
        broker.start()
        assert reads(1) and (member.epoch, member.assigned) == before, "on whose behalf it is outlives a crash"


def test_after_any_reload_members_are_told_an_interval_shorter_than_their_session():
    with Broker(start=False) as broker:
        path = os.path.join(broker.home, "sluice.yaml")
        broker.extra = ["--config", path]

        def write(text):
            with open(path, "w") as file:
                file.write("groups: {consumer_session_timeout_min: 6 s%s}\n" % text)
        write("")
        broker.start()
        create(broker, "t", 2)
        interval, session, other = (Member(broker, group).join() for group in ("i", "s", "o"))
        assert configure(broker, "i", heartbeat__interval__ms="15000") == OK
        assert configure(broker, "s", session__timeout__ms="6000") == OK

        def told():
            return [member.beat()["heartbeat_interval_ms"] for member in (interval, session, other)]
        assert told() == [15000, 5000, 5000]
        for values, expected in ((", consumer_session_timeout: 12 s", [4000, 5000, 5000]),
                                 (", consumer_heartbeat_interval: 7 s", [15000, 2000, 7000]),
                                 ("", [15000, 5000, 5000])):
            write(values)
            assert broker.run("reload")[0] == 0
            assert told() == expected


def configure(broker, group="g", **values):
    configs = [{"name": "consumer." + name.replace("__", "."), "config_operation": 0, "value": value} for name, value in values.items()]
    done, = ask(broker, "IncrementalAlterConfigs", 1, {"resources": [
        {"resource_type": 32, "resource_name": group, "configs": configs}]})["responses"]
    return done["error_code"]


def test_a_single_group_has_its_own_configuration_at_once_and_over_a_crash():
    with broker_with_topics("groups.consumer_session_timeout=50 s", t=2) as broker:
        first, other = Member(broker, "g").join(), Member(broker, "h").join()
        assert first.beat()["heartbeat_interval_ms"] == 5000
        assert configure(broker, heartbeat__interval__ms="4999") == 40
        assert configure(broker, heartbeat__interval__ms="7000", assignment__interval__ms="15000") == OK
        assert first.beat()["heartbeat_interval_ms"] == 7000 and other.beat()["heartbeat_interval_ms"] == 5000
        second = Member(broker, "g").join()
        for member in (first, second, first, second):
            member.beat()
        assert first.numbers() == [0, 1] and second.numbers() == [], "it was assigned less than 15 s ago"
        assert described(broker, "g")["group_state"] == "Assigning"
        assert configure(broker, assignment__interval__ms="0") == OK
        settle(first, second)
        assert sorted(first.numbers() + second.numbers()) == [0, 1] and len(second.numbers()) == 1
        broker.crash()
        broker.start()
        assert first.beat()["heartbeat_interval_ms"] == 7000
        told = {entry["name"]: entry for entry in ask(broker, "DescribeConfigs", 4, {"include_synonyms": True, "resources": [
            {"resource_type": 32, "resource_name": "g"}]})["results"][0]["configs"]}
        assert (told["consumer.heartbeat.interval.ms"]["value"], told["consumer.heartbeat.interval.ms"]["config_source"]) == ("7000", 8)
        assert (told["consumer.session.timeout.ms"]["value"], told["consumer.session.timeout.ms"]["config_source"]) == ("50000", 4)


# ---- members of the classic protocol ----

REBALANCE, ILLEGAL_GENERATION = 27, 22


def subscription(*topics, owned=()):
    """Version 1 of a consumer's metadata."""
    def text(value):
        return struct.pack(">h", len(value)) + value.encode()
    by_topic = {}
    for topic, partition in owned:
        by_topic.setdefault(topic, []).append(partition)
    return (struct.pack(">hi", 1, len(topics)) + b"".join(map(text, topics)) + struct.pack(">ii", -1, len(by_topic))
            + b"".join(text(topic) + struct.pack(">i%di" % len(numbers), len(numbers), *numbers)
                       for topic, numbers in by_topic.items()))


def assignment(data):
    """[(topic, partition)] of what SyncGroup answered."""
    if not data:
        return []
    _, count = struct.unpack_from(">hi", data)
    found, at = [], 6
    for _ in range(count):
        size = struct.unpack_from(">h", data, at)[0]
        topic, at = data[at + 2:at + 2 + size].decode(), at + 2 + size
        numbers = struct.unpack_from(">i", data, at)[0]
        found += [(topic, number) for number in struct.unpack_from(">%di" % numbers, data, at + 4)]
        at += 4 + 4 * numbers
    return found


class Classic:
    """A member of the classic protocol whose assignor gives it everything when it leads."""

    def __init__(self, broker, group, *topics):
        self.broker, self.group, self.topics, self.member, self.owned, self.generation = broker, group, topics, "", [], -1

    def ask(self, name, version, **values):
        return ask(self.broker, name, version, {"group_id": self.group, "member_id": self.member, **values})

    def join(self):
        for _ in range(2):
            answer = self.ask("JoinGroup", 6, session_timeout_ms=10000, rebalance_timeout_ms=10000,
                              protocol_type="consumer", protocols=[
                                  {"name": "cooperative-sticky", "metadata": subscription(*self.topics, owned=self.owned)}])
            self.member, self.generation = answer["member_id"], answer["generation_id"]
            if answer["error_code"] != 79:  # MEMBER_ID_REQUIRED
                break
        assert answer["error_code"] == OK, answer
        return answer

    def sync(self, plan=()):
        answer = self.ask("SyncGroup", 5, generation_id=self.generation, protocol_type="consumer",
                          protocol_name="cooperative-sticky", assignments=list(plan))
        if answer["error_code"] == OK:
            self.owned = assignment(answer["assignment"])
        return answer["error_code"]

    def lead(self, *partitions):
        answer = self.join()
        assert answer["leader"] == self.member
        data = struct.pack(">hih", 1, 1, 1) + b"t" + struct.pack(">i%dii" % len(partitions), len(partitions), *partitions, -1)
        assert self.sync([{"member_id": self.member, "assignment": data}]) == OK

    def beat(self):
        return self.ask("Heartbeat", 4, generation_id=self.generation)["error_code"]

    def follow(self):
        """One turn of a client: what a heartbeat asks for."""
        error = self.beat()
        if error == REBALANCE:
            self.join()
            self.sync()
        return error


def test_a_classic_group_becomes_a_new_one_and_back_while_it_works():
    with broker_with_topics(t=4) as broker:
        old = Classic(broker, "g", "t")
        old.lead(0, 1, 2, 3)
        new = Member(broker, "g").join()
        assert (new.error, new.numbers()) == (OK, []), new.message
        types = {member["member_id"]: member["member_type"] for member in described(broker, "g")["members"]}
        assert types == {old.member: 0, new.member: 1}
        assert old.beat() == REBALANCE
        old.join()
        assert old.sync() == OK and len(old.owned) == 2, "it is to give back half"
        assert old.beat() == REBALANCE, "and then to come again"
        new.beat()
        assert new.numbers() == []
        old.follow()
        new.beat()
        assert len(new.assigned) == 2
        assert {number for _, number in old.owned} | set(new.numbers()) == {0, 1, 2, 3}
        assert old.beat() == OK and commit(broker, "g", old.member, old.generation) == OK
        assert commit(broker, "g", old.member, old.generation + 1) == ILLEGAL_GENERATION
        broker.crash()
        broker.start()
        assert old.beat() == OK, "classic members of such a group outlive a crash"
        new.leave()
        listed = {entry["group_id"]: entry["group_type"] for entry in ask(broker, "ListGroups", 5, {})["groups"]}
        assert listed == {"g": "classic"}
        assert old.beat() == REBALANCE
        old.lead(0, 1, 2, 3)
        assert len(old.owned) == 4 and old.beat() == OK
        assert fetch(broker, "g", None, -1) == 5
        old.ask("LeaveGroup", 5, members=[{"member_id": old.member}])
        assert Member(broker, "g").join().numbers() == [0, 1, 2, 3]


def test_a_classic_member_joins_and_leaves_a_new_group():
    with broker_with_topics(t=4) as broker:
        new = Member(broker, "g").join()
        old = Classic(broker, "g", "t")
        old.join()
        assert old.sync() == OK and old.owned == []
        for _ in range(4):
            new.beat()
            old.follow()
        assert len(new.assigned) == 2 and len(old.owned) == 2
        answer = old.ask("LeaveGroup", 5, members=[{"member_id": old.member}, {"member_id": "nobody"}])
        assert [member["error_code"] for member in answer["members"]] == [OK, UNKNOWN_MEMBER]
        settle(new)
        assert len(new.assigned) == 4
        strange = ask(broker, "JoinGroup", 6, {"group_id": "g", "session_timeout_ms": 10000, "protocol_type": "connect",
                                               "protocols": [{"name": "x", "metadata": b""}]})
        assert strange["error_code"] == INCONSISTENT


def test_a_group_of_another_kind_does_not_become_a_new_one():
    with broker_with_topics(t=1) as broker:
        join = {"group_id": "g", "session_timeout_ms": 10000, "rebalance_timeout_ms": 10000, "protocol_type": "connect",
                "protocols": [{"name": "x", "metadata": b"?"}]}
        assert ask(broker, "JoinGroup", 3, join)["error_code"] == OK
        member = Member(broker, "g").join()
        assert member.error == NOT_FOUND and "not a consumer group" in member.message
        join.update(group_id="h", protocol_type="consumer")
        assert ask(broker, "JoinGroup", 3, join)["error_code"] == OK
        member = Member(broker, "h").join()
        assert member.error == NOT_FOUND and "malformed" in member.message, member.message


load_tests = loader(globals())
