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
