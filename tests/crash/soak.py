#!/usr/bin/python3
"""soak.py: hours of everything at once: kill -9, retention, compaction, plugins that crash, reloads; then a scrub.

  soak.py [--seconds 600] [--kill-every 30] [--seed N] [--build DIR] [--plot FILE.svg]

The load is that of loads.py, and a second stage whose C plugin crashes at random. The time is cut into phases
of at most five minutes on one data folder: at the end of each everything is read back and judged as kill9.py
does, the topics and plugins are removed, and the next phase makes them anew under the same names. Within a
phase the broker is killed every 30 s, the Lua stage is replaced every 7 s, the configuration reloaded every 11 s.

Printed: the availability of each listener (kafka, http, admin) as the share of probes that were answered, 20 a
second, each over a connection of its own, and the longest time without an answer; resident memory of the
broker before each kill, which must not grow from the first third to the last; the counts. At the end
`sluice scrub --now` reads all that is stored. The plot shows availability and memory over time."""
import argparse
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "broker"))
import loads

PHASE_S, PROBES_PER_S, GROWTH_MAX, GROWTH_BYTES_MAX = 300, 20, 1.25, 8 << 20
RELOAD_S, SWAP_S, SCALE = 11, 7, 0.5


# ---- availability ----

class Probe(threading.Thread):
    """Asks one listener again and again, each time over a new connection."""

    def __init__(self, name, ask):
        super().__init__(daemon=True)
        self.name, self.ask, self.ending, self.asked = name, ask, threading.Event(), []

    def run(self):
        while not self.ending.is_set():
            begun = time.monotonic()
            try:
                answered = self.ask()
            except (OSError, EOFError):
                answered = False
            self.asked.append((begun, time.monotonic(), answered))
            self.ending.wait(max(0.0, begun + 1 / PROBES_PER_S - time.monotonic()))

    def judge(self):
        """Share of probes answered, longest time between two answers, slowest answer."""
        answers = [end for _, end, answered in self.asked if answered]
        gap = max((b - a for a, b in zip(answers, answers[1:])), default=0)
        slowest = max((end - begun for begun, end, answered in self.asked if answered), default=0)
        return len(answers) / max(1, len(self.asked)), gap, slowest

    def buckets(self, begun, seconds, count):
        """Shares over time."""
        sums = [[0, 0] for _ in range(count)]
        for at, _, answered in self.asked:
            one = sums[min(count - 1, int((at - begun) / seconds * count))]
            one[0] += answered
            one[1] += 1
        return [good / all_ if all_ else None for good, all_ in sums]


