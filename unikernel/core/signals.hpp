// Signals as the rest of the system sees them: what waits can be interrupted, and what has gone wrong can be told. Without the
// service `signals` each has its default action.
#pragma once

#include "unikernel/core/time.hpp"

namespace ax::uni {

/// Linux's numbers of signals that mean something here.
struct Signal {
  enum : u8 {
    kIll = 4,
    kTrap = 5,
    kBus = 7,
    kFpe = 8,
    kKill = 9,
    kSegv = 11,
    kPipe = 13,
    kAlarm = 14,
    kChild = 17,
    kContinue = 18,
    kStop = 19,
    kTerminalStop = 20,
    kUrgent = 23,
    kWindow = 28
  };
};

/// A handler that is to run.
struct SignalDelivery {
  unsigned signal = 0;
  u64 handler = 0;
  u64 flags = 0;
  u64 restorer = 0;
  u64 mask_before = 0;  ///< what the thread gets back afterwards; it has the handler's by now
};

struct SignalHooks {
  void (*raise)(unsigned signal) = nullptr;
  /// Handles what is pending for the calling thread. Whether something was, and whether each of the handlers wants the call that was
  /// interrupted to go on.
  struct Handled {
    bool any = false, restart = true;
  };
  Handled (*handle)() = nullptr;
  /// The earliest moment at which a timer of the program sends a signal; kNever: none does.
  u64 (*next_timer)() = nullptr;
  /// The same where an interrupt delivers it: see next_signal_interrupt().
  u64 (*next_interrupt)() = nullptr;
  u64 (*exchange_mask)(u64 mask) = nullptr;
  /// The mask that a call has exchanged while it waited comes back: after the handlers that it let run.
  void (*restore_mask)(u64 mask) = nullptr;

  // For programs in user mode, whose handlers nobody can call.
  /// From now on `handle` says what is pending, and `take` takes it.
  void (*defer)() = nullptr;
  bool (*take)(SignalDelivery& delivery) = nullptr;
  /// The same for a mistake of the calling thread: false where it has no handler, or masks the signal.
  bool (*force)(unsigned signal, SignalDelivery& delivery) = nullptr;
};
void set_signal_hooks(const SignalHooks& hooks);
const SignalHooks& signal_hooks();

/// Does what happens to a program that has not said anything about the signal (1..64): nothing, or it ends.
void default_action(unsigned signal);
/// Sends a signal to the calling thread.
void raise_signal(unsigned signal);
/// Whether a service handles signals at all.
bool handles_signals();
/// `deadline`, or an earlier moment at which a signal may have to be handled.
u64 until_next_signal(u64 deadline);

/// The moment at which a thread that computes has to be interrupted for a signal; kNever: none. Any context.
u64 next_signal_interrupt();

/// Whether a call that a handler interrupted goes on where the handler's SA_RESTART says so.
enum class Restart : u8 { IfWanted, Never };

/// wait_for_change(), interrupted by signals: 0, or -EINTR after they were handled. No lock is held.
i64 wait_interruptibly(u32 seen, u64 deadline, Restart restart = Restart::IfWanted);

/// The signal mask that ppoll() and its like have while they wait; nullptr: no other.
class SignalMaskWhileWaiting {
 public:
  explicit SignalMaskWhileWaiting(const u64* mask);
  ~SignalMaskWhileWaiting();
  SignalMaskWhileWaiting(const SignalMaskWhileWaiting&) = delete;
  SignalMaskWhileWaiting& operator=(const SignalMaskWhileWaiting&) = delete;

 private:
  bool changed_;
  u64 before_ = 0;
};

/// What each thread has of its own.
struct ThreadSignals {
  u64 mask = 0;                            ///< bit n - 1: signal n waits
  u64 pending = 0;                         ///< atomic
  u64 restore = 0;                         ///< in user mode: the mask after the call and its handlers, if it has kRestore
  static constexpr u64 kRestore = 1 << 8;  ///< SIGKILL is never masked
};

}  // namespace ax::uni
