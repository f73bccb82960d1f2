"""Histories of clients under kill -9, SIGSTOP and cut connections have no anomaly, and the judge sees each kind of anomaly."""
import copy
import os
import subprocess
import sys

try:
    import confluent_kafka  # noqa: F401
except ImportError as error:
    MISSING = str(error)

from sluice_broker import BUILD, SOURCE, loader

sys.path.insert(0, os.path.join(SOURCE, "tests", "crash"))
import history_check  # noqa: E402

SEED = int(os.environ.get("SLUICE_SEED", 1))
RUNS_A_TEST = 2


def is_sanitized():
    with open(os.path.join(BUILD, "CMakeCache.txt")) as file:
        return any(line.startswith("SLUICE_SANITIZE:") and line.strip()[-1] != "=" for line in file)


def run_of(number):
    def test():
        done = subprocess.run([sys.executable, os.path.join(SOURCE, "tests", "crash", "histories.py"), "--build", BUILD, "--seconds", "1",
                               "--runs", str(RUNS_A_TEST), "--seed", str(SEED + number * RUNS_A_TEST)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout[-6000:]
    return test


for index in range(1 if is_sanitized() else 5):
    globals()["test_histories_under_faults_have_no_anomaly_%d" % (index + 1)] = run_of(index)


# ---- the judge: a history that is right, and one thing wrong at a time ----

def right():
    send = {"do": "send", "client": "p", "topic": "plain", "partition": 0, "txn": None}
    part = {"do": "send", "client": "t", "topic": "txn", "partition": 0}
    events = [dict(send, value="a"), dict(send, value="b"), {"do": "ack", "client": "p", "topic": "plain", "value": "a", "offset": 0},
              {"do": "ack", "client": "p", "topic": "plain", "value": "b", "offset": 1},
              dict(part, value="c", txn=1), dict(part, value="d", txn=1), {"do": "end", "client": "t", "txn": 1, "how": "commit"},
              dict(part, value="e", txn=2), {"do": "end", "client": "t", "txn": 2, "how": "abort"},
              dict(part, value="f", txn=3), dict(part, value="g", txn=3),
              {"do": "poll", "client": "r", "topic": "txn", "records": [[0, 0, "c"], [0, 1, "d"]]},
              {"do": "poll", "client": "r", "topic": "txn", "records": [[0, 5, "f"], [0, 6, "g"]]}]
    log = {"plain": [[0, 0, "a"], [0, 1, "b"]], "txn": [[0, 0, "c"], [0, 1, "d"], [0, 5, "f"], [0, 6, "g"]],
           "out": [[0, 0, "c"], [0, 1, "d"], [0, 3, "f"], [0, 4, "g"]]}
    return events, log


def poll(events, number):
    return [event for event in events if event["do"] == "poll"][number]["records"]


WRONG = {  # what is done to the right history, by the anomaly that must be seen
    "lost": [lambda events, log: log["plain"].pop(1), lambda events, log: log["txn"].pop(0)],
    "duplicate": [lambda events, log: log["plain"].append([0, 2, "a"]), lambda events, log: log["out"].append([0, 9, "c"])],
    "aborted read": [lambda events, log: log["txn"].append([0, 7, "e"]), lambda events, log: poll(events, 1).append([0, 7, "e"])],
    "torn": [lambda events, log: log["txn"].pop(3)],
    "reordered": [lambda events, log: log.update(plain=[[0, 0, "b"], [0, 1, "a"]]), lambda events, log: poll(events, 1).reverse(),
                  lambda events, log: log.update(out=[[0, 0, "d"], [0, 1, "c"], [0, 3, "f"], [0, 4, "g"]])],
    "changed": [lambda events, log: poll(events, 0).__setitem__(0, [0, 0, "x"]), lambda events, log: log.update(plain=[[0, 0, "a"], [0, 2, "b"]])],
    "internal skip": [lambda events, log: events.__setitem__(slice(-2, None), [dict(events[-1], records=poll(events, 0)[:1] + poll(events, 1))])],
    "external skip": [lambda events, log: poll(events, 0).pop(1)],
    "unmoved": [lambda events, log: log["out"].pop(2)],
}


def test_the_judge_finds_nothing_in_a_history_that_is_right_and_each_anomaly_in_one_that_is_not():
    assert history_check.check(*right(), moved=("txn", "out")) == []
    for anomaly, damages in WRONG.items():
        for damage in damages:
            events, log = copy.deepcopy(right())
            damage(events, log)
            found = history_check.check(events, log, moved=("txn", "out"))
            assert any(line.startswith(anomaly + ":") for line in found), (anomaly, found)


load_tests = loader(globals())
