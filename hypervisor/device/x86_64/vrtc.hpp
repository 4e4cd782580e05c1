// The real-time clock of a PC, an MC146818 with 128 bytes of CMOS memory.
#pragma once

#include <array>

#include "hypervisor/device/wires.hpp"
#include "hypervisor/device/x86_64/device_clock.hpp"
#include "hypervisor/device/x86_64/pc_host.hpp"

namespace hv {

/// The time is kept as seconds since 1970 and follows the guest TSC; the time registers are computed when they are
/// read. Register 0x32 is the century (FADT: CENTURY). The divider bits of register A are kept and do not stop the
/// clock. Context: under the VM's device lock; `now` is guest TSC.
class VRtc {
 public:
  static constexpr u16 kPort = 0x70;

  /// `wall_clock`: seconds since 1970 (UTC) at guest TSC 0. `ram`: the guest's memory in bytes, from address 0 on with
  /// a hole for devices below 4 GiB that begins at `ram_below_4g`; CMOS tells it to firmware and old kernels.
  VRtc(u64 tsc_hz, u64 wall_clock, u64 ram, u64 ram_below_4g, InterruptLine& irq8);

  /// The CMOS memory and the time survive.
  void power_on();

  /// `port`: 0x70 or 0x71.
  u8 read(u16 port, u64 now);
  void write(u16 port, u8 value, u64 now);

  u64 deadline() const { return deadline_; }
  void run_timer(u64 now);

 private:
  static constexpr unsigned kTimeRegisters = 10;
  using Fields = std::array<u8, kTimeRegisters + 1>;  ///< as the registers 0 to 9 read, and the century

  u8 encode(u64 value) const;
  unsigned decode(u8 value) const;
  u8 encode_hour(unsigned hour) const;
  unsigned decode_hour(u8 value) const;
  u64 seconds(u64 tick) const { return (tick >> 15) + offset_; }
  Fields fields(u64 seconds) const;
  u64 from_fields(const Fields& fields) const;
  void write_time(unsigned index, u8 value, u64 tick);
  void write_b(u8 value, u64 tick);
  bool halted() const;
  unsigned period_shift() const;
  u64 next_alarm(u64 seconds) const;
  void settle(u64 now);
  void schedule();
  void update_interrupt();

  DeviceClock clock_;
  InterruptLine& irq8_;
  u64 offset_;       ///< seconds since 1970 at tick 0
  u64 settled_ = 0;  ///< tick up to which the flags are right
  u64 alarm_ = 0;    ///< next second that matches the alarm registers, or kNoDeadline
  u64 deadline_ = kNoDeadline;
  Fields frozen_{};  ///< the time registers while SET halts updates
  std::array<u8, 128> memory_{};
  u8 index_ = 0;
  bool asserted_ = false;
};

}  // namespace hv
