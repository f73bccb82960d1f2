sl_fuzzer(fuzz_state_item SOURCES fuzz_state_item.c DEPS sl_deliver sl_admit sl_catalog)
