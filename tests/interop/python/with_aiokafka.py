"""aiokafka: a driver of interop.py. Its loop runs in a thread of its own; the others wait for what they have it do."""
import asyncio
import threading

import aiokafka
from aiokafka.abc import AbstractTokenProvider
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CommitFailedError, IllegalGenerationError, RebalanceInProgressError, for_code
from aiokafka.helpers import create_ssl_context

from kinds import REFUSAL_S, Record

CANNOT = {
    "group.protocol=consumer": "aiokafka has the classic protocol only",
    "admin: deletes a group": "aiokafka's admin client cannot",
}
NULL_BOTH, NULL_HEADERS = False, False  # it refuses to send them

loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


def wait(work, limit_s=60):
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, limit_s), loop).result()


async def start(make):
    """Its clients want to be made on the loop."""
    client = make()
    await client.start()
    return client


class Token(AbstractTokenProvider):
    def __init__(self, token):
        self.text = token

    async def token(self):
        return self.text


def config(way, **more):
    found = {"bootstrap_servers": way.address, "security_protocol": way.protocol}
    if way.ca:
        found["ssl_context"] = create_ssl_context(cafile=way.ca, certfile=way.certificate, keyfile=way.key)
    if way.mechanism:
        found["sasl_mechanism"] = way.mechanism
    if way.mechanism == "OAUTHBEARER":
        found["sasl_oauth_token_provider"] = Token(way.token)
    elif way.mechanism:
        found |= {"sasl_plain_username": way.user, "sasl_plain_password": way.password}
    return found | more


class admin:
    class Exists(Exception):
        pass

    def __init__(self, way):
        self.client = wait(start(lambda: AIOKafkaAdminClient(**config(way))))

    def judge(self, errors):
        for _, code, *_ in errors:
            if code == 36:
                raise self.Exists
            if code:
                raise for_code(code)(errors)

    def create(self, topics):
        self.judge(wait(self.client.create_topics([NewTopic(*topic, 1) for topic in topics.items()])).topic_errors)

    def partitions(self, topic):
        if topic not in wait(self.client.list_topics()):
            return 0
        return len(wait(self.client.describe_topics([topic]))[0]["partitions"])

    def remove(self, topic):
        self.judge(wait(self.client.delete_topics([topic])).topic_error_codes)

    def configure(self, topic, key, value):
        for answer in wait(self.client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {key: value})])):
            self.judge([(None, one[0]) for one in answer.resources])

    def config(self, topic, key):
        answer, = wait(self.client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {key: None})]))
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}[key]

    def groups(self):
        return [one[0] for one in wait(self.client.list_consumer_groups())]

    def group(self, name):
        return wait(self.client.describe_consumer_groups([name]))[0].groups[0][2]

    def delete_records(self, topic, before):
        marks = wait(self.client.delete_records(
            {aiokafka.TopicPartition(topic, 0): RecordsToDelete(before_offset=before)}))
        return marks[aiokafka.TopicPartition(topic, 0)]

    def close(self):
        wait(self.client.close())


class producer:
    def __init__(self, way, codec="none", acks=-1, transaction=None):
        self.limit_s = REFUSAL_S if way.quick else 60
        self.client = wait(start(lambda: aiokafka.AIOKafkaProducer(**config(
            way, acks="all" if acks == -1 else acks, enable_idempotence=acks == -1, transactional_id=transaction,
            max_request_size=1000000, linger_ms=5, compression_type=None if codec == "none" else codec))), self.limit_s)

    def send(self, records):
        async def all_of_them():
            waits = [await self.client.send(record.topic, record.value, record.key, record.partition,
                                            headers=record.headers) for record in records]
            answers = [await one for one in waits]
            return [answer.offset if answer else -1 for answer in answers]  # None: acks=0
        return wait(all_of_them(), self.limit_s)

    def begin(self):
        wait(self.client.begin_transaction())

    def send_offsets(self, consumer):
        wait(self.client.send_offsets_to_transaction(consumer.positions(), consumer.group))

    def end(self, commit):
        wait(self.client.commit_transaction() if commit else self.client.abort_transaction())

    def close(self):
        wait(self.client.stop())


class consumer:
    def __init__(self, way, topic, group=None, protocol="classic", committed=False):
        self.group = group
        more = dict(group_id=group, session_timeout_ms=10000, heartbeat_interval_ms=300) if group else {}
        self.client = wait(start(lambda: aiokafka.AIOKafkaConsumer(topic, **config(
            way, auto_offset_reset="earliest", enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted", **more))))

    def poll(self, timeout_s):
        found = wait(self.client.getmany(timeout_ms=int(timeout_s * 1000)))
        return [Record(one.topic, one.value, one.key, list(one.headers), one.partition, one.offset)
                for records in found.values() for one in records]

    def assigned(self):
        return len(self.client.assignment())

    def positions(self):
        async def of_all():
            return {part: await self.client.position(part) for part in self.client.assignment()}
        return wait(of_all())

    def commit(self):
        try:
            wait(self.client.commit())
        except (CommitFailedError, IllegalGenerationError, RebalanceInProgressError):
            pass  # the next poll takes part in it

    def close(self):
        wait(self.client.stop())
