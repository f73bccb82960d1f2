"""The cluster as administrators see it: cluster, quorum, pages of topics, replicas, directories, epochs, tokens."""
import glob
import os

from kafka_wire import call
from sluice_broker import Broker, loader
from test_acls import CLUSTER, TOPIC, allow, secured

NEEDS = ("frontend_kafka",)

OK, UNKNOWN_TOPIC, INVALID_REQUEST, INVALID_REPLICAS = 0, 3, 42, 39
FENCED_EPOCH, UNKNOWN_EPOCH = 74, 75


def ask(broker, name, version, values=None):
    with broker.connect() as raw:
        return call(raw, name, version, values)


def broker_with(*topics, make=Broker):
    broker = make()
    for name, count in topics:
        code, _, err = broker.run("topic", "create", name, "-p", str(count))
        assert code == 0, err
    return broker


def test_the_cluster_is_this_node_for_every_version():
    with Broker() as broker:
        for version in (0, 1, 2):
            answer = ask(broker, "DescribeCluster", version, {"include_cluster_authorized_operations": True})
            assert answer["error_code"] == OK and answer["error_message"] is None
            node, = answer["brokers"]
            assert (node["host"], node["port"], node["rack"]) == ("127.0.0.1", broker.kafka, None)
            assert answer["controller_id"] == node["broker_id"]
            assert answer["cluster_authorized_operations"] == 0x1FA0
        metadata = ask(broker, "Metadata", 10, {"topics": []})
        assert metadata["cluster_id"] == answer["cluster_id"] and len(answer["cluster_id"]) == 22
        assert ask(broker, "DescribeCluster", 2)["cluster_authorized_operations"] == -2147483648
        assert ask(broker, "DescribeCluster", 1, {"endpoint_type": 2})["error_code"] == 114
        strange = ask(broker, "DescribeCluster", 2, {"endpoint_type": 7})
        assert strange["error_code"] == 115 and strange["brokers"] == []


def test_the_quorum_is_this_node_and_its_offsets_move_with_the_catalog():
    asked = {"topics": [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}]}
    with Broker() as broker:
        def quorum(version):
            answer = ask(broker, "DescribeQuorum", version, asked)
            assert answer["error_code"] == OK
            return answer, answer["topics"][0]["partitions"][0]
        for version in (0, 1, 2):
            answer, before = quorum(version)
            voter, = before["current_voters"]
            assert before["error_code"] == OK and before["observers"] == []
            assert before["leader_id"] == voter["replica_id"] and voter["log_end_offset"] >= before["high_watermark"] > 0
        assert voter["last_caught_up_timestamp"] > 0 and voter["replica_directory_id"] != bytes(16)
        listener = answer["nodes"][0]["listeners"][0]
        assert listener["name"] == "KAFKA"  # Java's client takes no others
        assert (listener["host"], listener["port"] & 0xFFFF) == ("127.0.0.1", broker.kafka)
        assert broker.run("topic", "create", "t")[0] == 0
        assert quorum(2)[1]["high_watermark"] > before["high_watermark"]
        other = ask(broker, "DescribeQuorum", 2, {"topics": [{"topic_name": "t", "partitions": [{"partition_index": 0}]}]})
        assert other["topics"][0]["partitions"][0]["error_code"] == UNKNOWN_TOPIC


def test_nobody_joins_or_leaves_a_single_node():
    with Broker() as broker:
        cluster = ask(broker, "DescribeCluster", 0)
        own = cluster["brokers"][0]["broker_id"]
        assert ask(broker, "UnregisterBroker", 0, {"broker_id": own + 1})["error_code"] == 102
        assert ask(broker, "UnregisterBroker", 0, {"broker_id": own})["error_code"] == INVALID_REQUEST
        voter = {"cluster_id": cluster["cluster_id"], "voter_id": own + 1,
                 "listeners": [{"name": "CONTROLLER", "host": "h", "port": 9}], "timeout_ms": 1000}
        for version in (0, 1):
            refused = ask(broker, "AddRaftVoter", version, voter)
            assert refused["error_code"] == 35 and "kraft.version" in refused["error_message"]
        assert ask(broker, "AddRaftVoter", 1, dict(voter, cluster_id="another"))["error_code"] == 104
        assert ask(broker, "RemoveRaftVoter", 0, {"cluster_id": None, "voter_id": own})["error_code"] == 35


