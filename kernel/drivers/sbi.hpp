// Client of the firmware of RISC-V machines (Supervisor Binary Interface 1.0): harts, interrupts between them, deadlines, the
// end of the machine, a console. "Hart" is the specification's word for a CPU.
#pragma once

#include "kernel/base/result.hpp"
#include "kernel/drivers/uart.hpp"

namespace ax::drivers {

/// Any context.
namespace sbi {

enum class Extension : u32 {
  Base = 0x10,
  Time = 0x5449'4d45,
  Ipi = 0x73'5049,
  RemoteFence = 0x5246'4e43,
  HartState = 0x48'534d,
  SystemReset = 0x5352'5354,
  DebugConsole = 0x4442'434e,
};

/// Whether the firmware has the extension.
bool has(Extension extension);

/// Starts a hart in supervisor mode at physical address `entry`, translation off, interrupts masked, its number in a0 and
/// `context` in a1. Returns when the firmware has accepted the request. Errors: InvalidArgument, AlreadyExists (it runs, or is
/// starting), NotSupported, BadState (a failure of the firmware).
Result<void> start_hart(u64 hart, Hpa entry, u64 context);

/// Raises the software interrupt of a hart.
void send_interrupt(u64 hart);

/// A hart forgets what it remembers of the page tables. Complete on return.
void flush_tlb(u64 hart);

/// This hart's timer interrupt comes when the counter reaches `ticks`, and is not pending before.
void set_timer(u64 ticks);

/// End the machine. They return only when the firmware refuses.
void shut_down();
void reboot();

}  // namespace sbi

/// The firmware's console: for machines whose serial port nobody here knows, and before it is found. It has no interrupt.
class SbiConsole final : public Uart {
 public:
  constexpr SbiConsole() = default;
  void init() override;
  std::optional<char> get() override;
  void enable_receive_interrupt() override {}
  void acknowledge_interrupt() override {}

 private:
  bool can_send() override { return true; }
  void send(char c) override;

  bool is_modern_ = false;  ///< the extension DBCN is there
};

}  // namespace ax::drivers
