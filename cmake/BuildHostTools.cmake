# axvisor_build_host_tools(SOURCE_DIR target...): builds programs of this tree for this machine in build/host, if they are
# not current. One process at a time; others wait. The environment of a cross build (CC, *FLAGS, ...) is kept out.
#
# Also a script: cmake -P cmake/BuildHostTools.cmake target...
include_guard(GLOBAL)

set(_AXVISOR_HOST_ENVIRONMENT ${CMAKE_COMMAND} -E env
  --unset=CC --unset=CXX --unset=ASM --unset=CFLAGS --unset=CXXFLAGS --unset=CPPFLAGS --unset=LDFLAGS
  --unset=CMAKE_TOOLCHAIN_FILE --unset=CMAKE_GENERATOR --unset=CMAKE_BUILD_TYPE)

# Runs a step of the nested build. On a terminal its progress is shown, else only what went wrong.
function(_axvisor_host_step what)
  set(output_options OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(AXVISOR_SHOW_PROGRESS)
    set(output_options "")
  endif()
  execute_process(COMMAND ${_AXVISOR_HOST_ENVIRONMENT} ${ARGN} RESULT_VARIABLE status ${output_options})
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} failed (${status}).\n${output}")
  endif()
endfunction()

function(axvisor_build_host_tools source_dir)
  set(folder ${source_dir}/build/host)
  file(MAKE_DIRECTORY ${folder})
  file(LOCK ${folder}/.host-tools.lock GUARD FUNCTION TIMEOUT 1800 RESULT_VARIABLE locked)
  if(NOT locked EQUAL 0)
    message(FATAL_ERROR "another build has held ${folder}/.host-tools.lock for half an hour: ${locked}")
  endif()
  if(NOT EXISTS ${folder}/build.ninja)
    message(STATUS "configuring the host tools in build/host")
    _axvisor_host_step("configuring the host tools" ${CMAKE_COMMAND} -S ${source_dir} --preset host)
  endif()
  find_program(AXVISOR_NINJA ninja REQUIRED)
  execute_process(COMMAND ${AXVISOR_NINJA} -C ${folder} -n ${ARGN} OUTPUT_VARIABLE plan ERROR_VARIABLE plan RESULT_VARIABLE status)
  if(status EQUAL 0 AND plan MATCHES "no work to do")
    return()
  endif()
  list(JOIN ARGN ", " names)
  message(STATUS "building the host tools: ${names} (the first time takes about a minute)")
  _axvisor_host_step("building the host tools" ${CMAKE_COMMAND} --build ${folder} --target ${ARGN})
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  # cmake [-DNAME=VALUE...] -P BuildHostTools.cmake target...
  set(targets "")
  set(past_script FALSE)
  math(EXPR last "${CMAKE_ARGC} - 1")
  foreach(index RANGE 1 ${last})
    if(past_script)
      list(APPEND targets ${CMAKE_ARGV${index}})
    elseif(CMAKE_ARGV${index} STREQUAL CMAKE_CURRENT_LIST_FILE OR CMAKE_ARGV${index} MATCHES "BuildHostTools.cmake$")
      set(past_script TRUE)
    endif()
  endforeach()
  cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH source_dir)
  axvisor_build_host_tools(${source_dir} ${targets})
endif()
