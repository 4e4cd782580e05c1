# A script: makes musl's libc.a and headers in SYSROOT, or takes them out of the cache (CACHED).
#   cmake -DARCH= -DSOURCE= -DOVERLAY= -DCOMPILER= -DAR= -DRANLIB= -DFLAGS= -DCACHED= -DSYSROOT= -P BuildMusl.cmake
# Without an OVERLAY it is musl as it is, for Linux.
cmake_minimum_required(VERSION 3.25)

function(run what)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${SOURCE} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} of musl failed (${status}).\n${output}")
  endif()
endfunction()

# What enters a kernel by an instruction is replaced by calls in place.
function(overlay)
  file(COPY ${OVERLAY}/syscall_arch.h DESTINATION ${SOURCE}/arch/${ARCH})
  foreach(pair thread/clone thread/__unmapself:unmapself thread/syscall_cp signal/restore thread/__set_thread_area:set_thread_area)
    string(REGEX MATCH "^([a-z]+)/([a-z_]+):?(.*)$" pair "${pair}")
    set(target ${CMAKE_MATCH_2})
    set(file ${CMAKE_MATCH_3})
    if(NOT file)
      set(file ${target})
    endif()
    file(REMOVE ${SOURCE}/src/${CMAKE_MATCH_1}/${ARCH}/${target}.s)
    configure_file(${OVERLAY}/${file}.c ${SOURCE}/src/${CMAKE_MATCH_1}/${ARCH}/${target}.c COPYONLY)
  endforeach()
  file(REMOVE ${SOURCE}/src/process/${ARCH}/vfork.s)
endfunction()

cmake_path(GET CACHED PARENT_PATH parent)
file(MAKE_DIRECTORY ${parent})
file(LOCK ${parent}/.lock GUARD PROCESS TIMEOUT 1800)
if(NOT EXISTS ${CACHED}/lib/libc.a)
  if(OVERLAY)
    overlay()
  endif()
  set(common "-Os -ffunction-sections -fdata-sections -fno-stack-protector -fno-omit-frame-pointer -momit-leaf-frame-pointer")
  cmake_path(GET SOURCE PARENT_PATH work)
  file(REMOVE_RECURSE ${SOURCE}/obj ${SOURCE}/lib ${work}/install)
  run("configuration" env "CC=${COMPILER} --target=${ARCH}-linux-musl" AR=${AR} RANLIB=${RANLIB} "CFLAGS=${common} ${FLAGS} -ffile-prefix-map=${SOURCE}=musl"
    ./configure --target=${ARCH}-linux-musl --prefix=${work}/install --disable-shared --disable-wrapper --disable-warnings)
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  run("compilation" make -j${cores} install-headers install-libs)
  # Complete or not there at all.
  file(REMOVE_RECURSE ${CACHED})
  file(RENAME ${work}/install ${CACHED})
endif()
file(REMOVE_RECURSE ${SYSROOT})
file(COPY ${CACHED}/ DESTINATION ${SYSROOT})
file(TOUCH ${SYSROOT}/lib/libc.a)
