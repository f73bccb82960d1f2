"""Answers of Sluice against those that Apache Kafka 4.3 gave to the same requests: tests/compare."""
import os
import subprocess
import sys

from sluice_broker import BUILD, SOURCE, loader


def test_answers_are_those_of_apache_kafka_or_their_difference_is_explained():
    done = subprocess.run([sys.executable, os.path.join(SOURCE, "tests", "compare", "run"), os.path.join(BUILD, "bin", "sluice")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-6000:]


load_tests = loader(globals())
