sl_fuzzer(fuzz_sasl_message SOURCES fuzz_sasl_message.c DEPS sl_auth)
