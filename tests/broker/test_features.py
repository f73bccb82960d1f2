"""Features of the cluster: told by ApiVersions, changed by UpdateFeatures, kept over starts."""
import os
import sys

from kafka_wire import call
from sluice_broker import SOURCE, Broker, loader
from test_acls import CLUSTER, allow, secured
from test_storage_tools import data_of

sys.path.insert(0, os.path.join(SOURCE, "tests", "formats"))
import wal_reader  # noqa: E402

NEEDS = ("frontend_kafka",)

OK, INVALID_UPDATE = 0, 95
UPGRADE, SAFE, UNSAFE = 1, 2, 3
TXN = "transaction.version"


def versions(broker, version=4):
    with broker.connect() as raw:
        return call(raw, "ApiVersions", version, {"client_software_name": "t", "client_software_version": "1"})


def level(broker, feature=TXN):
    """In force, as ApiVersions says; 0: not told."""
    return {one["name"]: one["max_version_level"] for one in versions(broker)["finalized_features"]}.get(feature, 0)


def update(broker, to, kind=UPGRADE, feature=TXN, version=2, **more):
    with broker.connect() as raw:
        values = {"feature": feature, "max_version_level": to}
        values.update({"allow_downgrade": kind != UPGRADE} if version == 0 else {"upgrade_type": kind})
        return call(raw, "UpdateFeatures", version, {"feature_updates": [values], **more})


def test_levels_go_down_when_asked_to_and_up_again_for_every_version():
    with Broker() as broker:
        assert level(broker) == 2
        for version in (0, 1, 2):
            before = versions(broker)["finalized_features_epoch"]
            down = update(broker, 1, SAFE, version=version)
            assert (down["error_code"], down["error_message"], level(broker)) == (OK, None, 1)
            if version < 2:
                assert [(one["feature"], one["error_code"]) for one in down["results"]] == [(TXN, OK)]
            assert update(broker, 2, version=version)["error_code"] == OK and level(broker) == 2
            assert versions(broker)["finalized_features_epoch"] == before + 2
        assert update(broker, 2)["error_code"] == OK, "what is so already"
        assert versions(broker)["finalized_features_epoch"] == before + 2


def test_what_cannot_be_is_refused_with_a_reason():
    with Broker() as broker:
        for answer, word in ((update(broker, 1), "downgrade"), (update(broker, 3), "0-2"), (update(broker, -1), "less than 0"),
                             (update(broker, 1, feature="tea.version"), "does not support the given feature")):
            assert answer["error_code"] == INVALID_UPDATE and word in answer["error_message"], answer
        assert update(broker, 1, kind=7)["error_code"] == INVALID_UPDATE
        assert update(broker, 1, SAFE, validate_only=True)["error_code"] == OK
        assert level(broker) == 2 and versions(broker)["finalized_features_epoch"] == 1
        assert update(broker, 1, UNSAFE)["error_code"] == OK
        assert update(broker, 2, SAFE)["error_code"] == INVALID_UPDATE


def test_levels_stay_over_a_kill_a_stop_and_checkpoints():
    with Broker("wal.segment_bytes=1 MiB", "wal.frame_bytes_max=256 KiB", "wal.group_bytes_max=256 KiB") as broker:
        assert update(broker, 0, SAFE)["error_code"] == OK
        epoch = versions(broker)["finalized_features_epoch"]
        for end in (broker.crash, broker.stop, broker.stop):
            end()
            assert wal_reader.Folder(data_of(broker)).states[0].settings == {(1, TXN, "level"): "0"}
            broker.start()
            told = versions(broker)
            assert level(broker) == 0 and told["finalized_features_epoch"] == epoch
        assert [one["name"] for one in told["supported_features"]].count(TXN) == 1
        assert update(broker, 2)["error_code"] == OK and level(broker) == 2


def test_who_may_alter_the_cluster_may_change_them():
    with secured() as broker:
        assert update(broker, 1, SAFE)["error_code"] == CLUSTER and level(broker) == 2
        allow(broker, "Alter", "Cluster:kafka-cluster")
        assert update(broker, 1, SAFE)["error_code"] == OK and level(broker) == 1


load_tests = loader(globals())
