"""Logins: every mechanism with real clients, wrong passwords, tokens, both forms of frames, repeated logins, users over a kill."""
import base64
import hashlib
import hmac
import json
import os
import struct
import sys
import time

try:
    from confluent_kafka import Consumer, KafkaError, Producer
    from confluent_kafka.admin import AdminClient
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.oauth.abstract import AbstractTokenProvider
except ImportError as error:
    MISSING = str(error)

from sluice_broker import SOURCE, WAIT_S, Broker, Raw, free_port, loader, request, wait_for
from test_compaction import metric
from test_storage_tools import data_of

sys.path.insert(0, os.path.join(SOURCE, "tests", "formats"))
import wal_reader  # noqa: E402

NEEDS = ("frontend_kafka",)

ALL = "kafka.sasl.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
SECRET = bytes(range(32))
STATE, FAILED, UNSUPPORTED = 34, 58, 33  # Kafka's errors


def add_user(broker, name, password, *more):
    code, _, err = broker.run("user", "add", name, *more, stdin=password.encode() + b"\n")
    assert code == 0, err


def login(broker, mechanism, name, password):
    return {"bootstrap.servers": broker.address, "security.protocol": "sasl_plaintext", "sasl.mechanisms": mechanism,
            "sasl.username": name, "sasl.password": password}


def round_trip(settings, topic):
    """A record there and back; the errors that were told on the way."""
    errors = []
    producer = Producer(dict(settings, error_cb=lambda error: errors.append(error.code())))
    producer.produce(topic, b"value")
    wait_for(lambda: producer.flush(0.2) == 0 or KafkaError._AUTHENTICATION in errors, "the record, or a refusal")
    if errors:
        producer.purge()
        return errors
    consumer = Consumer(dict(settings, **{"group.id": "g-" + topic, "auto.offset.reset": "earliest"}))
    consumer.subscribe([topic])
    got = []
    wait_for(lambda: got.append(consumer.poll(0.2)) or any(record and not record.error() for record in got), "the record")
    consumer.close()
    return errors


def test_each_mechanism_with_the_right_password_and_with_a_wrong_one():
    with Broker(ALL, "security.failed_login_delay=0 s") as broker:
        add_user(broker, "alice", "secret of alice")
        add_user(broker, "bob", "secret of bob", "--mechanism", "SCRAM-SHA-512")
        for mechanism, name in (("PLAIN", "alice"), ("PLAIN", "bob"), ("SCRAM-SHA-256", "alice"), ("SCRAM-SHA-512", "bob")):
            topic = "t-%s-%s" % (mechanism, name)
            assert round_trip(login(broker, mechanism, name, "secret of " + name), topic) == [], mechanism
        for mechanism, name, password in (("PLAIN", "alice", "wrong"), ("SCRAM-SHA-256", "alice", "wrong"), ("SCRAM-SHA-512", "bob", "wrong"),
                                          ("SCRAM-SHA-512", "alice", "secret of alice"), ("PLAIN", "nobody", "x")):
            errors = round_trip(login(broker, mechanism, name, password), "never")
            assert KafkaError._AUTHENTICATION in errors, (mechanism, name, errors)
        assert "never" not in [topic["name"] for topic in broker.json("topic", "list")["topics"]]
        assert "secret" not in broker.log(), "a password is in the log"


def test_kafka_python_logs_in_with_frames_of_the_mechanism():
    with Broker(ALL) as broker:
        add_user(broker, "alice", "secret")
        for mechanism in ("PLAIN", "SCRAM-SHA-256"):
            settings = {"bootstrap_servers": broker.address, "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism,
                        "sasl_plain_username": "alice", "sasl_plain_password": "secret"}
            producer = KafkaProducer(**settings)
            assert producer.send("python", mechanism.encode()).get(20).topic == "python"
            producer.close()
        consumer = KafkaConsumer("python", auto_offset_reset="earliest", consumer_timeout_ms=20000, **settings)
        assert next(consumer).value == b"PLAIN" and next(consumer).value == b"SCRAM-SHA-256"
        consumer.close()


