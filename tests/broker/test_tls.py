"""TLS of listeners: clients of several kinds, certificates of clients as principals, logins over TLS, handshakes that go wrong."""
import atexit
import ctypes
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import urllib.request

try:
    from confluent_kafka import Consumer, KafkaError, Producer
except ImportError as error:
    MISSING = str(error)

import kafka_wire
from certificates import Authority, openssl
from sluice_broker import SLUICE, Broker, Raw, free_port, loader, need, wait_for

FOLDER = tempfile.mkdtemp(prefix="sluice-tls-")
atexit.register(shutil.rmtree, FOLDER, True)
CA = Authority(FOLDER)
OTHER = Authority(FOLDER, "other")
SERVER = CA.issue("broker", "/CN=localhost")
ALICE = CA.issue("alice", "/C=NL/O=Sluice, Inc./CN=alice")
BOB = CA.issue("bob", "/C=NL/O=Sluice, Inc./OU=Guests/CN=Bob")


def keys(pair=SERVER, where="kafka.tls.", **more):
    settings = {"certificate": pair.certificate, "key": pair.key, **more}
    return ["%s%s=%s" % (where, key, value) for key, value in settings.items()]


def client(port, pair=None, **more):
    settings = {"bootstrap.servers": "127.0.0.1:%d" % port, "security.protocol": "ssl", "ssl.ca.location": CA.path, **more}
    if pair:
        settings.update({"ssl.certificate.location": pair.certificate, "ssl.key.location": pair.key})
    return settings


def round_trip(settings, topic, records=1):
    """Records there and back; the error that the producer was told, or None."""
    told = []
    producer = Producer(dict(settings, error_cb=lambda error: told.append(error.code())))
    for i in range(records):
        producer.produce(topic, b"%d" % i, on_delivery=lambda error, record: error and told.append(error.code()))
    wait_for(lambda: producer.flush(0.1) == 0 or told, "the records, or an error")
    if told:
        producer.purge()
        return told[0]
    consumer = Consumer(dict(settings, **{"group.id": "g", "auto.offset.reset": "earliest"}))
    consumer.subscribe([topic])
    got = []

    def all_there():
        record = consumer.poll(0.2)
        if record is not None and not record.error():
            got.append(record.value())
        return len(got) >= records
    for _ in range(records):
        wait_for(all_there, "the records")
        if len(got) >= records:
            break
    consumer.close()
    assert got == [b"%d" % i for i in range(records)]
    return None


def context(pair=None, version=None):
    made = ssl.create_default_context(cafile=CA.path)
    if pair:
        made.load_cert_chain(pair.certificate, pair.key)
    if version:
        made.minimum_version = made.maximum_version = version
    return made


class Secure(Raw):
    """A raw connection over TLS."""

    def __init__(self, port, pair=None, version=None):
        super().__init__(port)
        self.socket = context(pair, version).wrap_socket(self.socket, server_hostname="localhost")


def metric(broker, name):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % broker.http, timeout=30) as answer:
        for line in answer.read().decode().split("\n"):
            if line.startswith(name + " ") or line.startswith(name + "{"):
                return float(line.rsplit(" ", 1)[1])
    return None


def serves(port, **more):
    with Secure(port, **more) as raw:
        return kafka_wire.call(raw, "ApiVersions", 0)["error_code"] == 0


def test_clients_of_several_kinds_over_each_version():
    need("kcat")
    need("openssl")
    with Broker(*keys()) as broker:
        assert round_trip(client(broker.kafka), "t", 100) is None
        lines = ["%d %s" % (i, "x" * 1000) for i in range(3000)]  # more than sockets and records hold
        kcat = ["-X", "security.protocol=ssl", "-X", "ssl.ca.location=" + CA.path]
        broker.produce("big", lines, *kcat)
        assert broker.consume("big", *kcat) == lines
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            with Secure(broker.kafka, version=version) as raw:
                assert raw.socket.version() == name and kafka_wire.call(raw, "ApiVersions", 0)["error_code"] == 0
        said = subprocess.run(["openssl", "s_client", "-connect", broker.address, "-CAfile", CA.path, "-verify_return_error"],
                              input=b"", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60).stdout.decode()
        assert "Verification: OK" in said and "Secure Renegotiation IS NOT supported" in said, said
        assert metric(broker, "sluice_tls_handshakes_total") >= 4


