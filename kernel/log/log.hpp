// Log lines with a level: compiled out above the board's level, adjustable below it.
//
//   [    1.000250 0 INFO] text       seconds.microseconds, CPU, level
//
// A line is one line: control characters in it, other than tab and ESC, are printed as '.', and what exceeds kLineSize is
// cut off with "...". Lines of several CPUs never mix. Everything may be called from any context, also before the MMU.
//
// A line goes into a ring of its CPU first, without a lock, and from there to the console, under one. So what one CPU has to
// say pushes out nothing that another has said, and a panic finds the lines of all of them.
#pragma once

#include <board_config.hpp>
#include <span>

#include "kernel/base/format.hpp"

namespace ax::log {

enum class Level : u8 { Error, Warn, Info, Debug, Trace };
constexpr std::string_view name(Level level) {
  constexpr std::string_view names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
  return names[static_cast<u8>(level)];
}

/// The most detailed level that is compiled in: the board's `log` key.
inline constexpr Level kCompiledLevel = static_cast<Level>(board::kLogLevel);

/// Most bytes of a line, its '\n' included.
inline constexpr usize kLineSize = 512;
/// Bytes of log that are kept of each CPU: its text, and eight for each line.
inline constexpr usize kRingSize = 16 * 1024;

/// Lowers or raises what is printed, within `kCompiledLevel`. Any context.
void set_level(Level level);
Level level();

/// The console all lines go to, besides the rings. Before the first call lines are kept in the rings only and are printed
/// when the console comes. The sink must be callable from any context, interrupts masked included; it takes no lock and
/// logs nothing. It is given whole lines, each with its '\n'.
void set_console(Sink& console);

/// Microseconds since boot for the time of a line; before the first call every line says 0. Any context.
using Clock = u64 (*)();
void set_clock(Clock microseconds);
/// What the clock says; 0 without one.
u64 now();

/// From now on lines of several CPUs exclude each other. Boot CPU, once, when the MMU is on and before other CPUs start:
/// earlier, exclusive accesses need not work (Arm ARM B2.9), and one CPU needs none.
void enable_locking();

/// Puts the console into a state where a panic can print: no lock is waited for any more.
void enter_panic();

/// Raw access for a panic report: what is written goes to ring and console as it is, each kLineSize bytes under the lock.
Sink& console();

/// Keeps all other writers off the console while it lives, for an owner that writes to the device itself (unfinished lines
/// of guests). Nothing may be logged meanwhile. Interrupts are masked.
class [[nodiscard]] ConsoleGuard {
 public:
  ConsoleGuard();
  ~ConsoleGuard();
  ConsoleGuard(const ConsoleGuard&) = delete;
  ConsoleGuard& operator=(const ConsoleGuard&) = delete;

 private:
  u64 interrupts_;
  bool locked_;
};

/// The newest log text of all CPUs, oldest first, at most as much as `buffer` and the rings hold. Returns the part that was
/// filled. Without a lock: what is overwritten meanwhile is left out.
std::string_view recent(std::span<char> buffer);

/// Lets `burst` events pass at once and `per_second` in the long run, for lines that a guest can cause at will. The owner
/// serialises calls.
class RateLimiter {
 public:
  constexpr RateLimiter(u32 burst, u32 per_second) : burst_(burst), per_second_(per_second), tokens_(burst) {}

  /// Whether an event at `now` microseconds may be reported. Time that goes backwards counts as standing still.
  constexpr bool allow(u64 now) {
    constexpr u64 kSecond = 1'000'000;
    if (now > last_) {
      // After a long pause the bucket is full anyway; the bound keeps the product from overflowing.
      const u64 elapsed = now - last_ < kSecond * 3600 ? now - last_ : kSecond * 3600;
      const u64 earned = elapsed * per_second_ / kSecond;
      if (earned > 0) {
        tokens_ = earned < burst_ - tokens_ ? static_cast<u32>(tokens_ + earned) : burst_;
        last_ = now;
      }
    }
    if (tokens_ == 0) {
      ++suppressed_;
      return false;
    }
    --tokens_;
    return true;
  }
  /// How many events were refused since the last call.
  constexpr u64 take_suppressed() {
    const u64 n = suppressed_;
    suppressed_ = 0;
    return n;
  }

 private:
  u32 burst_;
  u32 per_second_;
  u32 tokens_;
  u64 last_ = 0;
  u64 suppressed_ = 0;
};

namespace detail {
/// Formats and prints one line. The lowest four bits of `kinds` are its level, or kNoLevel.
inline constexpr u64 kNoLevel = 15;
[[gnu::cold]] void line(const char* text, u64 kinds, ...);

template <Level L, class... Args>
[[gnu::always_inline]] inline void at(FormatString<std::type_identity_t<Args>...> format, const Args&... args) {
  if constexpr (L <= kCompiledLevel) {
    line(format.text(), ax::detail::kinds_of<Args...>(static_cast<u64>(L)), ax::detail::passed(args)...);
  }
}
}  // namespace detail

template <class... Args>
[[gnu::always_inline]] inline void error(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Error, Args...>(f, a...); }
template <class... Args>
[[gnu::always_inline]] inline void warn(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Warn, Args...>(f, a...); }
template <class... Args>
[[gnu::always_inline]] inline void info(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Info, Args...>(f, a...); }
template <class... Args>
[[gnu::always_inline]] inline void debug(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Debug, Args...>(f, a...); }
template <class... Args>
[[gnu::always_inline]] inline void trace(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Trace, Args...>(f, a...); }

/// Prints a line unconditionally and without a level: the banner, verdicts, reports. Any context, also before the MMU.
template <class... Args>
[[gnu::always_inline]] inline void print_line(FormatString<std::type_identity_t<Args>...> f, const Args&... args) {
  detail::line(f.text(), ax::detail::kinds_of<Args...>(detail::kNoLevel), ax::detail::passed(args)...);
}

}  // namespace ax::log
