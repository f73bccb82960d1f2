#!/usr/bin/env bash
# power_cuts.sh: 1,000,000 simulated power cuts of the whole storage, 5,000,000 of the log alone, and the mutants
# that they must catch (CI: 200,000 and 100,000).
set -e
build/test/bin/sim_storage --cuts 1000000 --seed "${SLUICE_SEED:-1}" --processes "$(nproc)"
build/test/bin/sim_storage --mutants --cuts 200000 --seed 1 --processes "$(nproc)"
exec build/test/bin/sim_wal --cuts 5000000 --seed "${SLUICE_SEED:-1}"
