"""RFC 6455 of a client, with nothing but the standard library: a socket that speaks it looks like a socket.

    link = WebSocket(socket.create_connection(address))   # the handshake is done
    link.sendall(b"...")                                  # one binary message
    link.recv(65536)                                      # bytes of the next ones; b"" at the end: link.close_code says why

Refused is the answer that is no 101. Frames that no client would send: frame(), and `raw` to send them."""
import base64
import collections
import hashlib
import os
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PROTOCOL = "sluice.native.1"


class Refused(Exception):
    def __init__(self, status, headers, body):
        super().__init__("%d: %s" % (status, body))
        self.status, self.headers, self.body = status, headers, body


def frame(opcode, payload=b"", fin=True, mask=None, masked=True, rsv=0, length=None):
    """mask: of 4 bytes, else a random one. length: another one than that of the payload, as (bytes, value)."""
    size = len(payload)
    first = struct.pack("B", (0x80 if fin else 0) | rsv << 4 | opcode)
    flag = 0x80 if masked else 0
    if length is not None:
        head = {1: struct.pack("B", flag | length[1] & 0x7f), 2: struct.pack(">BH", flag | 126, length[1] & 0xffff),
                8: struct.pack(">BQ", flag | 127, length[1])}[length[0]]
    elif size < 126:
        head = struct.pack("B", flag | size)
    elif size < 1 << 16:
        head = struct.pack(">BH", flag | 126, size)
    else:
        head = struct.pack(">BQ", flag | 127, size)
    if not masked:
        return first + head + payload
    mask = os.urandom(4) if mask is None else mask
    whole = int.from_bytes(mask * (size // 4 + 1), "big") >> (8 * (4 - size % 4))
    return first + head + mask + (int.from_bytes(payload, "big") ^ whole).to_bytes(size, "big")


def request(host, path="/native", key=None, **changes):
    """The opening handshake; changes: headers by name with _ for -, None takes one away, method and version too."""
    headers = {"Host": host, "Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode(), "Sec-WebSocket-Protocol": PROTOCOL}
    method, version = changes.pop("method", "GET"), changes.pop("version", "HTTP/1.1")
    for name, value in changes.items():
        headers[name.replace("_", "-")] = value
    lines = ["%s %s %s" % (method, path, version)] + ["%s: %s" % item for item in headers.items() if item[1] is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class WebSocket:
    def __init__(self, connected, host="localhost", early=b"", **changes):
        """early: frames that are sent together with the request."""
        self.socket, self.got, self.payload = connected, b"", b""
        self.pongs, self.close_code, self.close_reason = collections.deque(), None, None
        self.closed = False
        key = base64.b64encode(os.urandom(16)).decode()
        try:
            self.socket.sendall(request(host, key=key, **changes) + early)
            self.shake(key)
        except BaseException:
            self.socket.close()
            raise

    def shake(self, key):
        head = self.take_until(b"\r\n\r\n").decode().split("\r\n")
        status = int(head[0].split(" ")[1])
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
        if status != 101:
            raise Refused(status, headers, self.take(int(headers["content-length"])).decode())
        digest = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
        assert headers["sec-websocket-accept"] == digest and headers["upgrade"] == "websocket", headers
        assert headers["connection"] == "Upgrade" and headers["sec-websocket-protocol"] == PROTOCOL, headers

    # ---- bytes ----

    def more(self):
        part = self.socket.recv(1 << 16)
        if not part:
            raise EOFError
        self.got += part

    def take(self, size):
        while len(self.got) < size:
            self.more()
        part, self.got = self.got[:size], self.got[size:]
        return part

    def take_until(self, end):
        while end not in self.got:
            self.more()
        return self.take(self.got.index(end) + len(end))

    # ---- frames ----

    def raw(self, data):
        self.socket.sendall(data)

    def read_frame(self):
        """Opcode and payload of the next one; a server masks nothing and fragments as it likes."""
        first, second = self.take(2)
        assert not second & 0x80 and not first & 0x70, "a server's frame is plain"
        size = second & 0x7f
        if size == 126:
            size, = struct.unpack(">H", self.take(2))
            assert size >= 126
        elif size == 127:
            size, = struct.unpack(">Q", self.take(8))
            assert size >= 1 << 16
        return first & 0x0f, self.take(size)

    def close_frame(self, payload):
        self.closed = True
        if payload:
            self.close_code, self.close_reason = struct.unpack(">H", payload[:2])[0], payload[2:].decode()
        try:
            self.raw(frame(CLOSE, payload[:2]))
        except OSError:
            pass  # it has closed already

    def step(self):
        opcode, payload = self.read_frame()
        if opcode == PING:
            self.raw(frame(PONG, payload))
        elif opcode == PONG:
            self.pongs.append(payload)
        elif opcode == CLOSE:
            self.close_frame(payload)
        else:
            assert opcode in (BINARY, MORE), opcode
            self.payload += payload

    # ---- as a socket ----

    def sendall(self, data):
        self.raw(frame(BINARY, data))

    def recv(self, size):
        while not self.payload and not self.closed:
            self.step()
        part, self.payload = self.payload[:size], self.payload[size:]
        return part

    def pending(self):
        """Something is there that no poll of the descriptor tells of."""
        own = getattr(self.socket, "pending", None)
        return len(self.payload) + len(self.got) + (own() if own else 0)

    def fileno(self):
        return self.socket.fileno()

    def setsockopt(self, *arguments):
        self.socket.setsockopt(*arguments)

    def close(self):
        self.socket.close()
