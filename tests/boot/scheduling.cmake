# Scheduling, on either architecture.

set(prefix)
set(suffix)
if(AXVISOR_ARCH STREQUAL "x86_64")
  set(prefix pc_)
  set(suffix _pc)
endif()

# axvisor_shares_test(NAME PERIOD seconds LABELS ...): two Linux guests and two small ones share two CPUs for six periods after all
# have booted; equals get the same done.
function(axvisor_shares_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PERIOD" "SET;LABELS")
  set(PERIOD ${arg_PERIOD})
  set(files)
  foreach(ID 1 2 3 4)
    set(kind linux)
    math(EXPR NUMBER "${ID}")
    if(ID GREATER 2)
      set(kind small)
      math(EXPR NUMBER "${ID} - 2")
    endif()
    set(file ${CMAKE_CURRENT_BINARY_DIR}/${name}/${kind}${NUMBER}.toml)
    configure_file(${vms}/${prefix}shares_${kind}.toml.in ${file} @ONLY)
    list(APPEND files ${file})
  endforeach()
  axvisor_add_image(boot_${name} VMS ${files})
  axvisor_boot_test(${name} IMAGE boot_${name} RUN shares${suffix}.toml SET ${arg_SET} LABELS ${arg_LABELS}
    THROUGH ${CMAKE_COMMAND} -DLOG=${CMAKE_CURRENT_BINARY_DIR}/${name}.log "-DEQUALS=linux1 linux2|small1 small2" -DPERIOD=${PERIOD}
    -P ${CMAKE_CURRENT_SOURCE_DIR}/MeasureShares.cmake --)
  # Nobody else uses the host's processors meanwhile.
  set_tests_properties(boot.${name} PROPERTIES RUN_SERIAL TRUE TIMEOUT 3600 SKIP_REGULAR_EXPRESSION "shares: skipped")
endfunction()

axvisor_add_image(boot_sched VMS ${vms}/${prefix}sched_urgent.toml ${vms}/${prefix}sched_limited.toml
  ${vms}/${prefix}sched_first.toml ${vms}/${prefix}sched_second.toml)
axvisor_boot_test(sched-one-cpu IMAGE boot_sched RUN sched${suffix}.toml LABELS guest)

# The small guests leave the CPUs to the Linux guests for as many seconds, in which those have usually booted.
set(BEGIN 15)
axvisor_shares_test(sched-shares PERIOD 5 LABELS linux)
axvisor_shares_test(sched-shares-soak PERIOD 100 SET timeout=1500 LABELS soak)

# Four vCPUs that move between two CPUs.
axvisor_add_image(boot_linux_moving VMS ${vms}/${prefix}linux_moving.toml)
axvisor_boot_test(linux-smp4-on-2 IMAGE boot_linux_moving RUN linux${suffix}.toml SET smp=2 VARIABLES cpus=4 LABELS linux)
