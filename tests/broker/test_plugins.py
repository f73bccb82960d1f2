"""Plugins in a real broker: dropped in, broken, replaced, removed; hostile ones; crashes under load."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import unittest
import urllib.request

from sluice_broker import SOURCE, Broker, wait_for

try:
    from confluent_kafka import Consumer, Producer, TopicPartition
except ImportError:
    Consumer = None

MASK = os.path.join(SOURCE, "examples", "mask_lua", "mask.lua")

# A C processor from its body: `each` runs for every record with `record`, `index` and `writer`.
C_PLUGIN = """
#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
SLUICE_MANIFEST(%(manifest)s);
%(top)s
static sluice_status create(const struct sluice_host *host, void **ret_self)
{ *ret_self = (void *)host; return SLUICE_OK; }
static void destroy(void *self) { (void)self; }
static int has(const struct sluice_record *record, const char *word)
{ return memmem(record->value.data, record->value.size, word, strlen(word)) != NULL; }
static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    (void)self;
    for (uint32_t index = 0; index < batch->record_count; index++) {
        const struct sluice_record *record =
            (const void *)((const char *)batch->records + (size_t)index * batch->record_stride);
        (void)has(record, "x");
        %(each)s
    }
    return SLUICE_OK;
}
static const struct sluice_processor processor = {.size = sizeof(processor), .create = create,
    .process_batch = process_batch, .destroy = destroy};
SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
    .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR, .kind = %(kind)s,
    .id = "%(id)s", .version = "1.0.0", .entry = &processor, .required_extensions = %(wants)s);
"""


def compile_plugin(path, source):
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", "-D_GNU_SOURCE", "-x", "c", "-", "-o", path,
                    "-I", os.path.join(SOURCE, "sdk", "include")],
                   input=source.encode(), check=True, timeout=60)


def c_source(name, each="", top="", kind="SLUICE_KIND_PROCESSOR", wants="NULL", **manifest):
    manifest = {"id": name, "version": "1.0.0", "kind": "processor", "on": "log", "input": name,
                "output": name + ".out", **manifest}
    return C_PLUGIN % {"id": name, "each": each, "top": top, "kind": kind, "wants": wants,
                       "manifest": json.dumps(json.dumps(manifest))}


class PluginTest(unittest.TestCase):
    settings = ()
    dev = True

    def setUp(self):
        self.broker = Broker(*self.settings, dev=self.dev)
        self.addCleanup(self.broker.close)
        self.plugins = os.path.join(self.broker.home, "plugins")

    # ---- steps ----

    def wait_log(self, *words):
        """A line with all the words."""
        def found():
            return next((line for line in self.broker.log().splitlines() if all(w in line for w in words)), None)
        return wait_for(found, f"a log line with {words}: {self.broker.log()[-3000:]}")

    def drop(self, name, text):
        path = os.path.join(self.plugins, name)
        with open(path + "~", "w") as file:
            file.write(text)
        os.rename(path + "~", path)

    def drop_c(self, name, *args, wait=True, **kwargs):
        built = os.path.join(self.broker.home, name + ".built")
        compile_plugin(built, c_source(name, *args, **kwargs))
        shutil.move(built, os.path.join(self.plugins, name + ".so"))
        if wait:
            self.wait_log(f" {name} ", "loaded", "attached=")

    def produce(self, topic, *values):
        code, _, err = self.broker.run("produce", topic, stdin="".join(v + "\n" for v in values).encode())
        self.assertEqual(code, 0, err)

    def values(self, topic):
        code, out, err = self.broker.run("consume", topic)
        return out.decode().splitlines() if code == 0 else []

    def end(self, topic):
        """Offsets that the topic's partitions gave away: never fewer than it has records."""
        found = self.broker.ask("topic.describe", topic=topic)
        return sum(int(p["end_offset"]) for p in found["partition_list"]) if found else 0

    def wait_values(self, topic, count):
        wait_for(lambda: self.end(topic) >= count, f"{count} records in {topic}: {self.broker.log()[-3000:]}")
        return wait_for(lambda: (lambda got: got if len(got) >= count else None)(self.values(topic)),
                        f"{count} records in {topic}: {self.broker.log()[-3000:]}")

    def info(self, name):
        found = self.broker.ask("plugin.info", name=name)
        self.assertIsNotNone(found, name)
        return found

    def knows(self, name):
        return self.broker.ask("plugin.info", name=name) is not None

    def records(self, topic, count, partitions=1):
        """The records of a topic with headers."""
        consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{self.broker.kafka}", "group.id": "t",
                             "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        found = []

        def enough():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                found.append(message)
            return len(found) >= count
        try:
            wait_for(enough, f"{count} records of {topic}")
        finally:
            consumer.close()
        return found


