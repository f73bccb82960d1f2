#!/usr/bin/env bash
# crowd.sh: 5,000 connections of every kind that do what they like for ten minutes, each answer verified; idle ones cost nothing (tests/crash/crowd.py).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
exec /usr/bin/python3 tests/crash/crowd.py --build "${SLUICE_BUILD_DIR:-build/test}" --seed "${SLUICE_SEED:-1}"
