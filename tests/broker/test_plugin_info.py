"""What a plugin does and costs, as `sluice plugin info`, `list` and /metrics tell it."""
import os
import re
import unittest
import urllib.request

import test_plugins
from sluice_broker import SOURCE, wait_for

PAGE = os.path.join(SOURCE, "docs", "plugins", "metrics.md")
# Of ten records: 4 pass, 3 are dropped, 2 become three each, 1 is rejected; so ten are written.
MIX = """return {name="mix", input="mix", output="mix.out", process=function(r)
  local kind = r.value:sub(1, 1)
  if kind == "d" then return nil end
  if kind == "e" then emit(r) emit(r) return r end
  if kind == "r" then reject("a record to reject") end
  return r
end}"""


class Info(test_plugins.PluginTest):
    def scrape(self):
        return urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.broker.http, timeout=30).read().decode()

    def series(self, name):
        """Labels to value, of all series of a metric."""
        found = re.findall(r"^%s\{(.*)\} (\S+)$" % name, self.scrape(), re.M)
        return {labels: float(value) for labels, value in found}

    def one(self, name, plugin):
        return self.series(name).get(f'plugin="{plugin}"')

    def text(self, *args):
        code, out, err = self.broker.run("plugin", *args)
        self.assertEqual(code, 0, err)
        return out.decode()


class Counts(Info):
    def shards(self):
        """Each has a worker of its own, with its own limits."""
        return len(self.broker.json("status")["shards"])

    def test_a_plugin_of_known_behaviour_gives_exactly_these_counts(self):
        self.drop("mix.lua", MIX)
        self.wait_log(" mix ", " loaded ")
        for done in range(10, 101, 10):  # each is processed before the next: a busy stage takes several as one batch
            self.produce("mix", "p1", "d1", "p2", "e1", "d2", "p3", "e2", "d3", "r1", "p4")
            wait_for(lambda: self.info("mix")["records_in"] == str(done), f"{done} records: {self.info('mix')}")
        info = self.info("mix")
        expected = {"records_out": "100", "records_dropped": "30", "records_rejected": "10",
                    "records_dead_lettered": "10", "records_retried": "0", "records_poisoned": "0", "retries": "0",
                    "worker_starts": str(self.shards()), "worker_deaths": "0", "queued_batches": "0", "running_batches": "0",
                    "workers": str(self.shards()), "kept_versions": "0"}
        self.assertEqual({key: info[key] for key in expected}, expected)
        self.assertEqual(info["last_error"], "a record to reject")
        self.assertRegex(info["last_error_time"], r"^\d{4}-\d\d-\d\dT")
        self.assertEqual(info["denied_calls"], {})
        times = info["times"]
        self.assertEqual(times["record"]["count"], "100")
        self.assertIn(int(times["batch"]["count"]), range(10, 101))
        self.assertGreater(int(times["record_cpu"]["count"]), 0)
        for what, row in times.items():
            quantiles = [int(row[key]) for key in ("p50_ns", "p99_ns", "p999_ns")]
            self.assertEqual(quantiles, sorted(quantiles), what)
            self.assertGreater(quantiles[0], 0, what)
        self.assertGreater(int(info["cpu_ns"]), 0)
        self.assertGreater(int(info["memory_bytes"]), 1 << 20)
        self.assertEqual(info["memory_limit_bytes"], str(self.shards() * (100 << 20)))
        self.assertEqual(info["cpu_limit_ppm"], str(self.shards() * 100000))
        self.assertEqual(self.places_of(info), [("mix", 0, "100", "0", 0)])
        for name, value in {"records_in": 100, "records_out": 100, "records_dropped": 30, "records_rejected": 10,
                            "records_dead_lettered": 10, "records_retried": 0}.items():
            self.assertEqual(self.one(f"sluice_plugin_{name}_total", "mix"), value, name)
        self.assertEqual(self.one("sluice_plugin_record_seconds_count", "mix"), 100)
        self.assertGreater(self.one("sluice_plugin_batch_seconds_sum", "mix"), 0)
        self.assertGreater(self.one("sluice_plugin_cpu_seconds_total", "mix"), 0)

    def places_of(self, info):
        return [(e["topic"], e["partition"], e["position"], e["lag"], e["lag_seconds"]) for e in info["partitions"]]

    def test_the_text_is_in_columns_and_the_list_is_short(self):
        self.drop("mix.lua", MIX)
        self.wait_log(" mix ", " loaded ")
        self.produce("mix", "p1", "r1")
        wait_for(lambda: self.info("mix")["records_in"] == "2", "two records")
        text = self.text("info", "mix")
        self.assertRegex(text, r"(?m)^name +mix$")
        self.assertRegex(text, r"(?m)^last_error +a record to reject$")
        self.assertRegex(text, r"(?m)^  in +2$")
        self.assertRegex(text, r"(?m)^  dead_lettered +1$")
        self.assertRegex(text, r"(?m)^  a record +2( +\d[\d.]* (ns|us|ms|s)){4}$")
        self.assertRegex(text, r"(?m)^  memory +[\d.]+ MiB of %d.0 MiB$" % (self.shards() * 100))
        self.assertRegex(text, r"(?m)^  CPU now +[\d.]+ %% of %d %%$" % (self.shards() * 10))
        rows = self.text("list").splitlines()
        row = dict(zip(rows[0].split(), re.split(r"  +", rows[1])))
        self.assertEqual([row[k] for k in ("name", "state", "records_in", "records_out", "records_rejected")],
                         ["mix", "running", "2", "1", "1"])

    def test_lag_is_told_in_records_and_in_seconds(self):
        self.addCleanup(self.broker.crash)  # the stage never ends
        self.drop_c("stuck", 'while (has(record, "wait")) usleep(1000);', limits={"deadline_ms": 600000})
        self.produce("stuck", "a", "wait", "b")

        def lag():
            return (lambda place: place if place["lag"] != "0" else None)(self.info("stuck")["partitions"][0])
        place = wait_for(lag, "a lag")
        self.assertIn(place["lag"], ("2", "3"))
        wait_for(lambda: self.info("stuck")["partitions"][0]["lag_seconds"] > 1, "a lag of a second")
        labels = 'plugin="stuck",topic="stuck",partition="0"'
        wait_for(lambda: self.series("sluice_plugin_lag_seconds").get(labels, 0) > 1, "the same in /metrics")
        self.assertEqual(self.info("stuck")["running_batches"], "1")


