"""Profiles, `config explain|init|diff|import`, `check` and `generate`: what the command line gives for running a broker."""
import glob
import json
import os
import re
import subprocess
import unittest
import urllib.request

from sluice_broker import SLUICE, SOURCE, Broker

PROFILES = sorted(glob.glob(os.path.join(SOURCE, "conf", "profiles", "*.yaml")))


def sluice(*arguments):
    done = subprocess.run([SLUICE, *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


class Profiles(unittest.TestCase):
    def test_each_is_valid_and_gives_reasons(self):
        self.assertEqual(len(PROFILES), 5)
        for path in PROFILES:
            self.assertEqual(sluice("config", "check", path), (0, "valid\n", ""), path)
            with open(path) as file:
                self.assertGreater(file.read().count("#"), 4, path)

    def test_the_program_brings_the_same_text(self):
        for path in PROFILES:
            name = os.path.basename(path)[:-5]
            with open(path) as file:
                self.assertEqual(sluice("config", "init", "--profile", name)[1], file.read())

    def test_show_names_the_profile_as_origin_and_a_setting_wins(self):
        code, out, err = sluice("config", "show", "--profile", "edge", "--origin", "--set", "node.id=9")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^groups.members_max = 100  # edge:\d+:\d+$")
        self.assertRegex(out, r"(?m)^node.id = 9  # --set$")

    def test_an_unknown_profile_is_refused_with_the_names(self):
        code, _, err = sluice("serve", "--profile", "bulky")
        self.assertEqual(code, 78)
        self.assertIn("development", err)

    def test_each_one_serves(self):
        for path in PROFILES:
            broker = Broker("log.format=text", dev=False, start=False)  # what start() reads
            self.addCleanup(broker.close)
            broker.extra = ["--profile", os.path.basename(path)[:-5]]
            broker.start()
            code, out, _ = broker.run("check", "ready")
            self.assertEqual((code, out[:8]), (0, b"READY OK"), path)
            broker.close()


class Configuration(unittest.TestCase):
    def setUp(self):
        self.broker = Broker(start=False)
        self.addCleanup(self.broker.close)

    def file(self, name, text):
        path = os.path.join(self.broker.home, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def test_explain_says_what_a_key_is_and_helps_with_one_that_is_not(self):
        code, out, _ = sluice("config", "explain", "wal.age_max")
        self.assertEqual(code, 0)
        for part in ("duration", "10 min", "at the next start", "SLUICE_WAL__AGE_MAX"):
            self.assertIn(part, out)
        keys = [row["key"] for row in json.loads(sluice("config", "explain", "wal", "--json")[1])]
        self.assertIn("wal.bytes_max", keys)
        code, _, err = sluice("config", "explain", "wal.agemax")
        self.assertEqual(code, 1)
        self.assertIn("wal.age_max", err)

    def test_init_writes_a_file_once(self):
        path = os.path.join(self.broker.home, "new.yaml")
        self.assertEqual(sluice("config", "init", path)[0], 0)
        self.assertEqual(sluice("config", "check", path)[0], 0)
        self.assertEqual(sluice("config", "init", path)[0], 74)
        self.assertEqual(sluice("config", "init", path, "--force")[0], 0)

    def test_set_changes_a_value_and_nothing_else_and_never_makes_a_file_wrong(self):
        path = self.file("set.yaml", "# mine\nlog: # loud\n  level: info   # for now\n")
        os.chmod(path, 0o600)
        code, out, err = sluice("config", "set", path, "log.level=debug", "wal.age_max=5 min", "--json")
        self.assertEqual((code, [(row["key"], row["after"]) for row in json.loads(out)]),
                         (0, [("log.level", "debug"), ("wal.age_max", "5 min")]), err)
        written = "# mine\nwal:\n  age_max: 5 min\nlog: # loud\n  level: debug   # for now\n"
        with open(path) as file:
            self.assertEqual(file.read(), written)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(os.path.dirname(path)).count("set.yaml.new"), 0)
        for words, code, sentence in ((("log.level=loud",), 78, "debug"), (("log.levle=info",), 78, "log.level"),
                                      (("log.level",), 64, "KEY=VALUE"), (("log=1",), 78, "section")):
            done = sluice("config", "set", path, *words)
            self.assertEqual(done[0], code, done)
            self.assertIn(sentence, done[2])
        self.assertEqual(sluice("config", "set", path, "log.format=json", "--dry-run")[0], 0)
        with open(path) as file:
            self.assertEqual(file.read(), written)
        self.assertEqual(sluice("config", "set", path + ".none", "log.level=info")[0], 74)
        self.file("set.yaml.new", "somebody's")
        code, _, err = sluice("config", "set", path, "log.format=json")
        self.assertEqual((code, "set.yaml.new is there" in err), (74, True), err)
        for name, text in (("set.yaml", written), ("set.yaml.new", "somebody's")):
            with open(os.path.join(os.path.dirname(path), name)) as file:
                self.assertEqual(file.read(), text)

    def test_diff_names_what_differs(self):
        one, two = self.file("one", "log: {level: info}\n"), self.file("two", "log: {level: debug}\n")
        self.assertEqual(sluice("config", "diff", one, one), (0, "", ""))
        code, out, _ = sluice("config", "diff", one, two, "--json")
        self.assertEqual((code, json.loads(out)), (1, [{"key": "log.level", "before": "info", "after": "debug"}]))

    def test_a_configuration_of_kafka_becomes_one_of_ours(self):
        path = self.file("server.properties", "# a comment\nbroker.id=7\nlisteners=PLAINTEXT://:9092\nlog.dirs = /k,/l\n"
                         "log.retention.hours=2\noffsets.retention.minutes: 30\nlog.cleaner.min.cleanable.ratio=0.25\n"
                         "num.io.threads=8\nlisteners.of.mine=1\nadvertised.listeners=SSL://a:1\n")
        code, out, err = sluice("config", "import", path)
        self.assertEqual(code, 3)
        for name, why in (("num.io.threads", "runtime.shards"), ("listeners.of.mine", "nothing like it"),
                          ("advertised.listeners", "in the clear")):
            self.assertRegex(err, "ignored %s: .*%s" % (re.escape(name), why))
        ours = self.file("ours.yaml", out)
        code, out, err = sluice("config", "show", "--config", ours)
        self.assertEqual((code, err), (0, ""))
        for line in ("kafka.listen = 0.0.0.0:9092", "node.id = 7", "data.dir = /k/sluice", "retention.ms = 7200000",
                     "groups.offsets_retention = 30 min", "compaction.min_dirty_percent = 25"):
            self.assertIn(line + " ", out)


    def test_the_file_that_kafka_ships_is_taken_over_and_serves(self):
        code, out, err = sluice("config", "import", os.path.join(SOURCE, "tests", "data", "kafka4_server.properties"))
        self.assertEqual(code, 3)
        self.assertNotIn("nothing like it", err)
        self.assertIn("note auto.create.topics.enable", err)
        ignored = re.findall(r"(?m)^ignored ([^:]+):", err)
        self.assertEqual(sorted(ignored), ["controller.listener.names", "controller.quorum.bootstrap.servers", "inter.broker.listener.name",
                                           "listener.security.protocol.map", "log.segment.bytes", "num.io.threads", "num.network.threads",
                                           "num.recovery.threads.per.data.dir", "offsets.topic.replication.factor", "process.roles",
                                           "share.coordinator.state.topic.min.isr", "share.coordinator.state.topic.replication.factor",
                                           "socket.receive.buffer.bytes", "socket.send.buffer.bytes", "transaction.state.log.min.isr",
                                           "transaction.state.log.replication.factor"])
        for line in ("  ms: 604800000 # log.retention.hours", "  id: 1 # node.id", '  listen: "0.0.0.0:9092" # listeners'):
            self.assertIn(line + "\n", out)  # as the schema wants it: numbers are no texts
        ours = self.file("ours.yaml", out)
        shown = sluice("config", "show", "--config", ours, "--origin")[1]
        for line in ("kafka.listen = 0.0.0.0:9092  # ", "kafka.advertised = localhost:9092  # ", "data.dir = /tmp/kraft-combined-logs/sluice  # ",
                     "retention.ms = 604800000  # ", "retention.check_interval = 5 min  # ", "core.topics.partitions = 1  # "):
            self.assertIn(line + ours, shown)
        self.broker.extra = ["--config", ours]
        self.broker.settings.append("data.dir=" + os.path.join(self.broker.home, "data"))
        self.broker.start()
        self.assertEqual(self.broker.run("check", "ready")[0], 0)

    def test_listeners_of_clients_are_told_from_those_of_controllers(self):
        for text, shown in (("listeners=INTERNAL://h:9094\nlistener.security.protocol.map=INTERNAL:PLAINTEXT\n", "h:9094"),
                            ("listeners=INTERNAL://h:9094\nlistener.security.protocol.map=INTERNAL:SSL\n", None),
                            ("listeners=PLAINTEXT://h:1,SSL://h:2\n", None),
                            ("listeners=A://h:1, B://h:2 ,PLAINTEXT://h:3\ncontroller.listener.names=A,B\n", "h:3"),
                            ("listeners=A://h:1\ncontroller.listener.names=A\n", None), ("listeners=PLAINTEXT\n", None)):
            _, out, err = sluice("config", "import", self.file("k.properties", text))
            if shown is None:
                self.assertIn("ignored listeners: only one", err, text)
            else:
                self.assertIn('listen: "%s"' % shown, out, text)


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)

    def check(self, *arguments):
        code, out, _ = self.broker.run("check", *arguments)
        return code, out.decode()

    def test_checks_answer_as_nagios_wants_it(self):
        self.assertRegex(self.check("ready")[1], r"^READY OK - version")
        self.assertEqual(self.check("disk", "--warn", "0", "--crit", "101")[0], 1)
        self.assertEqual(self.check("disk", "--warn", "0", "--crit", "0")[0], 2)
        self.assertEqual(self.check("plugin"), (0, "PLUGIN OK - 0 loaded, none failed\n"))
        self.assertEqual(self.check("plugin", "mask")[0], 2)
        self.assertEqual(self.check("lag", "nobody")[0], 3)
        code, out, _ = sluice("check", "ready", "--home", self.broker.home + "/nobody")
        self.assertEqual((code, out), (2, "READY CRITICAL - no answer from the broker\n"))

    def test_a_lag_is_measured_in_records(self):
        self.broker.produce("lags", ["one", "two", "three"])
        self.broker.kcat("-G", "behind", "-c", "1", "-X", "auto.offset.reset=earliest", "lags")
        code, out = self.check("lag", "behind", "--warn", "1", "--crit", "1000")
        self.assertRegex(out, r"^LAG WARNING - group behind is [23] records behind")
        self.assertEqual(code, 1)

    def test_metrics_of_generated_files_exist(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.broker.http, timeout=30) as answer:
            known = set(re.findall(r"^# TYPE (\S+)", answer.read().decode(), re.M))
        for what in ("prometheus", "grafana"):
            used = set(re.findall(r"\bsluice_[a-z_]+", sluice("generate", what)[1]))
            self.assertGreater(len(used), 8, what)
            self.assertEqual({name for name in used if re.sub("_bucket$", "", name) not in known}, set(), what)
        json.loads(sluice("generate", "grafana")[1])

    def test_a_generated_unit_names_this_program(self):
        self.assertIn("ExecStart=%s serve" % os.path.realpath(SLUICE), sluice("generate", "systemd")[1])
        self.assertIn("image: sluice", sluice("generate", "compose")[1])
