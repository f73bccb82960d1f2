#!/usr/bin/python3
"""Executes the tutorial of README.md against a real broker, as a reader would.

Blocks that begin with ```sh tutorial run in order, in a folder that looks like the source tree but
has a var/ of its own. Ports 9092 and 9292 are replaced by free ones. A ```text block that follows one
lists lines that its output must hold (… matches anything); a block marked `sh tutorial again` is
repeated for up to 20 s until it does, because a reader is slower than a program. `sh tutorial start`
is the block that starts the broker as `./run.sh` does, with the --set flags that stand in it.

Usage: run_readme.py [--build DIR] [FILE]"""
import argparse
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def blocks_of(path):
    """(kind, text, line) of each fenced block."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    at = 0
    while at < len(lines):
        if lines[at].startswith("```"):
            kind, start = lines[at][3:].strip(), at + 1
            at = start
            while at < len(lines) and not lines[at].startswith("```"):
                at += 1
            yield kind, "\n".join(lines[start:at]) + "\n", start
        at += 1


def matches(expected, output):
    for line in expected.strip().split("\n"):
        pattern = ".*".join(re.escape(part) for part in line.strip().split("…"))
        if not re.search(pattern, output):
            return False
    return True


class Tutorial:
    def __init__(self, source, build):
        self.source, self.build = source, build
        self.home = tempfile.mkdtemp(prefix="sluice-readme-")
        for name in os.listdir(source):
            if name not in ("build", "var", ".git"):
                os.symlink(os.path.join(source, name), os.path.join(self.home, name))
        os.symlink(build, os.path.join(self.home, "build"))
        self.ports = {"9092": str(free_port()), "9093": str(free_port()), "9292": str(free_port()), "9192": str(free_port())}
        self.flags = []
        self.broker, self.log = None, os.path.join(self.home, "broker.log")

    def start(self, text=None):
        words = shlex.split(self.with_ports(text or ""), comments=True)
        if text is not None:
            self.flags = [word for i, word in enumerate(words) if word == "--set" or (i and words[i - 1] == "--set")]
        command = [os.path.join(self.home, "build/bin/sluice"), "serve", "--dev",
                   "--set", f"kafka.listen=127.0.0.1:{self.ports['9092']}",
                   "--set", f"http.listen=127.0.0.1:{self.ports['9292']}",
                   "--set", f"native.listen=127.0.0.1:{self.ports['9192']}"] + self.flags
        with open(self.log, "ab") as log:
            self.broker = subprocess.Popen(command, cwd=self.home, stdout=log, stderr=log)
        for _ in range(200):
            if self.broker.poll() is not None:
                raise RuntimeError("the broker ended: " + self.log_text()[-2000:])
            try:
                socket.create_connection(("127.0.0.1", int(self.ports["9092"])), 0.2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("the broker does not listen: " + self.log_text()[-2000:])

    def log_text(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def crash(self):
        """kill -9 and start again, as the reader is told to."""
        self.broker.send_signal(signal.SIGKILL)
        self.broker.wait()
        self.start()

    def with_ports(self, text):
        for old, new in self.ports.items():
            text = re.sub(rf"\b{old}\b", new, text)
        return text

    def run(self, text):
        text = self.with_ports(text)
        environment = dict(os.environ, PATH=os.path.join(self.build, "bin") + ":" + os.environ["PATH"])
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", text], cwd=self.home, timeout=60, text=True,
                              env=environment, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def step(self, text, expected, again):
        deadline = time.monotonic() + (20 if again else 0)
        while True:
            code, output = self.run(text)
            good = code == 0 and (expected is None or matches(expected, output))
            if good or time.monotonic() >= deadline:
                return good, f"exit code {code}\n{output}"
            time.sleep(0.3)

    def expect_log(self, expected):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if matches(expected, self.log_text()):
                return True, ""
            time.sleep(0.1)
        return False, self.log_text()[-3000:]

    def close(self):
        if self.broker is not None and self.broker.poll() is None:
            self.broker.terminate()
            try:
                self.broker.wait(10)
            except subprocess.TimeoutExpired:
                self.broker.kill()
                self.broker.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("file", nargs="?", default="README.md")
    args = parser.parse_args()
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    blocks = list(blocks_of(os.path.join(source, args.file)))
    tutorial = Tutorial(source, os.path.abspath(args.build))
    passed = failed = 0
    try:
        for index, (kind, text, line) in enumerate(blocks):
            words = kind.split()
            after = blocks[index + 1] if index + 1 < len(blocks) else ("", "", 0)
            expected = after[1] if after[0] == "text" else None
            if words[:2] == ["text", "log"]:
                good, output = tutorial.expect_log(text)
            elif words[:2] != ["sh", "tutorial"]:
                continue
            elif "start" in words:
                tutorial.start(text)
                good, output = True, ""
            elif "crash" in words:
                tutorial.crash()
                good, output = True, ""
            else:
                good, output = tutorial.step(text, expected, "again" in words)
            passed, failed = passed + good, failed + (not good)
            print(f"{'ok  ' if good else 'FAIL'}  {args.file}:{line}  {text.strip().splitlines()[0][:80]}", flush=True)
            if not good:
                print(output, f"--- broker log\n{tutorial.log_text()[-3000:]}")
                break  # the steps after it build on it
    except RuntimeError as error:
        print(f"FAIL  {error}")
        failed += 1
    finally:
        tutorial.close()
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
