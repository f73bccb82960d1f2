sl_fuzzer(fuzz_state_deltas SOURCES fuzz_state_deltas.c DEPS sluice_sandbox)
