# Libraries of the host side. Debian's -dev package first; else the released archive, checked against its hash.
# FETCHCONTENT_SOURCE_DIR_<NAME> (upper case) points one of them at a local source tree instead, and
# CMAKE_DISABLE_FIND_PACKAGE_<NAME> skips the installed package.
include_guard(GLOBAL)
include(FetchContent)
include(GoogleTest)

find_package(Threads REQUIRED)

# Local checkouts that ./xtask devspace put in the place of a library.
set(devspace_overrides ${CMAKE_SOURCE_DIR}/.devspace/overrides.cmake)
if(EXISTS ${devspace_overrides})
  include(${devspace_overrides})
  set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${devspace_overrides})
endif()

# axvisor_dependency(NAME TARGET <target> PACKAGE <Debian package> URL <archive> SHA256 <hash>
#                    [BUILDS <target>] [OPTIONS <var=value>...])
# Makes <target> exist. NAME is what find_package knows the library by; BUILDS is what the fetched project calls its target,
# where that differs. The fallback's own tests, examples, install rules and warnings stay out of this build.
function(axvisor_dependency name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TARGET;PACKAGE;URL;SHA256;BUILDS" "OPTIONS")
  foreach(required TARGET PACKAGE URL SHA256)
    if(NOT arg_${required})
      message(FATAL_ERROR "axvisor_dependency(${name}): ${required} is missing")
    endif()
  endforeach()
  string(TOUPPER ${name} upper)
  if(NOT FETCHCONTENT_SOURCE_DIR_${upper})
    find_package(${name} QUIET GLOBAL)
  endif()
  if(NOT TARGET ${arg_TARGET})
    if(FETCHCONTENT_SOURCE_DIR_${upper})
      message(STATUS "${name}: using ${FETCHCONTENT_SOURCE_DIR_${upper}}")
    else()
      message(STATUS "${name}: ${arg_PACKAGE} is not installed, fetching ${arg_URL}")
    endif()
    axvisor_fetch(${name} ${arg_URL} ${arg_SHA256} ${arg_OPTIONS})
    if(arg_BUILDS AND NOT TARGET ${arg_TARGET})
      add_library(${arg_TARGET} ALIAS ${arg_BUILDS})
    endif()
  endif()
  if(NOT TARGET ${arg_TARGET})
    message(FATAL_ERROR "${name} was found but does not define ${arg_TARGET}; install the package ${arg_PACKAGE}")
  endif()
endfunction()

# Adds a fetched project: out of `all`, never installed, its headers as system headers so that our warnings skip them.
function(axvisor_fetch name url sha256)
  foreach(option IN LISTS ARGN)
    string(REGEX MATCH "^([^=]+)=(.*)$" option "${option}")
    set(${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
  endforeach()
  set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)  # the options above reach projects that ask for an older CMake
  FetchContent_Declare(${name} URL ${url} URL_HASH SHA256=${sha256} DOWNLOAD_EXTRACT_TIMESTAMP ON)
  FetchContent_GetProperties(${name})
  string(TOLOWER ${name} lower)
  if(NOT ${lower}_POPULATED)
    FetchContent_Populate(${name})
    add_subdirectory(${${lower}_SOURCE_DIR} ${${lower}_BINARY_DIR} EXCLUDE_FROM_ALL SYSTEM)
  endif()
endfunction()

axvisor_dependency(GTest
  TARGET GTest::gmock_main PACKAGE libgmock-dev
  URL https://github.com/google/googletest/archive/refs/tags/release-1.12.1.tar.gz
  SHA256 81964fe578e9bd7c94dfdb09c8e4d6e6759e19967e397dbea48d1c10e45d0df2
  OPTIONS INSTALL_GTEST=OFF)
axvisor_dependency(tomlplusplus
  TARGET tomlplusplus::tomlplusplus PACKAGE libtomlplusplus-dev
  URL https://github.com/marzer/tomlplusplus/archive/refs/tags/v3.3.0.tar.gz
  SHA256 fc1a5eb410f3c67e90e5ad1264a1386d020067cfb01b633cc8c0441789aa6cf2)
axvisor_dependency(nlohmann_json
  TARGET nlohmann_json::nlohmann_json PACKAGE nlohmann-json3-dev
  URL https://github.com/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz
  SHA256 d69f9deb6a75e2580465c6c4c5111b89c4dc2fa94e3a85fcd2ffcd9a143d9273
  OPTIONS JSON_BuildTests=OFF JSON_Install=OFF)
axvisor_dependency(fmt
  TARGET fmt::fmt PACKAGE libfmt-dev
  URL https://github.com/fmtlib/fmt/archive/refs/tags/9.1.0.tar.gz
  SHA256 5dea48d1fcddc3ec571ce2058e13910a0d4a6bab4cc09a809d8b1dd1c88ae6f2
  OPTIONS FMT_INSTALL=OFF FMT_DOC=OFF FMT_TEST=OFF)
axvisor_dependency(CLI11
  TARGET CLI11::CLI11 PACKAGE libcli11-dev
  URL https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.3.2.tar.gz
  SHA256 aac0ab42108131ac5d3344a9db0fdf25c4db652296641955720a4fbe52334e22
  OPTIONS CLI11_BUILD_TESTS=OFF CLI11_BUILD_EXAMPLES=OFF CLI11_BUILD_DOCS=OFF CLI11_INSTALL=OFF CLI11_SINGLE_FILE=OFF)
axvisor_dependency(re2
  TARGET re2::re2 PACKAGE libre2-dev
  URL https://github.com/google/re2/archive/refs/tags/2022-06-01.tar.gz
  SHA256 f89c61410a072e5cbcf8c27e3a778da7d6fd2f2b5b1445cd4f4508bee946ab0f
  OPTIONS RE2_BUILD_TESTING=OFF)
axvisor_dependency(LibArchive
  TARGET LibArchive::LibArchive PACKAGE libarchive-dev
  URL https://github.com/libarchive/libarchive/releases/download/v3.6.2/libarchive-3.6.2.tar.xz
  SHA256 9e2c1b80d5fbe59b61308fdfab6c79b5021d7ff4ff2489fb12daf0a96a83551d
  BUILDS archive_static
  OPTIONS ENABLE_TEST=OFF ENABLE_INSTALL=OFF ENABLE_TAR=OFF ENABLE_CPIO=OFF ENABLE_CAT=OFF ENABLE_WERROR=OFF)

# Security updates of what speaks to the network are the distribution's business: no fallback.
find_package(OpenSSL QUIET COMPONENTS Crypto)
if(NOT TARGET OpenSSL::Crypto)
  message(FATAL_ERROR "OpenSSL was not found; install the package libssl-dev")
endif()
find_package(CURL 7.85 QUIET)
if(NOT TARGET CURL::libcurl)
  message(FATAL_ERROR "libcurl 7.85 or newer was not found; install the package libcurl4-openssl-dev")
endif()
