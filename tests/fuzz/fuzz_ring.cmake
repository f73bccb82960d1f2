sl_fuzzer(fuzz_ring SOURCES fuzz_ring.c ${CMAKE_SOURCE_DIR}/sandbox/worker/record_decode.c DEPS sluice_sandbox)
if(TARGET fuzz_ring)
  target_include_directories(fuzz_ring PRIVATE ${CMAKE_SOURCE_DIR}/sandbox)
endif()
