#!/bin/bash
# 1,000 reloads of a Lua and a C plugin under 100,000 records a second: nothing lost, doubled or reordered.
# reloads.sh [BUILD]; half an hour, and 20 GB in /tmp.
set -e
cd "$(dirname "$0")/../.."
SLUICE_LONG=1 SLUICE_BUILD_DIR="$(realpath "${1:-build/release}")" exec /usr/bin/python3 tests/broker/run.py test_reload.Load
