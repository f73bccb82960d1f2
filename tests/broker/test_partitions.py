"""Topics that grow: CreatePartitions, `sluice topic alter --partitions`."""
import os
import shutil

from kafka_wire import call
from sluice_broker import SOURCE, Broker, loader, wait_for

OK, UNKNOWN_TOPIC, INVALID_PARTITIONS, INVALID_ASSIGNMENT, INVALID_REQUEST = 0, 3, 37, 39, 42


def create(broker, topic, partitions):
    code, _, err = broker.run("topic", "create", topic, "-p", str(partitions))
    assert code == 0, err


def grow(broker, *topics, validate_only=False, version=3, assignments=None, answered=None):
    """Error code and message of each (name, count), or of the first so many."""
    with broker.connect() as raw:
        answer = call(raw, "CreatePartitions", version, {"topics": [
            {"name": name, "count": count, "assignments": assignments} for name, count in topics],
            "timeout_ms": 10000, "validate_only": validate_only})
    assert [result["name"] for result in answer["results"]] == [name for name, _ in topics[:answered]]
    return [(result["error_code"], result["error_message"]) for result in answer["results"]]


def partitions(broker, topic):
    return next(entry["partitions"] for entry in broker.json("topic", "list")["topics"] if entry["name"] == topic)


def fill(broker, topic, count):
    for partition in range(count):
        broker.produce(topic, ["p%d" % partition], "-p", str(partition))


def assert_filled(broker, topic, count):
    for partition in range(count):
        assert broker.consume(topic, "-p", str(partition)) == ["p%d" % partition], partition


def test_new_partitions_take_records_and_survive_kill_9():
    with Broker() as broker:
        create(broker, "t", 2)
        fill(broker, "t", 2)
        assert grow(broker, ("t", 5)) == [(OK, None)]
        assert partitions(broker, "t") == 5
        for partition in range(2, 5):
            broker.produce("t", ["p%d" % partition], "-p", str(partition))
        for _ in range(2):
            assert_filled(broker, "t", 5)
            broker.crash()
            broker.start()
        assert grow(broker, ("t", 6)) == [(OK, None)] and partitions(broker, "t") == 6
        broker.stop()
        broker.start()
        assert partitions(broker, "t") == 6
        assert_filled(broker, "t", 5)


def test_what_cannot_grow_is_refused_with_a_reason():
    with Broker() as broker:
        create(broker, "t", 3)
        create(broker, "u", 1)
        for wanted in (3, 2, 0, -1):
            (code, why), = grow(broker, ("t", wanted))
            assert code == INVALID_PARTITIONS and "3 partitions" in why, (wanted, code, why)
        assert grow(broker, ("absent", 3))[0][0] == UNKNOWN_TOPIC
        (code, why), = grow(broker, ("t", 4), ("t", 5), answered=1)
        assert code == INVALID_REQUEST and "more than once" in why
        assert grow(broker, ("u", 2), assignments=[{"broker_ids": [77]}])[0][0] == INVALID_ASSIGNMENT
        assert grow(broker, ("u", 1000000))[0][0] == INVALID_PARTITIONS
        assert partitions(broker, "t") == 3 and partitions(broker, "u") == 1


def test_validate_only_adds_nothing():
    with Broker() as broker:
        create(broker, "t", 1)
        for version in (0, 3):
            assert grow(broker, ("t", 2), validate_only=True, version=version) == [(OK, None)]
        assert partitions(broker, "t") == 1


def test_a_stage_reads_new_partitions_from_their_beginning():
    with Broker() as broker:
        create(broker, "orders", 1)
        shutil.copy(os.path.join(SOURCE, "examples", "mask_lua", "mask.lua"), os.path.join(broker.home, "plugins"))
        wait_for(lambda: " mask " in broker.log() and "loaded" in broker.log(), "the plugin")
        broker.produce("orders", ['{"n":1}'], "-p", "0")
        assert grow(broker, ("orders", 3)) == [(OK, None)]
        broker.produce("orders", ['{"n":2}'], "-p", "2")
        wait_for(lambda: sorted(broker.consume("orders.masked")) == ['{"n":1}', '{"n":2}'], "both records behind the stage")


def test_the_command_line_adds_partitions():
    with Broker() as broker:
        create(broker, "t", 1)
        code, _, err = broker.run("topic", "alter", "t", "--partitions", "4", "-c", "retention.ms=5000")
        assert code == 0, err
        assert partitions(broker, "t") == 4
        code, _, err = broker.run("topic", "alter", "t", "--partitions", "4")
        assert code == 65 and "can only grow" in err, err


load_tests = loader(globals())
