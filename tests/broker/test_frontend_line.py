"""A frontend that Sluice does not ship: built against the SDK alone, pinned, used, removed while the broker runs."""
import hashlib
import json
import os
import shutil
import socket
import subprocess
import unittest

from sluice_broker import SOURCE, Broker, free_port, wait_for

EXAMPLE = os.path.join(SOURCE, "examples", "frontend_line", "frontend_line.c")


class Lines:
    """A peer that sends lines and reads lines."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.socket.makefile("rb")

    def ask(self, text):
        self.socket.sendall(text.encode() + b"\r\n")
        return self.read()

    def read(self):
        return self.file.readline().decode().rstrip("\r\n")

    def close(self):
        self.file.close()
        self.socket.close()


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class FrontendLine(unittest.TestCase):
    def setUp(self):
        self.port = free_port()
        self.broker = Broker(start=False)
        self.addCleanup(self.broker.close)
        os.makedirs(os.path.join(self.broker.home, "plugins"), exist_ok=True)
        self.built = os.path.join(self.broker.home, "frontend_line.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-std=c11", "-pedantic", "-I",
                        os.path.join(SOURCE, "sdk", "include"), "-o", self.built, EXAMPLE], check=True)
        with open(self.built, "rb") as file:
            self.sha256 = hashlib.sha256(file.read()).hexdigest()

    def start(self, **instance):
        config = os.path.join(self.broker.home, "sluice.yaml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"plugins": {"instances": {"frontend_line": instance}}}, file)
        self.broker.extra = ["--config", config]
        self.broker.start()

    def drop(self):
        place = os.path.join(self.broker.home, "plugins", "frontend_line.so")
        shutil.copy(self.built, place)
        return place

    def serve(self):
        self.start(sha256=self.sha256, config={"listen": f"127.0.0.1:{self.port}"})
        place = self.drop()
        wait_for(lambda: is_open(self.port), "the port to open")
        return place

    def test_it_publishes_and_reads_the_topics_that_kafka_clients_see(self):
        self.serve()
        self.broker.run("topic", "create", "talk", "--partitions", "2")
        peer = Lines(self.port)
        self.addCleanup(peer.close)
        self.assertEqual(peer.ask("PING"), "PONG")
        self.assertEqual(peer.ask("PUB talk hello world"), "OK 0 0")
        self.assertEqual(peer.ask("PUB talk/1 elsewhere"), "OK 1 0")
        code, output, _ = self.broker.run("consume", "talk", "--partition", "0", "-n", "1", "-f", "%v\n")
        self.assertEqual((code, output), (0, b"hello world\n"))
        subprocess.run(["kcat", "-P", "-b", self.broker.address, "-t", "talk", "-p", "0", "-z", "lz4"],
                       input="\n".join(f"line {i}" for i in range(20)).encode(), check=True)
        self.assertEqual(peer.ask("GET talk 0 2"), "0 hello world")
        self.assertEqual([peer.read(), peer.read()], ["1 line 0", ". 2"])
        self.assertEqual(peer.ask("GET talk 19"), "19 line 18")
        self.assertEqual([peer.read(), peer.read()], ["20 line 19", ". 21"])

    def test_what_is_wrong_is_answered_with_a_sentence_and_the_connection_stays(self):
        self.serve()
        self.broker.run("topic", "create", "talk")
        peer = Lines(self.port)
        self.addCleanup(peer.close)
        for line, expected in (("NONSENSE", "PUB, GET, PING and QUIT"), ("PUB", "wants <topic>"),
                               ("GET talk x", "wants <topic>"), ("GET talk 0 1001", "up to 1000"),
                               ("GET nowhere 0", "no such topic"), ("PUB bad!name x", "topic")):
            self.assertRegex(peer.ask(line), "^ERR .*" + expected)
        self.assertEqual(peer.ask("PING"), "PONG")
        peer.socket.sendall(b"PING\r\nPING\nPUB talk a\nGET talk 0\nPING\n")
        self.assertEqual([peer.read() for _ in range(6)], ["PONG", "PONG", "OK 0 0", "0 a", ". 1", "PONG"])

    def test_removing_it_closes_its_port_and_no_other(self):
        place = self.serve()
        os.remove(place)
        wait_for(lambda: not is_open(self.port), "the port to close")
        self.assertTrue(is_open(self.broker.kafka))
        self.drop()
        wait_for(lambda: is_open(self.port), "the port to open again")

    def build(self, version):
        """Another version of it, and its pin."""
        with open(EXAMPLE, encoding="utf-8") as file:
            source = file.read().replace('"PONG", 4', '"PONG%s", %d' % (version, 4 + len(version)))
        path = os.path.join(self.broker.home, version + ".so")
        subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-I", os.path.join(SOURCE, "sdk", "include"), "-o", path],
                       input=source.encode(), check=True)
        with open(path, "rb") as file:
            return path, hashlib.sha256(file.read()).hexdigest()

    def pin(self, sha256):
        with open(os.path.join(self.broker.home, "sluice.yaml"), "w", encoding="utf-8") as file:
            json.dump({"plugins": {"instances": {"frontend_line": {
                "sha256": sha256, "config": {"listen": f"127.0.0.1:{self.port}"}}}}}, file)
        return self.broker.run("reload")

    def serving(self):
        told = self.broker.json("plugin", "info", "frontend_line.so")["serving"]
        return [[version["state"], version.get("connections")] for version in told]

    def ping(self):
        peer = Lines(self.port)
        try:
            return peer.ask("PING")
        finally:
            peer.close()

    def test_a_new_version_takes_new_connections_and_the_old_one_drains(self):
        place = self.serve()
        old = Lines(self.port)
        self.addCleanup(old.close)
        self.assertEqual(old.ask("PING"), "PONG")
        for version in ("2", "3"):
            path, sha256 = self.build(version)
            os.replace(path, place)
            wait_for(lambda: sha256 in self.broker.log(), "the refusal without a pin")
            told = self.broker.json("plugin", "info", "frontend_line.so")
            self.assertEqual(told["state"], "running", "the version before serves")
            self.assertIn(sha256, told["reason"])
            self.assertNotEqual(self.ping(), "PONG" + version)
            self.assertEqual(self.pin(sha256)[0], 0)
            wait_for(lambda: self.ping() == "PONG" + version, "the new version")
        self.assertEqual(old.ask("PING"), "PONG")
        states = [f["state"] for f in self.broker.json("status")["frontends"] if f["name"] == "line"]
        self.assertIn("old version, draining", states)
        wait_for(lambda: ["old version, draining", 1] in self.serving(), "the old one with its connection in plugin info")
        self.assertEqual([state for state, _ in self.serving()].count("listening"), 1)
        old.close()
        wait_for(lambda: [f["state"] for f in self.broker.json("status")["frontends"] if f["name"] == "line"]
                 == ["listening"], "the old versions to close")
        os.remove(place)
        wait_for(lambda: not is_open(self.port), "the port to close")

    def test_one_that_does_not_load_leaves_the_old_one(self):
        place = self.serve()
        path, sha256 = self.build("bad")
        with open(path, "rb") as file:
            data = file.read().replace(b"SLC1", b"SLC9").replace(b"1CLS", b"9CLS")
        with open(path, "wb") as file:
            file.write(data)
        with open(path, "rb") as file:
            sha256 = hashlib.sha256(file.read()).hexdigest()
        os.replace(path, place)
        self.pin(sha256)
        wait_for(lambda: "frontend not opened" in self.broker.log() or "refused" in self.broker.log(), "the refusal")
        self.assertEqual(self.ping(), "PONG")

    def test_one_that_is_not_pinned_is_refused_and_the_reason_has_the_pin(self):
        self.start(config={"listen": f"127.0.0.1:{self.port}"})
        self.drop()
        wait_for(lambda: self.sha256 in self.broker.log(), "the refusal")
        self.assertIn("pin it by plugins.instances", self.broker.log())
        self.assertFalse(is_open(self.port))

    def test_one_without_an_address_is_refused_and_told_the_key(self):
        self.start(sha256=self.sha256)
        self.drop()
        wait_for(lambda: "plugins.instances.frontend_line.config.listen" in self.broker.log(), "the refusal")


if __name__ == "__main__":
    unittest.main()
