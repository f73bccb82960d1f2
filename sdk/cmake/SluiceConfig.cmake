# find_package(Sluice): target Sluice::sdk (headers only) and sluice_plugin(name source…).
# Works where it is installed (PREFIX/share/cmake/Sluice) and straight from a source tree
# (-DSluice_DIR=…/sdk/cmake).
if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/../include/sluice/sluice.h)
  get_filename_component(Sluice_INCLUDE_DIR ${CMAKE_CURRENT_LIST_DIR}/../include ABSOLUTE)
else()
  get_filename_component(Sluice_INCLUDE_DIR ${CMAKE_CURRENT_LIST_DIR}/../../../include ABSOLUTE)
endif()

if(NOT TARGET Sluice::sdk)
  add_library(Sluice::sdk INTERFACE IMPORTED)
  set_target_properties(Sluice::sdk PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${Sluice_INCLUDE_DIR})
endif()

# A module ready to be dropped into plugins/: NAME.so, nothing exported but its descriptor.
if(NOT COMMAND sluice_plugin)
  function(sluice_plugin name)
    add_library(${name} MODULE ${ARGN})
    set_target_properties(${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden
                          CXX_VISIBILITY_PRESET hidden)
    target_link_libraries(${name} PRIVATE Sluice::sdk)
  endfunction()
endif()
