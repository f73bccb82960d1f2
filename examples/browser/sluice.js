// sluice.js: a client of Sluice's native protocol (docs/formats/native.md) over WebSocket, for browsers; no dependencies.
//
//     const sluice = new Sluice("ws://localhost:9292/native", {clientId: "page"});
//     await sluice.connect();
//     const reading = await sluice.subscribe("events.>", record => console.log(record.topic, text(record.value)));
//     await sluice.publish("events.signup", {key: "alice", value: "hello"});
//
// Bytes of the protocol go over binary messages as a stream: a message may have half a frame or many. What is not here: durable
// subscriptions, request and reply, administration but for the list of topics; each is a frame more.

const MAGIC = 0x43554c53;
const NULL_SIZE = 0xffffffff;
const HEAD = 12;
const KIND = {
  HELLO: 1, WELCOME: 2, AUTH: 3, AUTH_NEXT: 4, PING: 5, PONG: 6, ERROR: 7, GOAWAY: 8, PUBLISH: 16, PUBLISHED: 17, SUBSCRIBE: 18,
  SUBSCRIBED: 19, CREDIT: 20, SOURCE: 21, MESSAGES: 22, UNSUBSCRIBE: 25, UNSUBSCRIBED: 26, STALLED: 27, ENDED: 28, THROTTLED: 30, TOPICS: 32,
  TOPIC_LIST: 33,
};
const NAMES = Object.fromEntries(Object.entries(KIND).map(([name, kind]) => [kind, name]));
const START = {end: 0, beginning: 1};

export const text = bytes => (bytes === null ? null : new TextDecoder().decode(bytes));
const bytesOf = value =>
  value === null || value === undefined ? null : value instanceof Uint8Array ? value : new TextEncoder().encode(String(value));

export class SluiceError extends Error {
  constructor(code, message, again) {
    super(`SLU-${String(code).padStart(4, "0")} ${message}`);
    this.code = code;
    this.again = again; // the same may succeed later
  }
}

// ---- numbers, texts, blobs: little-endian ----

class Writer {
  constructor() {
    this.bytes = new Uint8Array(256);
    this.size = 0;
  }
  room(size) {
    if (this.size + size > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.size + size));
      grown.set(this.bytes.subarray(0, this.size));
      this.bytes = grown;
    }
    this.size += size;
    return [new DataView(this.bytes.buffer), this.size - size];
  }
  put(method, size, value) {
    const [view, at] = this.room(size);
    view[method](at, value, true);
    return this;
  }
  u8(value) { return this.put("setUint8", 1, value); }
  u16(value) { return this.put("setUint16", 2, value); }
  u32(value) { return this.put("setUint32", 4, value); }
  i32(value) { return this.put("setInt32", 4, value); }
  i64(value) { return this.put("setBigInt64", 8, BigInt(value)); }
  raw(bytes) {
    const [, at] = this.room(bytes.length);
    this.bytes.set(bytes, at);
    return this;
  }
  text(value) {
    const bytes = bytesOf(value);
    return this.u16(bytes.length).raw(bytes);
  }
  blob(value) {
    const bytes = bytesOf(value);
    return bytes === null ? this.u32(NULL_SIZE) : this.u32(bytes.length).raw(bytes);
  }
  // The u32 at `at` is the bytes behind it.
  sized(at) {
    new DataView(this.bytes.buffer).setUint32(at, this.size - at - 4, true);
    return this;
  }
  record({key = null, value = null, headers = []}) {
    const at = this.size;
    this.u32(0).i64(0).i64(-1).u16(0).u16(headers.length).blob(key);
    for (const [name, content] of headers) {
      this.text(name).blob(content);
    }
    return this.blob(value).sized(at);
  }
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }
  get(method, size) {
    this.at += size;
    return this.view[method](this.at - size, true); // a RangeError where the body is too short
  }
  u8() { return this.get("getUint8", 1); }
  u16() { return this.get("getUint16", 2); }
  u32() { return this.get("getUint32", 4); }
  i32() { return this.get("getInt32", 4); }
  i64() { return this.get("getBigInt64", 8); }
  raw(size) {
    if (this.at + size > this.bytes.length) {
      throw new RangeError("the body is too short");
    }
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }
  text() { return text(this.raw(this.u16())); }
  blob() {
    const size = this.u32();
    return size === NULL_SIZE ? null : this.raw(size);
  }
  record() {
    const begin = this.at;
    const size = this.u32();
    const record = {offset: this.i64(), timestamp: Number(this.i64()), deliveries: this.u16()};
    const count = this.u16();
    record.key = this.blob();
    record.headers = Array.from({length: count}, () => [this.text(), this.blob()]);
    record.value = this.blob();
    record.size = size + 4; // what it costs of the credit in bytes
    this.at = begin + 4 + size;
    return record;
  }
}

