# QEMU under exact instruction counting, with the plugin that counts between marks. Include from scripts that have QEMU_COUNTER, the
# plugin.

# measure_command(OUT ARCH COUNTS KERNEL DISK [START address] [INITRD file] [APPEND text]): the command that boots KERNEL, whose marks
# go to the file COUNTS. DISK may be empty. The text, which has no single quotes, may have what a list of CMake cannot: so a shell
# reads it.
function(measure_command out arch counts kernel disk)
  cmake_parse_arguments(PARSE_ARGV 5 arg "" "START;INITRD;APPEND" "")
  # The device tree has random numbers, from -seed: without them Linux makes its own for two thousand million instructions.
  set(machine_aarch64 -machine virt -cpu cortex-a72)
  set(machine_riscv64 -machine virt -bios default)
  set(machine_x86_64 -machine q35 -cpu max)
  set(bus_aarch64 device)
  set(bus_riscv64 device)
  set(bus_x86_64 pci)
  set(plugin ${QEMU_COUNTER},out=${counts})
  if(arg_START)
    string(APPEND plugin ",start=${arg_START}")
  endif()
  set(command qemu-system-${arch} ${machine_${arch}} -m 512M -smp 1 -accel tcg -icount shift=0 -rtc base=2020-01-01,clock=vm
    -seed 42 -display none -monitor none -serial stdio -no-reboot -nic none -plugin ${plugin} -kernel ${kernel})
  if(disk)
    list(APPEND command -drive if=none,id=disk,format=raw,file=${disk} -device virtio-blk-${bus_${arch}},drive=disk)
  endif()
  if(arg_INITRD)
    list(APPEND command -initrd ${arg_INITRD})
  endif()
  list(JOIN command "' '" command)
  file(WRITE ${counts}.sh "exec '${command}' -append '${arg_APPEND}'\n")
  set(${out} sh ${counts}.sh PARENT_SCOPE)
endfunction()

# Sets OUT to the instructions between the marks FROM and TO.
function(measured_between out counts from to)
  file(READ ${counts} text)
  foreach(mark from to)
    if(NOT text MATCHES "mark ${${mark}} ([0-9]+)\n")
      message(FATAL_ERROR "${counts}: the program has not passed mark ${${mark}}")
    endif()
    set(at_${mark} ${CMAKE_MATCH_1})
  endforeach()
  math(EXPR instructions "${at_to} - ${at_from}")
  set(${out} ${instructions} PARENT_SCOPE)
endfunction()
