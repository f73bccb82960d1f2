// The Node clients against the broker: the checks of ../README.md, over the driver (with_*.js) that CLIENT names.
//   interop.js CLIENT write ADDRESS NAME     all checks on topics NAME.*
//   interop.js CLIENT read ADDRESS TOPIC…    reads what other clients wrote
// Environment: ../listeners.py; INTEROP_SHARE=whole for all checks. What a driver has is said in with_kafkajs.js.
"use strict";
const fs = require("node:fs");
const { Groups } = require("./groups.js");
const { FEW, must, until } = require("./support.js");

const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"];
const RECORDS = 300; // of a codec
const REFUSAL_MS = 5000; // who has not come in by then was refused
const SPECIAL = [ // key, value
  [null, Buffer.from("no key")],
  [Buffer.from("tombstone"), null],
  [null, Buffer.from("")],
  [Buffer.from(""), Buffer.from("empty key")],
  [null, null],
];
const HEADERS = [
  ["n", Buffer.from("3")],
  ["bin", Buffer.from([0, 255, 128])],
  ["dup", Buffer.from("1")],
  ["dup", Buffer.from("2")],
  ["empty", Buffer.from("")],
];

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

const same = (a, b) => (a === null || b === null ? a === b : a.equals(b));
const sameHeaders = (a, b) =>
  a.length === b.length && a.every(([key, value], at) => key === b[at][0] && same(value, b[at][1]));
/** What one transaction writes. */
const batch = (topic, what) => [...Array(FEW).keys()].map((i) => ({ topic, value: Buffer.from(`${what} ${i}`) }));
const valuesOf = (records) => records.map((record) => record.value.toString());

function mustHaveValues(found, ...expected) {
  must(valuesOf(found).join() === valuesOf(expected.flat()).join(), `got ${valuesOf(found)}`);
}

class Client {
  constructor(driver, address, name) {
    this.driver = driver;
    this.address = address;
    this.name = name;
    this.open = driver.open({ address });
  }

  async check(name, work, later = false) {
    for (const [begin, why] of Object.entries(this.driver.CANNOT)) {
      if (name.startsWith(begin)) return void console.log(`skip ${name} (${why})`);
    }
    if (later && process.env.INTEROP_SHARE !== "whole") return void console.log(`left ${name}`);
    try {
      await work();
      console.log("ok " + name);
    } catch (error) { // every failure is a line, the others go on
      console.error(error);
      console.log(`fail ${name}: ${String(error).replace(/\n/g, " ")}`);
    }
  }

  async withAdmin(work) {
    const admin = await this.open.admin();
    try {
      await work(admin);
    } finally {
      await admin.close();
    }
  }

  async topics() {
    await this.withAdmin(async (admin) => {
      const gone = `${this.name}.gone`;
      const single = [...CODECS, "special", "acks", "txn", "out", "secure"].map((what) => `${this.name}.${what}`);
      await admin.create(single, 1);
      await admin.create([`${this.name}.group`, `${this.name}.new`, gone], 4);
      must(await admin.create([gone], 4).then(() => false, (error) => admin.exists(error)), "a topic that exists was created");
      must((await admin.list()).includes(gone), "a new topic is not listed");
      await admin.remove(gone);
      must(!(await admin.list()).includes(gone), "a deleted topic is listed");
    });
  }

  /** After the group. */
  async describe() {
    await this.withAdmin(async (admin) => {
      const group = `${this.name}.group`;
      await admin.configure(`${this.name}.special`, "retention.ms", "3600000");
      const found = await admin.config(`${this.name}.special`, "retention.ms");
      must(found === "3600000", `retention.ms is ${found}`);
      must((await admin.groups()).includes(group), `groups ${await admin.groups()}`);
      const state = await admin.group(group);
      must(state.toLowerCase() === "empty", `state of the group: ${state}`);
    });
  }

  async deleteGroup() {
    await this.withAdmin(async (admin) => {
      await admin.removeGroup(`${this.name}.group`);
      must(!(await admin.groups()).includes(`${this.name}.group`), "it is still listed");
    });
  }

  async trim() {
    await this.withAdmin((admin) => admin.deleteRecords(`${this.name}.special`, 2));
    const [first] = await this.first(`${this.name}.special`, 1);
    must(Number(first.offset) === 2, `offset ${first.offset} after the deletion`);
  }

  /** Gives the base offset of each list of records; each is one batch. */
  async send(batches, how = {}, open = this.open) {
    const producer = await open.producer({ codec: "none", acks: -1, ...how });
    try {
      const bases = [];
      for (const records of batches) bases.push(await producer.send(records));
      return bases;
    } finally {
      await producer.close();
    }
  }

