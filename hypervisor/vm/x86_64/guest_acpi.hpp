// The ACPI tables of an x86 guest (ACPI 6.5 chapter 5): its processors, interrupt controllers, power management and ISA
// devices.
#pragma once

#include <span>

#include "hypervisor/device/pci/pci_window.hpp"
#include "hypervisor/vm/x86_64/memory_map.hpp"
#include "kernel/base/result.hpp"

namespace hv {

/// The fixed hardware of the guest's machine, which the tables describe.
namespace acpi_hardware {
inline constexpr u16 kPm1aEventPort = 0x600, kPm1aControlPort = 0x604, kPmTimerPort = 0x608;
inline constexpr u8 kPm1EventSize = 4, kPm1ControlSize = 2, kPmTimerSize = 4;
inline constexpr u8 kSciInterrupt = 9;
inline constexpr u16 kResetPort = 0xcf9;
inline constexpr u8 kResetValue = 6;
inline constexpr u8 kSoftOff = 5;  ///< SLP_TYP of S5
}  // namespace acpi_hardware

/// A PCI host bridge with one bus.
struct GuestPci {
  GpaRange ecam{};                        ///< configuration space; empty: there is no PCI
  std::span<const PciWindow> windows{};   ///< where its functions may have their memory and ports
  std::span<const GuestPciLine> lines{};  ///< of their interrupt pins, by GSI; level-triggered
};

struct GuestAcpi {
  Gpa base = kFirmwareTables.base;  ///< where the tables will lie; the RSDP is first. Aligned to 64 bytes
  u32 cpu_count = 1;                ///< APIC ids from 0 on
  u8 io_apic_id = 0;
  u32 watchdog_ms = 0;              ///< longest time between two signs of life; 0: there is no watchdog
  GuestPci pci{};
};

/// Bytes that are enough for `cpu_count` processors.
constexpr usize guest_acpi_size(u32 cpu_count) { return 3_KiB + u64{8} * cpu_count; }

/// Writes all tables, ready to be copied to `base`. Returns their size. Error: OutOfRange (`out` is too small).
Result<usize> write_guest_acpi(const GuestAcpi& machine, std::span<std::byte> out);

}  // namespace hv
