sl_fuzzer(fuzz_staged SOURCES fuzz_staged.c DEPS sluice_sandbox)
