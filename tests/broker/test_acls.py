"""Access rules: Kafka's model through its own admin calls and through a file, over restarts, and what each API refuses.

Nobody logs in here, so everybody is User:ANONYMOUS; who is who by password and by certificate is in test_sasl.py and
test_tls.py. The admin socket is not asked."""
import json
import os
import socket
import struct
import sys

try:
    from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient
    from kafka.admin import (ACL, ACLFilter, ACLOperation, ACLPermissionType, ACLResourcePatternType, KafkaAdminClient, ResourcePattern,
                             ResourcePatternFilter, ResourceType)
    from kafka.errors import SecurityDisabledError
except ImportError as error:
    MISSING = str(error)

from sluice_broker import SOURCE, Broker, loader, request, wait_for
from test_storage_tools import data_of
from wire_batch import batch

sys.path.insert(0, os.path.join(SOURCE, "tests", "formats"))
import wal_reader  # noqa: E402

ME = "User:ANONYMOUS"
TOPIC, GROUP, CLUSTER = 29, 30, 31  # Kafka's errors


def secured(*settings, **options):
    return Broker("security.authorization=true", "core.topics.auto_create=false", *settings, **options)


def rule(command, broker, operation, resource, deny=False, principal=ME):
    """Over the admin socket: hundreds of commands would take their time."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.connect(os.path.join(broker.home, "sluice.sock"))
        args = {"principal": principal, "operation": operation, "resource": resource, "deny": deny}
        admin.sendall(json.dumps({"id": 1, "command": command, "args": args}).encode() + b"\n")
        answer = json.loads(admin.makefile().readline())
    assert answer["ok"], answer


def allow(broker, operation, resource, deny=False, principal=ME):
    rule("acl.add", broker, operation, resource, deny, principal)


def admin_of(broker):
    return AdminClient({"bootstrap.servers": broker.address, "socket.timeout.ms": 10000})


# ---- every API with every right it needs, by hand-made frames ----

def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def fetch_v4():
    part = struct.pack(">iqi", 0, 0, 1 << 20)
    return struct.pack(">iiiib", -1, 0, 0, 1 << 20, 0) + array([text("t") + array([part])])


def produce_v3():
    data = batch([b"a"])
    part = struct.pack(">i", 0) + struct.pack(">i", len(data)) + data
    return struct.pack(">hhi", -1, -1, 10000) + array([text("t") + array([part])])


def at(offset):
    """Reads the int16 at that place of an answer, from its correlation id on."""
    return lambda answer: struct.unpack_from(">h", answer, offset)[0]


# Name, key, version, body, where the error is, the error, and every right that lets it pass (any of a list).
MATRIX = [
    ("Produce", 0, 3, produce_v3, at(4 + 4 + 3 + 4 + 4), TOPIC, [[("Write", "Topic:t")], [("All", "Topic:t")], [("Write", "Topic:*")]]),
    ("Fetch", 1, 4, fetch_v4, at(4 + 4 + 4 + 3 + 4 + 4), TOPIC, [[("Read", "Topic:t")], [("Read", "Topic:*")]]),
    ("ListOffsets", 2, 1, lambda: struct.pack(">i", -1) + array([text("t") + array([struct.pack(">iq", 0, -2)])]),
     at(4 + 4 + 3 + 4 + 4), TOPIC, [[("Describe", "Topic:t")], [("Read", "Topic:t")], [("Write", "Topic:t")], [("Delete", "Topic:t")], [("Alter", "Topic:t")]]),
    ("Metadata", 3, 1, lambda: array([text("t")]), None, TOPIC, [[("Describe", "Topic:t")], [("Read", "Topic:t")]]),
    ("OffsetCommit", 8, 2, lambda: text("g") + struct.pack(">i", -1) + text("") + struct.pack(">q", -1)
     + array([text("t") + array([struct.pack(">iq", 0, 0) + text("")])]), at(4 + 4 + 3 + 4 + 4), (GROUP, TOPIC),
     [[("Read", "Group:g"), ("Read", "Topic:t")]]),
    ("OffsetFetch", 9, 2, lambda: text("g") + array([text("t") + array([struct.pack(">i", 0)])]),
     lambda answer: at(len(answer) - 2)(answer), GROUP, [[("Describe", "Group:g"), ("Describe", "Topic:t")], [("Read", "Group:g"), ("Read", "Topic:t")]]),
    ("FindCoordinator", 10, 0, lambda: text("g"), at(4), GROUP, [[("Describe", "Group:g")], [("Read", "Group:g")]]),
    ("JoinGroup", 11, 0, lambda: text("g") + struct.pack(">i", 10000) + text("") + text("consumer") + array([text("range") + struct.pack(">i", 0)]),
     at(4), GROUP, [[("Read", "Group:g")]]),
    ("Heartbeat", 12, 0, lambda: text("g") + struct.pack(">i", 1) + text("m"), at(4), GROUP, [[("Read", "Group:g")]]),
    ("LeaveGroup", 13, 0, lambda: text("g") + text("m"), at(4), GROUP, [[("Read", "Group:g")]]),
    ("SyncGroup", 14, 0, lambda: text("g") + struct.pack(">i", 1) + text("m") + array([]), at(4), GROUP, [[("Read", "Group:g")]]),
    ("CreateTopics", 19, 2, lambda: array([text("made") + struct.pack(">ih", 1, 1) + array([]) + array([])]) + struct.pack(">ib", 1000, 1),
     at(4 + 4 + 4 + 6), TOPIC, [[("Create", "Topic:made")], [("Create", "Cluster")], [("Create", "Topic:ma*")]]),
    ("DeleteTopics", 20, 1, lambda: array([text("gone")]) + struct.pack(">i", 1000), at(4 + 4 + 4 + 6), TOPIC, [[("Delete", "Topic:gone")]]),
    ("DeleteRecords", 21, 0, lambda: array([text("t") + array([struct.pack(">iq", 0, 0)])]) + struct.pack(">i", 1000),
     lambda answer: at(len(answer) - 2)(answer), TOPIC, [[("Delete", "Topic:t")]]),
    ("InitProducerId", 22, 0, lambda: struct.pack(">hi", -1, 1000), at(8), CLUSTER, [[("IdempotentWrite", "Cluster")], [("Write", "Topic:any")]]),
    ("DescribeAcls", 29, 1, lambda: struct.pack(">bhbhhbb", 1, -1, 1, -1, -1, 1, 1), at(8), CLUSTER, [[("Describe", "Cluster")], [("Alter", "Cluster")]]),
    ("CreateAcls", 30, 1, lambda: array([struct.pack(">b", 2) + text("x") + b"\x03" + text("User:x") + text("*") + b"\x03\x03"]), at(12), CLUSTER, [[("Alter", "Cluster")]]),
    ("DeleteAcls", 31, 1, lambda: array([struct.pack(">b", 2) + text("x") + b"\x03" + text("User:x") + struct.pack(">hbb", -1, 1, 1)]), at(12), CLUSTER, [[("Alter", "Cluster")]]),
    ("DescribeConfigs", 32, 1, lambda: array([b"\x02" + text("t") + struct.pack(">i", -1)]) + b"\x00", at(12), TOPIC,
     [[("DescribeConfigs", "Topic:t")], [("AlterConfigs", "Topic:t")]]),
    ("DescribeConfigs of the broker", 32, 1, lambda: array([b"\x04" + text("1") + struct.pack(">i", -1)]) + b"\x00", at(12), CLUSTER,
     [[("DescribeConfigs", "Cluster")]]),
    ("DescribeClientQuotas", 48, 0, lambda: array([]) + b"\0", at(8), CLUSTER, [[("DescribeConfigs", "Cluster")]]),
    ("AlterClientQuotas", 49, 0, lambda: array([array([text("user") + text("x")]) + array([text("producer_byte_rate") + struct.pack(">d", 1e9) + b"\0"])])
     + b"\1", at(12), CLUSTER, [[("AlterConfigs", "Cluster")]]),
    ("AlterConfigs", 33, 0, lambda: array([b"\x02" + text("t") + array([text("retention.ms") + text("1000")])]) + b"\x01", at(12), TOPIC,
     [[("AlterConfigs", "Topic:t")]]),
]


# What implies the operation that these ask for says nothing when it denies.
IMPLIED = ("ListOffsets", "Metadata", "FindCoordinator", "OffsetFetch", "InitProducerId", "DescribeAcls", "DescribeConfigs")


def error_of(raw, row):
    name, key, version, body, find = row[:5]
    raw.send_frame(request(key, version, 7, body()))
    answer = raw.read_frame()
    if name == "Metadata":  # behind the broker of the list
        place = 4 + 4 + 4
        place += 2 + struct.unpack_from(">h", answer, place)[0] + 4 + 2 + 4 + 4
        return at(place)(answer)
    return find(answer)


def test_each_api_refuses_what_no_rule_allows_and_does_what_one_does():
    """Operation × resource × principal: with nothing, with each set of rights that suffices, with each of them taken
    away again, with those of another principal, and with a rule that denies."""
    with secured() as broker:
        broker.run("topic", "create", "t")
        with broker.connect() as raw:
            for row in MATRIX:
                refused = row[5] if isinstance(row[5], tuple) else (row[5],)
                assert error_of(raw, row) in refused, (row[0], error_of(raw, row))
                for rights in row[6]:
                    for operation, resource in rights:
                        allow(broker, operation, resource, principal="User:other")
                    assert error_of(raw, row) in refused, (row[0], "rights of another one")
                    for operation, resource in rights:
                        allow(broker, operation, resource)
                    error = error_of(raw, row)
                    assert error not in (TOPIC, GROUP, CLUSTER), (row[0], rights, error)
                    operation, resource = rights[-1]
                    allow(broker, operation, resource, deny=True)
                    if row[0] not in IMPLIED:
                        assert error_of(raw, row) in (TOPIC, GROUP, CLUSTER), (row[0], rights, "denied")
                    rule("acl.remove", broker, operation, resource, deny=True)
                    for held in rights:
                        rule("acl.remove", broker, *held)
                    assert error_of(raw, row) in refused, (row[0], "after it was taken back")


def test_what_may_not_be_described_is_not_there():
    with secured() as broker:
        broker.run("topic", "create", "seen", "hidden")
        allow(broker, "Describe", "Topic:seen")
        assert sorted(admin_of(broker).list_topics(timeout=10).topics) == ["seen"]
        for name in ("hidden", "absent"):  # both alike: nobody learns which of them exists
            found = admin_of(broker).list_topics(name, timeout=10).topics[name]
            assert found.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, (name, found.error)


def test_a_part_of_a_request_that_is_refused_leaves_the_rest_alone():
    with secured() as broker:
        broker.run("topic", "create", "mine", "theirs")
        allow(broker, "All", "Topic:mine")
        allow(broker, "Read", "Group:*")
        told = {}
        producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, "linger.ms": 50})
        for topic in ("mine", "theirs", "mine"):
            producer.produce(topic, b"x", on_delivery=lambda error, message: told.setdefault(message.topic(), []).append(error))
        producer.flush(20)
        assert told["mine"] == [None, None], told
        assert told["theirs"][0].code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._PURGE_QUEUE), told
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition("mine", 0, 0), TopicPartition("theirs", 0, 0)])
        seen = []
        wait_for(lambda: seen.append(consumer.poll(0.2)) or len([m for m in seen if m and not m.error()]) == 2, "the records that it may read")
        consumer.close()


def rules_admin(broker):
    return KafkaAdminClient(bootstrap_servers=broker.address)


def filter_of(resource, name, pattern):
    return ACLFilter(None, "*", ACLOperation.ANY, ACLPermissionType.ANY, ResourcePatternFilter(resource, name, pattern))


def every_rule():
    """kafka-python's filter needs a host; "*" is that of every rule here."""
    return filter_of(ResourceType.ANY, None, ACLResourcePatternType.ANY)


