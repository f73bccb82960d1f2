"""kafka-python: a driver of interop.py."""
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import CommitFailedError, RebalanceInProgressError, TopicAlreadyExistsError
from kafka.net.sasl.oauth import AbstractTokenProvider
from kafka.structs import OffsetAndMetadata

from kinds import REFUSAL_S, Record

CANNOT = {"group.protocol=consumer": "kafka-python has the classic protocol only"}
NULL_BOTH, NULL_HEADERS = False, False  # it refuses to send them


class Token(AbstractTokenProvider):
    def __init__(self, token):
        self.text = token

    def token(self):
        return self.text


def config(way, **more):
    found = {"bootstrap_servers": way.address, "security_protocol": way.protocol}
    for key, value in (("ssl_cafile", way.ca), ("ssl_certfile", way.certificate), ("ssl_keyfile", way.key),
                       ("sasl_mechanism", way.mechanism)):
        if value:
            found[key] = value
    if way.mechanism == "OAUTHBEARER":
        found["sasl_oauth_token_provider"] = Token(way.token)
    elif way.mechanism:
        found |= {"sasl_plain_username": way.user, "sasl_plain_password": way.password}
    if way.quick:
        found |= {"bootstrap_timeout_ms": REFUSAL_S * 1000}
    return found | more


class admin:
    Exists = TopicAlreadyExistsError

    def __init__(self, way):
        self.client = KafkaAdminClient(**config(way))

    def create(self, topics):
        self.client.create_topics({name: {"num_partitions": count, "replication_factor": 1}
                                   for name, count in topics.items()})

    def partitions(self, topic):
        if topic not in self.client.list_topics():
            return 0
        return len(self.client.describe_topics([topic])[0]["partitions"])

    def remove(self, topic):
        self.client.delete_topics([topic])

    def configure(self, topic, key, value):
        self.client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {key: value})])

    def config(self, topic, key):
        found = self.client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, [key])], config_filter="all")
        while key not in found:  # by kind and name of the resource
            found, = found.values()
        return found[key]["value"] if isinstance(found[key], dict) else found[key]

    def groups(self):
        return [one["group_id"] for one in self.client.list_groups()]

    def group(self, name):
        return str(self.client.describe_groups([name])[name]["group_state"])

    def remove_group(self, name):
        self.client.delete_groups([name])

    def delete_records(self, topic, before):
        found = self.client.delete_records({TopicPartition(topic, 0): before})
        mark = found[TopicPartition(topic, 0)]
        return mark["low_watermark"] if isinstance(mark, dict) else mark

    def close(self):
        self.client.close()


class producer:
    def __init__(self, way, codec="none", acks=-1, transaction=None):
        more = {"max_block_ms": REFUSAL_S * 1000} if way.quick else {}
        self.client = KafkaProducer(**config(way, acks="all" if acks == -1 else acks, linger_ms=5, transactional_id=transaction,
                                             enable_idempotence=acks == -1,
                                             compression_type=None if codec == "none" else codec, **more))
        if transaction:
            self.client.init_transactions()

    def send(self, records):
        waits = [self.client.send(record.topic, record.value, record.key, record.headers, record.partition)
                 for record in records]
        return [wait.get(30).offset for wait in waits]

    def begin(self):
        self.client.begin_transaction()

    def send_offsets(self, consumer):
        inner = consumer.client
        self.client.send_offsets_to_transaction(
            {part: OffsetAndMetadata(inner.position(part), "", -1) for part in inner.assignment()}, inner.group_metadata())

    def end(self, commit):
        if commit:
            self.client.commit_transaction()
        else:
            self.client.abort_transaction()

    def close(self):
        self.client.close(timeout=5)


class consumer:
    def __init__(self, way, topic, group=None, protocol="classic", committed=False):
        more = dict(group_id=group, session_timeout_ms=10000, heartbeat_interval_ms=300) if group else {}
        self.client = KafkaConsumer(**config(way, auto_offset_reset="earliest", enable_auto_commit=False,
                                             isolation_level="read_committed" if committed else "read_uncommitted", **more))
        if group:
            self.client.subscribe([topic])
        else:
            self.client.assign([TopicPartition(topic, 0)])

    def poll(self, timeout_s):
        return [Record(one.topic, one.value, one.key, list(one.headers), one.partition, one.offset)
                for records in self.client.poll(timeout_ms=int(timeout_s * 1000)).values() for one in records]

    def assigned(self):
        return len(self.client.assignment())

    def commit(self):
        try:
            self.client.commit()
        except (CommitFailedError, RebalanceInProgressError):
            pass  # the next poll takes part in it

    def close(self):
        self.client.close()
