"""A client of Sluice's native protocol, written from docs/formats/native.md and nothing else: it proves that the
page suffices, and it is the tool by which the server is tested from outside.

    with Client(("127.0.0.1", 9192)) as client:
        client.publish("orders", [record(b"one", key=b"k")])
        subscription = client.subscribe("orders", start=BEGINNING, records=10, size=1 << 20)
        print(subscription.next().value)

One thread, blocking; whoever waits for something reads frames, and what they bring for others is kept for those.
FRAMES is the page's tables: encode() and decode() of both sides come from it, so that a scripted server (fake_server.py)
speaks through it too."""
import base64
import collections
import hashlib
import hmac
import mmap
import os
import select
import socket
import struct
import time

MAGIC = 0x43554C53
NONE = 0xFFFFFFFF  # the size of a blob that is null
END, BEGINNING, OFFSET, TIMESTAMP, LAST_PER_KEY = range(5)
DONE_WITH, AGAIN, NOBODY, LONGER, UP_TO = range(5)
WAIT_S = 30

Record = collections.namedtuple("Record", "offset timestamp deliveries headers key value")
Message = collections.namedtuple("Message", "topic topic_id partition source offset timestamp deliveries headers key value size")


def record(value, key=None, headers=(), timestamp=-1):
    """One to publish."""
    return Record(0, timestamp, 0, [(name, data) for name, data in headers], key, value)


class NativeError(Exception):
    """An ERROR, or how the connection ended."""

    def __init__(self, code, retriable, text):
        super().__init__("SLU-%04d %s" % (code, text))
        self.code, self.retriable, self.text = code, retriable, text


class Closed(Exception):
    """The other side is gone; `goaway` is the error that it gave, if it did."""

    def __init__(self, goaway=None):
        super().__init__("closed" if goaway is None else "closed: %s" % goaway)
        self.goaway = goaway


# ---- types ----

NUMBERS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i32": "<i", "i64": "<q"}


def put_number(kind):
    return lambda value: struct.pack(NUMBERS[kind], value)


def put_text(value):
    data = value.encode()
    return struct.pack("<H", len(data)) + data


def put_blob(value):
    return struct.pack("<I", NONE) if value is None else struct.pack("<I", len(value)) + value


def put_record(value):
    body = struct.pack("<qqHH", value.offset, value.timestamp, value.deliveries, len(value.headers)) + put_blob(value.key)
    body += b"".join(put_text(name) + put_blob(data) for name, data in value.headers) + put_blob(value.value)
    return struct.pack("<I", len(body)) + body


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if self.at + size > len(self.data):
            raise ValueError("%d bytes are missing" % (self.at + size - len(self.data)))
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, kind):
        return struct.unpack(NUMBERS[kind], self.take(struct.calcsize(NUMBERS[kind])))[0]

    def text(self):
        return self.take(self.number("u16")).decode()

    def blob(self):
        size = self.number("u32")
        return None if size == NONE else self.take(size)

    def record(self):
        inner = Reader(self.take(self.number("u32")))
        offset, timestamp = inner.number("i64"), inner.number("i64")
        deliveries, count = inner.number("u16"), inner.number("u16")
        key = inner.blob()
        headers = [(inner.text(), inner.blob()) for _ in range(count)]
        return Record(offset, timestamp, deliveries, headers, key, inner.blob())


