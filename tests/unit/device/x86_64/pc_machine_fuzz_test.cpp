// Random accesses of several vCPUs to the whole machine: whatever a guest does, it stays within the rules that the host
// relies on. Worth running under AddressSanitizer and UBSan.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/device/x86_64/whole_pc.hpp"

namespace hv {
namespace {

constexpr unsigned kVcpus = 4;
constexpr unsigned kRounds = 60'000;

class PcMachineFuzzTest : public testing::TestWithParam<u64> {
 protected:
  PcMachineFuzzTest() : random(GetParam()) {}

  u64 below(u64 limit) { return random() % limit; }
  unsigned some_vcpu() { return static_cast<unsigned>(below(kVcpus)); }
  u32 some_size() { return 1u << below(4); }
  /// Small numbers, single bits and noise.
  u64 some_value() {
    switch (below(4)) {
      case 0: return below(256);
      case 1: return u64{1} << below(64);
      case 2: return below(u64{1} << 20);
      default: return random();
    }
  }
  u16 some_port() {
    static constexpr u16 kPorts[] = {0x20,  0x21,  0x40,  0x41,  0x42,  0x43,  0x60,  0x61,  0x64,  0x70,  0x71,
                                     0x80,  0x92,  0xa0,  0xa1,  0xf4,  0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd,
                                     0x3fe, 0x3ff, 0x4d0, 0x4d1, 0x600, 0x602, 0x604, 0x608, 0xcf8, 0xcfc};
    return below(16) == 0 ? static_cast<u16>(random()) : kPorts[below(std::size(kPorts))];
  }
  Gpa some_address() {
    const u64 offset = below(8) == 0 ? below(0x1000) : below(0x40) * 16;
    return Gpa{(below(4) == 0 ? 0xfec0'0000 : 0xfee0'0000) + (below(2) == 0 ? offset & 0x10 : offset)};
  }