  async produce(codec) {
    const batches = [0, 100, 200].map((first) => [...Array(100).keys()].map((at) => {
      const n = `${first + at}`;
      return { topic: `${this.name}.${codec}`, key: Buffer.from(`k${n}`), value: valueOf(first + at),
        headers: [["n", Buffer.from(n)]] };
    }));
    const bases = await this.send(batches, { codec });
    must(!this.driver.OFFSETS || bases.join() === "0,100,200", `base offsets ${bases}`);
  }

  /** Not idempotent. Of acks=0 nothing is told: that all arrived shows when it is read. */
  async acks() {
    const topic = `${this.name}.acks`;
    const sent = [];
    for (const acks of [0, 1]) {
      for (const codec of CODECS) {
        const records = batch(topic, `acks ${acks}, ${codec},`);
        const [base] = await this.send([records], { codec, acks });
        must(acks === 0 || !this.driver.OFFSETS || base >= 0, "no offset");
        sent.push(...valuesOf(records));
      }
    }
    const found = valuesOf(await this.first(topic, sent.length));
    must(found.sort().join() === sent.sort().join(), `${found.length} of ${sent.length} came`);
  }

  /** The first count records of a topic of one partition. */
  async first(topic, count, how = {}, open = this.open) {
    const consumer = await open.consumer({ topic, ...how });
    const found = [];
    try {
      await until(async () => found.push(...await consumer.poll()) >= count, () => `${count} records, got ${found.length}`);
      await consumer.commit();
    } finally {
      await consumer.close();
    }
    return found.slice(0, count);
  }

  async read(topic) {
    const found = await this.first(topic, RECORDS);
    for (let i = 0; i < RECORDS; i++) {
      const record = found[i];
      must(Number(record.offset) === i, `offset ${record.offset}, not ${i}`);
      must(same(record.key, Buffer.from(`k${i}`)), `key of ${i}: ${record.key}`);
      must(same(record.value, valueOf(i)), `value of ${i} differs`);
      must(sameHeaders(record.headers, [["n", Buffer.from(`${i}`)]]), `headers of ${i}`);
    }
  }

  async special() {
    const topic = `${this.name}.special`;
    const hasEmpty = (pair) => pair.some((one) => one?.length === 0);
    const pairs = SPECIAL.filter((pair) => !(this.driver.EMPTY_IS_NULL && hasEmpty(pair)));
    const records = pairs.map(([key, value]) => ({ topic, key, value, headers: HEADERS }));
    await this.send([records]);
    const found = await this.first(topic, pairs.length);
    records.forEach(({ key, value }, i) => {
      must(same(found[i].key, key), `key of special record ${i}: ${found[i].key}`);
      must(same(found[i].value, value), `value of special record ${i}: ${found[i].value}`);
      must(sameHeaders(found[i].headers, HEADERS), `headers of special record ${i}: ${found[i].headers}`);
    });
  }

  /** One that commits, one that aborts, one that commits; who reads committed sees two, who does not all three. */
  async transactions() {
    const topic = `${this.name}.txn`;
    const [kept, dropped, last] = ["kept", "dropped", "last"].map((what) => batch(topic, what));
    const producer = await this.open.producer({ codec: "none", acks: -1, transaction: topic });
    for (const records of [kept, dropped, last]) {
      await producer.begin();
      await producer.send(records);
      await producer.end(records !== dropped);
    }
    await producer.close();
    mustHaveValues(await this.first(topic, 2 * FEW, { committed: true }), kept, last);
    mustHaveValues(await this.first(topic, 3 * FEW), kept, dropped, last);
  }

  /** A group's offsets in a transaction go the way of the transaction. It reads what transactions() left. */
  async offsets() {
    const [from, to, group] = ["txn", "out", "txn-group"].map((what) => `${this.name}.${what}`);
    for (const commit of [false, true]) { // both begin with the first record
      const consumer = await this.open.consumer({ topic: from, group, committed: true });
      const producer = await this.open.producer({ codec: "none", acks: -1, transaction: group });
      const found = [];
      await until(async () => found.push(...await consumer.poll()) >= 2 * FEW, () => `records, got ${found.length}`);
      await producer.begin();
      await producer.send(found.map(({ value }) => ({ topic: to, value })));
      await producer.sendOffsets(consumer, found);
      await producer.end(commit);
      await producer.close();
      await consumer.close();
    }
    mustHaveValues(await this.first(to, 2 * FEW, { committed: true }), batch(from, "kept"), batch(from, "last"));
    const more = [{ topic: from, value: Buffer.from("one more") }];
    await this.send([more]);
    mustHaveValues(await this.first(from, 1, { group, committed: true }), more);
  }

