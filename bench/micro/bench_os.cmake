sl_program(bench_os SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_os.c DEPS bench_round sl_os)
