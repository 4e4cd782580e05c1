// The device tree that a guest finds: generated after the host's, or the one its configuration supplies. Plain logic.
#pragma once

#include <span>
#include <string_view>

#include "hypervisor/device/pci/pci_window.hpp"
#include "hypervisor/vm/device_selection.hpp"
#include "kernel/base/result.hpp"
#include "kernel/fdt/reader.hpp"
#include "platforms/machine_info.hpp"

namespace hv {

struct GuestCpu {
  u64 mpidr = 0;    ///< affinity fields as the guest reads them
  u64 host_id = 0;  ///< CpuInfo::hardware_id of the CPU it resembles
};

/// A PCI host bridge with one bus.
struct GuestPciBridge {
  GpaRange ecam{};                       ///< configuration space; empty: there is no PCI
  std::span<const PciWindow> windows{};  ///< of memory, where its functions may be put
  std::span<const GuestPciLine> lines{}; ///< INTIDs of SPIs, level-triggered
  u32 like = 0;                          ///< offset of the host's bridge in its tree: how its devices see memory is the same
};

/// What a VM really has. Addresses are guest-physical, interrupts INTIDs.
struct GuestMachine {
  std::span<const GpaRange> ram{};
  std::span<const GuestCpu> cpus{};

  u8 gic_version = 3;            ///< 2 or 3
  GpaRange distributor{};
  GpaRange cpu_interface{};      ///< GICv2
  GpaRange redistributors{};     ///< GICv3: one region with a frame per vCPU
  TimerInfo timer{};             ///< the four PPIs

  GpaRange console{};            ///< emulated PL011; empty = none
  u32 console_interrupt = 0;     ///< SPI
  u32 console_clock_hz = 24'000'000;

  GpaRange watchdog{};           ///< emulated SBSA watchdog, refresh frame first; empty = none
  GuestPciBridge pci{};          ///< for a generated tree; a supplied one has its own
  u32 watchdog_interrupt = 0;    ///< SPI of its first stage; 0 = none
  GpaRange initrd{};             ///< empty = none
  GpaRange reserved{};           ///< RAM that the guest leaves alone; empty = none
  std::string_view command_line{};  ///< empty = none given: a supplied tree keeps its own
};

/// Writes a tree into `out` that describes `guest` and the devices in `selection`, whose host tree gives identity and
/// address format, and returns its size. Calls to PSCI go by HVC. Errors: OutOfMemory (`out` too small), OutOfRange (an
/// address that does not fit the host tree's address cells), InvalidArgument (an interrupt of the wrong kind, or a selection that was never made).
Result<usize> write_guest_fdt(const DeviceSelection& selection, const GuestMachine& guest, std::span<std::byte> out);

/// Copies `supplied` into `out` with the CPUs, RAM, initrd and (if there is one) command line of `guest`; everything else
/// stays. CPU nodes whose number no vCPU has are left out, missing ones added. Errors: OutOfMemory, OutOfRange.
Result<usize> adapt_guest_fdt(const fdt::Fdt& supplied, const GuestMachine& guest, std::span<std::byte> out);

}  // namespace hv
