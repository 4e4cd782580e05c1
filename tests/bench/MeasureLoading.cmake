# Script: what a kernel on a disk costs to load over a copy in memory, in instructions for each of its bytes.
#   cmake -DNAME=loading -DTYPES=ext4,fat32 -DMOST=thousandths -DFOLDER=... -DKERNEL=... -DMEMORY=elf -DDISK=elf [-DFLAT=.bin] -P MeasureLoading.cmake
#     -- XTASK RUN...
# MEMORY has the kernel built in, DISK finds it in a file. Each boot ends the creation of the VM with a line of the log, whose time
# is the number of instructions so far; what both have in common is not counted. The result may be negative, since a device moves
# bytes by itself. Waiting for it is counted: that takes as many instructions as this computer leaves time, so that a dear run is
# repeated.
cmake_minimum_required(VERSION 3.25)

set(TRIES 3)
include(${CMAKE_CURRENT_LIST_DIR}/../../cmake/ScriptCommand.cmake)
axvisor_script_command(command)

# Boots, and sets `out` to the microseconds between the last line before the VM is made and its end.
function(axvisor_time_to_make out elf disk)
  set(log ${FOLDER}/${NAME}.log)
  set(bin)
  if(FLAT)
    set(bin --bin ${elf}${FLAT})
  endif()
  execute_process(COMMAND ${command} --elf ${elf} ${bin} -D disk=${disk} --log ${log} COMMAND_ERROR_IS_FATAL ANY)
  file(STRINGS ${log} lines REGEX "^\\[ *[0-9]+\\.[0-9]+ 0 INFO")
  set(begin)
  foreach(line IN LISTS lines)
    string(REGEX MATCH "^\\[ *([0-9]+)\\.([0-9]+)" time "${line}")
    math(EXPR time "${CMAKE_MATCH_1} * 1000000 + 1${CMAKE_MATCH_2} - 1000000")
    if(line MATCHES "CPUs are in use$|] disk vda: [^ ]+ at /")
      set(begin ${time})
    elseif(line MATCHES "VM large: 1 vCPUs, entry")
      math(EXPR took "${time} - ${begin}")
    endif()
  endforeach()
  set(${out} ${took} PARENT_SCOPE)
endfunction()

file(SIZE ${KERNEL} bytes)
set(disk ${FOLDER}/${NAME}.img)
string(REPLACE "," ";" TYPES "${TYPES}")
# A disk is there in both cases: an empty one for the kernel that is built in.
file(WRITE ${disk} "")
execute_process(COMMAND truncate -s 1M ${disk} COMMAND_ERROR_IS_FATAL ANY)
axvisor_time_to_make(copy ${MEMORY} ${disk})
foreach(type IN LISTS TYPES)
  execute_process(COMMAND ${CMAKE_COMMAND} -D DISK=${disk} -D TYPE=${type} -D FILES=${KERNEL}=guest/large -P ${CMAKE_CURRENT_LIST_DIR}/../boot/FsDisk.cmake
    COMMAND_ERROR_IS_FATAL ANY)
  foreach(try RANGE 1 ${TRIES})
    axvisor_time_to_make(load ${DISK} ${disk})
    math(EXPR instructions "(${load} - ${copy}) * 1000")
    math(EXPR thousandths "${instructions} * 1000 / ${bytes}")
    message(STATUS "${type}: ${bytes} bytes cost ${instructions} instructions over a copy: ${thousandths} thousandths each, at most ${MOST}")
    if(NOT thousandths GREATER MOST)
      break()
    endif()
  endforeach()
  if(thousandths GREATER MOST)
    message(FATAL_ERROR "${type}: more than ${MOST} thousandths, ${TRIES} times")
  endif()
endforeach()
