"""Places in the log, formats, columns, colours, and being asked."""
import json
import os
import pty
import subprocess
import unittest

from sluice_broker import SLUICE, Broker

NEEDS = ("frontend_kafka",)


class Output(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.broker.run("topic", "create", "two", "-p", "2")
        for partition in "01":
            cls.broker.run("produce", "two", "-p", partition, *(f"{partition}{i}" for i in range(10)))

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def ok(self, *arguments):
        code, out, err = self.broker.run(*arguments)
        self.assertEqual(code, 0, err)
        return out.decode()

    def values(self, *arguments):
        return self.ok("consume", "two", "-p", "0", *arguments).split()

    def test_places_and_spans(self):
        for place, wanted in (("start", range(10)), ("+8", (8, 9)), ("-2", (8, 9)), ("7:9", (7, 8)), (":2", (0, 1)), ("8:", (8, 9)),
                              ("-3:-1", (7, 8)), ("@-1h", range(10)), ("@-1h:end", range(10)), ("@0:@1", ()), ("end", ()),
                              ("@2020-01-01T00:00:00Z:2999-01-01T00:00:00Z", range(10))):
            self.assertEqual(self.values("-o", place), [f"0{i}" for i in wanted], place)
        self.assertEqual(self.ok("consume", "two", "-o", "-1").split(), ["09", "19"])
        self.assertEqual(self.values("-o", "2:4", "-F"), ["02", "03"], "a span ends, even if more may come")
        code, _, err = self.broker.run("consume", "two", "-o", "soon")
        self.assertEqual(code, 64)
        self.assertIn("@2026-11-21T11:00:00Z", err)
        code, _, err = self.broker.run("consume", "two", "-p", "7")
        self.assertEqual(code, 1)
        self.assertIn("two has no partition 7, it has 2 (SLU-1300)", err)

    def test_topic_offsets_and_trim_take_places(self):
        self.broker.run("produce", "trimmed", *"abcdef")
        table = self.ok("topic", "offsets", "trimmed", "--at", "-2")
        self.assertEqual([line.split() for line in table.splitlines()],
                         [["partition", "start", "end", "offsets", "at"], ["0", "0", "6", "6", "4"]])
        code, out, err = self.broker.run("topic", "trim", "trimmed", "-p", "0", "-b", "-2")
        self.assertEqual((code, out), (64, b""))
        self.assertIn("say --yes", err)
        self.assertEqual(self.ok("topic", "trim", "trimmed", "-p", "0", "-b", "-2", "--dry-run"), "trimmed 0 would begin at 4 (nothing was changed: --dry-run)\n")
        self.assertEqual(self.ok("topic", "trim", "trimmed", "-p", "0", "-b", "-2", "--yes"), "trimmed 0 begins at 4\n")
        self.assertEqual(self.broker.json("topic", "offsets", "trimmed")["partitions"],
                         [{"partition": 0, "start": "4", "end": "6", "offsets": "2"}])
        self.assertEqual(self.ok("topic", "delete", "trimmed", "--dry-run"), "would have deleted trimmed: 1 partitions, 2 offsets (nothing was changed: --dry-run)\n")
        self.assertEqual(self.broker.run("topic", "delete", "trimmed")[0], 64)
        self.assertEqual(self.ok("topic", "delete", "trimmed", "--yes"), "deleted trimmed\n")

    def test_formats(self):
        self.broker.run("produce", "formats", "v\xff", "-k", "key", "-H", "a=1", "-H", "b=2")
        for form, wanted in ((r"%t %p %o\n", "formats 0 0\n"), (r"%k{hex} %v{base64} %K %V %S %H", "6b6579 dsO/ 3 3 3 2"),
                             (r"%h|%h{b}|%h{b}{hex}|%h{c}", "a=1,b=2|2|32|"), (r"100%%\x41\t", "100%A\t")):
            self.assertEqual(self.ok("consume", "formats", "-f", form), wanted)
        self.assertRegex(self.ok("consume", "formats", "-f", "%T{iso} %T"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \d{13}$")
        self.assertIn("%h     bytes", self.ok("consume", "formats", "--format", "help"))
        for wrong, said in (("%z", '"%z"'), ("%p{hex}", "takes no {hex}")):
            code, out, err = self.broker.run("consume", "formats", "-f", wrong)
            self.assertEqual((code, out), (64, b""))
            self.assertIn(said, err)

    def test_columns_and_lines_of_json(self):
        self.assertEqual(self.ok("topic", "offsets", "two", "--columns", "end,partition"), "end  partition\n10   0\n10   1\n")
        rows = [json.loads(line) for line in self.ok("topic", "offsets", "two", "--jsonl").splitlines()]
        self.assertEqual([row["partition"] for row in rows], [0, 1])
        self.assertIn('no column "nope"; there are: partition', self.broker.run("topic", "offsets", "two", "--columns", "nope")[2])

    def terminal(self, *arguments, answer=b"", **environment):
        """What a terminal shows, and the exit code."""
        outer, inner = pty.openpty()
        done = subprocess.Popen([SLUICE, *arguments, "--home", self.broker.home, "--dev"], stdin=inner, stdout=inner, stderr=inner,
                                env={**os.environ, "TERM": "xterm", **environment})
        os.close(inner)
        os.write(outer, answer)
        shown = b""
        try:
            while piece := os.read(outer, 65536):
                shown += piece
        except OSError:
            pass
        os.close(outer)
        return done.wait(30), shown

    def test_colours_are_for_terminals_that_want_them(self):
        self.assertIn(b"\x1b[1m", self.terminal("topic", "list")[1])
        for arguments, environment in ((["--color", "never"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})):
            self.assertNotIn(b"\x1b", self.terminal("topic", "list", *arguments, **environment)[1])
        self.assertNotIn("\x1b", self.ok("topic", "list"))
        self.assertIn("\x1b", self.ok("topic", "list", "--color", "always"))
        self.assertEqual(self.broker.run("topic", "list", "--color", "blue")[0], 64)

    def test_a_person_is_asked_before_a_topic_goes(self):
        self.ok("topic", "create", "asked")
        code, shown = self.terminal("topic", "delete", "asked", answer=b"n\n")
        self.assertEqual(code, 1)
        self.assertIn(b"Go on? [y/N]", shown)
        self.assertEqual(self.terminal("topic", "delete", "asked", answer=b"y\n")[0], 0)
        self.assertNotIn("asked", self.ok("topic", "list"))

    def failure(self, *arguments):
        """The object of a failure, which must be all of stdout."""
        done = subprocess.run([SLUICE, *arguments], capture_output=True, text=True, timeout=60)
        told = json.loads(done.stdout)
        self.assertEqual((told["ok"], told["exit"]), (False, done.returncode), done.stdout)
        self.assertTrue(told["error"]["message"] and told["error"]["message"] in done.stderr, done)
        self.assertTrue(told["error"]["next"], done.stdout)
        return told["error"]["code"], told["error"]["message"]

    def test_who_asks_for_json_gets_failures_as_json_before_any_broker_answers(self):
        self.assertEqual(self.failure("topic", "list", "--json", "--socket", "/nonexistent/s")[0], "SLU-1605")
        code, message = self.failure("topic", "lst", "--json")
        self.assertEqual(code, "SLU-1002")
        self.assertIn('did you mean "sluice topic list"?', message)
        self.assertEqual(self.failure("topic", "create", "x", "-p", "zero", "--jsonl")[0], "SLU-1002")
        self.assertEqual(self.failure("topic", "delete", "x", "--json", "--home", self.broker.home)[0], "SLU-1015")  # nobody can be asked
        answered = subprocess.run([SLUICE, "topic", "describe", "tow", "--json", "--home", self.broker.home], capture_output=True, text=True)
        self.assertEqual(json.loads(answered.stdout)["error"]["code"], "SLU-1300")  # the broker's own, once

    def test_commands_are_found_under_the_words_that_others_have_for_them(self):
        self.ok("topic", "create", "other_words")
        self.ok("topic", "produce", "other_words", "x")
        self.assertEqual(self.ok("topic", "consume", "other_words"), "x\n")
        for words, command in ((("wal", "repair"), "wal salvage"), (("debug", "sandbox"), "sandbox explain"), (("transform", "info"), "plugin info")):
            told = subprocess.run([SLUICE, *words, "--help"], capture_output=True, text=True)
            self.assertIn("Usage: sluice " + command, told.stdout)

    def test_what_is_like_a_word_that_is_not_known_is_said(self):
        for arguments, meant in ((("topic", "create", "x", "-c", "retention.mss=1"), "did you mean 'retention.ms'?"),
                                 (("topic", "alter", "two", "-c", "segment.byte=1"), "did you mean 'segment.bytes'?"),
                                 (("acl", "add", "User:a", "Raed", "Topic:t"), "did you mean Read?"),
                                 (("acl", "add", "User:a", "Read", "topics:t"), "did you mean Topic:t?"),
                                 (("quota", "set", "User:a", "producer_byte_rat=1"), "did you mean producer_byte_rate?"),
                                 (("topic", "describe", "tow"), 'did you mean "two"?')):
            code, _, err = self.broker.run(*arguments)
            self.assertNotEqual(code, 0)
            self.assertIn(meant, err)
        done = subprocess.run([SLUICE, "serve", "--dvv"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr.count("sluice serve: ")), (64, 1), done.stderr)
        self.assertIn("did you mean --dev?", done.stderr)


if __name__ == "__main__":
    unittest.main()
