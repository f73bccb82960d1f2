sl_fuzzer(fuzz_admin SOURCES fuzz_admin.c DEPS sl_control)
