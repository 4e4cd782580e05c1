// Moves a vCPU's system registers between memory and the hardware.
#pragma once

#include <arch/cpu.hpp>

#include "hypervisor/vcpu/aarch64/context.hpp"

namespace hv {

/// Control bits of EL2 that hold while any guest runs; written once per CPU. Interrupts masked.
void init_guest_execution();

/// `mpidr`: affinity fields for the guest; `time_offset`: counter ticks that CNTVCT lags behind CNTPCT.
void load_system_registers(const GuestSystemRegisters& s, u64 mpidr, u64 time_offset);
/// Afterwards the virtual timer is off in hardware.
void save_system_registers(GuestSystemRegisters& s);

/// A timer with this control register raises its interrupt some day.
constexpr bool timer_can_fire(u64 control) {
  return (control & (arch::TimerControl::ENABLE | arch::TimerControl::IMASK)) == arch::TimerControl::ENABLE;
}

}  // namespace hv
