// A ready-made program in user mode: how the CPU enters it and what brings it back. The functions are unikernel/app/<arch>'s.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <user_frame.hpp>

#include "kernel/base/types.hpp"

namespace ax::uni {

/// What has ended the program's turn.
struct UserTrap {
  enum class Kind : u8 {
    Call,         ///< a system call
    Interrupt,    ///< already handled
    MemoryFault,  ///< at `address`
    Mistake,      ///< of the program: another exception
  };
  Kind kind = Kind::Mistake;
  bool write = false, execute = false;  ///< of a memory fault
  u8 signal = 0;                        ///< that a mistake is on Linux
  u64 address = 0;
  std::string_view name{};  ///< of the exception
};

/// What has happened, from what ax_user_trap() is given. Interrupts masked. An interrupt is handled; after a call the program goes on
/// behind the instruction that made it.
UserTrap user_trap(UserFrame& frame, u64 cause);

/// The last thing before user mode is entered with `frame`, which lies at the end of the thread's kernel stack: this CPU comes back
/// to there. Interrupts masked.
void prepare_user_mode(UserFrame& frame);

/// What this CPU has left user mode with. Interrupts masked since then.
UserFrame& current_user_frame();

/// What a new program begins with, but for `pc` and `sp`.
UserFrame new_user_frame(u64 pc, u64 sp);

/// The instructions that were written to `where` as data can be executed.
void synchronise_code(Range<Hva> where);

/// AT_HWCAP and AT_HWCAP2.
struct CpuFeatures {
  u64 first = 0, second = 0;
};
CpuFeatures cpu_features();

/// A system call that only this architecture has; nothing: it is not one.
std::optional<i64> machine_call(u64 number, u64 a, u64 b);

// ---- handlers of signals, as Linux lays their frames out

/// What a handler is told.
struct SignalFrame {
  unsigned signal = 0;
  i32 code = 0;     ///< si_code
  u64 address = 0;  ///< of a mistake; else who sent it
  u64 handler = 0;
  u64 return_to = 0;  ///< code that makes the system call rt_sigreturn
  u64 mask = 0;       ///< of the thread, when the handler returns
  u64 stack = 0;      ///< the frame is written below; what compilers keep below a stack pointer is taken off already
  u64 stack_base = 0, stack_size = 0, stack_flags = 0;  ///< of sigaltstack(), as it was
};
/// `frame` becomes the handler's.
void push_signal_frame(UserFrame& frame, const SignalFrame& wanted);
/// The opposite: `frame` becomes what the handler has interrupted, as the handler has left it. The thread's mask.
u64 pop_signal_frame(UserFrame& frame);
/// Bytes below the stack pointer that are a function's own.
inline constexpr u64 kRedZone = UserFrame::kRedZone;
/// Instructions that make the call, for programs that have none themselves; empty: they always have.
std::span<const u32> signal_return_code();

void print_user_registers(const UserFrame& frame);

}  // namespace ax::uni

extern "C" {
/// Enters user mode; see prepare_user_mode().
[[noreturn]] void ax_enter_user(ax::uni::UserFrame* frame);
/// Called by user.S with what user mode was left with. When it returns, `frame` is continued.
void ax_user_trap(ax::uni::UserFrame* frame, ax::u64 cause);
/// All vector registers, in the order and the size that the architecture's signal frames have.
void ax_save_vectors(void* to);
void ax_load_vectors(const void* from);
}
