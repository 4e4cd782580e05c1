# Boot tests of the q35 machine and of PCs like it.

# ---- the platform, without the hypervisor ----

# axvisor_pc_test(NAME CPUS [RUN file.toml] [IMAGE target] [SET key=value...] [LABELS ...]): a machine with that many CPUs, of which
# the board brings up AXVISOR_SMP.
function(axvisor_pc_test name cpus)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "IMAGE;RUN" "SET;LABELS")
  set(image platform_selftest)
  set(run platform_pc.toml)
  if(arg_IMAGE)
    set(image ${arg_IMAGE})
  endif()
  if(arg_RUN)
    set(run ${arg_RUN})
  endif()
  set(started ${cpus})
  if(started GREATER AXVISOR_SMP)
    set(started ${AXVISOR_SMP})
  endif()
  axvisor_boot_test(platform-${name} IMAGE ${image} RUN ${run} SET smp=${cpus} ${arg_SET} VARIABLES cpus=${started} LABELS ${arg_LABELS})
endfunction()

foreach(cpus 1 4 8)
  axvisor_pc_test(smp${cpus} ${cpus})
endforeach()
axvisor_pc_test(epyc 2 SET cpu="EPYC")
axvisor_pc_test(small-leaves 2 SET cpu="qemu64" memory="6G")  # no 1 GiB pages, most memory above 4 GiB
axvisor_pc_test(4g 2 SET memory="4G")                         # half of it above 4 GiB
axvisor_pc_test(i440fx 2 SET machine="pc")
axvisor_pc_test(pvh 2 IMAGE platform_selftest_pvh)
axvisor_pc_test(bios-cd 2 SET kernel="iso")
axvisor_pc_test(uefi-cd 2 SET kernel="iso" uefi=true)
axvisor_pc_test(bochs-intel 2 RUN platform_bochs.toml LABELS bochs)
axvisor_pc_test(bochs-amd 2 RUN platform_bochs.toml SET cpu="ryzen" LABELS bochs)
foreach(death overflow abort panic brk text execute)
  axvisor_boot_test(platform-dies-${death} IMAGE platform_selftest RUN platform_pc_dies.toml VARIABLES death=${death})
endforeach()
axvisor_boot_test(platform-dies-alone IMAGE platform_selftest RUN platform_pc_dies.toml SET smp=1 VARIABLES death=overflow)
axvisor_boot_test(platform-resets IMAGE platform_selftest RUN platform_pc_resets.toml)
# Its FADT names no reset register.
axvisor_boot_test(platform-resets-by-chipset IMAGE platform_selftest RUN platform_pc_resets.toml SET machine="pc")
# Neither ACPI nor HPET nor a chipset: one CPU, timed by the PIT, reset by a triple fault.
axvisor_boot_test(platform-bare-pc IMAGE platform_selftest_pvh RUN platform_pc_resets.toml SET machine="microvm,acpi=off")

# ---- the vCPU backends, without the hypervisor ----

axvisor_boot_test(vcpu-svm IMAGE vcpu_selftest RUN vcpu_svm.toml)
axvisor_boot_test(vcpu-svm-epyc IMAGE vcpu_selftest RUN vcpu_svm.toml SET cpu="EPYC")
axvisor_boot_test(vcpu-vmx IMAGE vcpu_selftest RUN vcpu_vmx.toml LABELS bochs)

# ---- the tiny guest: every way to boot it, on several CPUs ----

axvisor_add_image(boot_tiny VMS ${vms}/pc_tiny.toml)
foreach(cpu max EPYC)
  axvisor_boot_test(tiny-${cpu} IMAGE boot_tiny RUN tiny_pc.toml SET cpu="${cpu}" LABELS guest)
endforeach()
axvisor_boot_test(tiny-smp1 IMAGE boot_tiny RUN tiny_pc.toml SET smp=1 LABELS guest)
# Bochs has what QEMU lacks: Intel VMX, and SVM that says where the next instruction is.
axvisor_boot_test(tiny-bochs-intel IMAGE boot_tiny RUN tiny_bochs.toml
  VARIABLES "extension=Intel VMX with extended page tables and virtual local APICs" LABELS guest bochs)
# Neither register virtualisation nor virtual-interrupt delivery.
axvisor_boot_test(tiny-bochs-emulated-apic IMAGE boot_tiny RUN tiny_bochs.toml SET cpu="corei7_sandy_bridge_2600k"
  VARIABLES "extension=Intel VMX with extended page tables" LABELS guest bochs)
axvisor_boot_test(tiny-bochs-amd IMAGE boot_tiny RUN tiny_bochs.toml SET cpu="ryzen"
  VARIABLES "extension=AMD SVM with nested paging" LABELS guest bochs)
