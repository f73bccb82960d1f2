"""Very many partitions, most of them idle: what each costs, files, restarts. tests/long/many_streams.sh does a million."""
import os

import many_streams
import sluice_broker

BYTES_A_STREAM = 512
RESTART_S = 30  # a busy machine; the real bound of 5 s for a million is that of the long test
FILES = 100
SANITIZED = "ASAN_OPTIONS" in os.environ


def measured(topics, partitions, **options):
    measure = many_streams.Measure(topics, partitions, show=lambda line: print(line, flush=True), **options)
    try:
        many_streams.run(measure)
    finally:
        measure.close()
    return measure


def check(measure):
    # What requests and jobs leave behind in the allocator, some 30 MiB, is no stream's: after a start it is not there.
    if not SANITIZED:  # which add to every allocation
        assert measure.per_stream("restart, clean") < BYTES_A_STREAM, measure.per_stream("restart, clean")
    for name in ("restart, clean", "restart, kill -9"):
        assert measure.rows[name]["seconds"] < RESTART_S, (name, measure.rows[name])
    for name, row in measure.rows.items():
        assert row["files"] < FILES and row["descriptors"] < FILES, (name, row)


def test_a_hundred_thousand_partitions_of_ten_topics():
    check(measured(10, 10000))


load_tests = sluice_broker.loader(globals())
