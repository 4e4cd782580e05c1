# Boot tests of the q35 machine and of PCs like it.

# ---- the platform, without the hypervisor ----

foreach(cpus 1 4 8)
  axvisor_boot_test(platform-smp${cpus} IMAGE platform_selftest RUN platform_pc.toml SET smp=${cpus})
endforeach()
axvisor_boot_test(platform-epyc IMAGE platform_selftest RUN platform_pc.toml SET cpu="EPYC")
axvisor_boot_test(platform-4g IMAGE platform_selftest RUN platform_pc.toml SET memory="4G")  # half of it above 4 GiB
axvisor_boot_test(platform-i440fx IMAGE platform_selftest RUN platform_pc.toml SET machine="pc")
axvisor_boot_test(platform-pvh IMAGE platform_selftest_pvh RUN platform_pc.toml)
axvisor_boot_test(platform-bios-cd IMAGE platform_selftest RUN platform_pc.toml SET kernel="iso")
axvisor_boot_test(platform-uefi-cd IMAGE platform_selftest RUN platform_pc.toml SET kernel="iso" uefi=true)
axvisor_boot_test(platform-bochs IMAGE platform_selftest RUN platform_bochs.toml LABELS bochs)
foreach(death overflow abort panic brk text execute)
  axvisor_boot_test(platform-dies-${death} IMAGE platform_selftest RUN platform_pc_dies.toml VARIABLES death=${death})
endforeach()
axvisor_boot_test(platform-dies-alone IMAGE platform_selftest RUN platform_pc_dies.toml SET smp=1 VARIABLES death=overflow)
axvisor_boot_test(platform-resets IMAGE platform_selftest RUN platform_pc_resets.toml)

# ---- the vCPU backends, without the hypervisor ----

axvisor_boot_test(vcpu-svm IMAGE vcpu_selftest RUN vcpu_svm.toml)
axvisor_boot_test(vcpu-svm-epyc IMAGE vcpu_selftest RUN vcpu_svm.toml SET cpu="EPYC")
axvisor_boot_test(vcpu-vmx IMAGE vcpu_selftest RUN vcpu_vmx.toml LABELS bochs)
axvisor_boot_test(platform-resets-without-acpi IMAGE platform_selftest RUN platform_pc_resets.toml SET machine="pc")  # its FADT names no register

if(NOT TARGET hypervisor_main)
  return()
endif()

# ---- the tiny guest: every way to boot it, on several CPUs ----

axvisor_add_image(boot_tiny VMS ${vms}/pc_tiny.toml)
foreach(cpu max EPYC)
  axvisor_boot_test(tiny-${cpu} IMAGE boot_tiny RUN tiny_pc.toml SET cpu="${cpu}" LABELS guest)
endforeach()
axvisor_boot_test(tiny-smp1 IMAGE boot_tiny RUN tiny_pc.toml SET smp=1 LABELS guest)
axvisor_add_image(boot_tiny_bios VMS ${vms}/pc_bios.toml)
axvisor_boot_test(tiny-bios IMAGE boot_tiny_bios RUN tiny_pc.toml LABELS guest)

# Two VMs: names are kept apart, and the machine stays up until both have stopped.
axvisor_add_image(boot_two_tiny VMS ${vms}/pc_tiny.toml ${vms}/pc_second.toml)
axvisor_boot_test(two-tiny IMAGE boot_two_tiny RUN two_tiny_pc.toml LABELS guest)

# ---- what must go wrong, and how ----

axvisor_add_image(boot_crash VMS ${vms}/pc_crash.toml ${vms}/pc_second.toml)
axvisor_boot_test(guest-crashes IMAGE boot_crash RUN crash_pc.toml LABELS guest)

# ---- Debian Linux ----

axvisor_add_image(boot_linux VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-x86_64-qemu-smp1.toml)
axvisor_add_image(boot_linux_smp VMS ${PROJECT_SOURCE_DIR}/configs/vms/linux-x86_64-qemu-smp2.toml)
axvisor_boot_test(linux IMAGE boot_linux RUN linux_pc.toml VARIABLES cpus=1 LABELS linux)
axvisor_boot_test(linux-smp IMAGE boot_linux_smp RUN linux_pc.toml VARIABLES cpus=2 LABELS linux)