  async comesIn(name, way) {
    const open = this.driver.open(way);
    const topic = `${this.name}.secure`;
    const records = batch(topic, name);
    await this.send([records], {}, open);
    const consumer = await open.consumer({ topic });
    const last = records[FEW - 1].value;
    try {
      await until(async () => (await consumer.poll()).some(({ value }) => value.equals(last)), () => "the records");
    } finally {
      await consumer.close();
    }
  }

  async isRefused(name, way) {
    const late = new Promise((resolve) => setTimeout(resolve, REFUSAL_MS, "late"));
    const sent = this.send([batch(`${this.name}.secure`, name)], {}, this.driver.open({ ...way, quick: true }))
      .then(() => "taken", (error) => void console.error(`${name}: ${error}`));
    must(await Promise.race([late, sent]) !== "taken", "records were taken");
  }

  async security() {
    const env = (key) => process.env[`INTEROP_${key}`];
    const pem = (key) => fs.readFileSync(env(key));
    const login = (listener, mechanism, password = env("PASSWORD")) =>
      ({ address: env(listener), mechanism, user: env("USER"), password, token: env("TOKEN") });
    const ca = pem("CA");
    const mine = { ca, certificate: pem("CERTIFICATE"), key: pem("KEY") };
    const paths = { ca: env("CA"), certificate: env("CERTIFICATE"), key: env("KEY") };
    const server = { ca, paths: { ca: env("CA") } };
    for (const [name, way, refused] of [
      ["SASL PLAIN", login("SASL", "PLAIN")],
      ["SASL PLAIN, a wrong password is refused", login("SASL", "PLAIN", "wrong"), true],
      ["SASL SCRAM-SHA-256", login("SASL", "SCRAM-SHA-256")],
      ["SASL SCRAM-SHA-256, a wrong password is refused", login("SASL", "SCRAM-SHA-256", "wrong"), true],
      ["SASL SCRAM-SHA-512", login("SASL", "SCRAM-SHA-512")],
      ["SASL OAUTHBEARER", login("SASL", "OAUTHBEARER")],
      ["TLS", { address: env("TLS"), ...server }],
      ["TLS, another authority is refused",
        { address: env("TLS"), ca: pem("OTHER_CA"), paths: { ca: env("OTHER_CA") } }, true],
      ["mTLS", { address: env("MTLS"), ...mine, paths }],
      ["mTLS, no certificate is refused", { address: env("MTLS"), ...server }, true],
      ["SASL PLAIN over TLS", { ...login("SASL_TLS", "PLAIN"), ...server }],
      ["SASL SCRAM-SHA-512 over TLS", { ...login("SASL_TLS", "SCRAM-SHA-512"), ...server }],
    ]) {
      const work = () => (refused ? this.isRefused(name, way) : this.comesIn(name, way));
      await this.check(name, work, name !== "SASL SCRAM-SHA-512 over TLS");
    }
  }

  async all() {
    await this.check("admin: create, list, delete topics", () => this.topics());
    for (const codec of CODECS) {
      await this.check(`produces ${codec}, acks=all, idempotent`, () => this.produce(codec));
      await this.check(`consumes ${codec}`, () => this.read(`${this.name}.${codec}`));
    }
    await this.check("produces with acks=0 and acks=1, every codec", () => this.acks());
    await this.check("headers, null keys, tombstones", () => this.special());
    const groups = new Groups(this);
    await this.check("group of two with a rebalance", () => groups.run(`${this.name}.group`, "classic"));
    await this.check("group.protocol=consumer", () => groups.run(`${this.name}.new`, "consumer"), true);
    await this.check("admin: describe, configs, groups", () => this.describe(), true);
    await this.check("admin: deletes a group", () => this.deleteGroup(), true);
    await this.check("admin: deletes records", () => this.trim(), true);
    await this.check("transactions: commit, abort, read_committed", () => this.transactions());
    await this.check("transactions: offsets of a group", () => this.offsets(), true);
    await this.security();
  }
}

async function main(driver, mode, address, ...names) {
  const client = new Client(require(`./with_${driver}.js`), address, names[0]);
  if (mode === "read") {
    for (const topic of names) await client.check(`reads ${topic}`, () => client.read(topic));
  } else {
    await client.all();
  }
}

main(...process.argv.slice(2)).then(() => process.exit(0));
