// kafkajs: a driver of interop.js. open(way) gives what makes admins, producers and consumers that come in so:
// way: address; ca, certificate, key (PEM), paths (their files); mechanism, user, password, token; quick: it will be refused.
"use strict";
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, logLevel } = require("kafkajs");
const lz4 = require("lz4-napi");
const { ZstdCodec } = require("zstd-codec");
const { Queue } = require("./support.js");

const CANNOT = { "group.protocol=consumer": "kafkajs has the classic protocol only" }; // checks, or how they begin
const OFFSETS = true; // it tells the offsets of what was sent
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
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

class Admin {
  constructor(inner) {
    this.inner = inner;
  }

  async create(topics, numPartitions) {
    const made = await this.inner.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions })), waitForLeaders: true });
    if (!made) throw new Error("exists"); // so it tells that
  }

  exists = (error) => error.message === "exists";
  list = () => this.inner.listTopics();
  remove = (topic) => this.inner.deleteTopics({ topics: [topic] });
  groups = async () => (await this.inner.listGroups()).groups.map(({ groupId }) => groupId);
  group = async (name) => (await this.inner.describeGroups([name])).groups[0].state;
  removeGroup = (name) => this.inner.deleteGroups([name]);
  close = () => this.inner.disconnect();

  configure(name, key, value) {
    const configEntries = [{ name: key, value }];
    return this.inner.alterConfigs({ validateOnly: false, resources: [{ type: ConfigResourceTypes.TOPIC, name, configEntries }] });
  }

  async config(name, key) {
    const found = await this.inner.describeConfigs({
      includeSynonyms: false, resources: [{ type: ConfigResourceTypes.TOPIC, name, configNames: [key] }],
    });
    return found.resources[0].configEntries[0].configValue;
  }

  async deleteRecords(topic, before) {
    await this.inner.fetchTopicOffsets(topic); // it knows only topics that it was asked about before
    return this.inner.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: `${before}` }] });
  }
}

class Producer {
  constructor(inner, { acks, codec, transaction }) {
    this.inner = this.to = inner;
    this.acks = transaction ? undefined : acks;
    this.compression = CODECS[codec];
  }

  async send(records) {
    const messages = records.map(({ key, value, partition, headers }) => {
      const all = {};
      for (const [name, one] of headers ?? []) all[name] = name in all ? [all[name], one].flat() : one;
      return { key, value, partition, headers: all };
    });
    const answers = await this.to.send({ topic: records[0].topic, messages, acks: this.acks, compression: this.compression });
    return Number(answers?.[0]?.baseOffset ?? -1);
  }

  async begin() {
    this.to = await this.inner.transaction();
  }

  sendOffsets(consumer, found) {
    const { topic, partition, offset } = found.at(-1);
    return this.to.sendOffsets({ consumerGroupId: consumer.group, topics: [
      { topic, partitions: [{ partition, offset: `${BigInt(offset) + 1n}` }] }] });
  }

  end = (commit) => (commit ? this.to.commit() : this.to.abort());
  close = () => this.inner.disconnect();
}

/** It reads in groups only, and commits after each batch and when it leaves: commit() has nothing to do. */
class Consumer {
  queue = new Queue();
  partitions = 0;

  async start(kafka, { topic, group, committed }) {
    this.group = group ?? `${topic}.alone.${process.pid}.${process.hrtime.bigint()}`;
    this.inner = kafka.consumer({ groupId: this.group, sessionTimeout: 10000, heartbeatInterval: 300, maxWaitTimeInMs: 200,
      readUncommitted: !committed });
    this.inner.on(this.inner.events.GROUP_JOIN, ({ payload }) => {
      this.partitions = (payload.memberAssignment[topic] ?? []).length;
    });
    this.inner.on(this.inner.events.CRASH, ({ payload }) => (this.queue.error = payload.error));
    await this.inner.connect();
    await this.inner.subscribe({ topics: [topic], fromBeginning: true });
    await this.inner.run({ autoCommit: !(group && committed), eachMessage: async (one) => this.keep(one) });
    return this;
  }

  keep({ topic, partition, message: { key, value, offset, headers } }) {
    const all = Object.entries(headers).flatMap(([name, ones]) => [ones].flat().map((one) => [name, one]));
    this.queue.records.push({ topic, partition, key, value, offset, headers: all });
  }

  poll = async () => this.queue.take();
  assigned = () => this.partitions;
  commit = async () => {};
  close = () => this.inner.disconnect();
}

function open(way) {
  const mechanism = way.mechanism?.toLowerCase();
  const kafka = new Kafka({
    clientId: "interop",
    brokers: [way.address],
    logLevel: process.env.INTEROP_DEBUG ? logLevel.DEBUG : logLevel.NOTHING,
    retry: { retries: way.quick ? 1 : 5, initialRetryTime: 100 },
    ssl: way.ca && { ca: [way.ca], cert: way.certificate, key: way.key },
    sasl: mechanism && (mechanism === "oauthbearer"
      ? { mechanism, oauthBearerProvider: async () => ({ value: way.token }) }
      : { mechanism, username: way.user, password: way.password }),
  });
  return {
    async admin() {
      const admin = kafka.admin();
      await admin.connect();
      return new Admin(admin);
    },
    async producer(how) {
      const producer = kafka.producer({ idempotent: how.acks === -1, maxInFlightRequests: 1, transactionalId: how.transaction });
      await producer.connect();
      return new Producer(producer, how);
    },
    consumer: (how) => new Consumer().start(kafka, how),
  };
}

module.exports = { CANNOT, OFFSETS, open };
