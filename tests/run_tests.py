#!/usr/bin/python3
"""Runs every test that ctest knows and every whole-broker test, and adds up their numbers.

A Criterion binary is asked for TAP, so that its single tests count; any other ctest entry counts as
one. tests/broker/test_*.py are unittest modules that get SLUICE_BUILD_DIR. A test that a sanitizer
complains about fails even if the test framework did not notice (a LeakSanitizer report leaves a
Criterion test green): reports go to files, and a file is a failure.

--sanitized is for a build with a sanitizer: unit suites, but those that it cannot run, and brokers on
two shards.

As many run at a time as there are processors, the longest first; those that measure time or memory, or that
want the machine for themselves, run alone at the end. A suite that failed without a report of a sanitizer
is run once more, alone, when at most AGAIN_MAX did: what passes then is printed as unsteady, with what it
said the first time, and is to be mended.

A build that leaves something out (SLUICE_FRONTENDS, SLUICE_HOT_RELOAD, SLUICE_TELEMETRY) runs the whole-broker suites that
say with NEEDS = ("frontend_kafka", …) that they need no more than is there; the others are skipped, by name.

--within SECONDS: what has not begun by then is skipped, by name; SLUICE_SEED decides what comes late.

The last line is "N passed, N failed" and, when there are any, ", N skipped"."""
import argparse
import concurrent.futures
import ctypes
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

LIMIT_S = 600  # of one suite
AGAIN_MAX = 3  # suites that are run again
ADDR_NO_RANDOMIZE = 0x0040000  # personality(2)
# What a kind of sanitizer cannot run, by suite.
UNFIT = {
    "address": {"test_sandbox": "it cannot run under the sandbox's limits"},
    "thread": {"test_sandbox": "it cannot run under the sandbox's limits",
               "processor_lua_test": "it holds signals back, which are what ends a Lua loop; one thread"},
}


# What is left out of a suite: simulated power cuts run on one thread, which cannot race, and take minutes there.
LEFT_OUT = {"thread": {"test_shard": "!(*the_power*)"}}
# What runs alone, by suite, and why.
ALONE = {
    "test_attacks": "it measures shares of the processor",
    "test_sandbox": "it measures shares of the processor",
    "test_os": "its loops spin",
    "broker/backpressure": "it measures memory and stalls",
    "broker/sandbox": "it measures shares of the processor",
    "broker/disk_full": "it mounts",
}
# What takes long begins first, so that no processor idles at the end: seconds of a quiet machine, where above 5.
LONG = {"sim_damage": 8, "broker/workbench": 24, "broker/space": 26, "broker/roll": 22, "broker/durability": 17, "broker/transactions": 17,
        "broker/formats": 15, "broker/histories": 25, "broker/many_streams": 15, "broker/poison": 12, "broker/dead_letters": 10, "broker/backup": 12,
        "broker/restart": 9, "broker/kcat": 9, "broker/partitions": 9,
        "test_shard": 30, "sim_storage": 60, "sim_storage_mutants": 60, "sim_wal": 30, "broker/plugins": 40, "broker/reload": 90, "broker/reload_rollback": 20, "broker/reload_shadow": 8, "broker/scrub": 20,
        "broker/retention": 30, "broker/compaction": 20, "broker/kafka_python": 15, "broker/confluent": 15, "broker/seal": 15,
        "broker/storage_tools": 15, "tidy": 10, "tidy_rules": 8, "test_extent": 20, "test_wal": 10, "sdk_test": 10}


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []
        self.unsteady = []
        self.again = {}  # what failed without a report of a sanitizer, with its counts
        self.lock = threading.Lock()

    def add(self, name, passed, failed, skipped, seconds, output, line="", reported=False):
        """`line`: what the test says of itself. `reported`: a sanitizer found something."""
        with self.lock:
            if name in self.again:
                self.take_back(name, failed)
            elif failed and not reported:
                self.again[name] = (passed, failed, skipped)
            self.passed += passed
            self.failed += failed
            self.skipped += skipped
            word = "FAIL" if failed else "ok  "
            extra = f", {skipped} skipped" if skipped else ""
            print(f"{word}  {name:<28} {passed} passed, {failed} failed{extra}  {seconds:.1f} s{line}", flush=True)
            if failed:
                sys.stdout.write(output[-8000:] + ("" if output.endswith("\n") else "\n"))
                sys.stdout.flush()

    def take_back(self, name, failed):
        """The second run counts."""
        was = self.again[name]
        self.passed, self.failed, self.skipped = (now - then for now, then in
                                                  zip((self.passed, self.failed, self.skipped), was))
        if not failed:
            self.unsteady.append(f"{name}: failed once, passed when it ran again alone; to be mended")


