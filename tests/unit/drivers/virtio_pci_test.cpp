#include "kernel/drivers/virtio_pci.hpp"

#include <gtest/gtest.h>

#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

constexpr u64 kEcam = 0xb000'0000, kBar = 0xfe00'0000, kWideBar = 0x12'fe00'0000;
constexpr acpi::PciSegment kSegment{.registers = {Hpa(kEcam), 1_MiB}, .segment = 0, .first_bus = 0, .last_bus = 0};
constexpr PciFunction kFunction{.device = 3};
constexpr u64 kConfiguration = kEcam + (3 << 15);
constexpr u32 kCommon = 0x0, kNotify = 0x3000, kDevice = 0x2000;

/// Which windows were asked for; the test's own, since the driver takes a plain function.
std::vector<HpaRange> mapped;
bool refuse_map = false;
Result<void> map(HpaRange registers) {
  if (refuse_map) return fail(Error::OutOfMemory);
  mapped.push_back(registers);
  return {};
}

/// Configuration space and one window of registers of a disk.
class VirtioPciTest : public testing::Test {
 protected:
  VirtioPciTest() {
    mapped.clear();
    refuse_map = false;
    set(0x00, 2, 0x1af4);
    set(0x02, 2, 0x1042);
    set(0x06, 2, 0x10);
    set(0x20, 4, static_cast<u32>(kWideBar) | 4);
    set(0x24, 4, kWideBar >> 32);
    set(0x34, 1, 0x40);
    capability(0x40, 0x50, 1, 4, kCommon, 0x38);
    capability(0x50, 0x64, 2, 4, kNotify, 0x1000);
    set(0x60, 4, 4);  // the multiplier
    capability(0x64, 0x74, 3, 4, 0x1000, 0x1000);  // interrupt status: not used
    capability(0x74, 0x00, 4, 4, kDevice, 0x1000);
  }
  /// Every width sees it.
  void set(u32 offset, unsigned bytes, u64 value) {
    for (unsigned i = 0; i < bytes; ++i) bytes_[offset + i] = static_cast<u8>(value >> 8 * i);
    for (u32 at = offset & ~u32{3}; at < offset + bytes; ++at) {
      u64 word = 0;
      for (u32 i = 0; i < 4; ++i) word |= u64{bytes_[at + i]} << 8 * i;
      bus_.values[kConfiguration + at] = word;
    }
  }
  void capability(u32 at, u8 next, u8 type, u8 bar, u32 offset, u32 length) {
    set(at, 4, 0x09 | u32{next} << 8 | u32{16} << 16 | u32{type} << 24);
    set(at + 4, 4, bar);
    set(at + 8, 4, offset);
    set(at + 12, 4, length);
  }
  Result<VirtioPci> probe() { return VirtioPci::probe(PciEcam(kSegment), kFunction, kVirtioBlockDevice, &map); }

  test::FakeBus bus_;

 private:
  u8 bytes_[256 + 4] = {};
};

TEST_F(VirtioPciTest, FindsItsStructuresBehindAWideWindow) {
  ASSERT_TRUE(probe());
  const std::vector<HpaRange> expected{{Hpa(kWideBar + kCommon), 0x38}, {Hpa(kWideBar + kNotify), 0x1000}, {Hpa(kWideBar + kDevice), 0x1000}};
  EXPECT_EQ(mapped, expected);
  EXPECT_EQ(bus_.written(kConfiguration + 4), std::vector<u64>{0x406}) << "memory and bus mastering on, the interrupt line off";
}

