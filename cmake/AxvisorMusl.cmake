# The C library of the unikernel: musl out of Debian's source package, made for calls in place. Sets
#   AXVISOR_MUSL_LIBRARY     libc.a in the sysroot of this build folder, which has the headers too
#   AXVISOR_CALL_NUMBERS_DIR folder of call_numbers.hpp (AX_NR_name) and call_names.inc (AX_CALL(number, name)); target
#                            unikernel_call_numbers
# A library that was made before, of the same sources with the same tools and options, comes out of the cache.
include_guard(GLOBAL)

set(AXVISOR_MUSL_VERSION 1.2.3)
set(AXVISOR_MUSL_SHA256 7d5b0b6062521e4627e099e4c9dc8248d32a30285e959b7eecaa780cf8cfd4a4)

set(axvisor_musl_target_aarch64 -fPIE -mno-outline-atomics)
set(axvisor_musl_target_x86_64 -fno-pie -mno-red-zone)
set(axvisor_musl_target_riscv64 -fno-pie -march=rv64gc -mabi=lp64d -mcmodel=medany)

if(DEFINED ENV{AXVISOR_CACHE})
  set(axvisor_cache $ENV{AXVISOR_CACHE})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(axvisor_cache $ENV{XDG_CACHE_HOME}/axvisor)
else()
  set(axvisor_cache $ENV{HOME}/.cache/axvisor)
endif()

set(axvisor_musl_archive ${axvisor_cache}/sha256/${AXVISOR_MUSL_SHA256})
if(NOT EXISTS ${axvisor_musl_archive})
  if(NOT AXVISOR_XTASK)
    include(AxvisorHostTools)
  endif()
  execute_process(COMMAND ${AXVISOR_XTASK} app source musl ${AXVISOR_MUSL_VERSION} ${AXVISOR_MUSL_SHA256} RESULT_VARIABLE status)
  if(status)
    message(FATAL_ERROR "musl ${AXVISOR_MUSL_VERSION}, the C library of applications with [os], cannot be had: see above.")
  endif()
endif()

# ---- sources, with our files in place of those that enter a kernel by an instruction

set(axvisor_musl_source ${CMAKE_BINARY_DIR}/musl/musl-${AXVISOR_MUSL_VERSION})
set(axvisor_musl_overlay ${PROJECT_SOURCE_DIR}/unikernel/musl)
set(axvisor_musl_overlay_files clone.c restore.c set_thread_area.c syscall_arch.h syscall_cp.c unmapself.c)
set(axvisor_musl_key ${AXVISOR_MUSL_SHA256} ${AXVISOR_ARCH} ${CMAKE_C_COMPILER_VERSION} ${axvisor_musl_target_${AXVISOR_ARCH}})
foreach(name IN LISTS axvisor_musl_overlay_files ITEMS ${CMAKE_CURRENT_LIST_DIR}/BuildMusl.cmake)
  cmake_path(ABSOLUTE_PATH name BASE_DIRECTORY ${axvisor_musl_overlay} OUTPUT_VARIABLE file)
  file(SHA256 ${file} hash)
  list(APPEND axvisor_musl_key ${hash})
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
endforeach()
string(SHA256 axvisor_musl_key "${axvisor_musl_key}")

set(AXVISOR_CALL_NUMBERS_DIR ${AXVISOR_GENERATED_DIR}/calls)
if(NOT EXISTS ${axvisor_musl_source}/configure)
  file(SHA256 ${axvisor_musl_archive} hash)
  if(NOT hash STREQUAL AXVISOR_MUSL_SHA256)
    message(FATAL_ERROR "${axvisor_musl_archive} is damaged: remove it.")
  endif()
  file(ARCHIVE_EXTRACT INPUT ${axvisor_musl_archive} DESTINATION ${CMAKE_BINARY_DIR}/musl)
endif()
file(STRINGS ${axvisor_musl_source}/arch/${AXVISOR_ARCH}/bits/syscall.h.in lines REGEX "^#define __NR_[a-z0-9_]+[ \t]+[0-9]+$")
set(numbers "// The system calls of Linux on ${AXVISOR_ARCH}. Generated.\n#pragma once\n\n")
set(names "// Generated: AX_CALL(number, name).\n")
foreach(line IN LISTS lines)
  string(REGEX MATCH "__NR_([a-z0-9_]+)[ \t]+([0-9]+)" line "${line}")
  string(APPEND numbers "#define AX_NR_${CMAKE_MATCH_1} ${CMAKE_MATCH_2}\n")
  string(APPEND names "AX_CALL(${CMAKE_MATCH_2}, \"${CMAKE_MATCH_1}\")\n")
endforeach()
file(CONFIGURE OUTPUT ${AXVISOR_CALL_NUMBERS_DIR}/unikernel/core/call_numbers.hpp CONTENT "${numbers}" @ONLY)
file(CONFIGURE OUTPUT ${AXVISOR_CALL_NUMBERS_DIR}/call_names.inc CONTENT "${names}" @ONLY)
add_custom_target(unikernel_call_numbers)

# ---- the library

# Its compiler is started by nothing: what is made here is cached as a whole, and to look for 1400 small files in a compiler's
# cache takes as long as their compilation.
set(AXVISOR_MUSL_LIBRARY ${CMAKE_BINARY_DIR}/sysroot/lib/libc.a)
list(JOIN axvisor_musl_target_${AXVISOR_ARCH} " " flags)
add_custom_command(OUTPUT ${AXVISOR_MUSL_LIBRARY}
  COMMAND ${CMAKE_COMMAND} -DARCH=${AXVISOR_ARCH} -DSOURCE=${axvisor_musl_source} -DOVERLAY=${axvisor_musl_overlay}
    -DCOMPILER=${CMAKE_C_COMPILER} -DAR=${AXVISOR_AR} -DRANLIB=${AXVISOR_RANLIB} "-DFLAGS=${flags}"
    -DCACHED=${axvisor_cache}/musl/${axvisor_musl_key} -DSYSROOT=${CMAKE_BINARY_DIR}/sysroot
    -P ${CMAKE_CURRENT_LIST_DIR}/BuildMusl.cmake
  DEPENDS ${CMAKE_CURRENT_LIST_DIR}/BuildMusl.cmake
  COMMENT "C library: musl ${AXVISOR_MUSL_VERSION} for ${AXVISOR_ARCH}" VERBATIM)