def is_alive_in(pid, session):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, _, _, of = file.read().rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return False  # gone meanwhile
    return state != "Z" and int(of) == session


def end_session(leader):
    """Kills a suite and what it has started, by its session: brokers outlive who started them. Again until there is
    nothing, as what is killed may be starting something."""
    while pids := [int(name) for name in os.listdir("/proc") if name.isdigit() and is_alive_in(name, leader)]:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


class Suites:
    """Those that run, each in a session of its own."""

    def __init__(self):
        self.lock = threading.RLock()  # a signal may come while it is held
        self.leaders = set()
        self.stopped = False

    def start(self, command, environment, cwd, output):
        with self.lock:
            self.check()
            process = subprocess.Popen(command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       start_new_session=True)
            self.leaders.add(process.pid)
        return process

    def ended(self, process):
        with self.lock:
            self.leaders.discard(process.pid)

    def check(self):
        if self.stopped:
            raise SystemExit("run_tests was ended")

    def stop(self):
        """All of them; no other starts."""
        with self.lock:
            self.stopped = True
            leaders = list(self.leaders)
        for leader in leaders:
            end_session(leader)


suites = Suites()


def run(command, environment, cwd=None, limit_s=LIMIT_S):
    """Exit code and output; a suite that hangs is killed with all that it started, and fails."""
    with tempfile.TemporaryFile() as said:  # no pipe, which a broker that is left would hold open
        process = suites.start(command, environment, cwd, said)
        try:
            code, end = process.wait(limit_s), ""
        except subprocess.TimeoutExpired:
            end_session(process.pid)
            process.wait()
            code, end = 124, f"\nkilled after {limit_s} s\n"
        finally:
            suites.ended(process)
        suites.check()
        said.seek(0)
        return code, said.read().decode(errors="replace") + end


def is_of_the_framework(report):
    """Leaks whose every frame is Criterion's own: it forgets some memory of its own when a machine is slow."""
    if "detected memory leaks" not in report:
        return False
    frames = re.findall(r"^ +#\d+ .*$", report, re.M)
    return bool(frames) and all("interceptor_" in frame or "/libcriterion" in frame for frame in frames)


def reports_of(folder):
    """Sanitizer reports, read and removed; and whether there was one that is the framework's own affair."""
    text, forgiven = "", False
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with open(path, errors="replace") as file:
            report = file.read()
        os.remove(path)
        if is_of_the_framework(report):
            forgiven = True
        else:
            text += f"--- {name}\n" + report
    return text, forgiven


def is_criterion(path):
    try:
        with open(path, "rb") as file:
            return b"criterion" in file.read()
    except OSError:
        return False


def ctest_entries(build):
    text = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    for test in json.loads(text)["tests"]:
        if test.get("command"):
            properties = {p["name"]: p["value"] for p in test.get("properties", [])}
            yield test["name"], test["command"], properties


def sanitizer_of(build):
    """"address", "thread", or "" for none."""
    with open(os.path.join(build, "CMakeCache.txt")) as file:
        value = re.search(r"^SLUICE_SANITIZE:\w+=(\w*)", file.read(), re.M)
    return value.group(1) if value else ""


