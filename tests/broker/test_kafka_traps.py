"""What real clients assume that naive brokers get wrong: a test for each trap, by its number in
docs/reference/kafka-traps.md, on the wire. Traps whose test is elsewhere are in that table."""
import os
import re
import socket
import struct
import time

from wire_batch import batch, fetch, fetch_request, headers, produce, produce_on
from kafka_wire import answer_of, call, frame, tables
from sluice_broker import SOURCE, Broker, loader, wait_for

NEEDS = ("frontend_kafka",)

OK, OUT_OF_RANGE, UNKNOWN_TOPIC = 0, 1, 3
OUT_OF_ORDER, UNKNOWN_TOPIC_ID = 45, 100


def ask(broker, name, version, values=None, **more):
    with broker.connect() as raw:
        return call(raw, name, version, values, **more)


def broker_with(topic="t", partitions=1, shards=None, **configs):
    broker = Broker(*([] if shards is None else [f"runtime.shards={shards}"]))
    settings = [word for key, value in configs.items() for word in ("-c", f"{key.replace('_', '.')}={value}")]
    code, _, err = broker.run("topic", "create", topic, "-p", str(partitions), *settings)
    assert code == 0, err
    return broker


def ranges(broker, version=0):
    more = {"client_software_name": "t", "client_software_version": "1"} if version >= 3 else {}
    return {api["api_key"]: (api["min_version"], api["max_version"]) for api in ask(broker, "ApiVersions", version, more)["api_keys"]}


def topics_of(broker, version=9, **more):
    return ask(broker, "Metadata", version, more)["topics"]


# ---- versions and frames ----

def test_trap_1_old_versions_that_librdkafka_wants_are_advertised_and_answered():
    wanted = {10: (0,), 11: (0,), 12: (0,), 13: (0,), 14: (0,), 8: (2,), 9: (1,), 2: (1,), 22: (0,), 0: (2, 3, 7), 1: (4, 10),
              17: (0, 1), 36: (0,)}
    with broker_with() as broker:
        told = ranges(broker)
        for key, versions in wanted.items():
            assert all(told[key][0] <= version <= told[key][1] for version in versions), (key, told[key])
        assert ask(broker, "FindCoordinator", 0, {"key": "g"})["error_code"] == OK
        assert ask(broker, "InitProducerId", 0, {"transactional_id": None, "transaction_timeout_ms": 1000})["error_code"] == OK
        listed = ask(broker, "ListOffsets", 1, {"replica_id": -1, "topics": [
            {"name": "t", "partitions": [{"partition_index": 0, "timestamp": -1}]}]})
        assert listed["topics"][0]["partitions"][0]["error_code"] == OK
        joined = ask(broker, "JoinGroup", 0, {"group_id": "g", "session_timeout_ms": 10000, "protocol_type": "consumer",
                                              "protocols": [{"name": "range", "metadata": b""}]})
        assert joined["error_code"] == OK and joined["leader"] == joined["member_id"]
        assert fetch(broker, "t", version=4)["error_code"] == OK


def test_trap_2_produce_is_advertised_from_0_and_taken_from_3():
    with broker_with() as broker:
        assert ranges(broker)[0] == (0, 13)
        with broker.connect() as raw:
            raw.send_frame(struct.pack(">hhih", 0, 2, 1, -1) + struct.pack(">hii", 1, 1000, 0))
            assert raw.is_closed()
        assert produce(broker, "t", batch([b"a"]), version=3)["base_offset"] == 0


def test_trap_3_bytes_behind_a_request_are_tolerated():
    with broker_with() as broker, broker.connect() as raw:
        raw.send_frame(frame("Metadata", 9, {"topics": None}) + b"\0\0\0")
        assert [topic["name"] for topic in answer_of("Metadata", 9, raw.read_frame())["topics"]] == ["t"]


def test_trap_4_an_api_versions_request_from_the_future_is_answered_in_version_0():
    with Broker() as broker:
        with broker.connect() as raw:
            raw.send_frame(struct.pack(">hhih", 18, 99, 7, -1) + b"\xff no body that anybody knows")
            answer = answer_of("ApiVersions", 0, raw.read_frame())
            assert answer["error_code"] == 35
            assert [(api["api_key"], api["min_version"], api["max_version"]) for api in answer["api_keys"]] == [(18, 0, 4)]
            assert call(raw, "ApiVersions", 0)["error_code"] == OK, "the client asks again"
        for name in ("", "-a", "a b", "a_b"):
            assert ask(broker, "ApiVersions", 3, {"client_software_name": name, "client_software_version": "1"})["error_code"] == 42


def test_trap_5_features_that_begin_at_0_are_told_from_version_4_on():
    with Broker() as broker:
        named = {"client_software_name": "t", "client_software_version": "1.0"}
        three, four = (ask(broker, "ApiVersions", version, named) for version in (3, 4))
        assert all(one["min_version"] > 0 for one in three["supported_features"])
        assert "transaction.version" in [one["name"] for one in four["supported_features"]]
        for answer in (three, four):
            assert all(one["max_version_level"] > 0 for one in answer["finalized_features"])
            assert answer["finalized_features_epoch"] >= 0


