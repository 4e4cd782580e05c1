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
  if(type MATCHES "^(ext4|fat32|card)$")
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
  set(beside ${vms}/anywhere.toml)
else()
  set(kernel debian-amd64-cloud)
  set(initramfs debian-amd64-initramfs)
  set(suffix _pc)
  set(prefix pc_)
  set(second ${vms}/pc_second.toml)
  set(beside ${second})
endif()
set(linux_files FILES ${AXVISOR_IMAGE_DIR}/${kernel}=guest/linux/vmlinuz ${AXVISOR_IMAGE_DIR}/${initramfs}=guest/linux/initramfs)

axvisor_add_image(boot_fs VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-${AXVISOR_ARCH}-qemu-fs.toml ${beside})
foreach(type ext4 fat32)
  axvisor_storage_test(linux-from-${type} ${type} ${linux_files} TEST IMAGE boot_fs RUN linux_from_disk${suffix}.toml LABELS linux)
endforeach()
set(folder ${CMAKE_CURRENT_BINARY_DIR})
foreach(type corrupt cut)
  axvisor_storage_test(linux-from-${type} ${type} ${linux_files} TEST IMAGE boot_fs RUN bad_disk${suffix}.toml
    VARIABLES file=file=${folder}/linux-from-${type}.img LABELS linux)
endforeach()
# The kernel's last MiBs cannot be read.
axvisor_storage_test(linux-from-failing fat32 ${linux_files} TEST IMAGE boot_fs RUN bad_disk${suffix}.toml LABELS linux
  VARIABLES file=file.driver=blkdebug,file.image.filename=${folder}/linux-from-failing.img,file.inject-error.0.event=read_aio,file.inject-error.0.sector=20000)
axvisor_storage_test(disk-removed fat32 ${linux_files} TEST IMAGE boot_fs RUN disk_removed${suffix}.toml VARIABLES drive=disk LABELS linux)

axvisor_add_image(boot_beside_disk VMS ${vms}/${prefix}heart_first.toml)
axvisor_storage_test(slow-disk fat32 FILES ${AXVISOR_IMAGE_DIR}/${initramfs}=guest/large TEST IMAGE boot_beside_disk RUN slow_disk${suffix}.toml LABELS linux)

# SD cards: in the slot of a board, and behind a controller on PCI. Disks in memory that the boot loader has passed.
string(CONCAT common "[\"-accel\", \"tcg\", \"-display\", \"none\", \"-serial\", \"mon:stdio\", \"-no-reboot\", \"-nic\", \"none\", ")
set(pci_card "args=${common}\"-drive\", \"if=none,id=disk,format=raw,file=\${disk}\", \"-device\", \"sdhci-pci\", \"-device\", \"sd-card,drive=disk\"]")
set(slot_card machine="xlnx-versal-virt" smp=4 "args=${common}\"-drive\", \"if=sd,format=raw,file=\${disk}\"]")
axvisor_storage_test(linux-from-card card ${linux_files} TEST IMAGE boot_fs RUN linux_from_disk${suffix}.toml SET ${pci_card} LABELS linux)
axvisor_storage_test(card-removed card ${linux_files} TEST IMAGE boot_fs RUN disk_removed${suffix}.toml SET ${pci_card} VARIABLES drive=disk LABELS linux)
if(AXVISOR_ARCH STREQUAL "aarch64")
  axvisor_storage_test(linux-from-slot card ${linux_files} TEST IMAGE boot_fs RUN linux_from_disk.toml SET ${slot_card} LABELS linux)
  axvisor_storage_test(slot-emptied card ${linux_files} TEST IMAGE boot_fs RUN disk_removed.toml SET ${slot_card} VARIABLES drive=sd0 LABELS linux)
  # Reserved memory with a disk of 80 MiB.
  set(tree ${folder}/linux-from-reserved.dtb)
  add_test(NAME boot.linux-from-reserved-tree COMMAND ${CMAKE_COMMAND} -D TREE=${tree} -D MACHINE=virt,virtualization=on,gic-version=3 -D MEMORY=2G -D SMP=2
    -D ADDRESS=a0000000 -D SIZE=5000000 -P ${PROJECT_SOURCE_DIR}/tests/boot/MemoryDiskTree.cmake)
  set_tests_properties(boot.linux-from-reserved-tree PROPERTIES LABELS "linux" FIXTURES_SETUP linux-from-reserved-disk)
  axvisor_storage_test(linux-from-reserved fat32 ${linux_files} TEST IMAGE boot_fs RUN linux_from_disk.toml LABELS linux
    SET "args=${common}\"-dtb\", \"${tree}\", \"-device\", \"loader,file=\${disk},addr=0xa0000000,force-raw=on\"]")
  # On a PC all disks are there.
  axvisor_storage_test(linux-from-pci fat32 ${linux_files} TEST IMAGE boot_fs RUN linux_from_disk.toml LABELS linux
    SET "args=${common}\"-drive\", \"if=none,id=disk,format=raw,file=\${disk}\", \"-device\", \"virtio-blk-pci,drive=disk\"]")
endif()
axvisor_storage_test(linux-from-memory fat32 ${linux_files} TEST IMAGE boot_fs RUN linux_from_disk${suffix}.toml
  SET "args=${common}\"-initrd\", \"\${disk}\"]" LABELS linux)
axvisor_storage_test(disk-shell fat32 ${linux_files} TEST IMAGE boot_fs RUN disk_shell${suffix}.toml LABELS linux)
axvisor_boot_test(linux-from-nothing IMAGE boot_fs RUN no_disk${suffix}.toml LABELS linux)

# The emulator as configs/qemu describes it, with the disk that its recipe makes: a GPT with ext4.
add_test(NAME boot.configured-disk-disk COMMAND ${AXVISOR_XTASK} image build guests-${AXVISOR_ARCH} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(boot.configured-disk-disk PROPERTIES LABELS "linux" FIXTURES_SETUP configured-disk)
axvisor_boot_test(configured-disk IMAGE boot_fs RUN ../../configs/qemu/qemu-${AXVISOR_ARCH}-disk.toml LABELS linux
  SET "timeout=200" "success_regex=[\"^axvisor: done: 2 stopped, 0 failed$\"]" "fail_regex=[\"^axvisor: PANIC\", \" ERROR\"]" "shell_prefix=~ # "
    "shell_init_cmd=poweroff -f")
set_tests_properties(boot.configured-disk PROPERTIES FIXTURES_REQUIRED configured-disk)
foreach(name configured-disk configured-disk-disk)
  set_tests_properties(boot.${name} PROPERTIES RESOURCE_LOCK guests-${AXVISOR_ARCH}.img)
endforeach()

# What the boot loader passes: a RAM disk on both, without a name on a PC.
axvisor_add_image(boot_module VMS ${vms}/${prefix}linux_module.toml)
axvisor_boot_test(linux-from-module IMAGE boot_module RUN linux_from_module${suffix}.toml VARIABLES initrd=${AXVISOR_IMAGE_DIR}/${initramfs}
  LABELS linux)

axvisor_add_image(boot_changed VMS ${vms}/${prefix}tiny_changed.toml ${second})
axvisor_boot_test(changed-image IMAGE boot_changed RUN changed${suffix}.toml LABELS guest)
