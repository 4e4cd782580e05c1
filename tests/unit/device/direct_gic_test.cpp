#include "hypervisor/device/direct_gic.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/unit/device/vgic_machine.hpp"

namespace hv {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Registers that keep what is written, but for the pairs that set and clear.
class Hardware final : public GicHardware {
 public:
  u32 read(unsigned frame, u32 offset) override {
    EXPECT_EQ(offset % 4, 0U);
    const u32 base = offset & ~0x7fu;
    const bool clears = base == 0x180 || base == 0x280 || base == 0x380;
    return words[{frame, clears ? offset - 0x80 : offset}];
  }
  void write(unsigned frame, u32 offset, u32 value) override {
    EXPECT_EQ(offset % 4, 0U);
    const u32 base = offset & ~0x7fu;
    if (base == 0x180 || base == 0x280 || base == 0x380) words[{frame, offset - 0x80}] &= ~value;
    else if (base >= 0x100 && base < 0x400) words[{frame, offset}] |= value;
    else words[{frame, offset}] = value;
  }
  void write_priority(unsigned frame, u32 intid, u8 priority) override {
    u32& word = words[{frame, 0x400 + (intid & ~3u)}];
    word = (word & ~(0xffu << intid % 4 * 8)) | u32{priority} << intid % 4 * 8;
  }
  void configure(u32 intid, bool edge) override { edges[intid] = edge; }
  void route(u32 intid, unsigned vcpu) override { routes[intid] = vcpu; }
  void send_sgi(u32 vcpus, u32 sgi) override { sgis.push_back({vcpus, sgi}); }

  std::map<std::pair<unsigned, u32>, u32> words;
  std::map<u32, bool> edges;
  std::map<u32, unsigned> routes;
  std::vector<std::pair<u32, u32>> sgis;
};

constexpr unsigned kD = GicHardware::kDistributor;
constexpr u32 kTimer = 27, kOther = 30, kMine = 40, kMine2 = 77, kForeign = 41;

VgicConfig two_vcpus() {
  VgicConfig config;
  config.vcpu_count = 2;
  config.affinity = {0x000, 0x103};
  return config;
}

class DirectGicTest : public ::testing::Test {
 protected:
  DirectGicTest() {
    gic.give(kMine);
    gic.give(kMine2);
    gic.reset_private(0);
    gic.reset_private(1);
  }
  u64 read(u64 offset, u32 size = 4) { return gic.read_distributor({offset, size, 0}); }
  void write(u64 offset, u64 value, u32 size = 4) { gic.write_distributor({offset, size, 0}, value); }
  u64 read_private(unsigned vcpu, u64 offset, u32 size = 4) { return gic.read_redistributor(vcpu, {kSgiFrame + offset, size, 0}); }
  void write_private(unsigned vcpu, u64 offset, u64 value, u32 size = 4) {
    gic.write_redistributor(vcpu, {kSgiFrame + offset, size, 0}, value);
  }
  static u64 word(u64 base, u32 intid) { return base + intid / 32 * 4; }
  static u32 bit(u32 intid) { return 1u << intid % 32; }