class Story(PluginTest):
    def test_lua_file_masks_breaks_is_mended_and_goes(self):
        shutil.copy(MASK, self.plugins)
        line = self.wait_log(" mask ", " loaded ")
        self.assertIn("mask.lua", line)
        self.assertIn("orders → orders.masked", line)
        self.produce("orders", '{"card":"4111 1111 1111 1111","id":9007199254740993}')
        self.assertEqual(self.wait_values("orders.masked", 1), ['{"card":"**** **** **** 1111","id":9007199254740993}'])

        with open(MASK) as file:
            good = file.read()
        self.drop("mask.lua", good.replace("return record", "return recor d"))
        line = self.wait_log(" mask ", "not loaded", "mask.lua:")
        self.assertIn("keeps running", line)
        self.produce("orders", '{"card":"12345","id":2}')
        self.assertEqual(self.wait_values("orders.masked", 2)[1], '{"card":"*2345","id":2}')

        self.drop("mask.lua", good.replace('"*"', '"#"'))
        self.wait_log(" mask ", "reloaded")
        self.produce("orders", '{"card":"12345","id":3}')
        self.assertEqual(self.wait_values("orders.masked", 3)[2], '{"card":"#2345","id":3}')

        os.remove(os.path.join(self.plugins, "mask.lua"))
        self.wait_log(" mask ", "unloaded")
        self.produce("orders", '{"card":"12345","id":4}')
        self.assertEqual(self.broker.json("plugin", "list")["plugins"], [])
        self.drop("mask.lua", good)  # its position stayed: what came meanwhile is masked now
        self.assertEqual(self.wait_values("orders.masked", 4)[3], '{"card":"*2345","id":4}')

    def test_examples_in_c_work_the_same_way(self):
        for source in ("uppercase_c/uppercase.c", "logging/c/logging.c"):
            with open(os.path.join(SOURCE, "examples", source)) as file:
                name = os.path.basename(source)[:-2]
                compile_plugin(os.path.join(self.plugins, name + ".so"), file.read())
        self.wait_log(" uppercase ", "words → words.upper")
        self.wait_log(" logging_c ", "events → events.logged")
        self.produce("words", "hello", "world")
        self.assertEqual(self.wait_values("words.upper", 2), ["HELLO", "WORLD"])
        if Consumer is None:
            self.skipTest("python3-confluent-kafka is not installed")
        self.produce("events", "one")
        record = self.records("events.logged", 1)[0]
        self.assertEqual(record.value(), b"one")
        self.assertTrue(int(dict(record.headers())["processed_at"]) > 0)

    def test_a_stage_goes_on_where_it_was_after_a_restart(self):
        shutil.copy(MASK, self.plugins)
        self.wait_log(" mask ", " loaded ")
        self.produce("orders", '{"card":"11111"}')
        self.wait_values("orders.masked", 1)
        self.broker.crash()
        self.broker.start()
        self.produce("orders", '{"card":"22222"}')
        self.assertEqual(self.wait_values("orders.masked", 2), ['{"card":"*1111"}', '{"card":"*2222"}'])


