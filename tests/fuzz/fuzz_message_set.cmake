sl_fuzzer(fuzz_message_set SOURCES fuzz_message_set.c DEPS sl_record)