def test_rules_through_kafkas_admin_calls_survive_a_kill():
    with secured("security.super_users=%s" % ME) as broker:
        rules = [ACL("User:alice", "*", ACLOperation.READ, ACLPermissionType.ALLOW,
                     ResourcePattern(ResourceType.TOPIC, "orders-", ACLResourcePatternType.PREFIXED)),
                 ACL("User:alice", "*", ACLOperation.READ, ACLPermissionType.DENY, ResourcePattern(ResourceType.GROUP, "g"))]
        made = rules_admin(broker).create_acls(rules)
        assert len(made["succeeded"]) == 2 and not made["failed"], made
        broker.crash()
        broker.start()
        found, error = rules_admin(broker).describe_acls(every_rule())
        assert sorted(map(repr, found)) == sorted(map(repr, rules)), (found, error)
        matching = filter_of(ResourceType.TOPIC, "orders-7", ACLResourcePatternType.MATCH)
        assert len(rules_admin(broker).describe_acls(matching)[0]) == 1
        (_, gone, error), = rules_admin(broker).delete_acls([matching])
        assert [rule.resource_pattern.resource_name for rule, _ in gone] == ["orders-"], (gone, error)
        broker.crash()
        broker.start()
        left, _ = rules_admin(broker).describe_acls(every_rule())
        assert [rule.resource_pattern.resource_type for rule in left] == [ResourceType.GROUP], left
        broker.stop()
        rules = wal_reader.Folder(data_of(broker)).all("rules")  # by the document alone: Read, denied, on a group, literal
        assert list(rules) == [("User:alice", "*", 3, 2, 3, 3, "g")], rules


