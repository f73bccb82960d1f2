sl_fuzzer(fuzz_config SOURCES fuzz_config.c DEPS sl_control)
