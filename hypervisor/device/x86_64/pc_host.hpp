// What the PC that a guest sees asks of the hypervisor around it.
#pragma once

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

inline constexpr unsigned kMaxPcVcpus = 16;
/// A time that never comes.
inline constexpr u64 kNoDeadline = ~u64{0};
/// A periodic timer that is programmed faster than this is slowed down to it, so that a guest cannot keep the host busy
/// with its interrupts alone. 122 us is the shortest period of the RTC.
inline constexpr u64 kMinimumTimerPeriodMicroseconds = 100;

/// Who hears that the guest has ended a level-triggered interrupt.
class LineEndListener {
 public:
  /// The EOI for global system interrupt `gsi`: whoever drives its line from a physical interrupt may look at it again.
  virtual void line_ended(u32 gsi) = 0;

 protected:
  ~LineEndListener() = default;
};

/// Called by PcMachine and its devices, under the lock that their caller holds, and by local APICs, without one; also for
/// the calling vCPU itself. An implementation takes a note and returns: it never calls back into the machine.
class PcHost : public LineEndListener {
 public:
  /// Guest TSC: the same for all vCPUs of a VM, starts near 0, stands still while the VM is paused.
  virtual u64 now() = 0;
  /// The deadline() of the vCPU's local APIC has changed. On the vCPU's own CPU.
  virtual void deadline_changed(unsigned vcpu) = 0;
  /// PcMachine::run_timers() has something to do at `deadline`, kNoDeadline: never.
  virtual void board_deadline_changed(u64 deadline) = 0;

  /// The vCPU's APIC, or the 8259, may have got something new for it, be it by what the vCPU itself does: wake or
  /// interrupt it. Without a kick, a vCPU for which nothing was pending need not ask again.
  virtual void kick(unsigned vcpu) = 0;
  /// A non-maskable interrupt arrives; several before the first is taken are one.
  virtual void nmi(unsigned vcpu) = 0;
  /// INIT: the vCPU stops, takes its INIT state and waits for start(). Never for vCPU 0.
  virtual void init(unsigned vcpu) = 0;
  /// SIPI: the vCPU, which waits after init() or since the beginning, runs in real mode from `vector` << 12.
  virtual void start(unsigned vcpu, u8 vector) = 0;

  /// The guest's serial port transmits.
  virtual void console_output(char character) = 0;
  /// ACPI S5.
  virtual void power_off() = 0;
  /// A reset port was written, or vCPU 0 got an INIT, which leads to the firmware of a PC.
  virtual void reset() = 0;
  /// The isa-debug-exit port was written.
  virtual void debug_exit(u32 code) = 0;

 protected:
  ~PcHost() = default;
};

}  // namespace hv
