if(TARGET native_frontend)
  sl_fuzzer(fuzz_native SOURCES fuzz_native.c DEPS native_frontend)
endif()
