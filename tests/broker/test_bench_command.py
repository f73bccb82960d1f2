"""sluice bench over both protocols: counts that are verified, losses that are found, latency that counts from when a request was due."""
import json
import os
import signal
import struct
import subprocess
import time
import unittest

from sluice_broker import SLUICE, SOURCE, WAIT_S, Broker, wait_for
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


if __name__ == "__main__":
    unittest.main()
