"""A real broker for tests: a process of its own on free ports, with a home of its own.

SLUICE_BUILD_DIR says which build is tested. Nothing here decides by time: waits poll a condition, and
their limits only end a test that hangs."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SLUICE_BUILD_DIR", os.path.join(SOURCE, "build", "debug"))
SLUICE = os.path.join(BUILD, "bin", "sluice")
WAIT_S = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what):
    """Polls until the condition gives something true, and returns it."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {WAIT_S} s for {what}")


class Broker:
    def __init__(self, *settings, dev=True, start=True, environment=None):
        self.home = tempfile.mkdtemp(prefix="sluice-broker-")
        self.kafka, self.http = free_port(), free_port()
        self.settings, self.dev, self.process = list(settings), dev, None
        self.extra = []  # further arguments of serve
        self.environment = dict(os.environ, **environment) if environment else None
        self.log_path = os.path.join(self.home, "log")
        if start:
            self.start()

    def spawn(self):
        """Starts it without waiting for anything."""
        command = [SLUICE, "serve", "--home", self.home] + (["--dev"] if self.dev else []) + self.extra
        for setting in [f"kafka.listen=127.0.0.1:{self.kafka}", f"http.listen=127.0.0.1:{self.http}"] + self.settings:
            command += ["--set", setting]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.home, env=self.environment)

    def start(self):
        start_at = len(self.log())
        self.spawn()
        wait_for(lambda: self.process.poll() is not None or " ready " in self.log()[start_at:], "the broker to be ready")
        if self.process.poll() is not None:
            raise AssertionError("the broker ended: " + self.log()[-2000:])

    def log(self):
        try:
            with open(self.log_path, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        """Ends it in order; gives the exit code."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the broker did not stop: " + self.log()[-2000:])
        return self.process.returncode if self.process else None

    def crash(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *arguments, stdin=b""):
        """A command of the command line: exit code, stdout, stderr."""
        done = subprocess.run([SLUICE, *arguments, "--home", self.home], input=stdin, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.home)
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")

    def json(self, *arguments):
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)
