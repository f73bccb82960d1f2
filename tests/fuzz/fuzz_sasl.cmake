sl_fuzzer(fuzz_sasl SOURCES fuzz_sasl.c DEPS sl_auth)
