// kafkajs against the broker: the checks of ../README.md.
//   interop.js write ADDRESS NAME     all checks on topics NAME.*
//   interop.js read ADDRESS TOPIC…    reads what other clients wrote
"use strict";
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require("kafkajs");
const lz4 = require("lz4-napi");
const { ZstdCodec } = require("zstd-codec");

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};
const RECORDS = 300; // of a codec
const ROUND = 400; // of one round of the group
const FEW = 20; // of a codec with acks 0 or 1
const WAIT_MS = 30000;
const SPECIAL = [ // key, value
  [null, Buffer.from("no key")],
  [Buffer.from("tombstone"), null],
  [null, Buffer.from("")],
  [Buffer.from(""), Buffer.from("empty key")],
  [null, null],
];
const HEADERS = {
  n: Buffer.from("3"),
  bin: Buffer.from([0, 255, 128]),
  dup: [Buffer.from("1"), Buffer.from("2")],
  empty: Buffer.from(""),
};

CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
});
const zstd = new Promise((resolve) => ZstdCodec.run(resolve));
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(new (await zstd).Simple().compress(encoder.buffer, 3)),
  // Streaming, because a frame of another client need not tell its size.
  decompress: async (buffer) => Buffer.from(new (await zstd).Streaming().decompress(buffer)),
});

function valueOf(i) {
  const out = Buffer.alloc(i === 7 || i === 8 ? 300000 : ((i * 37) % 1400) + 1);
  const text = Buffer.from(`sluice ${i} `);
  let x = Math.imul(i, 2654435761) >>> 0;
  for (let at = 0; at < out.length; at++) {
    out[at] = i % 2 === 0 ? text[at % text.length] : x >>> 24;
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
  }
  return out;
}

function must(isTrue, what) {
  if (!isTrue) throw new Error(what);
}
const same = (a, b) => (a === null || b === null ? a === b : a.equals(b));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(isTrue, what) {
  const deadline = Date.now() + WAIT_MS;
  while (!isTrue()) {
    must(Date.now() < deadline, `waited for ${what()}`);
    await sleep(20);
  }
}

async function check(name, work) {
  try {
    await work();
    console.log("ok " + name);
  } catch (error) { // every failure is a line, the others go on
    console.error(error);
    console.log(`fail ${name}: ${String(error).replace(/\n/g, " ")}`);
  }
}

class Client {
  constructor(address, name) {
    this.name = name;
    this.kafka = new Kafka({
      clientId: "interop",
      brokers: [address],
      logLevel: process.env.INTEROP_DEBUG ? logLevel.DEBUG : logLevel.NOTHING,
      retry: { retries: 5, initialRetryTime: 100 },
    });
  }

  async admin() {
    const admin = this.kafka.admin();
    await admin.connect();
    const gone = `${this.name}.gone`;
    const topics = Object.keys(CODECS).map((codec) => ({ topic: `${this.name}.${codec}` }));
    topics.push({ topic: `${this.name}.special` }, { topic: `${this.name}.acks` });
    topics.push({ topic: `${this.name}.group`, numPartitions: 4 });
    topics.push({ topic: gone, numPartitions: 2 });
    for (const topic of topics) topic.numPartitions ??= 1;
    must(await admin.createTopics({ topics, waitForLeaders: true }), "nothing was created");
    must(!(await admin.createTopics({ topics: [topics[0]] })), "a topic that exists was created");
    must((await admin.listTopics()).includes(gone), "a new topic is not listed");
    await admin.deleteTopics({ topics: [gone] });
    must(!(await admin.listTopics()).includes(gone), "a deleted topic is listed");
    await admin.disconnect();
  }

  async send(batches, acks = -1) { // [topic, messages, codec]…
    const producer = this.kafka.producer({ idempotent: acks === -1, maxInFlightRequests: 1 });
    await producer.connect();
    try {
      const answers = [];
      for (const [topic, messages, codec] of batches) {
        answers.push(...await producer.send({
          topic, messages, acks, compression: codec ?? CompressionTypes.None,
        }));
      }
      return answers;
    } finally {
      await producer.disconnect();
    }
  }

  async produce(codec) {
    const batches = [];
    for (let first = 0; first < RECORDS; first += 100) { // all of a send is one batch
      const messages = [];
      for (let i = first; i < first + 100; i++) {
        messages.push({ key: `k${i}`, value: valueOf(i), headers: { n: `${i}` } });
      }
      batches.push([`${this.name}.${codec}`, messages, CODECS[codec]]);
    }
    const offsets = (await this.send(batches)).map((answer) => answer.baseOffset);
    must(offsets.join() === "0,100,200", `base offsets ${offsets}`);
  }

  /** Not idempotent. Of acks=0 nothing is told: that all arrived shows when it is read. */
  async acks() {
    const topic = `${this.name}.acks`;
    const sent = [];
    for (const acks of [0, 1]) {
      for (const codec of Object.keys(CODECS)) {
        const values = [...Array(FEW).keys()].map((i) => `acks ${acks}, ${codec}, ${i}`);
        const messages = values.map((value) => ({ value }));
        const answers = await this.send([[topic, messages, CODECS[codec]]], acks);
        must(acks === 0 || Number(answers[0].baseOffset) >= 0, "no offset");
        sent.push(...values);
      }
    }
    const found = (await this.first(topic, sent.length)).map((record) => record.value.toString());
    must(found.sort().join() === sent.sort().join(), `${found.length} of ${sent.length} came`);
  }

