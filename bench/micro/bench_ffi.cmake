sl_program(bench_ffi SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_ffi.c DEPS bench_host bench_round native_call dl)
target_compile_definitions(bench_ffi PRIVATE SLUICE_PLUGIN_DIR="${SLUICE_PLUGIN_DIR}")
add_dependencies(bench_ffi processor_ffi processor_lua)
