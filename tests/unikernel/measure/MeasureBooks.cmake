# Script: the SQLite program of the test sqlite on the unikernel, and the same object files, linked with the same C library, on
# Linux without a hypervisor, each on a disk of the same contents.
#   cmake -D XTASK=... -D QEMU_COUNTER=plugin -D ARCH=... -D PLATFORM=... -D BOOKS=application -D FOLDER=... -D KERNEL=image -D MOST=permille
#     -P MeasureBooks.cmake
# Counted is what program and kernel execute between main()'s begin and end.
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/Machine.cmake)
set(root ${CMAKE_CURRENT_LIST_DIR}/../../..)
set(words make 1000)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${status}\n${output}")
  endif()
endfunction()

# ---- the same program for Linux

# musl as it is, by the tools and options of the unikernel's, which the folder of its build knows.
function(make_library out)
  set(runtime ${root}/build/unikernel/${PLATFORM}-release)
  file(GLOB source ${runtime}/musl/musl-*)
  file(READ ${root}/cmake/AxvisorMusl.cmake settings)
  string(REGEX MATCH "axvisor_musl_target_${ARCH} ([^)]*)" flags "${settings}")
  set(flags ${CMAKE_MATCH_1})
  string(REGEX MATCH "AXVISOR_MUSL_SHA256 ([0-9a-f]+)" archive "${settings}")
  set(archive ${CMAKE_MATCH_1})
  set(cache $ENV{HOME}/.cache/axvisor)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(cache $ENV{XDG_CACHE_HOME}/axvisor)
  endif()
  if(DEFINED ENV{AXVISOR_CACHE})
    set(cache $ENV{AXVISOR_CACHE})
  endif()
  execute_process(COMMAND clang-19 --version OUTPUT_VARIABLE version COMMAND_ERROR_IS_FATAL ANY)
  file(SHA256 ${root}/cmake/BuildMusl.cmake builder)
  string(SHA256 key "linux ${ARCH} ${archive} ${flags} ${version} ${builder}")
  set(work ${FOLDER}/musl)
  get_filename_component(name ${source} NAME)
  if(NOT EXISTS ${work}/${name}/configure)
    file(ARCHIVE_EXTRACT INPUT ${cache}/sha256/${archive} DESTINATION ${work})
  endif()
  run(${CMAKE_COMMAND} -DARCH=${ARCH} -DSOURCE=${work}/${name} -DOVERLAY= -DCOMPILER=clang-19 -DAR=llvm-ar-19 -DRANLIB=llvm-ranlib-19
    "-DFLAGS=${flags}" -DCACHED=${cache}/musl/${key} -DSYSROOT=${FOLDER}/sysroot -P ${root}/cmake/BuildMusl.cmake)
  set(${out} ${FOLDER}/sysroot/lib PARENT_SCOPE)
endfunction()

function(make_program program)
  make_library(library)
  set(builtins /usr/lib/gcc-cross/${ARCH}-linux-gnu/12/libgcc.a)
  if(ARCH STREQUAL "x86_64")
    set(builtins /usr/lib/gcc/x86_64-linux-gnu/12/libgcc.a)
  endif()
  set(folder ${BOOKS}/app_build/${PLATFORM}-release/objects)
  file(GLOB_RECURSE objects ${folder}/books/*/books.c.o ${folder}/libsqlite3/*.c.o)
  run(ld.lld-19 -static --gc-sections --strip-all -o ${program} ${library}/crt1.o ${library}/crti.o ${objects} ${library}/libc.a
    ${builtins} ${library}/crtn.o)
endfunction()

# ---- both runs

function(make_disk disk program)
  find_program(mkfs mkfs.vfat PATHS /sbin /usr/sbin REQUIRED)
  file(REMOVE ${disk})
  run(${mkfs} -C -F 32 -s 1 -i 20240229 ${disk} 65536)
  run(mcopy -i ${disk} ${program} ::/books)
endfunction()

function(measure out name)
  set(output)
  execute_process(COMMAND ${ARGN} TIMEOUT 280 OUTPUT_VARIABLE output RESULT_VARIABLE status)
  file(WRITE ${FOLDER}/${name}.log "${output}")
  string(REPLACE "\r" "" output "${output}")
  if(NOT output MATCHES "\nok\n784 74828041 35973\n" AND NOT output MATCHES "^ok\n784 74828041 35973\n")
    message(FATAL_ERROR "${name}: ${status}\n${output}")
  endif()
  measured_between(instructions ${FOLDER}/${name}.counts 29 30)
  set(${out} ${instructions} PARENT_SCOPE)
endfunction()

file(MAKE_DIRECTORY ${FOLDER})
foreach(image ${KERNEL} ${KERNEL}-fat)
  execute_process(COMMAND ${XTASK} image fetch ${image} --output ${FOLDER}/${image} RESULT_VARIABLE status ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(STATUS "linux: skipped: ${output}")
    return()
  endif()
endforeach()
run(${XTASK} app build -q ${BOOKS})
make_program(${FOLDER}/books)

make_disk(${FOLDER}/disk.img ${FOLDER}/books)
set(kernel ${BOOKS}/app_build/${PLATFORM}-release/bin/books.bin)
set(console ttyAMA0)
if(ARCH STREQUAL "x86_64")
  set(kernel ${BOOKS}/app_build/${PLATFORM}-release/bin/books.elf)
  set(console ttyS0)
endif()
list(JOIN words "," arguments)
measure_command(command ${ARCH} ${FOLDER}/unikernel.counts ${kernel} ${FOLDER}/disk.img APPEND ";books,/books.db,${arguments}")
measure(unikernel unikernel ${command})

make_disk(${FOLDER}/disk.img ${FOLDER}/books)
list(JOIN words " " arguments)
# The kernel runs the shell of its RAM disk with this as its command; what is between the quotes is one word.
string(CONCAT script "export PATH=/bin; mount -t devtmpfs d /dev; while read -r m; do insmod /lib/modules/$m.ko; done </lib/modules/order; "
  "mkdir -p /mnt /tmp; mount -t vfat /dev/vda /mnt; cp /mnt/books /tmp/books; /tmp/books /mnt/books.db ${arguments}; umount /mnt; poweroff -f")
measure_command(command ${ARCH} ${FOLDER}/linux.counts ${FOLDER}/${KERNEL} ${FOLDER}/disk.img INITRD ${FOLDER}/${KERNEL}-fat
  APPEND "console=${console} nokaslr quiet rdinit=/bin/sh -- -c \"${script}\"")
measure(linux linux ${command})

math(EXPR permille "${unikernel} * 1000 / ${linux}")
message(STATUS "${PLATFORM}: ${unikernel} instructions, on Linux ${linux}: ${permille} in 1000, at most ${MOST}")
if(permille LESS 500)
  message(FATAL_ERROR "Linux has done something else, too")
endif()
if(permille GREATER MOST)
  message(FATAL_ERROR "more than ${MOST} thousandths of Linux's")
endif()
