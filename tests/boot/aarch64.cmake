# ---- the platform, without the hypervisor ----

foreach(gic 2 3 4)
  axvisor_boot_test(platform-gicv${gic} IMAGE platform_selftest RUN platform.toml SET gic_version=${gic})
endforeach()
axvisor_boot_test(platform-elf IMAGE platform_selftest RUN platform.toml SET kernel="elf")
axvisor_boot_test(platform-moved IMAGE platform_selftest RUN platform.toml SET kernel="loader" load_address=0x48200000)
foreach(death overflow abort panic brk text)
  axvisor_boot_test(platform-dies-${death} IMAGE platform_selftest RUN platform_dies.toml VARIABLES death=${death})
endforeach()

# ---- the tiny guest: every supported GIC and CPU, ELF and flat binary, another load address ----

axvisor_add_image(boot_tiny VMS ${vms}/tiny.toml)
foreach(gic 2 3 4)
  axvisor_boot_test(tiny-gicv${gic} IMAGE boot_tiny RUN tiny.toml SET gic_version=${gic} LABELS guest)
endforeach()
foreach(cpu cortex-a53 neoverse-n1 a64fx max)
  axvisor_boot_test(tiny-${cpu} IMAGE boot_tiny RUN tiny.toml SET cpu="${cpu}" LABELS guest)
endforeach()
axvisor_boot_test(tiny-elf IMAGE boot_tiny RUN tiny.toml SET kernel="elf" LABELS guest)
axvisor_boot_test(tiny-moved IMAGE boot_tiny RUN tiny.toml SET kernel="loader" load_address=0x48200000 LABELS guest)

# EDK2 starts the image as an EFI program and lets go of the machine.
if(COMMAND axvisor_add_efi_program)
  axvisor_add_efi_program(boot_tiny ALL)
  axvisor_boot_test(tiny-uefi IMAGE boot_tiny RUN tiny.toml SET uefi=true LABELS guest)
endif()

# Two VMs: names are kept apart, and the machine stays up until both have stopped.
axvisor_add_image(boot_two_tiny VMS ${vms}/tiny.toml ${vms}/tiny_second.toml)
axvisor_boot_test(two-tiny IMAGE boot_two_tiny RUN two_tiny.toml LABELS guest)

