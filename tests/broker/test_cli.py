"""The command line and the HTTP frontend against a real broker."""
import http.client
import json
import os
import re
import socket
import subprocess
import unittest

from sluice_broker import SLUICE, WAIT_S, Broker


class Cli(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.run_cli = cls.broker.run

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def ok(self, *arguments, stdin=b""):
        code, out, err = self.broker.run(*arguments, stdin=stdin)
        self.assertEqual(code, 0, err)
        return out

    def test_creates_lists_describes_and_deletes_topics(self):
        self.ok("topic", "create", "a", "-p", "3", "-c", "retention.ms=60000")
        topics = {t["name"]: t for t in self.broker.json("topic", "list")["topics"]}
        self.assertEqual(topics["a"]["partitions"], 3)
        described = self.broker.json("topic", "describe", "a")
        self.assertEqual(described["configs"]["retention.ms"], {"value": "60000", "source": "topic"})
        self.assertEqual([p["end_offset"] for p in described["partition_list"]], ["0"] * 3)
        self.ok("topic", "delete", "--yes", "a")
        self.assertNotIn("a", [t["name"] for t in self.broker.json("topic", "list")["topics"]])

    def test_tells_what_was_done_when_only_some_could_be(self):
        self.ok("topic", "create", "partly")
        code, _, err = self.broker.run("topic", "create", "partly", "partly2")
        self.assertEqual(code, 3)
        self.assertIn("SLU-1303", err)

    def test_refuses_an_invalid_topic_name(self):
        code, _, err = self.broker.run("topic", "create", "a/b")
        self.assertEqual(code, 65)
        self.assertIn("SLU-1302", err)

    def test_consumes_any_bytes_as_they_were_produced(self):
        lines = [bytes(range(1, 10)), b"", "grüße".encode(), b"\xff\xfe\x00x", b'{"id":9007199254740993}']
        self.ok("produce", "bytes", stdin=b"\n".join(lines) + b"\n")
        self.assertEqual(self.ok("consume", "bytes").split(b"\n")[:-1], lines)

    def test_keeps_order_over_many_chunks(self):
        lines = b"".join(b"%d\n" % i for i in range(5000))
        self.ok("produce", "many", stdin=lines)
        self.assertEqual(self.ok("consume", "many"), lines)
        self.assertEqual(self.ok("consume", "many", "-o", "4998"), b"4998\n4999\n")
        self.assertEqual(self.ok("consume", "many", "-n", "2"), b"0\n1\n")
        self.assertEqual(self.ok("consume", "many", "-o", "end"), b"")

    def test_writes_in_the_format_asked_for(self):
        self.ok("produce", "format", "v", "-k", "k", "-H", "a=1", "-H", "b=2")
        self.assertEqual(self.ok("consume", "format", "-f", r"%t %p %o %k=%v [%h] 100%%\n"),
                         b"format 0 0 k=v [a=1,b=2] 100%\n")
        record = json.loads(self.ok("consume", "format", "--json"))
        self.assertEqual(record["offset"], "0")
        self.assertEqual(record["headers"], [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])

    def test_puts_equal_keys_into_one_partition(self):
        self.ok("topic", "create", "keyed", "-p", "4")
        for value in ("1", "2", "3"):
            self.ok("produce", "keyed", value, "-k", "same")
        partitions = {line.split(b" ")[0] for line in self.ok("consume", "keyed", "-f", r"%p %v\n").splitlines()}
        self.assertEqual(len(partitions), 1)

    def test_says_where_each_running_value_comes_from(self):
        shown = self.broker.json("config", "show", "--running")
        self.assertEqual(shown["http.listen"]["origin"], "--set")
        self.assertEqual(shown["core.topics.auto_create"], {"value": "true", "origin": "default of --dev", "change": "restart"})

    def test_reports_status(self):
        status = self.broker.json("status")
        self.assertTrue(status["ready"])
        self.assertEqual(status["node_id"], 1)
        self.assertEqual({shard["status"] for shard in status["shards"]}, {"serving"})

    def test_fails_at_once_where_no_broker_is(self):
        code = subprocess.run([SLUICE, "topic", "list", "--socket", "/nonexistent/s"], capture_output=True, text=True)
        self.assertEqual(code.returncode, 69)
        self.assertIn("sluice serve", code.stderr)

    def test_suggests_the_nearest_command(self):
        done = subprocess.run([SLUICE, "topic", "lst"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 64)
        self.assertIn('did you mean "sluice topic list"?', done.stderr)

    def test_checks_configuration_files(self):
        path = os.path.join(self.broker.home, "wrong.yaml")
        with open(path, "w") as file:
            file.write("kafka:\n  lisen: 1\n")
        done = subprocess.run([SLUICE, "config", "check", path], capture_output=True, text=True)
        self.assertEqual(done.returncode, 78)
        self.assertIn(f'{path}:2:10: unknown key "kafka.lisen"; did you mean "kafka.listen"?', done.stderr)


class Http(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def get(self, path, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.broker.http, timeout=30)
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def test_is_live_and_ready(self):
        self.assertEqual(self.get("/livez"), (200, "ok\n"))
        self.assertEqual(self.get("/readyz")[0], 200)

    def test_counts_what_was_produced(self):
        self.broker.run("produce", "counted", "x")
        status, body = self.get("/metrics")
        self.assertEqual(status, 200)
        self.assertIn("# TYPE ", body)

    def test_refuses_other_paths_and_methods(self):
        self.assertEqual(self.get("/nope")[0], 404)
        self.assertEqual(self.get("/metrics", "DELETE")[0], 405)

    def test_answers_pipelined_requests_in_order(self):
        with socket.create_connection(("127.0.0.1", self.broker.http), 30) as peer:
            peer.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /nope HTTP/1.1\r\nHost: a\r\n\r\n"
                         b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b""
            while chunk := peer.recv(65536):
                answer += chunk
        self.assertEqual(re.findall(rb"HTTP/1\.1 (\d+) ", answer), [b"200", b"404", b"200"])


class Restart(unittest.TestCase):
    def test_keeps_what_was_acknowledged_over_kill_nine_and_verifies(self):
        broker = Broker()
        try:
            self.assertEqual(broker.run("produce", "kept", "one", "two")[0], 0)
            code, out, err = broker.run("wal", "verify")
            self.assertEqual(code, 0, err)
            self.assertIn(b"running=yes", out)
            code, out, err = broker.run("wal", "inspect", "--columns", "first_lsn,segment")
            self.assertEqual(code, 0, err)
            self.assertIn(b"first_lsn  segment\n", out)
            rows = [json.loads(line) for line in broker.run("wal", "inspect", "--jsonl")[1].splitlines()]
            self.assertEqual(str(rows[-1]["first_lsn"]), out.split()[-2].decode())
            broker.crash()
            broker.start()
            self.assertEqual(broker.run("consume", "kept")[1], b"one\ntwo\n")
            stream = subprocess.Popen([SLUICE, "consume", "kept", "-F", "--json", "--home", broker.home], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            got = [json.loads(stream.stdout.readline()) for _ in range(2)]
            self.assertEqual([record["value"] for record in got], ["one", "two"])
            broker.crash()
            out, err = stream.communicate(timeout=WAIT_S)
            self.assertTrue(out, (stream.returncode, err))
            told = json.loads(out)
            self.assertEqual((told["ok"], told["exit"]), (False, stream.returncode), "what broke off says so in JSON too")
            self.assertIn(told["error"]["message"], err.decode())
            broker.start()
            self.assertEqual(broker.stop(), 0)
            code, out, err = broker.run("wal", "verify")
            self.assertEqual(code, 0, err)
            self.assertTrue(out.startswith(b"sound"))
            self.assertIn(b"kind=BATCH", broker.run("wal", "dump")[1])
        finally:
            broker.close()

    def test_refuses_a_data_directory_in_use(self):
        broker = Broker()
        try:
            done = subprocess.run([SLUICE, "serve", "--home", broker.home, "--dev", "--set", "plugins.enabled="],
                                  capture_output=True, text=True, timeout=30)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("another broker runs on it", done.stderr + done.stdout)
        finally:
            broker.close()

    def test_starts_without_any_plugin(self):
        broker = Broker("plugins.enabled=")
        try:
            self.assertEqual(broker.run("produce", "alone", "x")[0], 0)
        finally:
            broker.close()


if __name__ == "__main__":
    unittest.main()