axvisor_add_image(boot_tiny_bios VMS ${vms}/pc_bios.toml)
axvisor_boot_test(tiny-bios IMAGE boot_tiny_bios RUN tiny_pc.toml LABELS guest)

axvisor_add_image(boot_tiny_pvh VMS ${vms}/pc_pvh.toml)
axvisor_boot_test(tiny-pvh IMAGE boot_tiny_pvh RUN tiny_pc.toml LABELS guest)
axvisor_boot_test(tiny-bios-cd IMAGE boot_tiny RUN tiny_pc.toml SET kernel="iso" LABELS guest)
axvisor_boot_test(tiny-uefi-cd IMAGE boot_tiny RUN tiny_pc.toml SET kernel="iso" uefi=true LABELS guest)

# Two VMs: names are kept apart, and the machine stays up until both have stopped.
axvisor_add_image(boot_two_tiny VMS ${vms}/pc_tiny.toml ${vms}/pc_second.toml)
axvisor_boot_test(two-tiny IMAGE boot_two_tiny RUN two_tiny_pc.toml LABELS guest)

# ---- what must go wrong, and how ----

axvisor_add_image(boot_crash VMS ${vms}/pc_crash.toml ${vms}/pc_second.toml)
axvisor_boot_test(guest-crashes IMAGE boot_crash RUN crash_pc.toml LABELS guest)
axvisor_boot_test(no-virtualization IMAGE boot_tiny RUN cannot_run_guests_pc.toml VARIABLES "missing=neither AMD SVM nor Intel VMX")
axvisor_boot_test(no-nested-paging IMAGE boot_tiny RUN cannot_run_guests_pc.toml SET cpu="qemu64,+svm"
  VARIABLES "missing=AMD SVM without nested paging")
axvisor_boot_test(no-virtualization-bochs IMAGE boot_tiny RUN cannot_run_guests_bochs.toml SET cpu="athlon64_venice"
  VARIABLES "missing=neither AMD SVM nor Intel VMX" LABELS bochs)
axvisor_boot_test(no-ept IMAGE boot_tiny RUN cannot_run_guests_bochs.toml
  VARIABLES "missing=Intel VMX without extended page tables" LABELS bochs)
axvisor_boot_test(no-unrestricted-guests IMAGE boot_tiny RUN cannot_run_guests_bochs.toml SET cpu="corei5_lynnfield_750"
  VARIABLES "missing=Intel VMX without unrestricted guests" LABELS bochs)

axvisor_boot_test(no-long-mode IMAGE boot_tiny RUN no_long_mode.toml)
axvisor_boot_test(useless-cpu IMAGE boot_tiny RUN useless_cpu_pc.toml LABELS guest)

axvisor_add_image(boot_quiet VMS ${vms}/pc_quiet.toml)
axvisor_boot_test(no-interrupts IMAGE boot_quiet RUN quiet_pc.toml LABELS guest)

# Whatever a guest does to registers, ports and addresses that are not its own, the host and the neighbour go on.
axvisor_add_image(boot_hostile VMS ${vms}/pc_hostile.toml ${vms}/pc_second.toml)
axvisor_boot_test(guest-is-hostile IMAGE boot_hostile RUN hostile_pc.toml LABELS hostile)
axvisor_boot_test(guest-is-hostile-epyc IMAGE boot_hostile RUN hostile_pc.toml SET cpu="EPYC" LABELS hostile)
axvisor_add_image(boot_hostile_smp VMS ${vms}/pc_hostile_smp.toml ${vms}/pc_second.toml)
axvisor_boot_test(guest-is-hostile-to-itself IMAGE boot_hostile_smp RUN hostile_smp_pc.toml LABELS hostile)
axvisor_add_image(boot_hostile_heart VMS ${vms}/pc_hostile_smp.toml ${vms}/pc_heart_second.toml)
axvisor_boot_test(guest-is-hostile-restarts IMAGE boot_hostile_heart RUN hostile_restarts_pc.toml LABELS hostile)
axvisor_boot_test(guest-is-hostile-bochs IMAGE boot_hostile RUN hostile_bochs.toml LABELS hostile bochs)

# What flags of memory regions forbid, what VMs share, what a restart leaves.
axvisor_add_image(boot_memory VMS ${vms}/pc_memory_writer.toml ${vms}/pc_memory_reader.toml)
axvisor_boot_test(memory IMAGE boot_memory RUN memory_pc.toml LABELS guest)

# ---- devices of the machine ----

axvisor_add_image(boot_lines VMS ${vms}/pc_lines.toml)
axvisor_boot_test(lines IMAGE boot_lines RUN lines_pc.toml LABELS guest)
axvisor_add_image(boot_lines_of_the_host VMS ${vms}/pc_lines_of_the_host.toml)
axvisor_boot_test(lines-of-the-host IMAGE boot_lines_of_the_host RUN lines_of_the_host_pc.toml LABELS guest)