# The machine is what its device tree says, not what the image was built for.
axvisor_add_image(boot_anywhere VMS ${vms}/anywhere.toml)
axvisor_boot_test(versal IMAGE boot_anywhere RUN other_machine.toml LABELS guest)
set(zcu102 ${CMAKE_CURRENT_BINARY_DIR}/zcu102.dtb)
add_test(NAME boot.zcu102-tree COMMAND ${AXVISOR_XTASK} image fetch debian-arm64-zcu102 --output ${zcu102} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
set_tests_properties(boot.zcu102-tree PROPERTIES LABELS guest FIXTURES_SETUP zcu102-tree SKIP_RETURN_CODE 4)
axvisor_boot_test(zcu102 IMAGE boot_anywhere RUN zcu102.toml VARIABLES dtb=${zcu102} NEEDS ${zcu102} LABELS guest)
set_tests_properties(boot.zcu102 PROPERTIES FIXTURES_REQUIRED zcu102-tree)

# What flags of memory regions forbid, what VMs share, what a restart leaves.
axvisor_add_image(boot_memory VMS ${vms}/memory_writer.toml ${vms}/memory_reader.toml)
axvisor_boot_test(memory IMAGE boot_memory RUN memory.toml LABELS guest)

# ---- what must go wrong, and how ----

axvisor_add_image(boot_crash VMS ${vms}/crash.toml ${vms}/tiny_second.toml)
axvisor_boot_test(guest-crashes IMAGE boot_crash RUN crash.toml LABELS guest)
axvisor_add_image(boot_quiet VMS ${vms}/quiet.toml)
axvisor_boot_test(no-interrupts IMAGE boot_quiet RUN quiet.toml LABELS guest)

# Whatever a guest does to registers, calls and addresses that are not its own, the host and the neighbour go on.
axvisor_add_image(boot_hostile VMS ${vms}/hostile.toml ${vms}/tiny_second.toml)
foreach(cpu cortex-a53 cortex-a72 neoverse-n1 max)
  axvisor_boot_test(guest-is-hostile-${cpu} IMAGE boot_hostile RUN hostile.toml SET cpu="${cpu}" LABELS hostile)
endforeach()
axvisor_add_image(boot_hostile_smp VMS ${vms}/hostile_smp.toml ${vms}/tiny_second.toml)
axvisor_boot_test(guest-is-hostile-to-itself IMAGE boot_hostile_smp RUN hostile_smp.toml LABELS hostile)
axvisor_add_image(boot_hostile_heart VMS ${vms}/hostile_smp.toml ${vms}/heart_second.toml)
axvisor_boot_test(guest-is-hostile-restarts IMAGE boot_hostile_heart RUN hostile_restarts.toml LABELS hostile)
axvisor_add_image(boot_hostile_direct VMS ${vms}/hostile_direct.toml ${vms}/tiny_second.toml)
axvisor_boot_test(guest-is-hostile-direct IMAGE boot_hostile_direct RUN hostile.toml LABELS hostile)
axvisor_boot_test(guest-is-hostile-gicv2 IMAGE boot_hostile RUN hostile.toml SET gic_version=2 LABELS hostile)

axvisor_boot_test(runner-times-out IMAGE boot_tiny RUN times_out.toml)
axvisor_boot_test(runner-sees-failure IMAGE boot_tiny RUN sees_failure.toml)

axvisor_add_image(boot_restarts RESTARTS VMS ${vms}/tiny.toml)
axvisor_boot_test(restarts IMAGE boot_restarts RUN restarts.toml LABELS guest)

# ---- Debian Linux ----

axvisor_add_image(boot_linux VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-aarch64-qemu-smp1.toml)
axvisor_add_image(boot_linux_smp VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-aarch64-qemu-smp2.toml)
axvisor_kernel_test(debian-arm64)
axvisor_boot_test(linux-gicv3 IMAGE boot_linux RUN linux.toml VARIABLES cpus=1 LABELS linux)
axvisor_boot_test(linux-gicv2 IMAGE boot_linux RUN linux.toml SET gic_version=2 kernel="elf" VARIABLES cpus=1 LABELS linux)
foreach(cpu cortex-a53 neoverse-n1 a64fx max)
  axvisor_boot_test(linux-${cpu} IMAGE boot_linux RUN linux.toml SET cpu="${cpu}" VARIABLES cpus=1 LABELS linux)
endforeach()
axvisor_boot_test(linux-zcu102 IMAGE boot_linux RUN linux_zcu102.toml VARIABLES dtb=${zcu102} NEEDS ${zcu102} LABELS linux)
set_tests_properties(boot.linux-zcu102 PROPERTIES FIXTURES_REQUIRED zcu102-tree)
axvisor_boot_test(linux-smp IMAGE boot_linux_smp RUN linux.toml VARIABLES cpus=2 LABELS linux)

axvisor_add_image(boot_rtos VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-aarch64-qemu-smp1.toml ${vms}/rtos.toml)
axvisor_boot_test(rtos-beside-linux IMAGE boot_rtos RUN rtos.toml LABELS linux)

# The build guide's own pair of files: both want the same memory, CPU and devices.
axvisor_add_image(boot_guide VMS ${vms}/guide_first.toml ${vms}/guide_second.toml)
axvisor_boot_test(guide-pair IMAGE boot_guide RUN guide_pair.toml LABELS linux)

axvisor_add_image(boot_big VMS ${vms}/big.toml)
axvisor_boot_test(more-than-4-gib IMAGE boot_big RUN big.toml LABELS linux)

# ---- life cycle ----

axvisor_add_image(boot_hearts VMS ${vms}/heart_first.toml ${vms}/heart_second.toml)
axvisor_boot_test(life-cycle IMAGE boot_hearts RUN life_cycle.toml LABELS guest)
axvisor_boot_test(thousand-restarts IMAGE boot_hearts RUN thousand_restarts.toml LABELS guest)
axvisor_add_image(boot_policies VMS ${vms}/heart_shutdown.toml ${vms}/heart_restart.toml ${vms}/heart_manual.toml)
axvisor_boot_test(crash-policies IMAGE boot_policies RUN crash_policies.toml LABELS guest)
axvisor_add_image(boot_watched VMS ${vms}/heart_first.toml ${vms}/heart_watched.toml)
axvisor_boot_test(watchdog IMAGE boot_watched RUN watchdog.toml LABELS guest)
axvisor_add_image(boot_linux_restarted VMS ${vms}/linux_restarted.toml ${vms}/heart_second.toml)
axvisor_boot_test(linux-restarts IMAGE boot_linux_restarted RUN linux_restarts.toml LABELS linux)

# ---- devices of the machine ----

axvisor_add_image(boot_virtio VMS ${vms}/virtio.toml)
axvisor_disk_boot_test(virtio-gicv3 IMAGE boot_virtio RUN virtio.toml LABELS linux)
axvisor_disk_boot_test(virtio-gicv2 IMAGE boot_virtio RUN virtio.toml SET gic_version=2 LABELS linux)
axvisor_add_image(boot_virtio_direct VMS ${vms}/virtio_direct.toml)
axvisor_add_image(boot_tiny_direct VMS ${vms}/tiny_direct.toml)
foreach(cpu cortex-a53 cortex-a72 neoverse-n1 max)
  axvisor_boot_test(tiny-direct-${cpu} IMAGE boot_tiny_direct RUN tiny.toml SET cpu="${cpu}" LABELS guest)
endforeach()
axvisor_boot_test(tiny-direct-gicv2 IMAGE boot_tiny_direct RUN tiny.toml SET gic_version=2 LABELS guest)
axvisor_boot_test(tiny-direct-gicv4 IMAGE boot_tiny_direct RUN tiny.toml SET gic_version=4 LABELS guest)
axvisor_add_image(boot_masked VMS ${vms}/masked.toml)
# It masks everything and loops, and is stopped and restarted within ten milliseconds all the same.
axvisor_add_image(boot_heart_direct VMS ${vms}/heart_direct.toml ${vms}/heart_second.toml)
axvisor_boot_test(life-cycle-direct IMAGE boot_heart_direct RUN life_cycle.toml LABELS guest)
axvisor_boot_test(masked IMAGE boot_masked RUN masked.toml LABELS guest)
axvisor_disk_boot_test(virtio-direct IMAGE boot_virtio_direct RUN virtio.toml LABELS linux)
axvisor_disk_boot_test(virtio-direct-again IMAGE boot_virtio_direct RUN virtio_again.toml LABELS linux)
axvisor_disk_boot_test(virtio-again IMAGE boot_virtio RUN virtio_again.toml LABELS linux)
axvisor_add_image(boot_pci VMS ${vms}/pci.toml)
axvisor_disk_boot_test(pci-gicv3 IMAGE boot_pci RUN pci.toml LABELS linux)
axvisor_disk_boot_test(pci-gicv2 IMAGE boot_pci RUN pci.toml SET gic_version=2 LABELS linux)
axvisor_disk_boot_test(pci-cortex-a53 IMAGE boot_pci RUN pci.toml SET cpu="cortex-a53" LABELS linux)
axvisor_disk_boot_test(pci-again IMAGE boot_pci RUN pci_again.toml LABELS linux)
axvisor_add_image(boot_pci_line VMS ${vms}/pci_line_first.toml ${vms}/pci_line_second.toml)
axvisor_boot_test(pci-line IMAGE boot_pci_line RUN pci_line.toml LABELS guest)
axvisor_add_image(boot_pci_direct VMS ${vms}/pci_direct.toml)
axvisor_disk_boot_test(pci-direct IMAGE boot_pci_direct RUN pci.toml LABELS linux)