# A field is a name and a type: one of the numbers, text, blob, id (16 bytes), record, rest (all bytes that are left), or
# a pair of the type of a number and fields: so many times those.
RECORDS = ("u32", [("record", "record")])
FRAMES = {
    "HELLO": (1, [("magic", "u32"), ("lowest", "u16"), ("highest", "u16"), ("client", "text"), ("software", "text")]),
    "WELCOME": (2, [("version", "u16"), ("reserved", "u16"), ("cluster", "id"), ("frame_max", "u32"), ("subscriptions_max", "u32"),
                    ("heartbeat_ms", "u32"), ("software", "text"), ("mechanisms", ("u16", [("name", "text")]))]),
    "AUTH": (3, [("mechanism", "text"), ("data", "blob")]),
    "AUTH_NEXT": (4, [("complete", "u8"), ("reserved", "pad3"), ("data", "blob")]),
    "PING": (5, [("data", "rest")]),
    "PONG": (6, [("data", "rest")]),
    "ERROR": (7, [("code", "u32"), ("retriable", "u8"), ("reserved", "pad3"), ("text", "text")]),
    "GOAWAY": (8, [("code", "u32"), ("again_ms", "u32"), ("text", "text")]),
    "PUBLISH": (16, [("topic", "text"), ("partition", "i32"), ("level", "u8"), ("reserved", "pad3"), ("expected", "i64"),
                     ("message_id", "text"), ("records", RECORDS)]),
    "PUBLISHED": (17, [("partition", "i32"), ("offset", "i64"), ("timestamp", "i64")]),
    "SUBSCRIBE": (18, [("pattern", "text"), ("group", "text"), ("start", "u8"), ("reserved", "pad3"), ("partition", "i32"),
                       ("start_value", "i64"), ("credit_records", "u64"), ("credit_bytes", "u64"), ("lock_ms", "u32"),
                       ("filter", "text"), ("places", ("u32", [("topic_id", "id"), ("partition", "i32"), ("offset", "i64")]))]),
    "SUBSCRIBED": (19, []),
    "CREDIT": (20, [("records", "u64"), ("bytes", "u64")]),
    "SOURCE": (21, [("source", "u32"), ("partition", "i32"), ("topic_id", "id"), ("topic", "text"), ("offset", "i64")]),
    "MESSAGES": (22, [("source", "u32"), ("records", RECORDS)]),
    "ACK": (23, [("what", "u8"), ("reserved", "pad3"), ("ms", "u32"), ("source", "u32"),
                 ("ranges", ("u32", [("first", "i64"), ("last", "i64")]))]),
    "ACKED": (24, [("source", "u32"), ("code", "u32")]),
    "UNSUBSCRIBE": (25, []),
    "UNSUBSCRIBED": (26, []),
    "STALLED": (27, [("source", "u32"), ("offset", "i64"), ("bytes", "u64")]),
    "ENDED": (28, [("code", "u32"), ("text", "text")]),
    "REPLY": (29, [("address", "text"), ("record", "record")]),
    "THROTTLED": (30, [("what", "u8"), ("reserved", "pad3"), ("ms", "u32")]),
    "TOPICS": (32, [("pattern", "text")]),
    "TOPIC_LIST": (33, [("topics", ("u32", [("name", "text"), ("topic_id", "id"), ("partitions", "i32")]))]),
    "TOPIC_CREATE": (34, [("name", "text"), ("partitions", "i32"), ("config", ("u16", [("key", "text"), ("value", "text")]))]),
    "TOPIC_DELETE": (35, [("name", "text")]),
    "TOPIC_CONFIG": (36, [("name", "text"), ("config", ("u16", [("key", "text"), ("value", "blob")]))]),
    "OFFSETS": (37, [("topic", "text"), ("partition", "i32"), ("time", "i64")]),
    "OFFSET_LIST": (38, [("offsets", ("u32", [("partition", "i32"), ("offset", "i64"), ("timestamp", "i64")]))]),
    "GROUP_DELETE": (39, [("group", "text")]),
    "DONE": (40, []),
    "TRIM": (41, [("topic", "text"), ("partition", "i32"), ("offset", "i64")]),
}
NAMES = {number: name for name, (number, _) in FRAMES.items()}


def put_fields(fields, values):
    out = b""
    for name, kind in fields:
        value = values.get(name)
        if isinstance(kind, tuple):
            value = value or []
            single = len(kind[1]) == 1  # a list of plain values instead of dictionaries
            out += put_number(kind[0])(len(value))
            out += b"".join(put_fields(kind[1], {kind[1][0][0]: item} if single else item) for item in value)
        elif kind in NUMBERS:
            out += put_number(kind)(value or 0)
        elif kind == "pad3":
            out += bytes(3)
        elif kind in ("id", "rest"):
            out += value if value is not None else bytes(16) if kind == "id" else b""
        else:
            out += {"text": put_text, "blob": put_blob, "record": put_record}[kind]("" if kind == "text" and value is None else value)
    return out


