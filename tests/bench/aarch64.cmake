axvisor_add_image(bench_guest VMS ${CMAKE_CURRENT_SOURCE_DIR}/vm_aarch64.toml)
axvisor_benchmark(exits-gicv3 IMAGE bench_guest RUN run_aarch64.toml LIMITS limits_aarch64.json)
