#!/usr/bin/env bash
# races.sh: ThreadSanitizer looks on: unit suites, brokers on two shards with real clients and plugins, and
# brokers that are stopped by SIGTERM under load while a stage comes and goes.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. .ci/common.sh
configure_and_build tsan build/tsan
/usr/bin/python3 tests/run_tests.py --build build/tsan --sanitized
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
TSAN_OPTIONS="log_path=$reports/tsan" SLUICE_RUNTIME__SHARDS=2 setarch -R \
  /usr/bin/python3 tests/crash/kill9.py --stop --kills 20 --seed "${SLUICE_SEED:-1}" --build build/tsan
for report in "$reports"/*; do
  [ -e "$report" ] || continue
  cat "$report"
  failed=1
done
exit "${failed:-0}"
