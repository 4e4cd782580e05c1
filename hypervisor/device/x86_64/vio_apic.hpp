// The I/O APIC of a guest: an Intel 82093AA with 24 inputs.
#pragma once

#include <array>

#include "hypervisor/device/x86_64/vlocal_apic.hpp"

namespace hv {

/// Input lines are logical: asserted means active, whatever polarity the guest programs. As the datasheet has it, an
/// edge that finds its input masked is lost, and a level is looked at again when the input is unmasked. Pin 0 in ExtINT
/// mode is a wire from the 8259 to the destination: see takes_8259().
/// Context: under the VM's device lock.
class VIoApic final : public EndOfInterruptListener {
 public:
  static constexpr u64 kBase = 0xfec0'0000;
  static constexpr unsigned kPins = 24;

  /// Both outlive the device; the bus is used from set_line() on.
  VIoApic(LineEndListener& listener, LocalApicBus& bus) : listener_(listener), bus_(bus) { power_on(); }

  void power_on();

  u32 mmio_read(u32 offset) const;
  void mmio_write(u32 offset, u32 value);

  /// Out-of-range pins are ignored.
  void set_line(unsigned pin, bool asserted);
  /// A local APIC ended a level-triggered interrupt: a line that is still asserted interrupts again.
  void end_of_interrupt(u8 vector) override;
  /// Whether pin 0 passes the output of the 8259 on to `vcpu`.
  bool takes_8259(unsigned vcpu) const;

 private:
  u32 read_register() const;
  void write_register(u32 value);
  void deliver(unsigned pin);
  void retry_level(unsigned pin);
  static ApicMessage message(u64 entry);

  LineEndListener& listener_;
  LocalApicBus& bus_;
  std::array<u64, kPins> entries_{};
  u32 lines_ = 0;
  u32 id_ = 0;
  u8 select_ = 0;
};

}  // namespace hv
