// A PC as its vCPUs see it: the board and the local APICs, as ArchVm joins them.
#pragma once

#include <algorithm>

#include "hypervisor/device/x86_64/pc_machine.hpp"
#include "tests/unit/device/x86_64/recording_host.hpp"

namespace hv {

class WholePc final : private EndOfInterruptListener {
 public:
  WholePc(const PcConfig& config, RecordingHost& host)
      : host_(host), apics_(host, *this, config.vcpus, config.tsc_hz), board_(config, host, apics_) {}

  void power_on() {
    apics_.power_on();
    board_.power_on();
  }
  std::optional<u64> mmio_read(unsigned vcpu, Gpa address, u32 size) {
    const u64 offset = address.value() - apics_[vcpu].page();
    return offset < kPageSize ? apics_[vcpu].mmio_read(static_cast<u32>(offset), size) : board_.mmio_read(address, size);
  }
  bool mmio_write(unsigned vcpu, Gpa address, u32 size, u64 value) {
    const u64 offset = address.value() - apics_[vcpu].page();
    if (offset >= kPageSize) return board_.mmio_write(address, value);
    apics_[vcpu].mmio_write(static_cast<u32>(offset), size, static_cast<u32>(value));
    return true;
  }
  u32 port_read(u16 port, u32 size) { return board_.port_read(port, size); }
  void port_write(u16 port, u32 size, u32 value) { board_.port_write(port, size, value); }
  std::optional<u64> apic_msr_read(unsigned vcpu, u32 msr) { return apics_[vcpu].read_msr(msr); }
  bool apic_msr_write(unsigned vcpu, u32 msr, u64 value) { return apics_[vcpu].write_msr(msr, value); }
  u64 apic_base(unsigned vcpu) const { return apics_[vcpu].base(); }
  bool set_apic_base(unsigned vcpu, u64 value) { return apics_[vcpu].set_base(value); }
  u64 tsc_deadline(unsigned vcpu) { return apics_[vcpu].tsc_deadline(); }
  void set_tsc_deadline(unsigned vcpu, u64 value) { apics_[vcpu].set_tsc_deadline(value); }
  void set_cr8(unsigned vcpu, u8 value) { apics_[vcpu].set_cr8(value); }

  std::optional<u8> pending_vector(unsigned vcpu) {
    const u8 vector = apics_[vcpu].pending();
    if (vector != 0) return vector;
    return apics_.asserts_8259() ? board_.pending_8259(vcpu) : std::nullopt;
  }
  void acknowledge(unsigned vcpu) { apics_[vcpu].pending() != 0 ? apics_[vcpu].acknowledge() : board_.acknowledge_8259(); }
  void interrupt(u32 gsi, bool level) { board_.interrupt(gsi, level); }
  void send(const ApicMessage& message) { apics_.deliver(message); }

  u64 next_deadline(unsigned vcpu) const {
    const u64 own = apics_[vcpu].deadline();
    return vcpu == 0 ? std::min(own, host_.board_deadline) : own;
  }
  void run_timers(unsigned vcpu, u64 now) {
    apics_[vcpu].run_timer(now);
    if (vcpu == 0) board_.run_timers(now);
  }
  bool can_receive() const { return board_.can_receive(); }
  void receive(char character) { board_.receive(character); }
  void press_power_button() { board_.press_power_button(); }

 private:
  void end_of_interrupt(u8 vector) override { board_.end_of_interrupt(vector); }

  RecordingHost& host_;
  LocalApicBus apics_;
  PcMachine board_;
};

}  // namespace hv
