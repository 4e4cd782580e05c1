#include "kernel/mm/frame_allocator.hpp"

#include <gmock/gmock.h>

#include <map>
#include <random>

#include "kernel/mm/table_memory.hpp"
#include "tests/unit/mm/fake_ram.hpp"

namespace ax::mm {
namespace {

static_assert(TableSource<OwnedTables>);

constexpr Owner kVm1 = Owner::of_vm(1);
constexpr Owner kVm2 = Owner::of_vm(2);

struct Frames : ::testing::Test {
  FakeRam ram{2_GiB};
  FrameAllocator frames;

  void initialise(std::vector<HpaRange> reserved = {}, std::vector<HpaRange> host = {}) {
    const HpaRange all[] = {ram.range()};
    ASSERT_TRUE(frames.initialise({.ram = all, .reserved = reserved, .host = host}));
  }
};

TEST_F(Frames, AccountsForAllRam) {
  initialise();
  EXPECT_EQ(frames.free_bytes() + frames.bytes_of(Owner::host()), 2_GiB);
  EXPECT_EQ(frames.bytes_of(Owner::host()), 256_KiB) << "its own array";
}

TEST_F(Frames, WorksBeyondTheSizeOfRamInConstantTime) {
  FakeRam big(64_GiB);
  const HpaRange all[] = {big.range()};
  FrameAllocator allocator;
  ASSERT_TRUE(allocator.initialise({.ram = all}));
  ASSERT_TRUE(allocator.allocate(32_GiB, kVm1, 1_GiB));
  EXPECT_LE(big.touched_pages(), 1u) << "only the used part of the array is ever touched";
}

TEST_F(Frames, AlignsUpToAGigabyte) {
  initialise();
  ASSERT_TRUE(frames.allocate(4_KiB, Owner::host()));
  for (const u64 alignment : {4_KiB, 64_KiB, 2_MiB, 1_GiB}) {
    const auto range = frames.allocate(12_KiB, kVm1, alignment);
    ASSERT_TRUE(range) << alignment;
    EXPECT_TRUE(range->base.is_aligned(alignment));
    EXPECT_EQ(range->size, 12_KiB);
  }
}

TEST_F(Frames, RoundsUpToPages) {
  initialise();
  EXPECT_EQ(frames.allocate(1, Owner::host())->size, 4_KiB);
  EXPECT_EQ(frames.allocate(4_KiB + 1, Owner::host(), 1)->size, 8_KiB);
}

TEST_F(Frames, KeepsPagesAwayFromLargeRanges) {
  initialise();
  const HpaRange large = *frames.allocate(512_MiB, kVm1, 2_MiB);
  EXPECT_EQ(large.end(), ram.range().end());
  EXPECT_LT(frames.allocate(4_KiB, Owner::host())->base, ram.at(1_MiB));
}

TEST_F(Frames, RefusesWhatMakesNoSense) {
  initialise();
  EXPECT_EQ(frames.allocate(0, kVm1).error(), Error::InvalidArgument);
  EXPECT_EQ(frames.allocate(4_KiB, Owner{}).error(), Error::InvalidArgument);
  EXPECT_EQ(frames.allocate(4_KiB, kVm1, 3_MiB).error(), Error::InvalidArgument);
  EXPECT_EQ(frames.allocate(4_GiB, kVm1).error(), Error::OutOfMemory);
  EXPECT_EQ(frames.allocate(~u64{0}, kVm1).error(), Error::OutOfMemory);
  EXPECT_EQ(frames.allocate(4_KiB, kVm1, u64{1} << 63).error(), Error::OutOfMemory);
}

TEST_F(Frames, GivesOutAnExactRangeOnce) {
  initialise();
  ASSERT_TRUE(frames.allocate_at(ram.part(1_GiB, 256_MiB), kVm1));
  EXPECT_EQ(frames.allocate_at(ram.part(1_GiB + 128_MiB, 256_MiB), kVm2).error(), Error::Overlap);
  EXPECT_EQ(frames.allocate_at(ram.part(1_GiB - 4_KiB, 512_MiB), kVm2).error(), Error::Overlap);
  EXPECT_EQ(frames.allocate_at(ram.part(2_GiB - 4_KiB, 8_KiB), kVm2).error(), Error::OutOfRange);
  EXPECT_EQ(frames.allocate_at({Hpa(0x1000), 4_KiB}, kVm2).error(), Error::OutOfRange);
  EXPECT_EQ(frames.allocate_at({ram.at(0x800), 4_KiB}, kVm2).error(), Error::Unaligned);
  EXPECT_EQ(frames.allocate_at({ram.at(0), 0}, kVm2).error(), Error::InvalidArgument);
  EXPECT_EQ(frames.allocate_at({Hpa(~u64{0} << 12), 8_KiB}, kVm2).error(), Error::OutOfRange);
  EXPECT_TRUE(frames.allocate_at(ram.part(1_GiB + 256_MiB, 256_MiB), kVm2)) << "its neighbour is free";
}

TEST_F(Frames, KeepsReservedAndHostMemoryOut) {
  initialise({ram.part(16_MiB, 1_MiB), ram.part(0x80'0800, 0x1000), {Hpa(0x1000), 4_KiB}}, {ram.part(2_MiB, 3_MiB)});
  EXPECT_EQ(frames.owner_of(ram.at(16_MiB)), Owner{});
  EXPECT_EQ(frames.owner_of(ram.at(2_MiB)), Owner::host());
  EXPECT_EQ(frames.owner_of(Hpa(0x10'0000)), std::nullopt);
  EXPECT_EQ(frames.allocate_at(ram.part(16_MiB, 4_KiB), kVm1).error(), Error::OutOfRange);
  EXPECT_EQ(frames.allocate_at(ram.part(0x80'0000, 4_KiB), kVm1).error(), Error::OutOfRange) << "reserved ranges grow to pages";
  EXPECT_EQ(frames.allocate_at(ram.part(0x80'1000, 4_KiB), kVm1).error(), Error::OutOfRange);
  EXPECT_EQ(frames.allocate_at(ram.part(2_MiB, 4_KiB), kVm1).error(), Error::Overlap);
  EXPECT_EQ(frames.free_bytes(), 2_GiB - 1_MiB - 8_KiB - 3_MiB - 256_KiB);
}

TEST_F(Frames, GivesReservedMemoryOnlyToThoseWhoAskForIt) {
  initialise({ram.part(16_MiB, 1_MiB)}, {ram.part(16_MiB, 4_KiB)});
  const u64 free = frames.free_bytes();
  ASSERT_TRUE(frames.allocate_reserved(ram.part(16_MiB + 4_KiB, 8_KiB), kVm1));
  EXPECT_EQ(frames.allocate_reserved(ram.part(16_MiB + 4_KiB, 4_KiB), kVm2).error(), Error::Overlap);
  EXPECT_EQ(frames.allocate_reserved(ram.part(16_MiB, 4_KiB), kVm2).error(), Error::Overlap) << "the host uses it";
  EXPECT_EQ(frames.allocate_reserved(ram.part(32_MiB, 4_KiB), kVm2).error(), Error::OutOfRange);
  EXPECT_EQ(frames.free_all(kVm1), 8_KiB);
  EXPECT_EQ(frames.free_bytes(), free) << "what was reserved stays reserved";
  EXPECT_TRUE(frames.allocate_reserved(ram.part(16_MiB + 4_KiB, 1_MiB - 4_KiB), kVm2)) << "and is whole again";
}

TEST_F(Frames, TakesSeveralRangesOfRamInAnyOrder) {
  const HpaRange pieces[] = {ram.part(1_GiB, 512_MiB), ram.part(0x800, 16_MiB), ram.part(512_MiB, 512_MiB)};
  ASSERT_TRUE(frames.initialise({.ram = pieces}));
  EXPECT_EQ(frames.free_bytes() + frames.bytes_of(Owner::host()), 1_GiB + 16_MiB - 4_KiB);
  EXPECT_TRUE(frames.allocate(1_GiB, kVm1)) << "touching ranges are one";
}

TEST_F(Frames, SaysWhyItCannotStart) {
  const HpaRange none[] = {ram.part(0, 8_KiB)};
  EXPECT_EQ(frames.initialise({.ram = none}).error(), Error::OutOfMemory);
  const HpaRange wrapping[] = {{Hpa(~u64{0} << 20), 2_MiB}};
  EXPECT_EQ(frames.initialise({.ram = wrapping}).error(), Error::OutOfRange);
  initialise();
  EXPECT_EQ(frames.initialise({}).error(), Error::BadState);
}

TEST_F(Frames, FreesByOwner) {
  initialise();
  const u64 free = frames.free_bytes();
  const usize count = frames.allocation_count();
  std::vector<HpaRange> others;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(frames.allocate(4_KiB + i * 4_KiB, kVm1));
    others.push_back(*frames.allocate(2_MiB, kVm2));
  }
  EXPECT_EQ(frames.bytes_of(kVm1), 210 * 4_KiB);
  EXPECT_EQ(frames.free_all(kVm1), 210 * 4_KiB);
  EXPECT_EQ(frames.bytes_of(kVm1), 0u);
  EXPECT_EQ(frames.bytes_of(kVm2), 40_MiB);
  for (const HpaRange& range : others) frames.free(range, kVm2);
  EXPECT_EQ(frames.free_bytes(), free);
  EXPECT_EQ(frames.allocation_count(), count);
  EXPECT_TRUE(frames.allocate(2_GiB - 256_KiB, kVm1)) << "all free frames are one range again";
}

TEST_F(Frames, LimitsTheNumberOfAllocationsAndRecovers) {
  initialise();
  std::vector<HpaRange> pages;
  for (;;) {
    const auto page = frames.allocate(4_KiB, kVm1, 8_KiB);
    if (!page) {
      EXPECT_EQ(page.error(), Error::OutOfMemory);
      break;
    }
    pages.push_back(*page);
  }
  EXPECT_GE(pages.size(), 2_GiB / 4_KiB / 64 - 2) << "one per 64 frames, as promised";
  EXPECT_EQ(frames.allocate_at(ram.part(2_GiB - 4_KiB, 4_KiB), kVm1).error(), Error::OutOfMemory);
  for (const HpaRange& page : pages) frames.free(page, kVm1);
  EXPECT_TRUE(frames.allocate(1_GiB, kVm1));
}

using FramesDeathTest = Frames;

TEST_F(FramesDeathTest, DoubleFreePanics) {
  initialise();
  const HpaRange range = *frames.allocate(8_KiB, kVm1);
  frames.free(range, kVm1);
  EXPECT_DEATH(frames.free(range, kVm1), "check failed: .*frame_allocator");
}

TEST_F(FramesDeathTest, FreeByTheWrongOwnerPanics) {
  initialise();
  const HpaRange range = *frames.allocate(8_KiB, kVm1);
  EXPECT_DEATH(frames.free(range, kVm2), "check failed: .*frame_allocator");
}

TEST_F(FramesDeathTest, FreeOfAPartPanics) {
  initialise();
  const HpaRange range = *frames.allocate(8_KiB, kVm1);
  EXPECT_DEATH(frames.free({range.base, 4_KiB}, kVm1), "check failed: .*frame_allocator");
}

/// The same operations on a plain model: an ordered map of allocations.
class Model {
 public:
  explicit Model(HpaRange ram) : ram_(ram) {}

  bool is_free(HpaRange range) const {
    if (!ram_.contains(range)) return false;
    for (const auto& [base, allocation] : allocations_) {
      if (allocation.range.overlaps(range)) return false;
    }
    return true;
  }
  void add(HpaRange range, Owner owner) {
    ASSERT_TRUE(is_free(range)) << "given out twice";
    allocations_[range.base] = {range, owner};
  }
  u64 bytes_of(Owner owner) const {
    u64 bytes = 0;
    for (const auto& [base, allocation] : allocations_) bytes += allocation.owner == owner ? allocation.range.size : 0;
    return bytes;
  }
  /// The longest free range, at this alignment.
  bool could_allocate(u64 bytes, u64 alignment) const {
    Hpa at = ram_.base;
    for (const auto& [base, allocation] : allocations_) {
      if (at.align_up(alignment) + bytes <= base) return true;
      at = allocation.range.end();
    }
    return at.align_up(alignment) + bytes <= ram_.end();
  }

  struct Allocation {
    HpaRange range;
    Owner owner;
  };
  std::map<Hpa, Allocation> allocations_;

 private:
  HpaRange ram_;
};

TEST(FramesProperty, AgreesWithAModel) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](u64 n) { return random() % n; };
    FakeRam ram(16_MiB, 2_MiB);
    const HpaRange all[] = {ram.range()};
    FrameAllocator frames;
    ASSERT_TRUE(frames.initialise({.ram = all}));
    Model model(ram.range());
    model.add(ram.part(0, frames.bytes_of(Owner::host())), Owner::host());
    for (int step = 0; step < 1500; ++step) {
      const Owner owner = Owner::of_vm(static_cast<u16>(1 + below(4)));
      const u64 bytes = (1 + below(below(4) == 0 ? 1024 : 8)) * kPageSize;
      switch (below(5)) {
        case 0:
        case 1: {
          const u64 alignment = kPageSize << below(4);
          const auto range = frames.allocate(bytes, owner, alignment);
          ASSERT_EQ(range.has_value(), model.could_allocate(bytes, alignment)) << "seed " << seed << " step " << step;
          if (range) model.add(*range, owner);
          break;
        }
        case 2: {
          const HpaRange range = ram.part(below(4096) * kPageSize, bytes);
          ASSERT_EQ(frames.allocate_at(range, owner).has_value(), model.is_free(range)) << "seed " << seed << " step " << step;
          if (frames.owner_of(range.base) == owner && model.is_free(range)) model.add(range, owner);
          break;
        }
        case 3: {
          auto victim = model.allocations_.lower_bound(ram.at(below(4096) * kPageSize));
          if (victim == model.allocations_.end() || victim->second.owner == Owner::host()) break;
          frames.free(victim->second.range, victim->second.owner);
          model.allocations_.erase(victim);
          break;
        }
        case 4: {
          if (below(20) != 0) break;
          EXPECT_EQ(frames.free_all(owner), model.bytes_of(owner));
          std::erase_if(model.allocations_, [&](const auto& entry) { return entry.second.owner == owner; });
          break;
        }
      }
      ASSERT_EQ(frames.allocation_count(), model.allocations_.size());
      ASSERT_EQ(frames.bytes_of(owner), model.bytes_of(owner));
    }
  }
}

}  // namespace
}  // namespace ax::mm
