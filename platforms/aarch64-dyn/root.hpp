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

  static Root& instance();
};

/// Calls visit(mm::MappedLeaf<Hva>) for every leaf of the live tables, by rising address; for tests and reports.
template <class Visit>
void walk_memory_map(Visit visit) {
  Root::instance().space.walk(visit);
}

/// Where the live tables lead; nothing where nothing is mapped.
inline std::optional<mm::Translation> translate(Hva address) { return Root::instance().space.translate(address); }

}  // namespace ax::platform
