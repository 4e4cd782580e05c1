# Scheduling, on either architecture.

set(prefix)
set(suffix)
if(AXVISOR_ARCH STREQUAL "x86_64")
  set(prefix pc_)
  set(suffix _pc)
endif()

# axvisor_shares_test(NAME IMAGE ... RUN ... [LABELS ...]): a boot test after which equals must have done the same work.
function(axvisor_shares_test name)
  axvisor_boot_test(${name} ${ARGN})
  set_tests_properties(boot.${name} PROPERTIES FIXTURES_SETUP ${name})
  add_test(NAME boot.${name}-are-even COMMAND ${CMAKE_COMMAND} -DLOG=${CMAKE_CURRENT_BINARY_DIR}/${name}.log
    "-DEQUALS=linux1 linux2;small1 small2" -P ${CMAKE_CURRENT_SOURCE_DIR}/CheckShares.cmake)
  get_test_property(boot.${name} LABELS labels)
  set_tests_properties(boot.${name}-are-even PROPERTIES LABELS "${labels}" FIXTURES_REQUIRED ${name})
endfunction()

axvisor_add_image(boot_sched VMS ${vms}/${prefix}sched_urgent.toml ${vms}/${prefix}sched_limited.toml
  ${vms}/${prefix}sched_first.toml ${vms}/${prefix}sched_second.toml)
axvisor_boot_test(sched-one-cpu IMAGE boot_sched RUN sched${suffix}.toml LABELS guest)

axvisor_add_image(boot_shares VMS ${vms}/${prefix}shares_linux1.toml ${vms}/${prefix}shares_linux2.toml
  ${vms}/${prefix}shares_small1.toml ${vms}/${prefix}shares_small2.toml)
axvisor_shares_test(sched-shares IMAGE boot_shares RUN shares${suffix}.toml LABELS linux)

# Four vCPUs that move between two CPUs.
axvisor_add_image(boot_linux_moving VMS ${vms}/${prefix}linux_moving.toml)
axvisor_boot_test(linux-smp4-on-2 IMAGE boot_linux_moving RUN linux${suffix}.toml SET smp=2 VARIABLES cpus=4 LABELS linux)
