"""Configurations that are changed while a topic is in use: AlterConfigs, IncrementalAlterConfigs, `sluice topic alter`."""
from kafka_wire import call
from sluice_broker import Broker, loader, need, wait_for

NEEDS = ("frontend_kafka",)

TOPIC, NODE = 2, 4
SET, DELETE, APPEND, SUBTRACT = range(4)
OK, INVALID_REQUEST, INVALID_CONFIG, UNKNOWN_TOPIC, TOO_LARGE = 0, 42, 40, 3, 10
DYNAMIC_TOPIC, DEFAULT = 1, 5  # where a value comes from


def create(broker, topic, **configs):
    words = [word for key, value in configs.items() for word in ("-c", "%s=%s" % (key.replace("_", "."), value))]
    code, _, err = broker.run("topic", "create", topic, *words)
    assert code == 0, err


def incremental(broker, topic, *changes, kind=TOPIC, validate_only=False, version=1):
    """Error code and message."""
    configs = [{"name": key, "config_operation": operation, "value": value} for key, operation, value in changes]
    with broker.connect() as raw:
        answer = call(raw, "IncrementalAlterConfigs", version, {
            "resources": [{"resource_type": kind, "resource_name": topic, "configs": configs}],
            "validate_only": validate_only})["responses"][0]
    assert answer["resource_type"] == kind and answer["resource_name"] == topic
    return answer["error_code"], answer["error_message"]


def replace(broker, topic, version=2, **configs):
    with broker.connect() as raw:
        answer = call(raw, "AlterConfigs", version, {"resources": [{
            "resource_type": TOPIC, "resource_name": topic,
            "configs": [{"name": key.replace("_", "."), "value": value} for key, value in configs.items()]}]})
    return answer["responses"][0]["error_code"]


def described(broker, topic, *keys):
    """Value and source of each key."""
    with broker.connect() as raw:
        answer = call(raw, "DescribeConfigs", 4, {"resources": [{
            "resource_type": TOPIC, "resource_name": topic, "configuration_keys": list(keys)}]})["results"][0]
    found = {config["name"]: (config["value"], config["config_source"]) for config in answer["configs"]}
    return [found[key] for key in keys]


def test_a_set_value_is_in_force_and_survives_kill_9():
    with Broker() as broker:
        create(broker, "t", retention_ms="1000000")
        assert incremental(broker, "t", ("max.message.bytes", SET, "1000"), ("retention.ms", DELETE, None)) == (OK, None)
        for _ in range(2):
            assert described(broker, "t", "max.message.bytes", "retention.ms") == [("1000", DYNAMIC_TOPIC), ("604800000", DEFAULT)]
            need("kcat")
            broker.kcat("-P", "-t", "t", "-X", "message.timeout.ms=3000", lines=["x" * 5000], check=False)
            broker.produce("t", ["small"])
            broker.crash()
            broker.start()
        assert broker.consume("t") == ["small"] * 2, "a batch above the new bound is refused"


def test_lists_grow_and_shrink_by_elements():
    with Broker() as broker:
        create(broker, "t")
        assert incremental(broker, "t", ("cleanup.policy", APPEND, "compact")) == (OK, None)
        assert described(broker, "t", "cleanup.policy") == [("delete,compact", DYNAMIC_TOPIC)]
        assert incremental(broker, "t", ("cleanup.policy", APPEND, "compact")) == (OK, None)
        assert incremental(broker, "t", ("cleanup.policy", SUBTRACT, "delete")) == (OK, None)
        assert described(broker, "t", "cleanup.policy") == [("compact", DYNAMIC_TOPIC)]
        code, why = incremental(broker, "t", ("retention.ms", APPEND, "5"))
        assert code == INVALID_CONFIG and "no list" in why, why