def get_fields(fields, reader):
    values = {}
    for name, kind in fields:
        if isinstance(kind, tuple):
            count = reader.number(kind[0])
            items = [get_fields(kind[1], reader) for _ in range(count)]
            values[name] = [item[kind[1][0][0]] for item in items] if len(kind[1]) == 1 else items
        elif kind in NUMBERS:
            values[name] = reader.number(kind)
        elif kind == "pad3":
            reader.take(3)
        elif kind == "id":
            values[name] = reader.take(16)
        elif kind == "rest":
            values[name] = reader.take(len(reader.data) - reader.at)
        else:
            values[name] = getattr(reader, kind)()
    return values


def encode(name, id=0, flags=0, /, **fields):
    number, layout = FRAMES[name]
    body = put_fields(layout, fields)
    return struct.pack("<IHHI", len(body) + 8, number, flags, id) + body


Frame = collections.namedtuple("Frame", "name flags id body")


def decode(data):
    """One whole frame. ValueError: it is too short, or of no known kind."""
    size, number, flags, identity = struct.unpack("<IHHI", data[:12])
    if size + 4 != len(data) or number not in NAMES:
        raise ValueError("not a frame")
    return Frame(NAMES[number], flags, identity, get_fields(FRAMES[NAMES[number]][1], Reader(data[12:])))


class Shared:
    """Shared memory, used as a socket is: the page's section of that name."""
    MAGIC, HEAD, LINE, SERVER = 0x4D485353, 4096, 128, 512
    BYTES, ROOM = 1, 2

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(path)
        self.socket.sendall(struct.pack("<IHHQ", self.MAGIC, 1, 1, 0))
        answer, descriptors, _, _ = socket.recv_fds(self.socket, 16, 1)
        magic, version, _, code, self.size = struct.unpack("<IHHII", answer)
        assert magic == self.MAGIC
        if code != 0:
            self.socket.close()
            raise NativeError(code, False, "no shared memory")
        assert version == 1
        self.memory = mmap.mmap(descriptors[0], self.HEAD + 2 * self.size)
        os.close(descriptors[0])
        self.put = self.taken = 0  # by us, ever
        self.gone = False

    def number(self, at, kind="<Q"):
        return struct.unpack_from(kind, self.memory, at)[0]

    def filled(self):
        return self.number(self.SERVER) - self.taken

    def room(self):
        return self.size - (self.put - self.number(self.SERVER + self.LINE))

    def wake(self, did):
        if self.number(self.SERVER + 2 * self.LINE, "<I") & did:
            struct.pack_into("<I", self.memory, self.SERVER + 2 * self.LINE, 0)
            self.socket.send(b"\0")

    def wait(self, seconds, condition=None):
        """Until there is something to read, or the condition holds, or the server is gone; False: not in time."""
        condition = condition or self.filled
        deadline = time.monotonic() + seconds
        while not condition() and not self.gone:
            if time.monotonic() > deadline:
                return False
            struct.pack_into("<I", self.memory, 2 * self.LINE, self.BYTES | self.ROOM)
            if not condition() and select.select([self.socket], [], [], 0.05)[0]:
                try:
                    self.gone = self.socket.recv(64) == b""
                except OSError:
                    self.gone = True
            struct.pack_into("<I", self.memory, 2 * self.LINE, 0)
        return True

    def copy(self, begin, at, size):
        """The two parts of so many bytes of a ring."""
        first = min(size, self.size - at)
        return (begin + at, first), (begin, size - first)

    def sendall(self, data):
        while data:
            if not self.wait(WAIT_S, self.room) or self.gone:
                raise BrokenPipeError
            part = data[:self.room()]
            for start, size in self.copy(self.HEAD, self.put % self.size, len(part)):
                self.memory[start:start + size], part = part[:size], part[size:]
                self.put += size
                data = data[size:]
            struct.pack_into("<Q", self.memory, 0, self.put)
            self.wake(self.BYTES)

    def recv(self, size):
        self.wait(WAIT_S)
        size = min(size, self.filled())
        data = b"".join(self.memory[start:start + part] for start, part in self.copy(self.HEAD + self.size, self.taken % self.size, size))
        self.taken += size
        struct.pack_into("<Q", self.memory, self.LINE, self.taken)
        if not self.gone:
            self.wake(self.ROOM)
        return data

    def close(self):
        self.socket.close()
        self.memory.close()


