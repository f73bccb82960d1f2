sl_fuzzer(fuzz_plugin_kept SOURCES fuzz_plugin_kept.c DEPS sl_plugins)
