# What every library and program of this tree has in common: language level, warnings, and the functions that declare them.
include_guard(GLOBAL)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON)  # statement expressions, for TRY
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

# Target programs are linked by lld itself, whichever compiler made the objects: the drivers' defaults for *-none-elf and
# *-linux-gnu differ, and none of them is wanted.
if(AXVISOR_BOARD)
  set(CMAKE_CXX_LINK_EXECUTABLE "${AXVISOR_LLD} <LINK_FLAGS> <OBJECTS> -o <TARGET> <LINK_LIBRARIES>")
endif()

option(AXVISOR_SANITIZE "Build host code with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)

include(AxvisorLauncher)

# Reproducible output: no build path in debug information or __FILE__, no time stamps.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build -Wdate-time)
# The defaults of CMake's RelWithDebInfo define NDEBUG; debug builds keep the lock-rank and invariant checks.
# Host programs are built much more often than they are busy: they get the optimisation that costs little time.
if(AXVISOR_BOARD)
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g -DNDEBUG")
else()
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -DNDEBUG")
endif()
set(CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")

add_library(axvisor_options INTERFACE)
target_compile_options(axvisor_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wimplicit-fallthrough)
if(AXVISOR_BOARD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(axvisor_options INTERFACE -Wno-shadow -Wshadow=local)  # as clang understands it: names of members are free
endif()
if(NOT AXVISOR_BOARD AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(axvisor_options INTERFACE -Wno-deprecated-declarations)  # std::stable_sort of libstdc++ 12, as clang sees it
  target_link_options(axvisor_options INTERFACE -fuse-ld=lld)
endif()
target_include_directories(axvisor_options INTERFACE ${PROJECT_SOURCE_DIR})
if(AXVISOR_SANITIZE)
  target_compile_options(axvisor_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(axvisor_options INTERFACE -fsanitize=address,undefined)
endif()

# Kernel-side code includes <arch/...> from the architecture it is built for, and <board_config.hpp> from the generator.
# Host builds of the same code get the recording fake and a fixed configuration.
add_library(axvisor_kernel_options INTERFACE)
target_link_libraries(axvisor_kernel_options INTERFACE axvisor_options)
if(AXVISOR_BOARD)
  # One section per function, so that an image holds only what it uses, and functions close together.
  target_compile_options(axvisor_kernel_options INTERFACE -ffunction-sections -fdata-sections -falign-functions=4)
  target_include_directories(axvisor_kernel_options INTERFACE
    ${PROJECT_SOURCE_DIR}/kernel/arch/${AXVISOR_ARCH} ${AXVISOR_GENERATED_DIR}/include)
  if(AXVISOR_UNIKERNEL)
    # What runs alone on a machine, or as a guest: the level below a hypervisor's.
    target_compile_definitions(axvisor_kernel_options INTERFACE
      AX_EXCEPTION_LEVEL=1 AX_IMAGE_NAME="unikernel" AX_FATAL_EXCEPTION="the program crashed")
    target_include_directories(axvisor_kernel_options INTERFACE ${PROJECT_SOURCE_DIR}/unikernel/config)
  endif()
else()
  target_include_directories(axvisor_kernel_options INTERFACE
    ${PROJECT_SOURCE_DIR}/kernel/arch/fake ${PROJECT_SOURCE_DIR}/cmake/host)
endif()

# What a release build for a board does to code that runs seldom.
set(axvisor_small)
if(AXVISOR_BOARD AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(axvisor_small $<$<CONFIG:RelWithDebInfo>:-Oz>)
elseif(AXVISOR_BOARD)
  set(axvisor_small $<$<CONFIG:RelWithDebInfo>:-Os>)
endif()

# axvisor_make_small(TARGET): the code of a release build for a board is optimised for size.
function(axvisor_make_small name)
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${axvisor_small}>)
endfunction()

# axvisor_inline_less(TARGET): functions of a release build are inlined where that costs little room.
function(axvisor_inline_less name)
  if(AXVISOR_BOARD AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-mllvm -inline-threshold=90>")
  endif()
endfunction()

# axvisor_make_sources_small(FILE...): the same for some files of the targets of this folder.
function(axvisor_make_sources_small)
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS "${axvisor_small}")
endfunction()

# axvisor_kernel_library(NAME [COLD] [SOURCES ...] [COLD_SOURCES ...] [HEADERS ...] [DEPENDS ...])
# A freestanding library of kernel/, platforms/ or hypervisor/. In the host build the same sources are compiled for this
# machine, for unit tests. COLD, or COLD_SOURCES for some of the files: runs at start or seldom, so a release build makes it
# small instead of fast.
function(axvisor_kernel_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "COLD" "" "SOURCES;COLD_SOURCES;HEADERS;DEPENDS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "axvisor_kernel_library(${name}): unexpected ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(arg_SOURCES OR arg_COLD_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES} ${arg_COLD_SOURCES} ${arg_HEADERS})
    if(arg_COLD_SOURCES)
      axvisor_make_sources_small(${arg_COLD_SOURCES})
    endif()
    target_link_libraries(${name} PUBLIC axvisor_kernel_options ${arg_DEPENDS})
    if(arg_COLD)
      axvisor_make_small(${name})
    endif()
  else()
    add_library(${name} INTERFACE ${arg_HEADERS})
    target_link_libraries(${name} INTERFACE axvisor_kernel_options ${arg_DEPENDS})
  endif()
endfunction()

# axvisor_unit_test(NAME SOURCES ... [DEPENDS ...] [LABELS ...])
# A GoogleTest program of the host build; each TEST is a ctest entry of its own. Default label: host.
function(axvisor_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;LABELS")
  if(NOT arg_LABELS)
    set(arg_LABELS host)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE axvisor_options ${arg_DEPENDS} GTest::gmock_main)
  target_compile_options(${name} PRIVATE -O0)
  target_compile_definitions(${name} PRIVATE AXVISOR_SOURCE_DIR="${PROJECT_SOURCE_DIR}" AXVISOR_BINARY_DIR="${PROJECT_BINARY_DIR}")
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 300)
endfunction()