class Attachments(PluginTest):
    def test_a_cycle_is_refused_and_spelled_out(self):
        self.drop("a.lua", 'return {name="a", input="x", output="y", process=function(r) return r end}')
        self.wait_log(" a ", " loaded ")
        self.drop("b.lua", 'return {name="b", input="y", output="x", process=function(r) return r end}')
        line = self.wait_log(" b ", "not loaded")
        self.assertIn("b (y → x) → a (x → y) → b", line)

    def test_a_pattern_reads_new_topics_but_not_its_own_outputs(self):
        self.drop("p.lua", 'return {name="p", input="in*", output="%s.done", process=function(r) return r end}')
        self.wait_log(" p ", " loaded ")
        self.produce("in1", "a")
        self.produce("in2", "b")
        self.assertEqual(self.wait_values("in1.done", 1), ["a"])
        self.assertEqual(self.wait_values("in2.done", 1), ["b"])
        topics = {t["name"] for t in self.broker.json("topic", "list")["topics"]}
        self.assertNotIn("in1.done.done", topics)

    def test_records_are_dropped_and_emitted_to_other_topics(self):
        self.drop("route.lua", 'return {name="route", input="all", output="rest", process=function(r)\n'
                  'if r.value == "no" then return nil end\n'
                  'if r.value == "split" then\n'
                  '  local l = r:copy() l.value = "l" emit("left", l)\n'
                  '  l = r:copy() l.value = "r" emit("right", l) return nil end\n'
                  'return r end}')
        self.wait_log(" route ", " loaded ")
        self.produce("all", "no", "keep", "split", "keep2")
        self.assertEqual(self.wait_values("rest", 2), ["keep", "keep2"])
        self.assertEqual(self.wait_values("left", 1), ["l"])
        self.assertEqual(self.wait_values("right", 1), ["r"])
        info = self.info("route")
        self.assertEqual((info["records_in"], info["records_out"], info["records_dropped"]), ("4", "4", "1"))

    def test_a_frontend_of_strangers_is_refused_by_name(self):
        built = os.path.join(self.plugins, "frontend_other.so")
        source = c_source("frontend_other", kind="SLUICE_KIND_FRONTEND")
        plain = json.dumps(json.dumps({"id": "frontend_other", "version": "1.0.0", "kind": "frontend"}))
        start = source.index("SLUICE_MANIFEST(")
        source = source[:start] + f"SLUICE_MANIFEST({plain})" + source[source.index(";", start):]
        compile_plugin(built + ".built", source)
        os.rename(built + ".built", built)
        self.wait_log("file refused", "frontend_other.so", "plugins.instances.frontend_other.sha256")


class Grants(PluginTest):
    dev = False

    def test_outside_dev_a_file_gets_what_the_configuration_grants(self):
        shutil.copy(MASK, self.plugins)
        line = self.wait_log(" mask ", "not loaded", "does not grant")
        self.assertIn("plugins.instances.mask", line)
        self.assertIn("orders", line)


class Configured(PluginTest):
    """Outside --dev, with a file that grants and configures."""
    dev = False
    FILE = ("plugins:\n  instances:\n    stamp:\n      module: stamp.lua\n      input: [in]\n"
            "      output: out\n      outputs: [granted]\n      config: {word: %s}\n")
    LUA = ('return {name="stamp", input="elsewhere", output="nowhere", config={word="default"},\n'
           'init=function(c) if c.word == "wrong" then error("no such word") end end,\n'
           'process=function(r)\n'
           'if r.value == "granted" or r.value == "secret" then emit(r.value, r:copy()) return nil end\n'
           'r.value = r.value .. config.word return r end}')

    def setUp(self):
        # One shard, whatever the environment says: what is emitted stays on the input's.
        self.broker = Broker("runtime.shards=1", dev=False, start=False)
        self.addCleanup(self.broker.close)
        self.plugins = os.path.join(self.broker.home, "plugins")
        self.config = os.path.join(self.broker.home, "sluice.yaml")
        self.configure("one")
        self.broker.extra = ["--config", self.config]
        self.broker.start()
        self.drop("stamp.lua", self.LUA)
        self.wait_log(" stamp ", " loaded ", "in → out")

    def configure(self, word):
        with open(self.config, "w") as file:
            file.write(self.FILE % word)

    def test_the_configuration_says_what_is_read_and_written(self):
        for topic in ("in", "granted", "secret"):
            self.broker.run("topic", "create", topic)
        self.produce("in", "a", "granted", "secret")
        self.assertEqual(self.wait_values("out", 1), ["aone"])
        self.assertEqual(self.wait_values("granted", 1), ["granted"])
        wait_for(lambda: self.info("stamp")["records_rejected"] == "1", "the rejected record")
        self.assertEqual(self.values("secret"), [])

    def test_sighup_gives_it_a_new_configuration_or_nothing_changes(self):
        self.broker.run("topic", "create", "in")
        self.produce("in", "a")
        self.wait_values("out", 1)
        self.configure("wrong")
        self.broker.process.send_signal(signal.SIGHUP)
        self.wait_log(" config ", "refused", "plugins.instances.stamp.config", "no such word")
        self.wait_log(" config ", "not reloaded: nothing was changed")
        self.produce("in", "b")
        self.assertEqual(self.wait_values("out", 2)[1], "bone")
        self.configure("two")
        self.broker.process.send_signal(signal.SIGHUP)
        self.wait_log("config", "reloaded", "changed=1")
        self.produce("in", "c")
        self.assertEqual(self.wait_values("out", 3)[2], "ctwo")


