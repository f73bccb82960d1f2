// @platformatic/kafka: a driver of interop.js.
"use strict";
const { inspect } = require("node:util");
const kafka = require("@platformatic/kafka");
const { Queue } = require("./support.js");

const CANNOT = {};
const OFFSETS = true;
const TOPIC = kafka.ConfigResourceTypes.TOPIC;

class Admin {
  constructor(options) {
    this.inner = new kafka.Admin(options);
  }

  create = (topics, partitions) => this.inner.createTopics({ topics, partitions, replicas: 1 });
  exists = (error) => inspect(error, { depth: 9 }).includes("TOPIC_ALREADY_EXISTS");
  list = () => this.inner.listTopics();
  remove = (topic) => this.inner.deleteTopics({ topics: [topic] });
  groups = async () => [...(await this.inner.listGroups()).keys()];
  group = async (name) => (await this.inner.describeGroups({ groups: [name] })).get(name).state;
  removeGroup = (name) => this.inner.deleteGroups({ groups: [name] });
  close = () => this.inner.close();

  configure(name, key, value) {
    const configs = [{ name: key, value, configOperation: kafka.IncrementalAlterConfigOperationTypes.SET }];
    return this.inner.incrementalAlterConfigs({ resources: [{ resourceType: TOPIC, resourceName: name, configs }] });
  }

  async config(name, key) {
    const [found] = await this.inner.describeConfigs({
      resources: [{ resourceType: TOPIC, resourceName: name, configurationKeys: [key] }] });
    return found.configs[0].value;
  }

  deleteRecords(name, before) {
    return this.inner.deleteRecords({ topics: [{ name, partitions: [{ partition: 0, offset: BigInt(before) }] }] });
  }
}

class Producer {
  constructor(options, { codec, acks, transaction }) {
    this.how = { acks, compression: codec, idempotent: acks === -1 };
    // Left to itself it says that it was producer 0, of epoch 0, and is fenced, as Kafka does, when the id is known already.
    const first = transaction && { transactionalId: transaction, producerId: -1n, producerEpoch: -1 };
    this.inner = this.to = new kafka.Producer({ ...options, ...this.how, ...first });
  }

  async send(records) {
    const messages = records.map(({ topic, partition, key, value, headers }) => ({
      topic, partition: partition ?? 0, key, value, headers: new Map((headers ?? []).map(([name, one]) => [Buffer.from(name), one])),
    }));
    const { offsets } = await this.to.send({ messages, ...this.how });
    return Number(offsets?.[0]?.offset ?? -1);
  }

  async begin() {
    this.to = await this.inner.beginTransaction();
  }

  async sendOffsets(consumer, found) {
    await this.to.addConsumer(consumer.inner);
    await this.to.addOffset(found.at(-1).message);
  }

  end = (commit) => (commit ? this.to.commit() : this.to.abort());
  close = () => this.inner.close(true);
}

class Consumer {
  queue = new Queue();
  read = new Map(); // partition -> what is committed next

  async start(options, { topic, group, protocol, committed }) {
    const times = protocol === "consumer" ? { groupProtocol: "consumer" } : { sessionTimeout: 10000, heartbeatInterval: 300 };
    this.inner = new kafka.Consumer({ ...options, ...times, autocommit: false, maxWaitTime: 200,
      groupId: group ?? `${topic}.alone.${process.pid}.${process.hrtime.bigint()}` });
    this.stream = await this.inner.consume({ topics: [topic], mode: "committed", fallbackMode: "earliest",
      isolationLevel: committed ? 1 : 0, autocommit: false });
    this.stream.on("data", (message) => this.queue.records.push(this.record(message)));
    this.stream.on("error", (error) => (this.queue.error = error));
    return this;
  }

  record(message) {
    const { topic, partition, offset } = message;
    const bytes = (one) => one ?? null;
    return { message, topic, partition, offset, key: bytes(message.key), value: bytes(message.value),
      headers: message.headerEntries.map(([name, one]) => [name.toString(), one]) };
  }

  async poll() {
    const found = this.queue.take();
    for (const { topic, partition, offset } of found) {
      this.read.set(partition, { topic, partition, offset: offset + 1n, leaderEpoch: 0 });
    }
    return found;
  }

  assigned = () => (this.inner.assignments ?? []).reduce((sum, { partitions }) => sum + partitions.length, 0);

  async commit() {
    if (this.read.size === 0) return;
    const offsets = [...this.read.values()];
    this.read.clear();
    try {
      await this.inner.commit({ offsets });
    } catch (error) { // of a generation that is over: who has the partitions next reads the records again
      if (!/REBALANCE_IN_PROGRESS|ILLEGAL_GENERATION|STALE_MEMBER_EPOCH|UNKNOWN_MEMBER/.test(inspect(error, { depth: 9 }))) throw error;
    }
  }

  async close() {
    await this.stream.close();
    await this.inner.close(true);
  }
}

function open(way) {
  const options = {
    clientId: "interop",
    bootstrapBrokers: [way.address],
    retries: way.quick ? 0 : 5,
    retryDelay: 100,
    ...(way.ca && { tls: { ca: [way.ca], cert: way.certificate, key: way.key } }),
    ...(way.mechanism && { sasl: way.mechanism === "OAUTHBEARER"
      ? { mechanism: way.mechanism, token: way.token }
      : { mechanism: way.mechanism, username: way.user, password: way.password } }),
  };
  return {
    admin: async () => new Admin(options),
    producer: async (how) => new Producer(options, how),
    consumer: (how) => new Consumer().start(options, how),
  };
}

module.exports = { CANNOT, OFFSETS, open };
