#!/bin/bash
# many_streams.sh: a million partitions with a record each, as 100 topics of 10,000 and as 100,000 topics of 10, in one
# shard and in two, with and without an idempotent producer: bytes a stream, files, restarts. Prints a line a phase.
set -e
here=$(cd "$(dirname "$0")/../.." && pwd)
export SLUICE_BUILD_DIR=${SLUICE_BUILD_DIR:-$here/build/test}
cd "$here/tests/broker"
for shape in "100 10000 1 0" "100000 10 2 1"; do
  echo "topics, partitions each, shards, idempotent: $shape"
  /usr/bin/python3 - $shape <<'PY'
import sys
import sluice_broker
sluice_broker.WAIT_S = 300
import many_streams
topics, partitions, shards, idempotent = map(int, sys.argv[1:])
measure = many_streams.Measure(topics, partitions, shards, bool(idempotent), show=lambda line: print(line, flush=True))
try:
    many_streams.run(measure)
finally:
    measure.close()
for name in ("restart, clean", "restart, kill -9"):
    assert measure.rows[name]["seconds"] < 5, (name, measure.rows[name])
assert measure.per_stream("idle") < 512, measure.per_stream("idle")
PY
done
