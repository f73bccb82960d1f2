# What `cmake --install` puts where, and the packages that CPack makes of it (`cpack --config build/CPackConfig.cmake`).
#
# The tree is the same everywhere, and nothing in it knows where it lies: /usr, /usr/local, ~/.local, a tarball that is
# unpacked anywhere.
#   bin/sluice              the program            lib/sluice/sluice-worker   what runs plugins
#   lib/sluice/plugins/     plugins of its own     lib/sluice/selftest/       hostile ones, for `sluice sandbox selftest`
#   etc/sluice/             its configuration      lib/{systemd/system,sysusers.d,tmpfiles.d}
#   include/sluice, share/{pkgconfig,cmake/Sluice,sluice/template}            for those who write plugins
#   lib/{libsluice-client*,cmake/SluiceClient,lua/5.4,python3.N/site-packages}      clients
# Debian keeps etc/ and units in the root, and Python's packages in one folder: debian/move.cmake puts them there, in the
# packages alone.
install(TARGETS sluice RUNTIME DESTINATION bin COMPONENT sluice)
install(TARGETS sluice-worker RUNTIME DESTINATION lib/sluice COMPONENT sluice)
install(TARGETS hostile library_plain library_constructor
        LIBRARY DESTINATION lib/sluice/selftest COMPONENT plugins)
install(DIRECTORY ${CMAKE_BINARY_DIR}/lib/sluice/selftest/lua DESTINATION lib/sluice/selftest COMPONENT plugins)

set(SLUICE_PACKAGE_DIR ${CMAKE_CURRENT_LIST_DIR})
install(FILES ${SLUICE_PACKAGE_DIR}/sluice.yaml DESTINATION etc/sluice COMPONENT sluice)
install(FILES conf/sluice.schema.json DESTINATION share/sluice COMPONENT sluice)
if(EXISTS ${CMAKE_SOURCE_DIR}/conf/profiles)
  install(DIRECTORY conf/profiles DESTINATION share/sluice COMPONENT sluice)
endif()
install(FILES ${SLUICE_PACKAGE_DIR}/sluice.service DESTINATION lib/systemd/system COMPONENT sluice)
install(FILES ${SLUICE_PACKAGE_DIR}/sluice.sysusers DESTINATION lib/sysusers.d
        RENAME sluice.conf COMPONENT sluice)
install(FILES ${SLUICE_PACKAGE_DIR}/sluice.tmpfiles DESTINATION lib/tmpfiles.d
        RENAME sluice.conf COMPONENT sluice)

set(doc share/doc/sluice)
configure_file(${SLUICE_PACKAGE_DIR}/debian/changelog.in ${CMAKE_BINARY_DIR}/package/changelog @ONLY)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${doc} COMPONENT sluice)
install(DIRECTORY docs/ DESTINATION ${doc} COMPONENT sluice
        FILES_MATCHING PATTERN "*.md" PATTERN "*.svg" PATTERN evidence EXCLUDE PATTERN decisions EXCLUDE)
install(DIRECTORY examples DESTINATION share/doc/sluice-dev COMPONENT sdk
        PATTERN "*.so" EXCLUDE PATTERN "build*" EXCLUDE PATTERN "client_*" EXCLUDE)
install(DIRECTORY examples/client_c examples/client_lua examples/client_python
        DESTINATION share/doc/libsluice-client-dev/examples COMPONENT client_dev PATTERN "__pycache__" EXCLUDE)

# docs/CMakeLists.txt installs the manual pages; without scdoc this one says where help is.
if(NOT SCDOC OR SLUICE_SANITIZE OR SLUICE_FUZZ OR SLUICE_COVERAGE)
  install(FILES ${SLUICE_PACKAGE_DIR}/sluice.1 DESTINATION share/man/man1 COMPONENT sluice)
endif()

# ---- packages ----
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Sluice maintainers <sluice-maintainers@users.noreply.github.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "streaming platform whose every edge is a plugin")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/package)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL sluice plugins library sdk client client_tls client_dev client_lua)
find_package(Python3 COMPONENTS Interpreter)
if(Python3_Interpreter_FOUND)
  list(APPEND CPACK_COMPONENTS_ALL client_python)
