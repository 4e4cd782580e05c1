# Script: Linux from its first time stamp to its first program, as a guest and without a hypervisor, by the same device tree.
#   cmake -DNAME=row -DMOST=permille -DFOLDER=... -DELF=... -DKERNEL=... -DINITRD=... "-DCMDLINE=..." -P MeasureLinux.cmake -- XTASK RUN...
# ELF only says which machine it is. MOST: how long the guest may take, in thousandths of what it takes bare. Writes rows_<row>.json.
cmake_minimum_required(VERSION 3.25)

include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/ScriptCommand.cmake)
axvisor_script_command(command)
list(GET command 0 xtask)

# Boots, and sets `out` to the time of "Run /bin/sh", in microseconds.
function(axvisor_time_to_init out log)
  execute_process(COMMAND ${ARGN} --log ${log} RESULT_VARIABLE status)
  if(status EQUAL 77)
    message(STATUS "linux: skipped")
    return()
  elseif(NOT status EQUAL 0)
    message(FATAL_ERROR "the machine failed: ${status}")
  endif()
  file(STRINGS ${log} lines REGEX "Run /bin/sh as init process")
  list(GET lines 0 line)
  if(NOT line MATCHES "\\[ *([0-9]+)\\.([0-9]+)\\] Run")
    message(FATAL_ERROR "${log}: no time in: ${line}")
  endif()
  math(EXPR time "${CMAKE_MATCH_1} * 1000000 + 1${CMAKE_MATCH_2} - 1000000")
  set(${out} ${time} PARENT_SCOPE)
endfunction()

# The device tree that the guest has printed, in base64, one line after the other.
function(axvisor_guest_device_tree log dtb)
  file(STRINGS ${log} lines REGEX "^\\[linux\\] [A-Za-z0-9+/=]+$")
  set(text)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^\\[linux\\] " "" line "${line}")
    if(NOT line STREQUAL "measured")
      string(APPEND text "${line}\n")
    endif()
  endforeach()
  file(WRITE ${dtb}.base64 "${text}")
  execute_process(COMMAND base64 -d ${dtb}.base64 OUTPUT_FILE ${dtb} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

axvisor_time_to_init(guest ${FOLDER}/${NAME}-guest.log ${command})
if(NOT DEFINED guest)
  return()
endif()
axvisor_guest_device_tree(${FOLDER}/${NAME}-guest.log ${FOLDER}/${NAME}.dtb)
axvisor_time_to_init(bare ${FOLDER}/${NAME}-bare.log ${xtask} run --config ${CMAKE_CURRENT_LIST_DIR}/run_linux_bare.toml
  --workspace ${CMAKE_CURRENT_LIST_DIR} --elf ${ELF} --bin ${KERNEL} -D initrd=${INITRD} -D "cmdline=${CMDLINE}"
  -D dtb=${FOLDER}/${NAME}.dtb)

math(EXPR permille "${guest} * 1000 / ${bare}")
message(STATUS "${NAME}: ${guest} us as a guest, ${bare} us bare: ${permille} in 1000, at most ${MOST}")
set(rows)
foreach(kind guest bare)
  math(EXPR instructions "${${kind}} * 1000")
  string(APPEND rows "{\"name\": \"${kind}\", \"n\": 1, \"exits\": 0, \"instructions\": ${instructions}, \"loop\": 0}\n")
endforeach()
file(WRITE ${FOLDER}/rows_${NAME}.json "${rows}")
math(EXPR most "${bare} * ${MOST}")
math(EXPR needed "${guest} * 1000")
if(needed GREATER most)
  message(FATAL_ERROR "${NAME}: the guest takes longer than ${MOST} thousandths of the bare machine's time")
endif()
