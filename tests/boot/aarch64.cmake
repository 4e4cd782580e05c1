# Images.
axvisor_add_image(boot_tiny VMS ${vms}/tiny.toml)

# The tiny guest on every supported GIC and CPU, as ELF and as flat binary, at another load address.
foreach(gic 2 3 4)
  axvisor_boot_test(tiny-gicv${gic} IMAGE boot_tiny RUN tiny.toml SET gic_version=${gic} LABELS guest)
endforeach()
foreach(cpu cortex-a53 neoverse-n1 a64fx max)
  axvisor_boot_test(tiny-${cpu} IMAGE boot_tiny RUN tiny.toml SET cpu="${cpu}" LABELS guest)
endforeach()
axvisor_boot_test(tiny-elf IMAGE boot_tiny RUN tiny.toml SET kernel="elf" LABELS guest)
axvisor_boot_test(tiny-moved IMAGE boot_tiny RUN tiny.toml SET kernel="loader" load_address=0x48200000 LABELS guest)
