// The platform's one global object.
#pragma once

#include <array>

#include "kernel/drivers/sbi.hpp"
#include "kernel/drivers/uart.hpp"
#include "platforms/common/address_space.hpp"
#include "platforms/riscv64-qemu-virt/discovery.hpp"
#include "platforms/riscv64-qemu-virt/memory_map.hpp"

namespace ax::platform {

struct Root {
  MachineInfo machine;
  std::array<char, kDiscoveryNamesSize> names{};  ///< texts that `machine` refers to
  drivers::Uart16550 uart;
  drivers::SbiConsole firmware_console;
  drivers::Uart* console = nullptr;
  AddressSpace<HostTable, StackWindow> space{};
  LockedFrames frames{};

  static Root& instance();
};

}  // namespace ax::platform
