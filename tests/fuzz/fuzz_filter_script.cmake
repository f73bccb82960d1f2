sl_fuzzer(fuzz_filter_script SOURCES fuzz_filter_script.c DEPS sl_plugins)
