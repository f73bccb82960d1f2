#!/usr/bin/env bash
# damage.sh: every bit of every file of a data folder flipped, every byte cut off, and all else that sim_damage does;
# every allocation and every call of the system fails once, in six folders (CI: a share of both).
set -e
build/test/bin/sim_damage --every 1 --bits 8 --seed "${SLUICE_SEED:-1}" --processes "$(nproc)"
for seed in 1 2 3 4 5 6; do
  build/test/bin/sim_failures --every 1 --seed "$seed" --steps 2500 --processes "$(nproc)"
done
