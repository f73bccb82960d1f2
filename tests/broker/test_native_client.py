"""Clients of the native protocol on a real broker: the one in Python that was written from the page, the C library through
its examples and its bindings, and Kafka's Python client beside them."""
import os
import subprocess
import sys
import tempfile
import time
import unittest

from certificates import Authority
from sluice_broker import BUILD, SOURCE, WAIT_S, Broker, SharedBroker, loader, need, wait_for

for part in (("tests", "native"), ("sdk", "client", "python")):
    sys.path.insert(0, os.path.join(SOURCE, *part))
os.environ["SLUICE_CLIENT_LIBRARY"] = os.path.join(BUILD, "lib", "libsluice-client.so.0")
from sluice_native import BEGINNING, Client, Closed, NativeError, header, record  # noqa: E402

SANITIZED = "a library with a sanitizer cannot be loaded by a program without"
broker = SharedBroker("core.topics.auto_create=true")  # for the tests that need nothing of their own
tearDownModule = broker.close


def address(of=None):
    return "tcp://127.0.0.1:%d" % (of or broker()).native


def bound():
    """The module sluice, where it can be loaded."""
    if os.environ.get("SLUICE_SANITIZER"):
        raise unittest.SkipTest(SANITIZED)
    import sluice
    return sluice


def example(name, *arguments, environment=None):
    done = subprocess.run([os.path.join(BUILD, "bin", name), *arguments], capture_output=True, text=True, timeout=2 * WAIT_S,
                          env=dict(os.environ, **(environment or {})))
    assert done.returncode == 0, (name, done.returncode, done.stdout, done.stderr)
    return done.stdout.splitlines()


def need_groups():
    """Durable subscriptions are on their way into the server."""
    with Client(("127.0.0.1", broker().native)) as client:
        try:
            client.subscribe("probe", group="probe").close()
        except NativeError as error:
            if error.code == 1009:
                raise unittest.SkipTest("this broker has no durable subscriptions: " + error.text) from error
            raise


def need_replies():
    """So is request and reply."""
    with Client(("127.0.0.1", broker().native)) as client:
        try:
            client.reply("_inbox.0", record(b""))
        except NativeError as error:
            assert error.code == 1004, error  # nobody has that address
        except Closed as closed:
            raise unittest.SkipTest("this broker has no request and reply: %s" % closed) from closed


# ---- the client in Python ----

def test_what_the_page_says_suffices_to_publish_and_to_consume_as_kafka_sees_it():
    with Client(("127.0.0.1", broker().native)) as client:
        client.create("page", 1)
        assert client.publish("page", [record(b"one", key=b"k", headers=[("h", b"1")]), record(b"two")]).body["offset"] == 0
        from kafka import KafkaConsumer, KafkaProducer, TopicPartition
        producer = KafkaProducer(bootstrap_servers=broker().address)
        producer.send("page", b"three", key=b"q", headers=[("h", b"3")]).get(WAIT_S)
        producer.close()
        consumer = KafkaConsumer(bootstrap_servers=broker().address, auto_offset_reset="earliest", consumer_timeout_ms=1000 * WAIT_S)
        consumer.assign([TopicPartition("page", 0)])
        seen = [next(consumer) for _ in range(3)]
        consumer.close()
        pushed = client.subscribe("page", start=BEGINNING).take(3)
        assert [(r.offset, r.key, r.value, list(r.headers)) for r in seen] == [(m.offset, m.key, m.value, m.headers) for m in pushed]
        assert [m.value for m in pushed] == [b"one", b"two", b"three"] and header(pushed[2], "h") == b"3"


# ---- the examples in C ----

def test_the_blocking_examples_publish_and_subscribe():
    assert example("client_publish", address(), "blocking", "one", "two", "three") == ["3 records from offset 0 on"]
    assert example("client_subscribe", address(), "blocking", "", "3") == ["blocking[0]@0 one", "blocking[0]@1 two", "blocking[0]@2 three"]
    assert broker().consume("blocking") == ["one", "two", "three"]


