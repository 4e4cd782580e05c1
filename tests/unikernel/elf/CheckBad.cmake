# Files that are no programs for the unikernel: each has its message, from `xtask app` where the file is at hand, else from the machine.
#
# cmake -D XTASK=... -D PROGRAMS=folder -D TEMPLATE=bad.toml.in -D PLATFORM=... -D ARCH=... -D OTHER=architecture -D FOLDER=where -P CheckBad.cmake
function(expect_message text)
  string(REGEX REPLACE "\r" "" output "${output}")
  if(NOT output MATCHES "${text}" OR status EQUAL 0)
    message(FATAL_ERROR "${PROGRAM}: status ${status}, expected \"${text}\", got:\n${output}")
  endif()
endfunction()

function(try_program action text)
  file(MAKE_DIRECTORY ${FOLDER})
  configure_file(${TEMPLATE} ${FOLDER}/app.toml @ONLY)
  execute_process(COMMAND ${XTASK} --quiet app build ${FOLDER} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output TIMEOUT 120)
  if(action STREQUAL "run" AND status EQUAL 0)
    execute_process(COMMAND ${XTASK} --quiet app run ${FOLDER} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output
      INPUT_FILE /dev/null TIMEOUT 120)
  endif()
  expect_message("${text}")
endfunction()

# What is at hand.
set(DISK "")
set(DISK_SERVICES "")
set(where "app.toml:3:7: error: ")
foreach(pair "dynamic=dynamic needs a dynamic linker and libraries, which the unikernel does not have.*fix: link it with -static"
    "object=object is not an executable file.*fix: 'app' names a static program for Linux"
    "cut=cut is cut off: the file ends before its headers or segments do" "text=text is not an ELF file"
    "../${OTHER}/glibc-${OTHER}=glibc-${OTHER} is a program for ${OTHER}, and the platform is ${PLATFORM}.*fix: name = \"${OTHER}-qemu-")
  string(REGEX MATCH "^([^=]*)=(.*)$" matched "${pair}")
  set(PROGRAM ${PROGRAMS}/${CMAKE_MATCH_1})
  try_program(build "${where}${CMAKE_MATCH_2}")
endforeach()
set(PROGRAM ${PROGRAMS}/nothing)
try_program(build "there is no program ${PROGRAM}")
set(PROGRAM ${PROGRAMS}/inside)
try_program(run "unikernel: /bin/inside is linked to 0x[0-9a-f]+..0x[0-9a-f]+, where the system has memory or devices of its own")

# What only the machine sees.
set(DISK "blk = true\ndisk_img = \"disk.img\"")
set(DISK_SERVICES ", \"fd\", \"fs\", \"blkfs\", \"fatfs\"")
execute_process(COMMAND ${CMAKE_COMMAND} -E env PATH=$ENV{PATH}:/sbin:/usr/sbin sh -e -c "rm -f '${FOLDER}/disk.img'
  mkfs.vfat -C -F 32 -s 1 '${FOLDER}/disk.img' 65536 >/dev/null
  mcopy -i '${FOLDER}/disk.img' '${PROGRAMS}/dynamic' '${PROGRAMS}/text' '${PROGRAMS}/cut' '${PROGRAMS}/../${OTHER}/musl-${OTHER}' ::/" RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "no disk: ${status}")
endif()
foreach(pair "nothing=unikernel: /nothing is not on the disk" "dynamic=unikernel: /dynamic needs a dynamic linker: link it with -static"
    "text=unikernel: /text is not an ELF file" "cut=unikernel: /cut is cut off"
    "musl-${OTHER}=unikernel: /musl-${OTHER} is a program for ${OTHER}, and this is ${ARCH}")
  string(REGEX MATCH "^([^=]*)=(.*)$" matched "${pair}")
  set(PROGRAM disk:/${CMAKE_MATCH_1})
  try_program(run "${CMAKE_MATCH_2}")
endforeach()