def sanitized_environment(reports):
    return {"ASAN_OPTIONS": f"log_path={reports}/asan:detect_leaks=1",
            "TSAN_OPTIONS": f"log_path={reports}/tsan:second_deadlock_stack=1",
            "UBSAN_OPTIONS": f"log_path={reports}/ubsan:print_stacktrace=1"}


def without_random_addresses():
    """For this process and its children: as setarch -R."""
    if ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE) == -1:
        sys.exit("run_tests: the kernel does not let addresses be fixed, which ThreadSanitizer needs")


def run_criterion(name, command, environment, reports, totals):
    with tempfile.NamedTemporaryFile(suffix=".tap") as tap:
        start = time.monotonic()
        code, output = run(command + [f"--tap={tap.name}"], environment)
        lines = tap.read().decode(errors="replace").splitlines()
    skipped = sum(1 for line in lines if re.match(r"ok\b.*# SKIP", line))
    passed = sum(1 for line in lines if re.match(r"ok\b", line)) - skipped
    failed = sum(1 for line in lines if line.startswith("not ok"))
    found, forgiven = reports_of(reports)
    if found:
        output += found
        failed += 1
    if (code != 0 and failed == 0 and not forgiven) or passed + failed + skipped == 0:
        failed += 1
        output += f"\nexit code {code}\n"
    totals.add(name, passed, failed, skipped, time.monotonic() - start, output, reported=bool(found))


def run_plain(name, command, properties, environment, reports, totals):
    start = time.monotonic()
    code, output = run(command, environment, properties.get("WORKING_DIRECTORY"))
    found, _ = reports_of(reports)
    skip = code == properties.get("SKIP_RETURN_CODE", 77) and not found
    failed = int((code != 0 or bool(found)) and not skip)
    says = output.strip().splitlines()[-1][:150] if not failed and not skip and output.strip() else ""  # counts and seeds
    totals.add(name, int(not failed and not skip), failed, int(skip), time.monotonic() - start, output + found,
               "\n      " + says if says else "", reported=bool(found))
    if skip:
        totals.notes.append(f"{name}: {output.strip().splitlines()[-1] if output.strip() else 'skipped'}")


def run_broker(name, environment, source, reports, totals):
    start = time.monotonic()
    module = "test_" + name.split("/")[1]
    code, output = run([sys.executable, "-m", "unittest", "-v", module], environment, os.path.join(source, "tests", "broker"))
    ran = re.search(r"^Ran (\d+) test", output, re.M)
    count = {key: int(value) for key, value in
             re.findall(r"(failures|errors|skipped)=(\d+)", output.splitlines()[-1] if output else "")}
    failed = count.get("failures", 0) + count.get("errors", 0)
    found, _ = reports_of(reports)
    if found or (code != 0 and failed == 0):
        failed += 1
    skipped = count.get("skipped", 0)
    total = int(ran.group(1)) if ran else 0
    totals.add(name, max(0, total - failed - skipped), failed, skipped, time.monotonic() - start, output + found,
               reported=bool(found))
    for reason in re.findall(r"\.\.\. skipped ['\"](.*)['\"]", output):
        totals.notes.append(f"{name}: {reason}")


def broker_names(source):
    folder = os.path.join(source, "tests", "broker")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [f"broker/{name[5:-3]}" for name in names if re.match(r"test_.*\.py$", name)]


OPTIONAL = {"frontend_http", "frontend_kafka", "frontend_native", "hot-reload", "telemetry"}


def left_out_of(build):
    """Of what a build can leave out, what this one has not; nothing where only some targets are built."""
    program = os.path.join(build, "bin", "sluice")
    if not os.path.exists(program):
        return set()
    said = subprocess.run([program, "--version", "--json"], capture_output=True, text=True)
    return OPTIONAL - set(json.loads(said.stdout)["features"]) if said.returncode == 0 else set()


def needs_of(source, name):
    with open(os.path.join(source, "tests", "broker", "test_%s.py" % name.split("/")[1]), encoding="utf-8") as file:
        needs = re.search(r"^NEEDS = \((.*)\)$", file.read(), re.M)
    return set(re.findall(r'"([^"]+)"', needs.group(1))) if needs else OPTIONAL


