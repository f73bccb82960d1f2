sl_program(bench_lua SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_lua.c DEPS bench_host bench_round)
target_compile_definitions(bench_lua PRIVATE SLUICE_PLUGIN_DIR="${SLUICE_PLUGIN_DIR}"
  SLUICE_PASS_THROUGH="$<TARGET_FILE:pass_through>"
  SLUICE_UPPERCASE="$<TARGET_FILE:uppercase>")
add_dependencies(bench_lua processor_lua uppercase pass_through)
