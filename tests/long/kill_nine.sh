#!/usr/bin/env bash
# kill_nine.sh: 1,000 times kill -9 of the real binary under load (CI: 50).
exec /usr/bin/python3 tests/crash/kill9.py --kills 1000 --seed "${SLUICE_SEED:-1}" --build build/test
