sl_fuzzer(fuzz_load_kafka SOURCES fuzz_load_kafka.c DEPS sl_load sluice_client_tls)