TEST_F(VirtioPciTest, FindsItsStructuresBehindANarrowWindow) {
  set(0x20, 4, kBar);
  set(0x24, 4, 0xdead'beef);
  ASSERT_TRUE(probe());
  EXPECT_EQ(mapped[0], (HpaRange{Hpa(kBar), 0x38}));
}

TEST_F(VirtioPciTest, GivesItsQueueAndRingsItsBell) {
  VirtioPci device = *probe();
  bus_.values[kWideBar + 0x18] = 128;  // its largest queue
  bus_.values[kWideBar + 0x1e] = 3;    // the queue's bell, in units of the multiplier
  ASSERT_TRUE(device.set_queue({.size = 16, .descriptors = 0x1'2345'6000, .available = 0x1'2345'6100, .used = 0x1'2345'7000}));
  EXPECT_EQ(bus_.written(kWideBar + 0x18), std::vector<u64>{16});
  EXPECT_EQ(bus_.values[kWideBar + 0x20], 0x2345'6000u);
  EXPECT_EQ(bus_.values[kWideBar + 0x24], 1u);
  EXPECT_EQ(bus_.values[kWideBar + 0x28], 0x2345'6100u);
  EXPECT_EQ(bus_.values[kWideBar + 0x30], 0x2345'7000u);
  EXPECT_EQ(bus_.values[kWideBar + 0x34], 1u);
  EXPECT_EQ(bus_.written(kWideBar + 0x1c), std::vector<u64>{1});
  EXPECT_LT(bus_.first_write(kWideBar + 0x34), bus_.first_write(kWideBar + 0x1c)) << "enabled when it is complete";
  device.notify();
  EXPECT_EQ(bus_.written(kWideBar + kNotify + 12), std::vector<u64>{0});
  // After a reset it is given again, and the bell is where it was.
  ASSERT_TRUE(device.set_queue({.size = 16}));
  device.notify();
  EXPECT_EQ(bus_.written(kWideBar + kNotify + 12).size(), 2u);
}

TEST_F(VirtioPciTest, TellsWhichMessageIsTheQueues) {
  VirtioPci device = *probe();
  bus_.values[kWideBar + 0x18] = 128;
  ASSERT_TRUE(device.set_queue({.size = 16}));
  EXPECT_TRUE(bus_.written(kWideBar + 0x1a).empty());
  device.use_message(2);
  ASSERT_TRUE(device.set_queue({.size = 16}));
  EXPECT_EQ(bus_.written(kWideBar + 0x1a), std::vector<u64>{2});
}

TEST_F(VirtioPciTest, RefusesAQueueThatTheDeviceDoesNotHave) {
  VirtioPci device = *probe();
  EXPECT_EQ(device.set_queue({.size = 16}).error(), Error::NotFound);
  bus_.values[kWideBar + 0x18] = 8;
  EXPECT_EQ(device.set_queue({.size = 16}).error(), Error::NotSupported);
}

TEST_F(VirtioPciTest, PassesStatusFeaturesAndConfigurationOn) {
  VirtioPci device = *probe();
  device.set_status(7);
  EXPECT_EQ(bus_.written(kWideBar + 0x14), std::vector<u64>{7});
  bus_.values[kWideBar + 4] = 0x1234;
  EXPECT_EQ(device.features(1), 0x1234u);
  EXPECT_EQ(bus_.written(kWideBar + 0), std::vector<u64>{1});
  device.take_features(1, 5);
  EXPECT_EQ(bus_.written(kWideBar + 8), std::vector<u64>{1});
  EXPECT_EQ(bus_.written(kWideBar + 0xc), std::vector<u64>{5});
  bus_.values[kWideBar + kDevice + 4] = 99;
  EXPECT_EQ(device.configuration(4), 99u);
  EXPECT_FALSE(device.is_legacy());
}

TEST_F(VirtioPciTest, KnowsOthers) {
  set(0x02, 2, 0x1001);
  EXPECT_TRUE(probe()) << "a disk that old drivers know, too";
  for (const u16 id : {0x1041, 0x1000, 0x1043}) {
    set(0x02, 2, id);
    EXPECT_EQ(probe().error(), Error::NotFound) << id;
  }
  set(0x02, 2, 0x1042);
  set(0x00, 2, 0x8086);
  EXPECT_EQ(probe().error(), Error::NotFound);
}

TEST_F(VirtioPciTest, RefusesWhatItCannotUse) {
  set(0x06, 2, 0);
  EXPECT_EQ(probe().error(), Error::NotSupported) << "no capabilities";
  set(0x06, 2, 0x10);
  capability(0x40, 0x50, 1, 4, kCommon, 0x20);
  EXPECT_EQ(probe().error(), Error::Malformed) << "registers that are cut off";
  capability(0x40, 0x50, 1, 6, kCommon, 0x38);
  EXPECT_EQ(probe().error(), Error::Malformed) << "a seventh window";
  capability(0x40, 0x50, 1, 5, kCommon, 0x38);
  set(0x24, 4, 4 | 0xf000'0000);
  EXPECT_EQ(probe().error(), Error::Malformed) << "a wide window without a second half";
  set(0x24, 4, 1 | 0xc000);
  EXPECT_EQ(probe().error(), Error::NotSupported) << "I/O ports";
  set(0x24, 4, 0);
  EXPECT_EQ(probe().error(), Error::Malformed) << "a window without an address";
}

TEST_F(VirtioPciTest, RefusesWhatIsIncomplete) {
  capability(0x40, 0x74, 1, 4, kCommon, 0x38);  // without a bell
  EXPECT_EQ(probe().error(), Error::NotSupported);
  refuse_map = true;
  EXPECT_EQ(probe().error(), Error::OutOfMemory);
}

TEST_F(VirtioPciTest, UsesTheFirstOfEachKind) {
  capability(0x74, 0x84, 4, 4, kDevice, 0x1000);
  capability(0x84, 0x00, 1, 4, 0x5000, 0x38);
  VirtioPci device = *probe();
  device.set_status(1);
  EXPECT_EQ(bus_.written(kWideBar + 0x14).size(), 1u);
}

TEST_F(VirtioPciTest, EndsInALoopOfCapabilities) {
  capability(0x74, 0x40, 4, 4, kDevice, 0x1000);
  EXPECT_TRUE(probe()) << "everything was there";
  capability(0x50, 0x40, 3, 4, 0, 0);
  EXPECT_EQ(probe().error(), Error::NotSupported);
}

}  // namespace
}  // namespace ax::drivers
