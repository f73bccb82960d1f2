"""Quotas of clients: set by Kafka's calls and on the command line, kept over a crash, and what they do to who uses more.

Nothing is timed: an answer says how long to wait, and where nothing may come the wait is far beyond the test's end."""
import os
import select
import sys

from kafka_wire import call, frame
from sluice_broker import SOURCE, Broker, loader, wait_for
from test_compaction import metric
from test_storage_tools import data_of
from wire_batch import batch

sys.path.insert(0, os.path.join(SOURCE, "tests", "formats"))
import wal_reader  # noqa: E402

NONE, INVALID_REQUEST, QUOTA_EXCEEDED = 0, 42, 89
EVERYBODY = [{"entity_type": "user", "entity_name": None}]


def entity(**names):
    """user="alice", client_id=None for the default."""
    return [{"entity_type": kind.replace("_", "-"), "entity_name": name} for kind, name in names.items()]


def alter(raw, who, version=1, validate_only=False, **limits):
    """A limit of None is removed. (error, message) of the entry."""
    ops = [{"key": key, "value": limit or 0.0, "remove": limit is None} for key, limit in limits.items()]
    answer = call(raw, "AlterClientQuotas", version, {"entries": [{"entity": who, "ops": ops}], "validate_only": validate_only})
    entry, = answer["entries"]
    assert [part["entity_type"] for part in entry["entity"]] == [part["entity_type"] for part in who]
    return entry["error_code"], entry["error_message"]


def described(raw, *components, strict=False, version=1):
    """{entity as sorted pairs: {key: value}}"""
    parts = [{"entity_type": kind, "match_type": match, "match": name} for kind, match, name in components]
    answer = call(raw, "DescribeClientQuotas", version, {"components": parts, "strict": strict})
    assert answer["error_code"] == NONE, answer
    return {tuple(sorted((part["entity_type"], part["entity_name"]) for part in entry["entity"])):
            {value["key"]: value["value"] for value in entry["values"]} for entry in answer["entries"]}


def records(size):
    """A batch of one record with a value of that size."""
    return batch([b"v" * size])


def produce_request(size, acks=1, topic="t"):
    return {"acks": acks, "timeout_ms": 10000,
            "topic_data": [{"name": topic, "partition_data": [{"index": 0, "records": records(size)}]}]}


def make_topic(raw):
    answer = call(raw, "CreateTopics", 7, {"topics": [{"name": "t", "num_partitions": 1, "replication_factor": 1}], "timeout_ms": 10000})
    assert answer["topics"][0]["error_code"] == NONE, answer


def produce(raw, size):
    answer = call(raw, "Produce", 9, produce_request(size))
    assert answer["responses"][0]["partition_responses"][0]["error_code"] == NONE, answer
    return answer["throttle_time_ms"]


