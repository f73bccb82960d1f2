"""The limits of consumer groups: `groups.*`, in force by a reload, and a broker without groups."""
import json
import os

from kafka_wire import call
from sluice_broker import Broker, loader

OK, NO_COORDINATOR, BAD_SESSION, INVALID_CONFIG, FULL = 0, 15, 26, 40, 81


def join(raw, group, session_ms=10000, member=""):
    """Error code and member id."""
    answer = call(raw, "JoinGroup", 2, {
        "group_id": group, "session_timeout_ms": session_ms, "rebalance_timeout_ms": 60000, "member_id": member,
        "protocol_type": "consumer", "protocols": [{"name": "range", "metadata": b""}]})
    return answer["error_code"], answer["member_id"]


def keys_of(broker):
    with broker.connect() as raw:
        answer = call(raw, "DescribeConfigs", 4, {"resources": [{"resource_type": 4, "resource_name": "1",
                                                                 "configuration_keys": None}]})["results"][0]
    return {one["name"]: one["value"] for one in answer["configs"]}


def test_limits_of_groups_are_in_force_by_a_reload():
    with Broker(start=False) as broker:
        path = os.path.join(broker.home, "sluice.yaml")

        def write(text):
            with open(path, "w") as file:
                file.write(text)

        write("groups: {session_timeout_min: 6 s}\n")
        broker.extra = ["--config", path]
        broker.start()
        with broker.connect() as raw:
            assert join(raw, "a", session_ms=0)[0] == OK, "the default of 30 s"
            assert join(raw, "b", session_ms=5999)[0] == BAD_SESSION
            write("groups: {session_timeout_min: 1 s, session_timeout_max: 9 s, members_max: 1, offsets_retention: 2 h, assignor: range}\n")
            code, out, err = broker.run("reload", "--json")
            assert code == 0, err
            changes = {one["key"]: one["outcome"] for one in json.loads(out)["changes"]}
            assert set(changes.values()) == {"applied live"}, changes
            assert join(raw, "b", session_ms=10000)[0] == BAD_SESSION
            assert join(raw, "b", session_ms=1000)[0] == OK
            assert join(raw, "a", session_ms=6000)[0] == FULL
        told = keys_of(broker)
        assert (told["group.min.session.timeout.ms"], told["group.max.session.timeout.ms"]) == ("1000", "9000")
        assert (told["group.max.size"], told["offsets.retention.minutes"]) == ("1", "120")


def configure(raw, kind, word, value):
    """Of group "g": error code and message."""
    answer, = call(raw, "IncrementalAlterConfigs", 1, {"validate_only": True, "resources": [{"resource_type": 32, "resource_name": "g", "configs": [
        {"name": "%s.%s.ms" % (kind, word), "config_operation": 0, "value": str(value)}]}]})["responses"]
    return answer["error_code"], answer["error_message"]


def test_what_a_single_group_may_configure_has_bounds_that_a_reload_changes():
    with Broker(start=False) as broker:
        path = os.path.join(broker.home, "sluice.yaml")

        def write(text):
            with open(path, "w") as file:
                file.write(text)

        write("groups: {}\n")
        broker.extra = ["--config", path]
        broker.start()
        with broker.connect() as raw:
            for kind in ("consumer", "share", "streams"):
                for word, key, least, most, low, high in (("session.timeout", "session_timeout", 45000, 60000, 40000, 50000),
                                                          ("heartbeat.interval", "heartbeat_interval", 5000, 15000, 20000, 30000)):
                    write("groups: {}\n")
                    assert broker.run("reload")[0] == 0
                    assert configure(raw, kind, word, least)[0] == configure(raw, kind, word, most)[0] == OK
                    write("groups: {%s_%s_min: %d ms, %s_%s_max: %d ms}\n" % (kind, key, low, kind, key, high))
                    assert broker.run("reload")[0] == 0
                    assert configure(raw, kind, word, low)[0] == configure(raw, kind, word, high)[0] == OK
                    name = "%s.%s.ms" % (kind, word)
                    assert configure(raw, kind, word, low - 1) == (INVALID_CONFIG, "%s must be greater than or equal to group.%s.min.%s.ms (%d)" % (
                        name, kind, word, low))
                    assert configure(raw, kind, word, high + 1) == (INVALID_CONFIG, "%s must be less than or equal to group.%s.max.%s.ms (%d)" % (
                        name, kind, word, high))
                    told = keys_of(broker)
                    assert (told["group.%s.min.%s.ms" % (kind, word)], told["group.%s.max.%s.ms" % (kind, word)]) == (str(low), str(high))
        write("groups: {share_session_timeout_min: 2 min}\n")
        code, out, err = broker.run("reload")
        assert code != 0 and "groups.share_session_timeout_min (2 min) must not exceed groups.share_session_timeout_max (1 min)" in out.decode() + err, (out, err)


def test_the_session_of_a_single_group_exceeds_its_heartbeats():
    bounds = ["groups.%s_%s=%s" % (kind, key, value) for kind in ("consumer", "share", "streams")
              for key, value in (("session_timeout_min", "1 s"), ("heartbeat_interval_max", "1 min"))]
    with Broker(*bounds) as broker, broker.connect() as raw:
        for kind in ("consumer", "share", "streams"):
            session, heartbeat = kind + ".session.timeout.ms", kind + ".heartbeat.interval.ms"

            def alter(**values):
                configs = [{"name": session if key == "session" else heartbeat, "config_operation": 0 if value else 1, "value": value and str(value)}
                           for key, value in values.items()]
                answer, = call(raw, "IncrementalAlterConfigs", 1, {"validate_only": False, "resources": [
                    {"resource_type": 32, "resource_name": "g", "configs": configs}]})["responses"]
                return answer["error_code"], answer["error_message"]

            def refused(session_ms, heartbeat_ms):
                return INVALID_CONFIG, "%s must be greater than %s (%d and %d)" % (session, heartbeat, session_ms, heartbeat_ms)
            assert alter(session=15000, heartbeat=15000) == refused(15000, 15000)  # as Kafka says
            assert alter(session=15001, heartbeat=15000)[0] == OK
            assert alter(heartbeat=15001) == refused(15001, 15001)  # with what is set
            assert alter(session=None)[0] == OK
            assert alter(heartbeat=45000) == refused(45000, 45000)  # with what is the broker's
            assert alter(session=50000, heartbeat=45000)[0] == OK
            assert alter(session=None) == refused(45000, 45000)
            assert alter(session=None, heartbeat=None)[0] == OK


def test_a_broker_without_groups_offers_none_and_refuses_who_joins():
    with Broker("kafka.groups=false") as broker:
        with broker.connect() as raw:
            keys = {one["api_key"] for one in call(raw, "ApiVersions", 0, {})["api_keys"]}
            assert not keys & {8, 9, 11, 12, 13, 14, 15, 16, 25, 28, 42, 47, 68, 69, 76, 77, 78, 79, 88, 89, 90, 91, 92} and 10 in keys, keys
            assert call(raw, "FindCoordinator", 1, {"key": "g"})["error_code"] == NO_COORDINATOR
            assert call(raw, "FindCoordinator", 1, {"key": "t", "key_type": 1})["error_code"] == OK
            assert join(raw, "g")[0] == NO_COORDINATOR


load_tests = loader(globals())
