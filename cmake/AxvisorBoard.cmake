# Turns the board's TOML into CMake variables and picks the toolchain file.
include_guard(GLOBAL)
set(AXVISOR_TARGET aarch64-unknown-none-softfloat)
set(AXVISOR_ARCH aarch64)
set(AXVISOR_PLATFORM aarch64-dyn)
set(AXVISOR_TO_BIN ON)
set(AXVISOR_GENERATED_DIR ${CMAKE_BINARY_DIR}/generated)
configure_file(${CMAKE_CURRENT_LIST_DIR}/host/board_config.hpp ${AXVISOR_GENERATED_DIR}/include/board_config.hpp COPYONLY)
set(CMAKE_TOOLCHAIN_FILE ${CMAKE_CURRENT_LIST_DIR}/toolchains/${AXVISOR_TARGET}.cmake)
