#!/usr/bin/python3
"""crowd.py [--clients N] [--seconds S] [--idle S] [--late S] [--seed N] [--build DIR]: thousands of connections that do what they like, and each answer verified.

Kafka's protocol over TCP and TLS, the native one over TCP, a local socket and WebSocket, HTTP, and the admin socket. First N of them are
idle: the broker's processor time is measured. Then for S seconds each, by the seed, is polite, sends many requests at once, sends byte by
byte, takes nothing for a while and goes on, ends with or without requests under way, ends its side, is reset, or comes and goes. Of those
that stay every answer must come, in order, byte for byte what it has to be; of each partition every offset once. At the end everybody who
is left asks once more, all go, and the broker must have no connection, no more descriptors, no memory for connections than before, and
nothing to do.

An answer is late when it takes more than a second (--late), of a request that the broker had as a whole, to a client that takes its answers;
what the machine (a process beside that only sleeps says how much) or this program is late is not counted."""
import argparse
import base64
import json
import os
import random
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "broker"), os.path.join(os.path.dirname(HERE), "native")]

TOPICS = 8
HEARTBEAT_S = 10
RESET = struct.pack("ii", 1, 0)


# ---- protocols: request(number) -> bytes; take(data) -> how many answers, each checked ----

class Wrong(Exception):
    pass


class Protocol:
    opening = b""  # sent first

    def __init__(self, crowd):
        self.crowd, self.got, self.sent, self.answered = crowd, bytearray(), 0, 0
        self.is_open = True  # nothing of the opening has to be waited for

    def ask(self):
        self.sent += 1
        return self.request(self.sent)

    def take(self, data):
        """Checks whole answers; their number."""
        self.got += data
        before = self.answered
        while (size := self.whole()) and size <= len(self.got):
            answer = bytes(self.got[:size])
            del self.got[:size]
            self.answer(answer)
        return self.answered - before

    def expect(self, answer, wanted):
        if answer != wanted:
            raise Wrong("request %d: %r, not %r" % (self.answered + 1, answer[:200], wanted[:200]))


class Kafka(Protocol):
    def __init__(self, crowd):
        super().__init__(crowd)
        self.asked = {}

    def whole(self):
        return 4 + struct.unpack_from(">i", self.got)[0] if len(self.got) >= 4 else 0

    def request(self, number):
        if self.crowd.chance.random() < 0.2:
            partition = self.crowd.chance.randrange(TOPICS)
            self.asked[number] = partition
            return self.crowd.produce[partition][:8] + struct.pack(">i", number) + self.crowd.produce[partition][12:]
        return struct.pack(">ihhih", 10, 18, 0, number, -1)

    def answer(self, answer):
        self.answered += 1
        partition = self.asked.pop(self.answered, None)
        if partition is None:
            self.expect(answer, self.crowd.versions[:4] + struct.pack(">i", self.answered) + self.crowd.versions[8:])
            return
        head = self.crowd.produced[partition]
        offset, = struct.unpack_from(">q", answer, len(head))
        self.expect(answer[:8] + answer[8:len(head)], head[:4] + struct.pack(">i", self.answered) + head[8:])
        self.crowd.offsets[partition].append(offset)


class Native(Protocol):
    opening = struct.pack("<IHHI", 8 + 8 + 5 + 5, 1, 0, 0) + struct.pack("<IHH", 0x43554C53, 1, 1) + b"\3\0abc\3\0def"

    def __init__(self, crowd):
        super().__init__(crowd)
        self.is_open = False

    def whole(self):
        return 4 + struct.unpack_from("<I", self.got)[0] if len(self.got) >= 4 else 0

    def request(self, number):
        data = (b"%d," % number * 64)[:number * 7919 % 65]
        return struct.pack("<IHHI", 8 + len(data), 5, 0, number) + data

    def answer(self, answer):
        kind, = struct.unpack_from("<H", answer, 4)
        if not self.is_open:
            if kind != 2:
                raise Wrong("no WELCOME: %r" % answer)
            self.is_open = True
            return
        self.answered += 1
        data = (b"%d," % self.answered * 64)[:self.answered * 7919 % 65]
        self.expect(answer, struct.pack("<IHHI", 8 + len(data), 6, 0, self.answered) + data)


