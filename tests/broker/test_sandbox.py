"""The sandbox of a real broker: what explain says, what permissions and limits give, whether the
selftest holds."""
import json
import os
import socket
import subprocess
import threading
import time
import unittest

import test_plugins
from sluice_broker import SLUICE, Broker, on_a_terminal, wait_for

LAYERS = ["process", "cgroup memory", "cgroup cpu", "cgroup tasks", "rlimits", "namespaces", "user id",
          "capabilities", "landlock", "seccomp stage 1", "seccomp stage 2", "naming", "cpu share", "mode"]
STATES = {"in force", "partly", "not available", "off"}

# Emits what its resources give; fixed strings keep the C short.
USE_RESOURCES = """
    const struct sluice_host *host = self;
    const struct sluice_resources *all = host->get_extension(host, SLUICE_EXT_RESOURCES);
    char text[512] = "";
    for (uint32_t i = 0; i < all->count; i++) {
        const struct sluice_resource *item = (const void *)((const char *)all->items + i * all->stride);
        char line[64];
        long size = 0;
        if (item->kind == SLUICE_RESOURCE_CONNECTION) {
            send(item->descriptor, "ping", 4, 0);
            size = recv(item->descriptor, line, sizeof(line), 0);
        } else {
            size = pread(item->descriptor, line, sizeof(line), 0);
        }
        strncat(text, line, size > 0 ? (size_t)size : 0);
        strcat(text, ";");
    }
    struct sluice_emit out = {.size = sizeof(out), .partition = SLUICE_PARTITION_AUTO, .timestamp = -1,
                              .value = {(const unsigned char *)text, strlen(text)}};
    writer->emit(writer, index, &out);
"""
SPIN = """
    struct timespec now;
    long long until, at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    until = now.tv_sec * 1000000000ll + now.tv_nsec + 100000000ll;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        at = now.tv_sec * 1000000000ll + now.tv_nsec;
    } while (at < until);
"""


class SandboxTest(test_plugins.PluginTest):
    def start(self, instances, dev=True):
        """A broker with these plugins.instances."""
        self.broker = Broker("runtime.shards=1", dev=dev, start=False)
        self.addCleanup(self.broker.close)
        self.plugins = os.path.join(self.broker.home, "plugins")
        config = os.path.join(self.broker.home, "sluice.yaml")
        with open(config, "w") as file:
            json.dump({"plugins": {"instances": instances}}, file)
        self.broker.extra = ["--config", config]
        self.broker.start()

    def setUp(self):
        pass

    def explain(self, name):
        return self.broker.json("sandbox", "explain", name)


