// The platform's one global object.
#pragma once

#include <array>

#include "kernel/base/spinlock.hpp"
#include "kernel/drivers/psci.hpp"
#include "kernel/drivers/uart.hpp"
#include "kernel/mm/frame_allocator.hpp"
#include "platforms/aarch64-dyn/discovery.hpp"
#include "platforms/aarch64-dyn/memory_map.hpp"
#include "platforms/common/address_space.hpp"

namespace ax::platform {

struct Root {
  MachineInfo machine;
  std::array<char, kDiscoveryNamesSize> names{};  ///< texts that `machine` refers to
  drivers::Pl011 pl011;
  drivers::Uart16550 uart16550;
  drivers::CadenceUart cadence_uart;
  drivers::ImxUart imx_uart;
  drivers::Uart* console = nullptr;
  drivers::Psci psci{};
  AddressSpace<HostTable, StackWindow> space{};
  LockedFrames frames{};

  /// Boot CPU, before anything else but a panic needs it.
  static Root& construct();
  /// Before construct(): all zero, which is enough to panic.
  static Root& instance();
};

}  // namespace ax::platform