def pages(broker, limit, names=()):
    """All pages, each as a list of (topic, partitions); the answers too."""
    found, answers, cursor = [], [], None
    while True:
        answer = ask(broker, "DescribeTopicPartitions", 0, {
            "topics": [{"name": name} for name in names], "response_partition_limit": limit, "cursor": cursor})
        answers.append(answer)
        found.append([(topic["name"], [one["partition_index"] for one in topic["partitions"]]) for topic in answer["topics"]])
        cursor = answer["next_cursor"]
        if cursor is None:
            return found, answers


def test_topics_are_described_in_pages_by_a_cursor():
    with broker_with(("b", 3), ("a", 2), ("c", 1)) as broker:
        found, answers = pages(broker, 4)
        assert found == [[("a", [0, 1]), ("b", [0, 1])], [("b", [2]), ("c", [0])]]
        assert answers[0]["next_cursor"] == {"topic_name": "b", "partition_index": 2}
        topic = answers[0]["topics"][0]
        assert topic["error_code"] == OK and topic["topic_id"] != bytes(16) and topic["topic_authorized_operations"] == 0xDF8
        one = topic["partitions"][0]
        assert one["leader_id"] >= 0 and one["replica_nodes"] == one["isr_nodes"] == [one["leader_id"]]
        assert one["eligible_leader_replicas"] == one["last_known_elr"] == one["offline_replicas"] == []
        assert pages(broker, 2)[0] == [[("a", [0, 1])], [("b", [0, 1])], [("b", [2]), ("c", [0])]]
        assert pages(broker, 2000, ("c", "a", "c"))[0] == [[("a", [0, 1]), ("c", [0])]]
        assert [answer["topics"][0]["error_code"] for answer in pages(broker, 2000, ("nobody",))[1]] == [UNKNOWN_TOPIC]
        assert pages(broker, 2000, ("no body",))[1][0]["topics"][0]["error_code"] == 17
        # The topic of a cursor may be gone: it is named, and the page goes on behind it.
        gone = ask(broker, "DescribeTopicPartitions", 0, {
            "topics": [{"name": "a"}, {"name": "c"}], "cursor": {"topic_name": "b2", "partition_index": 1}})
        assert [(topic["name"], topic["error_code"]) for topic in gone["topics"]] == [("b2", UNKNOWN_TOPIC), ("c", OK)]
        wrong = ask(broker, "DescribeTopicPartitions", 0, {
            "topics": [{"name": "a"}], "cursor": {"topic_name": "a", "partition_index": -1}})
        assert [topic["error_code"] for topic in wrong["topics"]] == [INVALID_REQUEST]


def test_replicas_stay_where_they_are():
    with broker_with(("t", 2)) as broker:
        own = ask(broker, "DescribeCluster", 0)["brokers"][0]["broker_id"]
        def reassign(partition, replicas, topic="t", version=1):
            answer = ask(broker, "AlterPartitionReassignments", version, {"topics": [
                {"name": topic, "partitions": [{"partition_index": partition, "replicas": replicas}]}]})
            assert answer["error_code"] == OK
            return answer["responses"][0]["partitions"][0]["error_code"]
        assert [reassign(0, [own], version=version) for version in (0, 1)] == [OK, OK]
        assert reassign(1, None) == 85
        assert [reassign(0, list(wrong)) for wrong in ((), (own + 1,), (own, own))] == [INVALID_REPLICAS] * 3
        assert reassign(2, [own]) == reassign(0, [own], topic="u") == UNKNOWN_TOPIC
        for topics in (None, [{"name": "t", "partition_indexes": [0]}]):
            assert ask(broker, "ListPartitionReassignments", 0, {"topics": topics}) == {
                "throttle_time_ms": 0, "error_code": OK, "error_message": None, "topics": []}


