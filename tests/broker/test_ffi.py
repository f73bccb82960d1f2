"""Functions of plain shared libraries in a real broker: the examples as their READMEs say, what is not
allowed, a crash in the function."""
import json
import os
import re
import subprocess
import unittest

import test_plugins
from sluice_broker import BUILD, SOURCE, Broker, need, wait_for

CRASHER = """
#include <stdint.h>
#include <stdlib.h>
int64_t twice(int64_t x);
int64_t twice(int64_t x) { if (x == 13) abort(); return 2 * x; }
"""


def blocks_of(path):
    """(kind, text) of each fenced block."""
    with open(path) as file:
        return re.findall(r"^```(\w[\w ]*)\n(.*?)^```", file.read(), re.M | re.S)


class Examples(unittest.TestCase):
    """Every block runs in order, in a folder that looks like the source tree; a text block lists lines that the
    block before it writes."""

    def follow(self, name):
        need("kcat")
        self.broker, output = None, ""
        for kind, text in blocks_of(os.path.join(SOURCE, "examples", name, "README.md")):
            if kind == "sh start":
                config = re.search(r"--config (\S+)", text).group(1)
                self.broker = Broker("runtime.shards=1", start=False)
                self.addCleanup(self.broker.close)
                self.broker.extra = ["--config", os.path.join(SOURCE, config)]
                self.broker.start()
            elif kind in ("sh", "sh again"):
                again = text
                if kind == "sh":
                    self.run_block(text)
            if kind == "text":
                def holds():
                    nonlocal output
                    output = self.run_block(again, False)
                    return all(line in output for line in text.splitlines())
                try:
                    wait_for(holds, f"{name}: {text}", 0.2)
                except AssertionError as error:
                    log = self.broker.log() if self.broker else ""
                    raise AssertionError(f"{error}\n{output}\n{log[-2000:]}") from None

    def run_block(self, text, must=True):
        environment = dict(os.environ, PATH=os.path.join(BUILD, "bin") + ":" + os.environ["PATH"])
        if self.broker is not None:
            text = text.replace("localhost:9092", self.broker.address)
            text = text.replace("var/plugins/", os.path.join(self.broker.home, "plugins/"))
            text = re.sub(r"(?m)^(sluice .*)$", r"\1 --home %s" % self.broker.home, text)
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", text], cwd=SOURCE, timeout=60, text=True,
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if must:
            self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_zlib_gives_a_header(self):
        self.follow("ffi_crc32")

    def test_libm_gives_a_score_in_lua(self):
        self.follow("ffi_score_lua")

    def test_a_function_of_ones_own_rates_a_transfer(self):
        self.follow("ffi_own_function")


class Functions(test_plugins.PluginTest):
    def setUp(self):
        pass

    def start(self, instances):
        self.broker = Broker("runtime.shards=1", start=False)
        self.addCleanup(self.broker.close)
        self.plugins = os.path.join(self.broker.home, "plugins")
        config = os.path.join(self.broker.home, "sluice.yaml")
        with open(config, "w") as file:
            json.dump({"plugins": {"instances": instances}}, file)
        self.broker.extra = ["--config", config]

    def crasher(self, **changes):
        library = os.path.join(self.broker.home, "libcrasher.so")
        source = os.path.join(self.broker.home, "crasher.c")
        with open(source, "w") as file:
            file.write(CRASHER)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        instance = {"module": "processor_ffi", "input": ["numbers"], "output": "numbers.twice",
                    "permissions": ["library " + library],
                    "config": {"library": library, "signature": "i64 twice(i64)", "arguments": ["value"],
                               "result": "value"}}
        instance.update(changes)
        return instance

    def test_a_record_that_crashes_the_function_is_set_aside_and_the_others_go_on(self):
        self.start({})
        with open(self.broker.extra[1], "w") as file:
            json.dump({"plugins": {"instances": {"twice": self.crasher()}}}, file)
        self.broker.start()
        self.wait_log(" twice ", "loaded", "attached=")
        self.produce("numbers", "1", "13", "x", "4")
        self.assertEqual(self.wait_values("numbers.twice", 2), ["2", "8"])
        dead = lambda: self.broker.run("consume", "__sluice_dlq.twice", "-n", "2", "--json")[1].decode()
        wait_for(lambda: dead().count("\n") == 2, "two dead letters")
        self.assertIn("SIGABRT", dead())
        self.assertIn("argument 1 (value) of twice: it is not an integer", dead())

    def test_a_library_that_is_not_allowed_is_named_with_what_to_write(self):
        self.start({"score": {"module": "score.lua"},
                    "sum": {"module": "processor_ffi", "input": ["in"], "output": "out",
                            "config": {"library": "libz.so.1", "signature": "u64 crc32(u64, bytes32)",
                                       "arguments": [{"constant": 0}, "value"], "result": "value"}}})
        self.broker.start()
        self.wait_log(" sum ", "not loaded", "the library libz.so.1 is not allowed", "library libz.so.1",
                      "permissions")
        with open(os.path.join(SOURCE, "examples", "ffi_score_lua", "score.lua")) as file:
            self.drop("score.lua", file.read())
        self.wait_log(" score ", "not loaded", "score.lua:2: ffi.bind: the library libm.so.6 is not allowed",
                      "library libm.so.6")

    def test_a_library_that_is_none_keeps_the_plugin_out(self):
        self.start({})
        instance = self.crasher(permissions=["library /etc/passwd"])
        instance["config"]["library"] = "/etc/passwd"
        with open(self.broker.extra[1], "w") as file:
            json.dump({"plugins": {"instances": {"twice": instance}}}, file)
        self.broker.start()
        self.wait_log(" twice ", "not loaded", "cannot open /etc/passwd for the plugin")


if __name__ == "__main__":
    unittest.main()
