// The local APIC of each CPU, as xAPIC or x2APIC (SDM vol. 3 chapter 11).
#pragma once

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace ax::drivers {

/// Which vector means what while the host runs. The higher four bits are the priority.
namespace host_vector {
inline constexpr u8 kFirstLine = 0x30;  ///< I/O APIC pins, by global system interrupt
inline constexpr u8 kLastLine = 0xef;
inline constexpr u8 kKick = 0xf0;  ///< inter-processor interrupt
inline constexpr u8 kTimer = 0xf1;
inline constexpr u8 kSpurious = 0xff;
}  // namespace host_vector

/// The calling CPU's local APIC. One object serves all CPUs: it only knows how the registers are reached.
class LocalApic {
 public:
  constexpr LocalApic() = default;

  /// Chooses x2APIC where the CPU has it, else xAPIC with its registers at `registers`, mapped as device memory at VA =
  /// PA.
  void attach(Hpa registers);
  bool is_x2apic() const { return x2apic_; }

  /// Brings this CPU's APIC into that mode: enabled, every local source masked, all priorities accepted, spurious
  /// interrupts at host_vector::kSpurious. Error: BadState, the firmware has switched the APIC off for good.
  Result<void> init_cpu() const;

  u32 id() const;
  void end_of_interrupt() const;

  /// Inter-processor interrupts to one CPU by APIC id. Any context.
  void send(u32 destination, u8 vector) const;
  void send_nmi(u32 destination) const;
  void send_init(u32 destination) const;
  /// The CPU starts in real mode at `page`, which is page-aligned and below 1 MiB.
  void send_startup(u32 destination, Hpa page) const;

  enum class TimerMode : u32 { OneShot = 0, Periodic = 1, TscDeadline = 2 };
  /// The timer raises host_vector::kTimer; one-shot it counts down the undivided bus clock. It stays stopped.
  void set_timer_mode(TimerMode mode) const;
  void mask_timer() const;
  /// Starts a count-down; 0 stops it.
  void set_timer_count(u32 count) const;
  u32 timer_count() const;

 private:
  enum class Register : u32;
  u32 read(Register r) const;
  void write(Register r, u32 value) const;
  void command(u32 destination, u32 low) const;

  u64 base_ = 0;
  bool x2apic_ = false;
};

}  // namespace ax::drivers
