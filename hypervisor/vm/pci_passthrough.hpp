// The PCI functions that belong to one VM: found, claimed, mapped, and put on the bus that its guest sees.
#pragma once

#include "hypervisor/config/pci_address.hpp"
#include "hypervisor/device/pci/vpci_bus.hpp"
#include "kernel/acpi/description.hpp"
#include "kernel/drivers/pci_ecam.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

class Vm;

/// Guest-physical addresses of the functions' memory are those of the machine.
class PciPassthrough {
 public:
  /// What VmConfig::passthrough_pci names. Manager thread; logs why it fails. `sink` gets the guest's messages, under the
  /// VM's device lock.
  static Result<mm::Box<PciPassthrough>> create(Vm& vm, PciMessageSink& sink);

  PciPassthrough(Vm& vm, PciMessageSink& sink, const acpi::PciSegment& segment) : vm_(vm), sink_(sink), segment_(segment) {}
  /// Every function is quiet afterwards. While no vCPU runs, before the VM's memory goes.
  ~PciPassthrough();
  PciPassthrough(const PciPassthrough&) = delete;
  PciPassthrough& operator=(const PciPassthrough&) = delete;

  /// The guest's memory-mapped configuration space: where the machine has its own.
  GpaRange ecam() const { return {Gpa(segment_.registers.base.value()), VPciBus::kEcamSize}; }
  /// Covers all of the functions' memory below 4 GiB, or above; may be empty.
  GpaRange window(bool above_4gib) const;

  // Under the VM's device lock.
  VPciBus& bus() { return bus_; }
  /// Nothing, false: none of this is at that address.
  std::optional<u64> mmio_read(Gpa address, u32 size);
  bool mmio_write(Gpa address, u32 size, u64 value);
  /// The machine has received message `number`, as it was given to PhysicalInterrupts::give_message().
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

  Result<void> add(PciAddress address);
  Result<void> map_bars(Function& function);
  VPciFunction* mediator(Gpa address);

  Vm& vm_;
  PciMessageSink& sink_;
  acpi::PciSegment segment_;
  StaticVector<mm::Box<Function>, VPciBus::kMaxFunctions> functions_{};
  VPciBus bus_;
};

}  // namespace hv
