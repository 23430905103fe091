# SPDX-License-Identifier: MIT
# Libraries from the system; why each one: docs/decisions/dependencies.md.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto SSL)
find_package(llhttp REQUIRED)
pkg_check_modules(libuv REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(simdjson REQUIRED IMPORTED_TARGET simdjson)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)

# wslay comes without a .pc file, and not every build of it has a CMake configuration.
find_path(WSLAY_INCLUDE_DIR wslay/wslay.h REQUIRED)
find_library(WSLAY_LIBRARY wslay REQUIRED)
mark_as_advanced(WSLAY_INCLUDE_DIR WSLAY_LIBRARY)
add_library(wslay_library UNKNOWN IMPORTED)
set_target_properties(wslay_library PROPERTIES
  IMPORTED_LOCATION ${WSLAY_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${WSLAY_INCLUDE_DIR})
