sl_fuzzer(fuzz_place SOURCES fuzz_place.c DEPS sl_cli)
