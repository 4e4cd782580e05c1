# axvisor_add_image(NAME [VMS file...] [OUTPUT_NAME name] [MAIN target...] [RESTARTS])
#
# Links a bootable image: the hypervisor libraries plus the data that axconfig generates from the VM files. Without VMS the
# image holds the board's own choice of VMs. An edit of a VM file costs one run of axconfig, one small compilation and a link.
# RESTARTS is the board's feature reboot-on-system-off, for this image alone.
#
#   <name>            the ELF file with symbols, <name>.map beside it
#   <name>.bin        the flat binary, where the board says to_bin
include_guard(GLOBAL)

# One edge per guest image that is fetched: the network the first time, the cache afterwards. A file that is there already
# and older than its recipe is checked again. Without network and cache the tiny guest stands in for the kernels of an image;
# ARGN names all that the image fetches, since a kernel is of no use without its RAM disk.
function(axvisor_add_image_product name)
  if(name IN_LIST AXVISOR_BUILT_GUESTS OR TARGET image-${name})
    return()
  endif()
  set(output ${AXVISOR_IMAGE_DIR}/${name})
  set(recipe ${PROJECT_SOURCE_DIR}/configs/images/${name}.toml)
  set(stand_in tiny)
  if(NOT TARGET guest-tiny)
    set(stand_in tiny-multiboot)
  endif()
  set(together ${ARGN})
  list(TRANSFORM together PREPEND "--together=")
  add_custom_command(OUTPUT ${output}
    COMMAND ${AXVISOR_XTASK} image fetch ${name} --output ${output} --depfile ${AXVISOR_GENERATED_DIR}/${name}.d
      --stand-in ${AXVISOR_GUEST_DIR}/${stand_in}.bin ${together}
    DEPENDS ${recipe} ${PROJECT_SOURCE_DIR}/configs/images/lock.toml guest-${stand_in}-bin
    DEPFILE ${AXVISOR_GENERATED_DIR}/${name}.d
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "Guest image ${name}" USES_TERMINAL VERBATIM)
  add_custom_target(image-${name} DEPENDS ${output})
endfunction()

function(axvisor_product_files out)
  set(files)
  set(fetched ${ARGN})
  list(REMOVE_ITEM fetched ${AXVISOR_BUILT_GUESTS})
  foreach(name IN LISTS ARGN)
    axvisor_add_image_product(${name} ${fetched})
    if(TARGET guest-${name})
      list(APPEND files ${AXVISOR_GUEST_DIR}/${name}.bin)
    elseif(name IN_LIST AXVISOR_BUILT_GUESTS)
      message(FATAL_ERROR "image:${name} is a guest for another architecture than ${AXVISOR_ARCH}")
    else()
      list(APPEND files ${AXVISOR_IMAGE_DIR}/${name})
    endif()
  endforeach()
  set(${out} ${files} PARENT_SCOPE)
  list(TRANSFORM fetched PREPEND ${AXVISOR_IMAGE_DIR}/)
  set(${out}_FETCHED ${fetched} PARENT_SCOPE)
endfunction()

# Shell commands of the board's file as a list for COMMAND; ${workspaceFolder} stands for the repository.
function(axvisor_shell_commands out commands)
  set(result)
  foreach(command IN LISTS commands)
    string(REPLACE "\${workspaceFolder}" "${PROJECT_SOURCE_DIR}" command "${command}")
    string(REPLACE ";" "\\;" command "${command}")  # one argument, whatever the shell does with it
    list(APPEND result COMMAND ${ARGN} sh -c "${command}")
  endforeach()
  set(${out} "${result}" PARENT_SCOPE)
endfunction()

# The board's own commands around the image: before everything that is compiled for it, and after it was linked.
function(axvisor_add_board_commands image)
  set(pre_outputs ${AXVISOR_PRE_BUILD_OUTPUTS})
  list(TRANSFORM pre_outputs PREPEND ${PROJECT_SOURCE_DIR}/)
  set(post_outputs ${AXVISOR_POST_BUILD_OUTPUTS})
  list(TRANSFORM post_outputs PREPEND ${PROJECT_SOURCE_DIR}/)
  if(DEFINED AXVISOR_PRE_BUILD_CMDS)  # a command may be called `false`
    axvisor_shell_commands(commands "${AXVISOR_PRE_BUILD_CMDS}")
    if(pre_outputs)
      add_custom_command(OUTPUT ${pre_outputs} ${commands} DEPENDS ${AXVISOR_CONFIG_INPUTS}
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "pre_build_cmds" VERBATIM)
      add_custom_target(pre-build DEPENDS ${pre_outputs})
    else()
      add_custom_target(pre-build ${commands} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "pre_build_cmds" VERBATIM)
    endif()
    # All that is compiled links to kernel_base. config.cmake does not wait: a wrong command must not keep its correction out.
    foreach(target kernel_base ${image}-images ${image})
      add_dependencies(${target} pre-build)
    endforeach()
  endif()
  if(DEFINED AXVISOR_POST_BUILD_CMDS)
    axvisor_shell_commands(commands "${AXVISOR_POST_BUILD_CMDS}" ${CMAKE_COMMAND} -E env KERNEL_ELF=$<TARGET_FILE:${image}>)
    if(post_outputs)
      list(APPEND commands BYPRODUCTS ${post_outputs})
    endif()
    add_custom_command(TARGET ${image} POST_BUILD ${commands}
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} COMMENT "post_build_cmds" VERBATIM)
  endif()
