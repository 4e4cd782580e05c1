// Four vCPUs send each other IPIs, in every order in which their steps can follow each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/device/x86_64/whole_pc.hpp"

namespace hv {
namespace {

constexpr unsigned kVcpus = 4;
constexpr u8 kRequest = 0x40;  // + 16 * sender
constexpr u8 kReply = 0x80;    // + 16 * requester + replier

/// Each vCPU asks all others for something, as for a TLB shootdown, and answers the requests that it gets.
class Shootdown {
 public:
  explicit Shootdown(bool x2apic) : x2apic_(x2apic) {
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) {
      const u64 extended = x2apic ? 1u << 10 : 0;
      EXPECT_TRUE(pc_.set_apic_base(cpu, pc_.apic_base(cpu) | extended));
      write(cpu, 0xf, 0x1ff);
    }
    host_.take_kicks();
  }
  /// Sends the request, the first time; then handles what is pending, one interrupt per step.
  void step(unsigned cpu) {
    if (!sent_[cpu]) {
      sent_[cpu] = true;
      return send(cpu, 0, 0xc'4000u | (kRequest + 16 * cpu));
    }
    const std::optional<u8> vector = pc_.pending_vector(cpu);
    EXPECT_EQ(vector.has_value(), (awake_ >> cpu & 1) != 0) << "a kick for each wake, and none for nothing";
    if (!vector) return;
    pc_.acknowledge(cpu);
    got_[cpu].push_back(*vector);
    if (*vector < kReply) {
      const unsigned requester = (*vector - kRequest) / 16u;
      send(cpu, requester, 0x4000u | (kReply + 16 * requester + cpu));
    }
    write(cpu, 0xb, 0);
    if (!pc_.pending_vector(cpu)) awake_ &= ~(1u << cpu);
  }
  bool idle() {
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) {
      if (pc_.pending_vector(cpu)) return false;
    }
    return true;
  }
  std::vector<u8> got(unsigned cpu) const {
    std::vector<u8> sorted = got_[cpu];
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }

 private:
  void write(unsigned cpu, u32 index, u64 value) {
    if (x2apic_)
      EXPECT_TRUE(pc_.apic_msr_write(cpu, 0x800 + index, value));
    else
      EXPECT_TRUE(pc_.mmio_write(cpu, Gpa{0xfee0'0000 + index * 16}, 4, value));
  }
  void send(unsigned cpu, unsigned destination, u32 command) {
    if (x2apic_) {
      write(cpu, 0x30, u64{destination} << 32 | command);
    } else {
      write(cpu, 0x31, destination << 24);
      write(cpu, 0x30, command);
    }
    awake_ |= host_.take_kicks();
  }

  RecordingHost host_;
  WholePc pc_{{.vcpus = kVcpus, .tsc_hz = 1'000'000'000}, host_};
  bool x2apic_;
  u32 awake_ = 0;
  std::array<bool, kVcpus> sent_{};
  std::array<std::vector<u8>, kVcpus> got_;
};

std::vector<u8> expected(unsigned cpu) {
  std::vector<u8> vectors;
  for (unsigned other = 0; other < kVcpus; ++other) {
    if (other == cpu) continue;
    vectors.push_back(static_cast<u8>(kRequest + 16 * other));
    vectors.push_back(static_cast<u8>(kReply + 16 * cpu + other));
  }
  std::sort(vectors.begin(), vectors.end());
  return vectors;
}

class IpiInterleavingTest : public testing::TestWithParam<bool> {};

TEST_P(IpiInterleavingTest, EveryRequestAndReplyArrivesOnceInEveryOrder) {
  // Two steps each; after them the vCPUs go on in turns.
  std::string order = "00112233";
  unsigned orders = 0;
  do {
    Shootdown machine(GetParam());
    for (const char cpu : order) machine.step(static_cast<unsigned>(cpu - '0'));
    for (unsigned i = 0; i < 100 && !machine.idle(); ++i) machine.step(i % kVcpus);
    for (unsigned cpu = 0; cpu < kVcpus; ++cpu) ASSERT_EQ(machine.got(cpu), expected(cpu)) << order;
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(orders, 2520u);
}

INSTANTIATE_TEST_SUITE_P(Modes, IpiInterleavingTest, testing::Bool(),
                         [](const auto& mode) { return mode.param ? "X2apic" : "Xapic"; });

}  // namespace
}  // namespace hv
