"""The native protocol over WebSocket, at the port of the HTTP frontend: what a browser does, and what nobody should."""
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

from certificates import Authority
from sluice_broker import BUILD, SOURCE, WAIT_S, Broker, SharedBroker, loader, need, wait_for

sys.path.insert(0, os.path.join(SOURCE, "tests", "native"))
import websocket  # noqa: E402
from native_wire import PING, PONG  # noqa: E402
from native_wire import frame as native_frame  # noqa: E402
from sluice_native import BEGINNING, Client, Closed, NativeError, encode, record  # noqa: E402
from websocket import BINARY, CLOSE, MORE, TEXT, Refused, WebSocket, frame  # noqa: E402

PAGE = "https://app.example.org"
broker = SharedBroker("core.topics.auto_create=true", "http.websocket.origins=%s,http://localhost:8000" % PAGE, "native.frame_bytes_max=64 KiB")  # for the tests that need nothing of their own
tearDownModule = broker.close


def connected(port):
    made = socket.create_connection(("127.0.0.1", port), WAIT_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def link(of=None, **more):
    return WebSocket(connected((of or broker()).http), **more)


def client(of=None, **more):
    return Client(link(of, Origin=PAGE), **more)


def refused(of=None, **changes):
    try:
        link(of, **changes).close()
    except Refused as refusal:
        return refusal.status, refusal.body
    return None


def count_of(metric, of=None):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % (of or broker()).http) as answer:
        return int([line.split()[-1] for line in answer.read().decode().splitlines() if line.startswith(metric + " ")][0])


def test_what_is_published_over_websocket_is_consumed_by_kafka_and_over_tcp_and_back():
    before = count_of("sluice_connections_upgraded_total")
    with client() as page, Client(("127.0.0.1", broker().native)) as other:
        page.publish("both-ways", [record(b"one", b"key", [("h", b"1")]), record(b"x" * 40000)], partition=0)
        assert broker().consume("both-ways", "-f", "%k|%h|%S\n") == ["key|h=1|3", "||40000"]
        broker().produce("both-ways", ["three"])
        other.publish("both-ways", [record(b"four")], partition=0)
        got = page.subscribe("both-ways", start=BEGINNING).take(4)
        assert [(one.offset, one.key, len(one.value)) for one in got] == [(0, b"key", 3), (1, None, 40000), (2, None, 5), (3, None, 4)]
        assert other.subscribe("both-ways", start=BEGINNING).take(1)[0].headers == [("h", b"1")]
        assert count_of("sluice_connections_upgraded_total") == before + 1


def test_credit_is_kept_over_websocket():
    with client() as page:
        page.publish("credit", [record(b"%d" % i) for i in range(100)], partition=0)
        reading = page.subscribe("credit", start=BEGINNING, records=7)
        assert [one.value for one in reading.take(7)] == [b"%d" % i for i in range(7)]
        page.ping()
        assert not reading.kept  # the client itself asserts that nothing comes beyond
        reading.credit(93, 0)
        assert len(reading.take(93)) == 93


def test_boundaries_of_messages_mean_nothing():
    data = native_frame(PING, 0, 1, b"first") + native_frame(PING, 0, 2, b"second") + native_frame(PING, 0, 3, b"third")
    hello = encode("HELLO", magic=0x43554C53, lowest=1, highest=1, client="raw", software="raw")
    pieces = [frame(BINARY, data[:7]), frame(BINARY, data[7:30], fin=False), frame(websocket.PING, b"here?"), frame(MORE, data[30:31], fin=False),
              frame(MORE, b"", fin=False), frame(MORE, data[31:])]
    with Client(link(early=frame(BINARY, hello) + b"".join(pieces)), greet=False) as page:  # before the answer to the request is here
        frames = [page.link.receive() for _ in range(4)]
        assert [one.name for one in frames] == ["WELCOME", "PONG", "PONG", "PONG"]
        assert [one.body["data"] for one in frames[1:]] == [b"first", b"second", b"third"]
        assert list(page.link.socket.pongs) == [b"here?"]


def test_a_frame_that_cannot_be_ends_only_that_connection_with_its_code():
    hostile = [(frame(BINARY, b"x" * 20, masked=False), 1002), (frame(BINARY, b"x", length=(8, 1 << 63)), 1002), (frame(BINARY, b"x", rsv=4), 1002),
               (frame(3, b"x"), 1002), (frame(TEXT, b"hello"), 1003), (frame(websocket.PING, b"x", fin=False), 1002), (frame(MORE, b"x"), 1002),
               (frame(BINARY, b"x", length=(2, 3)), 1002), (frame(CLOSE, b"\x03"), 1002), (frame(CLOSE, struct.pack(">H", 4321)), 4321)]
    with client() as other:
        for data, code in hostile:
            with client() as page:
                page.link.socket.raw(data)
                try:
                    page.ping()
                    raise AssertionError("it goes on after %r" % data)
                except (Closed, OSError):
                    assert page.link.socket.close_code == code, (data, page.link.socket.close_reason)
            other.ping()


