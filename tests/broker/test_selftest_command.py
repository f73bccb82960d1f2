"""sluice selftest: each step holds, and nothing is left behind."""
import json
import os
import subprocess
import tempfile

from sluice_broker import SLUICE, WAIT_S, loader


def run(scratch, *words, **more):
    return subprocess.run([SLUICE, "selftest", *words], capture_output=True, text=True, timeout=8 * WAIT_S,
                          env={**os.environ, "TMPDIR": scratch, **more})


def test_each_step_holds_and_nothing_is_left():
    with tempfile.TemporaryDirectory(prefix="sluice-selftest-") as scratch:
        done = run(scratch, "--json")
        told = json.loads(done.stdout)
        assert done.returncode == 0 and told["ok"], done.stdout + done.stderr
        assert [step["step"] for step in told["steps"] if step["ok"]] == [
            "start", "write", "read", "kill", "read again", "plugin", "kafka", "native", "stop"], told
        assert os.listdir(scratch) == []


def test_what_fails_is_named_with_the_end_of_the_log():
    with tempfile.TemporaryDirectory(prefix="sluice-selftest-") as scratch:
        done = run(scratch, SLUICE_WAL__BYTES_MAX="nonsense")
        assert done.returncode == 1, done.stdout + done.stderr
        assert "FAILED" in done.stdout and "a broker starts in a new folder" in done.stdout, done.stdout
        assert "The end of its log:" in done.stderr and "wal.bytes_max" in done.stderr, done.stderr
        assert os.listdir(scratch) == []


load_tests = loader(globals())
