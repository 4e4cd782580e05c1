# Targets for people: qemu, qemu-gdb, size, symbols, disasm, iso, and the merged compile_commands.json.
include_guard(GLOBAL)

set(axvisor_run ${AXVISOR_XTASK} run --config ${PROJECT_SOURCE_DIR}/configs/qemu/qemu-${AXVISOR_ARCH}.toml
  --elf $<TARGET_FILE:axvisor> --workspace ${PROJECT_SOURCE_DIR} --interactive)
if(AXVISOR_TO_BIN)
  list(APPEND axvisor_run --bin $<TARGET_FILE:axvisor>.bin)
endif()

add_custom_target(qemu COMMAND ${axvisor_run} DEPENDS axvisor USES_TERMINAL VERBATIM
  COMMENT "Booting in QEMU (Ctrl-A x ends it)")

# QEMU waits for gdb, which is told where the symbols are and stops at the first C++ function.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/axvisor.gdb @ONLY CONTENT "# gdb-multiarch -x axvisor.gdb
file @PROJECT_BINARY_DIR@/axvisor
set confirm off
target remote localhost:1234
hbreak ax::platform::main_on_boot_cpu
continue
")
add_custom_target(qemu-gdb COMMAND ${axvisor_run} --gdb DEPENDS axvisor USES_TERMINAL VERBATIM
  COMMENT "QEMU waits for: gdb-multiarch -x ${PROJECT_BINARY_DIR}/axvisor.gdb")

add_custom_target(size COMMAND ${AXVISOR_SIZE} -A -x $<TARGET_FILE:axvisor>
  COMMAND ${CMAKE_COMMAND} -DELF=$<TARGET_FILE:axvisor> -DSIZE=${AXVISOR_SIZE} -P ${PROJECT_SOURCE_DIR}/cmake/ImageSize.cmake
  DEPENDS axvisor VERBATIM)
add_custom_target(symbols COMMAND ${AXVISOR_NM} -C -n $<TARGET_FILE:axvisor> DEPENDS axvisor VERBATIM)
add_custom_target(disasm
  COMMAND ${AXVISOR_OBJDUMP} -d -C --section=.text $<TARGET_FILE:axvisor> > ${PROJECT_BINARY_DIR}/axvisor.asm
  COMMAND ${CMAKE_COMMAND} -E echo ${PROJECT_BINARY_DIR}/axvisor.asm
  DEPENDS axvisor VERBATIM)

# A CD image that boots through GRUB on a PC's BIOS and on UEFI.
if(AXVISOR_ARCH STREQUAL "x86_64")
  set(iso ${PROJECT_BINARY_DIR}/axvisor.iso)
  set(folder ${PROJECT_BINARY_DIR}/iso)
  file(CONFIGURE OUTPUT ${folder}/boot/grub/grub.cfg CONTENT "set timeout=0\nmenuentry axvisor {\n  multiboot2 /boot/axvisor\n}\n")
  add_custom_command(OUTPUT ${iso}
    COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:axvisor> ${folder}/boot/axvisor
    COMMAND grub-mkrescue -o ${iso} ${folder}
    DEPENDS axvisor ${folder}/boot/grub/grub.cfg
    COMMENT "CD image axvisor.iso (grub-common, grub-pc-bin, grub-efi-amd64-bin, xorriso, mtools)" VERBATIM)
  add_custom_target(iso DEPENDS ${iso})
endif()

# One compile_commands.json at the top of the tree for clangd: this board's commands first (they win for files that both
# builds compile), then those of the host tools and tests.
set(merged ${PROJECT_SOURCE_DIR}/compile_commands.json)
set(databases ${PROJECT_BINARY_DIR}/compile_commands.json ${AXVISOR_HOST_BUILD_DIR}/compile_commands.json)
add_custom_command(OUTPUT ${merged}
  COMMAND ${CMAKE_COMMAND} -DOUTPUT=${merged} "-DINPUTS=${databases}" -P ${PROJECT_SOURCE_DIR}/cmake/MergeCompileCommands.cmake
  DEPENDS ${databases} ${PROJECT_SOURCE_DIR}/cmake/MergeCompileCommands.cmake
  COMMENT "Merging compile_commands.json" VERBATIM)
add_custom_target(compile-commands ALL DEPENDS ${merged})
