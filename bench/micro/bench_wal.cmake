sl_program(bench_wal SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_wal.c DEPS sl_wal sl_os sl_base)
