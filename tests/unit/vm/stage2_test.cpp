#include "hypervisor/vm/stage2.hpp"

#include <gmock/gmock.h>

#include <arch/recorder.hpp>
#include <cstring>

#include "kernel/mm/frame_allocator.hpp"
#include "tests/unit/mm/fake_ram.hpp"

namespace hv {
namespace {

using ax::arch::fake::event;
using ax::mm::FrameAllocator;
using ax::mm::Owner;
using ::testing::ElementsAre;

constexpr unsigned k40Bits = 2, k48Bits = 5;  // ID_AA64MMFR0_EL1.PARange
constexpr u8 kVmid = 9;

/// The VM's frames out of an allocator, as the hypervisor does it.
class OwnedFrames final : public VmFrames {
 public:
  OwnedFrames(FrameAllocator& frames, Owner owner) : frames_(frames), owner_(owner) {}
  Result<HpaRange> allocate(u64 bytes, u64 alignment) override { return frames_.allocate(bytes, owner_, alignment); }
  void free(HpaRange range) override { frames_.free(range, owner_); }

 private:
  FrameAllocator& frames_;
  Owner owner_;
};

struct Stage2Test : ::testing::Test {
  static constexpr Owner kVm = Owner::of_vm(1);

  Stage2Test() {
    const HpaRange all[] = {ram.range()};
    EXPECT_TRUE(allocator.initialise({.ram = all}));
    ax::arch::fake::vttbr_el2 = 0;
  }

