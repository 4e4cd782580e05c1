axvisor_add_image(bench_guest VMS ${CMAKE_CURRENT_SOURCE_DIR}/vm_x86_64.toml)
axvisor_benchmark(exits-svm IMAGE bench_guest RUN run_x86_64.toml)
