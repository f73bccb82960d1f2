"""What the tables of the command line make: help, pages, completions in real shells."""
import json
import os
import re
import shutil
import subprocess
import unittest

from sluice_broker import SLUICE, Broker

NEEDS = ("frontend_kafka",)

SOURCE = os.environ["SLUICE_SOURCE_DIR"]


def sluice(*arguments, env=None):
    done = subprocess.run([SLUICE, *arguments], capture_output=True, text=True, env=env)
    return done.returncode, done.stdout, done.stderr


class Pages(unittest.TestCase):
    def test_the_committed_reference_is_what_the_tables_say(self):
        with open(os.path.join(SOURCE, "docs/reference/cli.md"), encoding="utf-8") as page:
            self.assertEqual(page.read(), sluice("manual", "cli.md")[1],
                             "run: sluice manual cli.md > docs/reference/cli.md")

    def test_every_command_has_help_and_a_page(self):
        reference = sluice("manual", "cli.md")[1]
        pages = sluice("manual")[1].split()
        for name in re.findall(r"^### sluice (.*)$", reference, re.M):
            code, out, err = sluice("help", *name.split())
            self.assertEqual((code, err), (0, ""), name)
            self.assertIn("sluice " + name, out) if name != "serve" else self.assertIn("--config FILE", out)
            self.assertIn(f"sluice-{name.split()[0]}.1", pages)
            takes = [option for option in ("--json ", "--jsonl ", "--columns ") if "  " + option in out]
            self.assertIn(takes, ([], ["--json "], ["--json ", "--jsonl ", "--columns "]), name + ": who writes a table takes all three")

    def test_a_group_lists_its_commands(self):
        for words in (("topic", "--help"), ("help", "topic")):
            code, out, _ = sluice(*words)
            self.assertEqual(code, 0)
            self.assertIn("topic create", out)
        code, out, err = sluice("transform")
        self.assertEqual((code, out), (64, ""))
        self.assertIn("the same as plugin try", err)

    @unittest.skipUnless(shutil.which("scdoc") and shutil.which("man"), "scdoc or man is not installed")
    def test_the_man_pages_are_sound(self):
        folder = os.path.join(os.environ["SLUICE_BUILD_DIR"], "man-test")
        subprocess.run(["python3", os.path.join(SOURCE, "docs/man/make_pages.py"), SLUICE, folder], check=True)
        made = [os.path.join(at, file) for at, _, files in os.walk(folder) for file in files]
        names = {os.path.basename(page) for page in made}
        self.assertLessEqual({"sluice.1", "sluice-topic.1", "sluice.yaml.5", "sluice-plugin.7", "sluice-lua.7"}, names)
        for page in (page for page in made if os.path.basename(page) in ("sluice.1", "sluice-topic.1", "sluice-lua.7")):
            done = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True,
                                  env={**os.environ, "MANPAGER": "cat"})
            self.assertEqual((done.returncode, done.stderr), (0, ""), page)


