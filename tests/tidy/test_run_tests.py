#!/usr/bin/python3
"""What tests/run_tests.py does with suites that do not end."""
import os
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import run_tests  # noqa: E402

# A suite that starts two for ever, one of them in a process group of its own as a shell's jobs are, and waits for them.
HANGS = """
import os, subprocess, sys
plain = subprocess.Popen(["sleep", "infinity"])
apart = subprocess.Popen(["sleep", "infinity"], preexec_fn=os.setpgrp)
print(plain.pid, apart.pid, flush=True)
plain.wait()
"""


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class RunTests(unittest.TestCase):
    def test_what_a_suite_started_goes_with_it_when_its_time_is_over(self):
        for limit_s in (0.5, 2, 8, 32, 128):  # until it had started both
            code, output = run_tests.run([sys.executable, "-c", HANGS], dict(os.environ), limit_s=limit_s)
            self.assertEqual(code, 124)
            self.assertTrue(output.endswith(f"\nkilled after {limit_s} s\n"), output)
            if output.split()[0].isdigit():
                break
        pids = [int(word) for word in output.split()[:2]]
        self.assertEqual([pid for pid in pids if is_there(pid)], [])

    def test_what_is_left_of_a_suite_that_ended_does_not_hold_its_answer(self):
        code, output = run_tests.run(["sh", "-c", "sleep infinity & echo $!; exit 3"], dict(os.environ))
        self.addCleanup(os.kill, int(output), 9)
        self.assertEqual(code, 3)
        self.assertTrue(is_there(int(output)))

    def test_who_ends_run_tests_ends_the_suites(self):
        suites = run_tests.suites
        self.addCleanup(setattr, run_tests, "suites", suites)
        run_tests.suites = run_tests.Suites()
        ended = []

        def work():
            try:
                run_tests.run(["sleep", "infinity"], dict(os.environ))
            except SystemExit as error:
                ended.append(error.code)
        thread = threading.Thread(target=work)
        thread.start()
        while not run_tests.suites.leaders:
            pass
        leader = list(run_tests.suites.leaders)[0]
        run_tests.suites.stop()
        thread.join()
        self.assertEqual(ended, ["run_tests was ended"])
        self.assertFalse(is_there(leader))
        with self.assertRaises(SystemExit):
            run_tests.suites.start(["true"], dict(os.environ), None, subprocess.DEVNULL)


if __name__ == "__main__":
    unittest.main()
