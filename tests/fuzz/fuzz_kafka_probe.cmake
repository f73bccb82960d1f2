sl_fuzzer(fuzz_kafka_probe SOURCES fuzz_kafka_probe.c DEPS sl_cli)