def test_protocols_and_ciphers_are_those_that_are_configured():
    old = free_port()
    with Broker(*keys(protocols="TLSv1.3"), "kafka.listeners.old.listen=127.0.0.1:%d" % old, "kafka.listeners.old.tls.protocols=TLSv1.2",
                "kafka.listeners.old.tls.ciphers=ECDHE-ECDSA-AES128-GCM-SHA256") as broker:
        assert serves(broker.kafka) and serves(old)
        with Secure(old) as raw:
            assert raw.socket.cipher()[0] == "ECDHE-ECDSA-AES128-GCM-SHA256" and raw.socket.version() == "TLSv1.2"
        try:
            Secure(broker.kafka, version=ssl.TLSVersion.TLSv1_2)
            raise AssertionError("TLS 1.2 was taken")
        except ssl.SSLError:
            pass
        wait_for(lambda: "the peer has no version of TLS that is enabled" in broker.log(), "the cause")


def test_the_certificate_of_a_client_is_its_principal():
    named = free_port()
    rules = r"RULE:^CN=([^,]*),OU=Guests,.*$/guest-$1/L, RULE:^CN=(.*?),.*$/$1/, DEFAULT"
    with Broker(*keys(ca=CA.path, client_auth="required"), "security.authorization=true", "kafka.listeners.named.listen=127.0.0.1:%d" % named,
                "kafka.listeners.named.tls.principal_mapping_rules=" + rules) as broker:
        for principal, topic in ((r"User:CN=alice,O=Sluice\, Inc.,C=NL", "whole"), ("User:alice", "short"), ("User:guest-bob", "guests")):
            for operation, resource in (("All", "Topic:" + topic), ("All", "Group:g")):
                code, _, err = broker.run("acl", "add", principal, operation, resource)
                assert code == 0, err
        assert round_trip(client(broker.kafka, ALICE), "whole") is None
        assert round_trip(client(named, ALICE), "short") is None
        assert round_trip(client(named, BOB), "guests") is None
        refused = KafkaError.TOPIC_AUTHORIZATION_FAILED
        assert round_trip(client(broker.kafka, ALICE), "short") == refused
        assert round_trip(client(named, BOB), "short") == refused
        stranger = OTHER.issue("stranger", "/CN=alice")
        for pair, cause in ((None, "the peer gave no certificate"), (stranger, "the peer's certificate is not valid"),
                            (CA.issue("expired", "/CN=alice", 0), "the peer's certificate is not valid: certificate has expired")):
            before = broker.log().count(cause)
            try:
                with Secure(broker.kafka, pair) as raw:
                    raw.send_frame(kafka_wire.frame("ApiVersions", 0, {}))
                    raw.read_frame()
                raise AssertionError("taken: " + cause)
            except (ssl.SSLError, EOFError, ConnectionError):
                pass
            wait_for(lambda: broker.log().count(cause) > before, cause)