def test_a_native_frame_that_is_too_large_or_half_a_message_at_the_end_harms_nobody():
    with client() as other:
        with client() as page:
            page.link.send(struct.pack("<IHHI", 1 << 20, 16, 0, 1))
            try:
                page.ping()
                raise AssertionError("it goes on")
            except (Closed, OSError):
                assert page.goaway.code == 1602 and page.link.socket.close_code == 1000
        with client() as page:
            page.link.socket.raw(frame(BINARY, encode("PING", 1, data=b"x" * 40))[:20])
        wait_for(lambda: count_of("sluice_connections") == 2, "the connection to be gone")  # `other`, and who asks
        other.ping()


def test_what_is_no_websocket_is_told_what_it_lacks():
    address = "http://127.0.0.1:%d/native" % broker().http
    try:
        urllib.request.urlopen(address)
        raise AssertionError("a GET without an upgrade is answered")
    except urllib.error.HTTPError as error:
        assert (error.code, error.headers["Upgrade"], error.headers["Sec-WebSocket-Version"]) == (426, "websocket", "13")
    assert refused(Sec_WebSocket_Version="8")[0] == 426
    assert refused(Connection="keep-alive")[0] == 426
    assert refused(Upgrade=None)[0] == 426
    assert refused(version="HTTP/1.0")[0] == 426
    assert refused(Sec_WebSocket_Protocol="mqtt")[0] == 400
    assert refused(Sec_WebSocket_Key=None)[0] == 400
    assert refused(path="/live")[0] == 404


def test_a_page_connects_only_when_its_origin_is_configured():
    for origin in (PAGE, "http://localhost:8000", None):
        assert refused(Origin=origin) is None
    for origin in ("https://evil.example.org", "http://localhost:8001", PAGE + ".evil", "null", ""):
        status, body = refused(Origin=origin)
        assert status == 403 and "http.websocket.origins" in json.loads(body)["error"]["message"], (origin, body)


def test_websocket_is_off_until_it_is_configured_and_goes_and_comes_with_the_native_frontend():
    with Broker("plugins.enabled=frontend_http", "core.topics.auto_create=true") as own:
        assert refused(own)[0] == 403
    with Broker("plugins.enabled=frontend_http", "core.topics.auto_create=true", "http.websocket.origins=*") as own:
        status, body = refused(own, Origin="http://any")
        assert status == 503 and "frontend_native" in body
        module = os.path.join(BUILD, "lib", "sluice", "plugins", "frontend_native.so")
        dropped = os.path.join(own.home, "plugins", "frontend_native.so")
        shutil.copy(module, dropped)
        wait_for(lambda: refused(own) is None, "the native frontend")
        with client(own) as page, Client(("127.0.0.1", own.native)) as other:
            os.remove(dropped)
            for one in (page, other):
                try:
                    one.until(lambda: False)
                    raise AssertionError("it goes on")
                except Closed:
                    assert (one.goaway.code, one.goaway.retriable) == (1012, True)
            assert page.link.socket.close_code == 1001
        wait_for(lambda: refused(own), "the native frontend to be gone")
        assert refused(own)[0] == 503


def test_a_websocket_outlives_the_http_frontend_and_a_stop_tells_it_to_come_again():
    with Broker("plugins.enabled=frontend_native", "core.topics.auto_create=true", "http.websocket.origins=*") as own:
        dropped = os.path.join(own.home, "plugins", "frontend_http.so")
        shutil.copy(os.path.join(BUILD, "lib", "sluice", "plugins", "frontend_http.so"), dropped)

        def is_open():
            try:
                connected(own.http).close()
                return True
            except OSError:
                return False
        wait_for(is_open, "the HTTP port to open")
        with client(own) as page:
            os.remove(dropped)
            wait_for(lambda: not is_open(), "the HTTP port to close")
            page.publish("t", [record(b"still")])
            assert page.subscribe("t", start=BEGINNING).next().value == b"still"
            own.process.terminate()
            try:
                page.until(lambda: False)
            except Closed:
                assert page.goaway.code == 1012 and page.link.socket.close_code == 1001
            assert own.stop() == 0