def fetch(raw, session=(0, -1)):
    topics = [{"topic": "t", "partitions": [{"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 20}]}]
    return call(raw, "Fetch", 11, {"replica_id": -1, "max_wait_ms": 0, "min_bytes": 0, "max_bytes": 1 << 20,
                                   "session_id": session[0], "session_epoch": session[1], "topics": topics})


def fetched_bytes(answer):
    assert answer["error_code"] == NONE
    return sum(len(part["records"] or b"") for topic in answer["responses"] for part in topic["partitions"])


def is_silent(broker, raw):
    """What is sent now is not answered, while others are."""
    raw.send_frame(frame("ApiVersions", 0, {}))
    with broker.connect() as other:
        call(other, "ApiVersions", 0)
    return not select.select([raw.socket], [], [], 0)[0]


def test_quotas_are_set_listed_and_removed_and_outlive_a_crash():
    with Broker() as broker:
        with broker.connect() as raw:
            assert alter(raw, entity(user="alice"), producer_byte_rate=1024.0, request_percentage=12.5) == (NONE, None)
            assert alter(raw, entity(user="alice", client_id=None), version=0, consumer_byte_rate=2048.0) == (NONE, None)
            assert alter(raw, entity(client_id="app"), controller_mutation_rate=0.5) == (NONE, None)
            assert alter(raw, entity(ip="10.0.0.1"), connection_creation_rate=7.0) == (NONE, None)
            assert alter(raw, entity(user="bob"), validate_only=True, producer_byte_rate=1.0) == (NONE, None)
            assert alter(raw, entity(user="carol"), producer_byte_rate=1.0) == (NONE, None)
            assert alter(raw, entity(user="carol"), producer_byte_rate=None) == (NONE, None)
        everything = {
            (("user", "alice"),): {"producer_byte_rate": 1024.0, "request_percentage": 12.5},
            (("client-id", None), ("user", "alice")): {"consumer_byte_rate": 2048.0},
            (("client-id", "app"),): {"controller_mutation_rate": 0.5},
            (("ip", "10.0.0.1"),): {"connection_creation_rate": 7.0}}
        for _ in range(2):
            with broker.connect() as raw:
                assert described(raw) == everything
                assert described(raw, version=0) == everything
                alices = described(raw, ("user", 0, "alice"))
                assert set(alices) == {(("user", "alice"),), (("client-id", None), ("user", "alice"))}
                assert set(described(raw, ("user", 0, "alice"), strict=True)) == {(("user", "alice"),)}
                assert set(described(raw, ("client-id", 1, None))) == {(("client-id", None), ("user", "alice"))}
                assert set(described(raw, ("client-id", 2, None), strict=True)) == {(("client-id", "app"),)}
                assert described(raw, ("user", 0, "nobody")) == {}
            broker.crash()
            broker.start()
        broker.stop()
        quotas = wal_reader.Folder(data_of(broker)).all("quotas")
        assert quotas == {(("alice", None, None), 1): 1024.0, (("alice", None, None), 3): 12.5, (("alice", "", None), 2): 2048.0,
                          ((None, "app", None), 4): 0.5, ((None, None, "10.0.0.1"), 5): 7.0}, quotas


def test_what_kafka_refuses_is_refused_and_nothing_changes():
    with Broker() as broker, broker.connect() as raw:
        for who, limits in (([], {"producer_byte_rate": 1.0}),
                            (entity(user="a", ip="::1"), {"producer_byte_rate": 1.0}),
                            (entity(shoe="a"), {"producer_byte_rate": 1.0}),
                            (entity(user=""), {"producer_byte_rate": 1.0}),
                            (entity(user="a") * 2, {"producer_byte_rate": 1.0}),
                            (entity(user="a"), {"connection_creation_rate": 1.0}),
                            (entity(user="a"), {"no_such_rate": 1.0}),
                            (entity(user="a"), {"producer_byte_rate": 0.0}),
                            (entity(user="a"), {"producer_byte_rate": 1.5}),
                            (entity(user="a"), {"request_percentage": 50.0, "producer_byte_rate": -1.0}),
                            (entity(ip="example"), {"connection_creation_rate": 1.0})):
            error, message = alter(raw, who, **limits)
            assert error == INVALID_REQUEST and message, (who, limits, error)
        assert described(raw) == {}
        for components in ([("user", 0, None)], [("user", 1, "a")], [("user", 3, None)], [("user", 2, None)] * 2):
            parts = [{"entity_type": kind, "match_type": match, "match": name} for kind, match, name in components]
            answer = call(raw, "DescribeClientQuotas", 1, {"components": parts})
            assert answer["error_code"] == INVALID_REQUEST and answer["entries"] is None, components


def test_the_command_line_sets_lists_and_removes_quotas():
    with Broker() as broker:
        broker.run("quota", "set", "User:alice,Client:*", "producer_byte_rate=1000", "request_percentage=2.5")
        broker.run("quota", "set", "Ip:*", "connection_creation_rate=10")
        listed = {(row["entity"], row["key"]): row["value"] for row in broker.json("quota", "list")["quotas"]}
        assert listed == {("User:alice,Client:*", "producer_byte_rate"): 1000, ("User:alice,Client:*", "request_percentage"): 2.5,
                          ("Ip:*", "connection_creation_rate"): 10}
        broker.run("quota", "remove", "User:alice,Client:*", "producer_byte_rate", "request_percentage")
        assert [row["entity"] for row in broker.json("quota", "list")["quotas"]] == ["Ip:*"]


def test_a_producer_beyond_its_quota_is_answered_told_to_wait_and_not_read():
    with Broker() as broker, broker.connect() as raw, broker.connect() as admin:
        make_topic(raw)
        alter(admin, entity(client_id="test"), producer_byte_rate=1.0)
        assert produce(raw, 2000) > 60000  # it is stored all the same
        assert is_silent(broker, raw)
        with broker.connect() as again:  # a new connection is the same client
            assert produce(again, 10) > 60000
            assert is_silent(broker, again)
        wait_for(lambda: metric(broker, 'sluice_quota_throttled_total{quota="producer_byte_rate",principal="User:ANONYMOUS"}') == 2, "two throttled answers")
        alter(admin, entity(client_id="test"), producer_byte_rate=None)
        with broker.connect() as free:
            assert produce(free, 2000) == 0


def test_after_the_time_it_was_told_a_producer_is_read_again():
    with Broker() as broker, broker.connect() as raw, broker.connect() as admin:
        make_topic(raw)
        alter(admin, EVERYBODY, producer_byte_rate=1000.0)
        told = produce(raw, 11500)  # of ten seconds and a part: a second or two
        assert 0 < told < 3000, told
        call(raw, "ApiVersions", 0)


def test_without_acknowledgements_it_is_muted_too():
    with Broker() as broker, broker.connect() as raw, broker.connect() as admin:
        make_topic(raw)
        alter(admin, EVERYBODY, producer_byte_rate=1.0)
        raw.send_frame(frame("Produce", 9, produce_request(2000, acks=0)))
        raw.send_frame(frame("ApiVersions", 0, {}))

        def end():
            query = [{"name": "t", "partitions": [{"partition_index": 0, "timestamp": -1}]}]
            return call(admin, "ListOffsets", 5, {"replica_id": -1, "topics": query})["topics"][0]["partitions"][0]["offset"]
        wait_for(lambda: end() == 1, "what was produced without an acknowledgement")
        assert not select.select([raw.socket], [], [], 0)[0]


def test_a_reader_gets_what_its_quota_allows_and_then_nothing():
    with Broker() as broker, broker.connect() as raw, broker.connect() as admin:
        make_topic(raw)
        for _ in range(12):
            produce(raw, 1000)
        alter(admin, EVERYBODY, consumer_byte_rate=500.0)
        first = fetch(raw)  # of 12 KB: those of ten seconds
        assert first["throttle_time_ms"] == 0 and 1000 <= fetched_bytes(first) <= 5000, first
        with broker.connect() as other:
            second = fetch(other, (0, 0))
            assert second["throttle_time_ms"] > 0 and fetched_bytes(second) == 0
            assert second["session_id"] == 0 and second["responses"] == []


def test_one_batch_beyond_the_whole_quota_is_still_read():
    with Broker() as broker, broker.connect() as raw, broker.connect() as admin:
        make_topic(raw)
        produce(raw, 5000)
        alter(admin, EVERYBODY, consumer_byte_rate=1.0)
        assert fetched_bytes(fetch(raw)) >= 5000
        with broker.connect() as other:
            assert fetch(other)["throttle_time_ms"] > 60000


def test_time_that_requests_take_is_limited():
    with Broker() as broker, broker.connect() as raw, broker.connect() as admin:
        alter(admin, EVERYBODY, request_percentage=0.00001)
        told = wait_for(lambda: call(raw, "ApiVersions", 2)["throttle_time_ms"], "an answer that tells to wait")
        assert told <= 1000, told  # a window at most
        alter(admin, EVERYBODY, request_percentage=None)


def test_changes_of_topics_are_limited_by_partitions():
    with Broker() as broker, broker.connect() as raw, broker.connect() as admin:
        def create(name, version, connection):
            topics = [{"name": name, "num_partitions": 2, "replication_factor": 1}]
            answer = call(connection, "CreateTopics", version, {"topics": topics, "timeout_ms": 10000})
            return answer["topics"][0]["error_code"], answer["throttle_time_ms"]
        alter(admin, EVERYBODY, controller_mutation_rate=0.001)
        assert create("first", 7, raw) == (NONE, 0)  # one may take more than there is, once
        error, told = create("second", 7, raw)
        assert error == QUOTA_EXCEEDED and told > 60000
        with broker.connect() as old:  # does not know the error
            error, told = create("third", 5, old)
            assert error == NONE and told > 60000
        with broker.connect() as other:
            answer = call(other, "CreatePartitions", 3, {"topics": [{"name": "first", "count": 3}], "timeout_ms": 10000})
            assert answer["results"][0]["error_code"] == QUOTA_EXCEEDED and answer["throttle_time_ms"] > 60000
        with broker.connect() as other:
            answer = call(other, "DeleteTopics", 5, {"topic_names": ["first"], "timeout_ms": 10000})
            assert answer["responses"][0]["error_code"] == QUOTA_EXCEEDED and answer["throttle_time_ms"] > 60000


load_tests = loader(globals())