class Completion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.broker.run("topic", "create", "orders", "payments")
        cls.env = {**os.environ, "SLUICE_ADMIN__SOCKET": os.path.join(cls.broker.home, "sluice.sock"),
                   "PATH": os.path.dirname(SLUICE) + ":" + os.environ["PATH"]}

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def asked(self, *words):
        code, out, err = sluice("__complete", "--", *words, env=self.env)
        self.assertEqual((code, err), (0, ""))
        return [line.split("\t")[0] for line in out.splitlines()]

    def test_commands_options_and_the_names_that_the_broker_has(self):
        self.assertIn("topic", self.asked("to"))
        self.assertEqual(self.asked("topic", "desc"), ["describe"])
        self.assertEqual(self.asked("topic", "describe", "ord"), ["orders"])
        self.assertEqual(self.asked("topic", "delete", "orders", "pay"), ["payments"])
        self.assertEqual(self.asked("topic", "create", "x", "--part"), ["--partitions"])
        self.assertEqual(self.asked("consume", "--format", "%v", "pay"), ["payments"])
        self.assertEqual(self.asked("completion", ""), ["bash", "zsh", "fish"])
        self.assertEqual(self.asked("plugin", "load", ""), [":files"])
        self.assertEqual(self.asked("transform", "try", ""), [":files"])
        self.assertEqual(self.asked("topic", "list", "--home", ""), [":dirs"])

    def test_where_no_broker_is_there_are_no_names_and_no_noise(self):
        done = subprocess.run([SLUICE, "__complete", "--", "topic", "describe", ""], capture_output=True, text=True,
                              env={**self.env, "SLUICE_ADMIN__SOCKET": "/nonexistent"})
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_bash(self):
        def reply(line):
            script = ('source <(sluice completion bash); COMP_WORDS=(' + line + '); COMP_CWORD=$((${#COMP_WORDS[@]}-1));'
                      '_sluice; printf "%s\\n" "${COMPREPLY[@]}"')
            return subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, env=self.env).stdout.split()
        self.assertEqual(reply("sluice topic describe ord"), ["orders"])
        self.assertEqual(reply("sluice dlq ''"), ["list", "show", "redrive"])

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self):
        out = subprocess.run(["fish", "--no-config", "-c", "sluice completion fish | source; complete -C 'sluice topic describe '"],
                             capture_output=True, text=True, env={**self.env, "HOME": self.broker.home}).stdout
        self.assertEqual(out.split(), ["orders", "payments"])

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        # what compadd is given, without a terminal
        script = ("_describe() { print -l -- ${found%%:*} }; compdef() { : }; source <(sluice completion zsh);"
                  "words=(sluice topic describe ord); CURRENT=4; _sluice")
        out = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, env=self.env)
        self.assertEqual((out.stdout.split(), out.stderr), (["orders"], ""))


class Errors(unittest.TestCase):
    def test_a_number_or_a_word_is_explained(self):
        for word in ("1303", "SLU-1303", "E_TOPIC_EXISTS"):
            code, out, _ = sluice("errors", word)
            self.assertEqual(code, 0)
            self.assertIn("SLU-1303  the topic exists already", out)
            self.assertIn("what to do", out)
        self.assertEqual(json.loads(sluice("errors", "1303", "--json")[1])["errors"][0]["kafka"], 36)
        self.assertIn("SLU-1101", sluice("errors", "disk")[1])
        self.assertEqual(sluice("errors", "xyzzy")[0], 1)

    def test_what_is_typed_wrongly_is_told_with_the_nearest_a_number_and_a_next_step(self):
        for words, wanted in ((("topic", "lst"), 'did you mean "sluice topic list"?'),
                              (("consume", "t", "--folow"), "did you mean --follow?"),
                              (("transform", "tyr"), 'did you mean "sluice transform try"?')):
            code, out, err = sluice(*words)
            self.assertEqual((code, out), (64, ""), words)
            self.assertIn(wanted, err)
            self.assertIn("SLU-1002", err)

    def test_the_broker_says_what_is_like_it_and_what_to_do(self):
        broker = Broker()
        try:
            broker.run("topic", "create", "orders")
            code, out, err = broker.run("topic", "describe", "ordres")
            self.assertEqual((code, out), (1, b""))
            self.assertEqual(err.splitlines()[0], "sluice: topic.describe failed: no such topic or partition: ordres (SLU-1300)")
            self.assertEqual(err.splitlines()[1].strip(), 'did you mean "orders"?')
            self.assertIn("sluice topic list", err.splitlines()[2])
            code, out, _ = broker.run("topic", "create", "orders", "--json")
            error = json.loads(out)["error"]
            self.assertEqual((code, error["code"]), (1, "SLU-1303"))
            self.assertIn("sluice topic describe", error["next"])
        finally:
            broker.close()

    def test_a_refused_connection_is_told_at_once_with_the_next_step(self):
        code, out, err = sluice("topic", "list", "--socket", "/nonexistent/s")
        self.assertEqual((code, out), (69, ""))
        self.assertIn("SLU-1605", err)
        self.assertIn("sluice serve --dev", err)


if __name__ == "__main__":
    unittest.main()
