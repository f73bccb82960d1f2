#!/usr/bin/python3
"""kill9.py: the real broker is killed with SIGKILL under load, again and again, and nothing may be lost.

  kill9.py [--kills 100] [--seed N] [--build DIR] [--rounds N --state FILE] [--stop]

The load is that of loads.py: idempotent and plain producers of two libraries, a Lua stage, groups that
commit, a compacted topic, retention and deletion of records, topics that come and go, on two shards, with
limits so small that records move into extents and compaction runs all the time. After the last kill it is
all read back:
  each acknowledged record is at the offset that was acknowledged, with the bytes that were sent;
  with idempotence each record is there once, in the order of sending, without a hole;
  the stage's output has each input once, in the order of its partition;
  of each key of the compacted topic the newest record is there, and none that a tombstone had deleted;
  what was deleted by size or offset stays deleted, what is behind the start of the log is whole;
  a committed offset is the last acknowledged one, or the one under way at the kill;
  a topic is there as acknowledged, and holds nothing of one that had its name before;
  no worker process outlives its broker.
The kill comes at a random moment (by seed) after the broker is ready, or in the middle of its start.

--rounds repeats all of it, each round in a process and a data folder of its own with a seed of its own, and
notes each in FILE, so that a second call goes on where the first was ended.
--stop ends the broker by SIGTERM instead, and it must end in order; now and then the stage is taken out and
dropped in again. This is for builds with a sanitizer, which looks on."""
import argparse
import glob
import json
import os
import random
import subprocess
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests", "broker"))
import loads

ROUND_LIMIT_S = 3600