def ask_kafka(port):
    """ApiVersions 0."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(struct.pack(">ihhih", 12, 18, 0, 1, 2) + b"up")
        return len(read_exactly(link, 4)) == 4


def ask_http(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return read_exactly(link, 12) == b"HTTP/1.1 200"


def read_exactly(link, size):
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


# ---- memory ----

def resident_bytes(pid):
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, IndexError):
        return 0


class Memory(threading.Thread):
    def __init__(self, broker):
        super().__init__(daemon=True)
        self.broker, self.ending, self.samples = broker, threading.Event(), []

    def run(self):
        while not self.ending.wait(1):
            found = resident_bytes(self.broker.process.pid)
            if found:
                self.samples.append((time.monotonic(), found))


def median(values):
    return sorted(values)[len(values) // 2]


def growth(points):
    """From the first third of the points to the last: medians."""
    third = max(1, len(points) // 3)
    return median(points[:third]), median(points[-third:])


# ---- a phase ----

class Soak:
    def __init__(self, args):
        import sluice_broker
        self.args, self.random = args, random.Random(args.seed)
        self.sluice_broker = sluice_broker
        self.broker = sluice_broker.Broker(*loads.SETTINGS, "storage.scrub_bytes_per_s=8 MiB", "storage.scrub_interval=60 s")
        self.admin = loads.Admin(os.path.join(self.broker.home, "sluice.sock"))
        self.problems, self.before_kill, self.kills, self.reloads, self.swaps, self.totals = [], [], 0, 0, 0, {}
        self.crasher = os.path.join(self.broker.home, "crasher.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-I", os.path.join(SOURCE, "sdk", "include"), "-o", self.crasher,
                        os.path.join(SOURCE, "tests", "crash", "crasher.c")], check=True)

    def plugin(self, name):
        return os.path.join(self.broker.home, "plugins", name)

    def count(self, *words):
        return sum(all(word in line for word in words) for line in self.broker.log().splitlines())

    def begin_phase(self, number):
        address = self.broker.address
        self.loads = loads.mixed(address, self.admin, self.args.seed + number, SCALE)
        os.makedirs(self.plugin(""), exist_ok=True)
        with open(self.plugin("copier.lua"), "w") as file:
            file.write(loads.STAGE)
        subprocess.run(["cp", self.crasher, self.plugin("crasher.so~")], check=True)
        os.rename(self.plugin("crasher.so~"), self.plugin("crasher.so"))
        for name in ("copier", "crasher"):
            self.sluice_broker.wait_for(lambda: loads.stage_state(self.admin, name) == "running", name + " runs")
        self.stages = [loads.Copied("copier", address, self.loads[0], "ids.a.copied", self.admin),
                       loads.Copied("crasher", address, self.loads[1], "ids.b.crashed", self.admin)]
        for one in self.loads:
            one.start()

    def kill(self):
        self.before_kill.append(resident_bytes(self.broker.process.pid))
        self.broker.crash()
        self.broker.start()
        self.kills += 1
        for one in self.loads + self.stages:
            one.killed()
            self.problems += one.problems

    def reload(self):
        self.broker.process.send_signal(signal.SIGHUP)
        self.reloads += 1

    def swap(self):
        """Another version of the Lua stage takes over."""
        self.swaps += 1
        with open(self.plugin("copier.lua~"), "w") as file:
            file.write(f"-- {self.swaps}\n" + loads.STAGE)
        os.rename(self.plugin("copier.lua~"), self.plugin("copier.lua"))

    def run_phase(self, seconds):
        begun = time.monotonic()
        due = {self.kill: self.args.kill_every, self.reload: RELOAD_S, self.swap: SWAP_S}
        at = {act: begun + every for act, every in due.items()}
        while time.monotonic() < begun + seconds and not self.problems:
            act = min(at, key=at.get)
            time.sleep(max(0.0, min(at[act], begun + seconds) - time.monotonic()))
            if time.monotonic() < begun + seconds:
                act()
                at[act] = time.monotonic() + due[act] * self.random.uniform(0.8, 1.2)

    def end_phase(self):
        for one in self.loads:
            one.finish()
        for one in self.loads + self.stages:
            line = one.check()
            print(f"    {line}", flush=True)
            if one.done == 0:
                one.problems.append(f"{one.name}: did nothing")
            self.problems += one.problems
            self.totals[one.name] = self.totals.get(one.name, 0) + one.done

    def clear(self):
        """Takes plugins and topics away for the next phase."""
        for name in ("copier.lua", "crasher.so"):
            os.remove(self.plugin(name))
        self.sluice_broker.wait_for(lambda: not any(
            plugin["name"] in ("copier", "crasher") for plugin in self.admin.call("plugin.list")["plugins"]), "unloading")
        for topic in self.admin.call("topic.list")["topics"]:
            if not topic["internal"]:
                self.admin.call("topic.delete", topic=topic["name"])

    # -- all of it --

    def run(self):
        probes = [Probe("kafka", lambda: ask_kafka(self.broker.kafka)), Probe("http", lambda: ask_http(self.broker.http)),
                  Probe("admin", lambda: bool(self.admin.call("status")))]
        memory, begun, phases = Memory(self.broker), time.monotonic(), max(1, round(self.args.seconds / PHASE_S))
        for one in probes + [memory]:
            one.start()
        for number in range(phases):
            print(f"  phase {number + 1} of {phases}", flush=True)
            self.begin_phase(number)
            self.run_phase(self.args.seconds / phases)
            self.end_phase()
            if self.problems:
                break
            if number + 1 < phases:
                self.clear()
        seconds = time.monotonic() - begun
        for one in probes + [memory]:
            one.ending.set()
            one.join()
        self.report(probes, seconds)
        if self.args.plot:
            plot(self.args.plot, probes, memory.samples, begun, seconds)

    def report(self, probes, seconds):
        crashes = self.count("crasher", "cause=")
        print(f"{seconds:.0f} s: {self.kills} kills, {self.reloads} reloads, {self.swaps} versions of a stage, {crashes} crashes of a plugin")
        print(f"acknowledged: {self.totals}")
        for probe in probes:
            share, gap, slowest = probe.judge()
            print(f"availability of {probe.name:<5} {100 * share:.3f} % of {len(probe.asked)} probes, longest time without an answer "
                  f"{gap * 1e3:.0f} ms, slowest answer {slowest * 1e3:.0f} ms")
        if len(self.before_kill) >= 3:
            first, last = growth(self.before_kill)
            print(f"memory before a kill: {first / 1e6:.1f} MB in the first third, {last / 1e6:.1f} MB in the last, at most "
                  f"{max(self.before_kill) / 1e6:.1f} MB")
            if last > first * GROWTH_MAX + GROWTH_BYTES_MAX:
                self.problems.append(f"memory grows from {first} to {last} bytes")
        code, out, error = self.broker.run("scrub", "--now", "--rate", "1 GiB")
        print("scrub: " + " ".join((out.decode() + error).split())[:300])
        if code != 0:
            self.problems.append(f"scrub: exit code {code}")


# ---- the plot ----

def polyline(points, color):
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{text}"/>'


def label(x, y, text, color="#333"):
    return f'<text x="{x}" y="{y}" font-family="sans-serif" font-size="12" fill="{color}">{text}</text>'


def plot(path, probes, samples, begun, seconds):
    """Availability of each listener by time above, resident memory below."""
    width, height, left, count = 900, 150, 60, 150
    colors = {"kafka": "#1f77b4", "http": "#2ca02c", "admin": "#d62728"}
    shares = {probe.name: probe.buckets(begun, seconds, count) for probe in probes}
    floor = min([share for row in shares.values() for share in row if share is not None] + [0.99])
    parts = [label(left, 20, "answered probes")]
    for index, (name, row) in enumerate(shares.items()):
        points = [(left + width * (i + 0.5) / count, 30 + height * (1 - share) / (1 - floor))
                  for i, share in enumerate(row) if share is not None]
        parts += [polyline(points, colors[name]), label(left + 130 + 70 * index, 20, name, colors[name])]
    parts += [label(5, 34, "100 %"), label(5, 30 + height, f"{100 * floor:.1f} %")]
    top, highest = 60 + height, max([value for _, value in samples] + [1])
    points = [(left + width * (at - begun) / seconds, top + height * (1 - value / highest)) for at, value in samples]
    parts += [label(left, top - 8, "resident memory of the broker"), polyline(points, "#9467bd"),
              label(5, top + 4, f"{highest / 1e6:.0f} MB"), label(5, top + height, "0"),
              label(left, top + height + 20, "0 s"), label(left + width - 50, top + height + 20, f"{seconds:.0f} s")]
    with open(path, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 2 * left} {top + height + 30}">\n'
                   f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")
    print(f"plot: {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kill-every", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SLUICE_SEED", random.randrange(1 << 31))))
    parser.add_argument("--build", default=os.environ.get("SLUICE_BUILD_DIR", os.path.join(SOURCE, "build", "test")))
    parser.add_argument("--plot")
    args = parser.parse_args()
    os.environ["SLUICE_BUILD_DIR"] = os.path.abspath(args.build)
    print(f"soak: seed {args.seed}, {args.seconds:.0f} s, a kill every {args.kill_every:.0f} s", flush=True)
    soak = Soak(args)
    try:
        soak.run()
    except BaseException as error:
        soak.problems.append(f"{type(error).__name__}: {error}")
        raise
    finally:
        if soak.problems:
            print(f"soak: the broker's home is kept: {soak.broker.home}")
            soak.broker.stop()
        else:
            soak.broker.close()
        for problem in soak.problems[:20]:
            print("PROBLEM", problem)
        print(f"soak: seed {args.seed}, {soak.kills} kills, {len(soak.problems)} problems")
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
