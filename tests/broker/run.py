#!/usr/bin/python3
"""Runs the whole-broker tests of this folder: run.py [WORD…], only those whose name holds a word.

One line a test; the last line is "N passed, N failed, N skipped"; exit code 1 when one failed.
SLUICE_BUILD_DIR says which build is tested.
"""
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)


class Lines(unittest.TestResult):
    """One line a test, with the reason where it did not pass."""

    def startTest(self, test):
        super().startTest(test)
        self.start = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        problem = next((problem for problem in self.failures + self.errors if problem[0] is test), None)
        if problem is not None:
            self.line("failed", test, problem[1])
        elif self.skipped and self.skipped[-1][0] is test:
            self.line("skipped", test, self.skipped[-1][1])
        else:
            self.line("passed", test, "")

    def line(self, outcome, test, why):
        print("%s %s (%.1f s)%s" % (outcome, test.id(), time.monotonic() - self.start,
                                   ": " + why if why else ""), flush=True)


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def main(words):
    result = Lines()
    names = sorted(name[:-3] for name in os.listdir(HERE)
                   if name.startswith("test_") and name.endswith(".py"))
    for name in names:
        suite = unittest.defaultTestLoader.loadTestsFromName(name)
        wanted = [test for test in flatten(suite)
                  if not words or any(word in test.id() for word in words)]
        unittest.TestSuite(wanted).run(result)
    failed = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    print("%d passed, %d failed, %d skipped" % (result.testsRun - failed - skipped, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