def test_trap_6_features_in_force_are_those_whose_calls_are_served():
    with Broker() as broker:
        named = {"client_software_name": "t", "client_software_version": "1.0"}
        answer = ask(broker, "ApiVersions", 4, named)
        levels = {one["name"]: one["max_version_level"] for one in answer["finalized_features"]}
        served = {api["api_key"] for api in answer["api_keys"]}
        assert levels["transaction.version"] == 2
        for feature, key in (("group.version", 68), ("share.version", 76), ("streams.version", 88)):
            assert (feature in levels) == (key in served), feature


def test_trap_7_any_other_unknown_version_or_key_closes_the_connection():
    with Broker() as broker:
        for key, version in ((3, 99), (1000, 0), (0, 99), (52, 0)):
            with broker.connect() as raw:
                raw.send_frame(struct.pack(">hhih", key, version, 1, -1) + b"\0" * 8)
                assert raw.is_closed(), (key, version)


def test_trap_8_unknown_tagged_fields_are_skipped_in_header_and_body():
    with broker_with() as broker, broker.connect() as raw:
        whole = frame("Metadata", 9, {"topics": None}, tagged=[(77, b"later")])
        head = 2 + 2 + 4 + 2 + len("test")  # the client id has its int16 length in a flexible header too
        assert whole[head:head + 1] == b"\0"
        raw.send_frame(whole[:head] + b"\x01\x4d\x03abc" + whole[head + 1:])
        assert [topic["name"] for topic in answer_of("Metadata", 9, raw.read_frame())["topics"]] == ["t"]
        raw.send_frame(frame("ApiVersions", 3, {"client_software_name": "t", "client_software_version": "1"}))
        data = raw.read_frame()
        assert data[4:6] == b"\0\0", "the header of this answer is that of version 0: the error follows at once"


def test_trap_9_answers_come_in_the_order_of_the_requests():
    with broker_with() as broker, broker.connect() as raw:
        waiting = fetch_request("t", max_wait_ms=200, min_bytes=1)
        order = [("Metadata", 9, {}), ("Fetch", 11, waiting), ("Metadata", 1, {}), ("ListGroups", 2, {}), ("Fetch", 4, waiting),
                 ("ApiVersions", 0, {})]
        for number, (name, version, values) in enumerate(order):
            raw.send_frame(frame(name, version, values, correlation_id=100 + number))
        for number, (name, version, _) in enumerate(order):
            data = raw.read_frame()
            assert struct.unpack_from(">i", data)[0] == 100 + number
            answer_of(name, version, data)


def test_trap_10_acks_0_has_no_answer_and_an_error_closes_the_connection():
    def silent(raw, topic):
        raw.send_frame(frame("Produce", 9, {"acks": 0, "timeout_ms": 1000, "topic_data": [
            {"name": topic, "partition_data": [{"index": 0, "records": batch([b"x"])}]}]}))
    with broker_with() as broker:
        with broker.connect() as raw:
            silent(raw, "t")
            assert call(raw, "Metadata", 9, {"topics": [{"name": "t"}]})["topics"][0]["error_code"] == OK
        assert fetch(broker, "t")["high_watermark"] == 1
        with broker.connect() as raw:
            silent(raw, "nobody")
            assert raw.is_closed()


# ---- produce ----

def test_trap_11_one_valid_batch_for_each_partition():
    with broker_with() as broker:
        code, _, err = broker.run("topic", "create", "c", "-c", "cleanup.policy=compact", "-c", "max.message.bytes=1000")
        assert code == 0, err
        assert produce(broker, "t", batch([b"a"]) + batch([b"b"]))["error_code"] == 87
        keyless = produce(broker, "c", batch([(b"k", b"v"), b"no key", (b"k", b"w"), b"none either"]))
        assert (keyless["error_code"], keyless["base_offset"]) == (87, -1)
        assert [one["batch_index"] for one in keyless["record_errors"]] == [1, 3]
        assert produce(broker, "c", batch([(b"k", b"x" * 2000)]))["error_code"] == 10
        assert produce(broker, "t", batch([b"marker"], attributes=0x20))["error_code"] == 87
        old = bytearray(batch([b"a"]))
        old[16] = 1
        assert produce(broker, "t", bytes(old))["error_code"] == 87
        old[16] = 3
        assert produce(broker, "t", bytes(old))["error_code"] == 2
        damaged = bytearray(batch([b"a"]))
        damaged[-1] ^= 1
        assert produce(broker, "t", bytes(damaged))["error_code"] == 2
        assert fetch(broker, "t")["high_watermark"] == fetch(broker, "c")["high_watermark"] == 0


def snappy(data):
    """A raw block of one literal."""
    size = len(data)
    preamble = bytes([size & 0x7F | 0x80, size >> 7]) if size > 127 else bytes([size])
    return preamble + (bytes([(len(data) - 1) << 2]) if len(data) <= 60 else bytes([60 << 2, len(data) - 1])) + data


def xerial(data):
    block = snappy(data)
    return b"\x82SNAPPY\0" + struct.pack(">iii", 1, 1, len(block)) + block


def lz4(data):
    """A frame of one block that is not compressed."""
    return b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<I", len(data) | 1 << 31) + data + b"\0\0\0\0"


