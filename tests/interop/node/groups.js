// Groups of two with a rebalance, over the client of interop.js.
"use strict";
const { must, until } = require("./support.js");

const ROUND = 400; // records of one round of the group

/** Reads, commits what it read, and leaves when told. */
class Member {
  count = 0;
  stop = false;
  error = null;

  constructor(consumer, seen) {
    this.consumer = consumer;
    this.done = this.run(seen).catch((error) => (this.error = error));
  }

  async run(seen) {
    while (!this.stop) {
      for (const { value } of await this.consumer.poll()) {
        seen.add(Number(value.toString()));
        this.count++;
      }
      if (this.partitions() > 0) await this.consumer.commit();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  partitions() {
    return this.consumer.assigned();
  }

  async leave() {
    this.stop = true;
    await this.done;
    await this.consumer.close();
    if (this.error) throw this.error;
  }
}

class Groups {
  constructor(client) {
    this.client = client;
  }

  async sendRound(topic, first) {
    const records = [];
    for (let i = first; i < first + ROUND; i++) records.push({ topic, partition: i % 4, value: Buffer.from(`${i}`) });
    await this.client.send([records]);
  }

  async run(topic, protocol) {
    const seen = new Set();
    const members = [];
    const join = async () => {
      const member = new Member(await this.client.open.consumer({ topic, group: topic, protocol }), seen);
      members.push(member);
      return member;
    };
    const wait = (isTrue, what) => until(() => {
      for (const { error } of members) if (error) throw error;
      return isTrue();
    }, () => `${what}; seen ${seen.size}, partitions ${members.map((member) => member.partitions())}`);
    const count = (n, what) => wait(() => seen.size >= n, what);
    try {
      await this.sendRound(topic, 0);
      const first = await join();
      await count(ROUND, "the first round");
      const second = await join();
      await wait(() => first.partitions() === 2 && second.partitions() === 2, "two partitions each");
      await this.sendRound(topic, ROUND);
      await count(2 * ROUND, "the second round");
      must(second.count > 0, "the second member read nothing");
      await members.shift().leave();
      await wait(() => second.partitions() === 4, "all partitions at the one that stayed");
      await this.sendRound(topic, 2 * ROUND);
      await count(3 * ROUND, "the third round");
      await members.shift().leave();
      seen.clear();
      await this.sendRound(topic, 3 * ROUND);
      await join();
      await count(ROUND, "the round after the commit");
      must(Math.min(...seen) === 3 * ROUND, `committed offsets went back: ${Math.min(...seen)}`);
    } finally {
      for (const member of members) await member.leave();
    }
  }
}

module.exports = { Groups };
