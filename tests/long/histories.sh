#!/usr/bin/env bash
# A hundred histories of clients under kill -9, SIGSTOP and cut connections, judged (tests/crash/histories.py).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
exec /usr/bin/python3 tests/crash/histories.py --build build/test --runs 100 --seed "${SLUICE_SEED:-1}"
