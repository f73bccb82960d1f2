sl_fuzzer(fuzz_extent SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_extent.c DEPS sl_extent sl_os)
