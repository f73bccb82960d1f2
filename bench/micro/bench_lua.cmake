sl_program(bench_lua SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_lua.c DEPS bench_round sluice_sdk dl)
add_library(bench_pass MODULE ${CMAKE_CURRENT_LIST_DIR}/bench_pass.c)
target_link_libraries(bench_pass PRIVATE sluice_sdk)
set_target_properties(bench_pass PROPERTIES PREFIX "")
target_compile_definitions(bench_lua PRIVATE SLUICE_PLUGIN_DIR="${SLUICE_PLUGIN_DIR}"
  SLUICE_PASS="$<TARGET_FILE:bench_pass>"
  SLUICE_UPPERCASE="$<TARGET_FILE:uppercase>")
add_dependencies(bench_lua processor_lua uppercase bench_pass)