class Ends(Info):
    def test_a_segfault_is_there_with_its_cause_and_time(self):
        self.drop_c("runner", 'if (has(record, "bad")) raise(SIGSEGV);', top="#include <signal.h>")
        self.produce("runner", "good", "bad", "fine")
        wait_for(lambda: self.info("runner")["records_in"] == "3", f"three records: {self.broker.log()[-2000:]}")
        info = self.info("runner")
        self.assertEqual(info["records_poisoned"], "1")
        self.assertEqual(info["records_dead_lettered"], "1")
        self.assertGreaterEqual(int(info["records_retried"]), 2)
        self.assertGreaterEqual(int(info["deaths_by_cause"]["crash"]), 2)
        self.assertIn("SIGSEGV", info["last_error"])
        self.assertRegex(self.text("info", "runner"), r"(?m)^deaths of workers, by cause\n  crash +\d+$")
        self.assertGreaterEqual(self.series("sluice_plugin_deaths_total")['plugin="runner",cause="crash"'], 2)
        self.assertGreater(self.one("sluice_plugin_last_error_timestamp_seconds", "runner"), 1.6e9)

    def test_a_denied_call_is_there_by_its_name(self):
        self.drop_c("runner", 'if (has(record, "bad")) socket(AF_INET, SOCK_STREAM, 0);')
        self.produce("runner", "good", "bad", "fine")
        wait_for(lambda: self.info("runner")["records_in"] == "3", f"three records: {self.broker.log()[-2000:]}")
        info = self.info("runner")
        self.assertEqual(list(info["denied_calls"]), ["socket"])
        self.assertEqual(info["denied_calls"]["socket"], info["deaths_by_cause"]["denied"])
        self.assertIn("socket", info["last_error"])
        self.assertRegex(self.text("info", "runner"), r"(?m)^denied calls\n  socket +\d+$")
        self.assertEqual(self.series("sluice_plugin_denied_calls_total")['plugin="runner",call="socket"'],
                         float(info["denied_calls"]["socket"]))

    def test_a_plugin_beyond_its_share_says_how_long_its_batches_waited(self):
        self.drop("burn.lua", 'return {name="burn", input="burn", output="burn.out", process=function(r)\n'
                  'local n = 0 for i = 1, 4000000 do n = n + i end return r end}')
        self.wait_log(" burn ", " loaded ")

        def rests(): # small batches, one after the other: a long one would end at its deadline
            self.produce("burn", "x", "x")
            return int(self.info("burn")["cpu_throttled_ns"]) > 0
        wait_for(rests, "a rest")
        self.assertGreater(int(self.info("burn")["cpu_ns"]), 500000000)


class Page(Info):
    def test_every_metric_of_plugins_is_in_the_page_and_the_page_names_no_other(self):
        told = set(re.findall(r"^# TYPE (sluice_plugin_\S+) ", self.scrape(), re.M))
        with open(PAGE) as file:
            named = set(re.findall(r"^\| `(sluice_plugin_[a-z0-9_]+)", file.read(), re.M))
        self.assertEqual(told, named)


if __name__ == "__main__":
    unittest.main()
