"""The commands for those who write plugins, by the real binary: each case, batch and life in a worker."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from sluice_broker import SLUICE, SOURCE, Broker

MASK = os.path.join(SOURCE, "examples", "mask_lua", "mask.lua")


class Workbench(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-workbench-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def sluice(self, *arguments, cwd=None):
        """Exit code, standard output, standard error."""
        done = subprocess.run([SLUICE, *arguments], capture_output=True, text=True, timeout=120, cwd=cwd or self.folder)
        return done.returncode, done.stdout, done.stderr

    def ok(self, *arguments):
        code, out, err = self.sluice(*arguments)
        self.assertEqual(code, 0, out + err)
        return out

    def script(self, body, name="x.lua", head=""):
        return self.write(name, 'return { name = "x", on = "log", input = "in", output = "out", %s\n'
                                'process = function(record)\n%s\nend }\n' % (head, body))


class Test(Workbench):
    def cases(self, *cases, **more):
        return self.write("cases.yaml", json.dumps(dict(more, cases=list(cases))))

    def run_cases(self, *cases, **more):
        """(ok, differences) of each case."""
        self.cases(*cases, **more)
        code, out, err = self.sluice("plugin", "test", "x.lua", "--json")
        self.assertTrue(out, err)
        told = json.loads(out)
        self.assertEqual(code, 1 if told["failed"] else 0)
        return [(case["ok"], [difference["what"] for difference in case["differences"]]) for case in told["cases"]]

    def test_a_case_names_records_in_and_out_and_json_is_compared_as_json(self):
        shutil.copy(MASK, self.path("x.lua"))
        given = {"card": "1234-5678-9999", "id": 9007199254740993}
        good = {"id": 9007199254740993, "card": "****-****-9999"}
        self.assertEqual(self.run_cases(
            {"name": "good", "in": [{"json": given, "headers": {"a": "1"}}],
             "out": [{"json": good, "topic": "orders.masked", "headers": {"a": "1"}}]},
            {"name": "an id is not a float", "in": [{"json": given}], "out": [{"json": dict(good, id=9007199254740992)}]},
            {"name": "bytes are bytes", "in": [{"json": given}], "out": [{"value": json.dumps(good)}]},
            {"name": "topic, key and header", "in": [{"json": given}],
             "out": [{"topic": "other", "key": "k", "headers": {"b": "2"}}]},
            {"name": "too few and too many", "in": [{"json": {}}], "out": [{}, {}]},
            {"name": "nothing expected", "in": [{"json": {}}]}), [
                (True, []), (False, ["out 0, value"]), (False, ["out 0, value"]),
                (False, ["out 0, key", "out 0, topic", "out 0, header b"]), (False, ["out 1"]), (False, ["out 0"])])

    def test_rejections_errors_and_refusals_are_expected_by_a_part_of_their_reason(self):
        self.script('if record.value == "bad" then reject("no " .. config.word) end\nreturn nil',
                    head='init = function(config) if config.word == nil then error("word is missing") end end,')
        self.assertEqual(self.run_cases(
            {"name": "rejected", "in": [{"value": "good"}, {"value": "bad"}],
             "rejected": [{"record": 1, "reason": "no luck"}]},
            {"name": "not the reason", "in": [{"value": "bad"}], "rejected": [{"record": 0, "reason": "other"}]},
            {"name": "not rejected", "in": [{"value": "good"}], "rejected": [{"record": 0}]},
            {"name": "refused", "config": {"other": 1}, "refused": "word is missing"},
            {"name": "not refused", "refused": "word is missing"},
            config={"word": "luck"}), [
                (True, []), (False, ["record 0"]), (False, ["record 0"]), (True, []), (False, ["start"])])

    def test_the_limits_of_a_broker_are_in_force(self):
        self.script('if record.value == "spin" then while true do end end\nlocal t = {}\n'
                    'while true do t[#t + 1] = string.rep("x", 1000000) .. #t end')
        (spun, what), (grew, _) = self.run_cases({"name": "deadline", "in": [{"value": "spin"}], "rejected": [{"record": 0, "reason": ""}]},
                                                 {"name": "memory", "in": [{"value": "grow"}], "rejected": [{"record": 0, "reason": "memory"}]})
        self.assertTrue(spun, what)
        self.assertTrue(grew)

    def test_records_of_any_bytes_and_headers_that_come_twice(self):
        self.script("return record")
        self.assertEqual(self.run_cases(
            {"name": "bytes", "in": [{"key_base64": "/w==", "value_base64": "AAE="}, {"value": None}, {"value": ""}],
             "out": [{"key_base64": "/w==", "value_base64": "AAE="}, {"key": None, "value": None}, {"value": ""}]},
            {"name": "twice", "in": [{"value": "v", "headers": [{"a": "1"}, {"a": "2"}, {"b": None}]}],
             "out": [{"headers": [{"a": "1"}, {"a": "2"}, {"b": None}]}]},
            {"name": "time", "in": [{"value": "v", "timestamp": 1700000000000}], "out": [{"timestamp": 1700000000000}]}),
            [(True, [])] * 3)

    def test_an_output_to_a_topic_that_the_plugin_does_not_name_is_a_rejection(self):
        self.script('emit("elsewhere", record)')
        self.assertEqual(self.run_cases({"name": "granted", "in": [{"value": "v"}],
                                         "rejected": [{"record": 0, "reason": "may not write to the topic \"elsewhere\""}]}),
                         [(True, [])])

    def test_a_file_that_is_wrong_is_named_by_line_and_column(self):
        self.script("return record")
        for text, place, word in (
                ("cases:\n  - nam: x\n", ":2:", 'did you mean "name"'), ("cases: []\n", ":1:", "no cases"),
                ("cases:\n  - {in: []}\n", ":2:", "needs a name"), ("cases:\n  - {name: x, in: [{value: [1]}]}\n", ":2:", "json: "),
                ("cases:\n  - {name: x, in: [{value: a, json: b}]}\n", ":2:", "already"),
                ("cases:\n  - {name: x, in: [{value_base64: '='}]}\n", ":2:", "base64"),
                ("cases:\n  - {name: x, rejected: [{record: 1}]}\n", ":2:", "does not have"),
                ("cases:\n  - {name: x, refused: a, error: b}\n", ":2:", "alone"),
                ("cases:\n  - &a {name: x}\n", ":2:", "anchors"), ("cases:\n  - name: x\n   in: []\n", ":3:", "YAML"),
                ("cases: {" + "a: {" * 40, ":1:", "deep")):
            self.write("cases.yaml", text)
            code, out, err = self.sluice("plugin", "test", "x.lua")
            self.assertEqual((code, out), (78, ""), text)
            self.assertIn("cases.yaml" + place, err)
            self.assertIn(word, err)
        self.write("cases.yaml", "#" * 300000)
        code, _, err = self.sluice("plugin", "test", "x.lua")
        self.assertEqual(code, 1)
        self.assertIn("too large", err)

    def test_live_records_become_a_case_that_passes_until_the_plugin_changes(self):
        with Broker("runtime.shards=1") as broker:
            code, _, err = broker.run("produce", "in", "-k", "k", "-H", "h=1", stdin=b'one\n{"a":1}\n\xff\xfe\nbad\n')
            self.assertEqual(code, 0, err)
            self.script('if record.value == "bad" then reject("it is bad") end\nreturn record')
            code, _, err = broker.run("plugin", "test", self.path("x.lua"), "--record", "in", "3")
            self.assertEqual(code, 0, err)
            self.assertIn("3 records", err)
            told = json.loads(self.ok("plugin", "test", "x.lua", "--json"))
            self.assertEqual((told["passed"], told["failed"]), (1, 0))
            with open(self.path("cases.yaml")) as file:
                text = file.read()
            self.assertIn('{"a":1}'.replace('"', '\\"'), text)
            self.assertNotIn("one", text)
            code, _, err = broker.run("plugin", "test", self.path("x.lua"), "--record", "in", "4")
            self.assertEqual(code, 0, err)
            self.assertIn("2 passed", self.ok("plugin", "test", "x.lua"))
            self.script("return nil")
            code, out, _ = self.sluice("plugin", "test", "x.lua")
            self.assertEqual(code, 1)
            self.assertIn("0 passed, 2 failed", out)
            code, _, err = broker.run("plugin", "test", self.path("x.lua"), "--record", "nobody", "4")
            self.assertEqual(code, 1)


class NewAndBuild(Workbench):
    def test_each_template_builds_and_passes_its_own_test_at_once(self):
        out = self.ok("plugin", "new", "up", "--lang", "c")
        self.assertEqual(sorted(os.listdir(self.path("up"))), ["CMakeLists.txt", "README.md", "plugin.c", "tests"])
        self.assertIn("sluice plugin build up", out)
        self.assertIn("built up/up.so: up 0.1.0", self.ok("plugin", "build", "up"))
        self.assertIn("3 passed, 0 failed", self.ok("plugin", "test", "up"))
        self.ok("plugin", "new", "lower", "--lang", "lua")
        self.assertIn("3 passed, 0 failed", self.ok("plugin", "test", "lower"))
        self.assertIn("3 passed, 0 failed", self.ok("plugin", "test", "lower/tests/cases.yaml"))
        self.assertIn("3 passed, 0 failed", self.ok("plugin", "test", "lower/lower.lua"))
        self.ok("plugin", "new", "deep/line", "--lang", "frontend")
        self.assertIn("built deep/line/line.so: line 0.1.0", self.ok("plugin", "build", "deep/line"))
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertFalse(not name.endswith(".so") and b"my_" in file.read(), name)

    def test_a_folder_that_is_there_and_a_bad_name_are_refused_with_a_sentence(self):
        os.mkdir(self.path("there"))
        for words, code, sentence in ((["there"], 1, "is there already"), (["Up"], 2, "cannot be the name"),
                                      (["a-b"], 2, "cannot be the name"), (["../.."], 2, "cannot be the name"),
                                      (["x" * 49], 2, "at most 48"), (["x", "--lang", "rust"], 2, "c, lua and frontend")):
            got, out, err = self.sluice("plugin", "new", *words)
            self.assertEqual((got, out), (code, ""), words)
            self.assertIn(sentence, err)
        self.assertEqual(os.listdir(self.folder), ["there"])
        self.assertEqual(os.listdir(self.path("there")), [])

    def test_what_is_missing_to_build_is_named_and_the_old_module_stays(self):
        self.ok("plugin", "new", "up")
        self.ok("plugin", "build", "up")
        before = os.stat(self.path("up/up.so")).st_ino
        self.write("up/plugin.c", "int x = y;")
        code, _, err = self.sluice("plugin", "build", "up")
        self.assertEqual(code, 1)
        self.assertIn("undeclared", err)
        self.assertEqual(os.stat(self.path("up/up.so")).st_ino, before)
        self.assertEqual(sorted(os.listdir(self.path("up")))[-1], "up.so")
        done = subprocess.run([SLUICE, "plugin", "build", self.path("up")], capture_output=True, text=True, env={"PATH": "/nowhere"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("no C compiler", done.stderr)
        self.write("up/plugin.c", "int x;")
        code, out, err = self.sluice("plugin", "build", "up")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("no manifest", out)
        for words, sentence in ((["none"], "neither a folder nor"), (["none.c"], "no such file"), (["."], "holds no .c file")):
            code, _, err = self.sluice("plugin", "build", *words)
            self.assertEqual(code, 1)
            self.assertIn(sentence, err)
        lonely = os.path.join(self.folder, "bin")
        os.mkdir(lonely)
        shutil.copy(SLUICE, lonely)
        done = subprocess.run([os.path.join(lonely, "sluice"), "plugin", "build", self.path("up")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("SDK headers are missing", done.stderr)


if __name__ == "__main__":
    unittest.main()
