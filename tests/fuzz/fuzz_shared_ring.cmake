sl_fuzzer(fuzz_shared_ring SOURCES fuzz_shared_ring.c DEPS sluice_sdk)