def test_a_certificate_may_be_left_out_where_it_is_requested():
    with Broker(*keys(ca=CA.path, client_auth="requested"), "security.authorization=true") as broker:
        for principal, topic in (("User:ANONYMOUS", "nobody"), (r"User:CN=Bob,OU=Guests,O=Sluice\, Inc.,C=NL", "bob")):
            assert broker.run("acl", "add", principal, "All", "Topic:" + topic)[0] == 0
            assert broker.run("acl", "add", principal, "All", "Group:g")[0] == 0
        assert round_trip(client(broker.kafka), "nobody") is None
        assert round_trip(client(broker.kafka, BOB), "bob") is None
        assert round_trip(client(broker.kafka, BOB), "nobody") == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_logins_over_tls_and_each_listener_its_own():
    inside, mutual = free_port(), free_port()
    with Broker(*keys(ca=CA.path), "kafka.sasl.mechanisms=PLAIN,SCRAM-SHA-512", "security.failed_login_delay=0 s",
                "kafka.listeners.inside.listen=127.0.0.1:%d" % inside, "kafka.listeners.inside.tls=false", "kafka.listeners.inside.sasl.mechanisms=",
                "kafka.listeners.mutual.listen=127.0.0.1:%d" % mutual, "kafka.listeners.mutual.tls.client_auth=required") as broker:
        assert broker.run("user", "add", "carol", "--mechanism", "SCRAM-SHA-512", stdin=b"secret\n")[0] == 0
        login = {"security.protocol": "sasl_ssl", "sasl.username": "carol", "sasl.password": "secret"}
        for mechanism in ("PLAIN", "SCRAM-SHA-512"):
            assert round_trip(client(broker.kafka, **dict(login, **{"sasl.mechanisms": mechanism})), "t-" + mechanism) is None
        wrong = dict(login, **{"sasl.mechanisms": "PLAIN", "sasl.password": "x"})
        assert round_trip(client(broker.kafka, **wrong), "never") == KafkaError._AUTHENTICATION
        assert round_trip(client(mutual, ALICE, **dict(login, **{"sasl.mechanisms": "PLAIN"})), "t-mutual") is None
        assert round_trip({"bootstrap.servers": "127.0.0.1:%d" % inside}, "t-inside") is None


def test_metrics_over_tls():
    broker = Broker(*keys(where="http.tls."))
    with broker:
        url = "https://localhost:%d/metrics" % broker.http
        with urllib.request.urlopen(url, timeout=30, context=context()) as answer:
            assert b"sluice_tls_handshakes_total" in answer.read()


def test_files_that_are_wrong_are_told_at_the_start():
    old = CA.issue("old", "/CN=localhost", 0)
    encrypted = os.path.join(FOLDER, "encrypted.key")
    subprocess.run(["openssl", "ec", "-in", SERVER.key, "-aes256", "-passout", "pass:x", "-out", encrypted], check=True, capture_output=True)
    nothing, empty = os.path.join(FOLDER, "nothing.pem"), os.path.join(FOLDER, "empty")
    open(nothing, "w").close()
    os.mkdir(empty)
    for settings, words in ((keys(SERVER, ca="/nowhere.pem"), "ca /nowhere.pem cannot be read: "),
                            (["kafka.tls.certificate=/nowhere.pem"], "certificate /nowhere.pem cannot be read: "),
                            (["kafka.tls.certificate=" + SERVER.certificate], "is not one in PEM form"),
                            (["kafka.tls.certificate=" + SERVER.certificate, "kafka.tls.key=" + ALICE.key], "is not that of the certificate"),
                            (["kafka.tls.certificate=" + SERVER.certificate, "kafka.tls.key=" + encrypted], "encrypted.key is encrypted; give its password"),
                            (keys(key=encrypted, key_password="no"), "encrypted.key cannot be decrypted: its password is another one"),
                            (keys(key=encrypted, key_password_file="/nowhere"), "key_password_file /nowhere cannot be read: "),
                            (keys(ca=CA.path, crl="/nowhere.pem"), "crl /nowhere.pem cannot be read: "),
                            (keys(ca=CA.path, crl=nothing), "nothing.pem is not a revocation list in PEM form"),
                            (keys(ca=CA.path, crl=empty), "empty is a folder of no files"),
                            (keys(ca=CA.path, crl=CA.revoke("late", until="20200102000000Z")), "late.pem: the list of CN=ca has expired"),
                            (keys(old), "old.pem has expired"),
                            (keys(ca=nothing), "is not a list of certificates in PEM form"),
                            (keys(client_auth="required"), "client_auth needs a ca"),
                            (keys(ciphers="NONE-SUCH"), 'ciphers "NONE-SUCH" name none that there is'),
                            (keys(cipher_suites="NONE-SUCH"), 'cipher_suites "NONE-SUCH" has one that there is not'),
                            (keys(protocols="TLSv1.1"), '"TLSv1.1" is not TLSv1.2 or TLSv1.3'),
                            (keys(principal_mapping_rules="RULE:(/x/"), "which has a ( without )"),
                            (keys(principal_mapping_rules="CN"), "where RULE: or DEFAULT is expected"),
                            (["kafka.listeners.x.listen=127.0.0.1:0", "kafka.listeners.x.tls=true"], "kafka.tls.certificate is not set"),
                            (["kafka.listeners.x.listen=127.0.0.1:0", "kafka.listeners.x.tls.colour=red"], "TLS has no such key here")):
        broker = Broker(*settings, start=False)
        broker.spawn()
        assert broker.process.wait(60) != 0, settings
        assert words in broker.log(), (settings, broker.log())
        broker.close()


