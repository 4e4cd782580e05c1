# For scripts that are run with `cmake ... -P SCRIPT -- COMMAND...`.

# Sets `out` to the words behind "--".
function(axvisor_script_command out)
  set(command)
  set(is_command FALSE)
  math(EXPR last "${CMAKE_ARGC} - 1")
  foreach(i RANGE ${last})
    if(is_command)
      list(APPEND command ${CMAKE_ARGV${i}})
    elseif(CMAKE_ARGV${i} STREQUAL "--")
      set(is_command TRUE)
    endif()
  endforeach()
  set(${out} ${command} PARENT_SCOPE)
endfunction()