def test_users_survive_a_kill_and_go_when_they_are_removed():
    with Broker(ALL, "security.failed_login_delay=0 s") as broker:
        add_user(broker, "alice", "first")
        add_user(broker, "alice", "second")
        add_user(broker, "bob", "x")
        broker.run("user", "remove", "--yes", "bob")
        broker.crash()
        broker.start()
        assert broker.json("user", "list")["users"] == [{"name": "alice", "mechanism": "SCRAM-SHA-256", "iterations": 8192}]
        assert round_trip(login(broker, "SCRAM-SHA-256", "alice", "second"), "t") == []
        assert KafkaError._AUTHENTICATION in round_trip(login(broker, "SCRAM-SHA-256", "alice", "first"), "t")
        code, _, err = broker.run("user", "remove", "--yes", "bob")
        assert code == 1 and "no such user" in err, (code, err)
        broker.stop()
        (who, kept), = wal_reader.Folder(data_of(broker)).all("credentials").items()  # by the document alone
        salted = hashlib.pbkdf2_hmac("sha256", b"second", kept[1], kept[0])
        stored = hashlib.sha256(hmac.new(salted, b"Client Key", hashlib.sha256).digest()).digest()
        assert who == ("alice", 1) and kept[:1] == (8192,) and kept[2] == stored, (who, kept)


# ---- tokens ----

