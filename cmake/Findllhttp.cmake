# SPDX-License-Identifier: MIT
# Finds llhttp: as a library, or as the C sources that Debian's node-llhttp carries.
#   llhttp::llhttp   what to link, in either case
#   llhttp_SOURCES   the C files, when there is no library
find_library(llhttp_LIBRARY llhttp)
find_path(llhttp_INCLUDE_DIR llhttp.h PATH_SUFFIXES llhttp HINTS /usr/share/include)
if(NOT llhttp_LIBRARY)
  find_path(llhttp_SOURCE_DIR http.c HINTS /usr/share/llhttp PATH_SUFFIXES llhttp NO_DEFAULT_PATH)
  if(llhttp_SOURCE_DIR)
    file(GLOB llhttp_SOURCES ${llhttp_SOURCE_DIR}/*.c)
  endif()
endif()
mark_as_advanced(llhttp_LIBRARY llhttp_INCLUDE_DIR llhttp_SOURCE_DIR)

include(FindPackageHandleStandardArgs)
if(llhttp_LIBRARY)
  find_package_handle_standard_args(llhttp REQUIRED_VARS llhttp_LIBRARY llhttp_INCLUDE_DIR)
else()
  find_package_handle_standard_args(llhttp REQUIRED_VARS llhttp_SOURCES llhttp_INCLUDE_DIR)
endif()

if(llhttp_FOUND AND NOT TARGET llhttp::llhttp)
  add_library(llhttp::llhttp INTERFACE IMPORTED)
  set_target_properties(llhttp::llhttp PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${llhttp_INCLUDE_DIR})
  if(llhttp_LIBRARY)
    set_target_properties(llhttp::llhttp PROPERTIES INTERFACE_LINK_LIBRARIES ${llhttp_LIBRARY})
  endif()
endif()
