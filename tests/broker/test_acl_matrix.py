"""Operation × resource × principal for every advertised API: what a client may do with no rule, with each set of rules that
suffices, with one of them missing, with everything but them, with those of another principal, and against a rule that denies.

An API that ApiVersions names and that has no row here fails test_every_advertised_api_has_a_row. test_acls.py has further rows of the
first versions, made by hand."""
import itertools

import kafka_wire
import wire_batch
from kafka_wire import call
from raw_matrix import errors_in
from sluice_broker import loader
from test_acls import allow, rule, secured

REFUSED = {29, 30, 31, 53, 65}  # topic, group, cluster, transactional id, delegation token
OPERATIONS = {"Topic": ("Read", "Write", "Create", "Delete", "Alter", "Describe", "DescribeConfigs", "AlterConfigs"),
              "Group": ("Read", "Delete", "Describe", "DescribeConfigs", "AlterConfigs"),
              "Cluster": ("Create", "ClusterAction", "DescribeConfigs", "AlterConfigs", "IdempotentWrite", "Alter", "Describe"),
              "TransactionalId": ("Describe", "Write", "TwoPhaseCommit")}
IMPLY = {"Describe": {"Read", "Write", "Delete", "Alter"}, "DescribeConfigs": {"AlterConfigs"}}

T, TRANSACTIONAL = "Topic:t", 0x10
PART = [{"partition_index": 0}]


def right(text):
    """"Read Topic:t, Read Group:g" as pairs."""
    return [tuple(one.strip().split(" ")) for one in text.split(",")]


def alters(kind, name, key, value):
    return {"resources": [{"resource_type": kind, "resource_name": name, "configs": [
        {"name": key, "config_operation": 0, "value": value}]}], "validate_only": True}


def replaces(kind, name, key, value):
    return {"resources": [{"resource_type": kind, "resource_name": name, "configs": [{"name": key, "value": value}]}], "validate_only": True}


def describes(kind, name):
    return {"resources": [{"resource_type": kind, "resource_name": name, "configuration_keys": None}]}


def produced(transactional_id=None, **batch):
    return {"acks": -1, "timeout_ms": 10000, "transactional_id": transactional_id, "topic_data": [{"name": "t", "partition_data": [
        {"index": 0, "records": wire_batch.batch([b"x"], **batch)}]}]}


def share(epoch, **more):
    return lambda ids: {"group_id": "s", "member_id": "AAAAAAAAAAAAAAAAAAAAAA", "share_session_epoch": epoch,
                        "topics": [{"topic_id": ids["t"], "partitions": PART}], **more}