def jobs_of(args, build, source, kind, totals):
    """name → what runs it, given an environment and a folder for reports."""
    jobs = {}
    for name, command, properties in ctest_entries(build):
        if os.path.basename(command[0]) == "run_sanitized.sh":
            command = command[1:]  # does for ctest what is done here
        if name in UNFIT.get(kind, {}):
            totals.notes.append(f"{name}: not with this sanitizer: {UNFIT[kind][name]}")
        elif is_criterion(command[0]):
            if name in LEFT_OUT.get(kind, {}):
                command = command + [f"--filter={LEFT_OUT[kind][name]}"]
                totals.notes.append(f"{name}: not with this sanitizer: simulated power cuts, which run on one thread")
            jobs[name] = lambda environment, reports, name=name, command=command: \
                run_criterion(name, command, environment, reports, totals)
        elif not args.sanitized:
            jobs[name] = lambda environment, reports, name=name, command=command, properties=properties: \
                run_plain(name, command, properties, environment, reports, totals)
    left_out = left_out_of(build)
    for name in sorted(left_out):
        totals.notes.append(f"tests/unit/{name}: this build leaves it out")
    for name in broker_names(source):
        missing = needs_of(source, name) & left_out
        if missing:
            totals.notes.append(f"{name}: this build leaves out {', '.join(sorted(missing))}")
            continue
        jobs[name] = lambda environment, reports, name=name: run_broker(name, environment, source, reports, totals)
    return {name: job for name, job in jobs.items() if not args.wanted or any(word in name for word in args.wanted)}


def run_jobs(jobs, environment, scratch, args, totals):
    """Each with a folder of its own for reports of a sanitizer."""
    until = time.monotonic() + args.within

    def one(name, folder="reports"):
        reports = os.path.join(scratch, folder, name.replace("/", "-"))
        os.makedirs(reports)
        jobs[name](dict(environment, **sanitized_environment(reports)), reports)

    def one_in_time(name):
        if time.monotonic() < until:
            one(name)
        else:
            totals.notes.append(f"{name}: no time was left")
    names = list(jobs)
    if args.within < float("inf"):
        random.Random(os.environ.get("SLUICE_SEED")).shuffle(names)
    together = sorted((name for name in names if name not in ALONE), key=lambda name: -LONG.get(name, 0))
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for done in [pool.submit(one_in_time, name) for name in together]:
            done.result()
    for name in names:
        if name in ALONE:
            one_in_time(name)
    if len(totals.again) <= AGAIN_MAX:
        for name in list(totals.again):
            one(name, "reports-again")


def on_signal(number, _frame):
    suites.stop()
    sys.exit(128 + number)


def main():
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, on_signal)
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/test")
    parser.add_argument("--sanitized", action="store_true", help="a build with a sanitizer: see above")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="so many at a time")
    parser.add_argument("--within", type=float, default=float("inf"), help="seconds")
    parser.add_argument("wanted", nargs="*")
    args = parser.parse_args()
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    build = os.path.abspath(args.build)
    totals = Totals()
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as scratch:
        environment = dict(os.environ, SLUICE_BUILD_DIR=build, SLUICE_SOURCE_DIR=source)
        kind = sanitizer_of(build) if args.sanitized else ""
        if kind:
            environment["SLUICE_RUNTIME__SHARDS"] = "2"
            environment["SLUICE_SANITIZER"] = kind  # for tests that measure memory
        if kind == "thread":  # it cannot start where addresses are random
            without_random_addresses()
        run_jobs(jobs_of(args, build, source, kind, totals), environment, scratch, args, totals)
    for note in totals.notes:
        print(f"skipped  {note}")
    for note in totals.unsteady:
        print(f"unsteady  {note}")
    tail = f", {totals.skipped} skipped" if totals.skipped else ""
    print(f"{totals.passed} passed, {totals.failed} failed{tail}")
    return 0 if totals.failed == 0 and totals.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
