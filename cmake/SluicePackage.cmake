# SPDX-License-Identifier: MIT
# A package for Debian of what the component `program` installs: cpack -G DEB, or ./dev package deb.
set(written ${PROJECT_BINARY_DIR}/package)
file(MAKE_DIRECTORY ${written})
file(CONFIGURE OUTPUT ${written}/changelog CONTENT "sluice (@PROJECT_VERSION@) stable; urgency=medium

  * What is new is in CHANGELOG.md of the sources.

 -- The Sluice authors <sluice@example.org>  Sat, 21 Nov 2026 00:00:00 +0000
" @ONLY)
execute_process(COMMAND gzip -9nf ${written}/changelog)
install(FILES ${written}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sluice COMPONENT program)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/sluice RENAME copyright
  COMPONENT program)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_CONTACT "The Sluice authors <sluice@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "market data of exchanges into databases, queues and files")
set(CPACK_PACKAGE_DESCRIPTION "Follows trades and order books of exchanges by WebSocket and
REST, heals gaps, keeps to the exchanges' limits and stores what it
receives. With a dashboard, metrics and a systemd unit.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL program)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
include(CPack)
