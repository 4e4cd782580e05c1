// The platform's one global object.
#pragma once

#include <array>
#include <atomic>
#include <board_config.hpp>

#include "kernel/drivers/local_apic.hpp"
#include "kernel/drivers/uart.hpp"
#include "platforms/common/address_space.hpp"
#include "platforms/x86-qemu-q35/memory_map.hpp"

namespace ax::platform {

/// Room for the command line and the modules' names, which are copied out of the boot loader's memory.
inline constexpr usize kTextsSize = 4096;

struct Root {
  MachineInfo machine;
  std::array<char, kTextsSize> texts{};  ///< what `machine` refers to
  drivers::Uart16550Ports uart;
  drivers::LocalApic apic{};
  Hpa trampoline{};                               ///< where secondary CPUs start, below 1 MiB; 0: nowhere
  std::atomic<u64> running{0};                    ///< CPUs, by index, that answer NMIs
  std::array<u64, board::kMaxCpus> nmi_stacks{};  ///< tops; the boot CPU's is in the image
  std::atomic<u64> must_flush{0};                 ///< CPUs that have not yet done what flush_other_tlbs() waits for
  AddressSpace<HostTable, StackWindow> space{};
  LockedFrames frames{};

  static Root& instance();
};
static_assert(kMaxCpus <= 64);

}  // namespace ax::platform
