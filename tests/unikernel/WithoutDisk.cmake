# A program with files on a machine without a disk says so and does not start.
#   cmake -D ARCH=... -D KERNEL=image -P WithoutDisk.cmake
set(machine_aarch64 -machine virt -cpu cortex-a72)
set(machine_riscv64 -machine virt -bios default)
set(machine_x86_64 -machine q35 -cpu max)
if(NOT EXISTS ${KERNEL})
  message(STATUS "skipped: there is no program ${KERNEL}")
  return()
endif()
execute_process(COMMAND qemu-system-${ARCH} ${machine_${ARCH}} -m 128M -display none -monitor none -serial stdio -no-reboot -nic none -kernel ${KERNEL}
  TIMEOUT 120 OUTPUT_VARIABLE output RESULT_VARIABLE status)
if(NOT output MATCHES "unikernel: the service blkfs needs a virtio disk, and this machine has none\r?\n" OR NOT output MATCHES "unikernel-exit=125")
  message(FATAL_ERROR "${status}\n${output}")
endif()
