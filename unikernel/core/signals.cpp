#include "unikernel/core/signals.hpp"

#include "kernel/log/log.hpp"
#include "unikernel/core/errno.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/waiting.hpp"

namespace ax::uni {
namespace {

constinit SignalHooks hooks;

constexpr u64 bit(unsigned signal) { return u64{1} << signal; }

}  // namespace

void set_signal_hooks(const SignalHooks& wanted) { hooks = wanted; }
const SignalHooks& signal_hooks() { return hooks; }

void default_action(unsigned signal) {
  constexpr u64 kIgnored =
      bit(Signal::kChild) | bit(Signal::kContinue) | bit(Signal::kTerminalStop) | bit(Signal::kUrgent) | bit(Signal::kWindow);
  constexpr u64 kMistakes = bit(Signal::kIll) | bit(Signal::kBus) | bit(Signal::kFpe) | bit(Signal::kSegv);
  constexpr unsigned kBySignal = 128, kBits = 64;
  if (signal < kBits && (kIgnored & bit(signal)) != 0) return;
  if (signal < kBits && (kMistakes & bit(signal)) != 0)
    log::print_line("unikernel: the program has sent itself signal {} and does not handle it", signal);
  end_program(kBySignal + signal);
}

void raise_signal(unsigned signal) { hooks.raise != nullptr ? hooks.raise(signal) : default_action(signal); }
bool handles_signals() { return hooks.handle != nullptr; }

u64 until_next_signal(u64 deadline) {
  if (hooks.next_timer == nullptr) return deadline;
  const u64 timer = hooks.next_timer();
  return timer < deadline ? timer : deadline;
}

u64 next_signal_interrupt() { return hooks.next_interrupt == nullptr ? kNever : hooks.next_interrupt(); }

i64 wait_interruptibly(u32 seen, u64 deadline, Restart restart) {
  const auto interrupted = [&] {
    if (hooks.handle == nullptr) return false;
    const SignalHooks::Handled handled = hooks.handle();
    return handled.any && (restart == Restart::Never || !handled.restart);
  };
  if (interrupted()) return kInterrupted;
  wait_for_change(seen, until_next_signal(deadline));
  return interrupted() ? i64{kInterrupted} : 0;
}

SignalMaskWhileWaiting::SignalMaskWhileWaiting(const u64* mask) : changed_(mask != nullptr && hooks.exchange_mask != nullptr) {
  if (changed_) before_ = hooks.exchange_mask(*mask);
}
SignalMaskWhileWaiting::~SignalMaskWhileWaiting() {
  if (changed_) hooks.restore_mask(before_);
}

}  // namespace ax::uni
