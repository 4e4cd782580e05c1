# The C++ library of the unikernel: libc++, libc++abi and libunwind out of Debian's source package of LLVM, for musl. The target
#   unikernel_cxx            makes lib/libc++.a and include/ in cxx/ of this build folder
# is not part of `all`: only applications with sources in C++ ask for it, and only then are the sources fetched. A library that
# was made before, of the same sources with the same tools and options, comes out of the cache.
include_guard(GLOBAL)

include(AxvisorMusl)

set(AXVISOR_LLVM_VERSION 19.1.7)
set(AXVISOR_LLVM_SHA256 ae498f3bc58ae2d9f64ef5f0c035c4240152bf015a5b7738b15c22e93bdc97ce)

set(axvisor_cxx_files __config_site linux/futex.h thread_atexit.c)
set(axvisor_cxx_inputs ${CMAKE_CURRENT_LIST_DIR}/BuildCxx.cmake)
foreach(name IN LISTS axvisor_cxx_files)
  list(APPEND axvisor_cxx_inputs ${PROJECT_SOURCE_DIR}/unikernel/cxx/${name})
endforeach()
set(axvisor_cxx_key ${AXVISOR_LLVM_SHA256} ${axvisor_musl_key} ${CMAKE_CXX_COMPILER_VERSION})
foreach(file IN LISTS axvisor_cxx_inputs)
  file(SHA256 ${file} hash)
  list(APPEND axvisor_cxx_key ${hash})
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
endforeach()
string(SHA256 axvisor_cxx_key "${axvisor_cxx_key}")

# Without a tool of the host build the bootstrap script builds one, if there is something to fetch.
set(xtask ${AXVISOR_XTASK})
if(NOT xtask)
  set(xtask ${PROJECT_SOURCE_DIR}/xtask)
endif()
set(AXVISOR_CXX_LIBRARY ${CMAKE_BINARY_DIR}/cxx/lib/libc++.a)
list(JOIN axvisor_musl_target_${AXVISOR_ARCH} " " flags)
add_custom_command(OUTPUT ${AXVISOR_CXX_LIBRARY}
  COMMAND ${CMAKE_COMMAND} -DARCH=${AXVISOR_ARCH} -DVERSION=${AXVISOR_LLVM_VERSION} -DSHA256=${AXVISOR_LLVM_SHA256} -DXTASK=${xtask}
    -DCACHE=${axvisor_cache} -DKEY=${axvisor_cxx_key} -DOVERLAY=${PROJECT_SOURCE_DIR}/unikernel/cxx
    "-DC=${CMAKE_C_COMPILER_LAUNCHER};${CMAKE_C_COMPILER}" "-DCXX=${CMAKE_CXX_COMPILER_LAUNCHER};${CMAKE_CXX_COMPILER}"
    -DAR=${AXVISOR_AR} -DNINJA=${CMAKE_MAKE_PROGRAM} "-DFLAGS=${flags}" -DSYSROOT=${CMAKE_BINARY_DIR}/sysroot
    -DWORK=${CMAKE_BINARY_DIR}/cxx-build -DPRODUCT=${CMAKE_BINARY_DIR}/cxx -P ${CMAKE_CURRENT_LIST_DIR}/BuildCxx.cmake
  DEPENDS ${axvisor_cxx_inputs} ${AXVISOR_MUSL_LIBRARY}
  COMMENT "C++ library: libc++ ${AXVISOR_LLVM_VERSION} for ${AXVISOR_ARCH}" VERBATIM)
add_custom_target(unikernel_cxx DEPENDS ${AXVISOR_CXX_LIBRARY})