  /** The first count records of a topic of one partition. kafkajs reads in groups only. */
  async first(topic, count) {
    const groupId = `${topic}.alone.${process.pid}`;
    const consumer = this.kafka.consumer({ groupId, maxWaitTimeInMs: 200 });
    const found = [];
    await consumer.connect();
    try {
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await consumer.run({ eachMessage: async ({ message }) => void found.push(message) });
      await until(() => found.length >= count, () => `${count} records, got ${found.length}`);
    } finally {
      await consumer.disconnect();
    }
    return found;
  }

  async read(topic) {
    const found = await this.first(topic, RECORDS);
    for (let i = 0; i < RECORDS; i++) {
      const record = found[i];
      must(record.offset === `${i}`, `offset ${record.offset}, not ${i}`);
      must(same(record.key, Buffer.from(`k${i}`)), `key of ${i}: ${record.key}`);
      must(same(record.value, valueOf(i)), `value of ${i} differs`);
      must(JSON.stringify(Object.keys(record.headers)) === '["n"]', `headers of ${i}`);
      must(same(record.headers.n, Buffer.from(`${i}`)), `header of ${i}: ${record.headers.n}`);
    }
  }

  async special() {
    const topic = `${this.name}.special`;
    await this.send([[topic, SPECIAL.map(([key, value]) => ({ key, value, headers: HEADERS }))]]);
    const found = await this.first(topic, SPECIAL.length);
    SPECIAL.forEach(([key, value], i) => {
      must(same(found[i].key, key), `key of special record ${i}: ${found[i].key}`);
      must(same(found[i].value, value), `value of special record ${i}: ${found[i].value}`);
      for (const [name, expected] of Object.entries(HEADERS)) {
        const got = [found[i].headers[name]].flat();
        const want = [expected].flat();
        must(got.length === want.length && want.every((one, at) => same(got[at], one)),
          `header ${name} of special record ${i}`);
      }
    });
  }

  async sendRound(first) {
    const messages = [];
    for (let i = first; i < first + ROUND; i++) {
      messages.push({ partition: i % 4, value: `${i}` });
    }
    await this.send([[`${this.name}.group`, messages]]);
  }

  /** A member of the group: reads; kafkajs commits after each batch, and when it leaves. */
  async join(seen) {
    const topic = `${this.name}.group`;
    const consumer = this.kafka.consumer({
      groupId: topic, sessionTimeout: 10000, heartbeatInterval: 300, maxWaitTimeInMs: 200,
    });
    const member = { partitions: 0, count: 0, leave: () => consumer.disconnect() };
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      member.partitions = (payload.memberAssignment[topic] ?? []).length;
    });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => {
        seen.add(Number(message.value.toString()));
        member.count++;
      },
    });
    return member;
  }

  async group() {
    const seen = new Set();
    const members = [];
    const join = async () => members[members.push(await this.join(seen)) - 1];
    const count = (n, what) => until(() => seen.size >= n, () => `${what}, seen ${seen.size}`);
    try {
      await this.sendRound(0);
      const first = await join();
      await count(ROUND, "the first round");
      const second = await join();
      await until(() => first.partitions === 2 && second.partitions === 2,
        () => `two partitions each, have ${first.partitions} and ${second.partitions}`);
      await this.sendRound(ROUND);
      await count(2 * ROUND, "the second round");
      must(second.count > 0, "the second member read nothing");
      await members.shift().leave();
      await until(() => second.partitions === 4, () => "all partitions at the one that stayed");
      await this.sendRound(2 * ROUND);
      await count(3 * ROUND, "the third round");
      await members.shift().leave();
      seen.clear();
      await this.sendRound(3 * ROUND);
      await join();
      await count(ROUND, "the round after the commit");
      must(Math.min(...seen) === 3 * ROUND, `committed offsets went back: ${Math.min(...seen)}`);
    } finally {
      for (const member of members) await member.leave();
    }
  }
}

async function main(mode, address, ...names) {
  if (mode === "read") {
    const client = new Client(address, "");
    for (const topic of names) await check(`reads ${topic}`, () => client.read(topic));
    return;
  }
  const client = new Client(address, names[0]);
  await check("admin: create, list, delete topics", () => client.admin());
  for (const codec of Object.keys(CODECS)) {
    await check(`produces ${codec}, acks=all, idempotent`, () => client.produce(codec));
    await check(`consumes ${codec}`, () => client.read(`${client.name}.${codec}`));
  }
  await check("produces with acks=0 and acks=1, every codec", () => client.acks());
  await check("headers, null keys, tombstones", () => client.special());
  await check("group of two with a rebalance", () => client.group());
}

main(...process.argv.slice(3)).then(() => process.exit(0));
