# RV64 without floating point registers, position-independent.
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(AXVISOR_LLVM_TARGET riscv64-none-elf)
set(AXVISOR_GNU_PREFIX riscv64-linux-gnu-)
set(AXVISOR_GNU_PACKAGE g++-riscv64-linux-gnu)
set(AXVISOR_TARGET_FLAGS "-march=rv64imac_zicsr_zifencei -mabi=lp64 -mcmodel=medany -fPIE -fvisibility=hidden")
include(${CMAKE_CURRENT_LIST_DIR}/freestanding.cmake)