class Shards(PluginTest):
    """Two shards on two loops: partitions of input and output lie together."""
    settings = ("runtime.shards=2",)

    def test_stages_and_gates_work_on_every_shard(self):
        self.drop("up.lua", 'return {name="up", input="in", output="out", process=function(r)\n'
                  'if r.value == "bad" then error("bad one") end r.value = r.value:upper() return r end}')
        self.drop("gate.lua", 'return {name="gate", on="produce", input="in", process=function(r)\n'
                  'if r.value == "no" then reject("not this") end return r end}')
        self.wait_log(" up ", " loaded ")
        self.wait_log(" gate ", " loaded ")
        self.broker.run("topic", "create", "in", "-p", "4")
        for partition in range(4):
            def send(value, partition=partition):
                return self.broker.run("produce", "in", "-p", str(partition), stdin=value.encode() + b"\n")[0]
            wait_for(lambda: send(f"a{partition}") == 0, "the gate of that shard")
            self.assertEqual(send("bad"), 0)
            self.assertNotEqual(send("no"), 0)
        got = sorted(self.wait_values("out", 4))
        self.assertEqual(got, ["A0", "A1", "A2", "A3"])
        wait_for(lambda: self.info("up")["records_rejected"] == "4", "the dead letters")
        self.drop("up.lua", 'return {name="up", input="in", output="out", process=function(r)\n'
                  'r.value = r.value .. "!" return r end}')
        self.wait_log(" up ", "reloaded")
        wait_for(lambda: self.broker.run("produce", "in", "-p", "1", stdin=b"x\n")[0] == 0, "produce")
        wait_for(lambda: self.broker.run("produce", "in", "-p", "2", stdin=b"y\n")[0] == 0, "produce")
        self.assertEqual(len(self.wait_values("out", 6)), 6)
        os.remove(os.path.join(self.plugins, "up.lua"))
        self.wait_log(" up ", "unloaded")

    def places(self, name):
        return [(e["topic"], e["partition"], e["position"], e["lag"], e["stall"]) for e in self.info(name)["partitions"]]

    def metrics(self, metric):
        """The series of a metric: its labels and its value."""
        text = urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.broker.http, timeout=30).read().decode()
        return {labels: int(value) for labels, value in re.findall(r"^%s\{(.*)\} (\d+)$" % metric, text, re.M)}

    def test_lags_are_told_of_the_partitions_on_all_loops(self):
        self.addCleanup(self.broker.crash)  # the stage never ends
        self.drop_c("stuck", 'while (has(record, "wait")) usleep(1000);', limits={"deadline_ms": 600000})
        self.broker.run("topic", "create", "stuck", "-p", "4")

        def told(position, lag, stall=""):
            places = [("stuck", p, str(position), str(lag), stall) for p in range(4)]
            wait_for(lambda: self.places("stuck") == places, f"four partitions at {position}: {self.places('stuck')}")
            lags = {f'plugin="stuck",topic="stuck",partition="{p}"': lag for p in range(4)}
            wait_for(lambda: self.metrics("sluice_plugin_lag_records") == lags,
                     f"four lags of {lag}: {self.metrics('sluice_plugin_lag_records')}")
            stalls = {labels: count for labels, count in self.metrics("sluice_plugin_stalled_partitions").items() if count}
            return stalls

        def produce(text):
            for partition in range(4):
                self.assertEqual(self.broker.run("produce", "stuck", "-p", str(partition), stdin=text)[0], 0)
        told(0, 0)
        produce(b"a\nb\n")
        told(2, 0)
        produce(b"wait\nc\nd\n")
        stall = "waits for the worker"
        self.assertEqual(told(2, 3, stall), {f'plugin="stuck",cause="{stall}"': 4})


