"""Frames of the native protocol for tests that speak it raw: as little as a test needs, with nothing checked for it.

    with Link(broker.native) as link:      # HELLO and WELCOME are done
        link.publish(7, "orders", [record(b"a")])
        kind, flags, number, body = link.take(PUBLISHED)"""
import collections
import socket
import struct

WAIT_S = 60
HELLO, WELCOME, AUTH, AUTH_NEXT, PING, PONG, ERROR, GOAWAY = range(1, 9)
PUBLISH, PUBLISHED, SUBSCRIBE, SUBSCRIBED, CREDIT, SOURCE, MESSAGES, ACK, ACKED, UNSUBSCRIBE, UNSUBSCRIBED, STALLED, ENDED, REPLY = range(16, 30)
THROTTLED = 30
TOPICS, TOPIC_LIST, TOPIC_CREATE, TOPIC_DELETE, TOPIC_CONFIG, OFFSETS, OFFSET_LIST, GROUP_DELETE, DONE, TRIM = range(32, 42)
MAGIC = 0x43554C53
ALL = 1 << 62  # a credit that does not end
Frame = collections.namedtuple("Frame", "kind flags id body")
Record = collections.namedtuple("Record", "offset timestamp deliveries key headers value")


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<H", len(data)) + data


def blob(value):
    return struct.pack("<I", 0xFFFFFFFF) if value is None else struct.pack("<I", len(value)) + value


def frame(kind, flags=0, number=0, body=b""):
    return struct.pack("<IHHI", 8 + len(body), kind, flags, number) + body


