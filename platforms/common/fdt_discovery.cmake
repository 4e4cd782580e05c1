# What the platforms with a device tree share of reading it.
include_guard(GLOBAL)
axvisor_kernel_library(platform_fdt_discovery COLD
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/fdt_discovery.cpp
  HEADERS ${CMAKE_CURRENT_LIST_DIR}/fdt_discovery.hpp
  DEPENDS kernel_fdt)
