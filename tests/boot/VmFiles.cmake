# cmake -D XTASK=program -D ROOT=repository -D FOLDER=folder -D BOARD=name -D OTHER_BOARD=name -P VmFiles.cmake
#
# Compiles the VM files of FOLDER, and damages some of what comes of it.
find_program(fdtput fdtput REQUIRED)

function(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${ROOT} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${status}\n${output}")
  endif()
endfunction()

# Alone each of them is right; together they are what the machine has to find out.
set(compile ${XTASK} vmconfig compile --output ${FOLDER} --board)
file(GLOB old ${FOLDER}/*.vm)
if(old)
  file(REMOVE ${old})
endif()
run(${compile} ${BOARD} ${FOLDER}/filed.toml ${FOLDER}/kept.toml ${FOLDER}/lost.toml ${FOLDER}/more.toml)
run(${compile} ${BOARD} ${FOLDER}/alone.toml)
run(${compile} ${BOARD} ${FOLDER}/strict.toml)
run(${compile} ${BOARD} ${FOLDER}/taker.toml)
file(COPY_FILE ${FOLDER}/more.vm ${FOLDER}/version.vm)
run(${fdtput} -t i ${FOLDER}/version.vm / axvisor,vm 7)
run(dd if=${FOLDER}/more.vm of=${FOLDER}/cut.vm bs=100 count=3)
# The description of a guest for another machine.
file(READ ${FOLDER}/foreign.toml text)
if(OTHER_BOARD MATCHES "x86")
  string(REPLACE "kernel_load_addr = 0x8008_0000" "boot_protocol = \"multiboot\"" text "${text}")
  string(REPLACE "0x8000_0000" "0x0" text "${text}")
else()
  string(REPLACE "boot_protocol = \"multiboot\"" "kernel_load_addr = 0x8008_0000" text "${text}")
  string(REPLACE "[[0x0," "[[0x8000_0000," text "${text}")
endif()
file(WRITE ${FOLDER}/foreign-board.toml "${text}")
run(${XTASK} vmconfig compile --output ${FOLDER}/foreign.vm --board ${OTHER_BOARD} ${FOLDER}/foreign-board.toml)
