// @confluentinc/kafka-javascript (librdkafka), by the API that it has from kafkajs: a driver of interop.js.
"use strict";
const { KafkaJS, CODES } = require("@confluentinc/kafka-javascript");
const { Queue } = require("./support.js");

const CANNOT = { "admin: describe, configs, groups": "it has no calls for configurations" };
const OFFSETS = true;
const EMPTY_IS_NULL = true; // keys and values
const codes = KafkaJS.ErrorCodes ?? CODES.ERRORS;
const PASSING = [codes.ERR__NO_OFFSET, codes.ERR_REBALANCE_IN_PROGRESS, codes.ERR_ILLEGAL_GENERATION,
  codes.ERR_STALE_MEMBER_EPOCH, codes.ERR__STATE]; // of a commit: the next poll takes part in a rebalance

class Admin {
  constructor(inner) {
    this.inner = inner;
  }

  async create(topics, numPartitions) {
    const made = await this.inner.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions, replicationFactor: 1 })) });
    if (!made) throw new Error("exists"); // so it tells that
  }

  exists = (error) => error.message === "exists";
  list = () => this.inner.listTopics();
  remove = (topic) => this.inner.deleteTopics({ topics: [topic] });
  groups = async () => (await this.inner.listGroups()).groups.map(({ groupId }) => groupId);
  removeGroup = (name) => this.inner.deleteGroups([name]);
  deleteRecords = (topic, before) =>
    this.inner.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: `${before}` }] });
  close = () => this.inner.disconnect();
}

class Producer {
  constructor(inner) {
    this.inner = this.to = inner;
  }

  async send(records) {
    const messages = records.map(({ key, value, partition, headers }) => {
      const all = {};
      for (const [name, one] of headers ?? []) all[name] = name in all ? [all[name], one].flat() : one;
      return { key: key ?? null, value, partition, headers: all };
    });
    const answers = await this.to.send({ topic: records[0].topic, messages });
    return Math.min(...answers.map(({ baseOffset }) => Number(baseOffset ?? -1)));
  }

  async begin() {
    this.to = await this.inner.transaction();
  }

  sendOffsets(consumer, found) {
    const { topic, partition, offset } = found.at(-1);
    const offsets = [{ topic, partitions: [{ partition, offset: `${BigInt(offset) + 1n}` }] }];
    return this.to.sendOffsets({ consumer: consumer.inner, topics: offsets });
  }

  end = (commit) => (commit ? this.to.commit() : this.to.abort());
  close = () => this.inner.disconnect();
}

class Consumer {
  queue = new Queue();
  read = new Map(); // partition -> what is committed next

  async start(make, { topic, group, protocol, committed }) {
    const times = protocol === "consumer" ? { "group.protocol": "consumer" }
      : { "session.timeout.ms": 10000, "heartbeat.interval.ms": 300 };
    this.inner = make({ "group.id": group ?? `${topic}.alone.${process.pid}.${process.hrtime.bigint()}`,
      "auto.offset.reset": "earliest", "enable.auto.commit": false, "fetch.wait.max.ms": 100,
      "topic.metadata.refresh.interval.ms": 2000, "isolation.level": committed ? "read_committed" : "read_uncommitted", ...times });
    await this.inner.connect();
    await this.inner.subscribe({ topics: [topic] });
    await this.inner.run({ eachMessage: async (one) => this.keep(one) });
    return this;
  }

  keep({ topic, partition, message: { key, value, offset, headers } }) {
    const all = Object.entries(headers ?? {}).flatMap(([name, ones]) => [ones].flat().map((one) => [name, Buffer.from(one)]));
    this.queue.records.push({ topic, partition, key, value, offset, headers: all });
  }

  async poll() {
    const found = this.queue.take();
    for (const { topic, partition, offset } of found) {
      this.read.set(partition, { topic, partition, offset: `${BigInt(offset) + 1n}` });
    }
    return found;
  }

  assigned() {
    try {
      return this.inner.assignment().length;
    } catch (error) { // while a rebalance is under way
      if (error.code === codes.ERR__STATE) return 0;
      throw error;
    }
  }

  async commit() {
    if (this.read.size === 0) return;
    const offsets = [...this.read.values()];
    this.read.clear();
    try {
      await this.inner.commitOffsets(offsets);
    } catch (error) {
      if (!PASSING.includes(error.code)) throw error;
    }
  }

  close = () => this.inner.disconnect();
}

function open(way) {
  const mechanism = way.mechanism?.toLowerCase();
  const kafka = new KafkaJS.Kafka({
    "broker.address.family": "v4",
    ...(process.env.INTEROP_DEBUG && { debug: process.env.INTEROP_DEBUG }),
    ...(way.paths && { "ssl.ca.location": way.paths.ca }),
    ...(way.paths?.key && { "ssl.certificate.location": way.paths.certificate, "ssl.key.location": way.paths.key }),
    kafkaJS: {
      brokers: [way.address],
      logLevel: process.env.INTEROP_DEBUG ? KafkaJS.logLevel.DEBUG : KafkaJS.logLevel.NOTHING,
      ssl: Boolean(way.ca),
      ...(mechanism && { sasl: mechanism === "oauthbearer"
        ? { mechanism, oauthBearerProvider: async () => ({
          value: way.token, principal: way.user, lifetime: Date.now() + 3600000 }) }
        : { mechanism, username: way.user, password: way.password } }),
    },
  });
  return {
    async admin() {
      const admin = kafka.admin();
      await admin.connect();
      return new Admin(admin);
    },
    async producer({ acks, codec, transaction }) {
      const producer = kafka.producer({ acks, "compression.codec": codec, "enable.idempotence": acks === -1, "linger.ms": 5,
        ...(transaction && { "transactional.id": transaction }) });
      await producer.connect();
      return new Producer(producer);
    },
    consumer: (how) => new Consumer().start((settings) => kafka.consumer(settings), how),
  };
}

module.exports = { CANNOT, EMPTY_IS_NULL, OFFSETS, open };
