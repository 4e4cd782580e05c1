# VMs that are described in files on a disk: read at the start, made and deleted while others run.
if(AXVISOR_ARCH STREQUAL "aarch64")
  set(ram "0x8000_0000, 0x0040_0000")
  set(where "kernel_load_addr = 0x8008_0000\n")
  set(identical "[0x5000_0000, 0x10_0000, 0x3, 1]")
  set(interrupt 40)
  set(other_board qemu-x86_64)
  set(machine "machine = \"virt,virtualization=on\"\ngic_version = 3\ncpu = \"cortex-a72\"\nmemory = \"512M\"\nkernel = \"bin\"")
  set(disk_device virtio-blk-device)
else()
  set(ram "0x0, 0x0040_0000")
  set(where "boot_protocol = \"multiboot\"\n")
  set(identical "[0x1000_0000, 0x10_0000, 0x3, 1]")
  set(interrupt 11)
  set(other_board qemu-aarch64)
  set(machine "machine = \"q35\"\ncpu = \"max\"\nmemory = \"512M\"\nkernel = \"elf\"")
  set(disk_device virtio-blk-pci)
endif()

set(vm_files ${CMAKE_CURRENT_BINARY_DIR}/vm_files)
file(MAKE_DIRECTORY ${vm_files})

# axvisor_vm_file(NAME [BASE lines] [KERNEL path] [MORE regions and lines] [DEVICES lines])
function(axvisor_vm_file name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "BASE;KERNEL;MORE;DEVICES" "")
  set(base "${arg_BASE}\n")
  set(kernel /guest/heart)
  if(arg_KERNEL)
    set(kernel ${arg_KERNEL})
  endif()
  set(placement "${where}memory_regions = [[${ram}, 0x7, 0], ${arg_MORE}\n")
  if(NOT arg_MORE)
    set(placement "${where}memory_regions = [[${ram}, 0x7, 0]]\n")
  endif()
  set(devices "${arg_DEVICES}")
  configure_file(${vms}/filed.toml.in ${vm_files}/${name}.toml @ONLY)
endfunction()

axvisor_vm_file(filed BASE "id = 2")  # which the built-in one has
axvisor_vm_file(kept BASE "id = 9\nstart = \"manual\"" MORE "${identical}]" DEVICES "passthrough_devices = [[\"line\", 0, 0, 0, ${interrupt}]]")
axvisor_vm_file(alone BASE "phys_cpu_ids = [0]\nexclusive = true")
axvisor_vm_file(lost KERNEL /guest/nowhere)
axvisor_vm_file(more)
axvisor_vm_file(strict MORE "${identical}]\nstrict = true")
axvisor_vm_file(taker DEVICES "passthrough_devices = [[\"line\", 0, 0, 0, ${interrupt}]]")
axvisor_vm_file(foreign)

set(script ${CMAKE_COMMAND} -D XTASK=${AXVISOR_XTASK} -D ROOT=${PROJECT_SOURCE_DIR} -D FOLDER=${vm_files} -D BOARD=${AXVISOR_BOARD_NAME}
  -D OTHER_BOARD=${other_board})
add_test(NAME boot.vm-files-compile COMMAND ${script} -P ${CMAKE_CURRENT_SOURCE_DIR}/VmFiles.cmake)
set_tests_properties(boot.vm-files-compile PROPERTIES LABELS "guest" FIXTURES_SETUP vm-files-compiled)

# Fifty times one is made, started and deleted; what the host has free is said before and after.
set(cycles "")
foreach(cycle RANGE 1 50)
  string(APPEND cycles "
[[steps]]
name = \"${cycle}: it is made\"
expect = \"^axvisor: VM more \\\\(id 1\\\\) is created from .*more.toml$\"
send = \"vm start more\\n\"

[[steps]]
name = \"${cycle}: it runs\"
expect = \"^\\\\[more\\\\] heart: hello$\"
send = \"vm delete -f more\\n\"

[[steps]]
name = \"${cycle}: it is deleted\"
expect = \"^axvisor: VM more is deleted$\"
")
  if(cycle EQUAL 50)
    string(APPEND cycles "send = \"memory\\n\"\n")
  else()
    string(APPEND cycles "send = \"vm create more.vm\\n\"\n")
  endif()
endforeach()
configure_file(vm_files.toml.in ${vm_files}/run.toml @ONLY)

axvisor_add_image(boot_vm_files VMS ${vms}/${prefix}heart_second.toml)
set(files ${AXVISOR_GUEST_DIR}/heartbeat.bin=guest/heart ${vm_files}/alone.vm=guest/alone.vm ${vm_files}/more.vm=guest/more.vm
  ${vm_files}/strict.vm=guest/strict.vm)
set(number 1)
foreach(file filed.vm kept.vm lost.vm cut.vm version.vm foreign.vm filed.toml strict.vm taker.vm)
  list(APPEND files ${vm_files}/${file}=guest/vm_default/${number}-${file})
  math(EXPR number "${number} + 1")
endforeach()
foreach(type ext4 fat32)
  axvisor_storage_test(vm-files-${type} ${type} FILES ${files} TEST IMAGE boot_vm_files RUN ${vm_files}/run.toml LABELS guest)
  set_tests_properties(boot.vm-files-${type}-disk PROPERTIES LABELS "guest" FIXTURES_REQUIRED vm-files-compiled)
  set_tests_properties(boot.vm-files-${type}-check PROPERTIES LABELS "guest")
  add_test(NAME boot.vm-files-${type}-memory
    COMMAND ${CMAKE_COMMAND} -D LOG=${CMAKE_CURRENT_BINARY_DIR}/vm-files-${type}.log -P ${CMAKE_CURRENT_SOURCE_DIR}/SameMemory.cmake)
  set_tests_properties(boot.vm-files-${type}-memory PROPERTIES LABELS "guest" FIXTURES_REQUIRED vm-files-${type}-booted)
endforeach()
