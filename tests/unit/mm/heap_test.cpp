#include "kernel/mm/heap.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/unit/mm/fake_ram.hpp"

namespace ax::mm {
namespace {

struct HeapTest : ::testing::Test {
  HeapTest() {
    const HpaRange all[] = {ram.range()};
    EXPECT_TRUE(frames.initialise({.ram = all}));
    free_before = frames.free_bytes();
  }

  FakeRam ram{16_MiB, 2_MiB};
  FrameAllocator frames;
  Heap heap{frames};
  u64 free_before = 0;
};

struct Counted {
  explicit Counted(int& live) : live_(live) { ++live_; }
  ~Counted() { --live_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int& live_;
};

struct Shape {
  virtual ~Shape() = default;
  virtual int corners() const = 0;
};
struct Named {
  virtual ~Named() = default;
  u64 name[9] = {};
};
struct Square final : Named, Shape {
  explicit Square(int& live) : counted(live) {}
  int corners() const override { return 4; }
  Counted counted;
};

static_assert(!std::is_copy_constructible_v<Box<Counted>>);
static_assert(!std::is_convertible_v<Box<Shape>, Box<Square>>);

TEST_F(HeapTest, BoxDestroysItsObjectAndGivesEverythingBack) {
  int live = 0;
  {
    const Result<Box<Counted>> box = make_box<Counted>(heap, live);
    ASSERT_TRUE(box);
    EXPECT_EQ(live, 1);
    EXPECT_EQ(heap.used_bytes(), 32u);
  }
  EXPECT_EQ(live, 0);
  EXPECT_EQ(heap.used_bytes(), 0u);
  EXPECT_EQ(frames.free_bytes(), free_before);
}

TEST_F(HeapTest, BoxMovesOwnership) {
  int live = 0;
  Box<Counted> first = *make_box<Counted>(heap, live);
  Box<Counted> second = std::move(first);
  EXPECT_FALSE(first);
  EXPECT_EQ(live, 1);
  second = *make_box<Counted>(heap, live);
  EXPECT_EQ(live, 1) << "assignment destroyed the old object";
  second.reset();
  EXPECT_EQ(live, 0);
  EXPECT_EQ(frames.free_bytes(), free_before);
}

TEST_F(HeapTest, BoxOfABaseAtAnotherAddressFreesTheWholeObject) {
  int live = 0;
  Box<Shape> shape = *make_box<Square>(heap, live);
  EXPECT_EQ(shape->corners(), 4);
  shape.reset();
  EXPECT_EQ(live, 0);
  EXPECT_EQ(heap.used_bytes(), 0u);
  EXPECT_EQ(frames.free_bytes(), free_before);
}

struct alignas(64) Aligned {
  std::byte bytes[100];
};

TEST_F(HeapTest, HonoursAlignment) {
  std::vector<Box<Aligned>> boxes;
  for (int i = 0; i < 100; ++i) {
    boxes.push_back(*make_box<Aligned>(heap));
    EXPECT_EQ(reinterpret_cast<u64>(boxes.back().get()) % 64, 0u);
  }
}

TEST_F(HeapTest, LargeObjectsGetFramesOfTheirOwn) {
  struct Large {
    std::byte bytes[100'000] = {};
  };
  const Box<Large> large = *make_box<Large>(heap);
  EXPECT_EQ(heap.used_bytes(), align_up(100'000 + 64, kPageSize));
}

TEST_F(HeapTest, ReportsOutOfMemoryAndLosesNothing) {
  ASSERT_TRUE(frames.allocate(frames.free_bytes(), Owner::of_vm(1)));
  int live = 0;
  EXPECT_EQ(make_box<Counted>(heap, live).error(), Error::OutOfMemory);
  EXPECT_EQ(heap.allocate(1_MiB, 16).error(), Error::OutOfMemory);
  EXPECT_EQ(live, 0);
  EXPECT_EQ(heap.used_bytes(), 0u);
}

using HeapDeathTest = HeapTest;

TEST_F(HeapDeathTest, DoubleFreePanics) {
  std::byte* kept = *heap.allocate(40, 8);
  std::byte* storage = *heap.allocate(40, 8);
  heap.free(storage);
  EXPECT_DEATH(heap.free(storage), "check failed: .*heap");
  EXPECT_DEATH(heap.free(kept + 8), "check failed: .*heap");
}

TEST_F(HeapTest, RandomUseNeverOverlapsAndEndsEmpty) {
  struct Live {
    std::byte* storage;
    usize size;
    unsigned char pattern;
  };
  std::mt19937 random(1);
  std::vector<Live> live;
  const auto check_and_free = [&](usize index) {
    const Live object = live[index];
    live[index] = live.back();
    live.pop_back();
    for (usize i = 0; i < object.size; ++i) ASSERT_EQ(static_cast<unsigned char>(object.storage[i]), object.pattern);
    heap.free(object.storage);
  };
  for (int step = 0; step < 20'000; ++step) {
    if (live.size() < 200 && random() % 2 == 0) {
      const usize size = 1 + random() % (random() % 10 == 0 ? 9000 : 300);
      const usize alignment = usize{1} << random() % 7;
      const auto storage = heap.allocate(size, alignment);
      ASSERT_TRUE(storage);
      ASSERT_EQ(reinterpret_cast<u64>(*storage) % alignment, 0u);
      const auto pattern = static_cast<unsigned char>(random());
      std::memset(*storage, pattern, size);
      live.push_back({*storage, size, pattern});
    } else if (!live.empty()) {
      check_and_free(random() % live.size());
    }
  }
  while (!live.empty()) check_and_free(0);
  EXPECT_EQ(heap.used_bytes(), 0u);
  EXPECT_EQ(frames.free_bytes(), free_before);
}

}  // namespace
}  // namespace ax::mm
