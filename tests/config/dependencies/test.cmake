# FETCHCONTENT_SOURCE_DIR_<NAME> must win over the installed package, and a missing package must lead to a download.
# Configures a small project twice. Arguments: SOURCE, BINARY.
file(REMOVE_RECURSE ${BINARY})
file(WRITE ${BINARY}/local/CMakeLists.txt [[
cmake_minimum_required(VERSION 3.25)
project(local LANGUAGES NONE)
add_library(axvisor_test_library INTERFACE)
set_target_properties(axvisor_test_library PROPERTIES SOURCE_TREE_OPTION "${SOME_OPTION}")
]])
file(WRITE ${BINARY}/project/CMakeLists.txt [[
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES CXX)
list(PREPEND CMAKE_MODULE_PATH ${SOURCE}/cmake)
include(AxvisorDependencies)
axvisor_dependency(AxvisorTestLibrary
  TARGET axvisor_test_library PACKAGE libnothing-dev URL file:///nonexistent/library.tar.gz
  SHA256 0000000000000000000000000000000000000000000000000000000000000000 OPTIONS SOME_OPTION=given)
get_target_property(option axvisor_test_library SOURCE_TREE_OPTION)
message(STATUS "option is ${option}")
]])

execute_process(
  COMMAND ${CMAKE_COMMAND} -G Ninja -S ${BINARY}/project -B ${BINARY}/with -DSOURCE=${SOURCE}
    -DFETCHCONTENT_SOURCE_DIR_AXVISORTESTLIBRARY=${BINARY}/local
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0 OR NOT output MATCHES "AxvisorTestLibrary: using .*/local" OR NOT output MATCHES "option is given")
  message(FATAL_ERROR "the source tree was not used:\n${output}")
endif()

execute_process(
  COMMAND ${CMAKE_COMMAND} -G Ninja -S ${BINARY}/project -B ${BINARY}/without -DSOURCE=${SOURCE}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(result EQUAL 0 OR NOT output MATCHES "libnothing-dev is not installed, fetching file:///nonexistent/library.tar.gz")
  message(FATAL_ERROR "the download was not tried:\n${output}")
endif()
