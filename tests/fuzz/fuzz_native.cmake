sl_fuzzer(fuzz_native SOURCES fuzz_native.c DEPS native_frontend)