def record(value, key=None, headers=(), timestamp=-1):
    body = struct.pack("<qqHH", 0, timestamp, 0, len(headers)) + blob(key)
    for name, content in headers:
        body += text(name) + blob(content)
    body += blob(value)
    return struct.pack("<I", len(body)) + body


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        assert self.at + size <= len(self.data), "a body is too short"
        self.at += size
        return self.data[self.at - size:self.at]

    def numbers(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def number(self, letter):
        return self.numbers(letter)[0]

    def text(self):
        return self.take(self.number("H")).decode()

    def blob(self):
        size = self.number("I")
        return None if size == 0xFFFFFFFF else self.take(size)

    def record(self):
        size = self.number("I")
        end = self.at + size
        offset, timestamp, deliveries, count = self.numbers("qqHH")
        key = self.blob()
        headers = [(self.text(), self.blob()) for _ in range(count)]
        value = self.blob()
        assert self.at == end, "a record is longer than its fields"
        return Record(offset, timestamp, deliveries, key, headers, value)


def messages(body):
    """Source, records, and the bytes of credit that they cost."""
    reader = Reader(body)
    source, count = reader.numbers("II")
    at = reader.at
    records = [reader.record() for _ in range(count)]
    return source, records, reader.at - at


class Link:
    """A connection. What arrives is kept until it is asked for, so that a test waits for what it means."""

    def __init__(self, port, hello=True, client_id="test", wrap=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        if wrap:
            self.socket = wrap(self.socket)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.kept, self.rest = [], b""
        if hello:
            self.hello(client_id)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def close(self):
        self.socket.close()

    def send(self, kind, flags=0, number=0, body=b""):
        self.socket.sendall(frame(kind, flags, number, body))

    def read(self):
        """The next frame; EOFError at the end."""
        while len(self.rest) < 4 or len(self.rest) < 4 + struct.unpack_from("<I", self.rest)[0]:
            part = self.socket.recv(1 << 16)
            if not part:
                raise EOFError
            self.rest += part
        size, kind, flags, number = struct.unpack_from("<IHHI", self.rest)
        body, self.rest = self.rest[12:4 + size], self.rest[4 + size:]
        return Frame(kind, flags, number, body)

    def take(self, *kinds, number=None):
        """The first frame of such a kind (and id), those of others are kept; an ERROR that nobody asked for fails."""
        def fits(one):
            return one.kind in kinds and (number is None or one.id == number)
        for at, one in enumerate(self.kept):
            if fits(one):
                return self.kept.pop(at)
        while True:
            one = self.read()
            if fits(one):
                return one
            if one.kind in (ERROR, GOAWAY) and not {ERROR, GOAWAY} & set(kinds):
                raise AssertionError("%s %d: %r" % ("ERROR" if one.kind == ERROR else "GOAWAY", one.id, one.body))
            self.kept.append(one)

    def hello(self, client_id="test", lowest=1, highest=1):
        self.send(HELLO, 0, 0, struct.pack("<IHH", MAGIC, lowest, highest) + text(client_id) + text("native_wire 1"))
        self.welcome = self.take(WELCOME, ERROR)
        return self.welcome

    def error(self, number=None):
        """Code and sentence of the next ERROR."""
        reader = Reader(self.take(ERROR, number=number).body)
        code, _ = reader.numbers("II")
        return code, reader.text()

    def is_closed(self):
        try:
            while True:
                self.read()
        except (EOFError, ConnectionResetError):
            return True

    # ---- requests ----

    def publish(self, number, topic, records, partition=-1, level=1, expected=-1, message_id="", flags=0):
        self.send(PUBLISH, flags, number, text(topic) + struct.pack("<iIq", partition, level, expected) + text(message_id) +
                  struct.pack("<I", len(records)) + b"".join(records))

    def published(self, *arguments, **more):
        """Publishes and waits: partition, offset, timestamp."""
        number = arguments[0]
        self.publish(*arguments, **more)
        return Reader(self.take(PUBLISHED, number=number).body).numbers("iqq")

    def subscribe(self, number, pattern, group="", start=1, partition=-1, value=0, records=ALL, size=ALL, lock_ms=0, filters="", flags=0,
                  places=(), wait=True):
        self.send(SUBSCRIBE, flags, number, text(pattern) + text(group) + struct.pack("<IiqQQI", start, partition, value, records, size, lock_ms) +
                  text(filters) + struct.pack("<I", len(places)) + b"".join(topic + struct.pack("<iq", *place) for topic, *place in places))
        if wait:
            self.take(SUBSCRIBED, number=number)

    def ask(self, kind, body, number=77):
        """A request that is answered with DONE."""
        self.send(kind, 0, number, body)
        self.take(DONE, number=number)

    def offsets(self, topic, partition, time):
        """Partition, offset, timestamp of each."""
        self.send(OFFSETS, 0, 78, text(topic) + struct.pack("<iq", partition, time))
        reader = Reader(self.take(OFFSET_LIST, number=78).body)
        return [reader.numbers("iqq") for _ in range(reader.number("I"))]

    def login(self, mechanism, message):
        """One step; the answer or the ERROR."""
        self.send(AUTH, 0, 1, text(mechanism) + blob(message))
        return self.take(AUTH_NEXT, ERROR)

    def credit(self, number, records, size=0):
        self.send(CREDIT, 0, number, struct.pack("<QQ", records, size))

    def source(self, number):
        """Source, partition, topic, first offset, topic id of the next SOURCE."""
        reader = Reader(self.take(SOURCE, number=number).body)
        source, partition = reader.numbers("Ii")
        topic_id = reader.take(16)
        return source, partition, reader.text(), reader.number("q"), topic_id

    def records(self, number, count):
        """So many records of a subscription, over all its sources; more than that is a failure."""
        found = []
        while len(found) < count:
            found += messages(self.take(MESSAGES, number=number).body)[1]
        assert len(found) == count, found
        return found

    def pings(self):
        """Everything that was sent before has been worked on."""
        self.send(PING, 0, 99, b"?")
        self.take(PONG)

    def has_nothing(self, kind=MESSAGES):
        """Nothing of the kind is there, nor comes before the answer to a PING; MESSAGES without records are nothing."""
        self.pings()
        return not [one for one in self.kept if one.kind == kind and (kind != MESSAGES or messages(one.body)[1])]
