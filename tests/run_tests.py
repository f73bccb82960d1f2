#!/usr/bin/python3
"""Runs every test that ctest knows and every whole-broker test, and adds up their numbers.

A Criterion binary is asked for TAP, so that its single tests count; any other ctest entry counts as
one. tests/broker/test_*.py are unittest modules that get SLUICE_BUILD_DIR. A test that a sanitizer
complains about fails even if the test framework did not notice (a LeakSanitizer report leaves a
Criterion test green): reports go to files, and a file is a failure.

--sanitized is for a build with a sanitizer: unit suites, but those that it cannot run, and brokers on
two shards.

The last line is "N passed, N failed" and, when there are any, ", N skipped"."""
import argparse
import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
import time

LIMIT_S = 600  # of one suite
ADDR_NO_RANDOMIZE = 0x0040000  # personality(2)
# What a kind of sanitizer cannot run, by suite.
UNFIT = {
    "address": {"test_sandbox": "it cannot run under the sandbox's limits"},
    "thread": {"test_sandbox": "it cannot run under the sandbox's limits",
               "processor_lua_test": "it holds signals back, which are what ends a Lua loop; one thread"},
}


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []

    def add(self, name, passed, failed, skipped, seconds, output):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        word = "FAIL" if failed else "ok  "
        extra = f", {skipped} skipped" if skipped else ""
        print(f"{word}  {name:<28} {passed} passed, {failed} failed{extra}  {seconds:.1f} s", flush=True)
        if failed:
            sys.stdout.write(output[-8000:] + ("" if output.endswith("\n") else "\n"))
            sys.stdout.flush()


def run(command, environment, cwd=None):
    """Exit code and output; a suite that hangs is killed and fails."""
    try:
        done = subprocess.run(command, env=environment, cwd=cwd, timeout=LIMIT_S, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as expired:
        output = expired.stdout or b""
        if isinstance(output, bytes):
            output = output.decode(errors="replace")
        return 124, output + f"\nkilled after {LIMIT_S} s\n"


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
    totals.add(name, passed, failed, skipped, time.monotonic() - start, output)


def run_plain(name, command, properties, environment, reports, totals):
    start = time.monotonic()
    code, output = run(command, environment, properties.get("WORKING_DIRECTORY"))
    found, _ = reports_of(reports)
    skip = code == properties.get("SKIP_RETURN_CODE", 77) and not found
    failed = int((code != 0 or bool(found)) and not skip)
    totals.add(name, int(not failed and not skip), failed, int(skip), time.monotonic() - start,
               output + found)
    if not failed and not skip and output.strip():  # its counts and seeds
        print(f"      {output.strip().splitlines()[-1][:150]}", flush=True)
    if skip:
        totals.notes.append(f"{name}: {output.strip().splitlines()[-1] if output.strip() else 'skipped'}")


def run_broker_tests(source, wanted, environment, reports, totals):
    folder = os.path.join(source, "tests", "broker")
    names = sorted(n for n in os.listdir(folder) if re.match(r"test_.*\.py$", n)) if os.path.isdir(folder) else []
    for file in names:
        name = f"broker/{file[5:-3]}"
        if wanted and not any(word in name for word in wanted):
            continue
        start = time.monotonic()
        code, output = run([sys.executable, "-m", "unittest", "-v", file[:-3]], environment, folder)
        ran = re.search(r"^Ran (\d+) test", output, re.M)
        count = {key: int(value) for key, value in
                 re.findall(r"(failures|errors|skipped)=(\d+)", output.splitlines()[-1] if output else "")}
        failed = count.get("failures", 0) + count.get("errors", 0)
        found, _ = reports_of(reports)
        if found or (code != 0 and failed == 0):
            failed += 1
        skipped = count.get("skipped", 0)
        total = int(ran.group(1)) if ran else 0
        totals.add(name, max(0, total - failed - skipped), failed, skipped, time.monotonic() - start,
                   output + found)
        for reason in re.findall(r"\.\.\. skipped ['\"](.*)['\"]", output):
            totals.notes.append(f"{name}: {reason}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/test")
    parser.add_argument("--sanitized", action="store_true", help="a build with a sanitizer: see above")
    parser.add_argument("wanted", nargs="*")
    args = parser.parse_args()
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    build = os.path.abspath(args.build)
    totals = Totals()
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as scratch:
        reports = os.path.join(scratch, "reports")
        os.mkdir(reports)
        environment = dict(os.environ, SLUICE_BUILD_DIR=build, SLUICE_SOURCE_DIR=source,
                           **sanitized_environment(reports))
        kind = sanitizer_of(build) if args.sanitized else ""
        if kind:
            environment["SLUICE_RUNTIME__SHARDS"] = "2"
            environment["SLUICE_SANITIZER"] = kind  # for tests that measure memory
        if kind == "thread":  # it cannot start where addresses are random
            without_random_addresses()
        for name, command, properties in ctest_entries(build):
            if args.wanted and not any(word in name for word in args.wanted):
                continue
            if os.path.basename(command[0]) == "run_sanitized.sh":
                command = command[1:]  # does for ctest what is done here
            if name in UNFIT.get(kind, {}):
                totals.notes.append(f"{name}: not with this sanitizer: {UNFIT[kind][name]}")
                continue
            if is_criterion(command[0]):
                run_criterion(name, command, environment, reports, totals)
            elif not args.sanitized:
                run_plain(name, command, properties, environment, reports, totals)
        run_broker_tests(source, args.wanted, environment, reports, totals)
    for note in totals.notes:
        print(f"skipped  {note}")
    tail = f", {totals.skipped} skipped" if totals.skipped else ""
    print(f"{totals.passed} passed, {totals.failed} failed{tail}")
    return 0 if totals.failed == 0 and totals.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
