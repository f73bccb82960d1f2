"""Poison records: each costs itself alone; what an old worker died of costs none.

SLUICE_LONG: 1,000 poison records among 1,000,000 good ones, else a share of it, which is printed as is what it costs: 100
among 100,000, with a sanitizer 20 among 20,000. SLUICE_SEED says where they are and of which kind."""
import os
import random
import time
import unittest

from sluice_broker import wait_for
from test_plugins import PluginTest, Consumer

try:
    from confluent_kafka import Producer, TopicPartition
except ImportError:
    Producer = None

GOOD = 1_000_000 if os.environ.get("SLUICE_LONG") else 20_000 if "ASAN_OPTIONS" in os.environ else 100_000
POISON = GOOD // 1000
WAIT_S = 1500 if os.environ.get("SLUICE_LONG") else 240
SEED = int(os.environ.get("SLUICE_SEED", random.randrange(1 << 32)))
C_KINDS = ("segfault", "abort", "loop", "hog")
WITH_INDEX = "(void)sluice_batch_record(batch, index);\n"
WITH_VERDICTS = "writer->pass(writer, index);\n"
SCRIBBLES = WITH_INDEX + """static uint32_t lie; lie = lie * 1664525u + (uint32_t)getpid();
batch->progress->index = lie % 5 == 0 ? UINT32_MAX : lie % 3 == 0 ? 0 : lie % 2 == 0 ? lie : lie % batch->record_count;
"""
C_EACH = """
if (record->value.size > 0 && ((const char *)record->value.data)[0] == '!') {
    if (has(record, "segfault")) *(volatile int *)0 = 1;
    if (has(record, "abort")) abort();
    if (has(record, "loop")) for (volatile int i = 0;; i = i) {}
    if (has(record, "hog")) for (;;) { char *p = malloc(1 << 20); memset(p, 1, 1 << 20); }
}
"""
LUA = """return {name="poison_lua", input="poison_lua", output="poison_lua.out", process=function(r)
if r.value:sub(1, 1) == "!" then error("poison") end
return r end}"""