endif()
set(CPACK_ARCHIVE_COMPONENT_INSTALL ON) # else it takes what belongs to no component too
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_PROJECT_CONFIG_FILE ${SLUICE_PACKAGE_DIR}/debian/project.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${SLUICE_PACKAGE_DIR}/debian/move.cmake)
set(CPACK_SLUICE_PACKAGE_DIR ${SLUICE_PACKAGE_DIR})
set(CPACK_SLUICE_CHANGELOG ${CMAKE_BINARY_DIR}/package/changelog)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/lib)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_SLUICE_PACKAGE_NAME sluice)
set(CPACK_DEBIAN_SLUICE_PACKAGE_SECTION net)
set(CPACK_DEBIAN_SLUICE_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles, init-system-helpers (>= 1.52)")
set(CPACK_DEBIAN_SLUICE_PACKAGE_RECOMMENDS "sluice-plugins (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_SLUICE_PACKAGE_SUGGESTS "sluice-dev, kcat")
set(CPACK_DEBIAN_SLUICE_PACKAGE_CONTROL_EXTRA
    ${SLUICE_PACKAGE_DIR}/debian/conffiles ${SLUICE_PACKAGE_DIR}/debian/postinst
    ${SLUICE_PACKAGE_DIR}/debian/prerm ${SLUICE_PACKAGE_DIR}/debian/postrm)
set(CPACK_COMPONENT_SLUICE_DESCRIPTION
"A durable broker for Kafka clients that starts in milliseconds, and runs
stream processors in itself: a Lua file or a shared library that is put into
a folder is loaded, confined by the kernel, and replaced while records flow.

This package has the broker, its command line and its frontends.")

set(CPACK_DEBIAN_PLUGINS_PACKAGE_NAME sluice-plugins)
set(CPACK_DEBIAN_PLUGINS_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PLUGINS_PACKAGE_DEPENDS "sluice (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_PLUGINS_DESCRIPTION
"Sluice is a durable broker for Kafka clients that runs stream processors in
itself, confined by the kernel.

This package has what runs processors written in Lua and plain functions of
shared libraries, and the attacks that the selftest of the sandbox repels.")

# sluice_library_package(COMPONENT libNAME): the package of a shared library libNAME.so.0.
macro(sluice_library_package component library)
  set(files ${CMAKE_BINARY_DIR}/package-files/${library}0)
  set(package_library ${library})
  configure_file(${SLUICE_PACKAGE_DIR}/debian/library/shlibs.in ${files}/shlibs @ONLY)
  configure_file(${SLUICE_PACKAGE_DIR}/debian/library/lintian-overrides.in ${files}/${library}0 @ONLY)
  string(TOLOWER ${component} lower)
  install(FILES ${files}/${library}0 DESTINATION share/lintian/overrides COMPONENT ${lower})
  set(CPACK_DEBIAN_${component}_PACKAGE_NAME ${library}0)
  set(CPACK_DEBIAN_${component}_PACKAGE_SECTION libs)
  set(CPACK_DEBIAN_${component}_PACKAGE_CONTROL_EXTRA ${SLUICE_PACKAGE_DIR}/debian/library/triggers ${files}/shlibs)
endmacro()

sluice_library_package(LIBRARY libsluice-broker)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "sluice (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
"Sluice is a durable broker for Kafka clients that runs stream processors in
itself, confined by the kernel.

This package has the library with which a program hosts a broker; frontends
and the program of workers are in the package sluice.")

set(CPACK_DEBIAN_SDK_PACKAGE_NAME sluice-dev)
# types.h and status.h are the client's too: they are in its package.
set(CPACK_DEBIAN_SDK_PACKAGE_DEPENDS
    "libsluice-broker0 (= ${PROJECT_VERSION}), libsluice-client-dev (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_SDK_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_SDK_PACKAGE_SUGGESTS "sluice (= ${PROJECT_VERSION}), gcc")
set(CPACK_COMPONENT_SDK_DESCRIPTION
"Sluice is a durable broker for Kafka clients that runs stream processors in
itself, confined by the kernel.

This package has the headers of its plugin interface with descriptions for
pkg-config and CMake, templates and examples.")

# ---- clients of the native protocol ----
set(about_sluice
"Sluice is a durable broker for Kafka clients that runs stream processors in
itself, confined by the kernel.")

sluice_library_package(CLIENT libsluice-client)
set(CPACK_COMPONENT_CLIENT_DESCRIPTION
"${about_sluice}

This package has the library of clients of its native protocol, which pushes
records to subscribers within the credit that they give.")

sluice_library_package(CLIENT_TLS libsluice-client-tls)
set(CPACK_DEBIAN_CLIENT_TLS_PACKAGE_DEPENDS "libsluice-client0 (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_CLIENT_TLS_DESCRIPTION
"${about_sluice}

This package has TLS and the hashes of SCRAM, by OpenSSL, for clients of its
native protocol.")

set(CPACK_DEBIAN_CLIENT_DEV_PACKAGE_NAME libsluice-client-dev)
set(CPACK_DEBIAN_CLIENT_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_CLIENT_DEV_PACKAGE_DEPENDS
    "libsluice-client0 (= ${PROJECT_VERSION}), libsluice-client-tls0 (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_CLIENT_DEV_PACKAGE_SUGGESTS "gcc, pkg-config, libssl-dev")
set(CPACK_COMPONENT_CLIENT_DEV_DESCRIPTION
"${about_sluice}

This package has what clients of its native protocol are built with: headers,
static libraries, descriptions for pkg-config and CMake, examples.")

set(CPACK_DEBIAN_CLIENT_LUA_PACKAGE_NAME lua-sluice)
set(CPACK_DEBIAN_CLIENT_LUA_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_CLIENT_LUA_PACKAGE_RECOMMENDS lua5.4)
set(CPACK_COMPONENT_CLIENT_LUA_DESCRIPTION
"${about_sluice}

This package has a client of its native protocol for Lua 5.4.")

set(CPACK_DEBIAN_CLIENT_PYTHON_PACKAGE_NAME python3-sluice)
set(CPACK_DEBIAN_CLIENT_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_CLIENT_PYTHON_PACKAGE_DEPENDS "python3 (>= 3.9), libsluice-client0 (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_CLIENT_PYTHON_PACKAGE_RECOMMENDS "libsluice-client-tls0 (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_CLIENT_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_COMPONENT_CLIENT_PYTHON_DESCRIPTION
"${about_sluice}

This package has a client of its native protocol for Python 3.")
include(CPack)