def test_the_example_on_a_loop_of_libuv_gets_what_it_publishes():
    assert example("client_events", "127.0.0.1", str(broker().native), "ticks") == ["%d tick %d" % (i, i) for i in range(10)]


def test_the_durable_example_leaves_to_the_next_what_it_did_not_take():
    need_groups()
    broker().produce("durable", ["one", "two", "three"])
    assert example("client_subscribe", address(), "durable", "workers", "2") == ["durable[0]@0 one", "durable[0]@1 two"]
    assert example("client_subscribe", address(), "durable", "workers", "1") == ["durable[0]@2 three"]


def test_the_example_of_request_and_reply():
    need_replies()
    with subprocess.Popen([os.path.join(BUILD, "bin", "client_request"), address(), "serve", "shout-in-c", "1"]) as server:
        assert example("client_request", address(), "ask", "shout-in-c", "hello") == ["HELLO"]
        assert server.wait(WAIT_S) == 0


def test_what_cannot_be_reached_is_told_at_once():
    for where, said in (("tcp://127.0.0.1:1", "SLU-1605 tcp://127.0.0.1:1: network error\n"),
                        ("127.0.0.1:9192", 'SLU-1002 "127.0.0.1:9192" is not an address: it must be tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH or '
                                           'shm:///PATH, as in tcp://127.0.0.1:9192\n')):
        done = subprocess.run([os.path.join(BUILD, "bin", "client_publish"), where, "t", "v"], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (1, said)


# ---- the bindings ----

def test_python_publishes_subscribes_and_administers():
    sluice = bound()
    with sluice.Connection(address()) as connection:
        connection.create_topic("typed", 2, retention_ms="60000")
        assert connection.topics("typed") == {"typed": 2}
        sent = sluice.Message(b"value", key=b"k", headers=[("h", b"1"), ("none", None)], timestamp_ms=1700000000000, id="m-1")
        put = connection.publish("typed", [sent], partition=1, id="once")
        assert (put.partition, put.offset, put.duplicate) == (1, 0, False)
        assert connection.publish("typed", [sent], partition=1, id="once").duplicate
        assert connection.offsets("typed") == {0: 0, 1: 1}
        subscription = connection.subscribe("typed", start="beginning")
        got = subscription.next(WAIT_S)
        assert (got.topic, got.partition, got.offset, got.key, got.value) == ("typed", 1, 0, b"k", b"value")
        assert (got.timestamp_ms, got.id) == (1700000000000, "m-1")
        assert ("h", b"1") in got.headers and ("none", None) in got.headers
        assert subscription.next(0) is None
        subscription.close()
        try:
            connection.publish("typed", [b"late"], partition=1, expected_offset=7)
            raise AssertionError("somebody else has written there")
        except sluice.Error as error:
            assert error.code == 1415
        later = connection.publish("typed", [b"later", b"too"], partition=0, deliver_at_ms=int(time.time() * 1000) + 3600 * 1000)
        assert later.delayed and later.offset == -1 and not put.delayed
        now = connection.publish("typed", [sluice.Message(b"first", key=b"k", headers=[("h", b"1")]), b"second"], partition=0, deliver_at_ms=5)
        assert (now.delayed, now.offset) == (False, 0)  # that time is over
        delivered = connection.subscribe("typed", start="beginning", partition=0)
        first = delivered.next(WAIT_S)
        assert (first.key, first.headers) == (b"k", [("sluice-deliver-at", b"5"), ("h", b"1")]), first
        delivered.close()
        connection.trim("typed", 1, 1)
        connection.delete_topic("typed")
        assert connection.topics("typed") == {}


def test_a_subscription_goes_on_where_it_stood_when_the_broker_comes_back():
    sluice = bound()
    with Broker("core.topics.auto_create=true") as own, sluice.Connection(address(own)) as connection:
        connection.create_topic("kept", 2)
        subscription = connection.subscribe("kept", credit_records=4)
        connection.publish("kept", [b"0"], partition=0)
        assert subscription.next(WAIT_S).value == b"0"
        connection.publish("kept", [b"1", b"2"], partition=0)
        own.crash()
        own.start()
        with Client(("127.0.0.1", own.native)) as other:  # while the first is away, also where nothing had come yet
            for partition in (0, 1):
                other.publish("kept", [record(b"%d" % (3 + partition))], partition=partition)
        got = []
        while len(got) < 4:
            message = subscription.next(WAIT_S)
            assert message is not None, got
            got.append(message.value)
        assert sorted(got) == [b"1", b"2", b"3", b"4"], got
        assert subscription.next(0) is None


def test_tls_verifies_the_name_and_the_authority():
    sluice = bound()
    need("openssl")
    with tempfile.TemporaryDirectory(prefix="sluice-native-tls-") as folder:
        authority, other = Authority(folder), Authority(folder, "other")
        pair = authority.issue("broker", "/CN=localhost")
        with Broker("core.topics.auto_create=true", "native.tls.certificate=" + pair.certificate, "native.tls.key=" + pair.key) as own:
            for host in ("localhost", "127.0.0.1"):
                with sluice.Connection("tls://%s:%d" % (host, own.native), ca_file=authority.path) as connection:
                    assert connection.publish("t", [b"v"]).partition == 0
            for host, ca in (("127.0.0.1", other.path), ("127.0.0.2", authority.path)):
                try:
                    sluice.Connection("tls://%s:%d" % (host, own.native), ca_file=ca)
                    raise AssertionError("it took a server that it cannot know")
                except sluice.Error as error:
                    assert error.code in (1903, 1605), error


def test_scram_proves_both_sides_and_a_wrong_password_ends_it():
    sluice = bound()
    with Broker("kafka.sasl.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512", "core.topics.auto_create=true", "security.failed_login_delay=0 s") as own:
        code, _, errors = own.run("user", "add", "alice", "--mechanism", "SCRAM-SHA-512", stdin=b"secret\n")
        assert code == 0, errors
        code, _, errors = own.run("user", "add", "bob", stdin=b"secret of bob\n")
        assert code == 0, errors
        for user, password, mechanism in (("alice", "secret", "SCRAM-SHA-512"), ("bob", "secret of bob", "SCRAM-SHA-256"),
                                          ("bob", "secret of bob", "PLAIN")):
            with sluice.Connection(address(own), user, password, mechanism) as connection:
                connection.publish("t", [b"v"])
            with Client(("127.0.0.1", own.native), user, password, mechanism) as client:
                client.publish("t", [record(b"v")])
            try:
                sluice.Connection(address(own), user, password + "?", mechanism)
                raise AssertionError("a wrong password was taken")
            except sluice.Error as error:
                assert error.code == 1903, error
        with sluice.Connection(address(own)) as connection:
            try:
                connection.publish("t", [b"v"])
                raise AssertionError("no login was wanted")
            except sluice.Error as error:
                assert error.code == 1905, error


def test_the_example_in_python():
    bound()
    need_replies()
    done = subprocess.run([sys.executable, os.path.join(SOURCE, "examples", "client_python", "shout.py"), address()], text=True,
                          capture_output=True, timeout=2 * WAIT_S, env=dict(os.environ, PYTHONPATH=os.path.join(SOURCE, "sdk", "client", "python")))
    assert (done.returncode, done.stdout) == (0, "HELLO\n"), done.stderr


def test_a_token_lets_in_and_another_one_takes_its_place():
    sluice = bound()
    from test_sasl import token, with_tokens
    good = token({"sub": "carol", "iss": "us", "exp": time.time() + 600, "pad": "x" * 3000})
    with with_tokens() as own:
        own.start()
        for bad in ("nonsense", good[:-4] + "AAAA"):
            try:
                sluice.Connection(address(own), token=bad)
                raise AssertionError("a wrong token was taken")
            except sluice.Error as error:
                assert error.code == 1903, error
        own.run("topic", "create", "t")
        with sluice.Connection(address(own), token=good) as connection:
            connection.publish("t", [b"one"])
            connection.set_token(token({"sub": "carol", "iss": "us", "exp": time.time() + 900}))
            own.crash()
            own.start()
            connection.publish("t", [b"two"], id="two")
        with Client(("127.0.0.1", own.native)) as client:
            try:
                client.topics()
                raise AssertionError("no login was wanted")
            except NativeError as error:
                assert error.code == 1905, error


def test_what_saslprep_would_change_is_refused_by_the_client():
    sluice = bound()
    with Broker("kafka.sasl.mechanisms=SCRAM-SHA-256") as own:
        for user, password in (("alic\u00e9", "x"), ("alice", "caf\u00e9")):
            try:
                sluice.Connection(address(own), user, password)
                raise AssertionError("it was sent")
            except sluice.Error as error:
                assert error.code == 1909, error


def lua(text, *arguments):
    if os.environ.get("SLUICE_SANITIZER"):
        raise unittest.SkipTest(SANITIZED)
    need("lua5.4")
    done = subprocess.run(["lua5.4", "-", *(arguments or [address()])], input=text, text=True, capture_output=True, timeout=2 * WAIT_S,
                          env=dict(os.environ, LUA_CPATH=os.path.join(BUILD, "lib", "lua", "?.so")))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_lua_publishes_and_subscribes():
    assert lua("""
local sluice = require "sluice"
do
  local connection <close> = assert(sluice.connect(arg[1]))
  assert(connection:create_topic("of-lua", 1))
  print(connection:publish("of-lua", { "one", { value = "two", key = "k", id = "m", headers = { { "h", "1" } } } }))
  print(connection:publish("of-lua", "later", { deliver_at_ms = (os.time() + 3600) * 1000 }))
  local subscription <close> = assert(connection:subscribe("of-lua", { start = "beginning" }))
  for _ = 1, 2 do
    local m = assert(subscription:next(30))
    print(m.topic, m.offset, m.key, m.value, m.id)
    collectgarbage()
  end
  print(subscription:next(0))
  print(connection:topics("of-lua")["of-lua"])
  print(select(3, connection:publish("of-lua", "x", { partition = 0, expected_offset = 9 })))
  print((pcall(connection.publish, connection, "of-lua", { value = {} })))
  assert(connection:delete_topic("of-lua"))
end
print(select(3, sluice.connect "tcp://127.0.0.1:1"))
""") == ["0\t0", "-1\t0\ttrue", "of-lua\t0\tnil\tone\tnil", "of-lua\t1\tk\ttwo\tm", "nil\tthe deadline passed\t1007", "1",
         "1415", "false", "1605"]


def test_lua_logs_in_by_scram_over_tls():
    need("openssl")
    with tempfile.TemporaryDirectory(prefix="sluice-native-tls-") as folder:
        authority, other = Authority(folder), Authority(folder, "other")
        pair = authority.issue("broker", "/CN=localhost")
        with Broker("kafka.sasl.mechanisms=SCRAM-SHA-256", "core.topics.auto_create=true", "security.failed_login_delay=0 s",
                    "native.tls.certificate=" + pair.certificate, "native.tls.key=" + pair.key) as own:
            assert own.run("user", "add", "alice", stdin=b"secret\n")[0] == 0
            assert lua("""
local sluice = require "sluice"
local function try(password, ca, name)
  local connection, _, code = sluice.connect(arg[1], { user = "alice", password = password, tls = { ca_file = ca, name = name } })
  print(connection and connection:publish("t", "x") or code)
end
try("secret", arg[2])
try("wrong", arg[2])
try("secret", arg[3])
try("secret", arg[2], "elsewhere")
print(select(3, sluice.connect(arg[1], { tls = { ca_file = "/nowhere" } })))
""", "tls://localhost:%d" % own.native, authority.path, other.path) == ["0", "1903", "1903", "1903", "1002"]


def test_the_example_in_lua():
    need_groups()
    with open(os.path.join(SOURCE, "examples", "client_lua", "count_words.lua"), encoding="utf-8") as file:
        assert lua(file.read()) == ["from 0: to 2, be 2, that 1"]


load_tests = loader(globals())
