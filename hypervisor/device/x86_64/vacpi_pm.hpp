// The ACPI fixed hardware of a guest: PM1a event and control blocks and the power management timer (ACPI 4.8.3).
#pragma once

#include "hypervisor/device/wires.hpp"
#include "hypervisor/device/x86_64/device_clock.hpp"
#include "hypervisor/device/x86_64/pc_host.hpp"

namespace hv {

/// Always in ACPI mode: there is no SMI command port, and SCI_EN is one. The PM timer has 24 bits. Sleep type 5 is S5,
/// the only one. For the FADT: PM1a_EVT_BLK 0x600 (4 bytes), PM1a_CNT_BLK 0x604 (2), PM_TMR_BLK 0x608 (4), SCI_INT 9.
/// Context: under the VM's device lock; `now` is guest TSC.
class VAcpiPm {
 public:
  static constexpr u16 kPort = 0x600;
  static constexpr u16 kSize = 12;
  static constexpr unsigned kSciIrq = 9;
  static constexpr u64 kHz = 3'579'545;
  static constexpr unsigned kSleepTypeS5 = 5;

  VAcpiPm(u64 tsc_hz, PcHost& host, InterruptLine& sci) : clock_(tsc_hz, kHz), host_(host), sci_(sci) {}

  void power_on();

  /// An access of 1, 2 or 4 bytes inside the block, `offset` from 0x600.
  u32 read(unsigned offset, u32 size, u64 now);
  void write(unsigned offset, u32 size, u32 value, u64 now);

  /// The user asks the guest to shut down.
  void press_power_button();

  u64 deadline() const { return deadline_; }
  void run_timer(u64 now);

 private:
  void settle(u64 now);
  void refresh();

  DeviceClock clock_;
  PcHost& host_;
  InterruptLine& sci_;
  u64 half_ = 0;  ///< periods of the timer's top bit that are over
  u64 deadline_ = kNoDeadline;
  u16 status_ = 0;
  u16 enable_ = 0;
  u16 control_ = 0;
  bool asserted_ = false;
};

}  // namespace hv