def test_a_broker_without_an_authorizer_says_so():
    with Broker() as broker:
        try:
            rules_admin(broker).describe_acls(every_rule())
            raise AssertionError("it was answered")
        except SecurityDisabledError:
            pass


def rules_file(broker, *rules):
    path = os.path.join(broker.home, "acls.json")
    with open(path + ".new", "w") as file:
        json.dump({"rules": [dict(zip(("principal", "operation", "resource", "allow"), rule)) for rule in rules]}, file)
    os.rename(path + ".new", path)
    return path


def test_a_file_of_rules_is_in_force_at_once_and_a_broken_one_changes_nothing():
    broker = Broker("core.topics.auto_create=false", start=False)
    with broker:
        path = rules_file(broker, (ME, "Read", "Topic:user-events", True))
        broker.settings.append("security.acl_file=" + path)
        broker.start()
        broker.run("topic", "create", "user-events", "other")
        topics = lambda: sorted(admin_of(broker).list_topics(timeout=10).topics)
        assert topics() == ["user-events"], topics()
        rules_file(broker, (ME, "Describe", "Topic:*", True))
        wait_for(lambda: topics() == ["other", "user-events"], "the new rules")
        with open(path, "w") as file:
            file.write('{"rules": [')
        wait_for(lambda: "the access rules are not reloaded" in broker.log(), "the broken file to be told")
        assert topics() == ["other", "user-events"]
        broker.stop()
        try:
            broker.start()
            raise AssertionError("it started with rules that do not parse")
        except AssertionError as error:
            assert "acls.json" in str(error) and "not JSON" in str(error), error


