# A disk for a guest, made before a boot test and looked at after it, by the programs of e2fsprogs alone.
#
# cmake -D DISK=file.img -P Disk.cmake               an ext4 file system with the file from-host
# cmake -D DISK=file.img -D CHECK=ON -P Disk.cmake   it is in order, and from-guest holds the SHA-256 of from-host
foreach(program mke2fs e2fsck debugfs)
  find_program(${program} ${program} PATHS /sbin /usr/sbin REQUIRED)
endforeach()
set(text "written by the host\n")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${status}\n${output}${errors}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

if(CHECK)
  run(${e2fsck} -f -n ${DISK})
  run(${debugfs} -R "cat from-guest" ${DISK})
  string(STRIP "${output}" found)
  string(SHA256 expected "${text}")
  if(NOT found STREQUAL expected)
    message(FATAL_ERROR "from-guest holds '${found}', not '${expected}'")
  endif()
  message(STATUS "${DISK}: in order, and from-guest was written by the guest")
else()
  file(REMOVE_RECURSE ${DISK} ${DISK}.files)
  file(WRITE ${DISK}.files/from-host "${text}")
  run(${mke2fs} -q -t ext4 -d ${DISK}.files ${DISK} 16M)
endif()
