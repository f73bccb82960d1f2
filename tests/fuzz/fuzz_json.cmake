sl_fuzzer(fuzz_json SOURCES fuzz_json.c DEPS processor_lua_core)
