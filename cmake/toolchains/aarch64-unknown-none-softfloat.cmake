# Armv8-A without floating point, position-independent.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(AXVISOR_LLVM_TARGET aarch64-none-elf)
set(AXVISOR_GNU_PREFIX aarch64-linux-gnu-)
set(AXVISOR_GNU_PACKAGE g++-aarch64-linux-gnu)
set(AXVISOR_TARGET_FLAGS "-march=armv8-a -mgeneral-regs-only -mno-outline-atomics -mstrict-align -fPIE -fvisibility=hidden -ffunction-sections -fdata-sections -fno-omit-frame-pointer -momit-leaf-frame-pointer")
include(${CMAKE_CURRENT_LIST_DIR}/freestanding.cmake)