class Gates(PluginTest):
    GATE = ('return {name="gate", on="produce", input="in", process=function(r)\n'
            'if r.value == "bad" then reject("no bad words") end\n'
            'if r.value == "drop" then return nil end\n'
            'if r.value == "change" then r.value = "changed" end\n'
            'return r end}')

    def test_a_gate_rejects_drops_and_rewrites(self):
        self.drop("gate.lua", self.GATE)
        self.wait_log(" gate ", " loaded ")
        self.produce("in", "good", "drop", "change")
        self.assertEqual(self.wait_values("in", 2), ["good", "changed"])
        code, _, err = self.broker.run("produce", "in", stdin=b"bad\n")
        self.assertNotEqual(code, 0)
        self.assertIn("no bad words", err)
        self.assertEqual(self.values("in"), ["good", "changed"])

    def test_a_gate_is_there_before_the_first_record_after_a_start(self):
        self.drop("gate.lua", self.GATE)
        self.wait_log(" gate ", " loaded ")
        self.produce("in", "good")
        self.broker.crash()
        self.broker.start()
        code, _, _ = self.broker.run("produce", "in", stdin=b"bad\n")
        self.assertNotEqual(code, 0)

    def test_a_gate_that_hangs_answers_with_a_retriable_error(self):
        self.drop("gate.lua", 'return {name="gate", on="produce", input="in", process=function(r)\n'
                  'if r.value == "hang" then string.rep("a", 60):find(("a?"):rep(60) .. ("a"):rep(60)) end\nreturn r end}')
        self.wait_log(" gate ", " loaded ")
        code, _, err = self.broker.run("produce", "in", stdin=b"hang\n")
        self.assertNotEqual(code, 0)
        self.produce("other", "fine")

        def passes():
            return self.broker.run("produce", "in", stdin=b"ok\n")[0] == 0
        wait_for(passes, "the gate to come back")


