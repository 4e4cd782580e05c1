// What the work guests of all architectures do. Their command line says when to begin, and for how long:
//   work=BEGIN,SECONDS            computes, and says which share of the time it had
//   report=BEGIN,PERIOD           computes for ever, and says every PERIOD seconds how much it has
//   sleep=BEGIN,SECONDS,PERIOD    wakes up every PERIOD microseconds, and says how late it was at worst
// Times are seconds of the guest's own time.
#pragma once

#include <cstdint>

/// `Machine` has, as static members: now() in ticks, frequency() in ticks per second, stolen() in nanoseconds,
/// sleep_until(ticks) until a timer interrupt, compute() for one unit of work with the same number of instructions each time,
/// print(text), print_number(n).
namespace work {

inline constexpr std::uint64_t kTailSeconds = 5;

/// The number behind `name` in `text`, whose values are separated by commas: number 0, 1 ...; 0 if it is not there.
inline std::uint64_t value(const char* text, std::uint64_t size, const char* name, std::uint32_t number) {
  for (std::uint64_t at = 0; at < size; ++at) {
    std::uint64_t i = 0;
    while (name[i] != '\0' && at + i < size && text[at + i] == name[i]) ++i;
    if (name[i] != '\0') continue;
    std::uint64_t parsed = 0;
    for (at += i; at < size; ++at) {
      if (text[at] >= '0' && text[at] <= '9') {
        parsed = parsed * 10 + static_cast<std::uint64_t>(text[at] - '0');
      } else if (text[at] == ',' && number != 0) {
        --number;
        parsed = 0;
      } else {
        return number == 0 ? parsed : 0;
      }
    }
  }
  return 0;
}

/// Without anybody else a unit takes as long as the shortest one ever took.
template <class Machine>
void compute_until(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t stolen_before = Machine::stolen();
  std::uint64_t units = 0, shortest = ~std::uint64_t{0};
  for (std::uint64_t before = Machine::now(); before < end; ++units) {
    Machine::compute();
    const std::uint64_t after = Machine::now();
    if (after - before < shortest) shortest = after - before;
    before = after;
  }
  const std::uint64_t permille = units * shortest * 1000 / (end - begin);
  Machine::print("work: ");
  Machine::print_number(units);
  Machine::print(" units, a share of ");
  Machine::print_number(permille);
  Machine::print(" in 1000, ran ");
  Machine::print_number((end - begin) * 1000 / Machine::frequency() - (Machine::stolen() - stolen_before) / 1'000'000);
  Machine::print(" ms\n");
  // Others are not done yet, and their part must not grow.
  const std::uint64_t tail = Machine::frequency() * kTailSeconds;
  while (Machine::now() < end + tail) Machine::compute();
}

/// Of the guest's time, in hundredths of a second.
template <class Machine>
std::uint64_t hundredths() {
  return Machine::now() / (Machine::frequency() / 100);
}

/// Says what a Linux guest's loop does in the same test: tests/boot/MeasureShares.cmake reads it.
template <class Machine>
[[noreturn]] void compute_and_report(std::uint64_t period) {
  std::uint64_t units = 0;
  for (std::uint64_t next = Machine::now() + period;; ++units) {
    Machine::compute();
    if (Machine::now() < next) continue;
    next += period;
    const std::uint64_t now = hundredths<Machine>();
    Machine::print("worked 0 ");
    Machine::print_number(units);
    Machine::print(" at ");
    Machine::print_number(now / 100);
    Machine::print(now % 100 < 10 ? ".0" : ".");
    Machine::print_number(now % 100);
    Machine::print(" stolen ");
    Machine::print_number(Machine::stolen() / 10'000'000);
    Machine::print("\n");
  }
}

template <class Machine>
void wake_until(std::uint64_t begin, std::uint64_t end, std::uint64_t period) {
  std::uint64_t worst = 0, times = 0;
  for (std::uint64_t next = begin; next < end; next += period, ++times) {
    Machine::sleep_until(next);
    const std::uint64_t late = Machine::now() - next;
    if (late > worst) worst = late;
  }
  Machine::print("sleep: woke ");
  Machine::print_number(times);
  Machine::print(" times, at most ");
  Machine::print_number(worst * 1'000'000 / Machine::frequency());
  Machine::print(" us late\n");
}

template <class Machine>
void run(const char* text, std::uint64_t size) {
  const bool sleeps = value(text, size, "sleep=", 1) != 0, reports = value(text, size, "report=", 1) != 0;
  const char* name = sleeps ? "sleep=" : reports ? "report=" : "work=";
  const std::uint64_t begin = value(text, size, name, 0) * Machine::frequency();
  const std::uint64_t end = begin + value(text, size, name, 1) * Machine::frequency();
  Machine::print("work: ready\n");
  Machine::sleep_until(begin);
  if (sleeps) {
    wake_until<Machine>(begin, end, value(text, size, name, 2) * Machine::frequency() / 1'000'000);
  } else if (reports) {
    compute_and_report<Machine>(value(text, size, name, 1) * Machine::frequency());
  } else {
    compute_until<Machine>(begin, end);
  }
}

}  // namespace work
