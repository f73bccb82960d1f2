sl_program(bench_record SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_record.c DEPS bench_round sl_record)
