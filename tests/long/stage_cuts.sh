#!/usr/bin/env bash
# stage_cuts.sh: 300,000 simulated power cuts of a stateful stage and the redrive of its dead letters, and the mutants
# that they must catch (CI: 10,000).
set -e
build/test/bin/sim_stages --cuts 300000 --seed "${SLUICE_SEED:-1}" --processes "$(nproc)"
exec build/test/bin/sim_stages --mutants --cuts 20000 --seed 1 --processes "$(nproc)"
