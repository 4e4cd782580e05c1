#include "kernel/log/log.hpp"

#include <arch/cpu.hpp>
#include <array>
#include <atomic>

#include "kernel/base/spinlock.hpp"

namespace ax::log {
namespace {

/// Text in the order it came; the newest kRingSize bytes are there.
struct Ring {
  std::array<char, kRingSize> text{};
  u64 end = 0;  ///< bytes ever written

  u64 begin() const { return end > kRingSize ? end - kRingSize : 0; }
  void append(std::string_view bytes) {
    for (char c : bytes) text[end++ % kRingSize] = c;
  }
  /// The longest piece from `from` on that lies in one piece.
  std::string_view piece(u64 from) const {
    const u64 offset = from % kRingSize;
    const u64 length = end - from < kRingSize - offset ? end - from : kRingSize - offset;
    return {text.data() + offset, length};
  }
};

// Apart from the rest, which does not start as zeros and would drag it out of .bss.
constinit Ring ring;

struct State {
  u64 printed = 0;  ///< how much of the ring's text has reached a console
  Sink* console = nullptr;
  TicketLock lock;
  // Plain loads and stores work before the MMU is on; read-modify-write need not.
  std::atomic<bool> locking{false};
  std::atomic<Clock> clock{nullptr};
  std::atomic<Level> level{kCompiledLevel};
};
constinit State state;

bool harmless(char c) {
  constexpr char kEscape = '\x1b';
  constexpr char kDelete = '\x7f';
  return static_cast<u8>(c) >= ' ' ? c != kDelete : c == '\t' || c == kEscape;
}

/// One line under construction.
class LineSink final : public Sink {
 public:
  void write(std::string_view text) override {
    for (char c : text) {
      if (size_ == kRoom) {
        cut_ = true;
        return;
      }
      buffer_[size_++] = harmless(c) ? c : '.';
    }
  }
  /// The whole line, ended.
  std::string_view finish() {
    if (cut_) {
      for (char c : kEllipsis) buffer_[size_++] = c;
    }
    buffer_[size_++] = '\n';
    return {buffer_.data(), size_};
  }

 private:
  static constexpr std::string_view kEllipsis = "...";
  static constexpr usize kRoom = kLineSize - kEllipsis.size() - 1;
  std::array<char, kLineSize> buffer_;
  usize size_ = 0;
  bool cut_ = false;
};

/// Sends what the ring has and the console has not seen. The lock is held.
void print_pending() {
  if (state.console == nullptr) return;
  if (state.printed < ring.begin()) {
    state.console->write("... earlier lines are lost\n");
    state.printed = ring.begin();
  }
  while (state.printed != ring.end) {
    const std::string_view piece = ring.piece(state.printed);
    state.console->write(piece);
    state.printed += piece.size();
  }
}

void emit(std::string_view text) {
  const ConsoleGuard guard;
  ring.append(text);
  print_pending();
}

class RawConsole final : public Sink {
 public:
  void write(std::string_view text) override { emit(text); }
};
constinit RawConsole raw_console;

}  // namespace

ConsoleGuard::ConsoleGuard() : interrupts_(arch::irq_save()), locked_(state.locking.load(std::memory_order_acquire)) {
  if (!locked_) return;
  LockOrder::acquired(LockRank::Console);
  state.lock.lock();
}

ConsoleGuard::~ConsoleGuard() {
  if (locked_) {
    state.lock.unlock();
    LockOrder::released(LockRank::Console);
  }
  arch::irq_restore(interrupts_);
}

void set_level(Level level) { state.level.store(level < kCompiledLevel ? level : kCompiledLevel, std::memory_order_relaxed); }

Level level() { return state.level.load(std::memory_order_relaxed); }

void set_console(Sink& console) {
  const ConsoleGuard guard;
  state.console = &console;
  print_pending();
}

void set_clock(Clock microseconds) { state.clock.store(microseconds, std::memory_order_release); }

u64 now() {
  const Clock clock = state.clock.load(std::memory_order_acquire);
  return clock != nullptr ? clock() : 0;
}

void enable_locking() { state.locking.store(true, std::memory_order_release); }

void enter_panic() { state.locking.store(false, std::memory_order_release); }

Sink& console() { return raw_console; }

std::string_view recent(std::span<char> buffer) {
  const ConsoleGuard guard;
  u64 from = ring.begin();
  if (ring.end - from > buffer.size()) from = ring.end - buffer.size();
  usize used = 0;
  for (; from != ring.end; ++from) buffer[used++] = ring.text[from % kRingSize];
  return {buffer.data(), used};
}

namespace detail {

void line(const char* text, u64 kinds, ...) {
  constexpr u64 kSecond = 1'000'000;
  LineSink sink;
  const u64 level = kinds & kNoLevel;
  if (level != kNoLevel) {
    if (static_cast<Level>(level) > log::level()) return;
    const u64 time = now();
    print(sink, "[{:5}.{:06} {} {}] ", time / kSecond, time % kSecond, arch::cpu_index(), name(static_cast<Level>(level)));
  }
  std::va_list arguments;
  va_start(arguments, kinds);
  ax::detail::format(sink, text, kinds, arguments);
  va_end(arguments);
  emit(sink.finish());
}

}  // namespace detail
}  // namespace ax::log
