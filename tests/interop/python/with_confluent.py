"""confluent-kafka (librdkafka): a driver of interop.py."""
import os
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from kinds import REFUSAL_S, Record

CANNOT = {}  # names of checks, or how they begin, and why
NULL_BOTH, NULL_HEADERS = True, True  # key and value of a record can both be null, and the value of a header
PASSING = (KafkaError._NO_OFFSET, KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION,
           KafkaError.STALE_MEMBER_EPOCH)  # of a commit: the next poll takes part in a rebalance


def config(way, **more):
    found = {"bootstrap.servers": way.address, "broker.address.family": "v4", "security.protocol": way.protocol.lower()}
    if "INTEROP_DEBUG" in os.environ:
        found["debug"] = os.environ["INTEROP_DEBUG"]
    for key, value in (("ssl.ca.location", way.ca), ("ssl.certificate.location", way.certificate),
                       ("ssl.key.location", way.key), ("sasl.mechanism", way.mechanism)):
        if value:
            found[key] = value
    if way.mechanism == "OAUTHBEARER":
        found["oauth_cb"] = lambda _: (way.token, time.time() + 3600)
    elif way.mechanism:
        found |= {"sasl.username": way.user, "sasl.password": way.password}
    if way.quick:
        found["message.timeout.ms"] = REFUSAL_S * 1000
    return found | {key.replace("_", "."): value for key, value in more.items()}


class admin:
    class Exists(Exception):
        pass

    def __init__(self, way):
        self.client = AdminClient(config(way))

    def create(self, topics):
        try:
            for done in self.client.create_topics([NewTopic(*topic, 1) for topic in topics.items()]).values():
                done.result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                raise self.Exists from error
            raise

    def partitions(self, topic):
        listed = self.client.list_topics(timeout=10).topics
        return len(listed[topic].partitions) if topic in listed else 0

    def remove(self, topic):
        self.client.delete_topics([topic])[topic].result()

    def configure(self, topic, key, value):
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for done in self.client.incremental_alter_configs([
                ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])]).values():
            done.result()

    def config(self, topic, key):
        done, = self.client.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        return done.result()[key].value

    def groups(self):
        found = self.client.list_consumer_groups().result()
        assert not found.errors, found.errors
        return [one.group_id for one in found.valid]

    def group(self, name):
        return self.client.describe_consumer_groups([name])[name].result().state.name

    def remove_group(self, name):
        self.client.delete_consumer_groups([name])[name].result()

    def delete_records(self, topic, before):
        done, = self.client.delete_records([TopicPartition(topic, 0, before)]).values()
        return done.result().low_watermark

    def close(self):
        pass


class producer:
    def __init__(self, way, codec="none", acks=-1, transaction=None):
        more = {"transactional_id": transaction} if transaction else {}
        self.client = Producer(config(way, acks=acks, enable_idempotence=acks == -1, compression_codec=codec,
                                      linger_ms=5, **more))
        if transaction:
            self.client.init_transactions()

    def send(self, records):
        offsets, errors = [], []

        def delivered(error, message):
            errors.extend([error] if error else [])
            offsets.append(message.offset())

        for record in records:
            where = {} if record.partition is None else {"partition": record.partition}
            self.client.produce(record.topic, record.value, record.key, headers=record.headers,
                                on_delivery=delivered, **where)
        self.client.flush(30)
        assert len(offsets) == len(records) and not errors, errors
        return offsets

    def begin(self):
        self.client.begin_transaction()

    def send_offsets(self, consumer):
        inner = consumer.client
        self.client.send_offsets_to_transaction(inner.position(inner.assignment()), inner.consumer_group_metadata())

    def end(self, commit):
        if commit:
            self.client.commit_transaction()
        else:
            self.client.abort_transaction()

    def close(self):
        self.client.purge()
        self.client.flush(1)


class consumer:
    def __init__(self, way, topic, group=None, protocol="classic", committed=False):
        more = {"session_timeout_ms": 10000, "heartbeat_interval_ms": 300}
        if protocol == "consumer":
            more = {"group_protocol": "consumer"}
        self.client = Consumer(config(way, group_id=group or "none", auto_offset_reset="earliest",
                                      enable_auto_commit=False, fetch_wait_max_ms=100,
                                      topic_metadata_refresh_interval_ms=2000,
                                      isolation_level="read_committed" if committed else "read_uncommitted", **more))
        if group:
            self.client.subscribe([topic])
        else:
            self.client.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])

    def poll(self, timeout_s):
        found = []
        for message in self.client.consume(100, timeout_s):
            if message.error():
                raise KafkaException(message.error())
            found.append(Record(message.topic(), message.value(), message.key(), message.headers() or [],
                                message.partition(), message.offset()))
        return found

    def assigned(self):
        return len(self.client.assignment())

    def commit(self):
        try:
            self.client.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in PASSING:
                raise

    def close(self):
        self.client.close()
