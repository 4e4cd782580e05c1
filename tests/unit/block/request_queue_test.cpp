#include "kernel/block/request_queue.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace ax::block {
namespace {

/// A device with memory and moods.
class FakeQueue final : public RequestQueue {
 public:
  std::vector<std::byte> medium = std::vector<std::byte>(64 * kSectorSize);
  unsigned failures = 0;  ///< requests that fail
  unsigned silences = 0;  ///< requests that are never answered
  unsigned resets = 0;
  bool dead = false;
  std::vector<u32> sizes;

  Result<void> submit(Request& request) override {
    pending = &request;
    return {};
  }
  void settle() override {
    if (pending == nullptr) return;
    if (silences != 0) return;
    if (failures != 0) {
      --failures;
      std::exchange(pending, nullptr)->state = Request::State::Failed;
      return;
    }
    sizes.push_back(pending->size);
    std::byte* at = medium.data() + pending->sector * kSectorSize;
    if (pending->operation == Request::Operation::Read) std::memcpy(pending->data, at, pending->size);
    if (pending->operation == Request::Operation::Write) std::memcpy(at, pending->data, pending->size);
    std::exchange(pending, nullptr)->state = Request::State::Done;
  }
  Result<void> reset() override {
    ++resets;
    pending = nullptr;
    if (silences != 0) --silences;
    return dead ? Result<void>(fail(Error::DeviceFailure)) : Result<void>();
  }
  u64 sectors() const override { return medium.size() / kSectorSize; }
  bool writable() const override { return true; }
  u32 max_transfer() const override { return 4 * kSectorSize; }

  Request* pending = nullptr;
};

class FakeClock final : public Clock {
 public:
  u64 now = 0;
  u64 microseconds() override { return now; }
  void relax() override { now += 1000; }
};

struct Fixture : testing::Test {
  static bool anything(const void*, usize) { return true; }
  static bool nothing(const void*, usize) { return false; }
  FakeQueue queue;
  FakeClock clock;
  std::vector<std::byte> bounce = std::vector<std::byte>(2 * kSectorSize);
  std::vector<std::byte> data = std::vector<std::byte>(10 * kSectorSize);
};
using QueuedDeviceTest = Fixture;

TEST_F(QueuedDeviceTest, CutsTransfersToWhatTheDeviceTakes) {
  QueuedDevice device(queue, clock, bounce, anything);
  for (usize i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7);
  ASSERT_TRUE(device.write(3, data));
  std::vector<std::byte> back(data.size());
  ASSERT_TRUE(device.read(3, back));
  EXPECT_EQ(back, data);
  EXPECT_EQ(queue.sizes, (std::vector<u32>{2048, 2048, 1024, 2048, 2048, 1024}));
}

TEST_F(QueuedDeviceTest, GoesThroughItsOwnMemoryWhereTheDeviceDoesNotReach) {
  QueuedDevice device(queue, clock, bounce, nothing);
  for (usize i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 5);
  ASSERT_TRUE(device.write(0, data));
  std::vector<std::byte> back(data.size());
  ASSERT_TRUE(device.read(0, back));
  EXPECT_EQ(back, data);
  EXPECT_EQ(queue.sizes[0], 1024u);
}

TEST_F(QueuedDeviceTest, TriesAgainWhatFailedOnce) {
  QueuedDevice device(queue, clock, bounce, anything);
  queue.failures = 1;
  EXPECT_TRUE(device.read(0, data));
  EXPECT_EQ(queue.resets, 1u);
  queue.failures = 2;
  EXPECT_EQ(device.read(0, data).error(), Error::DeviceFailure);
}

TEST_F(QueuedDeviceTest, GivesASilentDeviceUpInTime) {
  QueuedDevice device(queue, clock, bounce, anything);
  queue.silences = 1;
  EXPECT_TRUE(device.read(0, data)) << "a reset helps";
  queue.silences = 100;
  const u64 before = clock.now;
  EXPECT_EQ(device.read(0, data).error(), Error::TimedOut);
  EXPECT_LE(clock.now - before, QueuedDevice::kAttempts * (QueuedDevice::kTimeoutUs + 2000));
  EXPECT_EQ(queue.pending, nullptr) << "the device refers to no memory of the caller";
}

TEST_F(QueuedDeviceTest, FailsWhenTheDeviceIsGone) {
  QueuedDevice device(queue, clock, bounce, anything);
  queue.silences = 1;
  queue.dead = true;
  EXPECT_EQ(device.read(0, data).error(), Error::DeviceFailure);
}

}  // namespace
}  // namespace ax::block