  ax::mm::FakeRam ram{16_MiB, 2_MiB};
  FrameAllocator allocator;
  OwnedFrames frames{allocator, kVm};
};

TEST_F(Stage2Test, StartsEmptyEvenOnDirtyFrames) {
  const HpaRange dirty = *allocator.allocate(2_MiB - 4_KiB, kVm);
  std::memset(reinterpret_cast<void*>(dirty.base.value()), 0xff, dirty.size);
  allocator.free(dirty, kVm);
  const auto stage2 = Stage2::create(Gpa((u64{1} << 43) - 1), k48Bits, 4, kVmid, frames);
  ASSERT_TRUE(stage2);
  EXPECT_EQ(stage2->start_level(), 1u);
  for (u64 gpa = 0; gpa < u64{1} << 43; gpa += 64_GiB) EXPECT_FALSE(stage2->translate(Gpa(gpa)));
  EXPECT_EQ(allocator.bytes_of(kVm), 64_KiB) << "sixteen concatenated tables";
}

TEST_F(Stage2Test, GivesTheRegistersTheirValues) {
  const auto stage2 = Stage2::create(Gpa(u64{1} << 39), k40Bits, 4, kVmid, frames);
  ASSERT_TRUE(stage2);
  EXPECT_EQ(stage2->vtcr(), 0x8002'3558u);
  EXPECT_EQ(stage2->vttbr() >> 48, kVmid);
  EXPECT_TRUE(is_aligned(stage2->vttbr() & 0xffff'ffff'ffff, 8_KiB)) << "concatenated tables are aligned to their size";
}

TEST_F(Stage2Test, AReusedVmidFindsNothingOfItsLastOwner) {
  ax::arch::fake::vttbr_el2 = 0x1234;
  ax::arch::fake::Recording recording;
  const auto stage2 = Stage2::create(Gpa(0xffff'ffff), k40Bits, 4, kVmid, frames);
  ASSERT_TRUE(stage2);
  EXPECT_THAT(recording.events(), ElementsAre("dsb ishst", event("msr vttbr_el2", stage2->vttbr()), "isb",
                                              "tlbi vmalls12e1is", "dsb ish", event("msr vttbr_el2", u64{0x1234}), "isb"));
}

TEST_F(Stage2Test, DestructionCleansTheTlbsAndReturnsEveryFrame) {
  const u64 free = allocator.free_bytes();
  ax::arch::fake::Recording recording;
  u64 vttbr = 0;
  {
    auto stage2 = Stage2::create(Gpa(0xffff'ffff), k40Bits, 4, kVmid, frames);
    ASSERT_TRUE(stage2);
    ASSERT_TRUE(stage2->map({Gpa(0x4000'0000), 6_MiB + 4_KiB}, Hpa(0x8000'0000), ax::mm::kReadWriteExecute));
    const Stage2 moved = std::move(*stage2);
    EXPECT_TRUE(moved.translate(Gpa(0x4000'0000)));
    vttbr = moved.vttbr();
    recording.clear();
  }
  EXPECT_THAT(recording.events(), ElementsAre("dsb ishst", event("msr vttbr_el2", vttbr), "isb", "tlbi vmalls12e1is", "dsb ish",
                                              event("msr vttbr_el2", u64{0}), "isb"))
      << "once, although it was moved from";
  EXPECT_EQ(allocator.free_bytes(), free);
}

TEST_F(Stage2Test, FailsWithoutLeavingFramesBehind) {
  EXPECT_EQ(Stage2::create(Gpa(u64{1} << 40), k40Bits, 4, kVmid, frames).error(), Error::OutOfRange);
  EXPECT_EQ(Stage2::create(Gpa(u64{1} << 43), k48Bits, 3, kVmid, frames).error(), Error::OutOfRange);
  EXPECT_EQ(allocator.bytes_of(kVm), 0u);
  auto stage2 = Stage2::create(Gpa(0xffff'ffff), k40Bits, 4, kVmid, frames);
  ASSERT_TRUE(stage2);
  const HpaRange rest = *allocator.allocate(allocator.free_bytes(), Owner::host());
  EXPECT_EQ(Stage2::create(Gpa(0), k40Bits, 4, kVmid, frames).error(), Error::OutOfMemory);
  EXPECT_EQ(stage2->map({Gpa(0x1000), 4_KiB}, Hpa(0x1000), ax::mm::kReadWrite).error(), Error::OutOfMemory);
  EXPECT_EQ(allocator.bytes_of(kVm), 4_KiB) << "the root alone";
  allocator.free(rest, Owner::host());
}

TEST_F(Stage2Test, TakesBackWhatItMappedAndTouchesNothingElse) {
  auto stage2 = Stage2::create(Gpa(0xffff'ffff), k40Bits, 4, kVmid, frames);
  ASSERT_TRUE(stage2->map({Gpa(0x4000'0000), 2_MiB}, Hpa(0x8000'0000), ax::mm::kReadWriteExecute));
  ASSERT_TRUE(stage2->map({Gpa(0x4020'0000), 8_KiB}, Hpa(0x9000'0000), ax::mm::kReadWriteExecute));
  ax::arch::fake::Recording recording;
  ASSERT_TRUE(stage2->unmap({Gpa(0x4020'0000), 8_KiB}));
  EXPECT_THAT(recording.events(), ::testing::Contains("tlbi vmalls12e1is"));
  EXPECT_FALSE(stage2->translate(Gpa(0x4020'1000)));
  ASSERT_TRUE(stage2->unmap({Gpa(0x4000'1000), 4_KiB}));
  EXPECT_TRUE(stage2->translate(Gpa(0x4000'1000))) << "a part of what was mapped";
}

TEST_F(Stage2Test, WhileItsVmRunsItTakesNoFramesAndGivesNoneBack) {
  const u64 free = allocator.free_bytes();
  {
    auto stage2 = Stage2::create(Gpa(0xffff'ffff), k40Bits, 4, kVmid, frames);
    ASSERT_TRUE(stage2->set_tables_aside(3));
    const u64 taken = allocator.bytes_of(kVm);
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(stage2->map({Gpa(0x1000'0000), 8_KiB}, Hpa(0x9000'0000), ax::mm::kDeviceReadWrite)) << i;
      ASSERT_TRUE(stage2->unmap({Gpa(0x1000'0000), 8_KiB}));
    }
    ASSERT_TRUE(stage2->map({Gpa(0x2000'0000), 8_KiB}, Hpa(0x9000'0000), ax::mm::kDeviceReadWrite)) << "one table more";
    EXPECT_EQ(stage2->map({Gpa(0x8000'0000), 8_KiB}, Hpa(0x9000'0000), ax::mm::kDeviceReadWrite).error(), Error::OutOfMemory);
    EXPECT_EQ(allocator.bytes_of(kVm), taken);
  }
  EXPECT_EQ(allocator.free_bytes(), free);
}

}  // namespace
}  // namespace hv