class WebSocket(Native):
    def __init__(self, crowd):
        super().__init__(crowd)
        from websocket import frame, request
        self.frame, self.raw, self.switched = frame, bytearray(), False
        self.opening = request("localhost", key=base64.b64encode(bytes(16)).decode()) + self.masked(Native.opening)

    def masked(self, data):
        cut = self.crowd.chance.randrange(len(data) + 1)  # boundaries mean nothing
        if self.crowd.chance.random() < 0.8:
            return self.frame(2, data, mask=b"abcd")
        return self.frame(2, data[:cut], fin=False, mask=b"abcd") + self.frame(9, b"here?") + self.frame(0, data[cut:], mask=b"\0\0\0\1")

    def request(self, number):
        return self.masked(super().request(number))

    def take(self, data):
        self.raw += data
        if not self.switched:
            end = self.raw.find(b"\r\n\r\n")
            if end < 0:
                return 0
            if not self.raw.startswith(b"HTTP/1.1 101"):
                raise Wrong(bytes(self.raw[:200]))
            self.switched = True
            del self.raw[:end + 4]
        taken = 0
        while len(self.raw) >= 2:
            size, head = self.raw[1], 2
            if size == 126:
                head, size = 4, struct.unpack_from(">H", self.raw, 2)[0] if len(self.raw) >= 4 else 1 << 40
            elif size == 127:
                head, size = 10, struct.unpack_from(">Q", self.raw, 2)[0] if len(self.raw) >= 10 else 1 << 40
            if len(self.raw) < head + size:
                break
            opcode, payload = self.raw[0] & 15, bytes(self.raw[head:head + size])
            del self.raw[:head + size]
            if opcode in (0, 2):
                taken += super().take(payload)
            elif opcode == 8:
                raise Wrong("closed: %r" % payload)
        return taken


def undated(answer):
    begin = answer.find(b"Date: ")
    return answer[:begin] + answer[answer.find(b"\r\n", begin):]


class Http(Protocol):
    def request(self, number):
        return b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Number: %d\r\n\r\n" % number

    def whole(self):
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return 0
        head = bytes(self.got[:end]).lower()
        return end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])

    def answer(self, answer):
        self.answered += 1
        self.expect(undated(answer), self.crowd.alive)


class Admin(Protocol):
    def request(self, number):
        return json.dumps({"id": number, "command": "status", "args": {}}).encode() + b"\n"

    def whole(self):
        return self.got.find(b"\n") + 1

    def answer(self, answer):
        self.answered += 1
        reply = json.loads(answer)
        if reply["id"] != self.answered or not reply["ok"]:
            raise Wrong(answer[:300])


# ---- wires ----

class Plain:
    def __init__(self, crowd):
        pass

    def give(self, data):  # of the protocol: what goes to the socket
        return data

    def take(self, data):  # of the socket: what is the protocol's, and what goes back
        return data, b""


class Tls:
    def __init__(self, crowd):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls, self.waiting, self.done = crowd.trust.wrap_bio(self.incoming, self.outgoing), b"", False

    def step(self):
        try:
            if not self.done:
                self.tls.do_handshake()
                self.done = True
            if self.waiting:
                self.tls.write(self.waiting)
                self.waiting = b""
        except ssl.SSLWantReadError:
            pass

    def give(self, data):
        self.waiting += data
        self.step()
        return self.outgoing.read()

    def take(self, data):
        self.incoming.write(data)
        got = b""
        self.step()
        try:
            while self.done and (part := self.tls.read(1 << 16)):
                got += part
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return got, self.outgoing.read()


# ---- a connection ----

KINDS = {  # protocol, wire, where, weight
    "kafka": (Kafka, Plain, "kafka", 8),
    "kafka over TLS": (Kafka, Tls, "secure", 3),
    "native": (Native, Plain, "native", 5),
    "native, local": (Native, Plain, "local", 3),
    "websocket": (WebSocket, Plain, "http", 2),
    "http": (Http, Plain, "http", 2),
    "admin": (Admin, Plain, "admin", 0.3),
}
# What it does next, and how often.
HABITS = {"polite": 40, "many at once": 8, "byte by byte": 6, "takes nothing": 3, "leaves": 8, "leaves in the middle": 5, "resets": 5, "ends its side": 3}
BURST = {"kafka": 300, "kafka over TLS": 300, "native": 400, "native, local": 400, "websocket": 100, "http": 100, "admin": 5}


