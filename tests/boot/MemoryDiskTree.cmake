# The device tree of QEMU's `virt` with reserved memory that holds a disk, as a boot loader would leave it.
#
# cmake -D TREE=file.dtb -D MACHINE=virt,... -D MEMORY=2G -D SMP=2 -D ADDRESS=a0000000 -D SIZE=5000000 -P MemoryDiskTree.cmake
cmake_minimum_required(VERSION 3.25)

execute_process(COMMAND qemu-system-aarch64 -display none -cpu cortex-a72 -m ${MEMORY} -smp ${SMP} -machine ${MACHINE},dumpdtb=${TREE}.machine -nic none
  COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET ERROR_QUIET)
execute_process(COMMAND dtc -q -I dtb -O dts -o ${TREE}.dts ${TREE}.machine COMMAND_ERROR_IS_FATAL ANY)
file(APPEND ${TREE}.dts "
/ {
  reserved-memory {
    #address-cells = <2>;
    #size-cells = <2>;
    ranges;
    disk@${ADDRESS} { compatible = \"phram\"; reg = <0 0x${ADDRESS} 0 0x${SIZE}>; };
  };
};
")
execute_process(COMMAND dtc -q -I dts -O dtb -o ${TREE} ${TREE}.dts COMMAND_ERROR_IS_FATAL ANY)