def test_the_command_line_lists_adds_and_removes_rules():
    with secured() as broker:
        code, _, err = broker.run("acl", "add", "User:alice", "Read", "Topic:a", "--host", "10.0.0.1")
        assert code == 0, err
        assert broker.json("acl", "list")["rules"] == [
            {"principal": "User:alice", "operation": "Read", "resource": "Topic:a", "host": "10.0.0.1", "allow": True}]
        code, _, err = broker.run("acl", "remove", "User:alice", "Read", "Topic:a")
        assert code == 1 and "no such rule" in err, (code, err)
        code, _, err = broker.run("acl", "remove", "User:alice", "Read", "Topic:a", "--host", "10.0.0.1")
        assert code == 0, err
        assert broker.json("acl", "list")["rules"] == []
        code, _, err = broker.run("acl", "add", "alice", "Read", "Topic:a")
        assert code != 0 and "User:alice" in err, (code, err)


STAGE = """return { name = "up", on = "log", input = "in", output = "out", outputs = { "secrets" },
  process = function(record)
    if record.value == "secret" then emit("secrets", record); return nil end
    return record
  end }"""
GATE = 'return { name = "guard", on = "produce", input = "guarded", process = function(record) return record end }'


def test_a_rule_that_denies_a_plugin_takes_away_what_the_configuration_gives():
    with secured() as broker:
        broker.run("topic", "create", "in", "guarded")
        for operation in ("Read", "Write"):
            allow(broker, operation, "Topic:*")
        for name, text in (("up", STAGE), ("guard", GATE)):
            with open(os.path.join(broker.home, "plugins", name + ".lua"), "w", encoding="utf-8") as file:
                file.write(text)
        running = lambda name: name in [p["name"] for p in broker.json("plugin", "list")["plugins"] if p["state"] == "running"]
        wait_for(lambda: running("up") and running("guard"), "the plugins")
        stall = lambda: "".join(p["stall"] for p in broker.json("plugin", "info", "up")["partitions"])

        def deny(operation, topic, who="Plugin:up"):
            assert broker.run("acl", "add", who, operation, "Topic:" + topic, "--deny")[0] == 0
            return lambda: broker.run("acl", "remove", who, operation, "Topic:" + topic, "--deny")

        broker.produce("in", ["one", "secret"])
        wait_for(lambda: "secrets" in [topic["name"] for topic in broker.json("topic", "list")["topics"]], "the topic that is written to")
        wait_for(lambda: broker.consume("secrets") == ["secret"], "what is granted")

        again = deny("Read", "in")
        broker.produce("in", ["two"])
        wait_for(lambda: "denies it to read its input" in stall(), "the stage to wait")
        assert broker.consume("out") == ["one"]
        again()
        wait_for(lambda: broker.consume("out") == ["one", "two"], "the rule to be gone")

        again = deny("Write", "out")
        broker.produce("in", ["three"])
        wait_for(lambda: "denies it to write its output" in stall(), "the stage to wait")
        again()
        wait_for(lambda: broker.consume("out") == ["one", "two", "three"], "the rule to be gone")

        deny("Write", "sec", "Plugin:other")
        deny("Write", "secrets")
        broker.produce("in", ["secret", "four"])
        wait_for(lambda: broker.consume("out")[3:] == ["four"], "the record beside it")
        assert broker.consume("secrets") == ["secret"]
        letters = broker.run("dlq", "show", "up", "--json")[1]
        assert b"may not write to topic secrets: an access rule denies it" in letters, letters

        broker.produce("guarded", ["a"])
        deny("Read", "guarded", "Plugin:guard")
        try:
            broker.produce("guarded", ["b"])
            raise LookupError("it was written")
        except AssertionError as error:
            assert "authorization failed" in str(error), error
        assert broker.consume("guarded") == ["a"]


load_tests = loader(globals())