  void access() {
    const unsigned cpu = some_vcpu();
    const u32 port_size = 1u << below(3);
    switch (below(12)) {
      case 0: (void)pc.mmio_read(cpu, some_address(), some_size()); break;
      case 1:
      case 2: (void)pc.mmio_write(cpu, some_address(), some_size(), some_value()); break;
      case 3: (void)pc.port_read(some_port(), port_size); break;
      case 4:
      case 5: pc.port_write(some_port(), port_size, static_cast<u32>(some_value())); break;
      case 6: (void)pc.apic_msr_read(cpu, static_cast<u32>(0x800 + below(0x100))); break;
      case 7: (void)pc.apic_msr_write(cpu, static_cast<u32>(0x800 + below(0x40)), some_value()); break;
      case 8: change_mode(cpu); break;
      case 9:
      case 10: set_up(cpu); break;
      default: outside(); break;
    }
  }
  /// As an operating system would, so that interrupts do come.
  void set_up(unsigned cpu) {
    const auto apic = [&](u32 index, u32 value) {
      (void)pc.mmio_write(cpu, Gpa{0xfee0'0000 + index * 16}, 4, value);
      (void)pc.apic_msr_write(cpu, 0x800 + index, value);
    };
    (void)pc.set_apic_base(cpu, 0xfee0'0800);
    apic(0xf, 0x1ff);
    apic(0x8, 0);
    for (unsigned i = 0; i < 8; ++i) apic(0xb, 0);
    if (below(2) == 0) apic(0x35, 0x700);
    const u32 pin = static_cast<u32>(below(24));
    for (const auto& [index, value] :
         {std::pair<u32, u64>{0x11 + pin * 2, u64{cpu} << 24}, {0x10 + pin * 2, 0x20 + below(0xd0)}}) {
      (void)pc.mmio_write(cpu, Gpa{0xfec0'0000}, 4, index);
      (void)pc.mmio_write(cpu, Gpa{0xfec0'0010}, 4, value);
    }
    for (const u16 port : {0x20, 0xa0}) {
      for (const u8 value : {0x11, 0x30, 4, 1, 0}) pc.port_write(value == 0x11 ? port : port + 1, 1, value);
    }
  }
  void change_mode(unsigned cpu) {
    const u64 mode = below(8) == 0 ? below(4) : 2 + below(2);
    (void)pc.set_apic_base(cpu, below(16) == 0 ? some_value() : 0xfee0'0000 | mode << 10);
    pc.set_cr8(cpu, static_cast<u8>(below(16)));
    pc.set_tsc_deadline(cpu, host.time + below(10'000));
    (void)pc.tsc_deadline(cpu);
  }
  void outside() {
    pc.receive(static_cast<char>(random()));
    pc.interrupt(static_cast<u32>(below(30)), below(2) == 0);
    if (below(1000) == 0) pc.power_on();
    if (below(100) == 0) pc.press_power_button();
  }
  /// What vcpu/x86_64 does before an entry.
  void enter(unsigned cpu) {
    const std::optional<u8> vector = pc.pending_vector(cpu);
    if (!vector) return;
    pc.acknowledge(cpu);
    if (below(2) == 0) (void)pc.mmio_write(cpu, Gpa{0xfee0'00b0}, 4, 0);
  }

  std::mt19937_64 random;
  RecordingHost host;
  WholePc pc{{.vcpus = kVcpus, .tsc_hz = 1'000'000'000, .wall_clock = 1'700'000'000, .ram = 1_GiB}, host};
};

TEST_P(PcMachineFuzzTest, TimersAlwaysProgress) {
  for (unsigned round = 0; round < kRounds; ++round) {
    access();
    enter(some_vcpu());
    host.time += below(32) == 0 ? below(100'000'000) : below(20'000);
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) {
      pc.run_timers(cpu, host.time);
      ASSERT_GT(pc.next_deadline(cpu), host.time) << "vCPU " << cpu << " in round " << round;
    }
    host.events.clear();
    host.output.clear();
  }
}

TEST_P(PcMachineFuzzTest, HostKnowsOfEveryEarlierDeadline) {
  std::array<u64, kVcpus> known;
  known.fill(kNoDeadline);
  for (unsigned round = 0; round < kRounds; ++round) {
    host.deadline_changes = 0;
    access();
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) {
      const u64 deadline = pc.next_deadline(cpu);
      const bool told = (host.deadline_changes >> cpu & 1) != 0;
      ASSERT_TRUE(told || deadline >= known[cpu]) << "vCPU " << cpu << " in round " << round;
      known[cpu] = deadline;
    }
    host.time += below(20'000);
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) {
      pc.run_timers(cpu, host.time);
      known[cpu] = pc.next_deadline(cpu);
    }
    host.events.clear();
    host.output.clear();
  }
}

/// Without guest accesses the interrupts of timers come at most once per minimum period and source: one local timer,
/// and for vCPU 0 the PIT, the RTC and the PM timer.
TEST_P(PcMachineFuzzTest, AnIdleGuestCannotKeepTheHostBusy) {
  constexpr u64 kMillisecond = 1'000'000;
  constexpr u64 kLimit = 1000 / kMinimumTimerPeriodMicroseconds + 1;
  for (unsigned round = 0; round < kRounds / 10; ++round) {
    for (unsigned i = 0; i < 10; ++i) access();
    const u64 end = host.time + kMillisecond;
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) {
      u64 wakes = 0;
      for (u64 at = pc.next_deadline(cpu); at <= end; at = pc.next_deadline(cpu)) {
        host.time = std::max(host.time, at);
        pc.run_timers(cpu, host.time);
        ASSERT_LE(++wakes, kLimit * (cpu == 0 ? 4 : 1));
      }
    }
    host.time = end;
    host.events.clear();
    host.output.clear();
  }
}

/// A vCPU for which nothing was pending is kicked when something is, also by its own accesses. The 8259's request may
/// move between vCPUs unasked when an interrupt is taken, which is when the one that took it asks again.
TEST_P(PcMachineFuzzTest, NothingBecomesPendingWithoutAKick) {
  unsigned appeared = 0;
  for (unsigned round = 0; round < kRounds; ++round) {
    std::array<bool, kVcpus> before{};
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) before[cpu] = pc.pending_vector(cpu).has_value();
    host.kicked = 0;
    access();
    host.time += below(20'000);
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) pc.run_timers(cpu, host.time);
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) {
      if (before[cpu] || !pc.pending_vector(cpu)) continue;
      ++appeared;
      ASSERT_NE(host.kicked >> cpu & 1, 0u) << "vCPU " << cpu << " in round " << round;
    }
    const unsigned taker = some_vcpu();
    for (unsigned i = 0; i < 4; ++i) enter(taker);
    pc.port_write(0x20, 1, 0x20);
    host.events.clear();
    host.output.clear();
  }
  EXPECT_GT(appeared, 1000u) << "the accesses hardly ever cause an interrupt";
}

INSTANTIATE_TEST_SUITE_P(Seeds, PcMachineFuzzTest, testing::Values(1, 2, 3));

}  // namespace
}  // namespace hv