# ---- new files while it runs ----

def put(source, path):
    """As tools that renew certificates do: whole, by a rename."""
    shutil.copy(source, path + ".new")
    os.rename(path + ".new", path)


def shown(port):
    """The name in the certificate that a listener shows."""
    with Secure(port) as raw:
        return dict(part[0] for part in raw.socket.getpeercert()["subject"])["commonName"]


def test_a_certificate_is_renewed_while_clients_are_connected():
    certificate, authorities = os.path.join(FOLDER, "live.pem"), os.path.join(FOLDER, "live-ca.pem")

    def both(pair):  # chain and key in one file, so that they change at once
        with open(certificate + ".both", "wb") as file:
            for part in (pair.certificate, pair.key):
                with open(part, "rb") as source:
                    file.write(source.read())
        put(certificate + ".both", certificate)
    first, second = CA.issue("first", "/CN=first"), CA.issue("second", "/CN=second")
    stranger = OTHER.issue("stranger", "/CN=stranger")
    both(first)
    put(CA.path, authorities)
    with Broker("kafka.tls.certificate=" + certificate, "kafka.tls.ca=" + authorities, "kafka.tls.client_auth=requested") as broker:
        with Secure(broker.kafka) as old:
            assert shown(broker.kafka) == "first"
            assert broker.json("reload")["keys"] == [{"listener": "kafka", "outcome": "unchanged"}]
            both(second)
            wait_for(lambda: shown(broker.kafka) == "second", "the new certificate")
            assert kafka_wire.call(old, "ApiVersions", 0)["error_code"] == 0, "connections stay"
            with open(certificate, "w") as file:
                file.write("-----BEGIN CERTIFICATE-----\nrubbish\n")
            wait_for(lambda: "the certificate is not reloaded: the one before stays in force" in broker.log(), "the failure")
            assert shown(broker.kafka) == "second"
            code, out, _ = broker.run("reload")
            assert code != 0 and b"what was in force stays" in out and b"is not one in PEM form" in out, out
            put(first.certificate, certificate)  # without its key
            wait_for(lambda: "live.pem is not one in PEM form" in broker.log(), "the other failure")
            both(first)
            wait_for(lambda: shown(broker.kafka) == "first", "the file that is good again")
            try:
                serves(broker.kafka, pair=stranger)
                raise AssertionError("of another authority")
            except (ssl.SSLError, EOFError, ConnectionError):
                pass
            put(OTHER.path, authorities)

            def is_taken():
                try:
                    return serves(broker.kafka, pair=stranger)
                except (ssl.SSLError, EOFError, ConnectionError):
                    return False
            wait_for(is_taken, "the new authority")
            assert kafka_wire.call(old, "ApiVersions", 0)["error_code"] == 0


# ---- revocation, keys with passwords, sessions ----

def is_let_in(port, pair):
    try:
        return serves(port, pair=pair)
    except (ssl.SSLError, EOFError, ConnectionError):
        return False