def test_leaders_need_no_election():
    with broker_with(("t", 2)) as broker:
        for version in (0, 1, 2):
            answer = ask(broker, "ElectLeaders", version, {"topic_partitions": [{"topic": "t", "partitions": [0, 1, 2]}]})
            codes = [one["error_code"] for one in answer["replica_election_results"][0]["partition_result"]]
            assert codes == [84, 84, UNKNOWN_TOPIC]
        everything = ask(broker, "ElectLeaders", 2, {"election_type": 1, "topic_partitions": None})
        assert everything["error_code"] == OK
        assert everything["replica_election_results"] == [{"topic": "t", "partition_result": []}]
        assert ask(broker, "ElectLeaders", 2, {"election_type": 5, "topic_partitions": None})["error_code"] == INVALID_REQUEST


def test_directories_tell_what_partitions_take_up():
    with broker_with(("t", 2), ("u", 1)) as broker:
        def described(version=4, topics=None):
            answer = ask(broker, "DescribeLogDirs", version, {"topics": topics})
            one, = answer["results"]
            assert one["error_code"] == OK
            return one, {(topic["name"], part["partition_index"]): part["partition_size"]
                         for topic in one["topics"] for part in topic["partitions"]}
        assert described()[1] == {("t", 0): 0, ("t", 1): 0, ("u", 0): 0}
        broker.produce("t", ["x" * 1000], "-p", "1")
        one, sizes = described(version=5)
        assert 1000 < sizes["t", 1] < 1200 and sizes["t", 0] == 0
        assert os.path.isdir(one["log_dir"]) and glob.glob(os.path.join(one["log_dir"], "*"))
        disk = os.statvfs(one["log_dir"])
        assert one["total_bytes"] == disk.f_blocks * disk.f_frsize and 0 < one["usable_bytes"] <= one["total_bytes"]
        assert one["is_cordoned"] is False
        assert described(version=1, topics=[{"topic": "t", "partitions": [1, 7]}, {"topic": "nobody", "partitions": [0]}])[1] \
            == {("t", 1): sizes["t", 1]}
        assert described(topics=[])[1] == {}

        def move(path, partition, version=2, topic="t"):
            answer = ask(broker, "AlterReplicaLogDirs", version, {"dirs": [
                {"path": path, "topics": [{"name": topic, "partitions": [partition]}]}]})
            return answer["results"][0]["partitions"][0]["error_code"]
        assert [move(one["log_dir"], 0, version) for version in (1, 2)] == [OK, OK]
        assert move("/elsewhere", 0) == 57
        assert move(one["log_dir"], 9) == move(one["log_dir"], 0, topic="nobody") == UNKNOWN_TOPIC


def epoch_end(broker, epoch, current=-1, partition=0, version=4):
    answer = ask(broker, "OffsetForLeaderEpoch", version, {"topics": [
        {"topic": "t", "partitions": [{"partition": partition, "current_leader_epoch": current, "leader_epoch": epoch}]}]})
    one = answer["topics"][0]["partitions"][0]
    return one["error_code"], one["leader_epoch"], one["end_offset"]


def epoch_of(broker):
    return ask(broker, "Metadata", 9, {"topics": [{"name": "t"}]})["topics"][0]["partitions"][0]["leader_epoch"]


