#!/usr/bin/env bash
# reloads.sh: 1,000 reloads (CI: 100) of a Lua and a C plugin under 100,000 records a second, that are offered, taken and
# through both: nothing lost, doubled or reordered. Fails where the machine gives fewer than RATE_MIN. RELOADS, RATE,
# RATE_MIN: others; SLUICE_BUILD_DIR: which build instead of build/test. Ten minutes, and 5 GB in /tmp.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
export SLUICE_RELOADS=${RELOADS:-1000} SLUICE_RELOADS_RATE=${RATE:-105000} SLUICE_RELOADS_RATE_MIN=${RATE_MIN:-100000}
SLUICE_BUILD_DIR=$(realpath "${SLUICE_BUILD_DIR:-build/test}")
export SLUICE_BUILD_DIR
exec /usr/bin/python3 tests/broker/run.py test_reload.Load