class Link:
    """Frames over a socket, or what is used as one."""

    def __init__(self, connected):
        self.socket, self.got = connected, b""

    def send(self, *frames):
        try:
            self.socket.sendall(b"".join(frames))
        except OSError as error:
            raise Closed() from error

    def wait(self, seconds):
        """Whether something comes in time. poll(), as select() knows no descriptor above 1,023."""
        if isinstance(self.socket, Shared):
            return self.socket.wait(seconds)
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def receive(self, timeout=WAIT_S):
        """A frame, or None when none came in time."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.got) >= 4:
                size = 4 + struct.unpack("<I", self.got[:4])[0]
                if len(self.got) >= size:
                    frame, self.got = self.got[:size], self.got[size:]
                    return decode(frame)
            pending = self.socket.pending() if hasattr(self.socket, "pending") else 0  # in TLS or WebSocket
            left = max(0, deadline - time.monotonic())
            if not pending and not self.wait(left):
                return None
            try:
                part = self.socket.recv(65536)
            except (OSError, EOFError):
                part = b""
            if not part:
                raise Closed()
            self.got += part

    def close(self):
        self.socket.close()


# ---- logins ----

def scram(mechanism, user, password):
    """A generator: gives what to send, gets what came (RFC 5802)."""
    kind = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}[mechanism]
    nonce = base64.b64encode(os.urandom(18)).decode()
    bare = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), nonce)
    first = (yield ("n,," + bare).encode()).decode()
    fields = dict(part.split("=", 1) for part in first.split(","))
    assert fields["r"].startswith(nonce), "the server's nonce does not begin with ours"
    salted = hashlib.pbkdf2_hmac(kind, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))

    def mac(key, data):
        return hmac.new(key, data, kind).digest()
    client_key = mac(salted, b"Client Key")
    without = "c=biws,r=" + fields["r"]
    said = ",".join((bare, first, without)).encode()
    signature = mac(hashlib.new(kind, client_key).digest(), said)
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    last = yield (without + ",p=" + base64.b64encode(proof).decode()).encode()
    wanted = base64.b64encode(mac(mac(salted, b"Server Key"), said))
    assert last == b"v=" + wanted, "the server does not know the password"
    yield None


def plain(user, password):
    yield b"\0" + user.encode() + b"\0" + password.encode()
    yield None


# ---- the client ----

class Subscription:
    """What a SUBSCRIBE began. `kept`: messages that came and were not asked for yet."""

    def __init__(self, client, identity, credit):
        self.client, self.id = client, identity
        self.sources, self.kept, self.acked = {}, collections.deque(), collections.deque()
        self.left_records, self.left_bytes = credit
        self.ready = self.caught_up = self.stopped = False
        self.ended, self.stalled, self.errors = None, None, []

    def credit(self, records, size):
        self.left_records += records
        self.left_bytes += size
        self.client.link.send(encode("CREDIT", self.id, records=records, bytes=size))

    def next(self, timeout=WAIT_S):
        """The next message; None when none came in time. NativeError when the subscription ended."""
        self.client.until(lambda: self.kept or self.ended, timeout)
        if self.kept:
            return self.kept.popleft()
        if self.ended:
            raise self.ended
        return None

    def take(self, count, timeout=WAIT_S):
        """So many messages, or as many as came in time."""
        self.client.until(lambda: len(self.kept) >= count or self.ended, timeout)
        return [self.kept.popleft() for _ in range(min(count, len(self.kept)))]

    def ack(self, message, what=DONE_WITH, ms=0, wait=True, last=None):
        """For a message, or from its offset to `last`. Gives the code of ACKED, None without waiting."""
        self.client.link.send(encode("ACK", self.id, 1 if wait else 0, what=what, ms=ms, source=message.source,
                                     ranges=[{"first": message.offset, "last": message.offset if last is None else last}]))
        if not wait:
            return None
        self.client.until(lambda: self.acked or self.ended)
        if not self.acked:
            raise self.ended
        return self.acked.popleft()[1]

    def close(self):
        self.client.link.send(encode("UNSUBSCRIBE", self.id))
        self.client.until(lambda: self.stopped or self.ended)
        self.client.subscriptions.pop(self.id, None)

    # ---- what comes ----

    def take_frame(self, frame):
        body = frame.body
        if frame.name == "SUBSCRIBED":
            self.ready = True
        elif frame.name == "SOURCE":
            assert body["source"] not in self.sources, "a source is told once"
            self.sources[body["source"]] = body
        elif frame.name == "MESSAGES":
            self.take_messages(frame)
        elif frame.name == "ACKED":
            self.acked.append((body["source"], body["code"]))
        elif frame.name == "STALLED":
            self.stalled = body
        elif frame.name == "UNSUBSCRIBED":
            self.stopped = True
        elif frame.name == "ENDED":
            self.ended = NativeError(body["code"], False, body["text"])
        else:
            raise AssertionError("%s belongs to no subscription" % frame.name)

    def take_messages(self, frame):
        assert not self.stopped and not self.ended, "nothing of a subscription follows its end"
        for one in frame.body["records"]:
            source = self.sources[frame.body["source"]]
            size = len(put_record(one))
            self.left_records -= 1
            self.left_bytes -= size
            assert self.left_records >= 0 and self.left_bytes >= 0, "the server sent more than it has credit for"
            self.kept.append(Message(source["topic"], source["topic_id"], source["partition"], source["source"], one.offset,
                                     one.timestamp, one.deliveries, one.headers, one.key, one.value, size))
        self.caught_up = bool(frame.flags & 1)


class Client:
    """A connection that said HELLO and logged in. `address`: (host, port), the path of a Unix socket, a socket (also WebSocket), or
    Shared."""

    def __init__(self, address, user=None, password=None, mechanism=None, tls=None, name="python", versions=(1, 1), greet=True):
        self.link = Link(self.open(address, tls))
        self.answers, self.subscriptions, self.replies = {}, {}, collections.deque()
        self.goaway, self.stray, self.last_id = None, [], 0
        self.welcome = None
        if greet:
            self.hello(name, versions)
            if user is not None:
                self.login(user, password, mechanism or self.welcome["mechanisms"][0])

    @staticmethod
    def open(address, tls):
        if hasattr(address, "recv"):
            return address
        if isinstance(address, str):
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(address)
        else:
            connected = socket.create_connection(address, WAIT_S)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                connected = tls.wrap_socket(connected, server_hostname=address[0])
        connected.settimeout(WAIT_S)
        return connected

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.link.close()

    def close(self):
        self.link.close()

    # ---- frames ----

    def next_id(self):
        self.last_id += 1
        return self.last_id

    def send(self, name, flags=0, /, **fields):
        """A request; gives its id."""
        identity = self.next_id()
        self.link.send(encode(name, identity, flags, **fields))
        return identity

    def wait(self, identity, timeout=WAIT_S):
        """The answer to a request; NativeError when it is one."""
        if not self.until(lambda: identity in self.answers, timeout):
            raise TimeoutError("no answer to request %d" % identity)
        frame = self.answers.pop(identity)
        if frame.name == "ERROR":
            raise NativeError(frame.body["code"], bool(frame.body["retriable"]), frame.body["text"])
        return frame

    def ask(self, name, flags=0, /, **fields):
        return self.wait(self.send(name, flags, **fields))

    def until(self, condition, timeout=WAIT_S):
        """Reads frames until the condition holds; False: it did not in time."""
        deadline = time.monotonic() + timeout
        while not condition():
            if not self.pump(deadline - time.monotonic()):
                return bool(condition())
        return True

    def pump(self, timeout):
        """Takes one frame in; False: none came in time. Closed: the server is gone."""
        try:
            frame = self.link.receive(max(0, timeout))
        except Closed as closed:
            raise Closed(self.goaway) from closed
        if frame is not None:
            self.take_frame(frame)
        return frame is not None

    def take_frame(self, frame):
        if frame.name == "PING":
            self.link.send(encode("PONG", frame.id, data=frame.body["data"]))
        elif frame.name == "GOAWAY":
            self.goaway = NativeError(frame.body["code"], frame.body["again_ms"] != NONE, frame.body["text"])
        elif frame.name == "MESSAGES" and frame.id == 0:
            self.replies.extend(frame.body["records"])
        elif frame.name == "ERROR" and frame.id in self.subscriptions:
            self.failed(self.subscriptions[frame.id], frame)
        elif frame.id in self.subscriptions and frame.name != "PONG":
            self.subscriptions[frame.id].take_frame(frame)
        elif frame.id != 0:
            self.answers[frame.id] = frame
        else:
            self.stray.append(frame)

    @staticmethod
    def failed(subscription, frame):
        error = NativeError(frame.body["code"], bool(frame.body["retriable"]), frame.body["text"])
        if subscription.ready:
            subscription.errors.append(error)
        else:
            subscription.ended = error

    # ---- connecting ----

    def hello(self, name, versions):
        self.welcome = self.ask("HELLO", magic=MAGIC, lowest=versions[0], highest=versions[1], client=name,
                                software="sluice_native.py 1").body

    def login(self, user, password, mechanism):
        steps = plain(user, password) if mechanism == "PLAIN" else scram(mechanism, user, password)
        data, first = next(steps), True
        while True:
            body = self.ask("AUTH", mechanism=mechanism if first else "", data=data).body
            data, first = steps.send(body["data"]), False
            if body["complete"]:
                assert data is None, "the server ends the login too early"
                return

    def ping(self, data=b""):
        return self.ask("PING", data=data).body["data"]

    # ---- records ----

    def publish(self, topic, records, partition=-1, level=1, expected=-1, message_id="", wait=True):
        """PUBLISHED; without waiting the id, for wait()."""
        identity = self.send("PUBLISH", topic=topic, records=records, partition=partition, level=level, expected=expected,
                             message_id=message_id)
        return self.wait(identity) if wait else identity

    def subscribe(self, pattern, group="", start=END, start_value=0, partition=-1, records=1000, size=1 << 20, lock_ms=0,
                  filter="", exclusive=False, committed=False, places=(), wait=True):
        identity = self.next_id()
        made = self.subscriptions[identity] = Subscription(self, identity, (records, size))
        self.link.send(encode("SUBSCRIBE", identity, (1 if exclusive else 0) | (2 if committed else 0), pattern=pattern, group=group,
                              start=start, partition=partition, start_value=start_value, credit_records=records,
                              credit_bytes=size, lock_ms=lock_ms, filter=filter, places=list(places)))
        if wait:
            self.until(lambda: made.ready or made.ended)
            if not made.ready:
                del self.subscriptions[identity]
                raise made.ended or TimeoutError("no answer to SUBSCRIBE")
        return made

    def request(self, topic, value, correlation=b"", timeout=WAIT_S, **more):
        """Publishes a record that wants an answer, and waits for it."""
        headers = [("sluice-reply-to", b"_inbox"), ("sluice-correlation", correlation)]
        self.publish(topic, [record(value, headers=headers, **more)])
        self.until(lambda: self.replies, timeout)
        return self.replies.popleft() if self.replies else None

    def reply(self, address, one, wait=True):
        if wait:
            return self.ask("REPLY", 1, address=address, record=one)
        return self.send("REPLY", address=address, record=one)

    # ---- topics and groups ----

    def topics(self, pattern=""):
        return self.ask("TOPICS", pattern=pattern).body["topics"]

    def create(self, name, partitions=-1, **config):
        self.ask("TOPIC_CREATE", name=name, partitions=partitions,
                 config=[{"key": key.replace("_", "."), "value": str(value)} for key, value in config.items()])

    def delete(self, name):
        self.ask("TOPIC_DELETE", name=name)

    def configure(self, name, config):
        self.ask("TOPIC_CONFIG", name=name, config=[{"key": key, "value": value} for key, value in config.items()])

    def offsets(self, topic, time_ms, partition=-1):
        return self.ask("OFFSETS", topic=topic, partition=partition, time=time_ms).body["offsets"]

    def trim(self, topic, partition, offset):
        self.ask("TRIM", topic=topic, partition=partition, offset=offset)

    def delete_group(self, group):
        self.ask("GROUP_DELETE", group=group)


def header(message, name):
    """The first value of a header, None without one."""
    return next((value for key, value in message.headers if key == name), None)
