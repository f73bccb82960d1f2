#!/usr/bin/env bash
# poison.sh: 1,000 records that segfault, abort, loop or eat memory (C), and 1,000 that raise (Lua), among 1,000,000 good
# ones each: those out once and in order, these in the dead letters; prints what each costs. SLUICE_SEED: where they are.
# SLUICE_BUILD_DIR: which build instead of build/test. Some three minutes.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
export SLUICE_LONG=1
SLUICE_BUILD_DIR=$(realpath "${SLUICE_BUILD_DIR:-build/test}")
export SLUICE_BUILD_DIR
exec /usr/bin/python3 tests/broker/run.py test_poison
