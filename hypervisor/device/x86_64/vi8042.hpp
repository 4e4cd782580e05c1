// The keyboard controller of a PC to which nothing is connected.
#pragma once

#include "hypervisor/device/x86_64/pc_host.hpp"

namespace hv {

/// Answers its self-test and says of both ports that no device is there; never interrupts. Its reset line works, the
/// A20 gate is a bit without effect. The FADT should say that there is none (IAPC_BOOT_ARCH), so that nobody waits for
/// a keyboard. Context: under the VM's device lock.
class VI8042 {
 public:
  static constexpr u16 kDataPort = 0x60;
  static constexpr u16 kCommandPort = 0x64;

  explicit VI8042(PcHost& host) : host_(host) {}

  void power_on();

  u8 read_status() const;
  u8 read_data();
  void write_command(u8 value);
  void write_data(u8 value);

 private:
  void reply(u8 value);

  PcHost& host_;
  u8 configuration_ = 0;
  u8 output_port_ = 0;
  u8 output_ = 0;
  bool full_ = false;
  bool last_was_command_ = false;
  u8 argument_of_ = 0;  ///< the command that takes the next data byte, 0: it goes to the keyboard
};

}  // namespace hv
