// Finds and reads ACPI tables. Plain logic: memory is reached through a PhysicalWindow.
#pragma once

#include <string_view>

#include "kernel/acpi/description.hpp"
#include "kernel/base/result.hpp"
#include "kernel/mm/physical_window.hpp"

namespace ax::acpi {

using Bytes = std::span<const std::byte>;

/// The root pointer where a PC's BIOS keeps it: the first KiB of the extended BIOS data area, or 0xe0000..0xfffff
/// (5.2.5.1).
std::optional<Hpa> scan_for_root_pointer(const mm::PhysicalWindow& memory);

/// The tables that a root pointer leads to.
class Tables {
 public:
  /// Errors: OutOfRange (cannot be read), Malformed (signature, length or checksum).
  static Result<Tables> open(const mm::PhysicalWindow& memory, Hpa root_pointer);

  /// The first sound table with that signature, header included. Error: NotFound.
  Result<Bytes> find(std::string_view signature) const;

 private:
  Tables(const mm::PhysicalWindow& memory, Bytes entries, usize entry_size)
      : memory_(&memory), entries_(entries), entry_size_(entry_size) {}

  const mm::PhysicalWindow* memory_;
  Bytes entries_;  ///< of the XSDT or RSDT
  usize entry_size_;
};

/// A table at a known address, such as the DSDT. Errors: OutOfRange, Malformed.
Result<Bytes> read_table(const mm::PhysicalWindow& memory, Hpa address, std::string_view signature);

// Each takes the table that find() or read_table() gave. Error of all: Malformed.
Result<InterruptControllers> read_madt(Bytes madt);
Result<PowerManagement> read_fadt(Bytes fadt);
Result<StaticVector<PciSegment, 4>> read_mcfg(Bytes mcfg);
/// Registers of the first HPET.
Result<Hpa> read_hpet(Bytes hpet);

/// The package \_S5 of a DSDT, found by its encoding: Name(\_S5, Package{type a, type b, ...}) with constants, as every
/// firmware has it. Error: NotFound.
Result<SleepType> find_soft_off(Bytes dsdt);

}  // namespace ax::acpi
