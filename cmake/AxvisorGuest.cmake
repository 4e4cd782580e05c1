# axvisor_add_guest(NAME SOURCES ...): a bare-metal guest, built with the board's toolchain: NAME.elf and the flat NAME.bin.
include_guard(GLOBAL)

function(axvisor_add_guest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES")
  set(target guest-${name})
  set(elf ${CMAKE_CURRENT_BINARY_DIR}/${name}.elf)
  set(bin ${CMAKE_CURRENT_BINARY_DIR}/${name}.bin)
  add_executable(${target} ${arg_SOURCES})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name}.elf SUFFIX "" RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/tests/guests/guest.ld)
  target_link_libraries(${target} PRIVATE axvisor_options)
  target_link_options(${target} PRIVATE -T ${PROJECT_SOURCE_DIR}/tests/guests/guest.ld -pie --no-dynamic-linker -znorelro)
  # A file of its own, not a step of the link: images that embed it must not wait for the ELF alone.
  add_custom_command(OUTPUT ${bin}
    COMMAND ${CMAKE_OBJCOPY} -O binary ${elf} ${bin}
    DEPENDS ${target} COMMENT "Flat guest ${name}.bin" VERBATIM)
  add_custom_target(${target}-bin DEPENDS ${bin})
endfunction()
