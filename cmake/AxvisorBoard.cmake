# Turns the board's TOML into CMake variables and picks the toolchain file. Runs before project().
include_guard(GLOBAL)

set(AXVISOR_VM_CONFIGS "" CACHE STRING "VM files to build in (path list as in PATH), instead of the board's own; relative to the current folder")
set(AXVISOR_SMP "" CACHE STRING "Most CPUs to bring up, instead of the board's own number")
set(AXVISOR_CONFIG_PATH "" CACHE STRING "More folders with board/, vms/, images/ and platforms/ (path list as in PATH)")
set(AXVISOR_IMAGE_DIR ${CMAKE_SOURCE_DIR}/build/images CACHE PATH "Where fetched guest images are put")
set(AXVISOR_GENERATED_DIR ${CMAKE_BINARY_DIR}/generated)

# Ninja re-runs CMake from the build folder: relative paths must be made absolute while the user's folder is still known. What
# is no path there is a name, for the generator to look up.
function(axvisor_absolute_path_list variable)
  string(REPLACE ":" ";" paths "${${variable}}")
  set(absolute)
  foreach(path IN LISTS paths)
    cmake_path(ABSOLUTE_PATH path BASE_DIRECTORY "$ENV{PWD}" NORMALIZE OUTPUT_VARIABLE candidate)
    if(EXISTS ${candidate})
      set(path ${candidate})
    endif()
    list(APPEND absolute ${path})
  endforeach()
  string(REPLACE ";" ":" absolute "${absolute}")
  set_property(CACHE ${variable} PROPERTY VALUE "${absolute}")
endfunction()
axvisor_absolute_path_list(AXVISOR_VM_CONFIGS)
axvisor_absolute_path_list(AXVISOR_CONFIG_PATH)

# The board's arguments to every run of axconfig, without the choice of VMs. Guests that this build makes itself are
# announced with --image; tests/guests has those of the board's architecture.
set(AXVISOR_BUILT_GUESTS tiny bench bench-ipi bench-switch crash heartbeat hostile hostile-smp large lines masked memory anywhere quiet rtos work tiny-multiboot tiny-flat tiny-bios)
set(AXVISOR_GUEST_DIR ${CMAKE_BINARY_DIR}/tests/guests)
set(AXVISOR_CONFIG_ARGUMENTS --root ${CMAKE_SOURCE_DIR} --board ${AXVISOR_BOARD} --image-dir ${AXVISOR_IMAGE_DIR})
foreach(guest IN LISTS AXVISOR_BUILT_GUESTS)
  list(APPEND AXVISOR_CONFIG_ARGUMENTS --image ${guest}=${AXVISOR_GUEST_DIR}/${guest}.bin)
endforeach()
if(AXVISOR_SMP)
  list(APPEND AXVISOR_CONFIG_ARGUMENTS --smp ${AXVISOR_SMP})
endif()
if(AXVISOR_CONFIG_PATH)
  list(APPEND AXVISOR_CONFIG_ARGUMENTS --config-path ${AXVISOR_CONFIG_PATH})
endif()

# axvisor_generate(DIR VM_CONFIGS [OPTION...]): runs the generator now. An empty VM_CONFIGS means the board's own choice.
# Prints the generator's diagnostics and ends the configuration if there is an error.
function(axvisor_generate directory vm_configs)
  set(arguments ${AXVISOR_CONFIG_ARGUMENTS} ${ARGN} --output ${directory})
  if(vm_configs)
    list(APPEND arguments --vm-configs ${vm_configs})
  endif()
  execute_process(COMMAND ${AXVISOR_AXCONFIG} generate ${arguments} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} RESULT_VARIABLE result)
  if(result)
    message(FATAL_ERROR "The configuration has errors: see above. Nothing was built.")
  endif()
endfunction()

axvisor_generate(${AXVISOR_GENERATED_DIR} "${AXVISOR_VM_CONFIGS}")
include(${AXVISOR_GENERATED_DIR}/config.cmake)
# config.cmake is itself a product of the build (see AxvisorImage): an edit of a VM file that changes the graph, such as a new
# guest image, regenerates it first and CMake then runs again; any other edit leaves it untouched.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${AXVISOR_CONFIG_INPUTS} ${AXVISOR_GENERATED_DIR}/config.cmake)

# The board's environment and its arguments for Ninja hold whoever starts the build: `cmake --build` runs what CMAKE_MAKE_PROGRAM
# names, here a script around Ninja.
foreach(variable IN LISTS AXVISOR_ENV)
  string(REGEX MATCH "^([^=]+)=(.*)$" variable "${variable}")
  set(ENV{${CMAKE_MATCH_1}} "${CMAKE_MATCH_2}")
endforeach()
set(axvisor_ninja ${AXVISOR_GENERATED_DIR}/ninja)
if(AXVISOR_ENV OR AXVISOR_BUILD_ARGS)
  set(script "#!/bin/sh\n# The board's build_args and env.\n")
  foreach(word IN LISTS AXVISOR_ENV)
    string(REGEX MATCH "^([^=]+)=(.*)$" word "${word}")
    string(REPLACE "'" "'\\''" value "${CMAKE_MATCH_2}")
    string(APPEND script "export ${CMAKE_MATCH_1}='${value}'\n")
  endforeach()
  string(APPEND script "exec '${AXVISOR_NINJA}'")
  foreach(word IN LISTS AXVISOR_BUILD_ARGS)
    string(REPLACE "'" "'\\''" word "${word}")
    string(APPEND script " '${word}'")
  endforeach()
  string(APPEND script " \"$@\"\n")
  file(WRITE ${axvisor_ninja} "${script}")
  file(CHMOD ${axvisor_ninja} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  set(CMAKE_MAKE_PROGRAM ${axvisor_ninja} CACHE FILEPATH "Ninja as the board wants it" FORCE)
elseif(CMAKE_MAKE_PROGRAM STREQUAL axvisor_ninja)
  set(CMAKE_MAKE_PROGRAM ${AXVISOR_NINJA} CACHE FILEPATH "Ninja" FORCE)
endif()

# CMake silently ignores a second toolchain in a configured folder.
if(DEFINED CACHE{AXVISOR_CONFIGURED_TARGET} AND NOT AXVISOR_CONFIGURED_TARGET STREQUAL AXVISOR_TARGET)
  set(other_folder ${CMAKE_SOURCE_DIR}/build/${AXVISOR_BOARD_NAME})
  if(other_folder STREQUAL CMAKE_BINARY_DIR)  # the board's own folder, and its `target` was edited
    string(APPEND other_folder -${AXVISOR_TARGET})
  endif()
  message(FATAL_ERROR
    "${CMAKE_BINARY_DIR} was configured for ${AXVISOR_CONFIGURED_TARGET}, and board ${AXVISOR_BOARD_NAME} needs ${AXVISOR_TARGET}: "
    "a build folder belongs to one target. Use another folder (cmake -B ${other_folder}) or remove this one.")
endif()
set(AXVISOR_CONFIGURED_TARGET ${AXVISOR_TARGET} CACHE INTERNAL "Target that this folder was configured for")
set(CMAKE_TOOLCHAIN_FILE ${CMAKE_CURRENT_LIST_DIR}/toolchains/${AXVISOR_TARGET}.cmake)
