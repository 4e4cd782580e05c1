# Guests whose images are on a disk of the machine.

# axvisor_storage_test(NAME TYPE FILES from=to... ...as axvisor_boot_test): the run file finds a disk of that TYPE (FsDisk.cmake) at
# ${disk}; afterwards its file system is in order, if it was before.
function(axvisor_storage_test name type)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "FILES;TEST")
  set(disk ${CMAKE_CURRENT_BINARY_DIR}/${name}.img)
  set(script ${CMAKE_COMMAND} -D DISK=${disk} -D TYPE=${type})
  axvisor_boot_test(${name} ${arg_TEST} DISK ${disk})
  list(JOIN arg_FILES "," files)
  add_test(NAME boot.${name}-disk COMMAND ${script} "-DFILES=${files}" -P ${PROJECT_SOURCE_DIR}/tests/boot/FsDisk.cmake)
  set_tests_properties(boot.${name}-disk PROPERTIES LABELS "linux" FIXTURES_SETUP ${name}-disk)
  set_tests_properties(boot.${name} PROPERTIES FIXTURES_REQUIRED ${name}-disk FIXTURES_SETUP ${name}-booted)
  if(type MATCHES "^(ext4|fat32)$")
    add_test(NAME boot.${name}-check COMMAND ${script} -D CHECK=ON -P ${PROJECT_SOURCE_DIR}/tests/boot/FsDisk.cmake)
    set_tests_properties(boot.${name}-check PROPERTIES LABELS "linux" FIXTURES_REQUIRED ${name}-booted)
  endif()
endfunction()

if(AXVISOR_ARCH STREQUAL "aarch64")
  set(kernel debian-arm64)
  set(initramfs debian-arm64-initramfs)
  set(suffix "")
  set(prefix "")
  set(second ${vms}/tiny_second.toml)
else()
  set(kernel debian-amd64-cloud)
  set(initramfs debian-amd64-initramfs)
  set(suffix _pc)
  set(prefix pc_)
  set(second ${vms}/pc_second.toml)
endif()
set(linux_files FILES ${AXVISOR_IMAGE_DIR}/${kernel}=guest/linux/vmlinuz ${AXVISOR_IMAGE_DIR}/${initramfs}=guest/linux/initramfs)

axvisor_add_image(boot_fs VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-${AXVISOR_ARCH}-qemu-fs.toml ${second})
foreach(type ext4 fat32)
  axvisor_storage_test(linux-from-${type} ${type} ${linux_files} TEST IMAGE boot_fs RUN linux_from_disk${suffix}.toml LABELS linux)
endforeach()
foreach(type corrupt cut)
  axvisor_storage_test(linux-from-${type} ${type} ${linux_files} TEST IMAGE boot_fs RUN bad_disk${suffix}.toml LABELS linux)
endforeach()
axvisor_storage_test(disk-shell fat32 ${linux_files} TEST IMAGE boot_fs RUN disk_shell${suffix}.toml LABELS linux)
axvisor_boot_test(linux-from-nothing IMAGE boot_fs RUN no_disk${suffix}.toml LABELS linux)

# What the boot loader passes: a RAM disk on both, without a name on a PC.
axvisor_add_image(boot_module VMS ${vms}/${prefix}linux_module.toml)
axvisor_boot_test(linux-from-module IMAGE boot_module RUN linux_from_module${suffix}.toml VARIABLES initrd=${AXVISOR_IMAGE_DIR}/${initramfs}
  LABELS linux)

axvisor_add_image(boot_changed VMS ${vms}/${prefix}tiny_changed.toml ${second})
axvisor_boot_test(changed-image IMAGE boot_changed RUN changed${suffix}.toml LABELS guest)
