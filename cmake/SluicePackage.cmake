# SPDX-License-Identifier: MIT
# Packages for Debian: cpack -G DEB, or ./dev package deb. `sluice` is what the component program installs, `libsluice-dev`
# the component library.
# Whom a package names as its maintainer: who builds it, as Debian's tools do (DEBFULLNAME, DEBEMAIL). Else nobody's address,
# under a name that can never be one (RFC 2606): packages that are handed on should be built with an own one.
set(contact "Sluice maintainers <maintainers@sluice.invalid>")
if(NOT "$ENV{DEBEMAIL}" STREQUAL "")
  set(contact "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
string(STRIP "${contact}" contact)

# What Debian wants beside each package's licence.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  foreach(component package IN ZIP_LISTS SLUICE_COMPONENTS SLUICE_PACKAGES)
    set(written ${PROJECT_BINARY_DIR}/package/${package})
    file(MAKE_DIRECTORY ${written})
    file(CONFIGURE OUTPUT ${written}/changelog CONTENT "${package} (@PROJECT_VERSION@) stable; urgency=medium

  * What is new is in CHANGELOG.md of the sources.

 -- ${contact}  Sat, 21 Nov 2026 00:00:00 +0000
" @ONLY)
    execute_process(COMMAND gzip -9nf ${written}/changelog)
    install(FILES ${written}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
  endforeach()
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_CONTACT "${contact}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own, as the first line of its description
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL ${SLUICE_COMPONENTS})
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME sluice)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PROGRAM_DESCRIPTION "market data of exchanges into databases, queues and files
Follows trades and order books of exchanges by WebSocket and
REST, heals gaps, keeps to the exchanges' limits and stores what it
receives. With a dashboard, metrics and a systemd unit.")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libsluice-dev)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS "libc6-dev, libstdc++-12-dev | libstdc++-dev, pkg-config, libuv1-dev, libc-ares-dev, \
libsimdjson-dev, libyaml-dev, libssl-dev, zlib1g-dev, libbrotli-dev")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SUGGESTS "sluice, cmake")
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "tasks in supervised scopes that cannot leak, for C
The library that sluice is built with: tasks, scopes, supervision and
channels over libuv; TCP, TLS, HTTP, WebSocket, Redis and AMQP; rate
limits, retries, locks and partitions. Headers and a static archive.")
include(CPack)
