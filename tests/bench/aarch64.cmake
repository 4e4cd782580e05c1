axvisor_add_image(bench_guest VMS ${CMAKE_CURRENT_SOURCE_DIR}/vm_aarch64.toml)
axvisor_benchmark(exits-gicv3 IMAGE bench_guest RUN run_aarch64.toml)
axvisor_add_image(bench_ipi VMS ${CMAKE_CURRENT_SOURCE_DIR}/vm_ipi_aarch64.toml)
axvisor_benchmark(ipi-gicv3 IMAGE bench_ipi RUN run_aarch64.toml SET smp=2)
axvisor_add_image(bench_switch VMS ${CMAKE_CURRENT_SOURCE_DIR}/vm_switch_aarch64.toml ${CMAKE_CURRENT_SOURCE_DIR}/vm_busy_aarch64.toml)
axvisor_benchmark(switch-gicv3 IMAGE bench_switch RUN run_switch_aarch64.toml)
add_dependencies(bench_guest bench_ipi bench_switch)

# axvisor_linux_benchmark(NAME MOST permille OPTIONS "kernel options"): Linux to its first program, against the bare machine.
function(axvisor_linux_benchmark name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "MOST;OPTIONS" "")
  string(CONCAT CMDLINE "console=ttyAMA0 nokaslr ${arg_OPTIONS}rdinit=/bin/sh -- -c \"mount -t sysfs s /sys && "
    "dmesg | grep 'Run /bin/sh' && base64 /sys/firmware/fdt && echo measured && poweroff -f\"")
  configure_file(vm_linux_aarch64.toml.in ${name}.toml @ONLY)
  axvisor_add_image(bench_${name} VMS ${CMAKE_CURRENT_BINARY_DIR}/${name}.toml)
  add_test(NAME bench.${name} COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DMOST=${arg_MOST} -DFOLDER=${CMAKE_CURRENT_BINARY_DIR}
    -DELF=$<TARGET_FILE:bench_${name}> -DKERNEL=${AXVISOR_IMAGE_DIR}/debian-arm64 -DINITRD=${AXVISOR_IMAGE_DIR}/debian-arm64-initramfs -DCMDLINE=${CMDLINE}
    -P ${CMAKE_CURRENT_SOURCE_DIR}/MeasureLinux.cmake -- ${AXVISOR_XTASK} run
    --config ${CMAKE_CURRENT_SOURCE_DIR}/run_linux_guest.toml --workspace ${PROJECT_SOURCE_DIR}
    --elf $<TARGET_FILE:bench_${name}> --bin $<TARGET_FILE:bench_${name}>.bin
    --needs ${AXVISOR_IMAGE_DIR}/debian-arm64 --needs ${AXVISOR_IMAGE_DIR}/debian-arm64-initramfs)
  set_tests_properties(bench.${name} PROPERTIES LABELS bench TIMEOUT 600 SKIP_REGULAR_EXPRESSION "linux: skipped")
  add_dependencies(bench_guest bench_${name})
endfunction()
axvisor_linux_benchmark(linux-quiet MOST 1005 OPTIONS "quiet ")
axvisor_linux_benchmark(linux-full-log MOST 1020)
