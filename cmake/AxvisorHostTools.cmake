# Makes axconfig and xtask available to a board build before its project() exists, and keeps them current afterwards.
#
# The tools live in one host build folder that all presets share. At configure time they are built by a nested native CMake;
# at build time one Ninja edge rebuilds them when one of their sources changes.
include_guard()  # its variables belong to the folder that includes it, and those below

include(BuildHostTools)

set(AXVISOR_HOST_BUILD_DIR ${CMAKE_SOURCE_DIR}/build/host)
set(AXVISOR_AXCONFIG ${AXVISOR_HOST_BUILD_DIR}/bin/axconfig)
set(AXVISOR_XTASK ${AXVISOR_HOST_BUILD_DIR}/bin/xtask)
axvisor_build_host_tools(${CMAKE_SOURCE_DIR} axconfig xtask)

# axvisor_add_host_tools_edge(): call once, after project().
function(axvisor_add_host_tools_edge)
  include(${AXVISOR_HOST_BUILD_DIR}/tool_sources.cmake)  # AXVISOR_TOOL_SOURCES
  add_custom_command(OUTPUT ${AXVISOR_AXCONFIG} ${AXVISOR_XTASK}
    COMMAND ${CMAKE_COMMAND} -P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/BuildHostTools.cmake axconfig xtask
    DEPENDS ${AXVISOR_TOOL_SOURCES}
    COMMENT "Updating the host tools" USES_TERMINAL VERBATIM)
  add_custom_target(host-tools DEPENDS ${AXVISOR_AXCONFIG} ${AXVISOR_XTASK})
endfunction()