// ---- the client ----

export class Sluice {
  // user and password: for PLAIN, where the server wants a login; over wss:// only, else everybody on the way reads them.
  constructor(url, {clientId = "browser", user = null, password = "", WebSocket = globalThis.WebSocket} = {}) {
    Object.assign(this, {url, clientId, user, password, WebSocket});
    this.onclose = () => {}; // (error or null)
    this.onthrottled = () => {}; // (what, ms): a quota is used up, for so long the server does not read (0) or pushes nothing (1)
    this.waiting = new Map(); // id → {resolve, reject}
    this.subscriptions = new Map(); // id → subscription
    this.rest = new Uint8Array(0);
    this.lastId = 0;
    this.gone = null;
  }

  connect() {
    return new Promise((resolve, reject) => {
      this.greeting = {resolve, reject};
      this.socket = new this.WebSocket(this.url, ["sluice.native.1"]);
      this.socket.binaryType = "arraybuffer";
      this.socket.onopen = () => this.send(KIND.HELLO, 0, 0, body =>
        body.u32(MAGIC).u16(1).u16(1).text(this.clientId).text("sluice.js 1"));
      this.socket.onmessage = event => this.take(new Uint8Array(event.data));
      this.socket.onclose = event => this.closed(event);
    });
  }

  close() {
    this.socket.close(1000);
  }

  // Where it is: {partition, offset}.
  async publish(topic, record, {partition = -1} = {}) {
    const body = await this.ask(KIND.PUBLISH, 0, out =>
      out.text(topic).i32(partition).u32(1).i64(-1).text("").u32(1).record(record));
    return {partition: body.i32(), offset: body.i64()};
  }

  async topics(pattern = "") {
    const body = await this.ask(KIND.TOPICS, 0, out => out.text(pattern));
    return Array.from({length: body.u32()}, () => {
      const name = body.text();
      body.raw(16);
      return {name, partitions: body.i32()};
    });
  }

  // onRecord({topic, partition, offset, timestamp, key, value, headers}) for each, in order; the server sends `records` and `bytes`
  // ahead at most, and more when onRecord has returned. onEnd(error): it ended by itself. What it gives has close().
  async subscribe(pattern, onRecord, {start = "end", records = 1000, bytes = 1 << 20, filter = "", onEnd = () => {}} = {}) {
    const id = this.nextId();
    const subscription = {
      onRecord, onEnd, sources: new Map(),
      close: async () => {
        await this.ask(KIND.UNSUBSCRIBE, 0, () => {}, id);
        this.subscriptions.delete(id);
      },
    };
    this.subscriptions.set(id, subscription);
    try {
      await this.ask(KIND.SUBSCRIBE, 0, out => out.text(pattern).text("").u32(START[start]).i32(-1).i64(0).i64(records).i64(bytes)
        .u32(0).text(filter).u32(0), id);
    } catch (error) {
      this.subscriptions.delete(id);
      throw error;
    }
    return subscription;
  }

  // ---- frames out ----

  nextId() {
    this.lastId = this.lastId === 0xffffffff ? 1 : this.lastId + 1;
    return this.lastId;
  }

  send(kind, flags, id, write) {
    const out = new Writer();
    out.u32(0).u16(kind).u16(flags).u32(id);
    write(out);
    this.socket.send(out.sized(0).bytes.subarray(0, out.size));
  }

  ask(kind, flags, write, id = this.nextId()) {
    return new Promise((resolve, reject) => {
      if (this.gone !== null || this.socket.readyState !== 1) {
        reject(this.gone ?? new Error("not connected"));
        return;
      }
      this.waiting.set(id, {resolve, reject});
      this.send(kind, flags, id, write);
    });
  }

  // ---- frames in ----

