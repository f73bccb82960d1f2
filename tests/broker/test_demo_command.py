"""sluice demo: all of it without input, and what is left after Ctrl-C."""
import os
import re
import subprocess
import tempfile

from sluice_broker import SLUICE, WAIT_S, loader
from test_top_command import Terminal


def test_each_step_shows_its_effect_and_nothing_is_left():
    with tempfile.TemporaryDirectory(prefix="sluice-demo-test-") as scratch:
        done = subprocess.run([SLUICE, "demo", "--auto"], capture_output=True, text=True, timeout=8 * WAIT_S, env=dict(os.environ, TMPDIR=scratch))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "FAILED" not in done.stdout and done.stdout.count("  ok: ") == 12, done.stdout
        for text in ("key=anna", "**** 1111", '"customer":"ANNA"', "keeps running", "arithmetic on a nil value"):
            assert text in done.stdout, (text, done.stdout)
        assert re.search(r"orders\[0\]@2  \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  key=carla ", done.stdout), done.stdout
        assert "\x1b" not in done.stdout
        assert os.listdir(scratch) == []


def test_the_menu_takes_steps_again_and_ctrl_c_leaves_nothing():
    with tempfile.TemporaryDirectory(prefix="sluice-demo-test-") as scratch:
        os.environ["TMPDIR"] = scratch
        try:
            screen = Terminal("demo")
        finally:
            del os.environ["TMPDIR"]
        screen.expect("exit")
        for keys, answer in (("3\n", "was made when the first record came"), ("5\n", "where it came from"), ("5\n", "where it came from"),
                             ("9\n", "a number from 1 to 7"), ("4\n", "your turn"), ("q\n", "exit")):
            screen.type(keys)
            screen.expect(answer)
        assert os.listdir(scratch) != []
        screen.type("\x03")
        assert screen.end() == 0
        assert os.listdir(scratch) == []
        done = subprocess.run([SLUICE, "demo"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 64 and "--auto" in done.stderr


load_tests = loader(globals())
