#!/usr/bin/env bash
# tests/long/options.sh: each thing that a build may leave out (docs/packaging.md), left out alone and all of it together:
# builds without a warning, passes the suites that remain, and is tried from outside (tests/broker/test_build_options.py).
#
#   tests/long/options.sh [NAME…]     of: no_kafka no_http no_native no_hot_reload no_telemetry no_top nothing
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. .ci/common.sh

declare -A options=(
  [no_kafka]="-DSLUICE_FRONTENDS=http;native"
  [no_http]="-DSLUICE_FRONTENDS=kafka;native"
  [no_native]="-DSLUICE_FRONTENDS=kafka;http"
  [no_hot_reload]="-DSLUICE_HOT_RELOAD=OFF"
  [no_telemetry]="-DSLUICE_TELEMETRY=OFF"
  [no_top]="-DSLUICE_TOP=OFF"
  [nothing]="-DSLUICE_FRONTENDS= -DSLUICE_HOT_RELOAD=OFF -DSLUICE_TELEMETRY=OFF -DSLUICE_TOP=OFF"
)
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(no_kafka no_http no_native no_hot_reload no_telemetry no_top nothing)
problems=0
for name in "${names[@]}"; do
  build=build/options/$name
  say "$name: ${options[$name]}"
  # shellcheck disable=SC2086
  if ! configure_and_build test "$build" ${options[$name]}; then
    problems=$((problems + 1))
    continue
  fi
  "$build/bin/sluice" --version --json | tr -d '\n '
  echo
  /usr/bin/python3 tests/run_tests.py --build "$build" >"$build/tests.log" 2>&1 || problems=$((problems + 1))
  grep -v '^ok' "$build/tests.log"
  rm -rf "$build/tests" # some hundred MB each
done
echo "${#names[@]} builds, $problems with problems, $SECONDS s"
[ "$problems" -eq 0 ]
