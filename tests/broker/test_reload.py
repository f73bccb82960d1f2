"""Code that is replaced while it runs: every way that a file changes on a disk, files that are no plugin,
new versions that fail on their way in, and reloads under load that lose, double and reorder nothing."""
import hashlib
import os
import shutil
import signal
import subprocess
import threading
import time
import unittest

from sluice_broker import Broker, need, wait_for
from test_plugins import PluginTest, c_source, compile_plugin

RELOADS = int(os.environ.get("SLUICE_RELOADS", 20 if "ASAN_OPTIONS" in os.environ else 100))
RATE = int(os.environ.get("SLUICE_RELOADS_RATE", 5000))  # records a second
RATE_MIN = int(os.environ.get("SLUICE_RELOADS_RATE_MIN", 0))  # fewer fail the test: of a machine that has nothing else to do
TAG = 'return {name="tag", input="in", output="out", process=function(r)\nr.value = r.value .. " %s"\nreturn r end}\n'


def sha(text):
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()[:8]


def write(path, text, mode="w"):
    with open(path, mode) as file:
        file.write(text)


def shell(command, cwd=None):
    subprocess.run(command, shell=True, check=True, cwd=cwd, timeout=60,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class ReloadTest(PluginTest):
    def wait_hash(self, name, text):
        wanted = sha(text)
        wait_for(lambda: self.info(name)["hash"] == wanted and self.info(name)["state"] == "running",
                 f"{name} at {wanted}: {self.broker.log()[-2000:]}")

    def children(self):
        with open(f"/proc/{self.broker.process.pid}/task/{self.broker.process.pid}/children") as file:
            direct = set(map(int, file.read().split()))
        for task in os.listdir(f"/proc/{self.broker.process.pid}/task"):
            with open(f"/proc/{self.broker.process.pid}/task/{task}/children") as file:
                direct |= set(map(int, file.read().split()))
        return direct

    def looked(self):
        """Two whole looks at the directory are over: whatever was there before is acted on."""
        self.look = getattr(self, "look", 0) + 1
        text = f'-- {self.look}\nreturn {{name="barrier", input="no", output="where", process=function(r) return r end}}\n'
        write(os.path.join(self.plugins, ".barrier"), text)
        os.rename(os.path.join(self.plugins, ".barrier"), os.path.join(self.plugins, "barrier.lua"))
        wait_for(lambda: any(p["name"] == "barrier" for p in self.broker.ask("plugin.list")["plugins"]), "barrier")
        self.wait_hash("barrier", text)


class Changes(ReloadTest):
    """Each way changes tag.lua; the new code runs once, the old one up to then."""

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.plugins, "tag.lua")
        self.side = os.path.join(self.broker.home, "side")  # the same file system, not watched
        os.mkdir(self.side)
        self.count = 0
        self.change_to(self.next_text(), lambda text: write(self.path, text))

    def next_text(self):
        self.count += 1
        return TAG % f"v{self.count}"

    def change_to(self, text, way):
        way(text)
        wait_for(lambda: self.knows("tag"), "tag to be loaded")
        self.wait_hash("tag", text)
        self.produce("in", f"r{self.count}")
        got = self.wait_values("out", self.count)
        self.assertEqual(got[-1], f"r{self.count} v{self.count}")
        self.assertNotIn("unloaded", self.broker.log())

    def ways(self, *ways):
        for way in ways:
            with self.subTest(way.__name__):
                self.change_to(self.next_text(), way)

    def beside(self, text, name="new"):
        path = os.path.join(self.side, name)
        write(path, text)
        return path

    def test_editors(self):
        def vim_renames_to_a_backup(text):
            write(os.path.join(self.plugins, ".tag.lua.swp"), "b0VIM")
            write(os.path.join(self.plugins, "4913"), "")
            os.remove(os.path.join(self.plugins, "4913"))
            os.rename(self.path, self.path + "~")
            write(self.path, text)
            os.remove(self.path + "~")
            os.remove(os.path.join(self.plugins, ".tag.lua.swp"))

        def vim_copies_a_backup_and_writes_in_place(text):
            shutil.copy(self.path, self.path + "~")
            write(self.path, text)
            os.chmod(self.path, 0o644)
            os.remove(self.path + "~")

        def an_editor_writes_a_temporary_file_and_renames(text):
            write(os.path.join(self.plugins, ".#tag.lua.tmp"), text)
            os.rename(os.path.join(self.plugins, ".#tag.lua.tmp"), self.path)

        def emacs_renames_links_and_locks(text):
            os.symlink("user@host.1:1", os.path.join(self.plugins, ".#tag.lua"))
            os.rename(self.path, self.path + "~")
            write(self.path, text)
            os.remove(os.path.join(self.plugins, ".#tag.lua"))
            os.remove(self.path + "~")

        def in_place_in_pieces(text):
            with open(self.path, "w") as file:
                for byte in text:
                    file.write(byte)
                    file.flush()

        def in_place_in_pieces_with_the_directory_looked_at_between(text):
            half = len(text) // 2
            write(self.path, text[:half])
            self.wait_log(" tag ", "not loaded", "keeps running")
            write(self.path, text[half:], "a")

        def truncated_first(text):
            write(self.path, "")
            write(self.path, text, "r+")

        self.ways(vim_renames_to_a_backup, vim_copies_a_backup_and_writes_in_place,
                  an_editor_writes_a_temporary_file_and_renames, emacs_renames_links_and_locks,
                  in_place_in_pieces, in_place_in_pieces_with_the_directory_looked_at_between, truncated_first)

    def test_commands(self):
        def cp(text):
            shell(f"cp {self.beside(text)} {self.path}")

        def cp_remove_destination(text):
            shell(f"cp --remove-destination -p {self.beside(text)} {self.path}")

        def mv(text):
            shell(f"mv {self.beside(text)} {self.path}")

        def sed_i(text):
            shell(f"sed -i 's/v{self.count - 1}/v{self.count}/' {self.path}")

        def install(text):
            shell(f"install -m 755 {self.beside(text)} {self.path}")

        def dd_over_it(text):
            shell(f"dd if={self.beside(text)} of={self.path} conv=notrunc bs=7; truncate -s {len(text)} {self.path}")

        def tee(text):
            shell(f"cat {self.beside(text)} | tee {self.path}")

        def tar(text):
            self.beside(text, "tag.lua")
            shell(f"tar -C {self.side} -cf - tag.lua | tar -C {self.plugins} -xf -")

        def rsync(text):
            self.beside(text, "tag.lua")
            if shutil.which("rsync"):
                shell(f"rsync -t {self.side}/tag.lua {self.plugins}/")
            else:  # what it does: a temporary file with a dot, times, rename
                write(os.path.join(self.plugins, ".tag.lua.x1Y2z3"), text)
                os.utime(os.path.join(self.plugins, ".tag.lua.x1Y2z3"), (1, 1))
                os.rename(os.path.join(self.plugins, ".tag.lua.x1Y2z3"), self.path)

        def rsync_inplace(text):
            self.beside(text, "tag.lua")
            if shutil.which("rsync"):
                shell(f"rsync --inplace --no-whole-file -I {self.side}/tag.lua {self.plugins}/")
            else:
                with open(self.path, "r+") as file:
                    file.write(text)
                    file.truncate()

        def hard_link_swap(text):
            os.link(self.beside(text, "linked"), self.path + "~")
            os.rename(self.path + "~", self.path)

        def written_through_another_name(text):
            write(os.path.join(self.side, "linked"), text)  # tag.lua is a link to it: no event names tag.lua
            shell(f"touch {self.plugins}")

        def deleted_and_made_again(text):
            os.remove(self.path)
            write(self.path, text)

        def same_size_and_time(text):
            before = os.stat(self.path)
            write(self.path, text)
            os.utime(self.path, ns=(before.st_atime_ns, before.st_mtime_ns))

        self.ways(cp, cp_remove_destination, mv, sed_i, install, dd_over_it, tee, tar, rsync, rsync_inplace,
                  hard_link_swap, written_through_another_name, deleted_and_made_again, same_size_and_time)

    def test_links(self):
        def symlink_in_its_place(text):
            os.symlink(self.beside(text, "one"), self.path + "~")
            os.rename(self.path + "~", self.path)

        def symlink_swap(text):
            shell(f"ln -sfn {self.beside(text, 'two')} {self.path}")

        def kubernetes_data_link(text):
            folder = os.path.join(self.plugins, f"..2026_{self.count}")
            os.mkdir(folder)
            write(os.path.join(folder, "tag.lua"), text)
            os.symlink(os.path.basename(folder), os.path.join(self.plugins, "..data_tmp"))
            os.rename(os.path.join(self.plugins, "..data_tmp"), os.path.join(self.plugins, "..data"))
            if not os.path.islink(self.path) or not os.readlink(self.path).startswith("..data"):
                os.symlink("..data/tag.lua", self.path + "~")
                os.rename(self.path + "~", self.path)

        def kubernetes_data_link_again(text):
            kubernetes_data_link(text)

        def the_target_is_written(text):
            write(os.path.join(self.plugins, "..data", "tag.lua"), text)  # no event: the slow look finds it

        self.ways(symlink_in_its_place, symlink_swap, kubernetes_data_link, kubernetes_data_link_again,
                  the_target_is_written)

    @unittest.skipIf(shutil.which("git") is None, "git is not installed")
    def test_git_checkout(self):
        git = f"git -c user.name=t -c user.email=t@example.org --git-dir={self.side}/git --work-tree={self.plugins}"
        shell(f"{git} init -q -b one; {git} add tag.lua; {git} commit -qm one; {git} checkout -qb two",
              cwd=self.plugins)
        second = TAG % "v2"
        write(os.path.join(self.side, "blob"), second)
        shell(f"cp {self.side}/blob tag.lua; {git} commit -qam two; {git} checkout -q one", cwd=self.plugins)
        self.looked()

        def checkout_of_a_branch(_):
            shell(f"{git} checkout -q two", cwd=self.plugins)
        self.ways(checkout_of_a_branch)
        shell(f"{git} checkout -q one; {git} checkout -q two; {git} checkout -q one; {git} checkout -q two; "
              f"{git} stash list", cwd=self.plugins)
        self.looked()
        self.assertEqual(self.info("tag")["hash"], sha(second))

    def test_what_changes_no_byte_loads_nothing(self):
        self.looked()
        starts, text = self.info("tag")["worker_starts"], open(self.path).read()
        for command in ("touch", "chmod 600", "chmod +x", "touch -d 2001-01-01", "chown 0"):
            shell(f"{command} {self.path}")
        write(self.path, text)
        shell(f"cp {self.path} {self.side}/same; mv {self.side}/same {self.path}; cp -p {self.path} {self.path}~; "
              f"mv {self.path}~ {self.path}")
        os.remove(self.path)
        write(self.path, text)
        for name in (".tag.lua.swp", "tag.lua~", "#tag.lua#", "tag.lua.bak", "tag.lua.orig", "4913", ".tag.lua"):
            write(os.path.join(self.plugins, name), TAG % "other")
        os.mkdir(os.path.join(self.plugins, "folder.lua"))
        self.looked()
        self.assertEqual(self.info("tag")["worker_starts"], starts)
        self.assertEqual(self.info("tag")["reason"], "")
        self.assertEqual(sorted(p["name"] for p in self.broker.ask("plugin.list")["plugins"]), ["barrier", "tag"])

    def test_back_and_forth_ends_at_what_the_file_says(self):
        texts = [TAG % f"v{i}" for i in range(2)]
        for i in range(40):
            write(self.path, texts[i % 2])
        self.looked()
        self.wait_hash("tag", texts[1])


