"""kcat 1.7.1 over librdkafka: the first thing that people try."""
import json

from sluice_broker import Broker, loader

NEEDS = ("frontend_kafka",)

LINES = ["line %d" % i for i in range(200)]


def test_metadata_lists_the_node_and_the_topics():
    with Broker() as broker:
        broker.produce("orders", LINES)
        told = json.loads("".join(broker.kcat("-L", "-J")))
        assert told["brokers"] == [{"id": told["controllerid"], "name": broker.address}], told
        assert [topic["topic"] for topic in told["topics"]] == ["orders"], told


def test_records_come_back_in_order_with_each_kind_of_acks():
    with Broker() as broker:
        for acks in ("0", "1", "all"):
            topic = "acks-" + acks
            broker.produce(topic, LINES, "-X", "acks=" + acks)
            assert broker.consume(topic) == LINES, acks


def test_every_codec_goes_in_and_out():
    with Broker() as broker:
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            broker.produce(codec, LINES, "-z", codec)
            assert broker.consume(codec) == LINES, codec


def test_an_idempotent_producer_is_served():
    with Broker() as broker:
        broker.produce("idempotent", LINES, "-X", "enable.idempotence=true")
        assert broker.consume("idempotent") == LINES


def test_keys_nulls_and_headers_come_back():
    with Broker() as broker:
        broker.produce("keyed", ["a:1", "b:", ":3"], "-K", ":", "-Z", "-H", "colour=red")
        got = broker.consume("keyed", "-f", "%k|%s|%S|%h\n")
        assert sorted(got) == sorted(["a|1|1|colour=red", "b||-1|colour=red", "|3|1|colour=red"]), got


def test_a_large_message_passes_and_one_above_the_limit_is_refused():
    with Broker() as broker:
        large = "x" * 900_000
        broker.produce("large", [large])
        assert broker.consume("large") == [large]
        too_large = broker.kcat("-P", "-t", "large", "-X", "message.max.bytes=3000000",
                                lines=["y" * 1_500_000], check=False)
        assert too_large == [], too_large
        assert broker.consume("large") == [large]
        assert broker.is_running()


def test_offsets_by_time_are_those_of_the_records():
    with Broker() as broker:
        broker.produce("timed", ["a", "b", "c"])
        stamps = broker.consume("timed", "-f", "%T\n")
        found = broker.kcat("-Q", "-t", "timed:0:%s" % stamps[0])
        assert found == ["timed [0] offset 0"], found
        found = broker.kcat("-Q", "-t", "timed:0:-1")
        assert found == ["timed [0] offset 3"], found
        found = broker.kcat("-Q", "-t", "timed:0:%d" % (int(stamps[-1]) + 1000))
        assert found == ["timed [0] offset -1"] or found == ["timed [0] offset 3"], found


def test_consuming_goes_on_from_the_middle():
    with Broker() as broker:
        broker.produce("middle", LINES)
        got = broker.kcat("-C", "-t", "middle", "-p", "0", "-o", "150", "-e", "-q")
        assert got == LINES[150:], got[:3]


load_tests = loader(globals())
