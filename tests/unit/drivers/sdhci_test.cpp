#include "kernel/drivers/sdhci.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <arch/mmio.hpp>
#include <cstring>
#include <functional>
#include <vector>

namespace ax::drivers {
namespace {

using block::Request;

constexpr u64 kBase = 0xf104'0000;

class FakeClock final : public block::Clock {
 public:
  u64 now = 0;
  u64 microseconds() override { return now += 3; }
  void relax() override { now += 50; }
};

/// Memory below 4 GiB.
class LowMemory {
 public:
  explicit LowMemory(usize size) : size_(size), pages_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0)) {}
  LowMemory(const LowMemory&) = delete;
  LowMemory& operator=(const LowMemory&) = delete;
  ~LowMemory() { munmap(pages_, size_); }
  std::byte* data() { return static_cast<std::byte*>(pages_); }
  std::span<std::byte> span() { return {data(), size_}; }

 private:
  usize size_;
  void* pages_;
};

/// A controller with a card, as far as a driver sees them: states of the card, responses, ADMA2.
class FakeSlot final : public arch::fake::Bus {
 public:
  FakeSlot() { arch::fake::bus = this; }
  ~FakeSlot() override { arch::fake::bus = nullptr; }

  // What is there.
  u32 capabilities = 1 << 19 | 1 << 21 | 1 << 24 | 100 << 8, version = 2;
  bool present = true, read_only = false, old_card = false, high_capacity = true, is_memory = true;
  u32 cid = 0x1234'5678;
  u32 csd_structure = 1, csd_block_size = 9, csd_size = 0, csd_multiplier = 0, csd_protected = 0;
  std::vector<std::byte> medium = std::vector<std::byte>(1024 * 512);
  // Moods.
  bool stuck_reset = false, stuck_clock = false, never_ready = false, no_answers = false, silent_transfers = false, gone = false;
  unsigned failing_transfers = 0;
  u32 opinion = 0;      ///< error bits of responses to transfers
  u32 end_opinion = 0;  ///< and to the command that ends them
  unsigned polls_to_ready = 3;
  std::function<void()> on_transfer;
  // What the driver did.
  std::vector<u32> commands;
  unsigned line_resets = 0, full_resets = 0;
  u32 fastest_khz = 0, identification_khz = 0, bus = 0;

  u64 read(u64 address, unsigned bytes) override {
    EXPECT_EQ(bytes, 4u);
    if (gone) return 0xffff'ffff;
    switch (address - kBase) {
      case 0x10: case 0x14: case 0x18: case 0x1c: return response[(address - kBase - 0x10) / 4];
      case 0x24: return (present ? 1u << 16 : 0) | 1u << 17 | (read_only ? 0 : 1u << 19);
      case 0x2c: return clock;
      case 0x30: return status | ((status >> 16) != 0 ? 1u << 15 : 0);
      case 0x40: return capabilities;
      case 0xfc: return version << 16;
      default: return registers[(address - kBase) / 4];
    }
  }
  void write(u64 address, unsigned bytes, u64 wide) override {
    EXPECT_EQ(bytes, 4u);
    const u32 value = static_cast<u32>(wide);
    const u64 offset = address - kBase;
    ASSERT_LT(offset, 0x100u);
    registers[offset / 4] = value;
    if (offset == 0x30) status &= ~value;
    if (offset == 0x28) bus = value;
    if (offset == 0x2c) set_clock(value);
    if (offset == 0x0c) give(value);
  }

 private:
  enum State { kIdle, kReady, kIdentified, kStandby, kTransfer };
  u32 registers[64] = {};
  u32 response[4] = {};
  u32 status = 0, clock = 0, argument = 0;
  State state = kIdle;
  bool application = false;
  unsigned polls = 0;

