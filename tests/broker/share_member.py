"""A member of a share group (KIP-932) that speaks raw, and what tests of such groups need beside it."""
import re
import urllib.request

from kafka_wire import call

GAP, ACCEPT, RELEASE, REJECT, RENEW = range(5)


class Member:
    """A member of a share group on a connection of its own."""

    def __init__(self, broker, group, name, *topics):
        self.raw, self.group, self.name, self.topics = broker.connect(), group, name, list(topics)
        self.session, self.epoch = 0, 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.raw.socket.close()

    def beat(self, epoch=None, topics=None):
        answer = call(self.raw, "ShareGroupHeartbeat", 1, {
            "group_id": self.group, "member_id": self.name, "member_epoch": self.epoch if epoch is None else epoch,
            "subscribed_topic_names": topics})
        if answer["error_code"] == 0:
            self.epoch = answer["member_epoch"]
        return answer

    def join(self):
        answer = self.beat(0, self.topics)
        assert answer["error_code"] == 0, answer
        return {part["topic_id"]: part["partitions"] for part in answer["assignment"]["topic_partitions"]}

    def fetch(self, topic=None, partitions=(0,), acks=None, wait_ms=0, records=500, mode=0, epoch=None, renew=False, batch=500):
        """acks: {partition: [(first, last, types)]}"""
        epoch = self.session if epoch is None else epoch
        named = [{"partition_index": p, "acknowledgement_batches": [
            {"first_offset": a, "last_offset": b, "acknowledge_types": t} for a, b, t in (acks or {}).get(p, ())]}
                 for p in partitions if epoch == 0 or (acks or {}).get(p)]
        answer = call(self.raw, "ShareFetch", 2, {
            "group_id": self.group, "member_id": self.name, "share_session_epoch": epoch, "max_wait_ms": wait_ms,
            "min_bytes": 1, "max_bytes": 1 << 20, "max_records": records, "batch_size": batch, "share_acquire_mode": mode,
            "is_renew_ack": renew, "topics": [{"topic_id": topic, "partitions": named}] if named else []})
        if answer["error_code"] == 0:
            self.session = epoch + 1
        return answer

    def acquire(self, topic, **more):
        """[(partition, first, last, deliveries)]"""
        answer = self.fetch(topic, **more)
        assert answer["error_code"] == 0, answer
        return acquired(answer)

    def acknowledge(self, topic, *batches, partition=0, epoch=None, renew=False):
        epoch = self.session if epoch is None else epoch
        answer = call(self.raw, "ShareAcknowledge", 2, {
            "group_id": self.group, "member_id": self.name, "share_session_epoch": epoch, "is_renew_ack": renew,
            "topics": [{"topic_id": topic, "partitions": [{"partition_index": partition, "acknowledgement_batches": [
                {"first_offset": a, "last_offset": b, "acknowledge_types": t} for a, b, t in batches]}]}]})
        if answer["error_code"] != 0:
            return answer["error_code"]
        self.session = epoch + 1
        return answer["responses"][0]["partitions"][0]["error_code"] if answer["responses"] else 0


def acquired(answer):
    return [(part["partition_index"], run["first_offset"], run["last_offset"], run["delivery_count"])
            for topic in answer["responses"] for part in topic["partitions"] for run in part["acquired_records"]]


def make(broker, topic="t", partitions=1):
    """A topic; its id."""
    with broker.connect() as raw:
        made = call(raw, "CreateTopics", 7, {"topics": [{"name": topic, "num_partitions": partitions, "replication_factor": 1}],
                                             "timeout_ms": 10000})["topics"][0]
    assert made["error_code"] == 0, made
    return made["topic_id"]


def configure_group(broker, group="g", **values):
    """Sets the group's configuration, __ for a dot. Returns the error code."""
    configs = [{"name": name.replace("__", "."), "config_operation": 0, "value": value} for name, value in values.items()]
    with broker.connect() as raw:
        done, = call(raw, "IncrementalAlterConfigs", 1, {"resources": [
            {"resource_type": 32, "resource_name": group, "configs": configs}]})["responses"]
    return done["error_code"]


def measured(broker, group="g"):
    """The metrics of the group, {name without sluice_share_: value}; None: all that there are, with their kinds."""
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30) as answer:
        text = answer.read().decode()
    if group is None:
        return dict(re.findall(r"^# TYPE sluice_share_(\w+) (\w+)$", text, re.M))
    return {name: float(value) for name, value in re.findall(
        rf'^sluice_share_(\w+)\{{group="{re.escape(group)}"\}} ([0-9.e+-]+)$', text, re.M)}
