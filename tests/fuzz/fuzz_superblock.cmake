sl_fuzzer(fuzz_superblock SOURCES fuzz_superblock.c DEPS sl_broker)