  void set_clock(u32 value) {
    clock = value & 0xffff;
    if ((value & 1u << 24) != 0) {
      ++full_resets;
      status = 0;
      clock = stuck_reset ? value : 0;
    }
    if ((value & 6u << 24) != 0) ++line_resets;
    if ((clock & 1) != 0 && !stuck_clock) clock |= 2;
    if ((clock & 4) == 0) return;
    const u32 divider = (value >> 8 & 0xff) | (value >> 6 & 3) << 8, base = (capabilities >> 8 & 0xff) * 1000;
    const u32 khz = divider == 0 ? base : base / (2 * divider);
    if (state == kIdle || identification_khz == 0) identification_khz = khz;
    fastest_khz = std::max(fastest_khz, khz);
  }
  void answer(u32 word, bool busy = false) {
    response[0] = word;
    status |= busy ? 3 : 1;
  }
  void answer_long(std::array<u32, 4> bits) {
    std::ranges::copy(bits, response);
    status |= 1;
  }
  void give(u32 value) {
    const u32 index = value >> 24 & 0x3f;
    argument = registers[2];
    commands.push_back(std::exchange(application, index == 55) ? index + 100 : index);
    const bool understood = present && !no_answers && (index != 8 || !old_card) && (index != 55 || is_memory);
    if (understood) return handle(commands.back(), value);
    status |= 1u << 16;  // a timeout
    application = false;
  }
  void handle(u32 command, u32 value) {
    switch (command) {
      case 0:
        state = kIdle;
        polls = 0;
        status |= 1;
        break;
      case 8: answer(argument); break;
      case 55: answer(0x120); break;
      case 141:
        EXPECT_EQ(state, kIdle);
        if (never_ready || ++polls < polls_to_ready) return answer(0x00ff'8000);
        state = kReady;
        answer(0x80ff'8000 | (high_capacity && (argument & 1 << 30) != 0 ? 1u << 30 : 0));
        break;
      case 2:
        EXPECT_EQ(state, kReady);
        state = kIdentified;
        answer_long({cid, 1, 2, 0xaa00'0003});
        break;
      case 3:
        EXPECT_EQ(state, kIdentified);
        state = kStandby;
        answer(0x4567'0500);
        break;
      case 9:
        EXPECT_EQ(argument, 0x4567'0000u);
        answer_long(csd());
        break;
      case 7:
        EXPECT_EQ(state, kStandby);
        EXPECT_EQ(argument, 0x4567'0000u);
        state = kTransfer;
        answer(0x700, true);
        break;
      case 106: EXPECT_EQ(argument, 2u); answer(0x920); break;
      case 16: EXPECT_EQ(argument, 512u); answer(0x900); break;
      case 17: case 18: case 24: case 25: transfer(command, value); break;
      default: ADD_FAILURE() << "command " << command;
    }
  }
  std::array<u32, 4> csd() const {
    std::array<u32, 4> words{};
    const auto put = [&](u32 low, u64 bits) {
      for (u32 i = 0; bits >> i != 0; ++i)
        if ((bits >> i & 1) != 0) words[(low - 8 + i) / 32] |= 1u << (low - 8 + i) % 32;
    };
    put(126, csd_structure);
    put(80, csd_block_size);
    put(12, csd_protected);
    put(csd_structure == 1 ? 48 : 62, csd_size);
    if (csd_structure == 0) put(47, csd_multiplier);
    return words;
  }
  void transfer(u32 command, u32 value) {
    EXPECT_EQ(state, kTransfer);
    EXPECT_EQ(bus & 0x1a, 0x12u) << "four lines and ADMA2";
    const bool reads = command < 20, many = command == 18 || command == 25;
    const u32 count = registers[1] >> 16;
    EXPECT_EQ(registers[1] & 0xfff, 512u);
    EXPECT_EQ(value & 0xffff, 3u | (reads ? 0x10u : 0) | (many ? 0x24u : 0));
    EXPECT_EQ(many, count > 1);
    if (on_transfer) on_transfer();
    if (silent_transfers) return;
    if (failing_transfers != 0) {
      --failing_transfers;
      status |= 1u << 20 | 1;  // data timeout
      return;
    }
    const u64 sector = high_capacity ? argument : argument / 512;
    ASSERT_LE((sector + count) * 512, medium.size());
    std::byte* place = medium.data() + sector * 512;
    u64 left = count * u64{512};
    for (u64 at = registers[0x58 / 4];; at += 8) {
      u64 descriptor;
      std::memcpy(&descriptor, reinterpret_cast<void*>(at), 8);
      ASSERT_EQ(descriptor & 0x37, (descriptor & 2) | 0x21) << "valid, transfer";
      const u64 size = descriptor >> 16 & 0xffff;
      ASSERT_LE(size, left);
      std::byte* memory = reinterpret_cast<std::byte*>(descriptor >> 32);
      std::memcpy(reads ? memory : place, reads ? place : memory, size);
      place += size;
      left -= size;
      if ((descriptor & 2) != 0) break;
    }
    EXPECT_EQ(left, 0u);
    response[0] = 0x900 | opinion;
    response[3] = 0x900 | end_opinion;
    status |= 3;
  }
};

class SdhciTest : public testing::Test {
 protected:
  FakeSlot slot;
  FakeClock clock;
  LowMemory memory{Sdhci::kMemory}, data{2_MiB};

  Result<Sdhci> create() { return Sdhci::create(Hpa(kBase), memory.span(), clock); }
  Request::State run(Sdhci& driver, Request::Operation operation, u64 sector, u32 size, usize at = 0) {
    Request request{.operation = operation, .sector = sector, .data = data.data() + at, .size = size};
    EXPECT_TRUE(driver.submit(request));
    driver.settle();
    return request.state;
  }
};

TEST_F(SdhciTest, StartsACardOfHighCapacity) {
  slot.csd_size = 77;
  const auto driver = create();
  ASSERT_TRUE(driver);
  EXPECT_EQ(driver->sectors(), 78u * 1024);
  EXPECT_TRUE(driver->writable());
  EXPECT_EQ(slot.commands, (std::vector<u32>{0, 8, 55, 141, 55, 141, 55, 141, 2, 3, 9, 7, 55, 106, 16}));
  EXPECT_LE(slot.identification_khz, 400u);
  EXPECT_GT(slot.identification_khz, 150u);
  EXPECT_EQ(slot.fastest_khz, 25'000u);
}

TEST_F(SdhciTest, StartsAnOldCard) {
  slot.old_card = true;
  slot.high_capacity = false;
  slot.csd_structure = 0;
  slot.csd_block_size = 10;
  slot.csd_size = 4095;
  slot.csd_multiplier = 7;
  auto driver = create();
  ASSERT_TRUE(driver);
  EXPECT_EQ(driver->sectors(), 4096u << 9 << 1) << "2 GiB";
  std::memset(slot.medium.data() + 5 * 512, 0x5a, 512);
  EXPECT_EQ(run(*driver, Request::Operation::Read, 5, 512), Request::State::Done) << "addressed by bytes";
  EXPECT_EQ(data.data()[511], std::byte{0x5a});
}

TEST_F(SdhciTest, KeepsToTheClockOfEachVersion) {
  for (const u32 version : {0u, 1u, 2u}) {
    slot.version = version;
    slot.identification_khz = slot.fastest_khz = 0;
    slot.capabilities = 1 << 19 | 1 << 24 | 50 << 8;
    ASSERT_TRUE(create());
    EXPECT_LE(slot.identification_khz, 400u);
    EXPECT_EQ(slot.fastest_khz, 25'000u);
  }
  slot.identification_khz = slot.fastest_khz = 0;
  slot.capabilities = 1 << 19 | 1 << 24 | 208 << 8;
  ASSERT_TRUE(create());
  EXPECT_LE(slot.identification_khz, 400u) << "of 208 MHz more than the 256th part";
  EXPECT_EQ(slot.fastest_khz, 13'000u);
}

TEST_F(SdhciTest, ReadsAndWritesAsManySectorsAsItSays) {
  auto driver = create();
  ASSERT_TRUE(driver);
  for (const u32 size : {512u, 1024u, 32768u, 33280u, 65536u, 520'192u}) {
    for (usize i = 0; i < size; ++i) data.data()[i] = static_cast<std::byte>(i * 7 + i / 512 + size);
    ASSERT_EQ(run(*driver, Request::Operation::Write, 3, size), Request::State::Done);
    ASSERT_EQ(run(*driver, Request::Operation::Read, 3, size, 1_MiB), Request::State::Done);
    ASSERT_EQ(std::memcmp(data.data(), data.data() + 1_MiB, size), 0) << size;
  }
  slot.medium.resize(2_MiB);
  EXPECT_EQ(run(*driver, Request::Operation::Read, 0, driver->max_transfer()), Request::State::Done);
  EXPECT_EQ(run(*driver, Request::Operation::Flush, 0, 0), Request::State::Done);
}

TEST_F(SdhciTest, RefusesWhatItCannotReach) {
  auto driver = create();
  ASSERT_TRUE(driver);
  Request unaligned{.data = data.data() + 32, .size = 512};
  EXPECT_EQ(driver->submit(unaligned).error(), Error::InvalidArgument);
  Request far{.data = reinterpret_cast<std::byte*>(Sdhci::kReach - 512), .size = 1024};
  EXPECT_EQ(driver->submit(far).error(), Error::InvalidArgument);
  Request large{.data = data.data(), .size = driver->max_transfer() + 512};
  EXPECT_EQ(driver->submit(large).error(), Error::InvalidArgument);
  slot.silent_transfers = true;
  Request first{.data = data.data(), .size = 512}, second{.data = data.data(), .size = 512};
  ASSERT_TRUE(driver->submit(first));
  EXPECT_EQ(driver->submit(second).error(), Error::Busy);
  ASSERT_TRUE(driver->reset());
  const std::span<std::byte> high(reinterpret_cast<std::byte*>(Sdhci::kReach), Sdhci::kMemory);
  EXPECT_EQ(Sdhci::create(Hpa(kBase), high, clock).error(), Error::NotSupported);
}

TEST_F(SdhciTest, FailsATransferThatTheControllerOrTheCardFails) {
  auto driver = create();
  ASSERT_TRUE(driver);
  slot.failing_transfers = 1;
  EXPECT_EQ(run(*driver, Request::Operation::Read, 0, 512), Request::State::Failed);
  ASSERT_TRUE(driver->reset());
  EXPECT_EQ(run(*driver, Request::Operation::Read, 0, 512), Request::State::Done);
  slot.opinion = 1u << 19;
  EXPECT_EQ(run(*driver, Request::Operation::Read, 0, 512), Request::State::Failed) << "the card's error bit";
  slot.opinion = 0;
  slot.end_opinion = 1u << 26;
  EXPECT_EQ(run(*driver, Request::Operation::Write, 0, 1024), Request::State::Failed) << "write protected";
  slot.end_opinion = 1u << 31;
  EXPECT_EQ(run(*driver, Request::Operation::Read, 0, 1024), Request::State::Done) << "reading up to the card's end";
}

TEST_F(SdhciTest, ForgetsATransferThatIsNotAnswered) {
  auto driver = create();
  ASSERT_TRUE(driver);
  slot.silent_transfers = true;
  Request request{.data = data.data(), .size = 512};
  ASSERT_TRUE(driver->submit(request));
  driver->settle();
  EXPECT_EQ(request.state, Request::State::Pending);
  const unsigned resets = slot.full_resets;
  ASSERT_TRUE(driver->reset());
  EXPECT_EQ(slot.full_resets, resets + 1) << "the controller has stopped";
  EXPECT_EQ(request.state, Request::State::Failed);
  slot.silent_transfers = false;
  EXPECT_EQ(run(*driver, Request::Operation::Read, 0, 512), Request::State::Done);
}

TEST_F(SdhciTest, IsRetriedByTheDeviceOnIt) {
  auto driver = create();
  ASSERT_TRUE(driver);
  block::QueuedDevice device(*driver, clock, data.span().first(64_KiB), [](const void*, usize) { return false; });
  slot.failing_transfers = 1;
  std::vector<std::byte> sectors(300 * 512);
  std::memset(slot.medium.data(), 0x77, slot.medium.size());
  ASSERT_TRUE(device.read(1, sectors));
  EXPECT_EQ(sectors, std::vector<std::byte>(300 * 512, std::byte{0x77}));
  slot.silent_transfers = true;
  const u64 before = clock.now;
  EXPECT_EQ(device.read(1, sectors).error(), Error::TimedOut);
  EXPECT_LT(clock.now - before, 2 * block::QueuedDevice::kTimeoutUs + 1'000'000);
}

TEST_F(SdhciTest, NoticesThatTheCardIsTakenOut) {
  slot.csd_size = 0;
  auto driver = create();
  ASSERT_TRUE(driver);
  block::QueuedDevice device(*driver, clock, data.span(), [](const void*, usize) { return false; });
  std::vector<std::byte> sectors(512);
  slot.silent_transfers = true;
  slot.on_transfer = [&] { slot.present = false; };
  u64 before = clock.now;
  EXPECT_EQ(device.read(0, sectors).error(), Error::DeviceFailure);
  EXPECT_LT(clock.now - before, 1'000'000u);
  slot.on_transfer = nullptr;
  slot.silent_transfers = false;
  before = clock.now;
  EXPECT_EQ(device.read(0, sectors).error(), Error::DeviceFailure) << "it stays out";
  EXPECT_LT(clock.now - before, 1'000'000u);
  slot.present = true;
  slot.cid = 1;
  EXPECT_EQ(device.read(0, sectors).error(), Error::DeviceFailure) << "another card";
  slot.cid = 0x1234'5678;
  EXPECT_TRUE(device.read(0, sectors)) << "the same card again";
}

TEST_F(SdhciTest, EndsWhateverIsWrongAtTheStart) {
  const auto fails_with = [&](Error error) {
    const u64 before = clock.now;
    const auto made = create();
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error(), error) << describe(made.error());
    EXPECT_LT(clock.now - before, 2'000'000u);
  };
  slot.present = false;
  fails_with(Error::NotFound);
  slot.present = true;
  slot.capabilities ^= 1 << 19;
  fails_with(Error::NotSupported);
  slot.capabilities ^= 1 << 19;
  slot.stuck_reset = true;
  fails_with(Error::TimedOut);
  slot.stuck_reset = false;
  slot.stuck_clock = true;
  fails_with(Error::TimedOut);
  slot.stuck_clock = false;
  slot.no_answers = true;
  fails_with(Error::DeviceFailure);
  slot.no_answers = false;
  slot.never_ready = true;
  fails_with(Error::TimedOut);
  slot.never_ready = false;
  slot.is_memory = false;
  fails_with(Error::NotSupported);
  slot.is_memory = true;
  slot.gone = true;
  fails_with(Error::TimedOut);
  slot.gone = false;
  EXPECT_TRUE(create());
}

TEST_F(SdhciTest, RefusesCardsThatDescribeThemselvesWrong) {
  slot.csd_structure = 0;
  EXPECT_EQ(create().error(), Error::Malformed) << "high capacity, with the description of a small card";
  slot.csd_structure = 2;
  EXPECT_EQ(create().error(), Error::NotSupported);
  slot.csd_structure = 1;
  for (const u32 size : {0u, 8u, 12u, 15u}) {
    slot.csd_block_size = size;
    EXPECT_EQ(create().error(), Error::Malformed) << size;
  }
}

TEST_F(SdhciTest, KnowsWhatIsNotToBeWritten) {
  slot.read_only = true;
  EXPECT_FALSE(create()->writable());
  slot.read_only = false;
  for (const u32 bits : {1u, 2u}) {
    slot.csd_protected = bits;
    EXPECT_FALSE(create()->writable());
  }
}

}  // namespace
}  // namespace ax::drivers
