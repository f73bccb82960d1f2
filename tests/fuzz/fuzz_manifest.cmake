sl_fuzzer(fuzz_manifest SOURCES fuzz_manifest.c DEPS sl_plugins)
