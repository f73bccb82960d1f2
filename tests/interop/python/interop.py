"""aiokafka against the broker: the checks of ../README.md.

    interop.py write ADDRESS NAME          all checks on topics NAME.*
    interop.py read ADDRESS TOPIC…         reads what other clients wrote"""
import asyncio
import sys
import traceback

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
RECORDS = 300  # of a codec
ROUND = 400  # of one round of the group
FEW = 20  # of a codec with acks 0 or 1
WAIT_S = 30
SPECIAL = [  # key, value
    (None, b"no key"),
    (b"tombstone", None),
    (None, b""),
    (b"", b"empty key"),
]  # aiokafka refuses to send neither
HEADERS = [("n", b"3"), ("bin", b"\x00\xff\x80"), ("dup", b"1"), ("dup", b"2"), ("empty", b"")]


def value_of(i):
    size = 300000 if i in (7, 8) else i * 37 % 1400 + 1
    if i % 2 == 0:
        text = b"sluice %d " % i
        return (text * (size // len(text) + 1))[:size]
    out, x = bytearray(size), i * 2654435761 & 0xFFFFFFFF
    for at in range(size):
        out[at] = x >> 24
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
    return bytes(out)


def require(true, what):
    if not true:
        raise AssertionError(what)


async def check(name, work):
    try:
        await work
        print("ok", name, flush=True)
    except Exception as error:  # every failure is a line, the others go on
        traceback.print_exc()
        print("fail", name + ":", type(error).__name__, str(error).replace("\n", " "), flush=True)


class Client:
    def __init__(self, address, name):
        self.address, self.name = address, name

    def consumer(self, *topics, **more):
        settings = dict(auto_offset_reset="earliest", enable_auto_commit=False)
        return aiokafka.AIOKafkaConsumer(*topics, bootstrap_servers=self.address, **(settings | more))

    def producer(self, codec="none", acks="all"):
        return aiokafka.AIOKafkaProducer(
            bootstrap_servers=self.address, acks=acks, enable_idempotence=acks == "all",
            max_request_size=1000000, linger_ms=5,
            compression_type=None if codec == "none" else codec)

    async def create(self):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        topics = [NewTopic(f"{self.name}.{codec}", 1, 1) for codec in CODECS]
        topics += [NewTopic(f"{self.name}.special", 1, 1), NewTopic(f"{self.name}.group", 4, 1)]
        topics += [NewTopic(f"{self.name}.gone", 2, 1), NewTopic(f"{self.name}.acks", 1, 1)]
        done = await admin.create_topics(topics)
        require(all(error[1] == 0 for error in done.topic_errors), str(done))
        again = await admin.create_topics(topics[:1])
        require(again.topic_errors[0][1] == 36, "a topic that exists was created: %s" % again)
        require(f"{self.name}.gone" in await admin.list_topics(), "a new topic is not listed")
        done = await admin.delete_topics([f"{self.name}.gone"])
        require(all(error[1] == 0 for error in done.topic_error_codes), str(done))
        require(f"{self.name}.gone" not in await admin.list_topics(), "a deleted topic is listed")
        await admin.close()

    async def produce(self, codec):
        async with self.producer(codec) as producer:
            waits = []
            for i in range(RECORDS):
                waits.append(await producer.send(
                    f"{self.name}.{codec}", key=b"k%d" % i, value=value_of(i),
                    headers=[("n", b"%d" % i)]))
            offsets = [(await wait).offset for wait in waits]
            require(offsets == list(range(RECORDS)), f"offsets {offsets[:5]}… {offsets[-1]}")

    async def read(self, topic):
        async with self.consumer(topic) as consumer:
            for i in range(RECORDS):
                record = await asyncio.wait_for(consumer.getone(), WAIT_S)
                require(record.offset == i, f"offset {record.offset}, not {i}")
                require(record.key == b"k%d" % i, f"key of {i}: {record.key}")
                require(record.value == value_of(i), f"value of {i} differs")
                require(list(record.headers) == [("n", b"%d" % i)], f"headers of {i}: {record.headers}")

    async def acks(self):
        """Not idempotent. Of acks=0 nothing is told: that all arrived shows when it is read."""
        topic, sent = f"{self.name}.acks", set()
        for acks in (0, 1):
            for codec in CODECS:
                values = [b"acks %d, %s, %d" % (acks, codec.encode(), i) for i in range(FEW)]
                async with self.producer(codec, acks) as producer:
                    waits = [await producer.send(topic, value) for value in values]
                    answers = [await wait for wait in waits]
                require(acks == 0 or all(answer.offset >= 0 for answer in answers), "no offsets")
                sent.update(values)
        async with self.consumer(topic) as consumer:
            found = [(await asyncio.wait_for(consumer.getone(), WAIT_S)).value for _ in sent]
        require(set(found) == sent, f"{len(set(found))} of {len(sent)} came")

    async def special(self):
        topic = f"{self.name}.special"
        async with self.producer() as producer:
            for key, value in SPECIAL:
                await producer.send_and_wait(topic, key=key, value=value, headers=HEADERS)
        async with self.consumer(topic) as consumer:
            for key, value in SPECIAL:
                record = await asyncio.wait_for(consumer.getone(), WAIT_S)
                require((record.key, record.value) == (key, value), f"{record.key}, {record.value}")
                require(list(record.headers) == HEADERS, f"headers {record.headers}")

    async def send_round(self, first):
        async with self.producer() as producer:
            waits = [await producer.send(f"{self.name}.group", b"%d" % i, partition=i % 4)
                     for i in range(first, first + ROUND)]
            for wait in waits:
                await wait

    async def trim(self):
        topic = f"{self.name}.special"
        partition = aiokafka.TopicPartition(topic, 0)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        marks = await admin.delete_records({partition: RecordsToDelete(before_offset=2)})
        await admin.close()
        require(list(marks.values()) == [2], f"low watermark: {marks}")
        async with self.consumer(topic) as consumer:
            require((await consumer.beginning_offsets([partition]))[partition] == 2, "the beginning")
            record = await asyncio.wait_for(consumer.getone(), WAIT_S)
            require(record.offset == 2, f"offset {record.offset} after the deletion")

    def member(self):
        return self.consumer(f"{self.name}.group", group_id=f"{self.name}.group",
                             session_timeout_ms=10000, heartbeat_interval_ms=300)

    async def group(self):
        seen, loops, counts = set(), {}, {}

        async def consume(member, who):
            while True:
                for records in (await member.getmany(timeout_ms=200)).values():
                    seen.update(int(record.value) for record in records)
                    counts[who] = counts.get(who, 0) + len(records)
                if member.assignment():
                    await member.commit()

        async def until(true, what):
            for _ in range(WAIT_S * 20):
                if true():
                    return
                for loop in loops.values():
                    if loop.done():
                        loop.result()
                await asyncio.sleep(0.05)
            raise AssertionError(f"waited for {what}; {len(seen)} seen, {counts}")

        async def leave(member, who):
            loops[who].cancel()
            await asyncio.gather(loops.pop(who), return_exceptions=True)
            if member.assignment():
                await member.commit()
            await member.stop()

        async def join(who):
            member = self.member()
            await member.start()
            loops[who] = asyncio.create_task(consume(member, who))
            return member

        await self.send_round(0)
        first = await join("first")
        await until(lambda: len(seen) == ROUND, "the first round")
        second = await join("second")
        await until(lambda: len(first.assignment()) == 2 and len(second.assignment()) == 2,
                    "two partitions each")
        await self.send_round(ROUND)
        await until(lambda: len(seen) == 2 * ROUND, "the second round")
        require(counts.get("second", 0) > 0, "the second member read nothing")
        await leave(first, "first")
        await until(lambda: len(second.assignment()) == 4, "all partitions at the one that stayed")
        await self.send_round(2 * ROUND)
        await until(lambda: len(seen) == 3 * ROUND, "the third round")
        await leave(second, "second")
        seen.clear()
        await self.send_round(3 * ROUND)
        third = await join("third")
        await until(lambda: len(seen) >= ROUND, "the round after the commit")
        require(seen == set(range(3 * ROUND, 4 * ROUND)), f"committed offsets went back: {min(seen)}")
        await leave(third, "third")


async def main(mode, address, *names):
    if mode == "read":
        client = Client(address, "")
        for topic in names:
            await check(f"reads {topic}", client.read(topic))
        return
    client = Client(address, names[0])
    await check("admin: create, list, delete topics", client.create())
    for codec in CODECS:
        await check(f"produces {codec}, acks=all, idempotent", client.produce(codec))
        await check(f"consumes {codec}", client.read(f"{client.name}.{codec}"))
    await check("produces with acks=0 and acks=1, every codec", client.acks())
    await check("headers, null keys, tombstones", client.special())
    await check("deletes records", client.trim())
    await check("group of two with a rebalance", client.group())


asyncio.run(main(*sys.argv[1:]))
