sl_fuzzer(fuzz_tls_flight SOURCES fuzz_tls_flight.c DEPS sl_tls)