class Connection:
    def __init__(self, crowd, kind):
        protocol, wire, where, _ = KINDS[kind]
        self.crowd, self.kind = crowd, kind
        self.protocol, self.wire = protocol(crowd), wire(crowd)
        self.output, self.asked, self.reads, self.writes = bytearray(), [], True, False
        self.piece, self.held_until, self.leaving, self.ended, self.whole_at = 1 << 20, 0, None, False, 0
        self.socket = socket.socket(socket.AF_UNIX if where in ("local", "admin") else socket.AF_INET)
        if self.socket.family == socket.AF_INET:
            self.socket.bind(("127.0.0.%d" % crowd.chance.randrange(2, 40), 0))
            if crowd.chance.random() < 0.3:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the broker's buffer is small, too, then
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        try:
            self.socket.connect(crowd.places[where])
        except BlockingIOError:
            pass
        self.mask = select.EPOLLIN | select.EPOLLOUT
        self.id = self.socket.fileno()
        crowd.epoll.register(self.id, self.mask)
        crowd.connections[self.id] = self
        self.begun = False

    def begin(self):
        self.begun, self.asked_at = True, time.monotonic()
        if self.protocol.opening or isinstance(self.wire, Tls):
            self.send(self.protocol.opening)

    def send(self, data):
        self.output += self.wire.give(data)
        self.flush()

    def ask(self, count=1):
        self.asked_at = time.monotonic()
        data = b""
        for _ in range(count):
            data += self.protocol.ask()
            self.asked.append(None)  # when the broker had it: not yet
        self.send(data)

    def look(self):
        mask = (select.EPOLLIN if self.reads else 0) | (select.EPOLLOUT if self.output and not self.slow() else 0)
        if mask != self.mask:
            self.mask = mask
            self.crowd.epoll.modify(self.id, mask)

    def slow(self):
        return self.piece < 1 << 20

    def flush(self):
        while self.output and self.begun:
            try:
                size = self.socket.send(self.output[:self.piece])
            except BlockingIOError:
                break
            del self.output[:size]
            if self.slow():
                self.crowd.dribbling.add(self)
                break
        if not self.output and not getattr(self.wire, "waiting", b""):
            now = time.monotonic()
            self.asked = [now if at is None else at for at in self.asked]
        self.look()

    def take(self):
        """What came."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        if not data:
            raise EOFError
        data, back = self.wire.take(data)
        if back:
            self.output += back
            self.flush()
        count = self.protocol.take(data) if data else 0
        now = time.monotonic()
        for at in self.asked[:count]:
            self.crowd.answered(self, now, at)
        del self.asked[:count]

    def serve(self, events):
        try:
            if not self.begun:
                error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise OSError(error, os.strerror(error))
                self.begin()
            if events & select.EPOLLOUT:
                self.flush()
            if self.reads and events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self.take()
        except (OSError, EOFError, ssl.SSLError) as error:
            if not self.ended:
                self.crowd.wrong("%s, %d answers to come, of %d: %r" % (self.kind, len(self.asked), self.protocol.sent, error))
            self.close()
        except Wrong as error:
            self.crowd.wrong("%s: %s" % (self.kind, error))
            self.close()

    def is_quiet(self):
        return self.begun and not self.asked and not self.output and self.protocol.is_open and (not isinstance(self.wire, Tls) or self.wire.done)

    def close(self, reset=False):
        if reset and self.socket.family == socket.AF_INET:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.crowd.epoll.unregister(self.id)
        del self.crowd.connections[self.id]
        self.crowd.dribbling.discard(self)
        self.socket.close()

    # ---- habits ----

    def act(self, chance):
        """It has nothing under way. What it does next; True: it is gone."""
        habit = chance.choices(list(HABITS), HABITS.values())[0]
        self.crowd.habits[habit] = self.crowd.habits.get(habit, 0) + 1
        self.piece = 1 << 20
        if habit == "polite":
            self.ask(chance.randrange(1, 4))
        elif habit == "many at once":
            self.ask(chance.randrange(1, BURST[self.kind]))
        elif habit == "byte by byte":
            self.piece = chance.choice([1, 1, 2, 7, 100])
            self.ask(chance.randrange(1, 4))
        elif habit == "takes nothing":
            self.reads = False
            self.held_until = time.monotonic() + chance.uniform(0.2, 4)
            self.crowd.held.add(self)
            self.ask(BURST[self.kind] * chance.randrange(1, 6))
        elif habit == "leaves":
            self.close()
            return True
        elif habit == "ends its side":  # what comes after is the broker's to decide, but nothing wrong
            self.ended = True
            self.ask(chance.randrange(0, 4))
            self.crowd.leaving.add(self)
            self.held_until = time.monotonic() + 1
            if not self.output:
                self.socket.shutdown(socket.SHUT_WR)
        else:
            self.ask(chance.randrange(1, BURST[self.kind]))
            if chance.random() < 0.3:
                self.output = bytearray()
            elif chance.random() < 0.5:
                try:
                    self.socket.send(self.protocol.ask()[:chance.randrange(1, 9)])
                except OSError:
                    pass
            self.close(reset=habit == "resets")
            return True
        return False


class Crowd:
    def __init__(self, broker, options, folder, ca):
        self.chance, self.clients, self.late_s = random.Random(options.seed), options.clients, options.late
        self.places = {"kafka": ("127.0.0.1", broker.kafka), "secure": ("127.0.0.1", broker.secure), "native": ("127.0.0.1", broker.native),
                       "http": ("127.0.0.1", broker.http), "local": os.path.join(folder, "native"), "admin": os.path.join(broker.home, "sluice.sock")}
        self.trust = ssl.create_default_context(cafile=ca)
        self.trust.check_hostname = False
        self.epoll, self.connections, self.dribbling, self.held, self.leaving = select.epoll(), {}, set(), set(), set()
        self.offsets, self.problems, self.habits = [[] for _ in range(TOPICS)], [], {}
        self.counts, self.slowest, self.late, self.made, self.jitter = {}, 0, 0, 0, Jitter()
        self.due = []
        self.learn(broker)

    def learn(self, broker):
        """What answers look like."""
        import wire_batch
        from kafka_wire import frame
        self.produce, self.produced = [], []
        batch = wire_batch.batch([b"x" * 100])
        code, _, err = broker.run("topic", "create", "crowd", "--partitions", str(TOPICS))
        if code != 0:
            raise Wrong(err)
        with broker.connect() as raw:
            raw.send_frame(struct.pack(">hhih", 18, 0, 1, -1))
            body = raw.read_frame()
            self.versions = struct.pack(">i", len(body)) + body
            for partition in range(TOPICS):
                body = frame("Produce", 7, {"acks": -1, "timeout_ms": 30000, "transactional_id": None, "topic_data": [
                    {"name": "crowd", "partition_data": [{"index": partition, "records": batch}]}]})
                raw.send_frame(body)
                self.produce.append(struct.pack(">i", len(body)) + body)
                body = raw.read_frame()
                answer = struct.pack(">i", len(body)) + body
                head = answer[:-4 - 8 - 8 - 8]  # throttle time, start, time of the log, offset
                if struct.unpack_from(">h", answer, len(head) - 2)[0] != 0:
                    raise Wrong("no topic: %r" % answer)
                self.offsets[partition].append(struct.unpack_from(">q", answer, len(head))[0])
                self.produced.append(head)
        with socket.create_connection(self.places["http"]) as link:
            link.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            self.alive = undated(link.recv(65536))

    def wrong(self, what):
        self.problems.append(what)
        if len(self.problems) < 20:
            print("    WRONG", what, flush=True)

    def answered(self, connection, now, at):
        self.counts[connection.kind] = self.counts.get(connection.kind, 0) + 1
        if at is None or connection.kind == "admin":
            return
        took = now - max(at, connection.held_until)
        if took > self.late_s / 2:
            took -= self.jitter.between(now - took, now)
        self.slowest = max(self.slowest, took)
        if took > self.late_s:
            self.late += 1
            if self.late < 20:
                print("    LATE %s: %.2f s" % (connection.kind, took), flush=True)

    def fill(self, count):
        """So many more; at most 200 on their way at once."""
        kinds, weights = list(KINDS), [kind[3] for kind in KINDS.values()]
        for kind in self.chance.choices(kinds, weights, k=count):
            if kind == "admin" and sum(one.kind == "admin" for one in self.connections.values()) >= 8:
                kind = "kafka"
            Connection(self, kind)
            self.made += 1
            if self.made % 50 == 0:
                self.turn(0.01)

    def turn(self, wait_s):
        began = time.monotonic()
        ready = self.epoll.poll(wait_s, 512)
        looked = time.monotonic()
        for descriptor, events in ready:
            if descriptor in self.connections:
                self.connections[descriptor].serve(events)
        for one in list(self.dribbling)[:200]:
            self.dribbling.discard(one)
            try:
                one.flush()
            except OSError as error:
                if not one.ended:
                    self.wrong("%s: %r while it sends bytes" % (one.kind, error))
                one.close()
        for one in [one for one in self.held if began >= one.held_until]:
            self.held.discard(one)
            if self.connections.get(one.id) is one:
                one.reads, one.held_until = True, time.monotonic()
                one.look()
        for one in [one for one in self.leaving if began >= one.held_until]:
            self.leaving.discard(one)
            if self.connections.get(one.id) is one:
                one.close()
        if (now := time.monotonic()) - looked > 0.1:
            self.jitter.late.append((looked, now))

    def until(self, condition, seconds, what):
        end, heard = time.monotonic() + seconds, time.monotonic()
        for one in self.dribbling:
            one.piece = 1 << 20  # at the next turn
        while not condition():
            if time.monotonic() - heard > 1:
                heard = time.monotonic()
                self.be_heard()
            if time.monotonic() > end:
                waiting = [one for one in self.connections.values() if not one.is_quiet()]
                for one in waiting[:10]:
                    self.wrong("%s: %s: %d of %d answered, %d bytes not sent, reads %s, begun %s, open %s" % (
                        what, one.kind, one.protocol.answered, one.protocol.sent, len(one.output), one.reads, one.begun, one.protocol.is_open))
                raise Wrong("%d connections wait: %s" % (len(waiting), what))
            self.turn(0.05)

    def be_heard(self):
        """The native protocol wants a client to say something from time to time."""
        before = time.monotonic() - HEARTBEAT_S
        for one in list(self.connections.values()):
            if isinstance(one.protocol, Native) and one.is_quiet() and one.asked_at < before and not one.ended:
                one.ask()

    def all_quiet(self):
        return all(one.is_quiet() or one.ended for one in self.connections.values())

    def run(self, seconds, acts_a_second):
        """Everybody does what he likes."""
        began, acted, heard = time.monotonic(), 0, time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            due = min(int((now - began) * acts_a_second) - acted, 200)
            tries = self.chance.choices(list(self.connections), k=due) if due > 0 and self.connections else []
            for one in tries:
                one = self.connections.get(one)
                acted += 1
                if one is not None and not one.ended and one.is_quiet() and len(self.held) < 100:
                    try:
                        one.act(self.chance)
                    except OSError as error:
                        if not one.ended:
                            self.wrong("%s: %r while it acts" % (one.kind, error))
                        if self.connections.get(one.id) is one:
                            one.close()
            if now - heard > 1:
                heard = now
                self.be_heard()
            if len(self.connections) < self.clients:
                self.fill(min(self.clients - len(self.connections), 20))
            self.turn(0.005)


class Jitter:
    """How late the machine itself wakes who only sleeps, in a thread that does nothing else, and how long this program did not look."""

    def __init__(self):
        self.late = []
        code = "import os, time\nparent = os.getppid()\nwhile os.getppid() == parent:\n a = time.monotonic()\n time.sleep(0.02)\n b = time.monotonic()\n if b - a > 0.1: print(a, b, flush=True)\n"
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.late.append(tuple(map(float, line.split())))

    def between(self, begin, end):
        return sum(max(0, min(b, end) - max(a, begin)) for a, b in list(self.late))


def state(broker):
    """Sockets, resident bytes, processor seconds."""
    path = "/proc/%d/" % broker.process.pid
    sockets = 0
    for name in os.listdir(path + "fd"):
        try:
            sockets += os.readlink(path + "fd/" + name).startswith("socket:")
        except FileNotFoundError:
            pass
    with open(path + "stat") as file:
        words = file.read().rsplit(")", 1)[1].split()
    with open(path + "statm") as file:
        resident = int(file.read().split()[1]) * 4096
    return sockets, resident, (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def idle_seconds(broker, crowd, seconds):
    """Of the processor, a second, while nobody does anything."""
    before = state(broker)[2]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        crowd.turn(0.2)
    return (state(broker)[2] - before) / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--idle", type=float, default=5, help="seconds that nobody does anything, before, after, and for twice as long with all connected")
    parser.add_argument("--late", type=float, default=1, help="seconds that an answer may take")
    parser.add_argument("--acts", type=float, default=400, help="what the crowd does in a second")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    parser.add_argument("--build", default=os.environ.get("SLUICE_BUILD_DIR", "build/test"))
    options = parser.parse_args()
    os.environ["SLUICE_BUILD_DIR"] = os.path.abspath(options.build)
    from certificates import Authority
    from sluice_broker import Broker, free_port, wait_for
    print("seed %d, %d clients, %d s" % (options.seed, options.clients, options.seconds), flush=True)
    with tempfile.TemporaryDirectory(prefix="sluice-crowd-") as folder:
        authority = Authority(folder)
        pair, secure = authority.issue("broker", "/CN=localhost"), free_port()
        more = str(options.clients * 2 + 100)
        broker = Broker("http.websocket.origins=https://example.org", "kafka.connections_max=" + more,
                        "native.connections_max=" + more, "native.unix=" + os.path.join(folder, "native"),
                        "kafka.listeners.secure.listen=127.0.0.1:%d" % secure, "kafka.listeners.secure.tls.certificate=" + pair.certificate,
                        "kafka.listeners.secure.tls.key=" + pair.key, environment={"MALLOC_PERTURB_": "0"})
        broker.secure = secure
        with broker:
            return watch(broker, Crowd(broker, options, folder, authority.path), options, wait_for)


def watch(broker, crowd, options, wait_for):
    begin = state(broker)
    print("sockets %d, %d MiB, %.3f s of the processor a second" % (begin[0], begin[1] >> 20, idle_seconds(broker, crowd, options.idle)), flush=True)
    crowd.fill(options.clients)
    crowd.until(crowd.all_quiet, 120, "to be connected")
    crowd.slowest = crowd.late = 0  # of handshakes
    idle = idle_seconds(broker, crowd, 2 * options.idle)
    print("%d connections: sockets %d, %d MiB, idle %.3f s of the processor a second" % (
        len(crowd.connections), state(broker)[0], state(broker)[1] >> 20, idle), flush=True)
    crowd.run(options.seconds, options.acts)
    for one in crowd.held:
        one.held_until = 0
    crowd.until(crowd.all_quiet, 120, "the answers of all")
    for one in list(crowd.connections.values()):
        if not one.ended:
            one.piece = 1 << 20
            one.ask(1)
    crowd.until(crowd.all_quiet, 120, "one more answer of all")
    print("answers %s\nhabits %s\n%d connections made; slowest answer %.2f s, %d late; the machine itself was late %d times, %.1f s in all" % (
        crowd.counts, crowd.habits, crowd.made, crowd.slowest, crowd.late, len(crowd.jitter.late), sum(b - a for a, b in crowd.jitter.late)), flush=True)
    for one in list(crowd.connections.values()):
        one.close()
    wait_for(lambda: state(broker)[0] <= begin[0], "all sockets to be gone")
    after = idle_seconds(broker, crowd, options.idle)
    end = state(broker)
    print("all gone: sockets %d, %d MiB, %.3f s of the processor a second" % (end[0], end[1] >> 20, after), flush=True)
    twice = [len(offsets) - len(set(offsets)) for offsets in crowd.offsets]
    print("%d records acknowledged, %d offsets twice" % (sum(map(len, crowd.offsets)), sum(twice)))
    crowd.jitter.process.kill()
    if sum(twice):
        crowd.wrong("offsets twice")
    if idle > 0.1 or after > 0.05:
        crowd.wrong("the broker was busy with nobody: %.3f, %.3f" % (idle, after))
    if crowd.late:
        crowd.wrong("%d answers were late" % crowd.late)
    print("%d problems, seed %d" % (len(crowd.problems), options.seed))
    return 1 if crowd.problems else 0


if __name__ == "__main__":
    sys.exit(main())