def test_what_cannot_be_is_refused_with_a_reason_and_changes_nothing():
    refusals = [
        ([("nonsense", SET, "1")], INVALID_CONFIG, "nonsense"),
        ([("retention.ms", SET, "soon")], INVALID_CONFIG, "soon"),
        ([("retention.ms", SET, None)], INVALID_REQUEST, "no value"),
        ([("retention.ms", SET, "1"), ("retention.ms", SET, "2")], INVALID_REQUEST, "twice"),
        ([("retention.ms", 9, "1")], INVALID_REQUEST, "operation"),
        ([("sluice.durability", SET, "memory")], INVALID_REQUEST, "fixed"),
        ([("max.message.bytes", SET, "77"), ("segment.bytes", SET, "1")], INVALID_CONFIG, "segment.bytes"),
    ]
    with Broker() as broker:
        create(broker, "t")
        for changes, expected, word in refusals:
            code, why = incremental(broker, "t", *changes)
            assert code == expected and word in why, (changes, code, why)
        assert described(broker, "t", "max.message.bytes", "retention.ms") == [("1048588", DEFAULT), ("604800000", DEFAULT)]
        assert incremental(broker, "absent", ("retention.ms", SET, "1"))[0] == UNKNOWN_TOPIC
        code, why = incremental(broker, "1", ("log.level", SET, "debug"), kind=NODE)
        assert code == INVALID_REQUEST and "files" in why, why


def test_a_topic_in_memory_stays_one_and_is_not_compacted():
    with Broker() as broker:
        create(broker, "t", sluice_durability="memory")
        assert incremental(broker, "t", ("sluice.durability", DELETE, None))[0] == INVALID_REQUEST
        code, why = incremental(broker, "t", ("cleanup.policy", SET, "compact"))
        assert code == INVALID_CONFIG and "memory" in why, why
        assert incremental(broker, "t", ("retention.ms", SET, "5000"))[0] == OK


def test_validate_only_changes_nothing():
    with Broker() as broker:
        create(broker, "t")
        assert incremental(broker, "t", ("retention.ms", SET, "1"), validate_only=True) == (OK, None)
        assert incremental(broker, "t", ("retention.ms", SET, "x"), validate_only=True)[0] == INVALID_CONFIG
        assert described(broker, "t", "retention.ms") == [("604800000", DEFAULT)]


def test_the_older_call_takes_back_what_it_does_not_name():
    with Broker() as broker:
        create(broker, "t", retention_ms="5000", max_message_bytes="2000")
        for version in (0, 2):
            assert replace(broker, "t", version, max_message_bytes="3000") == OK
            assert described(broker, "t", "retention.ms", "max.message.bytes") == [("604800000", DEFAULT), ("3000", DYNAMIC_TOPIC)]
        assert replace(broker, "t", nonsense="1") == INVALID_CONFIG


def test_a_shorter_retention_takes_records_away():
    with Broker("retention.check_interval=100 ms") as broker:
        create(broker, "t")
        broker.produce("t", ["old"])
        assert incremental(broker, "t", ("retention.ms", SET, "1"))[0] == OK
        wait_for(lambda: broker.consume("t") == [], "the record to go")
        assert incremental(broker, "t", ("retention.ms", SET, "-1"))[0] == OK
        broker.produce("t", ["new"])
        assert broker.consume("t") == ["new"]


def test_the_command_line_sets_and_takes_back():
    with Broker() as broker:
        create(broker, "t")
        code, out, err = broker.run("topic", "alter", "t", "-c", "retention.ms=5000", "-c", "cleanup.policy=compact")
        assert code == 0, err
        assert described(broker, "t", "retention.ms", "cleanup.policy") == [("5000", DYNAMIC_TOPIC), ("compact", DYNAMIC_TOPIC)]
        assert broker.run("topic", "alter", "t", "-c", "retention.ms=")[0] == 0
        assert described(broker, "t", "retention.ms") == [("604800000", DEFAULT)]
        code, _, err = broker.run("topic", "alter", "t", "-c", "retention.ms=soon")
        assert code == 65 and "soon" in err, err
        code, _, err = broker.run("topic", "alter", "t")
        assert code == 64 and "-c" in err, err


load_tests = loader(globals())
