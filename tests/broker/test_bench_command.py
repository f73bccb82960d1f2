"""sluice bench over both protocols: counts that are verified, losses that are found, latency that counts from when a request was due."""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from certificates import Authority
from sluice_broker import SLUICE, SOURCE, WAIT_S, Broker, free_port, wait_for
from test_sasl import SECRET, part, token
from wire_batch import batch, produce


def value(run, stream, sequence):
    return struct.pack("<8sQIIQq", b"sluiceB1", run, stream, 0, sequence, 1)


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)

    def bench(self, *words, code=0):
        got, out, err = self.broker.run("bench", *words, "--json")
        self.assertEqual(got, code, out + err.encode())
        return json.loads(out)

    def topics(self):
        return [topic["name"] for topic in self.broker.ask("topic.list")["topics"]]

    def test_what_is_acknowledged_is_in_the_log_and_is_read_once_and_in_order(self):
        for protocol in ("kafka", "native"):
            for mode, count in (("produce", "acknowledged"), ("consume", "received"), ("e2e", "received")):
                told = self.bench(mode, "--protocol", protocol, "--count", "5003", "--threads", "2", "--rate", "0", "--batch", "50") \
                    if mode != "consume" else self.bench(mode, "--protocol", protocol, "--count", "5003", "--threads", "2")
                self.assertEqual((told[count], told["sound"], told["lost"], told["protocol"]), (5003, True, 0, protocol), told)
                self.assertEqual(told["durability"], "fsync")
                if mode != "consume":
                    times = told["latency"]
                    self.assertTrue(0 < times["min_ns"] <= times["p50_ns"] <= times["p99_ns"] <= times["max_ns"], told)
        self.assertEqual([name for name in self.topics() if name.startswith("bench-")], [])

    def test_a_topic_of_its_own_has_the_level_asked_for_and_may_stay(self):
        told = self.bench("produce", "--level", "memory", "--count", "10", "--keep")
        self.assertEqual(told["durability"], "memory")
        self.assertIn(told["topic"], self.topics())
        self.broker.run("topic", "delete", "--yes", told["topic"])

    def test_any_broker_of_kafkas_protocol_will_do(self):
        done = subprocess.run([SLUICE, "bench", "e2e", "--address", self.broker.address, "--count", "50", "--rate", "0", "--json"],
                              capture_output=True, text=True, timeout=2 * WAIT_S)
        told = json.loads(done.stdout)
        self.assertEqual((done.returncode, told["received"], told["durability"]), (0, 50, ""), done.stderr)

    def test_what_is_lost_comes_twice_or_late_is_found(self):
        self.broker.run("topic", "create", "holes")
        produce(self.broker, "holes", batch([value(7, 0, number) for number in (0, 1, 3, 3, 2, 5)] + [b"of another"]))
        for protocol in ("kafka", "native"):
            told = self.bench("consume", "--topic", "holes", "--protocol", protocol, code=1)
            self.assertEqual([told[name] for name in ("received", "not_checked", "lost", "duplicated", "reordered", "sound")],
                             [7, 1, 1, 1, 1, False], protocol)
        code, out, _ = self.broker.run("bench", "consume", "--topic", "holes")
        self.assertEqual(code, 1)
        self.assertIn(b"1 records LOST", out)

    def test_reading_that_is_over_before_the_end_has_lost_nothing(self):
        for protocol in ("kafka", "native"):
            told = self.bench("consume", "--protocol", protocol, "--count", "400000", "--duration", "1 ms")
            self.assertEqual((told["sound"], told["lost"], told["received"] < 400000), (True, 0, True), protocol)

    def test_what_is_refused_is_counted_and_named(self):
        self.broker.run("topic", "create", "small", "-c", "max.message.bytes=200")
        told = self.bench("produce", "--topic", "small", "--count", "300", "--size", "150", code=1)
        self.assertEqual((told["refused"], told["acknowledged"]), (300, 0))
        _, out, _ = self.broker.run("bench", "produce", "--topic", "small", "--count", "100")
        self.assertIn(b"REFUSED", out)

    def test_wrong_words_are_told_before_anything_happens(self):
        for words, sentence in ((("e2e", "--protocol", "mqtt"), "must be kafka or native"), (("produce", "--size", "39"), "from 40 to"),
                                (("produce", "--size", "10000", "--batch", "1000"), "take 99"), (("produce", "--duration", "soon"), "2 min"),
                                (("consume", "--topic", "nobody"), "no such topic")):
            code, out, err = self.broker.run("bench", *words)
            self.assertNotIn(code, (0, 3), words)
            self.assertIn(sentence, err, words)

    def test_a_plugin_is_measured_without_a_broker(self):
        lua = os.path.join(SOURCE, "examples", "mask_lua", "mask.lua")
        done = subprocess.run([SLUICE, "bench", "plugin", lua, "--count", "2050", "--batch", "100", "--json"], capture_output=True, text=True, timeout=2 * WAIT_S)
        told = json.loads(done.stdout)
        self.assertEqual((done.returncode, told["records"], told["latency"]["count"]), (0, 2050, 21), done.stderr)
        self.assertEqual(sum(told[fate] for fate in ("dropped", "passed", "emitted", "rejected", "retried")), 2050)
        done = subprocess.run([SLUICE, "bench", "plugin", "/nowhere.lua"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("/nowhere.lua", done.stderr)

    def test_ctrl_c_ends_it_early_with_the_figures_and_without_the_topic(self):
        bench = subprocess.Popen([SLUICE, "bench", "e2e", "--duration", "600", "--home", self.broker.home], stdout=subprocess.PIPE, text=True)
        wait_for(lambda: any(name.startswith("bench-") and self.broker.ask("topic.ends", topics=[name])["partitions"][0]["end"] not in (0, "0")
                             for name in self.topics()), "records")
        bench.send_signal(signal.SIGINT)
        out, _ = bench.communicate(timeout=WAIT_S)
        self.assertEqual(bench.returncode, 3, out)
        self.assertIn("ended early by Ctrl-C", out)
        self.assertIn("nothing is lost", out)
        self.assertEqual([name for name in self.topics() if name.startswith("bench-")], [])

    def test_latency_counts_from_when_a_request_was_due_also_while_the_broker_stands_still(self):
        bench = subprocess.Popen([SLUICE, "bench", "produce", "--rate", "500", "--batch", "1", "--count", "1500", "--json", "--home",
                                  self.broker.home], stdout=subprocess.PIPE, text=True)
        wait_for(lambda: any(name.startswith("bench-") and self.broker.ask("topic.ends", topics=[name])["partitions"][0]["end"] not in (0, "0")
                             for name in self.topics()), "records")
        os.kill(self.broker.process.pid, signal.SIGSTOP)
        time.sleep(1.2)  # what is measured
        os.kill(self.broker.process.pid, signal.SIGCONT)
        out, _ = bench.communicate(timeout=2 * WAIT_S)
        told = json.loads(out)
        self.assertEqual((bench.returncode, told["acknowledged"]), (0, 1500), told)
        # 600 of 1500 were due in that time: had the client waited, one of them would have been late.
        self.assertGreater(told["latency"]["p90_ns"], 0.5e9, told)


class Guarded(unittest.TestCase):
    """Who must log in, over TLS; beside it a listener of Kafka's protocol that wants a login only."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="sluice-bench-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.ca, cls.other = Authority(cls.folder), Authority(cls.folder, "other")
        server, cls.alice = cls.ca.issue("broker", "/CN=localhost"), cls.ca.issue("alice", "/CN=alice")
        cls.write("keys.json", json.dumps({"keys": [{"kty": "oct", "k": part(SECRET).decode()}]}))
        cls.plain, cls.certain = free_port(), free_port()
        tls = ["%s.tls.%s=%s" % (room, key, value) for room in ("kafka", "native")
               for key, value in (("certificate", server.certificate), ("key", server.key), ("ca", cls.ca.path))]
        cls.broker = Broker("kafka.sasl.mechanisms=PLAIN,SCRAM-SHA-256,OAUTHBEARER", "security.failed_login_delay=0 s", "security.oauth.issuer=us",
                            "security.oauth.jwks_file=" + os.path.join(cls.folder, "keys.json"), *tls,
                            "kafka.listeners.bare.listen=127.0.0.1:%d" % cls.plain, "kafka.listeners.bare.tls=false",
                            "kafka.listeners.certain.listen=127.0.0.1:%d" % cls.certain, "kafka.listeners.certain.tls.client_auth=required",
                            "kafka.listeners.certain.sasl.mechanisms=")
        cls.addClassCleanup(cls.broker.close)
        for name, more in (("alice", ()), ("bob", ("--mechanism", "SCRAM-SHA-512"))):
            code, _, err = cls.broker.run("user", "add", name, *more, stdin=b"secret of " + name.encode())
            assert code == 0, err
            cls.write(name, "secret of %s\n" % name)
        cls.write("wrong", "not it\n")
        cls.write("token", token({"sub": "carol", "iss": "us", "exp": time.time() + 600}) + "\n")

    @classmethod
    def write(cls, name, text):
        with open(os.path.join(cls.folder, name), "w") as file:
            file.write(text)

    def path(self, name):
        return os.path.join(self.folder, name)

    def as_user(self, name, password=None):
        return "--user", name, "--password-file", self.path(password or name)

    def bench(self, mode, *words, stdin=None):
        return self.broker.run("bench", mode, "--count", "50", *words, stdin=stdin)

    def told(self, mode, *words, stdin=None):
        code, out, err = self.bench(mode, "--json", *words, stdin=stdin)
        self.assertEqual(code, 0, out + err.encode())
        return json.loads(out)

    def test_each_mechanism_over_tls_and_both_protocols(self):
        for protocol in ("kafka", "native"):
            for words, mechanism in ((self.as_user("alice"), "SCRAM-SHA-256"), ((*self.as_user("alice"), "--mechanism", "PLAIN"), "PLAIN"),
                                     (("--token-file", self.path("token")), "OAUTHBEARER")):
                told = self.told("e2e", "--protocol", protocol, "--rate", "0", "--ca-file", self.ca.path, *words)
                self.assertEqual((told["received"], told["lost"], told["tls"]), (50, 0, True), told)
                if protocol == "kafka":
                    self.assertEqual(told["mechanism"], mechanism)

    def test_records_of_many_records_of_tls_come_whole(self):
        told = self.told("consume", "--ca-file", self.ca.path, "--size", "1000", "--threads", "2", *self.as_user("alice"), "--count", "20000")
        self.assertEqual((told["received"], told["sound"]), (20000, True), told)

    def test_a_password_comes_by_standard_input_too(self):
        told = self.told("produce", "--ca-file", self.ca.path, "--user", "alice", stdin=b"secret of alice\n")
        self.assertEqual(told["acknowledged"], 50)

    def test_an_address_may_want_a_login_without_tls(self):
        told = self.told("produce", "--address", "127.0.0.1:%d" % self.plain, *self.as_user("alice"))
        self.assertEqual((told["acknowledged"], told["mechanism"], told["tls"]), (50, "SCRAM-SHA-256", False))

    def test_a_certificate_shows_who_it_is(self):
        words = ("--address", "127.0.0.1:%d" % self.certain, "--ca-file", self.ca.path)
        told = self.told("e2e", *words, "--cert-file", self.alice.certificate, "--key-file", self.alice.key)
        self.assertEqual((told["received"], told["mechanism"], told["tls"]), (50, "", True))
        code, _, err = self.bench("e2e", *words)
        self.assertEqual(code, 77, err)
        self.assertIn("--cert-file and --key-file who you are", err)

    def test_who_is_refused_is_told_why_and_nothing_is_left_behind(self):
        ca, bare = ("--ca-file", self.ca.path), ("--address", "127.0.0.1:%d" % self.plain)
        kafka_tls, native = ("--address", self.broker.address), ("--protocol", "native")
        for words, code, sentence in (
                ((*ca, *self.as_user("alice", "wrong")), 77, "SLU-1903"),
                ((*native, *ca, *self.as_user("alice", "wrong")), 77, "SLU-1903"),
                (bare, 69, "--user"),
                (kafka_tls, 69, "--tls"),
                (native, 69, "speak TLS here: give --tls"),
                ((*ca, "--tls-name", "elsewhere", *self.as_user("alice")), 77, "--tls-name"),
                (("--ca-file", self.other.path, *self.as_user("alice")), 77, "--ca-file FILE"),
                ((*bare, *ca, *self.as_user("alice")), 77, "speaks no TLS"),
                ((*bare, *self.as_user("bob"), "--mechanism", "SCRAM-SHA-512"), 65, "PLAIN SCRAM-SHA-256 OAUTHBEARER")):
            got, out, err = self.bench("produce", *words)
            self.assertIn(sentence, err, words)
            self.assertEqual((got, out), (code, b""), (words, err))
            self.assertNotIn("secret", err)
        for mode in ("produce", "consume", "e2e"):  # libsluice greets without a login
            code, out, err = self.bench(mode, *native, *ca)
            self.assertEqual((code, out), (77, b""), err)
            self.assertIn("log in first", err)
            self.assertIn("--user NAME", err)
        self.assertEqual([topic["name"] for topic in self.broker.ask("topic.list")["topics"] if topic["name"].startswith("bench-")], [])

    def test_who_lacks_a_right_is_told_which_kind(self):
        settings = ("kafka.sasl.mechanisms=PLAIN", "security.authorization=true", "security.super_users=User:root")
        with Broker(*settings) as broker:
            assert broker.run("user", "add", "alice", stdin=b"secret of alice\n")[0] == 0
            for protocol in ("kafka", "native"):
                for mode in ("produce", "consume", "e2e"):
                    code, out, err = broker.run("bench", mode, "--count", "50", "--protocol", protocol, "--mechanism", "PLAIN", *self.as_user("alice"))
                    self.assertEqual((code, out), (77, b""), err)
                    self.assertIn("not authorized for this topic (SLU-1313)", err)

    def test_debug_connect_tells_a_listener_with_tls_from_one_that_wants_a_login(self):
        for port, sentence in ((self.broker.kafka, "it speaks TLS"), (self.certain, "it speaks TLS"), (self.plain, "it wants a login"),
                               (self.broker.http, "no Kafka listener")):
            done = subprocess.run([SLUICE, "debug", "connect", "127.0.0.1:%d" % port], capture_output=True, text=True, timeout=WAIT_S)
            self.assertEqual(done.returncode, 69, done.stderr)
            self.assertIn(sentence, done.stderr)

    def test_options_that_do_not_go_together_are_told_before_anything_happens(self):
        for words, sentence in ((("--mechanism", "GSSAPI", *self.as_user("alice")), "must be PLAIN"), (("--mechanism", "PLAIN"), "wants --user"),
                                (("--user", "a", "--token-file", self.path("token")), "one of them"), (("--password-file", "x"), "wants --user"),
                                (("--user", "a", "--password-file", "/nowhere"), "/nowhere cannot be read"), (("--cert-file", self.ca.path), "go together"),
                                (("--ca-file", "/nowhere"), "--ca-file /nowhere"), (("--ca-file", self.path("alice")), "in PEM"), (("--user", "alice"), "there was none")):
            code, _, err = self.bench("produce", *words, stdin=b"")
            self.assertEqual(code, 64, (words, err))
            self.assertIn(sentence, err, words)


class Cluster(unittest.TestCase):
    def metadata(self, correlation, leaders):
        """Of version 5: two brokers, this one and the real one; a topic whose partitions they lead."""
        def text(value):
            return struct.pack(">h", len(value)) + value.encode()
        body = struct.pack(">iii", correlation, 0, 2)
        for node, port in ((1, self.port), (2, self.broker.kafka)):
            body += struct.pack(">i", node) + text("127.0.0.1") + struct.pack(">ih", port, -1)
        body += text("cluster") + struct.pack(">ii", 1, 1) + struct.pack(">h", 0) + text("led") + struct.pack(">?i", False, len(leaders))
        for partition, node in enumerate(leaders):
            body += struct.pack(">hii", 0, partition, node) + struct.pack(">ii", 1, node) * 2 + struct.pack(">i", 0)
        return body

    def serve(self, leaders):
        peer, _ = self.door.accept()
        with peer:
            stream = peer.makefile("rb")
            for _ in range(2):
                size, = struct.unpack(">i", stream.read(4))
                key, _, correlation = struct.unpack_from(">hhi", stream.read(size))
                answer = self.metadata(correlation, leaders) if key == 3 else struct.pack(">ihi", correlation, 0, 0)
                peer.sendall(struct.pack(">i", len(answer)) + answer)
            stream.read(1)

    def bench(self, leaders):
        thread = threading.Thread(target=self.serve, args=(leaders,))
        thread.start()
        done = subprocess.run([SLUICE, "bench", "produce", "--address", "127.0.0.1:%d" % self.port, "--topic", "led", "--count", "50", "--json"],
                              capture_output=True, text=True, timeout=WAIT_S)
        thread.join(WAIT_S)
        return done

    def test_any_broker_of_a_cluster_tells_who_leads_the_topic(self):
        with Broker("core.topics.auto_create=false") as self.broker, socket.create_server(("127.0.0.1", 0)) as self.door:
            self.port = self.door.getsockname()[1]
            self.broker.run("topic", "create", "led")
            done = self.bench([2])
            self.assertEqual((done.returncode, json.loads(done.stdout)["address"]), (0, self.broker.address), done.stderr)
            done = self.bench([1, 2])
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("led by several brokers (127.0.0.1:%d, %s)" % (self.port, self.broker.address), done.stderr)


if __name__ == "__main__":
    unittest.main()