def test_who_is_revoked_is_refused_from_the_moment_that_the_list_says_so():
    alone, folder = os.path.join(FOLDER, "live-crl.pem"), os.path.join(FOLDER, "lists")
    carol, dave, other = CA.issue("carol", "/CN=carol"), CA.issue("dave", "/CN=dave"), OTHER.issue("other-one", "/CN=other")
    both = os.path.join(FOLDER, "both-ca.pem")
    with open(both, "wb") as file:
        for path in (CA.path, OTHER.path):
            with open(path, "rb") as source:
                file.write(source.read())
    os.mkdir(folder)
    put(CA.revoke("first-list", [carol]), alone)
    put(CA.revoke("second-list", [dave]), os.path.join(folder, "ca.pem"))
    lists = free_port()
    with Broker(*keys(ca=both, crl=alone, client_auth="required"), "kafka.listeners.lists.listen=127.0.0.1:%d" % lists,
                "kafka.listeners.lists.tls.crl=" + folder) as broker:
        assert is_let_in(broker.kafka, dave) and not is_let_in(broker.kafka, carol)
        wait_for(lambda: "the peer's certificate is not valid: certificate revoked" in broker.log(), "the cause")
        assert is_let_in(lists, carol) and not is_let_in(lists, dave)
        assert not is_let_in(broker.kafka, other), "its authority has no list"
        wait_for(lambda: "not valid: unable to get certificate CRL" in broker.log(), "the cause")
        with Secure(broker.kafka, dave) as old:
            put(CA.revoke("third-list", [carol, dave]), alone)
            wait_for(lambda: not is_let_in(broker.kafka, dave), "the new list")
            assert kafka_wire.call(old, "ApiVersions", 0)["error_code"] == 0, "connections stay"
        put(OTHER.revoke("other-list"), os.path.join(folder, "other.pem"))
        wait_for(lambda: is_let_in(lists, other), "the list of the other authority")
        put(CA.revoke("fourth-list", until="20200102000000Z"), alone)
        wait_for(lambda: "the list of CN=ca has expired" in broker.log(), "the failure")
        assert not is_let_in(broker.kafka, dave), "the list before stays in force"


def test_keys_with_passwords_of_each_form_and_the_password_is_nowhere():
    secret = "hunter2-of-the-key"
    old, new, word = (os.path.join(FOLDER, name) for name in ("old-form.key", "new-form.key", "word"))
    subprocess.run(["openssl", "ec", "-in", SERVER.key, "-aes256", "-passout", "pass:" + secret, "-out", old], check=True, capture_output=True)
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", SERVER.key, "-v2", "aes256", "-passout", "pass:" + secret, "-out", new], check=True,
                   capture_output=True)
    with open(word, "w") as file:
        file.write(secret + "\n")
    other = free_port()
    listeners = '{"other": {"listen": "127.0.0.1:%d", "tls": {"key": "%s", "key_password": "%s"}}}' % (other, new, secret)
    config = os.path.join(FOLDER, "listeners.yaml")
    with open(config, "w") as file:
        file.write('{"kafka": {"listeners": %s}, "http": {"tls": {"key_password": "%s"}}}' % (listeners, secret))
    broker = Broker(*keys(key=old, key_password_file=word), start=False)
    broker.extra += ["--config", config]
    broker.start()
    with broker:
        assert serves(broker.kafka) and serves(other)
        shown = broker.json("config", "show", "--running")
        assert shown["http.tls.key_password"]["value"] == "(secret)" and "(secret)" in shown["kafka.listeners"]["value"]
        assert shown["kafka.tls.key_password_file"]["value"] == word
        for command in (("config", "show", "--running"), ("config", "show", "--config", config), ("config", "check", config), ("reload",), ("status", "--json"), ("log",)):
            code, out, err = broker.run(*command)
            assert secret.encode() not in out and secret not in err, command
        with open(config) as file:
            changed = file.read().replace('"tls": {"key_password": "%s"' % secret, '"tls": {"key_password": "another-%s"' % secret)
        with open(config, "w") as file:
            file.write(changed)
        out = broker.run("reload")[1].decode()
        assert "http.tls.key_password" in out and secret not in out, out
        bundle = os.path.join(broker.home, "bundle.tar.gz")
        assert broker.run("debug", "bundle", "--out", bundle)[0] == 0
        files = subprocess.run(["tar", "-xzOf", bundle], check=True, capture_output=True).stdout
        assert b"key_password_file" in files and secret.encode() not in files and secret not in broker.log()
        plain = os.path.join(FOLDER, "plain.yaml")
        with open(plain, "w") as file:
            file.write("native:\n  listen: 127.0.0.1:0\n")
        for value in (secret, secret + "-2"):
            done = subprocess.run([SLUICE, "config", "set", plain, "native.tls.key_password=" + value], capture_output=True, timeout=60)
            said = done.stdout + done.stderr
            assert done.returncode == 0 and b"native.tls.key_password" in said and secret.encode() not in said, said


