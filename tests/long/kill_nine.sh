#!/usr/bin/env bash
# kill_nine.sh: 10,000 times kill -9 of the real binary under mixed load (CI: 100), in rounds of 100 with a data
# folder and a seed of their own. Resumable: rounds that are done for this commit are not done again.
# KILLS: how many instead; SLUICE_BUILD_DIR: which build instead of build/test.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
state=${SLUICE_STATE:-build/long}
mkdir -p "$state"
exec /usr/bin/python3 tests/crash/kill9.py --rounds $((${KILLS:-10000} / 100)) --kills 100 \
  --state "$state/kill_nine.rounds" --seed "${SLUICE_SEED:-1}" --build "${SLUICE_BUILD_DIR:-build/test}"