# ---- the end ----

axvisor_add_image(boot_restarts RESTARTS VMS ${vms}/pc_tiny.toml)
axvisor_boot_test(restarts IMAGE boot_restarts RUN restarts_pc.toml LABELS guest)

# ---- Debian Linux ----

axvisor_add_image(boot_linux VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-x86_64-qemu-smp1.toml)
axvisor_add_image(boot_linux_smp VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-x86_64-qemu-smp2.toml)
axvisor_kernel_test(debian-amd64-cloud)
axvisor_boot_test(linux IMAGE boot_linux RUN linux_pc.toml VARIABLES cpus=1 LABELS linux)
axvisor_boot_test(linux-epyc IMAGE boot_linux RUN linux_pc.toml SET cpu="EPYC" VARIABLES cpus=1 LABELS linux)
axvisor_boot_test(linux-smp IMAGE boot_linux_smp RUN linux_pc.toml VARIABLES cpus=2 LABELS linux)
# On the emulator that has Intel VMX.
axvisor_add_image(boot_linux_slow VMS ${vms}/pc_linux_slow.toml)
axvisor_boot_test(linux-bochs IMAGE boot_linux_slow RUN linux_bochs.toml VARIABLES cpus=1 LABELS linux bochs)
axvisor_add_image(boot_linux_standard VMS ${vms}/pc_linux_standard.toml)
axvisor_add_image(boot_linux_standard_smp VMS ${vms}/pc_linux_standard_smp.toml)
axvisor_boot_test(linux-standard IMAGE boot_linux_standard RUN linux_pc.toml VARIABLES cpus=1 LABELS linux)
axvisor_boot_test(linux-standard-smp IMAGE boot_linux_standard_smp RUN linux_pc.toml VARIABLES cpus=2 LABELS linux)
axvisor_kernel_test(debian-amd64)

# Two of them side by side, and the keyboard for either.
axvisor_add_image(boot_two_linux VMS ${vms}/pc_linux_first.toml ${vms}/pc_linux_second.toml)
axvisor_boot_test(two-linux IMAGE boot_two_linux RUN two_linux_pc.toml LABELS linux)

axvisor_add_image(boot_rtos VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-x86_64-qemu-smp1.toml ${vms}/pc_rtos.toml)
axvisor_boot_test(rtos-beside-linux IMAGE boot_rtos RUN rtos_pc.toml LABELS linux)

axvisor_add_image(boot_big VMS ${vms}/pc_big.toml)
axvisor_boot_test(more-than-4-gib IMAGE boot_big RUN big_pc.toml LABELS linux)

# ---- life cycle ----

axvisor_add_image(boot_hearts VMS ${vms}/pc_heart_first.toml ${vms}/pc_heart_second.toml)
axvisor_boot_test(life-cycle IMAGE boot_hearts RUN life_cycle_pc.toml LABELS guest)
axvisor_boot_test(thousand-restarts IMAGE boot_hearts RUN thousand_restarts_pc.toml LABELS guest)
axvisor_add_image(boot_policies VMS ${vms}/pc_heart_shutdown.toml ${vms}/pc_heart_restart.toml ${vms}/pc_heart_manual.toml)
axvisor_boot_test(crash-policies IMAGE boot_policies RUN crash_policies_pc.toml LABELS guest)
axvisor_add_image(boot_watched VMS ${vms}/pc_heart_first.toml ${vms}/pc_heart_watched.toml)
axvisor_boot_test(watchdog IMAGE boot_watched RUN watchdog_pc.toml LABELS guest)
axvisor_add_image(boot_linux_restarted VMS ${vms}/pc_linux_restarted.toml ${vms}/pc_heart_second.toml)
axvisor_boot_test(linux-restarts IMAGE boot_linux_restarted RUN linux_restarts_pc.toml LABELS linux)

# ---- devices of the machine ----

axvisor_add_image(boot_virtio VMS ${vms}/pc_virtio.toml)
axvisor_disk_boot_test(virtio IMAGE boot_virtio RUN virtio_pc.toml LABELS linux)
axvisor_add_image(boot_virtio_passthrough VMS ${vms}/pc_virtio_passthrough.toml)
axvisor_disk_boot_test(virtio-passthrough IMAGE boot_virtio_passthrough RUN virtio_pc.toml LABELS linux)
axvisor_disk_boot_test(virtio-again IMAGE boot_virtio_passthrough RUN virtio_again_pc.toml LABELS linux)
axvisor_add_image(boot_pins VMS ${vms}/pc_pins.toml)
axvisor_disk_boot_test(pci-pins IMAGE boot_pins RUN pins_pc.toml LABELS linux)
