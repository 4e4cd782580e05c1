// The PCI bus that a guest sees: a host bridge at 00:00.0, and the functions it owns from 00:01.0 on, one per device.
#pragma once

#include "hypervisor/device/pci/pci_window.hpp"
#include "hypervisor/device/pci/vpci_function.hpp"

namespace hv {

/// The guest's address space as its bus changes it.
class PciSpace {
 public:
  /// Lets the guest reach `target` at `range`, whole pages both, without an exit. False: something else is there, or there is no room
  /// for translation tables; nothing has changed.
  virtual bool map(GpaRange range, Hpa target) = 0;
  /// What map() has mapped.
  virtual void unmap(GpaRange range) = 0;
  /// Lets the guest use the ports, which are the machine's, without an exit, or no longer. False: it cannot be.
  virtual bool open_ports(u16 first, u32 count, bool open) = 0;

 protected:
  ~PciSpace() = default;
};

/// Ranges of functions appear where the guest puts them, if that is in a window of the bridge and nothing of the guest's is there; an
/// access to what cannot be reached without an exit comes here. Of two functions' ranges at the same place the first one answers.
///
/// Context: one caller at a time. Nothing blocks or allocates.
class VPciBus {
 public:
  static constexpr unsigned kMaxFunctions = 8;
  static constexpr usize kMaxWindows = 4;
  /// Bytes of memory-mapped configuration space: one bus.
  static constexpr u64 kEcamSize = 1_MiB;
  /// I/O ports of configuration mechanism 1.
  static constexpr u16 kPort = 0xcf8;
  static constexpr u16 kPortCount = 8;

  explicit VPciBus(PciSpace& space) : space_(space) {}

  /// Error: OutOfMemory.
  Result<void> add_window(const PciWindow& window);
  std::span<const PciWindow> windows() const { return windows_; }
  /// The function is the guest's next device. It outlives the bus. Error: OutOfMemory.
  Result<void> add(VPciFunction& function);
  unsigned size() const { return static_cast<unsigned>(functions_.size()); }
  VPciFunction& function(unsigned index) { return *functions_[index]; }
  static constexpr u8 device_number(unsigned index) { return static_cast<u8>(index + 1); }

  /// The functions are attached and the windows known: what they decode appears. False: something of the guest's is in its place.
  bool start();

  /// `address` as in the ECAM: bus << 20 | device << 15 | function << 12 | register; `size` 1, 2 or 4, not across a word.
  /// What is not there reads as all ones.
  u32 read(u64 address, u32 size);
  void write(u64 address, u32 size, u32 value);

  /// Mechanism 1: `offset` from kPort on.
  u32 port_read(u32 offset, u32 size);
  void port_write(u32 offset, u32 size, u32 value);

  /// An access that did not reach a function by itself, to guest-physical `address`, a multiple of `size`: 1, 2, 4 or 8. In a window
  /// what nobody decodes reads as all ones. Nothing, false: that is no address of this bus.
  std::optional<u64> memory_read(Gpa address, u32 size);
  bool memory_write(Gpa address, u32 size, u64 value);
  /// The machine's port behind the guest's; nothing if no function has that.
  std::optional<u16> machine_port(u16 port, u32 size);

 private:
  struct Found {
    VPciFunction* function = nullptr;
    const PciBar* bar = nullptr;
  };

  VPciFunction* function_at(u64 address);
  Found find(bool is_port, u64 address, u64 size);
  bool is_in_window(u64 address, u64 size) const;
  void place(VPciFunction& function);
  bool is_shared(const VPciFunction& function, const PciBar& bar);
  bool show(const VPciFunction& function, const PciBar& bar);
  void hide(const VPciFunction& function, const PciBar& bar, unsigned pieces);

  PciSpace& space_;
  StaticVector<PciWindow, kMaxWindows> windows_{};
  StaticVector<VPciFunction*, kMaxFunctions> functions_{};
  u32 port_address_ = 0;
};

}  // namespace hv
