# Script: the kernel that the Linux tests boot is, byte for byte, the one in Debian's package as the lock file pins it.
#   cmake -DKERNEL=FILE -DLOCK=lock.toml -DNAME=image -P KernelIsThePackages.cmake
file(READ ${LOCK} lock)
if(NOT lock MATCHES "\\[${NAME}\\][^[]*file_sha256 = \"([0-9a-f]+)\"")
  message(FATAL_ERROR "${LOCK} pins no ${NAME}")
endif()
set(expected ${CMAKE_MATCH_1})
file(SHA256 ${KERNEL} actual)
if(NOT actual STREQUAL expected)
  # The mirror may have moved on, and the fetcher then takes the present version after checking it through the signed chain.
  message(FATAL_ERROR "not the locked version: ${KERNEL} has SHA-256 ${actual}, the lock file ${expected}; see 'xtask image lock --update'")
endif()
message(STATUS "${NAME}: ${actual}")