class Refused(ReloadTest):
    """Whatever comes, the old one runs on, and log, info and metrics say why the new one does not."""
    settings = ("log.level=debug",)

    def still_runs(self, name, value, expected):
        before = len(self.values(name + ".out"))
        self.produce(name, value)
        self.assertEqual(self.wait_values(name + ".out", before + 1)[-1], expected)

    def refused(self, name, path_name, data, *words):
        """The file with these bytes is refused with these words; what ran goes on."""
        self.is_refused(name, words, *self.replace(name, path_name, data))

    def replace(self, name, path_name, data):
        info = self.info(name)
        offset = os.path.getsize(self.broker.log_path)
        path = os.path.join(self.plugins, path_name)
        write(path + "~", data, "wb" if isinstance(data, bytes) else "w")
        os.rename(path + "~", path)
        return info["worker_pid"], int(info["reloads_refused"]), offset

    def is_refused(self, name, words, pid, refusals, offset):
        wait_for(lambda: int(self.info(name)["reloads_refused"]) == refusals + 1,
                 f"{name} to be refused ({words}): {self.broker.log(offset)}")
        info = self.info(name)
        for word in words + ("keeps running",):
            self.assertIn(word, info["reason"], self.broker.log(offset))
        self.assertEqual((info["worker_pid"], info["state"]), (pid, "running"), self.broker.log(offset))
        self.wait_log(f" {name} ", "not loaded", "keeps running", *words)  # repeated lines are told once in 5 s

    def test_shared_objects_that_are_none(self):
        self.drop_c("solid", 'writer->pass(writer, index);')
        built = os.path.join(self.broker.home, "solid.so")
        compile_plugin(built, c_source("solid", 'writer->drop(writer, index);'))
        with open(built, "rb") as file:
            whole = file.read()
        self.still_runs("solid", "a", "a")
        for percent in (1, 20, 50, 70, 90, 99):
            self.refused("solid", "solid.so", whole[:len(whole) * percent // 100])
        self.refused("solid", "solid.so", whole[:len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
        self.refused("solid", "solid.so", b"")
        self.refused("solid", "solid.so", "#!/bin/sh\necho this is a text\n")
        self.refused("solid", "solid.so", bytes(100000))

        def patched(at, value):
            return whole[:at] + value + whole[at + len(value):]
        self.refused("solid", "solid.so", patched(18, b"\xb7\x00"), "machine")  # aarch64
        self.refused("solid", "solid.so", patched(4, b"\x01"))  # 32 bits
        self.refused("solid", "solid.so", patched(5, b"\x02"))  # the other byte order
        self.refused("solid", "solid.so", patched(16, b"\x02\x00"))  # an executable
        self.still_runs("solid", "b", "b")
        write(os.path.join(self.plugins, "solid.so~"), whole, "wb")
        os.rename(os.path.join(self.plugins, "solid.so~"), os.path.join(self.plugins, "solid.so"))
        self.wait_hash("solid", whole)

    def build(self, name, *args, edit=None, **kwargs):
        built = os.path.join(self.broker.home, "built.so")
        source = c_source(name, *args, **kwargs)
        compile_plugin(built, edit(source) if edit else source)
        with open(built, "rb") as file:
            return file.read()

    def test_modules_that_fail_on_their_way_in(self):
        self.drop_c("inward", 'writer->pass(writer, index);')
        self.still_runs("inward", "a", "a")

        def slot(name, body, kind="void *self"):
            def edit(source):
                return source.replace("static const struct sluice_processor processor = {",
                                      f"static sluice_status {name}({kind}) {{ (void)self; {body} }}\n"
                                      f"static const struct sluice_processor processor = {{.{name} = {name}, ")
            return edit

        def refused(*words, **kwargs):
            self.refused("inward", "inward.so", self.build("inward", **kwargs), *words)
        hanging = {}  # for 5 s: meanwhile the others
        for name, body in (("init", "for (volatile int i = 0;; i = i) {}"),
                           ("activate", "extern int usleep(unsigned); for (;;) usleep(100000);")):
            self.drop_c("hangs_" + name, 'writer->pass(writer, index);')
            hanging["hangs_" + name] = self.replace("hangs_" + name, f"hangs_{name}.so",
                                                    self.build("hangs_" + name, edit=slot(name, body)))
        refused("ABI", edit=lambda s: s.replace(".abi_major = SLUICE_ABI_MAJOR", ".abi_major = SLUICE_ABI_MAJOR + 1"))
        refused("ABI", edit=lambda s: s.replace(".abi_minor = SLUICE_ABI_MINOR", ".abi_minor = SLUICE_ABI_MINOR + 1"))
        refused(edit=lambda s: s.replace(".magic = SLUICE_PLUGIN_MAGIC", ".magic = 7"))
        refused(edit=lambda s: s.replace("SLUICE_PLUGIN(", "static const struct sluice_plugin_descriptor hidden = ("
                                         "struct sluice_plugin_descriptor){").replace(".required_extensions = NULL)", ".required_extensions = NULL}"))
        refused(top="extern int nobody_has_this(void); int use(void) { return nobody_has_this(); }\n"
                    "__attribute__((constructor)) static void call(void) { use(); }")
        refused("SIGILL", top="__attribute__((constructor)) static void crash(void) { __builtin_trap(); }")
        refused(edit=lambda s: s.replace("{ *ret_self = (void *)host; return SLUICE_OK; }",
                                         "{ (void)host; (void)ret_self; return SLUICE_E_INVALID; }"))
        for name in ("init", "activate"):
            refused(edit=slot(name, "return SLUICE_E_INVALID;"))
            refused("SIGILL", edit=slot(name, "__builtin_trap();"))
        refused(edit=slot("describe", "(void)ret; return SLUICE_E_INVALID;", "void *self, struct sluice_attachment *ret"))
        refused("inward (inward → inward)", output="inward")
        self.still_runs("inward", "b", "b")
        for name, before in hanging.items():
            self.is_refused(name, ("load timeout",), *before)
            self.still_runs(name, "a", "a")

    def test_scripts_that_fail_on_their_way_in(self):
        good = 'return {name="lua", input="lua", output="lua.out", process=function(r) return r end}\n'
        self.drop("lua.lua", good)
        self.wait_log(" lua ", " loaded ")
        for bad, words in ((good.replace("return r ", "return r r"), ["lua.lua:"]), ("", []), ("return 7\n", []),
                           ("\x1bLua\x54\x00", []), ("error('at the top')\n", ["at the top"]), (good[:30], []),
                           ('return {name="lua", input="lua", output="lua.out"}\n', ["process"]),
                           (good.replace("process", 'init=function() error("not today") end, process'), ["not today"]),
                           (good.replace("process", 'init=function() while true do end end, process'), []),
                           (good.replace('"lua.out"', '"lua"'), ["lua"]),
                           (good.replace('name="lua"', 'name="other"'), ["other"])):
            with self.subTest(bad):
                self.refused("lua", "lua.lua", bad, *words)
        self.still_runs("lua", "b", "b")
        series = self.broker_metrics("sluice_plugin_reloads_refused_total")
        self.assertEqual(series, [f'{{plugin="lua"}} {self.info("lua")["reloads_refused"]}'])
        self.drop("lua.lua", good + "-- whole again\n")
        self.wait_hash("lua", good + "-- whole again\n")
        self.assertEqual(self.info("lua")["reason"], "")

    def broker_metrics(self, name):
        import urllib.request
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.broker.http}/metrics", timeout=30).read().decode()
        return [line[len(name):] for line in text.splitlines() if line.startswith(name + "{")]

    def test_a_new_worker_that_dies_in_the_switch(self):
        self.addCleanup(self.broker.crash)
        self.drop_c("switch", 'writer->pass(writer, index);', limits={"deadline_ms": 60000})
        old = self.info("switch")["hash"]
        before = self.children()  # one for each shard; the record goes to one of them
        for pid in before:
            os.kill(pid, signal.SIGSTOP)  # however slow this machine is, its batch does not end
        self.produce("switch", "wait")  # the switch is due when this batch has ended
        wait_for(lambda: self.info("switch")["partitions"][0]["stall"] == "waits for the worker", "the batch to run")
        data = self.build("switch", 'writer->pass(writer, index); /* new */', limits={"deadline_ms": 60001})
        write(os.path.join(self.plugins, "switch.so~"), data, "wb")
        os.rename(os.path.join(self.plugins, "switch.so~"), os.path.join(self.plugins, "switch.so"))
        self.wait_log(" switch ", "ready on all shards", sha(data))
        self.assertEqual(self.info("switch")["hash"], old)
        for pid in self.children() - before:
            os.kill(pid, signal.SIGKILL)
        self.wait_log(" switch ", "not loaded")
        self.assertNotIn(" reloaded ", self.broker.log())
        for pid in before & self.children():
            os.kill(pid, signal.SIGCONT)
        self.wait_values("switch.out", 1)  # what it held
        self.still_runs("switch", "after", "after")
        info = self.info("switch")
        self.assertEqual((info["state"], info["hash"]), ("running", old))


class Load(ReloadTest):
    """Two stages read the same four partitions; a Lua and a C file are replaced all the while. One kcat for each
    partition produces, as records made one by one in Python would not come to 100,000 a second."""
    PARTITIONS = 4
    FILE = "plugins:\n  instances:\n" + "".join(
        f"    {name}:\n      module: {file}\n      input: [in]\n      output: out.{name}\n"
        "      limits: {cpu_percent: 100}\n" for name, file in (("lua", "lua.lua"), ("c", "c.so")))
    LUA = 'return {name="lua", process=function(r) return r end}\n-- %d\n'

    def setUp(self):
        need("kcat")
        self.broker = Broker(dev=True, start=False)
        self.addCleanup(self.broker.close)
        self.plugins = os.path.join(self.broker.home, "plugins")
        config = os.path.join(self.broker.home, "sluice.yaml")
        write(config, self.FILE)
        self.broker.extra = ["--config", config]
        self.broker.start()
        self.over = threading.Event()
        self.sent = 0  # to each partition

    def producer(self, partition):
        command = ["kcat", "-P", "-q", "-b", self.broker.address, "-t", "in", "-p", str(partition)]
        for setting in ("enable.idempotence=true", "linger.ms=5", "queue.buffering.max.messages=200000"):
            command += ["-X", setting]
        return subprocess.Popen(command, stdin=subprocess.PIPE)

    def load(self):
        """The numbers from 0 on to each partition, RATE a second in all by the clock, until it is over; what they
        did not take in time they get later, so that sent is what was offered."""
        producers = [self.producer(partition) for partition in range(self.PARTITIONS)]
        start = time.monotonic()
        try:
            while not self.over.wait(0.01):
                count = int(RATE / self.PARTITIONS * (time.monotonic() - start)) - self.sent
                lines = b"".join(b"%d\n" % number for number in range(self.sent, self.sent + count))
                for producer in producers:
                    producer.stdin.write(lines)
                    producer.stdin.flush()
                self.sent += count
        finally:
            self.seconds = time.monotonic() - start
            for producer in producers:
                producer.stdin.close()
            self.failed = [producer.wait() for producer in producers]  # not 0 when a record was not acknowledged
            self.seconds_taken = time.monotonic() - start
        wait_for(lambda: not any(int(p["lag"]) for name in ("lua", "c") for p in self.info(name)["partitions"]), "the stages")
        self.seconds_processed = time.monotonic() - start

    def numbers(self):
        """What a partition must have, in pieces."""
        step = 50000
        for first in range(0, self.sent, step):
            yield b"".join(b"%d\n" % number for number in range(first, min(first + step, self.sent)))

    def check(self, topic, partition):
        """Every number once and in order, and nothing behind the last."""
        consumer = subprocess.Popen(["kcat", "-C", "-q", "-e", "-b", self.broker.address, "-t", topic, "-p", str(partition),
                                     "-o", "beginning", "-X", "check.crcs=true", "-X", "fetch.wait.max.ms=10"], stdout=subprocess.PIPE)
        try:
            for want in self.numbers():
                got = consumer.stdout.read(len(want))
                if got != want:
                    at = next((i for i, pair in enumerate(zip(got, want)) if pair[0] != pair[1]), len(got))
                    line = want[:at].count(b"\n")
                    self.fail(f"{topic}/{partition}: {got.splitlines()[line:line + 3]}, not {want.splitlines()[line:line + 3]}")
            self.assertEqual(consumer.stdout.read(), b"", f"{topic}/{partition}: more than was sent")
            self.assertEqual(consumer.wait(), 0)
        finally:
            consumer.kill()
            consumer.stdout.close()
            consumer.wait()

    def test_reloads_under_load_lose_double_and_reorder_nothing(self):
        self.broker.run("topic", "create", "in", "-p", str(self.PARTITIONS))
        built = os.path.join(self.broker.home, "c.so")
        compile_plugin(built, c_source("c", "writer->pass(writer, index);"))
        with open(built, "rb") as file:
            module = file.read()

        def drop(version):
            script, data = self.LUA % version, module + b"%d" % version  # behind the last section
            for name, content in (("lua.lua", script.encode()), ("c.so", data)):
                write(os.path.join(self.plugins, name + "~"), content, "wb")
                os.rename(os.path.join(self.plugins, name + "~"), os.path.join(self.plugins, name))
            return {"lua": sha(script), "c": sha(data)}

        def in_force(hashes):
            have = {p["name"]: p["hash"] for p in self.broker.ask("plugin.list")["plugins"]}
            return have == hashes
        hashes = drop(0)
        wait_for(lambda: in_force(hashes), "the first versions")
        thread = threading.Thread(target=self.load)
        thread.start()
        try:
            for version in range(1, RELOADS + 1):
                hashes = drop(version)
                wait_for(lambda: in_force(hashes), f"version {version}: {self.broker.log()[-2000:]}")
        finally:
            self.over.set()
            thread.join()
        self.assertEqual(self.failed, [0] * self.PARTITIONS)
        for name in ("lua", "c"):
            for partition in range(self.PARTITIONS):
                self.check("out." + name, partition)
            info = self.info(name)
            self.assertEqual(int(info["worker_deaths"]), 0, info)
            self.assertGreaterEqual(int(info["reloads"]), RELOADS)
        sent = self.sent * self.PARTITIONS
        offered, taken, processed = (int(sent / s) for s in (self.seconds, self.seconds_taken, self.seconds_processed))
        print(f"{RELOADS} reloads of each in {self.seconds:.0f} s: {offered} records a second offered, {taken} taken, "
              f"{processed} through both stages, {sent} in all: none lost, doubled or reordered in {self.PARTITIONS} "
              "partitions of 2 outputs")
        self.assertGreaterEqual(processed, RATE_MIN)


if __name__ == "__main__":
    unittest.main()
