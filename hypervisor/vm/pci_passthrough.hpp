// The PCI functions that belong to one VM: found, claimed, placed, and put on the bus that its guest sees.
#pragma once

#include "hypervisor/config/pci_address.hpp"
#include "hypervisor/device/pci/vpci_bus.hpp"
#include "hypervisor/vm/device_owners.hpp"
#include "kernel/acpi/description.hpp"
#include "kernel/base/spinlock.hpp"
#include "kernel/drivers/pci_ecam.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

class Vm;

static_assert(VPciBus::kMaxFunctions == kMaxPciFunctions);

class PciPassthrough final : private PciSpace {
 public:
  /// What VmConfig::passthrough_pci names, all on the host bridge of `segment`, whose memory lies in `windows`. Manager thread; logs why
  /// it fails. `sink` gets the guest's messages, under the bus's lock.
  static Result<mm::Box<PciPassthrough>> create(Vm& vm, PciMessageSink& sink, const acpi::PciSegment& segment,
                                                std::span<const PciWindow> windows);

  PciPassthrough(Vm& vm, PciMessageSink& sink, const acpi::PciSegment& segment, std::span<const PciWindow> windows);
  /// After quiesce(), and when no interrupt of the VM comes any more.
  ~PciPassthrough();
  PciPassthrough(const PciPassthrough&) = delete;
  PciPassthrough& operator=(const PciPassthrough&) = delete;

  /// The guest's memory-mapped configuration space: where the machine has its own.
  GpaRange ecam() const { return {Gpa(segment_.registers.base.value()), VPciBus::kEcamSize}; }
  /// Covers all of the functions' memory below 4 GiB, or above; may be empty.
  GpaRange window(bool above_4gib) const;
  std::span<const GuestPciLine> lines() const { return lines_; }
  /// Before start(): where its functions' memory may be for the guest. Error: OutOfMemory (too many).
  Result<void> add_window(const PciWindow& window) { return bus_.without_lock().add_window(window); }
  std::span<const PciWindow> windows() const { return bus_.without_lock().windows(); }

  /// Everything else of the guest is in its place: its functions appear. Manager thread; logs why it fails.
  Result<void> start();
  /// Every function is quiet afterwards. While no vCPU runs, before the VM's memory goes.
  void quiesce();

  // Exits: interrupts masked. Nothing, false: none of this is at that address.
  std::optional<u64> mmio_read(Gpa address, u32 size);
  bool mmio_write(Gpa address, u32 size, u64 value);
  /// Configuration mechanism 1.
  u32 configuration_read(u32 offset, u32 size) { return bus_.lock_masked()->port_read(offset, size); }
  void configuration_write(u32 offset, u32 size, u32 value) { bus_.lock_masked()->port_write(offset, size, value); }
  std::optional<u16> machine_port(u16 port, u32 size) { return bus_.lock_masked()->machine_port(port, size); }
  /// The machine has received message `number`, as it was given to PhysicalInterrupts::give_message(). Interrupts masked.
  void hardware_message(u32 number);

 private:
  /// One function, reached through the machine's configuration space.
  struct Function final : PciHardware {
    Function(const acpi::PciSegment& segment, drivers::PciFunction at, PciMessageSink& sink)
        : ecam(segment), address(at), model(*this, sink) {}
    u32 read_config(u32 offset, u32 size) override;
    void write_config(u32 offset, u32 size, u32 value) override;
    u32 read_memory(Hpa address, u32 size) override;
    void write_memory(Hpa address, u32 size, u32 value) override;
    void wait_for_reset() override;

    drivers::PciEcam ecam;
    drivers::PciFunction address;
    VPciFunction model;
  };

  // PciSpace, under the bus's lock.
  bool map(GpaRange range, Hpa target) override;
  void unmap(GpaRange range) override;
  bool open_ports(u16 first, u32 count, bool open) override;

  Result<void> add(PciAddress address);
  Result<void> find_addresses(Function& function);
  Result<void> take_bars(Function& function);
  Result<void> take_messages(Function& function);
  Result<void> take_line(Function& function);
  Result<u8> root_pin(drivers::PciFunction& place, u8 pin) const;
  u16 owner() const;

  Vm& vm_;
  PciMessageSink& sink_;
  acpi::PciSegment segment_;
  StaticVector<PciWindow, VPciBus::kMaxWindows> machine_windows_{};
  StaticVector<mm::Box<Function>, VPciBus::kMaxFunctions> functions_{};
  StaticVector<GuestPciLine, VPciBus::kMaxFunctions> lines_{};
  StaticVector<PciMessage, VPciFunction::kMaxMessages> messages_{};  ///< of the function that is being added
  Locked<VPciBus, LockRank::VirtualDevice> bus_;
};

}  // namespace hv
