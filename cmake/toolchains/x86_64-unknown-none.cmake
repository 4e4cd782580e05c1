# x86-64 without red zone and vector registers.
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(AXVISOR_LLVM_TARGET x86_64-none-elf)
set(AXVISOR_GNU_PREFIX x86_64-linux-gnu-)
set(AXVISOR_GNU_PACKAGE g++)
set(AXVISOR_TARGET_FLAGS "-march=x86-64 -mno-red-zone -mno-sse -mno-mmx -fno-pic -mcmodel=small -fvisibility=hidden -ffunction-sections -fdata-sections -fno-omit-frame-pointer -momit-leaf-frame-pointer")
include(${CMAKE_CURRENT_LIST_DIR}/freestanding.cmake)
