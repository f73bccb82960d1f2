"""Metrics that clients push of themselves (KIP-714): who is asked for what, which pushes are taken, and where they go."""
import base64
import gzip
import struct
import unittest
import uuid

import confluent_kafka
from kafka_wire import NO_UUID, call
from sluice_broker import Broker, loader, wait_for
from test_acls import secured
from test_compaction import metric
from test_config_resources import alter, METRICS
from wire_batch import crc32c

OK, UNSUPPORTED_CODEC, INVALID_CONFIG, INVALID_REQUEST, INVALID_RECORD, QUOTA = 0, 76, 40, 42, 87, 89
UNKNOWN_SUBSCRIPTION, TOO_LARGE = 117, 118
ASK, PUSH = "GetTelemetrySubscriptions", "PushTelemetry"
TOPIC = "client-metrics"
MINUTES_5 = 300000


def asked(*settings, **more):
    return Broker("telemetry.topic=" + TOPIC, *settings, **more)


def greet(raw, name="tea", version="1.0"):
    """The newest ApiVersions, which says what the client is."""
    return call(raw, "ApiVersions", 4, {"client_software_name": name, "client_software_version": version})


def ask(raw, instance=NO_UUID, **more):
    return call(raw, ASK, 0, {"client_instance_id": instance}, **more)


def push(raw, told, metrics=b"otlp", **more):
    """The error code; told: the answer to a question."""
    return call(raw, PUSH, 0, {**{key: told[key] for key in ("client_instance_id", "subscription_id")}, "metrics": metrics,
                               **more})["error_code"]


def subscribe(broker, name="all", **keys):
    values = {key.replace("_", "."): value for key, value in keys.items()}
    assert alter(broker, (METRICS, name, values)) == [OK]


def name_of(instance):
    """As clients print it."""
    return base64.urlsafe_b64encode(instance).decode().rstrip("=")


def subscription_id(text, instance):
    """A CRC-32C, xor what java.util.UUID's hash is."""
    words = struct.unpack(">4I", instance)
    number = crc32c(text.encode()) ^ words[0] ^ words[1] ^ words[2] ^ words[3]
    return number - (1 << 32) if number >> 31 else number