@unittest.skipIf(Consumer is None, "python3-confluent-kafka is not installed")
class Hostile(PluginTest):
    def setUp(self):
        super().setUp()
        shutil.copy(MASK, self.plugins)  # the other plugin, which goes on
        self.wait_log(" mask ", " loaded ")

    def others_go_on(self):
        before = len(self.values("orders.masked"))
        self.produce("orders", '{"card":"12345"}')
        self.wait_values("orders.masked", before + 1)

    def poison(self, name, count, cause, reason):
        """`count` records of which one is "boom": the others come out, that one is a dead letter."""
        values = [f"r{i}" for i in range(count)]
        values[count // 2] = "boom"
        self.produce(name, *values)
        self.assertEqual(self.wait_values(name + ".out", count - 1), [v for v in values if v != "boom"])
        letter = self.records(f"__sluice_dlq.{name}", 1)[0]
        headers = {k: v.decode() for k, v in letter.headers()}
        self.assertEqual(letter.value(), b"boom")
        self.assertEqual((headers["sluice.instance"], headers["sluice.topic"], headers["sluice.partition"],
                          headers["sluice.offset"]), (name, name, "0", str(count // 2)))
        self.assertIn(reason, headers["sluice.reason"])
        info = self.info(name)
        self.assertGreaterEqual(int(info["deaths_by_cause"][cause]), 2, info)
        self.wait_log(f" {name} ", f"cause={cause}")
        self.others_go_on()

    def test_one_that_segfaults(self):
        self.drop_c("crasher", 'if (has(record, "boom")) *(volatile int *)0 = 1;')
        self.poison("crasher", 50, "crash", "SIGSEGV")

    def test_one_that_loops(self):
        self.drop_c("looper", 'if (has(record, "boom")) for (volatile int i = 0;; i = i) {}',
                    limits={"deadline_ms": 300})
        self.poison("looper", 4, "deadline", "")

    def test_one_that_calls_execve(self):
        self.drop_c("runner", 'if (has(record, "boom")) execl("/bin/sh", "sh", "-c", "true", (char *)0);')
        self.poison("runner", 5, "denied", "exec")

    def test_one_that_allocates_without_end(self):
        self.drop_c("eater", 'if (has(record, "boom")) for (;;) { char *p = malloc(1 << 20); memset(p, 1, 1 << 20); }')
        self.poison("eater", 3, "memory", "")

    def test_one_whose_constructor_opens_a_socket(self):
        self.drop_c("opener", top='__attribute__((constructor)) static void open_it(void)'
                                  '{ socket(AF_INET, SOCK_STREAM, 0); }', wait=False)
        self.wait_log(" opener ", "not loaded", "socket")
        self.others_go_on()

    def test_lua_that_loops_or_allocates_costs_the_record(self):
        self.drop("bad.lua", 'return {name="bad", input="bad", output="bad.out", deadline_ms=800,\n'
                  'process=function(r)\n'
                  'if r.value == "loop" then while true do end end\n'
                  'if r.value == "eat" then local t = {} while true do t[#t+1] = string.rep("x", 1000) .. #t end end\n'
                  'return r end}')
        self.wait_log(" bad ", " loaded ")
        self.produce("bad", "a", "loop", "b", "eat", "c")
        self.assertEqual(self.wait_values("bad.out", 3), ["a", "b", "c"])
        letters = self.records("__sluice_dlq.bad", 2)
        self.assertEqual([m.value() for m in letters], [b"loop", b"eat"])
        for letter in letters:
            self.assertTrue(dict(letter.headers())["sluice.reason"])
        self.others_go_on()


@unittest.skipIf(Consumer is None, "python3-confluent-kafka is not installed")
class ExactlyOnce(PluginTest):
    LUA = 'return {name="copy", input="in", output="out", process=function(r) return r end}'
    COUNT = 20000

    def load(self):
        """Produces COUNT records with idempotence; survives restarts of the broker."""
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{self.broker.kafka}", "enable.idempotence": True,
                             "linger.ms": 2, "log_level": 0, "batch.num.messages": 100, "reconnect.backoff.max.ms": 200})
        failed = []

        def report(error, _):
            if error is not None:
                failed.append(str(error))
        for i in range(self.COUNT):
            producer.produce("in", str(i).encode(), on_delivery=report)
            if i % 500 == 0:
                producer.poll(0.02)
        producer.flush(60)
        self.assertEqual(failed, [])

    def check(self):
        got = self.wait_values("out", self.COUNT)
        self.assertEqual(len(got), self.COUNT)
        self.assertEqual(sorted(map(int, got)), list(range(self.COUNT)))
        self.assertEqual(got, self.values("in"))

    def run_with(self, disturb, times):
        self.drop("copy.lua", self.LUA)
        self.wait_log(" copy ", " loaded ")
        thread = threading.Thread(target=self.load)
        thread.start()
        for _ in range(times):
            so_far = self.end("out")
            wait_for(lambda: self.end("out") > so_far or not thread.is_alive(), "progress")
            disturb()
        thread.join()
        self.check()

    def test_killing_the_worker(self):
        def kill():
            wait_for(lambda: int(self.info("copy")["worker_rss_bytes"]) > 100_000, "a worker with memory")
            pid = wait_for(lambda: self.info("copy")["worker_pid"], "a worker")
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass  # the one before was told once more
        self.run_with(kill, 5)

    def test_killing_the_broker(self):
        def kill():
            self.broker.crash()
            self.broker.start()
        self.run_with(kill, 3)

    def test_reloading_the_code(self):
        versions = iter(range(100))
        self.run_with(lambda: self.drop("copy.lua", self.LUA + f"-- {next(versions)}\n"), 5)


if __name__ == "__main__":
    unittest.main()