def orphans(home):
    """Workers of a broker that is gone."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "sluice-worker" in line and home in line:
            found.append(line)
    return found


def crash(broker, moments):
    """The number of kills that it was."""
    broker.crash()
    if moments.random() < 0.1:  # again, in the middle of its start
        broker.spawn()
        time.sleep(moments.random() * 0.03)
        broker.crash()
        return 2
    return 1


def swap_stage(broker):
    """Takes the stage out and drops it in again."""
    from sluice_broker import wait_for

    admin = loads.Admin(os.path.join(broker.home, "sluice.sock"))
    path = os.path.join(broker.home, "plugins", "copier.lua")
    for wanted, change in ((None, lambda: os.rename(path, path + "~")), ("running", lambda: os.rename(path + "~", path))):
        change()
        wait_for(lambda: loads.stage_state(admin, "copier") == wanted, f"copier: {wanted or 'gone'}")


def stop(broker, moments):
    if moments.random() < 0.5:
        swap_stage(broker)
    code = broker.stop()
    return [] if code == 0 else [f"the broker ended with {code}"]


def moment(moments):
    """Seconds from ready to the kill: mostly short, now and then long enough for a group to settle."""
    return moments.random() * (1.5 if moments.random() < 0.06 else 0.3)


def progress(done, of, sent):
    """A bar on a terminal, a line now and then in a log."""
    if sys.stdout.isatty():
        bar = "#" * (40 * done // of)
        print(f"\r  [{bar:<40}] {done} of {of}, {sent} records", end="\n" if done == of else "", flush=True)


def crash_loop(broker, load, args):
    """Kills and restarts; gives the number of kills, the times of the starts, and what went wrong."""
    moments, problems, starts, kills = random.Random(args.seed), [], [], 0
    while kills < args.kills and not problems:
        time.sleep(moment(moments))
        if args.stop:
            problems += stop(broker, moments)
            kills += 1
        else:
            kills += crash(broker, moments)
        if orphans(broker.home):
            time.sleep(1)
            problems += [f"after kill {kills}: {line} lives on" for line in orphans(broker.home)]
        begun = time.monotonic()
        broker.start()
        starts.append(time.monotonic() - begun)
        for one in load:
            one.killed()
            problems += [f"after kill {kills}: {problem}" for problem in one.problems]
        progress(kills, args.kills, sum(one.done for one in load))
    return kills, sorted(starts), problems


def verify(load):
    problems, lines = [], []
    for one in load:
        if not any(one.problems):
            lines.append(one.check())
            if one.done == 0:
                one.problems.append(f"{one.name}: did nothing")
        problems += one.problems
    return problems, lines


def size_of(path):
    """None: the broker, which runs, has removed it meanwhile."""
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return None


def one_round(args):
    """One data folder from its birth; the result as a dictionary."""
    import sluice_broker
    begun = time.monotonic()
    broker = sluice_broker.Broker(*loads.SETTINGS)
    address, admin = f"127.0.0.1:{broker.kafka}", loads.Admin(os.path.join(broker.home, "sluice.sock"))
    problems = ["it was ended"]
    try:
        load = loads.mixed(address, admin, args.seed)
        if not loads.stage_runs(broker):
            raise SystemExit("kill9: the broker does not load copier.lua: " + broker.log()[-2000:])
        load.append(loads.Copied("copier", address, load[0], "ids.a.copied"))
        for one in load[:-1]:
            one.start()
        time.sleep(0.3)
        kills, starts, problems = crash_loop(broker, load, args)
        loop_s = time.monotonic() - begun
        for one in load:
            one.finish()
        more, lines = verify(load)
        problems += more
        extents = [size for size in map(size_of, glob.glob(os.path.join(broker.home, "**", "*.ext"), recursive=True))
                   if size is not None]
        lines.append(f"{len(extents)} extents of {sum(extents) >> 20} MiB; ready again after "
                     f"{starts[len(starts) // 2] * 1e3:.0f} ms (median), {starts[-1] * 1e3:.0f} ms (worst)")
    finally:
        if problems:
            print(f"kill9: the broker's home is kept: {broker.home}")
            broker.stop()
        else:
            broker.close()
    return {"seed": args.seed, "kills": kills, "loop_s": round(loop_s, 1), "s": round(time.monotonic() - begun, 1),
            "records": sum(one.done for one in load[:6]), "stage": load[-1].done,
            "restarts_ms": round(starts[len(starts) // 2] * 1e3), "lines": lines, "problems": problems}


def show(result, what):
    print("\n".join(result["lines"]))
    for problem in result["problems"][:20]:
        print("PROBLEM", problem)
    print(f"kill9: seed {result['seed']}, {result['kills']} {what} in {result['loop_s']:.0f} s, {result['s']:.0f} s with reading "
          f"back, {len(result['problems'])} problems", flush=True)


def rounds(args):
    """Many rounds, each in a process of its own; what FILE says is done is not done again."""
    done = []
    if os.path.exists(args.state):
        with open(args.state) as file:
            done = [json.loads(line) for line in file]
        print(f"{len(done)} rounds were done before")
    for number in range(len(done), args.rounds):
        seed = args.seed + number * 1000003
        run = subprocess.run([sys.executable, os.path.abspath(__file__), "--kills", str(args.kills), "--seed", str(seed),
                              "--build", args.build, "--json"], stdout=subprocess.PIPE, text=True, timeout=ROUND_LIMIT_S)
        try:
            result = json.loads(run.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            sys.exit(f"round {number}, seed {seed}: {run.stdout[-4000:]}\nkill9: exit code {run.returncode}")
        if result["problems"]:
            print(run.stdout.rsplit("\n", 2)[0])
            show(result, "kills")
            sys.exit(f"kill9: round {number} failed, seed {seed}")
        with open(args.state, "a") as file:
            file.write(json.dumps({key: result[key] for key in result if key not in ("lines", "problems")}) + "\n")
        done.append(result)
        print(f"round {number + 1} of {args.rounds}, seed {seed}: {result['kills']} kills in {result['loop_s']:.0f} s, "
              f"{result['records']} records acknowledged, 0 problems", flush=True)
    print(f"kill9: {sum(one['kills'] for one in done)} kills in {len(done)} data folders, "
          f"{sum(one['records'] for one in done)} records acknowledged, {sum(one['stage'] for one in done)} of a stage, "
          f"{sum(one['s'] for one in done) / 60:.0f} min, ready again after {max(one['restarts_ms'] for one in done)} ms "
          f"(median of the slowest round): 0 lost, 0 duplicates with idempotence, each stage output once")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of one round")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SLUICE_SEED", random.randrange(1 << 31))))
    parser.add_argument("--build", default=os.environ.get("SLUICE_BUILD_DIR", os.path.join(SOURCE, "build", "test")))
    parser.add_argument("--stop", action="store_true", help="by SIGTERM, in order")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--state", help="file of the rounds that are done")
    parser.add_argument("--json", action="store_true", help="the result as one line at the end")
    args = parser.parse_args()
    args.build = os.environ["SLUICE_BUILD_DIR"] = os.path.abspath(args.build)
    what = "stops" if args.stop else "kills"
    print(f"kill9: seed {args.seed}, {args.rounds or 1} x {args.kills} {what}", flush=True)
    if args.rounds:
        rounds(args)
        return 0
    result = one_round(args)
    if args.json:
        print(json.dumps(result))
    else:
        show(result, what)
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
