"""A real broker for tests: a process of its own on free ports, with a home of its own.

    with Broker() as broker:              # the real binary, started and ready
        broker.address                    # "127.0.0.1:12345"
        broker.crash(); broker.start()    # kill -9, then again on the same home

SLUICE_BUILD_DIR says which build is tested. Nothing here decides by time: waits poll a condition, and
their limits only end a test that hangs.

Beside unittest classes a module may have tests that are functions test_…; it ends then in
`load_tests = loader(globals())`, which is what unittest asks for. One that cannot import its client
library sets MISSING to the reason, and its tests are skipped."""
import atexit
import json
import os
import pty
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import weakref

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FREED_IS_FILLED = "165"  # by glibc, with the complement of this byte: who uses memory that was freed is found out
BUILD = os.environ.get("SLUICE_BUILD_DIR", os.path.join(SOURCE, "build", "debug"))
SLUICE = os.path.join(BUILD, "bin", "sluice")
WAIT_S = 30   # for anything that a test waits for
TEST_S = 120  # for a whole test that is a function


def free_port():
    """Below those that the kernel gives to clients, any of which could have it before the broker listens."""
    while True:
        port = random.SystemRandom().randrange(11000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def wait_for(condition, what, every_s=0.02):
    """Polls until the condition gives something true, and returns it."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every_s)
    raise AssertionError(f"waited {WAIT_S} s for {what}")


def need(program):
    """Skips the test where a program is missing."""
    if shutil.which(program) is None:
        raise unittest.SkipTest(program + " is not installed")


def on_a_terminal(*arguments):
    """What a command that succeeds writes to a terminal."""
    main, side = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    done = subprocess.Popen([SLUICE, *arguments], stdout=side, stderr=side, env=dict(environment, TERM="xterm"))
    os.close(side)
    output = b""
    try:
        while part := os.read(main, 65536):
            output += part
    except OSError:
        pass  # its other side is closed
    os.close(main)
    assert done.wait(60) == 0, output
    return output


BROKERS = weakref.WeakSet()  # all that a test still knows


class Broker:
    """One `sluice serve`; in a with block its log is shown when the block fails. One that nobody closes, as what comes
    before its with block failed, ends with the last reference to it, at the latest with the program."""
    closed = True  # until it has a home

    def __init__(self, *settings, dev=True, start=True, environment=None):
        self.home = tempfile.mkdtemp(prefix="sluice-broker-")
        self.kafka, self.http, self.native = free_port(), free_port(), free_port()
        self.settings, self.dev, self.process = list(settings), dev, None
        self.extra = []  # further arguments of serve
        self.environment = {**os.environ, "MALLOC_PERTURB_": FREED_IS_FILLED, **(environment or {})}
        self.log_path = os.path.join(self.home, "log")
        self.closed = False
        BROKERS.add(self)
        if start:
            try:
                self.start()
            except BaseException:
                self.abandon()
                raise

    @property
    def address(self):
        return "127.0.0.1:%d" % self.kafka

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and not issubclass(kind, unittest.SkipTest):
            print("---- log of the broker (%s)\n%s----" % (self.home, self.log()[-6000:]))
        self.close()

    def is_running(self):
        return self.process.poll() is None

    def spawn(self):
        """Starts it without waiting for anything."""
        command = [SLUICE, "serve", "--home", self.home] + (["--dev"] if self.dev else []) + self.extra
        for setting in [f"kafka.listen=127.0.0.1:{self.kafka}", f"http.listen=127.0.0.1:{self.http}",
                        f"native.listen=127.0.0.1:{self.native}"] + self.settings:
            command += ["--set", setting]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.home, env=self.environment)

    def start(self):
        start_at = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        self.spawn()
        wait_for(lambda: self.process.poll() is not None or " ready " in self.log(start_at), "the broker to be ready", 0.002)
        if self.process.poll() is not None:
            raise AssertionError("the broker ended: " + self.log()[-2000:])

    def log(self, start_at=0):
        """The log from a byte on."""
        try:
            with open(self.log_path, "rb") as file:
                file.seek(start_at)
                return file.read().decode(errors="replace")
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
            self.abandon()

    def abandon(self):
        """Ends it now, without asking what it says to that. Once it is closed there is nothing left to do."""
        if self.closed:
            return
        self.closed = True
        if self.process is not None and self.process.poll() is None:
            self.crash()
        shutil.rmtree(self.home, ignore_errors=True)

    def __del__(self):
        self.abandon()

    def run(self, *arguments, stdin=b""):
        """A command of the command line: exit code, stdout, stderr."""
        done = subprocess.run([SLUICE, *arguments, "--home", self.home], input=stdin, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.home)
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")

    def json(self, *arguments):
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    def ask(self, command, **arguments):
        """What the admin socket answers, for what is polled: a process of the command line costs more than the wait,
        with a sanitizer tenths of a second. None: it is refused."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(60)
            link.connect(os.path.join(self.home, "sluice.sock"))
            link.sendall(json.dumps({"id": 1, "command": command, "args": arguments}).encode() + b"\n")
            with link.makefile("rb") as lines:
                reply = json.loads(lines.readline())
        return reply["result"] if reply["ok"] else None

    # ---- kcat ----

    def kcat(self, *arguments, lines=None, check=True):
        """Runs kcat against this broker and returns its output lines."""
        need("kcat")
        data = None if lines is None else "".join(line + "\n" for line in lines)
        done = subprocess.run(["kcat", "-b", self.address, "-m", "10", *arguments], input=data,
                              capture_output=True, text=True, timeout=2 * WAIT_S)
        if check and done.returncode != 0:
            raise AssertionError("kcat %s: %d\n%s" % (" ".join(arguments), done.returncode,
                                                     done.stderr))
        return done.stdout.splitlines()

    def produce(self, topic, lines, *arguments):
        self.kcat("-P", "-t", topic, *arguments, lines=lines)

    def consume(self, topic, *arguments):
        """All values of a topic, by offset."""
        return self.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q", *arguments)

    # ---- raw connections ----

    def connect(self):
        return Raw(self.kafka)


@atexit.register  # before any module's tearDownModule, so that it runs behind them
def abandon_all():
    for broker in list(BROKERS):
        broker.abandon()


class Raw:
    """A connection for frames that no client would send."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_frame(self, body):
        self.send(struct.pack(">i", len(body)) + body)

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def read_frame(self):
        size, = struct.unpack(">i", self.read_exactly(4))
        return self.read_exactly(size)

    def is_closed(self):
        """Whether the broker closes the connection without an answer."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def request(key, version, correlation_id, body=b"", client_id=b"test"):
    """A frame with request header version 1, less its size."""
    return struct.pack(">hhih", key, version, correlation_id, len(client_id)) + client_id + body


# ---- tests that are functions ----

def on_alarm(number, frame):
    raise AssertionError("not done after %d s" % TEST_S)


def limited(test, missing):
    """The test with its time limit; skipped when a library is missing."""
    def run():
        if missing:
            raise unittest.SkipTest(missing)
        signal.signal(signal.SIGALRM, on_alarm)
        signal.alarm(TEST_S)
        try:
            test()
        finally:
            signal.alarm(0)
    return run


class Test(unittest.FunctionTestCase):
    """Says its name, and not how it is made."""

    def __str__(self):
        return self.shortDescription()

    def id(self):
        return self.shortDescription()


class SharedBroker:
    """One broker for the tests of a module: begins with the first that calls it; tearDownModule = close."""

    def __init__(self, *settings):
        self.settings, self.broker = settings, None

    def __call__(self):
        if self.broker is None:
            self.broker = Broker(*self.settings)
        return self.broker

    def close(self):
        if self.broker is not None:
            self.broker.close()


def loader(names):
    """What unittest asks a module for: its tests, in the order of the file. Its tearDownModule runs at the end of the
    program: unittest looks for it in the module of the test's class, which is this one."""
    if "tearDownModule" in names:
        atexit.register(names["tearDownModule"])
    tests = [Test(limited(value, names.get("MISSING")), description=names["__name__"] + "." + name)
             for name, value in names.items() if name.startswith("test_")]
    return lambda *unused: unittest.TestSuite(tests)
