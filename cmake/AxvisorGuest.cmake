# axvisor_add_guest(NAME [ELF] [SCRIPT file.ld] SOURCES ...)
# A bare-metal guest, built with the board's toolchain: NAME.elf, and NAME.bin, which is what `image:NAME` stands for: flat, or
# with ELF the ELF file without its symbols. SCRIPT is the linker script; without one the guest is position-independent.
include_guard(GLOBAL)

function(axvisor_add_guest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "ELF" "SCRIPT" "SOURCES")
  if(arg_SCRIPT)
    cmake_path(ABSOLUTE_PATH arg_SCRIPT OUTPUT_VARIABLE script)
    set(link_options -T ${script})
  else()
    set(script ${PROJECT_SOURCE_DIR}/tests/guests/guest.ld)
    set(link_options -T ${script} -pie --no-dynamic-linker -znorelro)
  endif()
  set(objcopy_options -O binary)
  if(arg_ELF)
    set(objcopy_options --strip-all)
  endif()
  set(target guest-${name})
  set(elf ${CMAKE_CURRENT_BINARY_DIR}/${name}.elf)
  set(bin ${CMAKE_CURRENT_BINARY_DIR}/${name}.bin)
  add_executable(${target} ${arg_SOURCES})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name}.elf SUFFIX "" LINKER_LANGUAGE CXX RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}
    LINK_DEPENDS ${script})
  target_link_libraries(${target} PRIVATE axvisor_options)
  target_link_options(${target} PRIVATE ${link_options})
  # A file of its own, not a step of the link: images that embed it must not wait for the ELF alone.
  add_custom_command(OUTPUT ${bin}
    COMMAND ${CMAKE_OBJCOPY} ${objcopy_options} ${elf} ${bin}
    DEPENDS ${target} COMMENT "Guest ${name}.bin" VERBATIM)
  add_custom_target(${target}-bin DEPENDS ${bin})
endfunction()
