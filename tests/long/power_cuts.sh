#!/usr/bin/env bash
# power_cuts.sh: 5,000,000 simulated power cuts of the log by seed (CI: 100,000).
exec build/test/bin/sim_wal --cuts 5000000 --seed "${SLUICE_SEED:-1}"