COMMITTED = [{"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 0}]}]
PRODUCER = {"producer_id": 7, "producer_epoch": 0}

# API, version, request (or what gives it from the topics' ids), then each set of rights that is enough.
ROWS = [
    ("Produce", 9, produced(), "Write Topic:t"),
    ("Produce", 9, produced("x", producer=7, epoch=0, sequence=0, attributes=TRANSACTIONAL), "Write TransactionalId:x, Write Topic:t"),
    ("Produce", 13, lambda ids: {"acks": -1, "timeout_ms": 10000, "topic_data": [{"topic_id": ids["t"], "partition_data": [
        {"index": 0, "records": wire_batch.batch([b"x"])}]}]}, "Write Topic:t"),
    ("Fetch", 12, {"max_bytes": 100, "topics": [{"topic": "t", "partitions": [{"partition": 0, "partition_max_bytes": 100}]}]}, "Read Topic:t"),
    ("Fetch", 13, lambda ids: {"max_bytes": 100, "topics": [{"topic_id": ids["t"], "partitions": [
        {"partition": 0, "partition_max_bytes": 100}]}]}, "Read Topic:t"),
    ("ListOffsets", 7, {"replica_id": -1, "topics": [{"name": "t", "partitions": [{"partition_index": 0, "timestamp": -1}]}]}, "Describe Topic:t"),
    ("Metadata", 12, {"topics": [{"name": "t"}]}, "Describe Topic:t"),
    ("Metadata", 12, {"topics": [{"name": "made-by-asking"}], "allow_auto_topic_creation": True}, "Describe Topic:made-by-asking"),
    ("OffsetCommit", 8, {"group_id": "g", "generation_id_or_member_epoch": -1, "topics": COMMITTED}, "Read Group:g, Read Topic:t"),
    ("OffsetFetch", 8, {"groups": [{"group_id": "g", "topics": [{"name": "t", "partition_indexes": [0]}]}]}, "Describe Group:g, Describe Topic:t"),
    ("FindCoordinator", 4, {"key_type": 0, "coordinator_keys": ["g"]}, "Describe Group:g"),
    ("FindCoordinator", 4, {"key_type": 1, "coordinator_keys": ["x"]}, "Describe TransactionalId:x"),
    ("JoinGroup", 5, {"group_id": "g", "session_timeout_ms": 10000, "rebalance_timeout_ms": 10000, "protocol_type": "consumer",
                      "protocols": [{"name": "range", "metadata": b""}]}, "Read Group:g"),
    ("Heartbeat", 4, {"group_id": "g", "generation_id": 1, "member_id": "m"}, "Read Group:g"),
    ("LeaveGroup", 5, {"group_id": "g", "members": [{"member_id": "m"}]}, "Read Group:g"),
    ("SyncGroup", 5, {"group_id": "g", "generation_id": 1, "member_id": "m", "protocol_type": "consumer", "protocol_name": "range"},
     "Read Group:g"),
    ("DescribeGroups", 5, {"groups": ["g"]}, "Describe Group:g"),
    ("CreateTopics", 4, {"topics": [{"name": "made", "num_partitions": 1, "replication_factor": 1}], "validate_only": True},
     "Create Topic:made", "Create Cluster"),
    ("DeleteTopics", 5, {"topic_names": ["gone"]}, "Delete Topic:gone"),
    ("DeleteRecords", 2, {"topics": [{"name": "t", "partitions": [{"partition_index": 0, "offset": 0}]}]}, "Delete Topic:t"),
    ("InitProducerId", 4, {"transactional_id": None, "transaction_timeout_ms": 1000}, "IdempotentWrite Cluster", "Write Topic:any"),
    ("InitProducerId", 4, {"transactional_id": "x", "transaction_timeout_ms": 1000}, "Write TransactionalId:x"),
    ("OffsetForLeaderEpoch", 4, {"topics": [{"topic": "t", "partitions": [{"partition": 0, "leader_epoch": 0}]}]}, "Describe Topic:t"),
    ("AddPartitionsToTxn", 3, {"v3_and_below_transactional_id": "x", "v3_and_below_producer_id": 7,
                               "v3_and_below_topics": [{"name": "t", "partitions": [0]}]}, "Write TransactionalId:x, Write Topic:t"),
    ("AddPartitionsToTxn", 4, {"transactions": [{"transactional_id": "x", "producer_id": 7, "topics": [{"name": "t", "partitions": [0]}]}]},
     "ClusterAction Cluster, Write TransactionalId:x, Write Topic:t"),
    ("AddOffsetsToTxn", 3, {"transactional_id": "x", "group_id": "g", **PRODUCER}, "Write TransactionalId:x, Read Group:g"),
    ("EndTxn", 3, {"transactional_id": "x", "committed": True, **PRODUCER}, "Write TransactionalId:x"),
    ("TxnOffsetCommit", 3, {"transactional_id": "x", "group_id": "g", "topics": COMMITTED, **PRODUCER},
     "Write TransactionalId:x, Read Group:g, Read Topic:t"),
    ("DescribeAcls", 2, {"resource_type_filter": 1, "pattern_type_filter": 1, "operation": 1, "permission_type": 1}, "Describe Cluster"),
    ("CreateAcls", 2, {"creations": [{"resource_type": 2, "resource_name": "y", "resource_pattern_type": 3, "principal": "User:y", "host": "*",
                                      "operation": 3, "permission_type": 3}]}, "Alter Cluster"),
    ("DeleteAcls", 2, {"filters": [{"resource_type_filter": 2, "resource_name_filter": "y", "pattern_type_filter": 3,
                                    "principal_filter": "User:y", "host_filter": None, "operation": 1, "permission_type": 1}]}, "Alter Cluster"),
    ("DescribeConfigs", 4, describes(2, "t"), "DescribeConfigs Topic:t"),
    ("DescribeConfigs", 4, describes(4, "1"), "DescribeConfigs Cluster"),
    ("DescribeConfigs", 4, describes(8, "1"), "DescribeConfigs Cluster"),
    ("DescribeConfigs", 4, describes(16, "m"), "DescribeConfigs Cluster"),
    ("DescribeConfigs", 4, describes(32, "g"), "DescribeConfigs Group:g"),
    ("AlterConfigs", 2, replaces(2, "t", "retention.ms", "1000"), "AlterConfigs Topic:t"),
    ("AlterConfigs", 2, replaces(16, "m", "metrics", "a"), "AlterConfigs Cluster"),
    ("AlterConfigs", 2, replaces(32, "g", "share.auto.offset.reset", "latest"), "AlterConfigs Group:g"),
    ("IncrementalAlterConfigs", 1, alters(2, "t", "retention.ms", "1000"), "AlterConfigs Topic:t"),
    ("IncrementalAlterConfigs", 1, alters(4, "1", "log.retention.ms", "1000"), "AlterConfigs Cluster"),
    ("IncrementalAlterConfigs", 1, alters(16, "m", "metrics", "a"), "AlterConfigs Cluster"),
    ("IncrementalAlterConfigs", 1, alters(32, "g", "share.auto.offset.reset", "latest"), "AlterConfigs Group:g"),
    ("AlterReplicaLogDirs", 2, {"dirs": [{"path": "/", "topics": [{"name": "t", "partitions": [0]}]}]}, "Alter Cluster"),
    ("DescribeLogDirs", 4, {"topics": None}, "Describe Cluster"),
    ("CreatePartitions", 3, {"topics": [{"name": "t", "count": 2, "assignments": None}], "validate_only": True}, "Alter Topic:t"),
    ("DeleteGroups", 2, {"groups_names": ["g"]}, "Delete Group:g"),
    ("ElectLeaders", 2, {"topic_partitions": None}, "Alter Cluster"),
    ("AlterPartitionReassignments", 0, {"topics": [{"name": "t", "partitions": [{"partition_index": 0, "replicas": None}]}]}, "Alter Cluster"),
    ("ListPartitionReassignments", 0, {"topics": None}, "Describe Cluster"),
    ("OffsetDelete", 0, {"group_id": "g", "topics": [{"name": "t", "partitions": PART}]}, "Delete Group:g, Read Topic:t"),
    ("DescribeClientQuotas", 1, {"components": []}, "DescribeConfigs Cluster"),
    ("AlterClientQuotas", 1, {"entries": [{"entity": [{"entity_type": "user", "entity_name": "y"}],
                                           "ops": [{"key": "producer_byte_rate", "value": 1e9}]}], "validate_only": True}, "AlterConfigs Cluster"),
    ("DescribeUserScramCredentials", 0, {"users": None}, "Describe Cluster"),
    ("AlterUserScramCredentials", 0, {"deletions": [{"name": "y", "mechanism": 1}]}, "Alter Cluster"),
    ("DescribeQuorum", 2, {"topics": [{"topic_name": "__cluster_metadata", "partitions": PART}]}, "Describe Cluster"),
    ("UpdateFeatures", 1, {"feature_updates": [{"feature": "transaction.version", "max_version_level": 2}], "validate_only": True}, "Alter Cluster"),
    ("DescribeProducers", 0, {"topics": [{"name": "t", "partition_indexes": [0]}]}, "Read Topic:t"),
    ("UnregisterBroker", 0, {"broker_id": 9}, "Alter Cluster"),
    ("DescribeTransactions", 0, {"transactional_ids": ["x"]}, "Describe TransactionalId:x"),
    ("ConsumerGroupHeartbeat", 1, {"group_id": "k", "member_id": "AAAAAAAAAAAAAAAAAAAAAA", "rebalance_timeout_ms": 10000,
                                   "subscribed_topic_names": ["t"], "topic_partitions": []}, "Read Group:k, Describe Topic:t"),
    ("ConsumerGroupDescribe", 1, {"group_ids": ["unknown"]}, "Describe Group:unknown"),
    ("ListConfigResources", 1, {"resource_types": []}, "DescribeConfigs Cluster"),
    ("ListConfigResources", 0, {}, "DescribeConfigs Cluster"),
    ("DescribeTopicPartitions", 0, {"topics": [{"name": "t"}]}, "Describe Topic:t"),
    ("ShareGroupHeartbeat", 1, {"group_id": "s", "member_id": "AAAAAAAAAAAAAAAAAAAAAA", "subscribed_topic_names": ["t"]},
     "Read Group:s, Describe Topic:t"),
    ("ShareGroupDescribe", 1, {"group_ids": ["unknown"]}, "Describe Group:unknown"),
    ("StreamsGroupHeartbeat", 0, {"group_id": "w", "member_id": "m", "rebalance_timeout_ms": 10000, "process_id": "p", "active_tasks": [],
                                  "standby_tasks": [], "warmup_tasks": [], "topology": {"epoch": 0, "subtopologies": [
                                      {"subtopology_id": "0", "source_topics": ["t"]}]}}, "Read Group:w, Describe Topic:t"),
    ("StreamsGroupDescribe", 0, {"group_ids": ["unknown"]}, "Describe Group:unknown"),
    ("ShareFetch", 1, share(0, max_wait_ms=0, min_bytes=0, max_records=1, batch_size=1), "Read Group:s, Read Topic:t"),
    ("ShareAcknowledge", 1, share(-1), "Read Group:s"),
    ("AddRaftVoter", 0, {"cluster_id": "x"}, "Alter Cluster"),
    ("RemoveRaftVoter", 0, {"cluster_id": "x"}, "Alter Cluster"),
    ("StreamsGroupHeartbeat", 0, {"group_id": "st", "member_id": "m", "rebalance_timeout_ms": 10000}, "Read Group:st"),
    ("StreamsGroupDescribe", 0, {"group_ids": ["unknown"]}, "Describe Group:unknown"),
    ("DescribeShareGroupOffsets", 0, {"groups": [{"group_id": "g", "topics": [{"topic_name": "t", "partitions": [0]}]}]}, "Describe Group:g"),
    ("AlterShareGroupOffsets", 0, {"group_id": "g", "topics": [{"topic_name": "t", "partitions": PART}]}, "Read Group:g, Read Topic:t"),
    ("DeleteShareGroupOffsets", 0, {"group_id": "g", "topics": [{"topic_name": "t"}]}, "Delete Group:g, Read Topic:t"),
]
# What everybody may ask, and why.
OPEN = {
    "ApiVersions": "before a login, too", "SaslHandshake": "the login", "SaslAuthenticate": "the login",
    "ListGroups": "lists what may be described", "ListTransactions": "lists what may be described",
    "DescribeCluster": "everybody who connects learns it",
    "CreateDelegationToken": "there are none", "RenewDelegationToken": "there are none", "ExpireDelegationToken": "there are none",
    "DescribeDelegationToken": "there are none",
    "GetTelemetrySubscriptions": "who may connect may tell", "PushTelemetry": "the broker writes what clients push",
}


def operations_beside(alternatives):
    """Rights on everything that the row names which are not enough, all at once."""
    enough = {}
    for operation, resource in itertools.chain(*alternatives):
        enough.setdefault(resource, set()).update({operation} | IMPLY.get(operation, set()))
    return [(operation, resource) for resource in enough for operation in OPERATIONS[resource.split(":")[0]]
            if operation not in enough[resource]]


class Asker:
    def __init__(self, broker, raw, ids):
        self.broker, self.raw, self.ids = broker, raw, ids

    def refused(self, row):
        values = row[2](self.ids) if callable(row[2]) else row[2]
        return bool(REFUSED & errors_in(call(self.raw, row[0], row[1], values)))

    def with_rules(self, row, rights, **more):
        """Whether it is refused while these rules are there."""
        for operation, resource in rights:
            allow(self.broker, operation, resource, **more)
        try:
            return self.refused(row)
        finally:
            for operation, resource in rights:
                rule("acl.remove", self.broker, operation, resource, **more)

    def check(self, row):
        alternatives = [right(text) for text in row[3:]]
        assert self.refused(row), "without a rule"
        assert self.with_rules(row, operations_beside(alternatives)), "with all other operations"
        for rights in alternatives:
            assert not self.with_rules(row, rights), rights
            assert self.with_rules(row, rights, principal="User:other"), "rights of another one"
            for missing in rights if len(rights) > 1 else []:
                assert self.with_rules(row, [one for one in rights if one != missing]), (rights, "without", missing)
            for operation, resource in rights:
                allow(self.broker, operation, resource)
            try:
                for operation, resource in rights:
                    assert self.with_rules(row, [(operation, resource)], deny=True), (rights, "denied", operation)
                    assert self.with_rules(row, [("All", resource)], deny=True), (rights, "all denied")
            finally:
                for operation, resource in rights:
                    rule("acl.remove", self.broker, operation, resource)
        every = {resource for rights in alternatives for _, resource in rights}
        assert not self.with_rules(row, [("All", resource) for resource in every]), "with all rights"
        assert self.refused(row), "after they were taken back"


def advertised(raw):
    keys = {one["api_key"] for one in call(raw, "ApiVersions", 3, {"client_software_name": "t", "client_software_version": "1"})["api_keys"]}
    names = {table.key: table.name for table in kafka_wire.tables().values()}
    assert keys <= set(names), keys - set(names)
    return {names[key] for key in keys}


def test_each_api_asks_for_its_operations_on_its_resources_and_for_no_others():
    with secured("telemetry.topic=telemetry") as broker, broker.connect() as raw:
        assert broker.run("topic", "create", "t")[0] == 0
        allow(broker, "Describe", T)
        ids = {"t": call(raw, "Metadata", 12, {"topics": [{"name": "t"}]})["topics"][0]["topic_id"]}
        rule("acl.remove", broker, "Describe", T)
        asker, served, problems = Asker(broker, raw, ids), advertised(raw), []
        for row in ROWS:
            if row[0] not in served:
                continue  # not built yet
            try:
                asker.check(row)
            except AssertionError as error:
                problems.append("%s v%d %s: %s" % (row[0], row[1], row[3:], error))
        assert not problems, "\n".join(problems)
        left = broker.json("acl", "list")["rules"]
        assert left == [], left


def test_every_advertised_api_has_a_row():
    with secured("telemetry.topic=telemetry") as broker, broker.connect() as raw:
        served = advertised(raw)
    assert not {row[0] for row in ROWS} & set(OPEN)
    missing = served - {row[0] for row in ROWS} - set(OPEN)
    assert not missing, "no row says what these ask for: %s" % sorted(missing)
    assert set(OPEN) <= served, set(OPEN) - served


load_tests = loader(globals())