def test_no_session_is_resumed_so_that_each_certificate_is_looked_at():
    with Broker(*keys(ca=CA.path, client_auth="required")) as broker:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            again = context(ALICE, version)
            session = None
            for _ in range(2):
                with Raw(broker.kafka) as raw:
                    raw.socket = again.wrap_socket(raw.socket, server_hostname="localhost", session=session)
                    assert kafka_wire.call(raw, "ApiVersions", 0)["error_code"] == 0
                    assert not raw.socket.session_reused
                    session = raw.socket.session


# ---- by hand ----

def flights(port):
    """What a client sends in its handshake, in its two parts, for a broker of this port."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    peer = context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    parts = []
    with Raw(port) as raw:
        while len(parts) < 2:
            try:
                peer.do_handshake()
            except ssl.SSLWantReadError:
                pass
            if outgoing.pending:
                parts.append(outgoing.read())
                raw.send(parts[-1])
            else:
                incoming.write(raw.socket.recv(65536))
    return parts


def test_a_handshake_that_is_cut_at_any_byte_harms_nobody():
    with Broker(*keys()) as broker:
        with Secure(broker.kafka) as other:
            first, second = flights(broker.kafka)
            for size in range(len(first)):
                with Raw(broker.kafka) as raw:
                    raw.send(first[:size])
                    raw.socket.shutdown(socket.SHUT_WR)
            for size in range(len(second)):
                with Raw(broker.kafka) as raw:
                    raw.send(first)
                    raw.socket.recv(1)  # the answer to the first part is there
                    raw.send(second[:size])
                    raw.socket.shutdown(socket.SHUT_WR)
            for place in range(0, len(first), 7):  # a byte that is another
                with Raw(broker.kafka) as raw:
                    raw.send(first[:place] + bytes([first[place] ^ 0x55]) + first[place + 1:])
            wait_for(lambda: metric(broker, "sluice_tls_handshakes_failed_total") >= len(first) + len(second), "the failures to be counted")
            assert kafka_wire.call(other, "ApiVersions", 0)["error_code"] == 0
            assert serves(broker.kafka)


class KeyUpdates:
    """A client of TLS 1.3 that asks for new keys and takes none; then it takes all. By OpenSSL itself: no module of Python's asks for keys."""

    def __init__(self, raw):
        self.tls = tls = ctypes.CDLL("libssl.so.3")
        for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(tls, name).restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(tls.SSL_CTX_new(ctypes.c_void_p(tls.TLS_client_method())))
        self.ssl = ctypes.c_void_p(tls.SSL_new(self.context))
        assert tls.SSL_set_fd(self.ssl, raw.fileno()) == 1 and tls.SSL_connect(self.ssl) == 1

    def ask(self, count):
        for _ in range(count):
            assert self.tls.SSL_key_update(self.ssl, 1) == 1 and self.tls.SSL_do_handshake(self.ssl) == 1

    def call(self, request, size):
        """So many bytes of the answer."""
        buffer = ctypes.create_string_buffer(size)
        assert self.tls.SSL_write(self.ssl, request, len(request)) == len(request)
        assert self.tls.SSL_read(self.ssl, buffer, size) == size
        return buffer.raw

    def close(self):
        self.tls.SSL_free(self.ssl)
        self.tls.SSL_CTX_free(self.context)


