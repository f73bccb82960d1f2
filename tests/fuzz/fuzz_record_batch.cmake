sl_fuzzer(fuzz_record_batch SOURCES fuzz_record_batch.c DEPS sl_record)
