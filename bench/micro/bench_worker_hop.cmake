sl_program(bench_worker_hop SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_worker_hop.c
           ${CMAKE_SOURCE_DIR}/tests/sandbox/toy_host.c DEPS sluice_sandbox)
target_include_directories(bench_worker_hop PRIVATE ${CMAKE_SOURCE_DIR}/tests/sandbox)
target_compile_definitions(bench_worker_hop PRIVATE SLUICE_BINARY_DIR="${CMAKE_BINARY_DIR}")
add_dependencies(bench_worker_hop sluice-worker pass_through)
