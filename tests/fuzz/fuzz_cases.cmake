sl_fuzzer(fuzz_cases SOURCES fuzz_cases.c DEPS sl_workbench)
