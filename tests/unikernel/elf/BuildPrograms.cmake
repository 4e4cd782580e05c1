# Makes the ready-made programs of one architecture, as others would: with the GNU C library by GCC, and with musl by clang; and files
# that are none.
#
# cmake -D ARCH=... -D SOURCE=folder -D SYSROOT=folder -D FOLDER=where -P BuildPrograms.cmake
set(gcc ${ARCH}-linux-gnu-gcc)
set(builtins /usr/lib/gcc-cross/${ARCH}-linux-gnu/12/libgcc.a)
if(ARCH STREQUAL "x86_64")
  set(gcc gcc)
  set(builtins /usr/lib/gcc/x86_64-linux-gnu/12/libgcc.a)
endif()
set(flags_aarch64 -static-pie -fPIE -mno-outline-atomics)
set(start_aarch64 rcrt1.o)
set(flags_riscv64 -static -march=rv64gc -mabi=lp64d -mcmodel=medany)
set(start_riscv64 crt1.o)
set(flags_x86_64 -static -fno-pie -mno-red-zone)
set(start_x86_64 crt1.o)
set(common -g -O1 -fno-omit-frame-pointer -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${status}\n${output}")
  endif()
endfunction()

if(NOT EXISTS ${SYSROOT}/lib/libc.a)
  message(FATAL_ERROR "there is no C library in ${SYSROOT}: xtask could not download the sources of it")
endif()
file(MAKE_DIRECTORY ${FOLDER})
run(${gcc} ${common} -static -o ${FOLDER}/glibc-${ARCH} ${SOURCE}/main.c -lpthread)
if(NOT ARCH STREQUAL "riscv64")  # there is no start for it
  run(${gcc} ${common} -static-pie -fPIE -o ${FOLDER}/glibc-pie-${ARCH} ${SOURCE}/main.c -lpthread)
endif()
run(clang-19 --target=${ARCH}-linux-musl -nostdlibinc -isystem ${SYSROOT}/include -nostdlib -fuse-ld=lld ${common} ${flags_${ARCH}}
  -o ${FOLDER}/musl-${ARCH} ${SYSROOT}/lib/${start_${ARCH}} ${SYSROOT}/lib/crti.o ${SOURCE}/main.c ${SOURCE}/musl_calls.c
  ${SYSROOT}/lib/libc.a ${builtins} ${SYSROOT}/lib/crtn.o)

# What cannot run.
run(${gcc} ${common} -o ${FOLDER}/dynamic ${SOURCE}/main.c -lpthread)
run(${gcc} ${common} -c -o ${FOLDER}/object ${SOURCE}/main.c)
run(${gcc} ${common} -static -Wl,-Ttext-segment=0x${ELSEWHERE} -o ${FOLDER}/inside ${SOURCE}/main.c -lpthread)
file(WRITE ${FOLDER}/text "no program\n")
run(dd if=${FOLDER}/glibc-${ARCH} of=${FOLDER}/cut bs=1000 count=100 status=none)
