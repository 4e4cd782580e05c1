#include "hypervisor/vm/x86_64/nested_paging.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "kernel/mm/frame_allocator.hpp"
#include "tests/unit/mm/fake_ram.hpp"

namespace hv {
namespace {

using ax::mm::FrameAllocator;
using ax::mm::NestedKind;
using ax::mm::Owner;

constexpr ax::mm::NestedCapabilities kIntel{.kind = NestedKind::Ept, .physical_bits = 46, .accessed_dirty = true};

class OwnedFrames final : public VmFrames {
 public:
  OwnedFrames(FrameAllocator& frames, Owner owner) : frames_(frames), owner_(owner) {}
  Result<HpaRange> allocate(u64 bytes, u64 alignment) override { return frames_.allocate(bytes, owner_, alignment); }
  void free(HpaRange range) override { frames_.free(range, owner_); }

 private:
  FrameAllocator& frames_;
  Owner owner_;
};

struct NestedPagingTest : ::testing::Test {
  static constexpr Owner kVm = Owner::of_vm(1);

  NestedPagingTest() {
    const HpaRange all[] = {ram.range()};
    EXPECT_TRUE(allocator.initialise({.ram = all}));
  }

  ax::mm::FakeRam ram{16_MiB, 2_MiB};
  FrameAllocator allocator;
  OwnedFrames frames{allocator, kVm};
};

TEST_F(NestedPagingTest, StartsEmptyEvenOnDirtyFrames) {
  const HpaRange dirty = *allocator.allocate(2_MiB - 4_KiB, kVm);
  std::memset(reinterpret_cast<void*>(dirty.base.value()), 0xff, dirty.size);
  allocator.free(dirty, kVm);
  const auto nested = NestedPaging::create(Gpa((u64{1} << 48) - 1), kIntel, frames);
  ASSERT_TRUE(nested);
  for (u64 gpa = 0; gpa < u64{1} << 48; gpa += 512_GiB) EXPECT_FALSE(nested->translate(Gpa(gpa)));
  EXPECT_EQ(nested->ept_pointer(), nested->root().value() | 0x5e);
}

TEST_F(NestedPagingTest, AMovedOneKeepsItsTablesAndItsEpoch) {
  const u64 free = allocator.free_bytes();
  {
    auto nested = NestedPaging::create(Gpa(0xffff'ffff), kIntel, frames);
    ASSERT_TRUE(nested);
    ASSERT_TRUE(nested->map({Gpa(0), 4_MiB}, Hpa(0x80'0000), ax::mm::kReadWriteExecute));
    ASSERT_TRUE(nested->unmap({Gpa(0), 2_MiB}));
    const u64 epoch = nested->epoch();
    NestedPaging moved = std::move(*nested);
    EXPECT_EQ(moved.epoch(), epoch);
    EXPECT_EQ(moved.translate(Gpa(2_MiB + 0x1008))->address, Hpa(0xa0'1008));
    ASSERT_TRUE(moved.unmap({Gpa(2_MiB), 2_MiB}));
    EXPECT_GT(moved.epoch(), epoch);
    EXPECT_FALSE(moved.translate(Gpa(2_MiB + 0x1008)));
  }
  EXPECT_EQ(allocator.free_bytes(), free) << "every frame went back once";
}

TEST_F(NestedPagingTest, FailsWithoutLeavingFramesBehind) {
  EXPECT_EQ(NestedPaging::create(Gpa(u64{1} << 48), kIntel, frames).error(), Error::OutOfRange);
  EXPECT_EQ(allocator.bytes_of(kVm), 0u);
  auto nested = NestedPaging::create(Gpa(0xffff'ffff), kIntel, frames);
  ASSERT_TRUE(nested);
  const HpaRange rest = *allocator.allocate(allocator.free_bytes(), Owner::host());
  EXPECT_EQ(NestedPaging::create(Gpa(0), kIntel, frames).error(), Error::OutOfMemory);
  EXPECT_EQ(nested->map({Gpa(0x1000), 4_KiB}, Hpa(0x1000), ax::mm::kReadWrite).error(), Error::OutOfMemory);
  EXPECT_EQ(allocator.bytes_of(kVm), 4_KiB) << "the root alone";
  allocator.free(rest, Owner::host());
}

}  // namespace
}  // namespace hv