def test_logins_and_limits_are_those_of_the_native_listener():
    with Broker("kafka.sasl.mechanisms=PLAIN,SCRAM-SHA-256", "security.failed_login_delay=0 s", "http.websocket.origins=*", "native.connections_max=2") as own:
        assert own.run("user", "add", "alice", stdin=b"secret\n")[0] == 0
        with client(own) as page, client(own, user="alice", password="secret", mechanism="SCRAM-SHA-256") as other:
            assert page.welcome["mechanisms"] == ["PLAIN", "SCRAM-SHA-256"]
            try:
                page.publish("t", [record(b"x")])
                raise AssertionError("it may publish without a login")
            except NativeError as error:
                assert error.code == 1905
            other.ping()
            status, body = refused(own)
            assert status == 503 and "native.connections_max" in body
        wait_for(lambda: refused(own) is None, "the two to be gone")


SCRIPT = """
import {Sluice, text} from %s;
const sluice = await new Sluice(%s).connect();
const got = [];
await new Promise(async all => {
  await sluice.subscribe("page.>", record => got.push(record) === 203 && all(), {start: "beginning", records: 10, bytes: 4096});
  await sluice.publish("page.a", {key: "k", value: "one", headers: [["h", "v"]]});
  await sluice.publish("page.a", {value: "x".repeat(60000)});
  await sluice.publish("page.b", {value: null});
  for (let i = 0; i < 200; i++) sluice.publish("page.c", {value: "v" + i}, {partition: 0});
});
const error = await sluice.publish("no such topic!", {value: ""}).catch(error => error.code);
const ended = new Promise(resolve => sluice.onclose = resolve);
sluice.close();
await ended;
const show = one => [one.topic, Number(one.offset), text(one.key), one.value && one.value.length, one.headers.length];
console.log(JSON.stringify([got.filter(one => one.topic !== "page.c").map(show), got.filter(one => one.topic === "page.c").map(one => text(one.value)), error]));
"""


def test_the_example_for_browsers_reads_and_publishes_with_a_browsers_websocket():
    need("node")
    node = ["node", "--experimental-websocket"]
    if subprocess.run(node + ["-p", "typeof WebSocket"], capture_output=True, text=True).stdout != "function\n":
        raise unittest.SkipTest("this node has no WebSocket")
    script = SCRIPT % (json.dumps(os.path.join(SOURCE, "examples", "browser", "sluice.js")), json.dumps("ws://127.0.0.1:%d/native" % broker().http))
    done = subprocess.run(node + ["--input-type=module", "-e", script], capture_output=True, text=True, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    first, many, error = json.loads(done.stdout)
    assert sorted(first) == [["page.a", 0, "k", 3, 1], ["page.a", 1, None, 60000, 0], ["page.b", 0, None, None, 0]]
    assert many == ["v%d" % i for i in range(200)] and error == 1302


def test_over_tls_and_only_over_tls_where_the_native_listener_asks_for_it():
    folder = tempfile.mkdtemp(prefix="sluice-wss-")
    try:
        authority = Authority(folder)
        pair, alice = authority.issue("broker", "/CN=localhost"), authority.issue("alice", "/CN=alice")
        keys = ["http.tls.certificate=" + pair.certificate, "http.tls.key=" + pair.key, "native.tls.certificate=" + pair.certificate,
                "native.tls.key=" + pair.key, "native.tls.ca=" + authority.path, "native.tls.client_auth=required"]
        secure = ssl.create_default_context(cafile=authority.path)
        with Broker("http.websocket.origins=*", "core.topics.auto_create=true", *keys[2:]) as own:
            status, body = refused(own)
            assert status == 403 and "http.tls" in body
        with Broker("http.websocket.origins=*", "core.topics.auto_create=true", "http.tls.ca=" + authority.path, "http.tls.client_auth=requested",
                    *keys) as own:
            try:  # the native listener wants to know who it is
                WebSocket(secure.wrap_socket(connected(own.http), server_hostname="localhost"))
                raise AssertionError("it may without a certificate")
            except Refused as refusal:
                assert refusal.status == 403
            secure.load_cert_chain(alice.certificate, alice.key)
            with Client(WebSocket(secure.wrap_socket(connected(own.http), server_hostname="localhost"))) as page:
                page.publish("t", [record(b"x" * 100000)])
                assert page.subscribe("t", start=BEGINNING).next().value == b"x" * 100000
    finally:
        shutil.rmtree(folder, True)


load_tests = loader(globals())