class Explain(SandboxTest):
    def test_a_running_plugin_is_explained_layer_by_layer(self):
        self.start({})
        self.drop_c("up", "writer->drop(writer, index);", permissions=["read-only /etc/hostname"],
                    outputs=["audit"], limits={"memory_bytes": 32 << 20, "cpu_percent": 50})
        told = self.explain("up")
        self.assertEqual(told["principal"], "Plugin:up")
        self.assertEqual(told["mode"], "enforce")
        self.assertEqual(told["reads"], ["up"])
        self.assertEqual(told["writes"][:2], ["up.out", "audit"])
        # The stricter of manifest, configuration and default.
        self.assertEqual(told["limits"]["memory_bytes"], str(32 << 20))
        self.assertEqual(told["limits"]["cpu_percent"], 10)
        self.assertEqual(told["limits"]["descriptors"], 50)
        self.assertEqual(told["permissions"], [{"permission": "read-only /etc/hostname",
                                                "state": "asked for, not granted by the configuration"}])
        self.assertEqual([layer["layer"] for layer in told["layers"]], LAYERS)
        self.assertTrue(all(layer["state"] in STATES and layer["detail"] for layer in told["layers"]))
        seccomp = next(layer for layer in told["layers"] if layer["layer"] == "seccomp stage 2")
        self.assertEqual(seccomp["state"], "in force")
        code, out, err = self.broker.run("sandbox", "explain", "up")
        self.assertEqual(code, 0, err)
        for word in (b"Plugin:up", b"seccomp stage 2", b"32 MiB", b"not granted"):
            self.assertIn(word, out)
        code, _, err = self.broker.run("sandbox", "explain", "nobody")
        self.assertEqual(code, 1)
        self.assertIn("nobody", err)

    def test_without_a_name_it_says_what_this_machine_gives(self):
        done = subprocess.run([SLUICE, "sandbox", "explain", "--json"], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([layer["layer"] for layer in json.loads(done.stdout)["layers"]], LAYERS)


class Selftest(unittest.TestCase):
    def test_attacks_are_chosen_by_words_and_hold(self):
        done = subprocess.run([SLUICE, "sandbox", "selftest", "rings", "call socket", "--json"],
                              capture_output=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr)
        told = json.loads(done.stdout)
        names = {row["attack"] for row in told["attacks"]}
        self.assertIn("call socket", names)
        self.assertIn("ring: 1,000,000 random writes", names)
        self.assertTrue(all(row["held"] for row in told["attacks"]))
        self.assertEqual((told["held"], told["failed"]), (len(names), 0))
        self.assertEqual([layer["layer"] for layer in told["layers"]], LAYERS)

    def test_it_writes_a_table_and_refuses_words_that_name_nothing(self):
        done = subprocess.run([SLUICE, "sandbox", "selftest", "control: garbage"], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"1 of 1 attacks were stopped", done.stdout)
        self.assertNotIn(b"\x1b", done.stdout)
        done = subprocess.run([SLUICE, "sandbox", "selftest", "nobody's"], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 64)

    def test_a_terminal_gets_colours_and_a_bar(self):
        shown = on_a_terminal("sandbox", "selftest", "control: garbage")
        self.assertIn(b"[..............................] 0 of 1", shown)
        self.assertIn(b"\x1b[32myes\x1b[0m", shown)


class Permissions(SandboxTest):
    def test_a_file_and_a_connection_come_as_descriptors_when_both_sides_say_so(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = "127.0.0.1:%d" % server.getsockname()[1]

            def answer():
                with server.accept()[0] as client:
                    client.recv(16)
                    client.sendall(b"pong")
                    client.recv(16)  # stays open as long as the worker
            threading.Thread(target=answer, daemon=True).start()
            self.start({"use": {"permissions": ["read-only /etc/hostname", "network-client " + peer,
                                                "read-only /etc/hosts"]}})
            self.drop_resources("use", ["read-only /etc/hostname", "network-client " + peer,
                                        "read-only /etc/shadow"])
            self.produce("use", "x")
            with open("/etc/hostname") as file:
                hostname = file.read()[:64]
            self.assertEqual("\n".join(self.wait_values("use.out", 1)), (hostname + ";pong;"))
            states = {entry["permission"]: entry["state"] for entry in self.explain("use")["permissions"]}
            self.assertEqual(states["read-only /etc/hostname"], "granted")
            self.assertEqual(states["network-client " + peer], "granted")
            self.assertIn("not granted", states["read-only /etc/shadow"])
            self.assertIn("does not ask", states["read-only /etc/hosts"])

    def drop_resources(self, name, permissions):
        source = test_plugins.c_source(name, USE_RESOURCES, permissions=permissions)
        source = source.replace("    (void)self;\n    for", "    for")
        built = os.path.join(self.broker.home, name + ".built")
        test_plugins.compile_plugin(built, source)
        os.rename(built, os.path.join(self.plugins, name + ".so"))
        self.wait_log(f" {name} ", "loaded", "attached=")

    def test_what_cannot_be_opened_keeps_the_plugin_out_and_is_named(self):
        self.start({"use": {"permissions": ["read-only /nowhere/at/all"]}})
        source = test_plugins.c_source("use", permissions=["read-only /nowhere/at/all"])
        test_plugins.compile_plugin(os.path.join(self.plugins, "use.so"), source)
        self.wait_log(" use ", "not loaded", "cannot open /nowhere/at/all for the plugin")

    def test_emitting_elsewhere_is_rejected_and_says_who_and_where(self):
        self.start({"mail": {"module": "mail.lua", "input": ["in"], "output": "out"}}, dev=False)
        for topic in ("in", "secrets"):
            self.broker.run("topic", "create", topic)
        self.drop("mail.lua", 'return {name="mail", process=function(r)\n'
                  'if r.value == "steal" then emit("secrets", r:copy()) return nil end return r end}')
        self.wait_log(" mail ", "loaded", "attached=")
        self.produce("in", "steal", "fine")
        self.assertEqual(self.wait_values("out", 1), ["fine"])
        wait_for(lambda: self.info("mail")["records_rejected"] == "1", "the rejected record")
        self.assertEqual(self.values("secrets"), [])
        record = self.broker.json("consume", "__sluice_dlq.mail", "-n", "1")
        self.assertIn("Plugin:mail may not write to topic secrets", json.dumps(record))


class Limits(SandboxTest):
    def test_a_gate_beyond_its_share_answers_in_time_and_serves_again(self):
        self.start({"busy": {"module": "busy.so", "limits": {"cpu_percent": 1, "deadline_ms": 2000}}})
        self.drop_c("busy", SPIN.replace("100000000ll", "50000000ll"), top="#include <time.h>", on="produce")
        self.broker.run("topic", "create", "busy")

        def send():
            code, _, err = self.broker.run("produce", "busy", stdin=b"x\n")
            return code == 0, err
        wait_for(lambda: "CPU share" in send()[1], "a producer that is told of the share")
        wait_for(lambda: send()[0], "the gate again")
        self.assertEqual(self.info("busy")["worker_deaths"], "0")
        self.assertGreater(int(self.info("busy")["cpu_rests"]), 0)

    def test_a_stage_that_waits_for_its_share_says_so(self):
        self.start({"slow": {"module": "slow.so", "limits": {"cpu_percent": 1}}})
        self.drop_c("slow", SPIN, top="#include <time.h>")

        def stalled():
            self.produce("slow", "x")  # until it has used what it may use at once
            return any(entry["stall"] == "waits for its CPU share" for entry in self.info("slow")["partitions"])
        wait_for(stalled, "a stall with its cause")

    def test_a_plugin_beyond_its_cpu_share_waits_and_loses_nothing(self):
        self.start({"spin": {"module": "spin.so", "limits": {"cpu_percent": 20}}})
        self.drop_c("spin", SPIN, top="#include <time.h>")
        begun = time.monotonic()
        for i in range(30):  # a batch each: 3 s of CPU in all
            self.produce("spin", str(i))
        self.assertEqual(self.wait_values("spin.out", 30), [str(i) for i in range(30)])
        # 1 s at once, the rest at a fifth of the speed; up to four batches may be on their way beyond it.
        self.assertGreater(time.monotonic() - begun, (3 - 1 - 0.5) / 0.2)
        self.assertEqual(self.info("spin")["worker_deaths"], "0")


class Observe(SandboxTest):
    EACH = "if (socket(AF_INET, SOCK_STREAM, 0) >= 0) abort();"

    def test_in_dev_by_explicit_choice_a_denied_call_is_logged_and_fails(self):
        self.start({"net": {"module": "net.so", "sandbox": "observe"}})
        self.drop_c("net", self.EACH)
        self.produce("net", "a")
        self.assertEqual(self.wait_values("net.out", 1), ["a"])
        self.wait_log(" net ", "observe: made the forbidden system call socket, answered with EPERM")
        told = self.explain("net")
        self.assertEqual((told["mode"], told["observed_calls"]), ("observe", "1"))
        self.assertEqual(self.info("net")["worker_deaths"], "0")

    def test_outside_dev_it_is_refused_at_the_start(self):
        broker = Broker("plugins.instances.net.sandbox=observe", dev=False, start=False)
        self.addCleanup(broker.close)
        broker.spawn()
        self.assertEqual(broker.process.wait(timeout=60), 78)
        self.assertIn("run with --dev, or set it to enforce", broker.log())

    def test_enforced_it_ends_the_worker_and_names_the_call(self):
        self.start({})
        self.drop_c("net", self.EACH)
        self.produce("net", "a")
        self.wait_log(" net ", "worker ended", "denied", "socket")


if __name__ == "__main__":
    unittest.main()
