sl_fuzzer(fuzz_acl_file SOURCES fuzz_acl_file.c DEPS sl_admit)
