sl_fuzzer(fuzz_native_client SOURCES fuzz_native_client.c DEPS sluice_client)
if(TARGET fuzz_native_client)
  target_include_directories(fuzz_native_client PRIVATE ${PROJECT_SOURCE_DIR}/sdk/client)
endif()
