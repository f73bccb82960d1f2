"""The clients of run: what each is made from, and how it is installed by package name.

A program of a language (a folder here) speaks through one client or several; each client has its own copy of the folder and its
own installation in build/interop/NAME, so that the tree stays clean and one that cannot be had stops no other."""
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
HOME = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "interop")
OUTPUT_SHOWN = 3000  # characters of a failed client's own output
UNREACHABLE = re.compile(
    r"resolve host|name resolution|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|Connection refused|No route"
    r"|[Nn]etwork is unreachable|Unknown host|dial tcp|timed out|spurious network error"
    r"|No matching distribution found|Could not transfer|No plugin found for prefix", re.I)
TROUBLES = (  # words of an installation's output that are no failure of the broker; the reason to skip
    (UNREACHABLE, "its registry could not be reached, and nothing is cached"),
    (re.compile(r"requires go >=|invalid go version|requires rustc|edition2024|is not supported by the current"
                r" Rust|release version \d+ not supported|EBADENGINE"), "the compiler of this machine is too old"),
    (re.compile(r"rustup could not choose|no default toolchain|toolchain '.*' is not installed"),
     "rustup has no toolchain on this machine"),
    (re.compile(r"ensurepip is not available"), "python3-venv is not on this machine"),
)


class Client:
    """A step of install is a list of alternatives, the next of which is tried when one fails: first what is
    on the machine already, then the registry. {home} is HOME/NAME. first: takes part in CI's share."""

    def __init__(self, name, folder, title, tools, install, command, first=False, absent=None):
        self.name, self.folder, self.title, self.tools, self.install = name, folder, title, tools, install
        self.home = os.path.join(HOME, name)
        self.source = os.path.join(self.home, "source")
        self.command = [word.format(home=self.home) for word in command]
        self.log = os.path.join(self.home, "install.log")
        self.first = first
        self.skipped = absent  # why

    def stamp(self):
        """What the installed client was made from."""
        state = hashlib.sha256(repr(self.install).encode())
        for folder, folders, files in os.walk(os.path.join(HERE, self.folder)):
            folders.sort()
            for file in sorted(files):
                with open(os.path.join(folder, file), "rb") as opened:
                    state.update(file.encode() + opened.read())
        return state.hexdigest()

    def prepare(self, limit_s):
        """Installs unless that was done; sets skipped when it cannot be. Gives the failure, if any."""
        if self.skipped:
            return None
        missing = [tool for tool in self.tools if not shutil.which(tool)]
        if missing:
            self.skipped = f"{', '.join(missing)} is not on this machine"
            return None
        stamp, path = self.stamp(), os.path.join(self.home, "stamp")
        if os.path.exists(path) and open(path, encoding="ascii").read() == stamp:
            return None
        os.makedirs(self.home, exist_ok=True)
        shutil.copytree(os.path.join(HERE, self.folder), self.source, dirs_exist_ok=True)
        deadline = time.monotonic() + limit_s
        with open(self.log, "w", encoding="utf-8") as log:
            for alternatives in self.install:
                if not any(self.step(command, log, deadline) for command in alternatives):
                    return self.blame(time.monotonic() >= deadline, limit_s)
        with open(path, "w", encoding="ascii") as file:
            file.write(stamp)
        return None

    def step(self, command, log, deadline):
        command = ["nice"] + [word.format(home=self.home) for word in command]
        log.write("$ " + " ".join(command) + "\n")
        log.flush()
        environment = dict(os.environ, GOTOOLCHAIN="local", NO_COLOR="1", CFLAGS="-O1 -g0")
        if shutil.which("ccache"):  # librdkafka is C
            environment.update(CC="ccache cc", CXX="ccache c++", CCACHE_NOHASHDIR="1")
        process = subprocess.Popen(command, cwd=self.source, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, start_new_session=True)
        try:
            return process.wait(max(1, deadline - time.monotonic())) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False

    def blame(self, late, limit_s):
        """A registry that cannot be reached, or a machine too slow, is no failure of the broker."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            text = file.read()
        reasons = [reason for words, reason in TROUBLES if words.search(text)]
        if late:
            reasons = [f"its installation took more than {limit_s:.0f} s"]
        if not reasons:
            return "its installation failed\n" + text[-OUTPUT_SHOWN:]
        self.skipped = reasons[0]
        return None


def go(name, title, tags, **more):
    """One program for each client, of the files with its build tag alone."""
    return Client(name, "go", title, ["go"], [[["go", "build", "-tags", tags, "-o", "{home}/interop", "."]]],
                  ["{home}/interop"], **more)


def node(name, title, packages, program=("node",), **more):
    """packages: package.json of the client."""
    return Client(name, "node", title, ["node", "npm"],
                  [[["cp", f"packages/{packages}.json", "package.json"]],
                   [["npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--no-package-lock",
                     "--ignore-scripts", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]]],
                  [*program, "{home}/source/interop.js", packages], **more)


def python(name, title, requirements, **more):
    return Client(name, "python", title, ["python3"],
                  [[["/usr/bin/python3", "-m", "venv", "{home}/venv"], ["python3", "-m", "venv", "{home}/venv"]],
                   [["{home}/venv/bin/pip", "install", "-q", "--prefer-binary", "-r",
                     f"requirements/{requirements}.txt"]]],
                  ["{home}/venv/bin/python", "{home}/source/interop.py", requirements], **more)


CLIENTS = [  # the slowest to install first
    Client("rust", "rust", "rdkafka", ["cargo", "cc", "c++", "make", "pkg-config"],
           [[["cargo", "build", "--release", "--target-dir", "{home}/target", "--offline"],
             ["cargo", "build", "--release", "--target-dir", "{home}/target"]]],
           ["{home}/target/release/sluice-interop"], first=True),
    Client("java", "java", "kafka-clients", ["mvn", "javac", "java"],
           [[["mvn", "-B", "-q", "-o", "dependency:copy-dependencies", "-DoutputDirectory={home}/jars"],
             ["mvn", "-B", "-q", "dependency:copy-dependencies", "-DoutputDirectory={home}/jars"]],
            [["javac", "-d", "{home}/classes", "-cp", "{home}/jars/*", "Interop.java", "Transactions.java", "Ways.java"]]],
           ["java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", "{home}/classes:{home}/jars/*", "Interop"], first=True),
    go("go", "franz-go", "franz", first=True),
    node("node", "kafkajs", "kafkajs", first=True),
    python("python", "aiokafka", "aiokafka", first=True),
    go("sarama", "sarama", "sarama"),
    go("segmentio", "segmentio", "segmentio"),
    go("confluent-go", "confluent-go", "confluent"),
    python("kafka-python", "kafka-python", "kafka-python"),
    python("confluent-python", "confluent-py", "confluent"),
    Client("confluent-node", "node", "confluent-js", ["node", "npm", "make", "c++", "python3"],  # builds librdkafka
           [[["cp", "packages/confluent.json", "package.json"]],
            [["env", "CKJS_LINKING=dynamic", "npm_config_build_from_source=true", "npm", "install", "--prefer-offline",
              "--no-audit", "--no-fund", "--no-package-lock", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]]],
           ["node", "{home}/source/interop.js", "confluent"]),
    node("platformatic", "platformatic", "platformatic", ["{home}/source/node_modules/.bin/node"]),
    Client("ruby", "ruby", "rdkafka-ruby", [], [], [], absent="no registry that is reached from here has it (RubyGems)"),
]
