#include "kernel/log/log.hpp"

#include <arch/cpu.hpp>
#include <array>
#include <atomic>
#include <utility>

#include "kernel/base/spinlock.hpp"

namespace ax::log {
namespace {

/// The newest lines of one CPU. Only that CPU writes, interrupts masked, and waits for nobody; others read meanwhile, and find
/// out afterwards whether what they read had been given up for something newer. Positions count bytes ever written.
class Ring {
 public:
  /// A line, or what was written at once. In two pieces where the ring's end divides it.
  struct Record {
    u64 sequence;
    std::string_view head, tail;
    u64 end;  ///< where the next one begins
  };

  u64 begin() const { return begin_.load(std::memory_order_acquire); }
  u64 end() const { return end_.load(std::memory_order_acquire); }

  void append(u64 sequence, std::string_view text) {
    const u64 end = end_.load(std::memory_order_relaxed);
    u64 begin = begin_.load(std::memory_order_relaxed);
    while (end + kHeaderSize + text.size() - begin > kRingSize) begin = at(begin).end;
    // Given up before it is overwritten.
    begin_.store(begin, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    const u64 header = sequence << kSizeBits | text.size();
    for (usize i = 0; i < kHeaderSize; ++i) put(end + i, static_cast<char>(header >> 8 * i));
    for (usize i = 0; i < text.size(); ++i) put(end + kHeaderSize + i, text[i]);
    end_.store(end + kHeaderSize + text.size(), std::memory_order_release);
  }

  /// The record at `position`, nonsense if that has been given up.
  Record at(u64 position) const {
    u64 header = 0;
    for (usize i = kHeaderSize; i-- != 0;) header = header << 8 | static_cast<u8>(text_[(position + i) % kRingSize]);
    const usize size = header % (1 << kSizeBits) % kRingSize;
    const u64 offset = (position + kHeaderSize) % kRingSize;
    const usize whole = offset + size < kRingSize ? size : kRingSize - offset;
    return {header >> kSizeBits, {text_.data() + offset, whole}, {text_.data(), size - whole}, position + kHeaderSize + size};
  }
  /// Whether what was read from `position` on is what was written there.
  bool has(u64 position) const {
    std::atomic_thread_fence(std::memory_order_acquire);
    return position >= begin_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr unsigned kSizeBits = 16;
  static constexpr usize kHeaderSize = sizeof(u64);

  void put(u64 position, char c) { text_[position % kRingSize] = c; }

  std::array<char, kRingSize> text_{};
  std::atomic<u64> begin_{0};
  std::atomic<u64> end_{0};
};

// Apart from the rest, which does not start as zeros and would drag them out of .bss.
constinit Ring rings[board::kMaxCpus];

/// Goes through the records of all CPUs in the order they were made.
class Reader {
 public:
  /// The CPU whose record comes next, or kNobody.
  static constexpr unsigned kNobody = board::kMaxCpus;
  unsigned next() {
    unsigned first = kNobody;
    u64 earliest = kNothing;
    for (unsigned cpu = 0; cpu < board::kMaxCpus; ++cpu) {
      const u64 sequence = peek(cpu);
      if (sequence >= earliest) continue;
      earliest = sequence;
      first = cpu;
    }
    return first;
  }
  Ring::Record record(unsigned cpu) const { return rings[cpu].at(at_[cpu]); }
  /// Goes on behind it. False: it had been given up while it was read.
  bool advance(unsigned cpu, u64 end) {
    const bool had = rings[cpu].has(at_[cpu]);
    if (had) at_[cpu] = end;
    return had;
  }
  bool take_lost() { return std::exchange(lost_, false); }

 private:
  static constexpr u64 kNothing = ~u64{0};

  /// The sequence number of what comes next of `cpu`.
  u64 peek(unsigned cpu) {
    const Ring& ring = rings[cpu];
    for (;;) {
      if (const u64 begin = ring.begin(); at_[cpu] < begin) {
        at_[cpu] = begin;
        lost_ = true;
      }
      if (at_[cpu] == ring.end()) return kNothing;
      const u64 sequence = ring.at(at_[cpu]).sequence;
      if (ring.has(at_[cpu])) return sequence;
    }
  }

  std::array<u64, board::kMaxCpus> at_{};
  bool lost_ = false;
};

struct State {
  Reader printed;  ///< has read what has reached a console
  Sink* console = nullptr;
  TicketLock lock;
  // Plain loads and stores work before the MMU is on; read-modify-write need not.
  std::atomic<bool> locking{false};
  std::atomic<u64> sequence{0};
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

/// Sends what the rings have and the console has not seen. The lock is held. Whoever has appended something waits for the lock and
/// appends no more until it is printed: nothing is given up meanwhile.
void print_pending() {
  if (state.console == nullptr) return;
  for (unsigned cpu; (cpu = state.printed.next()) != Reader::kNobody;) {
    if (state.printed.take_lost()) state.console->write("... earlier lines are lost\n");
    const Ring::Record record = state.printed.record(cpu);
    state.console->write(record.head);
    if (!record.tail.empty()) state.console->write(record.tail);
    (void)state.printed.advance(cpu, record.end);
  }
}

u64 next_sequence() {
  if (state.locking.load(std::memory_order_relaxed)) return state.sequence.fetch_add(1, std::memory_order_relaxed);
  const u64 sequence = state.sequence.load(std::memory_order_relaxed);
  state.sequence.store(sequence + 1, std::memory_order_relaxed);
  return sequence;
}

/// `text`: kLineSize bytes at most.
void emit(std::string_view text) {
  const u64 interrupts = arch::irq_save();
  rings[arch::cpu_index() % board::kMaxCpus].append(next_sequence(), text);
  {
    const ConsoleGuard guard;
    print_pending();
  }
  arch::irq_restore(interrupts);
}

class RawConsole final : public Sink {
 public:
  void write(std::string_view text) override {
    for (; text.size() > kLineSize; text.remove_prefix(kLineSize)) emit(text.substr(0, kLineSize));
    emit(text);
  }
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
  usize total = 0;
  Reader count;
  for (unsigned cpu; (cpu = count.next()) != Reader::kNobody;) {
    const Ring::Record record = count.record(cpu);
    if (count.advance(cpu, record.end)) total += record.head.size() + record.tail.size();
  }
  // What comes after the count is for the next one to ask.
  usize skip = total > buffer.size() ? total - buffer.size() : 0;
  usize used = 0;
  Reader reader;
  for (unsigned cpu; used < buffer.size() && (cpu = reader.next()) != Reader::kNobody;) {
    const Ring::Record record = reader.record(cpu);
    usize filled = used;
    usize skipped = skip;
    for (const std::string_view piece : {record.head, record.tail}) {
      for (const char c : piece) {
        if (skipped != 0)
          --skipped;
        else if (filled < buffer.size())
          buffer[filled++] = c;
      }
    }
    if (!reader.advance(cpu, record.end)) continue;
    used = filled;
    skip = skipped;
  }
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
