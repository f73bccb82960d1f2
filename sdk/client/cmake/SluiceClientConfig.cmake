# find_package(SluiceClient): Sluice::client and, when it is installed, Sluice::client_tls (TLS, SCRAM; OpenSSL).
# From PREFIX/lib/cmake/SluiceClient; inside the source tree the targets are there already.
get_filename_component(SluiceClient_LIB_DIR ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
get_filename_component(SluiceClient_INCLUDE_DIR ${CMAKE_CURRENT_LIST_DIR}/../../../include ABSOLUTE)
foreach(part client client_tls)
  string(REPLACE "_" "-" file ${part})
  set(file ${SluiceClient_LIB_DIR}/libsluice-${file}.so)
  if(NOT TARGET Sluice::${part} AND EXISTS ${file})
    add_library(Sluice::${part} SHARED IMPORTED)
    set_target_properties(Sluice::${part} PROPERTIES IMPORTED_LOCATION ${file}
                          INTERFACE_INCLUDE_DIRECTORIES ${SluiceClient_INCLUDE_DIR})
    if(part STREQUAL "client_tls")
      set_target_properties(Sluice::client_tls PROPERTIES INTERFACE_LINK_LIBRARIES Sluice::client)
    endif()
  endif()
endforeach()