def test_trap_13_snappy_is_read_raw_and_framed_and_lz4_as_a_frame():
    with broker_with(**{"sluice_validate": "records"}) as broker:
        for codec, compress in ((2, snappy), (2, xerial), (3, lz4)):
            given = produce(broker, "t", batch([b"one", b"two"], codec=codec, compress=compress))
            assert given["error_code"] == OK, (codec, compress, given)
            wrong = produce(broker, "t", batch([b"one"], codec=codec, compress=lambda data, pack=compress: pack(data)[:-3]))
            assert wrong["error_code"] in (2, 87), wrong
        assert [one["count"] for one in headers(fetch(broker, "t")["records"])] == [2, 2, 2]


def test_trap_14_times_are_the_producers_or_the_brokers():
    with broker_with() as broker:
        code, _, err = broker.run("topic", "create", "a", "-c", "message.timestamp.type=LogAppendTime")
        assert code == 0, err
        own = produce(broker, "t", batch([b"a", b"b"], times=[1000, 3000]))
        assert own["log_append_time_ms"] == -1
        head, = headers(fetch(broker, "t")["records"])
        assert (head["max_time"], head["attributes"] & 8) == (3000, 0)
        appended = produce(broker, "a", batch([b"a", b"b"], times=[1000, 3000]))
        assert appended["log_append_time_ms"] > 1600000000000
        head, = headers(fetch(broker, "a")["records"])  # its checksum is right
        assert (head["max_time"], head["attributes"] & 8) == (appended["log_append_time_ms"], 8)
        hour = 3600 * 1000
        now = int(time.time() * 1000)
        assert produce(broker, "t", batch([b"a"], times=[now + hour // 2]))["error_code"] == OK
        assert produce(broker, "t", batch([b"a"], times=[now + 2 * hour]))["error_code"] == 32
        assert produce(broker, "a", batch([b"a"], times=[now + 2 * hour]))["error_code"] == OK


def test_trap_15_five_batches_are_remembered_and_sequences_wrap():
    with broker_with() as broker, broker.connect() as raw:
        def send(sequence, count=1, producer=4000, epoch=0):
            given = produce_on(raw, "t", batch([b"x"] * count, producer=producer, epoch=epoch, sequence=sequence))
            return given["error_code"], given["base_offset"]
        for number in range(6):
            assert send(number) == (OK, number)
        for number in range(1, 6):
            assert send(number) == (OK, number), "a duplicate is answered as the original was"
        assert send(0)[0] == OUT_OF_ORDER
        assert send(7)[0] == OUT_OF_ORDER
        assert send(3, epoch=1)[0] == OUT_OF_ORDER, "a new epoch begins at 0"
        assert send(0, epoch=1) == (OK, 6)
        assert send(6)[0] == 47
        largest = 2 ** 31 - 1
        assert send(largest - 1, count=3, producer=5000) == (OK, 7), "any sequence of a producer that is not known; it wraps"
        assert send(1, producer=5000) == (OK, 10)
        assert send(largest - 1, count=3, producer=5000) == (OK, 7)
        assert send(-1, producer=6000)[0] == 87


# ---- fetch ----

def test_trap_16_the_first_batch_comes_whole_and_from_the_middle_too():
    with broker_with(partitions=2, shards=1) as broker:  # of several, each may give a first batch
        for partition in (0, 1):
            for _ in range(3):
                assert produce(broker, "t", batch([b"x" * 1000] * 3), partition=partition)["error_code"] == OK
        one, = headers(fetch(broker, "t", bytes_max=1)["records"])
        assert (one["base_offset"], one["count"]) == (0, 3)
        middle = headers(fetch(broker, "t", 4, bytes_max=1)["records"])
        assert [head["base_offset"] for head in middle] == [3], "the batch that contains the offset"
        both = {"max_wait_ms": 0, "min_bytes": 0, "max_bytes": 1, "topics": [{"topic": "t", "partitions": [
            {"partition": partition, "fetch_offset": 0, "partition_max_bytes": 1 << 20} for partition in (0, 1)]}]}
        found = [headers(part["records"] or b"") for part in ask(broker, "Fetch", 11, both)["responses"][0]["partitions"]]
        assert [len(heads) for heads in found] == [1, 0], "then the limit of the whole answer ends it"
        both["max_bytes"] = 1 << 20
        found = [headers(part["records"] or b"") for part in ask(broker, "Fetch", 11, both)["responses"][0]["partitions"]]
        assert [len(heads) for heads in found] == [3, 3]
        assert fetch(broker, "t", 10)["error_code"] == OUT_OF_RANGE and fetch(broker, "t", 9)["error_code"] == OK


def test_trap_17_a_long_poll_ends_at_once_where_waiting_changes_nothing():
    with broker_with(partitions=2) as broker:
        assert produce(broker, "t", batch([b"x" * 1000]))["error_code"] == OK
        for_ever = {"max_wait_ms": 2 ** 31 - 1, "min_bytes": 1}
        assert fetch(broker, "nobody", **for_ever)["error_code"] == UNKNOWN_TOPIC
        assert fetch(broker, "t", 99, **for_ever)["error_code"] == OUT_OF_RANGE
        assert ask(broker, "Fetch", 11, for_ever)["responses"] == []
        assert headers(fetch(broker, "t", **for_ever)["records"])
        # More than a partition may give: the time ends it, with what is there.
        assert headers(fetch(broker, "t", bytes_max=10, max_wait_ms=100, min_bytes=1 << 20)["records"])
        with broker.connect() as raw:
            raw.send_frame(frame("Fetch", 11, fetch_request("t", partition=1, **for_ever)))
            assert produce(broker, "t", batch([b"y"]), partition=1)["error_code"] == OK
            answer = answer_of("Fetch", 11, raw.read_frame())
            assert headers(answer["responses"][0]["partitions"][0]["records"]), "new records end it"


def test_trap_18_fetch_sessions_tell_what_changed():
    with broker_with(partitions=2) as broker, broker.connect() as raw:
        def poll(session, epoch, partitions=(), version=11):
            asked = [{"topic": "t", "partitions": [{"partition": number, "fetch_offset": 0, "partition_max_bytes": 1 << 20}
                                                   for number in partitions]}] if partitions else []
            answer = call(raw, "Fetch", version, {"max_wait_ms": 0, "session_id": session, "session_epoch": epoch, "topics": asked})
            return answer["error_code"], answer["session_id"], [part["partition_index"] for topic in answer["responses"]
                                                                for part in topic["partitions"]]
        assert poll(0, -1, (0, 1)) == (OK, 0, [0, 1]), "a full fetch without a session"
        code, session, told = poll(0, 0, (0, 1))
        assert code == OK and session > 0 and told == [0, 1]
        assert poll(session, 1) == (OK, session, []), "nothing has changed"
        assert produce(broker, "t", batch([b"x"]), partition=1)["error_code"] == OK
        assert poll(session, 2) == (OK, session, [1])
        assert poll(session, 9)[0] == 71 and poll(session + 1, 1)[0] == 70
        assert poll(session, -1, (0,))[0] == OK, "the session is closed"
        assert poll(session, 3)[0] == 70


def test_trap_19_topics_are_named_by_ids_that_never_come_back():
    with broker_with() as broker:
        def identity():
            return topics_of(broker, 12, topics=[{"name": "t"}])[0]["topic_id"]
        def by_id(topic_id):
            asked = fetch_request("t", max_wait_ms=0)
            asked["topics"][0] = {"topic_id": topic_id, "partitions": [{"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1000}]}
            return ask(broker, "Fetch", 13, asked)["responses"][0]["partitions"][0]["error_code"]
        first = identity()
        assert first != bytes(16) and by_id(first) == OK
        answer = ask(broker, "Produce", 13, {"acks": -1, "timeout_ms": 9999, "topic_data": [
            {"topic_id": first, "partition_data": [{"index": 0, "records": batch([b"x"])}]}]})
        assert answer["responses"][0]["partition_responses"][0]["error_code"] == OK
        assert topics_of(broker, 12, topics=[{"topic_id": first, "name": None}])[0]["name"] == "t"
        broker.crash()
        broker.start()
        assert identity() == first and by_id(first) == OK
        assert broker.run("topic", "delete", "--yes", "t")[0] == 0 and broker.run("topic", "create", "t")[0] == 0
        assert identity() not in (first, bytes(16))
        assert by_id(first) == by_id(b"\x07" * 16) == UNKNOWN_TOPIC_ID


def test_trap_20_leader_epochs_are_checked_and_never_go_back():
    with broker_with() as broker:
        def epoch():
            return topics_of(broker, topics=[{"name": "t"}])[0]["partitions"][0]["leader_epoch"]
        first = epoch()
        assert produce(broker, "t", batch([b"x"]))["error_code"] == OK
        for end in (broker.stop, broker.crash):
            end()
            broker.start()
            assert epoch() >= first
        now = epoch()
        assert [fetch(broker, "t", epoch=known)["error_code"] for known in (-1, now, now + 1, now - 1)] == [OK, OK, 75, 74]
        assert headers(fetch(broker, "t")["records"])[0]["leader_epoch"] == first


def test_trap_21_no_replica_is_preferred():
    with broker_with() as broker:
        assert fetch(broker, "t", version=11)["preferred_read_replica"] == -1
        assert fetch(broker, "nobody", version=12)["preferred_read_replica"] == -1


def test_trap_22_metadata_asks_for_all_for_none_and_makes_topics_only_by_name():
    with broker_with() as broker:
        def names(version, **more):
            return [topic["name"] for topic in topics_of(broker, version, **more)]
        assert names(0, topics=[]) == ["t"] and names(1, topics=None) == ["t"] and names(9, topics=None) == ["t"]
        assert names(1, topics=[]) == names(9, topics=[]) == []
        kept, = topics_of(broker, 4, topics=[{"name": "new"}], allow_auto_topic_creation=False)
        assert kept["error_code"] == UNKNOWN_TOPIC and names(9, topics=None) == ["t"]
        made, = topics_of(broker, 4, topics=[{"name": "new"}], allow_auto_topic_creation=True)
        assert (made["error_code"], len(made["partitions"])) == (OK, 1), "ready in the answer that makes it"
        assert sorted(names(9, topics=None)) == ["new", "t"]
        assert topics_of(broker, 12, topics=[{"topic_id": b"\x07" * 16, "name": None}])[0]["error_code"] == UNKNOWN_TOPIC_ID
        for version in (8, 9, 10):
            assert ask(broker, "Metadata", version, {"topics": []})["cluster_authorized_operations"] == -2 ** 31
            asked = {"topics": [], "include_cluster_authorized_operations": True}
            assert ask(broker, "Metadata", version, asked)["cluster_authorized_operations"] > 0
        assert "cluster_authorized_operations" not in ask(broker, "Metadata", 11, {"topics": []})


def test_trap_23_offsets_by_time_are_those_of_records_inside_batches():
    with broker_with() as broker:
        def offset(timestamp, version=9):
            answer = ask(broker, "ListOffsets", version, {"replica_id": -1, "topics": [
                {"name": "t", "partitions": [{"partition_index": 0, "timestamp": timestamp}]}]})
            part = answer["topics"][0]["partitions"][0]
            return part["error_code"], part["offset"], part["timestamp"]
        assert offset(-3, 7) == (OK, -1, -1) and offset(-2) == (OK, 0, -1) and offset(0) == (OK, -1, -1)
        assert produce(broker, "t", batch([b"a", b"b", b"c"], times=[1000, 5000, 3000]))["error_code"] == OK
        assert produce(broker, "t", batch([b"d", b"e"], times=[2000, 4000]))["error_code"] == OK
        assert offset(-1, 1) == (OK, 5, -1) and offset(-2, 1) == (OK, 0, -1)
        assert offset(-3, 7) == (OK, 1, 5000)
        assert offset(-4, 8) == (OK, 0, -1)
        assert [offset(tiered, version)[:2] for tiered, version in ((-5, 9), (-5, 11))] == [(OK, -1)] * 2
        assert offset(-6, 11)[0] == OK
        assert offset(1001) == (OK, 1, 5000) and offset(0) == (OK, 0, 1000) and offset(5001) == (OK, -1, -1)


def test_trap_24_readers_of_committed_records_get_the_list_of_aborted_ones():
    with broker_with() as broker, broker.connect() as raw:
        given = call(raw, "InitProducerId", 4, {"transactional_id": "x", "transaction_timeout_ms": 60000})
        who = {"transactional_id": "x", "producer_id": given["producer_id"], "producer_epoch": given["producer_epoch"]}
        added = call(raw, "AddPartitionsToTxn", 3, {"v3_and_below_transactional_id": "x", "v3_and_below_producer_id": who["producer_id"],
                                                    "v3_and_below_producer_epoch": who["producer_epoch"],
                                                    "v3_and_below_topics": [{"name": "t", "partitions": [0]}]})
        assert added["results_by_topic_v3_and_below"][0]["results_by_partition"][0]["partition_error_code"] == OK
        sent = produce_on(raw, "t", batch([b"a", b"b"], producer=who["producer_id"], epoch=who["producer_epoch"], sequence=0,
                                          attributes=0x10), transactional_id="x")
        assert sent["error_code"] == OK
        assert produce(broker, "t", batch([b"plain"]))["base_offset"] == 2
        waiting = fetch(broker, "t", isolation_level=1)
        assert (waiting["high_watermark"], waiting["last_stable_offset"]) == (3, 0) and not waiting["records"]
        assert len(headers(fetch(broker, "t", isolation_level=0)["records"])) == 2
        assert call(raw, "EndTxn", 3, dict(who, committed=False))["error_code"] == OK
        read = fetch(broker, "t", isolation_level=1)
        assert read["aborted_transactions"] == [{"producer_id": who["producer_id"], "first_offset": 0}]
        heads = headers(read["records"])
        assert [(head["base_offset"], head["attributes"] & 0x30) for head in heads] == [(0, 0x10), (2, 0), (3, 0x30)]
        assert read["last_stable_offset"] == 4, "the marker has an offset, and is sent"
        assert fetch(broker, "t", 2, isolation_level=1)["aborted_transactions"] in ([], read["aborted_transactions"])


def transactional(raw, topic, epoch, values, who, version, **more):
    return produce_on(raw, topic, batch(values, producer=who, epoch=epoch, attributes=0x10, **more), version=version,
                      transactional_id="x")["error_code"]


def test_trap_25_transactions_of_both_versions():
    fenced, fenced_new, invalid_state, invalid_timeout = 47, 90, 48, 50
    with broker_with() as broker, broker.connect() as raw:
        given = call(raw, "InitProducerId", 4, {"transactional_id": "x", "transaction_timeout_ms": 60000})
        who, epoch = given["producer_id"], given["producer_epoch"]
        # Version 1: what it writes to is added first, and one epoch is for all of its transactions.
        assert transactional(raw, "t", epoch, [b"a"], who, 9, sequence=0) == invalid_state, "nothing was added"
        added = call(raw, "AddPartitionsToTxn", 0, {"v3_and_below_transactional_id": "x", "v3_and_below_producer_id": who,
                                                    "v3_and_below_producer_epoch": epoch,
                                                    "v3_and_below_topics": [{"name": "t", "partitions": [0]}]})
        assert added["results_by_topic_v3_and_below"][0]["results_by_partition"][0]["partition_error_code"] == OK
        assert transactional(raw, "t", epoch, [b"a"], who, 9, sequence=0) == OK
        end = {"transactional_id": "x", "producer_id": who, "producer_epoch": epoch, "committed": True}
        assert call(raw, "EndTxn", 1, end)["error_code"] == OK
        # Version 2: Produce and TxnOffsetCommit add by themselves, and each transaction has its epoch.
        assert wait_for(lambda: transactional(raw, "t", epoch, [b"b"], who, 12, sequence=1) == OK, "the end of the one before")
        committed = call(raw, "TxnOffsetCommit", 5, {"transactional_id": "x", "group_id": "g", "producer_id": who, "producer_epoch": epoch,
                                                     "topics": [{"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 1}]}]})
        assert committed["topics"][0]["partitions"][0]["error_code"] == OK
        ended = call(raw, "EndTxn", 5, end)
        assert (ended["error_code"], ended["producer_id"], ended["producer_epoch"]) == (OK, who, epoch + 1)
        again = call(raw, "EndTxn", 5, end)
        assert (again["error_code"], again["producer_epoch"]) == (OK, epoch + 1), "a lost answer is repeated"
        marked = wait_for(lambda: [head for head in headers(fetch(broker, "t")["records"]) if head["attributes"] & 0x20][1:], "the marker")
        assert marked[0]["epoch"] == epoch + 1, "its marker has the new epoch"
        assert transactional(raw, "t", epoch, [b"c"], who, 12, sequence=2) == fenced
        assert transactional(raw, "t", epoch + 1, [b"c"], who, 12, sequence=0) == OK
        # Another producer takes over: the old one is fenced, which has two names.
        newer = wait_for(lambda: (lambda told: told["error_code"] == OK and told)(
            call(raw, "InitProducerId", 4, {"transactional_id": "x", "transaction_timeout_ms": 60000})), "the abort of what was open")
        assert newer["producer_epoch"] > epoch + 1
        for version, code in ((1, fenced), (2, fenced_new)):
            assert call(raw, "EndTxn", version, dict(end, producer_epoch=epoch + 1))["error_code"] == code
        assert call(raw, "InitProducerId", 4, {"transactional_id": "y", "transaction_timeout_ms": 900001})["error_code"] == invalid_timeout


# ---- groups ----

def join(broker, group, member="", version=5, instance=None, protocols=("range",), **more):
    values = {"group_id": group, "session_timeout_ms": 10000, "rebalance_timeout_ms": 10000, "member_id": member,
              "group_instance_id": instance, "protocol_type": "consumer",
              "protocols": [{"name": name, "metadata": b"opaque"} for name in protocols], **more}
    if version < 5:
        del values["group_instance_id"]
    return ask(broker, "JoinGroup", version, values)


def test_trap_27_classic_groups():
    with broker_with() as broker:
        first = join(broker, "g")
        assert first["error_code"] == 79 and first["member_id"], "a member gets its id and joins again"
        assert join(broker, "old", version=3)["error_code"] == OK, "not before version 4"
        leader = join(broker, "g", first["member_id"])
        assert leader["error_code"] == OK and leader["leader"] == leader["member_id"]
        assert [(member["member_id"], member["metadata"]) for member in leader["members"]] == [(leader["member_id"], b"opaque")]
        assert join(broker, "h", version=5, protocols=())["error_code"] == 23
        for limit, code in ((5999, 26), (1800001, 26)):
            assert join(broker, "g2", session_timeout_ms=limit)["error_code"] == code
        static = join(broker, "s", instance="i1")
        assert static["error_code"] == OK, "a static member is taken at once"
        call_sync = {"group_id": "s", "generation_id": static["generation_id"], "member_id": static["member_id"],
                     "group_instance_id": "i1", "assignments": [{"member_id": static["member_id"], "assignment": b"mine"}]}
        assert ask(broker, "SyncGroup", 3, call_sync)["assignment"] == b"mine"
        again = join(broker, "s", instance="i1", version=9)
        assert again["error_code"] == OK and again["generation_id"] == static["generation_id"] and again["member_id"] != static["member_id"]
        kept = ask(broker, "SyncGroup", 3, dict(call_sync, member_id=again["member_id"], assignments=[]))
        assert (kept["error_code"], kept["assignment"]) == (OK, b"mine"), "its assignment stays"
        fenced = {"group_id": "s", "generation_id": static["generation_id"], "member_id": static["member_id"], "group_instance_id": "i1"}
        assert ask(broker, "Heartbeat", 3, fenced)["error_code"] == 82


def commit(broker, group, metadata="", generation=-1, member="", version=7, offset=3):
    answer = ask(broker, "OffsetCommit", version, {
        "group_id": group, "generation_id_or_member_epoch": generation, "member_id": member, "topics": [
            {"name": "t", "partitions": [{"partition_index": 0, "committed_offset": offset, "committed_metadata": metadata}]}]})
    return answer["topics"][0]["partitions"][0]["error_code"]


def test_trap_27_offsets_are_committed_from_outside_while_the_group_is_empty():
    with broker_with() as broker:
        assert commit(broker, "g") == OK
        member = join(broker, "g", version=3)
        assert commit(broker, "g") == 25
        assert commit(broker, "g", generation=member["generation_id"], member=member["member_id"]) == 27


def test_trap_28_a_dev_broker_does_not_wait_for_the_first_rebalance():
    with Broker() as broker:
        described = ask(broker, "DescribeConfigs", 4, {"resources": [
            {"resource_type": 4, "resource_name": "1", "configuration_keys": ["group.initial.rebalance.delay.ms"]}]})
        assert [entry["value"] for entry in described["results"][0]["configs"]] == ["0"]


def test_trap_29_offsets_that_nobody_committed_are_no_error_and_metadata_comes_back():
    with broker_with() as broker:
        def committed(group, **more):
            answer = ask(broker, "OffsetFetch", 7, {"group_id": group, "topics": [{"name": "t", "partition_indexes": [0]}], **more})
            part = answer["topics"][0]["partitions"][0]
            return answer["error_code"], part["error_code"], part["committed_offset"], part["metadata"]
        assert committed("nobody") == (OK, OK, -1, "")
        assert commit(broker, "g", "a note") == OK
        assert committed("g", require_stable=True) == (OK, OK, 3, "a note")
        assert commit(broker, "g", "x" * 4096) == OK and commit(broker, "g", "x" * 4097) == 12
        assert committed("g")[3] == "x" * 4096


# ---- administration ----

def config_keys(resource):
    with open(os.path.join(SOURCE, "tests", "data", "kafka", "config_keys.tsv")) as file:
        rows = [line.rstrip("\n").split("\t") for line in file if not line.startswith("#")]
    return {key: kind for kind_of, key, kind in rows if kind_of == resource}


TYPES = {"BOOLEAN": 1, "STRING": 2, "INT": 3, "SHORT": 4, "LONG": 5, "DOUBLE": 6, "LIST": 7, "CLASS": 8, "PASSWORD": 9}


def described(broker, resource, name, **more):
    answer = ask(broker, "DescribeConfigs", 4, {"resources": [{"resource_type": resource, "resource_name": name, "configuration_keys": None}],
                                                "include_synonyms": True, "include_documentation": True, **more})
    result, = answer["results"]
    assert result["error_code"] == OK, result["error_message"]
    return {entry["name"]: entry for entry in result["configs"]}


def test_trap_32_configurations_are_told_with_all_keys_of_kafka():
    with broker_with(retention_ms=3600000) as broker:
        for number, name, resource in ((2, "t", "topic"), (4, "1", "broker")):
            found = described(broker, number, name)
            wanted = config_keys(resource)
            assert not wanted.keys() - found.keys(), sorted(wanted.keys() - found.keys())
            for key, kind in wanted.items():
                entry = found[key]
                assert entry["config_type"] == TYPES[kind], (key, entry["config_type"], kind)
                assert entry["documentation"] and entry["config_source"] in (1, 2, 4, 5), key
                assert entry["is_sensitive"] == (kind == "PASSWORD") and (kind != "PASSWORD" or entry["value"] is None)
                assert entry["synonyms"] and entry["synonyms"][0]["source"] == entry["config_source"], key
        topic = described(broker, 2, "t")
        assert (topic["retention.ms"]["value"], topic["retention.ms"]["config_source"]) == ("3600000", 1)
        assert [one["name"] for one in topic["retention.ms"]["synonyms"]] == ["retention.ms", "log.retention.ms"]
        assert (topic["cleanup.policy"]["value"], topic["cleanup.policy"]["config_source"]) == ("delete", 5)
        own = described(broker, 4, "1")
        assert own["node.id"]["value"] == own["broker.id"]["value"] == "1"


def create(broker, *topics, validate_only=False, version=7):
    answer = ask(broker, "CreateTopics", version, {"topics": [
        {"num_partitions": -1, "replication_factor": -1, **topic} for topic in topics], "validate_only": validate_only})
    return [topic["error_code"] for topic in answer["topics"]], answer["topics"]


def test_trap_33_topics_are_made_with_defaults_rules_of_names_and_errors_of_their_own():
    with Broker() as broker:
        codes, made = create(broker, {"name": "plain"})
        assert codes == [OK] and (made[0]["num_partitions"], made[0]["replication_factor"]) == (1, 1) and made[0]["topic_id"] != bytes(16)
        assert create(broker, {"name": "x" * 249}, {"name": "x" * 250}, {"name": "a b"}, {"name": "."}, {"name": ".."}, {"name": ""},
                      {"name": "plain"})[0] == [OK, 17, 17, 17, 17, 17, 36]
        assert create(broker, {"name": "a.b"})[0] == [OK]
        assert create(broker, {"name": "a_b"})[0] == [17], "the two would have metrics of the same name"
        assert create(broker, {"name": "n", "num_partitions": 0}, {"name": "o", "replication_factor": 3},
                      {"name": "p", "configs": [{"name": "retention.ms", "value": "long"}]})[0] == [37, 38, 40]
        assert create(broker, {"name": "trial", "num_partitions": 3}, validate_only=True)[0] == [OK]
        assert "trial" not in [topic["name"] for topic in topics_of(broker, topics=None)]
        grown = ask(broker, "CreatePartitions", 3, {"topics": [{"name": "plain", "count": 3, "assignments": None},
                                                               {"name": "plain2", "count": 2, "assignments": None},
                                                               {"name": "a.b", "count": 1, "assignments": None}]})
        assert [result["error_code"] for result in grown["results"]] == [OK, UNKNOWN_TOPIC, 37]


def test_trap_34_a_login_comes_first_raw_or_in_frames():
    with Broker("kafka.sasl.mechanisms=PLAIN") as broker:
        with broker.connect() as raw:
            assert call(raw, "ApiVersions", 3, {"client_software_name": "t", "client_software_version": "1"})["error_code"] == OK
            assert call(raw, "SaslHandshake", 1, {"mechanism": "PLAIN"})["error_code"] == OK
            failed = call(raw, "SaslAuthenticate", 2, {"auth_bytes": b"\0alice\0wrong"})
            assert failed["error_code"] == 58 and failed["session_lifetime_ms"] == 0
        with broker.connect() as raw:
            unknown = call(raw, "SaslHandshake", 1, {"mechanism": "GSSAPI"})
            assert unknown["error_code"] == 33 and "PLAIN" in unknown["mechanisms"]
        with broker.connect() as raw:
            assert call(raw, "SaslHandshake", 0, {"mechanism": "PLAIN"})["error_code"] == OK
            raw.send_frame(b"\0alice\0wrong")  # no header from here on: nor an answer to a wrong password
            assert raw.is_closed()
        with broker.connect() as raw:
            raw.send_frame(frame("Metadata", 9, {}))
            assert raw.is_closed()


def test_trap_36_a_client_that_guesses_versions_guesses_high():
    with Broker() as broker:
        told = ranges(broker)
        assert told[29][0] <= 2 <= told[29][1], "DescribeAcls 2: kafka-python takes the broker for 2.5"
        assert told[0][1] >= 8 and told[1][1] >= 11


def test_trap_37_every_advertised_call_answers_every_version():
    closing = {"Produce": (0, 1, 2)}
    values = {"Produce": {"acks": 1}, "ApiVersions": {"client_software_name": "t", "client_software_version": "1"},
              "ShareFetch": {"member_id": "AAAAAAAAAAAAAAAAAAAAAA"}}
    with Broker() as broker:
        told = ranges(broker)
        by_key = {table.key: table for table in tables().values()}
        for key, (first, last) in sorted(told.items()):
            table = by_key[key]
            for version in range(first, last + 1):
                if version in closing.get(table.name, ()):
                    continue
                given = {name: value for name, value in values.get(table.name, {}).items()
                         if any(field.name == name and field.first <= version <= field.last for field in table.request)}
                with broker.connect() as raw:
                    raw.send_frame(frame(table.name, version, given))
                    try:
                        answer_of(table.name, version, raw.read_frame())
                    except (EOFError, socket.timeout) as error:
                        raise AssertionError(f"{table.name} version {version}: no answer") from error


def test_trap_38_one_address_is_told_by_all_calls():
    with Broker() as broker:
        own = ("127.0.0.1", broker.kafka)
        node, = ask(broker, "Metadata", 9, {})["brokers"]
        assert (node["host"], node["port"]) == own
        found = ask(broker, "FindCoordinator", 3, {"key": "g"})
        assert (found["host"], found["port"], found["node_id"]) == (*own, node["node_id"])
        node, = ask(broker, "DescribeCluster", 2)["brokers"]
        assert (node["host"], node["port"]) == own
    with Broker("kafka.advertised=elsewhere.example:1234") as broker:
        for nodes in (ask(broker, "Metadata", 9, {})["brokers"], ask(broker, "DescribeCluster", 0)["brokers"],
                      ask(broker, "FindCoordinator", 4, {"coordinator_keys": ["g"]})["coordinators"]):
            assert [(node["host"], node["port"]) for node in nodes] == [("elsewhere.example", 1234)]


# ---- the list ----

def is_there(proof):
    """A file, a function of it, or in C a test of it."""
    path, _, name = proof.partition("::")
    if not os.path.isfile(os.path.join(SOURCE, path)):
        return False
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        text = file.read()
    return not name or re.search(r"(^def %s\(|\bTest\(\w+,\s*%s\b)" % (name, name), text, re.M) is not None


def test_the_document_has_every_trap_and_names_tests_that_are_there():
    with open(os.path.join(SOURCE, "docs", "reference", "kafka-traps.md"), encoding="utf-8") as file:
        rows = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in file if re.match(r"\| \d", line)]
    assert [int(row[0].strip("| ")) for row in rows] == list(range(1, 39))
    own = {number for number in map(int, re.findall(r"test_trap_(\d+)_", " ".join(globals())))}
    named = set()
    for row in rows:
        proofs = re.findall(r"`([^`]+)`", row[3])
        assert proofs, row
        for proof in proofs:
            trap = re.match(r"test_trap_(\d+)_…$", proof)
            assert int(trap.group(1)) in own if trap else is_there(proof), (row[0], proof)
            named |= {int(trap.group(1))} if trap else set()
    assert own == named, "not in the document: %s" % (own - named)


load_tests = loader(globals())
