sl_fuzzer(fuzz_wal_frame SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_wal_frame.c DEPS sl_index sl_wal sl_os)
