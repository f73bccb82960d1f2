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
                for word, key, least, most in (("session.timeout", "session_timeout", 45000, 60000), ("heartbeat.interval", "heartbeat_interval", 5000, 15000)):
                    write("groups: {}\n")
                    assert broker.run("reload")[0] == 0
                    assert configure(raw, kind, word, least)[0] == configure(raw, kind, word, most)[0] == OK
                    write("groups: {%s_%s_min: 40 s, %s_%s_max: 50 s}\n" % (kind, key, kind, key))
                    assert broker.run("reload")[0] == 0
                    assert configure(raw, kind, word, 40000)[0] == configure(raw, kind, word, 50000)[0] == OK
                    name = "%s.%s.ms" % (kind, word)
                    assert configure(raw, kind, word, 39999) == (INVALID_CONFIG, "%s must be greater than or equal to group.%s.min.%s.ms (40000)" % (
                        name, kind, word))
                    assert configure(raw, kind, word, 50001) == (INVALID_CONFIG, "%s must be less than or equal to group.%s.max.%s.ms (50000)" % (
                        name, kind, word))
                    told = keys_of(broker)
                    assert (told["group.%s.min.%s.ms" % (kind, word)], told["group.%s.max.%s.ms" % (kind, word)]) == ("40000", "50000")
        write("groups: {share_session_timeout_min: 2 min}\n")
        code, out, err = broker.run("reload")
        assert code != 0 and "groups.share_session_timeout_min (2 min) must not exceed groups.share_session_timeout_max (1 min)" in out.decode() + err, (out, err)


def test_a_broker_without_groups_offers_none_and_refuses_who_joins():
    with Broker("kafka.groups=false") as broker:
        with broker.connect() as raw:
            keys = {one["api_key"] for one in call(raw, "ApiVersions", 0, {})["api_keys"]}
            assert not keys & {8, 9, 11, 12, 13, 14, 15, 16, 25, 28, 42, 47, 68, 69, 76, 77, 78, 79, 88, 89, 90, 91, 92} and 10 in keys, keys
            assert call(raw, "FindCoordinator", 1, {"key": "g"})["error_code"] == NO_COORDINATOR
            assert call(raw, "FindCoordinator", 1, {"key": "t", "key_type": 1})["error_code"] == OK
            assert join(raw, "g")[0] == NO_COORDINATOR


load_tests = loader(globals())
