#!/usr/bin/env bash
# An hour of libFuzzer, with ASan and UBSan, on the decoder of Kafka's requests and responses (tests/fuzz/
# fuzz_kafka_codec.c), in pieces of five minutes at the lowest priority. Resumable: the corpus that it finds and
# the seconds that are done stay in $SLUICE_STATE (build/long/<commit>), else in build/long/fuzz_kafka. At the end what
# reaches new code is merged into tests/fuzz/corpus/kafka_codec, the seeds of every later run. SECONDS_WANTED:
# instead of 3600.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
wanted=${SECONDS_WANTED:-3600}
piece=300
state=${SLUICE_STATE:-build/long}/fuzz_kafka
fuzzer=build/fuzz/fuzz/fuzz_kafka_codec
seeds=tests/fuzz/corpus/kafka_codec
seed=${SLUICE_SEED:-1}
mkdir -p "$state/corpus" build/fuzz
cmake --preset fuzz >build/fuzz/configure.log
nice ninja -C build/fuzz fuzz_kafka_codec >build/fuzz/build.log || {
  tail -60 build/fuzz/build.log
  exit 1
}
done_s=$(cat "$state/seconds" 2>/dev/null || echo 0)
[ "$done_s" -eq 0 ] || echo "$done_s s were done before"
while [ "$done_s" -lt "$wanted" ]; do
  number=$((done_s / piece))
  log=$state/$number.log
  if ! nice -n 19 "$fuzzer" -max_total_time=$piece -seed=$((seed % 1000000 * 1000 + number)) -rss_limit_mb=2048 -timeout=10 \
    -max_len=65536 -artifact_prefix="$state/found-" "$state/corpus" "$seeds" >"$log" 2>&1; then
    tail -40 "$log"
    echo "FOUND something after $done_s s, seed $seed; its input is $state/found-*"
    exit 1
  fi
  done_s=$((done_s + piece))
  echo "$done_s" >"$state/seconds"
  printf '%s s: %s runs in this piece, %s\n' "$done_s" "$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log")" \
    "$(grep -o 'cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$log" | tail -1)"
done
before=$(find "$seeds" -type f | wc -l)
nice -n 19 "$fuzzer" -merge=1 -use_counters=0 -max_len=65536 "$seeds" "$state/corpus" >"$state/merge.log" 2>&1
total=$(cat "$state"/[0-9]*.log | awk '/^Done [0-9]+ runs/ { runs += $2 } END { print runs }')
echo "$total runs in $done_s s, seed $seed, nothing found; the corpus had $before inputs and has $(find "$seeds" -type f | wc -l)"
