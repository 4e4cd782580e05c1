# RV64GC, linked where it runs. The calling convention is that of programs, which have floating point; code of ours has none.
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(AXVISOR_LLVM_TARGET riscv64-none-elf)
set(AXVISOR_GNU_PREFIX riscv64-linux-gnu-)
set(AXVISOR_GNU_PACKAGE g++-riscv64-linux-gnu)
set(AXVISOR_TARGET_FLAGS "-march=rv64gc -mabi=lp64d -mcmodel=medany -msmall-data-limit=0 -fno-pic -fvisibility=hidden -ffunction-sections -fdata-sections -fno-omit-frame-pointer -momit-leaf-frame-pointer")
set(AXVISOR_LLVM_FLAGS "-mno-implicit-float")
include(${CMAKE_CURRENT_LIST_DIR}/freestanding.cmake)
