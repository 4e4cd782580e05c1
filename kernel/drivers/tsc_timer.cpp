#include "kernel/drivers/tsc_timer.hpp"

#include <algorithm>
#include <arch/barrier.hpp>
#include <arch/cpu.hpp>
#include <arch/cpuid.hpp>
#include <atomic>

namespace ax::drivers::host_timer {
namespace {

constexpr u32 kTscDeadline = 0x6e0;
constexpr u32 kLongestCount = ~u32{0};
constexpr unsigned kRatioShift = 32;
constexpr u64 kShortestRepetitionsPerSecond = 50'000;

/// Written by init() but for the last one, read by all CPUs.
struct State {
  LocalApic apic{};
  u64 frequency = 0;
  u64 ratio = 0;                  ///< APIC timer ticks per TSC tick, times 2^kRatioShift; 0: TSC-deadline mode
  u64 shortest_repetition = 0;    ///< APIC timer ticks
  std::atomic<u64> shortest = 0;  ///< APIC timer ticks; of all CPUs, once one repeats
};
constinit State state;

bool has_tsc_deadline() {
  constexpr u32 kFeatures = 1, kEcxTscDeadline = 1 << 24;
  return (arch::cpuid(kFeatures).ecx & kEcxTscDeadline) != 0;
}

/// Both counters at one moment.
struct Sample {
  u64 tsc = 0;
  u32 clock = 0;
  u32 apic = 0;
};

/// An emulator or a firmware may take the CPU away between two reads: of several samples, the one taken fastest.
Sample take_sample(const ReferenceClock& clock, const LocalApic& apic) {
  constexpr unsigned kTries = 8;
  Sample best;
  u64 shortest = ~u64{0};
  for (unsigned i = 0; i < kTries; ++i) {
    const u64 before = arch::read_tsc();
    const u32 ticks = clock.now();
    const u32 apic_ticks = apic.timer_count();
    const u64 after = arch::read_tsc();
    if (after - before >= shortest) continue;
    shortest = after - before;
    best = {before + shortest / 2, ticks, apic_ticks};
  }
  return best;
}

}  // namespace

Frequencies announced_frequencies() {
  constexpr u32 kTscLeaf = 0x15, kHypervisorLeaf = 0x4000'0000, kTimingLeaf = 0x4000'0010;
  constexpr u32 kFeatures = 1, kEcxHypervisor = 1u << 31;
  constexpr u64 kKilo = 1000;
  if (arch::cpuid(0).eax >= kTscLeaf) {
    // TSC = crystal * ebx / eax; the APIC timer counts the crystal's ticks.
    const arch::CpuidResult ratio = arch::cpuid(kTscLeaf);
    if (ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0) return {u64{ratio.ecx} * ratio.ebx / ratio.eax, ratio.ecx};
  }
  if ((arch::cpuid(kFeatures).ecx & kEcxHypervisor) != 0 && arch::cpuid(kHypervisorLeaf).eax >= kTimingLeaf) {
    const arch::CpuidResult timing = arch::cpuid(kTimingLeaf);
    return {timing.eax * kKilo, timing.ebx * kKilo};
  }
  return {};
}

std::optional<Frequencies> measure_frequencies(ReferenceClock& clock, const LocalApic& apic) {
  constexpr u64 kWindowsPerSecond = 1000, kFewestTicks = 2400;  // of a PIT: 2 ms
  constexpr unsigned kMaxPolls = 10'000'000;
  if (!clock.start()) return std::nullopt;
  apic.set_timer_mode(LocalApic::TimerMode::OneShot);
  apic.mask_timer();
  apic.set_timer_count(kLongestCount);

  const u64 window = std::max(clock.frequency() / kWindowsPerSecond, kFewestTicks);
  const Sample begin = take_sample(clock, apic);
  for (unsigned polls = 0; clock.now() - begin.clock < window; ++polls) {
    if (polls == kMaxPolls) return std::nullopt;
    arch::cpu_relax();
  }
  const Sample end = take_sample(clock, apic);
  apic.set_timer_count(0);
  const u64 elapsed = end.clock - begin.clock;
  return Frequencies{(end.tsc - begin.tsc) * clock.frequency() / elapsed,
                     u64{begin.apic - end.apic} * clock.frequency() / elapsed};
}

void init(const LocalApic& apic, Frequencies frequencies) {
  state.apic = apic;
  state.frequency = frequencies.tsc;
  state.ratio = 0;
  if (!has_tsc_deadline()) state.ratio = std::max<u64>((frequencies.apic_timer << kRatioShift) / frequencies.tsc, 1);
  state.shortest_repetition = frequencies.apic_timer / kShortestRepetitionsPerSecond;
  state.shortest.store(0, std::memory_order_relaxed);
}

void init_cpu() {
  state.apic.set_timer_mode(state.ratio == 0 ? LocalApic::TimerMode::TscDeadline : LocalApic::TimerMode::OneShot);
  // In xAPIC mode the store that selects TSC-deadline mode must be done before the deadline's register is written.
  arch::mfence();
}

void repeat() {
  if (state.ratio == 0) return;
  state.shortest.store(state.shortest_repetition, std::memory_order_relaxed);
  state.apic.set_timer_mode(LocalApic::TimerMode::Periodic);
}

u64 frequency() { return state.frequency; }

void set_deadline(u64 ticks) {
  if (state.ratio == 0) return arch::write_msr(kTscDeadline, std::max<u64>(ticks, 1));
  const u64 now_ticks = now();
  const u64 left = ticks > now_ticks ? ticks - now_ticks : 0;
  // Rounded up, so that the deadline has passed when the interrupt comes.
  const unsigned __int128 exact = (static_cast<unsigned __int128>(left) * state.ratio >> kRatioShift) + 1;
  const unsigned __int128 count = std::max<unsigned __int128>(exact, state.shortest.load(std::memory_order_relaxed));
  state.apic.set_timer_count(count < kLongestCount ? static_cast<u32>(count) : kLongestCount);
}

void cancel_deadline() { state.ratio == 0 ? arch::write_msr(kTscDeadline, 0) : state.apic.set_timer_count(0); }

}  // namespace ax::drivers::host_timer