endfunction()

function(axvisor_add_image name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "RESTARTS" "OUTPUT_NAME" "VMS;MAIN")
  set(arguments ${AXVISOR_CONFIG_ARGUMENTS})
  if(arg_VMS)
    set(directory ${AXVISOR_GENERATED_DIR}/${name})
    string(REPLACE ";" ":" vm_configs "${arg_VMS}")
    list(APPEND arguments --errors-only)  # the board's warnings are said once, for its own image
    axvisor_generate(${directory} "${vm_configs}" --errors-only)
    set(AXVISOR_IMAGE_PRODUCTS)
    include(${directory}/config.cmake)
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${directory}/config.cmake)
  else()
    set(directory ${AXVISOR_GENERATED_DIR})
    set(vm_configs ${AXVISOR_VM_CONFIGS})
  endif()
  list(APPEND arguments --output ${directory})
  if(vm_configs)
    list(APPEND arguments --vm-configs ${vm_configs})
  endif()
  axvisor_product_files(products ${AXVISOR_IMAGE_PRODUCTS})

  add_custom_command(
    OUTPUT ${directory}/vm_configs.hpp ${directory}/config.cmake ${directory}/report.txt
    COMMAND ${AXVISOR_AXCONFIG} generate ${arguments}
    DEPENDS ${AXVISOR_AXCONFIG} ${AXVISOR_CONFIG_INPUTS} ${AXVISOR_VM_FILES}
    DEPFILE ${directory}/generate.d
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "Generating the VM configuration of ${name}" VERBATIM)
  add_custom_command(
    OUTPUT ${directory}/vm_images.S
    COMMAND ${AXVISOR_AXCONFIG} images ${arguments}
    DEPENDS ${AXVISOR_AXCONFIG} ${directory}/vm_configs.hpp ${products}
    DEPFILE ${directory}/images.d
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "Embedding the guest images of ${name}" VERBATIM)

  # CMake orders a custom command after everything its targets link to; a target that links to nothing undoes that, so that
  # config.cmake can be renewed before anything is compiled.
  add_custom_target(${name}-config DEPENDS ${directory}/vm_configs.hpp)
  add_custom_target(${name}-images DEPENDS ${directory}/vm_images.S)

  add_executable(${name} ${PROJECT_SOURCE_DIR}/hypervisor/config/static_vm_configs.cpp ${directory}/vm_configs.hpp ${directory}/vm_images.S)
  # Boot tests of an image whose guests could not be fetched are skipped.
  set_property(TARGET ${name} PROPERTY AXVISOR_FETCHED_IMAGES ${products_FETCHED})
  # .incbin is invisible to the compiler's own dependency output, so the object depends on the files by name.
  set_property(SOURCE ${directory}/vm_images.S APPEND PROPERTY OBJECT_DEPENDS "${products}")
  target_include_directories(${name} PRIVATE ${directory})
  set(restarts false)
  if(AXVISOR_FEATURE_REBOOT_ON_SYSTEM_OFF OR arg_RESTARTS)
    set(restarts true)
  endif()
  target_compile_definitions(${name} PRIVATE AXVISOR_RESTART_AT_END=${restarts})
  if(arg_MAIN)
    target_link_libraries(${name} PRIVATE ${arg_MAIN})
  else()
    target_link_libraries(${name} PRIVATE hypervisor_main)
  endif()
  axvisor_finish_image(${name} ${arg_OUTPUT_NAME})
endfunction()

# axvisor_finish_image(TARGET [OUTPUT_NAME]): link options of a bootable ELF, its link map, and the flat binary where the
# board wants one. The platform library brings the linker script.
function(axvisor_finish_image name)
  set(output_name ${name})
  set(output_directory ${PROJECT_BINARY_DIR}/images)
  if(ARGC GREATER 1)
    set(output_name ${ARGV1})
  endif()
  if(output_name STREQUAL "axvisor")
    set(output_directory ${PROJECT_BINARY_DIR})
  endif()
  set(elf ${output_directory}/${output_name})
  set_target_properties(${name} PROPERTIES OUTPUT_NAME ${output_name} SUFFIX "" RUNTIME_OUTPUT_DIRECTORY ${output_directory})
  get_property(platform GLOBAL PROPERTY AXVISOR_PLATFORM_LIBRARY)
  target_link_libraries(${name} PRIVATE ${platform})
  target_link_options(${name} PRIVATE --build-id=sha1 -Map=${elf}.map)
  if(AXVISOR_TO_BIN)
    add_custom_command(TARGET ${name} POST_BUILD
      COMMAND ${CMAKE_OBJCOPY} --strip-all -O binary ${elf} ${elf}.bin
      BYPRODUCTS ${elf}.bin ${elf}.map VERBATIM)
  endif()
endfunction()
