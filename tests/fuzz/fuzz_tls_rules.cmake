sl_fuzzer(fuzz_tls_rules SOURCES fuzz_tls_rules.c DEPS sl_tls)