@unittest.skipIf(Consumer is None, "python3-confluent-kafka is not installed")
class Poison(PluginTest):
    settings = ("plugins.rollback.errors_percent=0",)

    def load(self, topic, kinds, good=GOOD, poison=POISON):
        producer = Producer({"bootstrap.servers": f"127.0.0.1:{self.broker.kafka}", "enable.idempotence": True,
                             "linger.ms": 20, "log_level": 0, "queue.buffering.max.messages": 200_000})
        every, chance, place = good // poison, random.Random(SEED), 0
        for i in range(good):
            while True:
                try:
                    producer.produce(topic, b"%d" % i, partition=0)
                    break
                except BufferError:
                    producer.poll(0.1)
            if i % every == 0:
                place = i + chance.randrange(every)
            if i == place:
                number = i // every
                loops = number % 50 == 0 and "loop" in kinds
                kind = "loop" if loops else chance.choice([k for k in kinds if k != "loop"])
                producer.produce(topic, b"!%s %d" % (kind.encode(), number), partition=0)
            producer.poll(0)
        self.assertEqual(producer.flush(120), 0)

    def wait_lag(self, name, total):
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            info = self.info(name)
            if info["state"] == "paused" or int(info["records_in"]) >= total:
                self.assertNotEqual(info["state"], "paused", info)
                return
            time.sleep(0.1)
        self.fail(f"{self.info(name)} {self.broker.log()[-2000:]}")

    def all_values(self, topic, count):
        consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{self.broker.kafka}", "group.id": "t",
                             "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, 0, 0)])
        got = []

        def enough():
            wanted = min(max(count - len(got), 1), 10000)  # more would be waited for
            got.extend(m.value() for m in consumer.consume(wanted, 1) if m.error() is None)
            return len(got) >= count
        try:
            wait_for(enough, f"{count} records of {topic}")
            got.extend(m.value() for m in consumer.consume(10000, 0.3) if m.error() is None)
        finally:
            consumer.close()
        return got

    def check(self, name, kinds, good=GOOD, poison=POISON, deaths_max=None):
        begun = time.monotonic()
        self.load(name, kinds, good, poison)
        produced = time.monotonic() - begun
        self.wait_lag(name, good + poison)
        took = time.monotonic() - begun
        self.assertEqual(self.all_values(name + ".out", good), [b"%d" % i for i in range(good)])
        letters = self.all_values(f"__sluice_dlq.{name}", poison)
        self.assertEqual([int(v.split()[-1]) for v in letters], list(range(poison)))
        info = self.info(name)
        deaths = int(info["worker_deaths"])
        print(f"\n{name}: {good} good and {poison} poison records ({', '.join(kinds)}; {good / 10000:g} % of the full "
              f"1,000,000; seed {SEED}) in {took:.1f} s, of which they were produced in {produced:.1f} s, {deaths} deaths of workers, {deaths / poison:.1f} for each poison record, "
              f"{took / poison * 1000:.0f} ms for each", flush=True)
        if deaths_max is not None:
            self.assertLessEqual(deaths, deaths_max * poison)

    def begin_c(self, name, before):
        self.broker.stop()
        path = os.path.join(self.broker.home, "sluice.yaml")
        with open(path, "w") as file:
            file.write(f"plugins:\n  instances:\n    {name}:\n      module: {name}.so\n      input: [{name}]\n"
                       f"      output: {name}.out\n      limits: {{cpu_percent: 100, deadline_ms: 300, memory_bytes: 30 MiB}}\n")
        self.broker.extra = ["--config", path]
        self.broker.start()
        self.drop_c(name, before + C_EACH)

    def test_c_poison_costs_the_record_and_good_ones_come_out_once_and_in_order(self):
        self.begin_c("poison_c", WITH_INDEX)
        self.check("poison_c", C_KINDS, deaths_max=3.2)

    def test_verdicts_one_by_one_tell_as_well_which_record_it_was(self):
        self.begin_c("poison_verdicts", "if (index > 0) " + WITH_VERDICTS.replace("index)", "index - 1)"))
        self.check("poison_verdicts", ("segfault",), 2000, 2, deaths_max=3)

    def test_a_plugin_that_tells_nothing_is_searched(self):
        self.begin_c("poison_mute", "")
        self.check("poison_mute", ("segfault", "abort"), 2000, 2)

    def test_a_plugin_that_lies_about_where_it_is_costs_time_and_no_record(self):
        self.begin_c("poison_lies", SCRIBBLES)
        self.check("poison_lies", ("segfault", "abort"), 3000, 3)

    def test_lua_errors_cost_the_record_and_good_ones_come_out_once_and_in_order(self):
        self.broker.stop()
        path = os.path.join(self.broker.home, "sluice.yaml")
        with open(path, "w") as file:
            file.write("plugins:\n  instances:\n    poison_lua:\n      module: poison_lua.lua\n      input: [poison_lua]\n"
                       "      output: poison_lua.out\n      limits: {cpu_percent: 100}\n")
        self.broker.extra = ["--config", path]
        self.broker.start()
        self.drop("poison_lua.lua", LUA)
        self.wait_log(" poison_lua ", " loaded ")
        self.check("poison_lua", ("error",))


@unittest.skipIf(Consumer is None, "python3-confluent-kafka is not installed")
class Innocent(PluginTest):
    def check(self, name, count):
        self.produce(name, *[f"r{i}" for i in range(count)])
        self.assertEqual(self.wait_values(name + ".out", count), [f"r{i}" for i in range(count)])
        self.assertEqual((self.info(name)["records_poisoned"], self.info(name)["records_rejected"]), ("0", "0"))

    def test_a_leak_in_c_convicts_nobody(self):
        self.drop_c("leaky", "char *p = malloc(100 << 10); if (p == NULL) abort(); memset(p, 1, 100 << 10);",
                    limits={"memory_bytes": 40 << 20})
        self.check("leaky", 3000)
        self.assertGreater(int(self.info("leaky")["worker_deaths"]), 1)

    def test_a_crash_that_depends_on_state_convicts_nobody(self):
        self.drop_c("moody", "static int seen; if (++seen == 100) *(volatile int *)0 = 1;")
        self.check("moody", 2000)
        self.assertGreater(int(self.info("moody")["worker_deaths"]), 1)

    def test_a_failure_of_whole_batches_that_depends_on_state_convicts_nobody(self):
        self.drop_c("sulky", "static int seen; if (++seen > 300) return SLUICE_E_PLUGIN_ERROR;")
        self.check("sulky", 2000)

    def test_a_leak_in_lua_convicts_nobody(self):
        self.drop("lleak.lua", 'local kept = {}\nreturn {name="lleak", input="lleak", output="lleak.out",\n'
                  'process=function(r) kept[#kept + 1] = string.rep("x", 200000) .. r.value return r end}')
        self.wait_log(" lleak ", " loaded ")
        self.check("lleak", 1500)


if __name__ == "__main__":
    unittest.main()
