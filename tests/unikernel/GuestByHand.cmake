# A VM's file of configs/vms whose kernel is a program on the unikernel, as a person boots it: image build, then qemu. In a copy, since
# the program is built beside its description.
#   cmake -D XTASK=... -D SOURCE=source tree -D ARCH=... -D FOLDER=... -P GuestByHand.cmake
set(name arceos-${ARCH}-qemu-smp1)
file(COPY ${SOURCE}/configs/vms/hello ${SOURCE}/configs/vms/${name}.toml DESTINATION ${FOLDER}/vms PATTERN app_build EXCLUDE)
set(file ${FOLDER}/vms/${name}.toml)
set(board ${SOURCE}/configs/board/qemu-${ARCH}.toml)
set(ENV{AXVISOR_ROOT} ${SOURCE})

# Before: the build says what to do.
file(REMOVE_RECURSE ${FOLDER}/vms/hello/${ARCH}/app_build)
set(options --build-config ${board} --vmconfigs ${file} --build-dir ${SOURCE}/build/app-qemu-${ARCH})
execute_process(COMMAND ${XTASK} build -q ${options} ERROR_VARIABLE output OUTPUT_VARIABLE output RESULT_VARIABLE status)
if(status EQUAL 0 OR NOT output MATCHES "xtask image build --config with this file builds the application")
  message(FATAL_ERROR "without its kernel: ${status}\n${output}")
endif()
execute_process(COMMAND ${XTASK} image build --config ${file} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${XTASK} qemu ${options}
  INPUT_FILE /dev/null TIMEOUT 600 OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
string(REPLACE "\r" "" output "${output}")
if(NOT status EQUAL 0 OR NOT output MATCHES "Hello from a unikernel on ${ARCH}, 2 argument\\(s\\): by hand\n"
    OR NOT output MATCHES "axvisor: done: 1 stopped, 0 failed")
  message(FATAL_ERROR "${status}\n${output}${errors}")
endif()