  take(bytes) {
    const all = new Uint8Array(this.rest.length + bytes.length);
    all.set(this.rest);
    all.set(bytes, this.rest.length);
    let at = 0;
    while (all.length - at >= HEAD) {
      const size = 4 + new DataView(all.buffer, at).getUint32(0, true);
      if (all.length - at < size) {
        break;
      }
      this.frame(all.subarray(at, at + size));
      at += size;
    }
    this.rest = all.slice(at);
  }

  frame(bytes) {
    const body = new Reader(bytes);
    body.u32();
    const kind = body.u16();
    body.u16();
    const id = body.u32();
    const handle = this["on" + NAMES[kind]];
    if (handle !== undefined) {
      handle.call(this, body, id, kind);
    } else if (this.waiting.has(id)) {
      this.waiting.get(id).resolve(body);
      this.waiting.delete(id);
    }
  }

  onWELCOME(body) {
    body.raw(20);
    this.limits = {frameBytes: body.u32(), subscriptions: body.u32(), heartbeatMs: body.u32()};
    this.software = body.text();
    const mechanisms = Array.from({length: body.u16()}, () => body.text());
    if (this.limits.heartbeatMs > 0) {
      this.heart = setInterval(() => this.send(KIND.PING, 0, 0, () => {}), this.limits.heartbeatMs / 2);
    }
    if (mechanisms.length === 0) {
      this.greeting.resolve(this);
    } else if (this.user === null || !mechanisms.includes("PLAIN")) {
      this.fail(new Error(`the server wants a login by ${mechanisms.join(", ")}`));
    } else {
      this.send(KIND.AUTH, 0, this.nextId(), out => out.text("PLAIN").blob(`\0${this.user}\0${this.password}`));
    }
  }

  onAUTH_NEXT(body) {
    if (body.u8() === 1) {
      this.greeting.resolve(this);
    }
  }

  onPING(body, id) {
    const data = body.raw(body.bytes.length - HEAD);
    this.send(KIND.PONG, 0, id, out => out.raw(data));
  }

  onERROR(body, id) {
    const code = body.u32();
    const again = body.u32() !== 0;
    const error = new SluiceError(code, body.text(), again);
    const waiting = this.waiting.get(id) ?? this.greeting;
    this.waiting.delete(id);
    waiting.reject(error);
  }

  onGOAWAY(body) {
    const code = body.u32();
    const againMs = body.u32();
    this.fail(new SluiceError(code, body.text(), againMs !== 0xffffffff));
  }

  onSOURCE(body, id) {
    const source = body.u32();
    const partition = body.i32();
    body.raw(16);
    this.subscriptions.get(id)?.sources.set(source, {partition, topic: body.text()});
  }

  onMESSAGES(body, id) {
    const subscription = this.subscriptions.get(id);
    const from = subscription?.sources.get(body.u32());
    const count = body.u32();
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const record = body.record();
      bytes += record.size;
      subscription?.onRecord({...from, ...record});
    }
    if (count > 0 && this.socket.readyState === 1) {
      this.send(KIND.CREDIT, 0, id, out => out.i64(count).i64(bytes));
    }
  }

  // A record that is larger than what is left of the credit, which comes back with each record: it gets what it wants.
  onSTALLED(body, id) {
    body.u32();
    body.i64();
    const wanted = body.i64();
    this.send(KIND.CREDIT, 0, id, out => out.i64(0).i64(wanted));
  }

  onENDED(body, id) {
    const subscription = this.subscriptions.get(id);
    this.subscriptions.delete(id);
    subscription?.onEnd(new SluiceError(body.u32(), body.text(), false));
  }

  onTHROTTLED(body) {
    this.onthrottled(body.u32(), body.u32());
  }

  // ---- the end ----

  fail(error) {
    this.gone ??= error;
    this.greeting.reject(error);
    this.socket.close(1000);
  }

  closed(event) {
    clearInterval(this.heart);
    const error = this.gone ?? (event.code === 1000 ? null : new Error(`the connection ended (${event.code} ${event.reason})`));
    this.gone = error ?? new Error("closed");
    this.greeting.reject(this.gone);
    for (const one of this.waiting.values()) {
      one.reject(this.gone);
    }
    this.waiting.clear();
    this.onclose(error);
  }
}