def test_who_asks_for_keys_and_takes_none_is_not_read_until_it_does():
    request = struct.pack(">ihhih", 10, 18, 0, 7, -1)  # ApiVersions
    with Broker(*keys()) as broker, socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the broker's buffer is small, too, then
        raw.connect(("127.0.0.1", broker.kafka))
        client_of_it = KeyUpdates(raw)
        stalled = lambda: metric(broker, 'sluice_connections_stalled{cause="output"}') == 1  # noqa: E731
        wait_for(lambda: client_of_it.ask(1000) or stalled(), "it not to be read", 0)
        assert serves(broker.kafka)
        assert client_of_it.call(request, 8)[4:] == struct.pack(">i", 7)
        assert not stalled()
        client_of_it.close()


def test_a_flight_of_a_handshake_that_finds_no_room_costs_nothing_until_there_is_some():
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", os.path.join(FOLDER, "long.key"),
            "-out", os.path.join(FOLDER, "long.pem"), "-subj", "/O=x" + ("/OU=" + "y" * 60) * 25)
    chain = os.path.join(FOLDER, "chain.pem")
    with open(chain, "w") as file:
        for path, times in ((SERVER.certificate, 1), (os.path.join(FOLDER, "long.pem"), 15)):
            with open(path) as part:
                file.write(part.read() * times)
    with Broker("kafka.tls.certificate=" + chain, "kafka.tls.key=" + SERVER.key) as broker, socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # the broker's buffer is small, too, then
        raw.connect(("127.0.0.1", broker.kafka))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context().wrap_bio(incoming, outgoing, server_hostname="localhost")

        def shakes():
            try:
                tls.do_handshake()
                return False
            except ssl.SSLWantReadError:
                return True
            finally:
                raw.sendall(outgoing.read())
        shakes()
        incoming.write(raw.recv(1))
        raw.sendall(b"\x14\x03\x03\0\x01\x01")  # a change of ciphers, which TLS 1.3 ignores: something to be read
        before = metric(broker, "sluice_loop_turn_seconds_count")
        for _ in range(30):
            after = metric(broker, "sluice_loop_turn_seconds_count")
        assert after - before < 30 * 50, "each of its turns is for somebody"
        while shakes():
            incoming.write(raw.recv(65536))
        tls.write(struct.pack(">ihhih", 10, 18, 0, 7, -1))  # ApiVersions
        raw.sendall(outgoing.read())
        incoming.write(raw.recv(65536))
        assert tls.read(8)[4:] == struct.pack(">i", 7)


def test_plaintext_to_a_tls_port_and_tls_to_a_plaintext_port_end():
    plain = free_port()
    with Broker(*keys(), "kafka.listeners.plain.listen=127.0.0.1:%d" % plain, "kafka.listeners.plain.tls=false") as broker:
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x0a" + bytes(10), bytes(1000), b"\x16\x03\x01\xff\xff" + bytes(66000)):
            with Raw(broker.kafka) as raw:
                try:
                    raw.send(data)
                    raw.socket.shutdown(socket.SHUT_WR)
                    while raw.socket.recv(4096):
                        pass
                except OSError:
                    pass  # it is closed while it is sent
        wait_for(lambda: "the peer does not speak TLS" in broker.log(), "the cause")
        try:
            Secure(plain)
            raise AssertionError("a plaintext port spoke TLS")
        except (ssl.SSLError, OSError):
            pass
        wait_for(lambda: "the peer speaks TLS, the listener does not" in broker.log(), "the cause")
        assert serves(broker.kafka)
        with Raw(plain) as raw:
            assert kafka_wire.call(raw, "ApiVersions", 0)["error_code"] == 0


def test_who_does_not_finish_the_handshake_in_time_is_closed():
    with Broker(*keys(handshake_timeout="100 ms"), *keys(where="http.tls.")) as broker:
        first, _ = flights(broker.http)  # which has more time
        with Raw(broker.kafka) as silent, Raw(broker.kafka) as slow, Raw(broker.kafka) as stuck:
            slow.send(first[:20])
            stuck.send(first)
            assert silent.is_closed() and slow.is_closed()
            while stuck.socket.recv(4096):
                pass
        assert "it was not done in time" in broker.log()
        with Secure(broker.http):
            pass


load_tests = loader(globals())
