"""What can be configured beside topics: groups, client metrics, the log; listed, described, changed, kept."""
from kafka_wire import call
from sluice_broker import Broker, loader
from test_acls import CLUSTER, GROUP, allow, secured
from test_kafka_traps import config_keys, described, TYPES

NEEDS = ("frontend_kafka",)

OK, INVALID_CONFIG, INVALID_REQUEST = 0, 40, 42
TOPIC, BROKER, LOGGER, METRICS, GROUPS = 2, 4, 8, 16, 32
SET, DELETE = 0, 1


def ask(broker, name, version, values=None):
    with broker.connect() as raw:
        return call(raw, name, version, values)


def listed(broker, *types, version=1):
    answer = ask(broker, "ListConfigResources", version, {"resource_types": list(types)} if version else {})
    assert answer["error_code"] == OK
    return sorted((one.get("resource_type", METRICS), one["resource_name"]) for one in answer["config_resources"])


def alter(broker, *resources, **more):
    """resources: (type, name, {key: value, or None: it goes})."""
    answer = ask(broker, "IncrementalAlterConfigs", 1, {"resources": [
        {"resource_type": kind, "resource_name": name, "configs": [
            {"name": key, "config_operation": DELETE if value is None else SET, "value": value} for key, value in keys.items()]}
        for kind, name, keys in resources], **more})
    return [one["error_code"] for one in answer["responses"]]


def test_groups_and_client_metrics_are_configured_listed_and_kept():
    with Broker() as broker:
        assert broker.run("topic", "create", "t")[0] == 0
        own = str(ask(broker, "DescribeCluster", 0)["brokers"][0]["broker_id"])
        assert listed(broker) == [(TOPIC, "t"), (BROKER, own), (LOGGER, own)] and listed(broker, version=0) == []
        codes = alter(broker, (GROUPS, "g", {"consumer.session.timeout.ms": "50000", "share.isolation.level": "read_committed"}),
                      (TOPIC, "t", {"retention.ms": "1000"}), (METRICS, "m", {"interval.ms": "5000", "metrics": "a.,b."}),
                      (GROUPS, "h", {"consumer.session.timeout.ms": "1"}), (GROUPS, "h", {"tea": "1"}), (GROUPS, "", {"tea": "1"}),
                      (LOGGER, own, {"root": "DEBUG"}))
        assert codes == [OK, OK, OK, INVALID_CONFIG, INVALID_CONFIG, INVALID_REQUEST, INVALID_REQUEST]
        assert alter(broker, (GROUPS, "trial", {"consumer.session.timeout.ms": "50000"}), validate_only=True) == [OK]
        assert listed(broker) == [(TOPIC, "t"), (BROKER, own), (LOGGER, own), (METRICS, "m"), (GROUPS, "g")]
        assert listed(broker, METRICS, GROUPS) == [(METRICS, "m"), (GROUPS, "g")]
        assert listed(broker, version=0) == [(METRICS, "m")]
        assert described(broker, TOPIC, "t")["retention.ms"]["value"] == "1000"
        for end in (broker.crash, broker.stop, broker.stop):
            end()
            broker.start()
            entry = described(broker, GROUPS, "g")["consumer.session.timeout.ms"]
            assert (entry["value"], entry["config_source"]) == ("50000", 8)
            assert [(one["name"], one["value"], one["source"]) for one in entry["synonyms"]] == [
                ("consumer.session.timeout.ms", "50000", 8), ("group.consumer.session.timeout.ms", "45000", 5)]
        assert described(broker, METRICS, "m")["metrics"]["config_source"] == 7
        assert alter(broker, (GROUPS, "g", {"consumer.session.timeout.ms": None, "share.isolation.level": None})) == [OK]
        assert listed(broker, GROUPS) == []
        replaced = ask(broker, "AlterConfigs", 2, {"resources": [
            {"resource_type": METRICS, "resource_name": "m", "configs": [{"name": "match", "value": "client_id=x"}]}]})
        assert replaced["responses"][0]["error_code"] == OK
        told = described(broker, METRICS, "m")
        assert (told["match"]["value"], told["metrics"]["value"], told["interval.ms"]["value"]) == ("client_id=x", "", "300000")


def keys_of(resource):
    """Kafka 4.3's, and of KIP-1191, which is in 4.4."""
    later = {"errors.deadletterqueue.copy.record.enable": "BOOLEAN", "errors.deadletterqueue.topic.name": "STRING"}
    return {**config_keys(resource), **(later if resource == "group" else {})}


def test_all_keys_are_told_and_the_level_of_the_log():
    with Broker() as broker:
        for number, resource in ((GROUPS, "group"), (METRICS, "client-metrics")):
            found = described(broker, number, "any")
            assert {key: entry["config_type"] for key, entry in found.items()} == {
                key: TYPES[kind] for key, kind in keys_of(resource).items()}
            assert all(entry["documentation"] for entry in found.values())
            assert [key for key, entry in found.items() if entry["config_source"] != 5] == (
                ["consumer.assignment.interval.ms", "streams.initial.rebalance.delay.ms"] if number == GROUPS else []), "--dev does not wait"
        for name, code in (("t x", 17), ("nobody", 3)):
            answer = ask(broker, "DescribeConfigs", 4, {"resources": [{"resource_type": TOPIC, "resource_name": name}]})
            assert answer["results"][0]["error_code"] == code
        none_named = ask(broker, "DescribeConfigs", 4, {"resources": [
            {"resource_type": GROUPS, "resource_name": "any", "configuration_keys": []}]})["results"][0]
        assert len(none_named["configs"]) == len(keys_of("group"))
        level, = described(broker, LOGGER, "1").values()
        assert (level["name"], level["value"], level["config_source"], level["read_only"]) == ("root", "INFO", 6, True)
        for kind, name in ((GROUPS, ""), (METRICS, ""), (LOGGER, "7"), (3, "x")):
            answer = ask(broker, "DescribeConfigs", 4, {"resources": [{"resource_type": kind, "resource_name": name}]})
            assert answer["results"][0]["error_code"] == INVALID_REQUEST, kind
        assert ask(broker, "ListConfigResources", 1, {"resource_types": [3]})["error_code"] == 35


def test_groups_are_judged_by_their_rules_and_the_rest_by_those_of_the_cluster():
    set_group = (GROUPS, "g", {"consumer.session.timeout.ms": "50000"})
    set_metrics = (METRICS, "m", {"interval.ms": "5000"})
    with secured() as broker:
        assert ask(broker, "ListConfigResources", 1)["error_code"] == CLUSTER
        assert alter(broker, set_group, set_metrics) == [GROUP, CLUSTER]
        allow(broker, "AlterConfigs", "Group:g")
        assert alter(broker, set_group, set_metrics) == [OK, CLUSTER]
        allow(broker, "AlterConfigs", "Cluster:kafka-cluster")
        assert alter(broker, set_group, set_metrics) == [OK, OK]
        assert listed(broker, GROUPS, METRICS) == [(METRICS, "m"), (GROUPS, "g")], "who may change may see"


load_tests = loader(globals())
