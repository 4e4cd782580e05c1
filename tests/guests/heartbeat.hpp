// The heartbeat guest: what it does on every architecture. It counts ticks of a timer, says so ten times a second of its own
// time,
// and obeys keys:
//   c  crashes            r  resets the machine        o  powers off
//   s  spins for ever with every interrupt masked      q  prints no more heartbeats      h  says how it is at once
//   w  stops feeding its watchdog
// The file of each architecture declares its Machine and calls run().
#pragma once

#include <cstdint>

namespace heartbeat {

using u64 = std::uint64_t;

inline constexpr u64 kTickMs = 10;
inline constexpr u64 kTicksPerLine = 10;

/// Machine: print(), print_number(), milliseconds() since the machine started, key() or 0, wait_for_tick(), feed_watchdog(),
/// crash(),
/// spin(), reset(), power_off().
template <class Machine>
class Guest {
 public:
  explicit Guest(Machine& m) : machine(m) {}

  [[noreturn]] void run() {
    machine.print("heart: hello\n");
    last_ = machine.milliseconds();
    for (;;) {
      machine.wait_for_tick();
      const u64 now = machine.milliseconds();
      if (now - last_ > longest_) longest_ = now - last_;
      last_ = now;
      ++ticks_;
      if (feeds_) machine.feed_watchdog();
      obey(machine.key());
      if (talks_ && ticks_ % kTicksPerLine == 0) say();
    }
  }

 private:
  void say() {
    machine.print("heart: beat ");
    machine.print_number(ticks_);
    machine.print(" at ");
    machine.print_number(last_);
    machine.print(" ms, longest gap ");
    machine.print_number(longest_);
    machine.print(" ms\n");
  }

  void obey(char key) {
    switch (key) {
      case 'c': return machine.crash();
      case 'r': return machine.reset();
      case 'o': return machine.power_off();
      case 's': machine.print("heart: spinning\n"); return machine.spin();
      case 'h': return say();
      case 'q': talks_ = false; return;
      case 'w': feeds_ = false; return;
      default: return;
    }
  }

  Machine& machine;
  u64 ticks_ = 0;
  u64 last_ = 0;
  u64 longest_ = 0;
  bool talks_ = true;
  bool feeds_ = true;
};

}  // namespace heartbeat
