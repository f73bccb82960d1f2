#!/usr/bin/env bash
# soak.sh: ten minutes of everything at once, a kill every 30 s, then a scrub; a day by hand: SOAK_S=86400. Draws
# docs/evidence/soak.svg.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
mkdir -p docs/evidence
exec /usr/bin/python3 tests/crash/soak.py --seconds "${SOAK_S:-600}" --seed "${SLUICE_SEED:-1}" \
  --build "${SLUICE_BUILD_DIR:-build/test}" --plot docs/evidence/soak.svg