def part(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def token(claims, secret=SECRET, algorithm="HS256"):
    body = part(json.dumps({"alg": algorithm}).encode()) + b"." + part(json.dumps(claims).encode())
    return (body + b"." + part(hmac.new(secret, body, hashlib.sha256).digest())).decode()


def with_tokens(*more):
    broker = Broker("kafka.sasl.mechanisms=OAUTHBEARER", "security.failed_login_delay=0 s", "security.oauth.issuer=us",
                    "security.oauth.clock_skew=0 s", *more, start=False)
    path = os.path.join(broker.home, "keys.json")
    with open(path, "w") as file:
        json.dump({"keys": [{"kty": "oct", "k": part(SECRET).decode()}]}, file)
    broker.settings.append("security.oauth.jwks_file=" + path)
    return broker


def test_a_token_lets_in_until_it_expires():
    with with_tokens() as broker:
        broker.start()

        class Tokens(AbstractTokenProvider):
            def token(self):
                return token({"sub": "carol", "iss": "us", "exp": time.time() + 600})
        producer = KafkaProducer(bootstrap_servers=broker.address, security_protocol="SASL_PLAINTEXT", sasl_mechanism="OAUTHBEARER",
                                 sasl_oauth_token_provider=Tokens())
        assert producer.send("t", b"x").get(20).offset == 0
        producer.close()
        soon = time.time() + 600
        for claims, secret, algorithm in (({"sub": "c", "iss": "us", "exp": time.time() - 1}, SECRET, "HS256"),
                                          ({"sub": "c", "iss": "us"}, SECRET, "HS256"),
                                          ({"sub": "c", "iss": "them", "exp": soon}, SECRET, "HS256"),
                                          ({"iss": "us", "exp": soon}, SECRET, "HS256"),
                                          ({"sub": "c", "iss": "us", "exp": soon}, SECRET[::-1], "HS256"),
                                          ({"sub": "c", "iss": "us", "exp": soon}, SECRET, "none")):
            with broker.connect() as raw:
                handshake(raw, "OAUTHBEARER")
                assert bearer(raw, token(claims, secret, algorithm))[0] == FAILED, (claims, algorithm)
                assert raw.is_closed()


def test_keys_of_tokens_change_while_the_broker_runs():
    with with_tokens() as broker:
        broker.start()
        path = os.path.join(broker.home, "keys.json")

        def is_taken(secret):
            with broker.connect() as raw:
                handshake(raw, "OAUTHBEARER")
                return bearer(raw, token({"sub": "c", "iss": "us", "exp": time.time() + 600}, secret))[0] == 0

        def write(text):
            with open(path + ".new", "w") as file:
                file.write(text)
            os.rename(path + ".new", path)
        other = SECRET[::-1]
        assert is_taken(SECRET) and not is_taken(other)
        write("{")
        wait_for(lambda: "the keys of tokens are not reloaded: those before stay in force" in broker.log(), "the failure")
        assert is_taken(SECRET)
        code, out, _ = broker.run("reload")
        assert code != 0 and b"keys of tokens: " in out, out
        write(json.dumps({"keys": [{"kty": "oct", "k": part(other).decode()}]}))
        wait_for(lambda: is_taken(other), "the new key")
        assert not is_taken(SECRET)


# ---- by hand ----

def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def handshake(raw, mechanism, version=1):
    raw.send_frame(request(17, version, 1, text(mechanism)))
    return struct.unpack_from(">h", raw.read_frame(), 4)[0]


def authenticate(raw, message):
    """The error, and how long the login holds."""
    raw.send_frame(request(36, 1, 2, struct.pack(">i", len(message)) + message))
    answer = raw.read_frame()
    return struct.unpack_from(">h", answer, 4)[0], struct.unpack(">q", answer[-8:])[0]


def bearer(raw, value):
    return authenticate(raw, b"n,,\x01auth=Bearer " + value.encode() + b"\x01\x01")


def metadata(raw):
    raw.send_frame(request(3, 1, 3, struct.pack(">i", 0)))
    return raw.read_frame()


def test_nothing_but_versions_and_logins_is_answered_before_a_login():
    with Broker(ALL, "security.failed_login_delay=0 s") as broker:
        add_user(broker, "alice", "a")
        for key, version, body in ((3, 1, struct.pack(">i", 0)), (0, 3, b""), (22, 0, struct.pack(">hi", -1, 1000)), (50, 0, b"\x00\x00\x00")):
            with broker.connect() as raw:
                raw.send_frame(request(key, version, 1, body))
                assert raw.is_closed(), key
        with broker.connect() as raw:
            raw.send_frame(request(18, 0, 1))
            assert struct.unpack_from(">h", raw.read_frame(), 4)[0] == 0
            assert handshake(raw, "GSSAPI") == UNSUPPORTED
            assert handshake(raw, "PLAIN") == 0
            assert authenticate(raw, b"\0alice\0a") == (0, 0)
            assert metadata(raw)
        with broker.connect() as raw:
            assert authenticate(raw, b"\0alice\0a")[0] == STATE, "no handshake before"
        with broker.connect() as raw:
            raw.send(struct.pack(">i", 1 << 20))
            assert raw.is_closed(), "a megabyte before the login"
    with Broker() as broker, broker.connect() as raw:
        assert handshake(raw, "PLAIN") == STATE


def test_a_login_is_repeated_on_the_connection_or_ends_with_its_time():
    with Broker(ALL, "kafka.sasl.session_lifetime=500 ms", "security.failed_login_delay=0 s") as broker:
        add_user(broker, "alice", "a")
        add_user(broker, "bob", "b")
        with broker.connect() as raw:
            assert handshake(raw, "PLAIN") == 0
            assert authenticate(raw, b"\0alice\0a") == (0, 500)
            time.sleep(0.6)  # the login is over by then, and another one is taken
            assert handshake(raw, "PLAIN") == 0
            assert authenticate(raw, b"\0alice\0a") == (0, 500)
            assert handshake(raw, "PLAIN") == 0
            assert authenticate(raw, b"\0bob\0b")[0] == FAILED, "another principal"
            assert raw.is_closed()
        with broker.connect() as raw:
            assert handshake(raw, "PLAIN") == 0
            assert authenticate(raw, b"\0alice\0a") == (0, 500)
            time.sleep(0.6)
            raw.send_frame(request(3, 1, 3, struct.pack(">i", 0)))
            assert raw.is_closed()


def test_a_listener_has_a_lifetime_of_its_own():
    port = free_port()
    mechanisms, lifetime = "kafka.listeners.x.sasl.mechanisms=PLAIN", "kafka.listeners.x.sasl.session_lifetime_ms=70000"
    with Broker(ALL, "kafka.listeners.x.listen=127.0.0.1:%d" % port, mechanisms, lifetime) as broker:
        add_user(broker, "alice", "a")
        for place, told in ((broker.kafka, 0), (port, 70000)):
            with Raw(place) as raw:
                assert handshake(raw, "PLAIN") == 0
                assert authenticate(raw, b"\0alice\0a") == (0, told)


def test_a_failed_login_is_told_late():
    with Broker(ALL, "security.failed_login_delay=300 ms") as broker, broker.connect() as raw:
        assert handshake(raw, "PLAIN") == 0
        start = time.monotonic()
        assert authenticate(raw, b"\0alice\0a")[0] == FAILED
        assert time.monotonic() - start >= 0.3


# ---- more logins than are taken at once ----

ONE_AT_A_TIME = ("security.logins_at_once=1", "security.logins_waiting_max=0")
BUSY = 7  # REQUEST_TIMED_OUT: retriable, and no client takes it for a wrong password


def put_off(broker):
    return metric(broker, 'sluice_listener_refused_total{listener="kafka",cause="logins"}')


def storm(broker, size, version, login_of_one):
    """So many log in at one moment: all have shaken hands, and send before any answer is read."""
    raws = [broker.connect() for _ in range(size)]
    try:
        for raw in raws:
            assert handshake(raw, "PLAIN", version) == 0
        for raw in raws:
            raw.send_frame(login_of_one)
        for raw in raws:
            yield raw
    finally:
        for raw in raws:
            raw.socket.close()


def test_a_login_that_is_put_off_is_told_so_and_counted():
    message = b"\0alice\0a"
    framed, said = request(36, 1, 2, struct.pack(">i", len(message)) + message), []
    with Broker("kafka.sasl.mechanisms=PLAIN", *ONE_AT_A_TIME) as broker:
        add_user(broker, "alice", "a")

        def is_put_off():
            for raw in storm(broker, 8, 1, framed):
                answer = raw.read_frame()
                error, size = struct.unpack_from(">hh", answer, 4)
                assert error in (0, BUSY), error
                if error == BUSY:
                    said.append(answer[8:8 + size])
                    assert raw.is_closed()
            return said
        wait_for(is_put_off, "a login that is put off")
        assert set(said) == {b"too many logins at once (security.logins_waiting_max); try again"}, said
        assert put_off(broker) == len(said)
        assert "cause=logins" in broker.log()
        # who logs in by frames of the mechanism alone has no place for an error
        wait_for(lambda: [raw for raw in storm(broker, 8, 0, message) if raw.is_closed()], "a connection that is closed")


def test_clients_whose_logins_are_put_off_all_get_in():
    with Broker("kafka.sasl.mechanisms=PLAIN", *ONE_AT_A_TIME) as broker:
        add_user(broker, "alice", "a")
        told = []
        while not told:  # librdkafka, until one was put off
            settings = dict(login(broker, "PLAIN", "alice", "a"), error_cb=lambda error: told.append((error.code(), error.str())), log_level=0)
            producers = [Producer(settings) for _ in range(12)]
            for producer in producers:
                producer.produce("t", b"value")
            wait_for(lambda: sum(producer.flush(0.05) for producer in producers) == 0, "all to get in")
        codes = {code for code, _ in told}
        assert KafkaError._AUTHENTICATION not in codes and KafkaError.REQUEST_TIMED_OUT in codes, told
        assert any("security.logins_waiting_max" in line for _, line in told), told
        # kafka-python 2.0 speaks the old form, and sees connections that end
        settings = {"bootstrap_servers": broker.address, "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN",
                    "sasl_plain_username": "alice", "sasl_plain_password": "a", "api_version": (2, 5, 0)}
        pythons = [KafkaProducer(**settings) for _ in range(4)]
        for sent in [producer.send("t", b"value") for producer in pythons]:
            sent.get(WAIT_S)
        for producer in pythons:
            producer.close()


def test_rules_hold_for_who_logged_in():
    with Broker(ALL, "security.authorization=true", "security.super_users=User:root", "core.topics.auto_create=false") as broker:
        for name in ("root", "alice", "bob"):
            add_user(broker, name, name)
        broker.run("topic", "create", "t")
        for operation in ("Read", "Write"):
            code, _, err = broker.run("acl", "add", "User:alice", operation, "Topic:t")
            assert code == 0, err
        seen = lambda name: sorted(AdminClient(login(broker, "SCRAM-SHA-256", name, name)).list_topics(timeout=10).topics)
        assert (seen("root"), seen("alice"), seen("bob")) == (["t"], ["t"], [])


def test_a_broker_whose_mechanisms_or_keys_are_wrong_does_not_start():
    for settings, word in ((["kafka.sasl.mechanisms=PLAIN,GSSAPI"], "GSSAPI"), (["kafka.sasl.mechanisms=OAUTHBEARER"], "jwks_file"),
                           (["kafka.sasl.mechanisms=OAUTHBEARER", "security.oauth.key_file=/dev/null"], "public key")):
        broker = Broker(*settings, start=False)
        try:
            broker.start()
            raise AssertionError("it started")
        except AssertionError as error:
            assert word in str(error), error
        finally:
            broker.close()


load_tests = loader(globals())
