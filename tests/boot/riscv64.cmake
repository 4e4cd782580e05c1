# The platform, by itself: the hypervisor does not run here. What runs on it is tested in tests/unikernel.
set(AXVISOR_TO_BIN ON)

axvisor_boot_test(platform-riscv64 IMAGE platform_selftest RUN platform_riscv64.toml)
axvisor_boot_test(platform-riscv64-alone IMAGE platform_selftest RUN platform_riscv64.toml SET smp=1)
axvisor_boot_test(platform-riscv64-elf IMAGE platform_selftest RUN platform_riscv64.toml SET kernel="elf")
# A CPU without Sstc: deadlines by the firmware.
axvisor_boot_test(platform-riscv64-sbi-timer IMAGE platform_selftest RUN platform_riscv64.toml SET cpu="rv64,sstc=false")
axvisor_boot_test(platform-riscv64-big IMAGE platform_selftest RUN platform_riscv64.toml SET memory="3G" smp=8)
foreach(death overflow abort panic brk text execute check)
  axvisor_boot_test(platform-riscv64-dies-${death} IMAGE platform_selftest RUN platform_riscv64_dies.toml VARIABLES death=${death})
endforeach()
axvisor_boot_test(platform-riscv64-dies-alone IMAGE platform_selftest RUN platform_riscv64_dies.toml SET smp=1 VARIABLES death=overflow)
axvisor_boot_test(platform-riscv64-resets IMAGE platform_selftest RUN platform_riscv64_resets.toml)
axvisor_boot_test(platform-riscv64-elsewhere IMAGE platform_selftest_elsewhere RUN platform_riscv64_elsewhere.toml)