def test_epochs_end_where_the_next_one_begins():
    with broker_with(("t", 1)) as broker:
        first = epoch_of(broker)
        broker.produce("t", ["a", "b"])
        assert [epoch_end(broker, first, version=version) for version in (2, 3, 4)] == [(OK, first, 2)] * 3
        broker.crash()
        broker.start()
        second = epoch_of(broker)
        assert second > first, "the epoch rises at an unclean start"
        broker.produce("t", ["c"])
        assert epoch_end(broker, first) == (OK, first, 2)
        assert epoch_end(broker, second) == (OK, second, 3)
        assert epoch_end(broker, second, current=second) == (OK, second, 3)
        assert epoch_end(broker, second, current=first) == (FENCED_EPOCH, -1, -1)
        assert epoch_end(broker, second, current=second + 1) == (UNKNOWN_EPOCH, -1, -1)
        assert epoch_end(broker, second + 1) == epoch_end(broker, -1) == (OK, -1, -1)
        assert epoch_end(broker, first, partition=5) == (UNKNOWN_TOPIC, -1, -1)


def test_there_are_no_delegation_tokens():
    with Broker() as broker:
        for name, versions, values in (
                ("CreateDelegationToken", (1, 2, 3), {"max_lifetime_ms": -1}), ("RenewDelegationToken", (1, 2), {"hmac": b"x"}),
                ("ExpireDelegationToken", (1, 2), {"hmac": b"x"}), ("DescribeDelegationToken", (1, 2, 3), {"owners": None})):
            for version in versions:
                answer = ask(broker, name, version, values)
                assert answer["error_code"] == 61 and answer.get("tokens", []) == []
        made = ask(broker, "CreateDelegationToken", 3, {"max_lifetime_ms": -1})
        assert (made["principal_type"], made["principal_name"]) == ("User", "ANONYMOUS")


def test_the_cluster_is_judged_by_its_rules():
    topics = [{"topic": "t", "partitions": [0]}]
    quorum = {"topics": [{"topic_name": "__cluster_metadata", "partitions": [{"partition_index": 0}]}]}
    reassign = {"topics": [{"name": "t", "partitions": [{"partition_index": 0, "replicas": [1]}]}]}
    with secured() as broker:
        assert broker.run("topic", "create", "t")[0] == 0
        by_describe = [("ListPartitionReassignments", 0, {}), ("DescribeLogDirs", 5, {"topics": None}), ("DescribeQuorum", 2, quorum)]
        by_alter = [("AlterPartitionReassignments", 1, reassign), ("ElectLeaders", 2, {"topic_partitions": topics}),
                    ("ElectLeaders", 2, {"topic_partitions": None}), ("UnregisterBroker", 0, {"broker_id": 77}),
                    ("AddRaftVoter", 1, {"cluster_id": None}), ("RemoveRaftVoter", 0, {"cluster_id": None})]
        for name, version, values in by_describe + by_alter:
            assert ask(broker, name, version, values)["error_code"] == CLUSTER, name
        move = {"dirs": [{"path": "/x", "topics": [{"name": "t", "partitions": [0]}]}]}
        def moved():
            return ask(broker, "AlterReplicaLogDirs", 2, move)["results"][0]["partitions"][0]["error_code"]
        assert moved() == CLUSTER
        assert ask(broker, "DescribeCluster", 2, {"include_cluster_authorized_operations": True})["cluster_authorized_operations"] == 0
        assert epoch_end(broker, 1) == (TOPIC, -1, -1)
        page = ask(broker, "DescribeTopicPartitions", 0, {"topics": [{"name": "t"}]})["topics"]
        assert [(topic["name"], topic["error_code"], topic["topic_id"]) for topic in page] == [("t", TOPIC, bytes(16))]
        assert ask(broker, "DescribeTopicPartitions", 0)["topics"] == []

        allow(broker, "Describe", "Cluster:kafka-cluster")
        for name, version, values in by_describe:
            assert ask(broker, name, version, values)["error_code"] == OK, name
        assert moved() == CLUSTER
        allow(broker, "Describe", "Topic:t")
        assert epoch_end(broker, 99) == (OK, -1, -1)
        assert [topic["error_code"] for topic in ask(broker, "DescribeTopicPartitions", 0)["topics"]] == [OK]
        allow(broker, "Alter", "Cluster:kafka-cluster")
        for name, version, values in by_alter:
            assert ask(broker, name, version, values)["error_code"] != CLUSTER, name
        assert moved() == 57


load_tests = loader(globals())
