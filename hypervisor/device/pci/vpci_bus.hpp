// The PCI bus that a guest sees: a host bridge at 00:00.0, and the functions it owns from 00:01.0 on, one per device.
#pragma once

#include "hypervisor/device/pci/vpci_function.hpp"

namespace hv {

/// Context: as VPciFunction. Nothing blocks or allocates.
class VPciBus {
 public:
  static constexpr unsigned kMaxFunctions = 8;
  /// Bytes of memory-mapped configuration space: one bus.
  static constexpr u64 kEcamSize = 1_MiB;
  /// I/O ports of configuration mechanism 1.
  static constexpr u16 kPort = 0xcf8;
  static constexpr u16 kPortCount = 8;

  /// The function is the guest's next device. It outlives the bus. Error: OutOfMemory.
  Result<void> add(VPciFunction& function);
  unsigned size() const { return static_cast<unsigned>(functions_.size()); }

  /// `address` as in the ECAM: bus << 20 | device << 15 | function << 12 | register; `size` 1, 2 or 4, not across a word.
  /// What is not there reads as all ones.
  u32 read(u64 address, u32 size);
  void write(u64 address, u32 size, u32 value);

  /// Mechanism 1: `offset` from kPort on.
  u32 port_read(u32 offset, u32 size);
  void port_write(u32 offset, u32 size, u32 value);

 private:
  VPciFunction* function_at(u64 address);

  StaticVector<VPciFunction*, kMaxFunctions> functions_{};
  u32 port_address_ = 0;
};

}  // namespace hv