  VgicMachine machine{two_vcpus()};
  Hardware hardware;
  DirectGic gic{machine.vgic, hardware, 1u << kTimer | 1u << kOther, 1u << kTimer};
};

TEST_F(DirectGicTest, LooksLikeTheNonSecureSide) {
  EXPECT_EQ(read(gicd::kCtlr), 0x10U) << "affinity routing, and no DS";
  EXPECT_EQ(read(gicd::kTyper) >> 10 & 1, 1U);
  for (const u64 reserved : {u64{gicd::kIgroupr}, u64{gicd::kIgroupr} + 4, u64{0xd04}}) {
    write(reserved, ~0u);
    EXPECT_EQ(read(reserved), 0U) << reserved;
  }
  EXPECT_EQ(read(0xffe8), machine.vgic.read_distributor({0xffe8, 4, 0}));
  EXPECT_EQ(gic.read_redistributor(1, {8, 8, 0}), machine.vgic.read_redistributor(1, {8, 8, 0}));
}

TEST_F(DirectGicTest, TouchesOnlyWhatIsTheGuests) {
  hardware.words[{kD, 0x204}] = hardware.words[{kD, 0x304}] = ~0u;
  for (const u64 base : {gicd::kIsenabler, gicd::kIspendr, gicd::kIsactiver}) write(word(base, kMine), ~0u);
  EXPECT_EQ(read(word(gicd::kIsenabler, kMine)), bit(kMine));
  EXPECT_EQ(read(word(gicd::kIspendr, kMine)), bit(kMine));
  EXPECT_EQ(read(word(gicd::kIsactiver, kMine)), bit(kMine));
  for (const u64 base : {gicd::kIcpendr, gicd::kIcactiver}) write(word(base, kMine), ~0u);
  EXPECT_EQ(hardware.words[std::pair(kD, 0x204u)], ~bit(kMine));
  EXPECT_EQ(hardware.words[std::pair(kD, 0x304u)], ~bit(kMine));
  write(gicd::kIcfgr + kMine / 16 * 4, ~0u);
  EXPECT_THAT(hardware.edges, ElementsAre(std::pair(kMine, true)));
  write(gicd::kIrouter + kForeign * 8, 0x103, 8);
  EXPECT_EQ(hardware.routes.count(kForeign), 0U);
}

TEST_F(DirectGicTest, HoldsInterruptsBackWhileTheGroupIsOff) {
  write(word(gicd::kIsenabler, kMine), bit(kMine));
  write_private(1, gicd::kIsenabler, bit(kTimer));
  EXPECT_EQ(hardware.words[std::pair(kD, 0x104u)], 0U);
  EXPECT_EQ(read_private(1, gicd::kIsenabler), bit(kTimer));
  write(gicd::kCtlr, 0x12);
  EXPECT_EQ(read(gicd::kCtlr), 0x12U);
  EXPECT_EQ(hardware.words[std::pair(kD, 0x104u)], bit(kMine));
  EXPECT_EQ(hardware.words[std::pair(1u, 0x100u)], bit(kTimer));
  write(word(gicd::kIsenabler, kMine2), bit(kMine2));
  EXPECT_EQ(hardware.words[std::pair(kD, 0x108u)], bit(kMine2));
  write(gicd::kCtlr, 0x10);
  EXPECT_EQ(hardware.words[std::pair(kD, 0x104u)] | hardware.words[std::pair(kD, 0x108u)], 0U);
  EXPECT_EQ(hardware.words[std::pair(1u, 0x100u)], 0U);
  EXPECT_EQ(read(word(gicd::kIsenabler, kMine)), bit(kMine)) << "the guest's view stays";
}

TEST_F(DirectGicTest, KeepsTheUpperHalfOfThePrioritiesForTheHost) {
  write(gicd::kIpriorityr + kMine, 0x00, 1);
  EXPECT_EQ(hardware.words[std::pair(kD, 0x400 + kMine)] & 0xff, 0x80U);
  write(gicd::kIpriorityr + kMine, 0xa0, 1);
  EXPECT_EQ(hardware.words[std::pair(kD, 0x400 + kMine)] & 0xff, 0xd0U);
  EXPECT_EQ(read(gicd::kIpriorityr + kMine, 1), 0xa0U);
  write(gicd::kIpriorityr + kMine, 0x4020'6040);
  EXPECT_EQ(read(gicd::kIpriorityr + kMine), 0x40U) << "the other three are not its own";
  write_private(0, gicd::kIpriorityr + kTimer, 0x20, 1);
  EXPECT_EQ(read_private(0, gicd::kIpriorityr + kTimer, 1), 0x20U);
  EXPECT_EQ(read_private(0, gicd::kIpriorityr + 26, 1), 0U);
  EXPECT_EQ(DirectGic::hardware_priority(0xff), 0xff);
}

TEST_F(DirectGicTest, RoutesToTheCpuOfAVcpu) {
  EXPECT_EQ(read(gicd::kIrouter + kMine * 8, 8), 0U);
  write(gicd::kIrouter + kMine * 8, 0x103, 8);
  EXPECT_EQ(hardware.routes[kMine], 1U);
  EXPECT_EQ(read(gicd::kIrouter + kMine * 8, 8), 0x103U);
  write(gicd::kIrouter + kMine * 8, 0x55, 8);
  EXPECT_EQ(hardware.routes[kMine], 1U) << "nobody has that affinity";
}

TEST_F(DirectGicTest, PrivateInterruptsAreThoseOfTheFrame) {
  write_private(1, gicd::kIspendr, ~0u);
  EXPECT_EQ(hardware.words[std::pair(1u, 0x200u)], DirectGic::kGuestSgis | bit(kTimer) | bit(kOther)) << "not the host's";
  EXPECT_EQ(read_private(0, gicd::kIspendr), 0U);
  EXPECT_EQ(read(gicd::kIspendr), 0U) << "none in the distributor";
  EXPECT_EQ(read_private(0, gicd::kIspendr + 4), 0U) << "no others in a redistributor";
  gic.reset_private(1);
  EXPECT_EQ(read_private(1, gicd::kIspendr), 0U);
}

TEST_F(DirectGicTest, AVcpuThatIsPutAwayLeavesNothingBehindAndFindsItAgain) {
  write(gicd::kCtlr, 2);
  write_private(1, gicd::kIsenabler, bit(kTimer) | 1);
  hardware.words[{1u, 0x200}] = bit(kTimer) | bit(kOther) | bit(26) | 2;
  hardware.words[{1u, 0x300}] = bit(kTimer) | bit(26);
  const DirectGic::PrivateState state = gic.save_private(1);
  EXPECT_EQ(hardware.words[std::pair(1u, 0x100u)], 0U);
  EXPECT_EQ(hardware.words[std::pair(1u, 0x200u)], bit(26)) << "the host's stays";
  EXPECT_EQ(hardware.words[std::pair(1u, 0x300u)], bit(26));
  EXPECT_EQ(read_private(1, gicd::kIsenabler), bit(kTimer) | 1);
  gic.restore_private(1, state);
  EXPECT_EQ(hardware.words[std::pair(1u, 0x100u)], bit(kTimer) | 1);
  EXPECT_EQ(hardware.words[std::pair(1u, 0x200u)], bit(26) | bit(kOther) | 2) << "the timer's own line says whether it is pending";
  EXPECT_EQ(hardware.words[std::pair(1u, 0x300u)], bit(kTimer) | bit(26));
}

TEST_F(DirectGicTest, SendsSgisToCpusOfItsOwn) {
  gic.send_sgi(0, SgiRegister::Sgi1r, u64{3} << 24 | u64{1} << 16 | 1u << 3);
  gic.send_sgi(1, SgiRegister::Sgi1r, u64{5} << 24 | u64{1} << 40);
  EXPECT_THAT(hardware.sgis, ElementsAre(std::pair(2u, 3u), std::pair(1u, 5u)));
  hardware.sgis.clear();
  gic.send_sgi(0, SgiRegister::Sgi1r, u64{15} << 24 | u64{1} << 40);
  gic.send_sgi(0, SgiRegister::Sgi0r, u64{3} << 24 | u64{1} << 40);
  gic.send_sgi(0, SgiRegister::Sgi1r, u64{3} << 24 | u64{1} << 16 | 1u << 4);
  EXPECT_THAT(hardware.sgis, IsEmpty()) << "the host's, Group 0's, nobody's";
}

TEST_F(DirectGicTest, AnEmulatedDeviceMakesItsLinePending) {
  gic.set_line(0, kMine, true);
  EXPECT_EQ(read(word(gicd::kIspendr, kMine)), bit(kMine));
  gic.set_line(0, kMine, false);
  EXPECT_EQ(read(word(gicd::kIspendr, kMine)), 0U);
  gic.set_line(1, kTimer, true);
  EXPECT_EQ(hardware.words[std::pair(1u, 0x200u)], bit(kTimer));
  gic.set_line(0, kForeign, true);
  EXPECT_EQ(hardware.words[std::pair(kD, 0x204u)], 0U);
}

TEST_F(DirectGicTest, OddAccessesReachNothing) {
  write(gicd::kIsenabler + 5, ~0u);
  write(gicd::kIsenabler + 6, 0xffff, 2);
  write(gicd::kIspendr + 4, ~u64{0}, 8);
  EXPECT_EQ(read(gicd::kIspendr + 6, 2), 0U);
  EXPECT_EQ(read(word(gicd::kIsenabler, kMine)), 0U);
  EXPECT_EQ(hardware.words[std::pair(kD, 0x204u)], 0U);
  DirectGicRedistributors frames(gic, 2);
  EXPECT_FALSE(frames.read({2 * VgicRedistributors::kStride, 4, 0}));
  EXPECT_FALSE(frames.write({2 * VgicRedistributors::kStride, 4, 0}, 0));
}

}  // namespace
}  // namespace hv
