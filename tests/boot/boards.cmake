# Boards that no emulator here stands for: the flat image is what a boot loader expects, and runs elsewhere as it is.
add_test(NAME boot.image-is-loadable COMMAND ${CMAKE_COMMAND}
  -DELF=$<TARGET_FILE:axvisor> -DBIN=$<TARGET_FILE:axvisor>.bin -DLOAD_ADDRESS=${AXVISOR_LOAD_ADDRESS}
  -DOBJDUMP=${AXVISOR_OBJDUMP} -DNM=${AXVISOR_NM} -P ${CMAKE_CURRENT_SOURCE_DIR}/CheckArm64Image.cmake)
set_tests_properties(boot.image-is-loadable PROPERTIES LABELS "boot")

axvisor_add_image(boot_tiny VMS ${vms}/tiny.toml)
foreach(gic 2 3)
  axvisor_boot_test(tiny-gicv${gic} IMAGE boot_tiny RUN tiny.toml SET gic_version=${gic} LABELS guest)
endforeach()
axvisor_boot_test(tiny-moved IMAGE boot_tiny RUN tiny.toml SET kernel="loader" load_address=0x48200000 LABELS guest)