def records(broker, count):
    """(key, value, headers) of all records, when there are so many."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.address, "group.id": str(uuid.uuid4()),
                                         "auto.offset.reset": "earliest"})
    found = []
    try:
        consumer.assign([confluent_kafka.TopicPartition(TOPIC, 0, 0)])
        wait_for(lambda: found.extend(consumer.consume(count - len(found), 0.5)) or len(found) == count, "records")
    finally:
        consumer.close()
    assert all(one.error() is None for one in found), found
    return [(one.key().decode(), one.value(), {key: value.decode() for key, value in one.headers()}) for one in found]


def test_without_a_topic_the_calls_are_not_advertised_and_not_served():
    with Broker() as broker, broker.connect() as raw:
        assert not {71, 72} & {one["api_key"] for one in greet(raw)["api_keys"]}
        try:
            ask(raw)
        except (EOFError, ConnectionError):
            return
        raise AssertionError("it was answered")


def test_what_is_pushed_becomes_a_record_that_says_who_pushed():
    with asked() as broker:
        with broker.connect() as raw:
            ranges = {one["api_key"]: (one["min_version"], one["max_version"]) for one in greet(raw)["api_keys"]}
            assert ranges[71] == ranges[72] == (0, 0)
            told = ask(raw)
            assert told["error_code"] == OK and told["client_instance_id"] != NO_UUID
            assert (told["requested_metrics"], told["push_interval_ms"]) == ([], MINUTES_5)
            assert (told["accepted_compression_types"], told["telemetry_max_bytes"]) == ([4, 3, 1, 2], 1 << 20)
            assert told["delta_temporality"]
            assert push(raw, told, gzip.compress(b"metrics" * 100), compression_type=1) == OK
            assert push(raw, told, b"last words", terminating=True) == OK
            assert push(raw, told) == INVALID_REQUEST, "after its last one"
            counted = lambda what: metric(broker, "sluice_telemetry_pushes%s_total" % what)
            wait_for(lambda: (counted(""), counted("_refused")) == (2, 1), "the counters")
            name = name_of(told["client_instance_id"])
            port = str(raw.socket.getsockname()[1])
        found = records(broker, 2)
        assert [one[:2] for one in found] == [(name, b"metrics" * 100), (name, b"last words")]
        for headers, terminating in ((found[0][2], "false"), (found[1][2], "true")):
            assert headers == {
                "client_id": "test", "client_software_name": "tea", "client_software_version": "1.0",
                "client_source_address": "127.0.0.1", "client_source_port": port, "principal": "User:ANONYMOUS",
                "content_type": "application/x-protobuf", "terminating": terminating}


def test_clients_are_asked_for_the_union_of_what_matches_them():
    with asked() as broker:
        subscribe(broker, "mine", match="client_software_name=te., client_id=test|u", metrics="b,a", interval_ms="5000")
        subscribe(broker, "every", metrics="a,c", interval_ms="60000")
        subscribe(broker, "other", match="client_software_version=2.*", metrics="*")
        subscribe(broker, "away", match="client_source_address=10[.].*", metrics="z", interval_ms="100")
        with broker.connect() as raw, broker.connect() as second, broker.connect() as third:
            greet(raw)
            told = ask(raw)
            assert (told["requested_metrics"], told["push_interval_ms"]) == (["a", "b", "c"], 5000)
            assert told["subscription_id"] == subscription_id("[a, b, c]5000", told["client_instance_id"])
            greet(second, "coffee", "2.1")
            other = ask(second)
            assert (other["requested_metrics"], other["push_interval_ms"]) == (["*"], 60000)
            mine = name_of(told["client_instance_id"])
            subscribe(broker, "one", match=f"client_instance_id={mine}", metrics="only")
            subscribe(broker, "port", match=f"client_source_port={third.socket.getsockname()[1]}", metrics="by.port")
            # They changed: it may ask again before its time.
            assert ask(raw, told["client_instance_id"])["requested_metrics"] == ["a", "b", "c", "only"]
            assert ask(third)["requested_metrics"] == ["a", "by.port", "c"], "it said nothing of its software"
        for match in ("tea=1", "client_id", "client_id=a=b", "client_id=(", "client_id="):
            assert alter(broker, (METRICS, "bad", {"match": match})) == [INVALID_CONFIG], match


def test_what_comes_too_early_or_with_another_id_is_refused_as_kafka_does():
    with asked("telemetry.bytes_max=2 KiB") as broker, broker.connect() as raw:
        subscribe(broker, metrics="*")
        told = ask(raw)
        instance = told["client_instance_id"]
        assert ask(raw, instance)["error_code"] == QUOTA
        assert push(raw, told) == OK and push(raw, told) == QUOTA, "once an interval"
        assert push(raw, {**told, "client_instance_id": NO_UUID}) == INVALID_REQUEST
        assert push(raw, {**told, "client_instance_id": bytes(15) + b"\1"}) == INVALID_REQUEST
        subscribe(broker, metrics="a")
        assert push(raw, told) == UNKNOWN_SUBSCRIPTION, "it is to ask anew"
        again = ask(raw, instance)
        assert again["error_code"] == OK and again["subscription_id"] != told["subscription_id"]
        assert push(raw, again) == QUOTA, "the refused one counts"
        assert push(raw, again, terminating=True) == OK and push(raw, again, terminating=True) == INVALID_REQUEST
        for metrics, codec, code in ((b"x", 5, UNSUPPORTED_CODEC), (b"x", -1, UNSUPPORTED_CODEC), (bytes(2049), 0, TOO_LARGE),
                                     (gzip.compress(bytes(2049)), 1, INVALID_RECORD), (b"not gzip", 1, INVALID_RECORD),
                                     (b"", 4, OK), (gzip.compress(bytes(2048)), 1, OK)):
            assert push(raw, ask(raw), metrics, compression_type=codec) == code, (metrics, codec)
        # One that nobody asked is told to, as it may come from another broker.
        other = {**told, "client_instance_id": uuid.uuid4().bytes}
        assert push(raw, other) == UNKNOWN_SUBSCRIPTION
        assert ask(raw, other["client_instance_id"])["error_code"] == OK


def test_it_needs_no_rights_and_what_is_asked_outlasts_a_start():
    with secured("telemetry.topic=" + TOPIC) as broker:
        with broker.connect() as raw:
            greet(raw)
            assert push(raw, ask(raw)) == OK
            assert call(raw, "Metadata", 12, {"topics": [{"name": TOPIC}]})["topics"][0]["error_code"] == 29
        assert broker.run("consume", TOPIC)[:2] == (0, b"otlp\n")
    with asked() as broker:
        subscribe(broker, metrics="a")
        broker.crash()
        broker.start()
        with broker.connect() as raw:
            assert ask(raw)["requested_metrics"] == ["a"]


load_tests = loader(globals())

if __name__ == "__main__":
    unittest.main()
