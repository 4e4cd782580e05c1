# A unikernel build folder: AXVISOR_UNIKERNEL names the platform. Like a board's, it decides the toolchain before project().
include_guard(GLOBAL)

# platform -> architecture, toolchain file, folder below platforms/
set(axvisor_unikernel_aarch64-qemu-virt aarch64 aarch64-unknown-none-softfloat aarch64-dyn 0x40200000)
set(axvisor_unikernel_riscv64-qemu-virt riscv64 riscv64gc-unknown-none-elf riscv64-qemu-virt 0x80200000)
set(axvisor_unikernel_x86_64-qemu-q35 x86_64 x86_64-unknown-none x86-qemu-q35 0x200000)
if(NOT DEFINED axvisor_unikernel_${AXVISOR_UNIKERNEL})
  message(FATAL_ERROR "AXVISOR_UNIKERNEL is \"${AXVISOR_UNIKERNEL}\": use aarch64-qemu-virt, riscv64-qemu-virt or x86_64-qemu-q35.")
endif()
list(GET axvisor_unikernel_${AXVISOR_UNIKERNEL} 0 AXVISOR_ARCH)
list(GET axvisor_unikernel_${AXVISOR_UNIKERNEL} 1 AXVISOR_TARGET)
list(GET axvisor_unikernel_${AXVISOR_UNIKERNEL} 2 AXVISOR_PLATFORM)
list(GET axvisor_unikernel_${AXVISOR_UNIKERNEL} 3 AXVISOR_LOAD_ADDRESS)

# Libraries of the platform besides those of kernel/.
set(axvisor_platform_libraries_aarch64-dyn platform_aarch64_dyn_discovery platform_fdt_discovery)
set(axvisor_platform_libraries_riscv64-qemu-virt platform_riscv64_qemu_virt_discovery platform_fdt_discovery)
set(axvisor_platform_libraries_x86-qemu-q35 kernel_acpi platform_x86_qemu_q35_discovery)

# What code for a target asks for: the rest of the tree does not care which kind of image it is part of.
set(AXVISOR_BOARD unikernel)
string(REPLACE "-" "_" AXVISOR_PLATFORM_TARGET ${AXVISOR_PLATFORM})
set(AXVISOR_PLATFORM_DIR ${CMAKE_SOURCE_DIR}/platforms/${AXVISOR_PLATFORM})
set(AXVISOR_PLATFORM_LIBRARIES ${axvisor_platform_libraries_${AXVISOR_PLATFORM}})
set(AXVISOR_GENERATED_DIR ${CMAKE_BINARY_DIR}/generated)
set(CMAKE_TOOLCHAIN_FILE ${CMAKE_SOURCE_DIR}/cmake/toolchains/${AXVISOR_TARGET}.cmake)
