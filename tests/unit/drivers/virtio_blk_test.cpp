#include "kernel/drivers/virtio_blk.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <arch/mmio.hpp>
#include <cstring>
#include <vector>

#include "kernel/drivers/virtio_mmio.hpp"
#include "kernel/drivers/virtio_pci.hpp"

namespace ax::drivers {
namespace {

constexpr u64 kBase = 0xa00'0000;

/// A disk behind virtio-mmio registers that really goes through its rings.
class FakeDisk final : public arch::fake::Bus {
 public:
  explicit FakeDisk(u32 version_number) : version(version_number) { arch::fake::bus = this; }
  ~FakeDisk() override { arch::fake::bus = nullptr; }

  u32 version, id = kVirtioBlockDevice, queue_max = 1024;
  bool read_only = false, silent = false, refuses_reset = false, fails = false;
  u32 odd_used = 0;  ///< put into the used ring before what belongs there
  std::vector<std::byte> medium = std::vector<std::byte>(256 * block::kSectorSize);
  unsigned flushes = 0;
  bool interrupts = false;  ///< what the interrupt status register says

  u64 read(u64 address, unsigned) override {
    switch (address - kBase) {
      case 0x00: return 0x74726976;
      case 0x04: return version;
      case 0x08: return id;
      case 0x10: return select == 0 ? (read_only ? 1u << 5 : 0) | 1u << 9 | 1u << 28 : version == 2;
      case 0x34: return queue_max;
      case 0x60: return interrupts;
      case 0x70: return status;
      case 0x100: return medium.size() / block::kSectorSize;
      default: return 0;
    }
  }
  void write(u64 address, unsigned, u64 value) override {
    const auto part = [&](u64& whole, bool high) {
      whole = high ? (whole & 0xffff'ffff) | value << 32 : (whole & ~u64{0xffff'ffff}) | value;
    };
    switch (address - kBase) {
      case 0x14: select = static_cast<u32>(value); break;
      case 0x38: size = static_cast<u32>(value); break;
      case 0x64: interrupts = interrupts && (value & 1) == 0; break;
      case 0x40:
        descriptors = value * kPageSize;
        available = descriptors + size * 16;
        used = align_up(available + 4 + 2 * size, kPageSize);
        break;
      case 0x80: case 0x84: part(descriptors, (address & 4) != 0); break;
      case 0x90: case 0x94: part(available, (address & 4) != 0); break;
      case 0xa0: case 0xa4: part(used, (address & 4) != 0); break;
      case 0x70:
        if (value == 0 && refuses_reset) break;
        status = static_cast<u32>(value);
        if (value == 0) seen = 0;
        break;
      case 0x50:
        if (!silent) serve();
        break;
      default: break;
    }
  }

 private:
  struct Descriptor {
    u64 address;
    u32 size;
    u16 flags, next;
  };
  template <class T>
  static T load(u64 address) {
    T value;
    std::memcpy(&value, reinterpret_cast<void*>(address), sizeof value);
    return value;
  }
  template <class T>
  static void store(u64 address, T value) {
    std::memcpy(reinterpret_cast<void*>(address), &value, sizeof value);
  }
  void complete(u32 head) {
    const u16 index = load<u16>(used + 2);
    store(used + 4 + index % size * 8, head);
    store(used + 2, static_cast<u16>(index + 1));
  }
  void serve() {
    EXPECT_EQ(status & 4, 4u) << "DRIVER_OK";
    while (seen != load<u16>(available + 2)) {
      const u16 head = load<u16>(available + 4 + seen++ % size * 2);
      Descriptor d = load<Descriptor>(descriptors + head * 16);
      const u32 type = load<u32>(d.address);
      const u64 sector = load<u64>(d.address + 8);
      d = load<Descriptor>(descriptors + d.next * 16);
      if (type == 4) {
        ++flushes;
      } else {
        std::byte* place = medium.data() + sector * block::kSectorSize;
        EXPECT_EQ((d.flags & 2) != 0, type == 0);
        if (type == 0) std::memcpy(reinterpret_cast<void*>(d.address), place, d.size);
        if (type == 1) std::memcpy(place, reinterpret_cast<void*>(d.address), d.size);
        d = load<Descriptor>(descriptors + d.next * 16);
      }
      EXPECT_EQ(d.flags, 2);
      store<u8>(d.address, fails ? 1 : 0);
      if (odd_used != 0) complete(odd_used);
      complete(head);
      interrupts = interrupts || load<u16>(available) == 0;
    }
  }
  u32 select = 0, size = 0, status = 0;
  u64 descriptors = 0, available = 0, used = 0;
  u16 seen = 0;
};

struct Memory {
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { munmap(pages, VirtioBlk::kMemory); }
  // Legacy devices are told 32 bits of a page number.
  void* pages = mmap(nullptr, VirtioBlk::kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  std::span<std::byte> span() { return {static_cast<std::byte*>(pages), VirtioBlk::kMemory}; }
};

class VirtioBlkOfVersion : public testing::TestWithParam<u32> {};
INSTANTIATE_TEST_SUITE_P(All, VirtioBlkOfVersion, testing::Values(1u, 2u));

TEST_P(VirtioBlkOfVersion, ReadsAndWritesSeveralRequestsAtOnce) {
  FakeDisk disk(GetParam());
  Memory memory;
  VirtioMmio transport = *VirtioMmio::probe(Hpa(kBase), kVirtioBlockDevice);
  VirtioBlk driver = *VirtioBlk::create(transport, memory.span());
  EXPECT_EQ(driver.sectors(), 256u);
  EXPECT_TRUE(driver.writable());
  for (unsigned round = 0; round < 40; ++round) {
    std::vector<std::byte> out(3 * block::kSectorSize, static_cast<std::byte>(round)), in(out.size());
    block::Request write{.operation = block::Request::Operation::Write, .sector = round, .data = out.data(), .size = 1536};
    block::Request flush{.operation = block::Request::Operation::Flush};
    block::Request read{.operation = block::Request::Operation::Read, .sector = round, .data = in.data(), .size = 1536};
    ASSERT_TRUE(driver.submit(write));
    ASSERT_TRUE(driver.submit(flush));
    ASSERT_TRUE(driver.submit(read));
    EXPECT_EQ(read.state, block::Request::State::Pending);
    driver.settle();
    ASSERT_EQ(write.state, block::Request::State::Done);
    ASSERT_EQ(read.state, block::Request::State::Done);
    ASSERT_EQ(in, out);
  }
  EXPECT_EQ(disk.flushes, 40u);
}

TEST_P(VirtioBlkOfVersion, InterruptsOnlyWhoWantsThat) {
  for (const bool wanted : {false, true}) {
    FakeDisk disk(GetParam());
    Memory memory;
    VirtioMmio transport = *VirtioMmio::probe(Hpa(kBase), kVirtioBlockDevice);
    VirtioBlk driver = *VirtioBlk::create(transport, memory.span(), wanted);
    ASSERT_TRUE(driver.reset());
    block::Request flush{.operation = block::Request::Operation::Flush};
    ASSERT_TRUE(driver.submit(flush));
    EXPECT_EQ(disk.interrupts, wanted);
    transport.acknowledge_interrupt();
    EXPECT_FALSE(disk.interrupts);
  }
}

TEST_P(VirtioBlkOfVersion, SaysThatItIsFull) {
  FakeDisk disk(GetParam());
  Memory memory;
  VirtioMmio transport = *VirtioMmio::probe(Hpa(kBase), kVirtioBlockDevice);
  VirtioBlk driver = *VirtioBlk::create(transport, memory.span());
  disk.silent = true;
  std::array<std::byte, 512> sector{};
  std::array<block::Request, 6> requests{};
  for (usize i = 0; i < 5; ++i) {
    requests[i].data = sector.data();
    requests[i].size = 512;
    ASSERT_TRUE(driver.submit(requests[i]));
  }
  EXPECT_EQ(driver.submit(requests[5]).error(), Error::Busy);
  ASSERT_TRUE(driver.reset());
  for (usize i = 0; i < 5; ++i) EXPECT_EQ(requests[i].state, block::Request::State::Failed) << "a reset settles them";
  disk.silent = false;
  requests[0].state = block::Request::State::Pending;
  ASSERT_TRUE(driver.submit(requests[0]));
  driver.settle();
  EXPECT_EQ(requests[0].state, block::Request::State::Done) << "and the device works again";
}

TEST_P(VirtioBlkOfVersion, PassesOverWhatIsNobodys) {
  FakeDisk disk(GetParam());
  Memory memory;
  VirtioMmio transport = *VirtioMmio::probe(Hpa(kBase), kVirtioBlockDevice);
  VirtioBlk driver = *VirtioBlk::create(transport, memory.span());
  std::array<std::byte, 512> sector{};
  for (const u32 odd : {1u, 3u, 15u, 0xffff'fffdu}) {
    disk.odd_used = odd;
    block::Request read{.data = sector.data(), .size = 512};
    ASSERT_TRUE(driver.submit(read));
    driver.settle();
    EXPECT_EQ(read.state, block::Request::State::Done);
  }
}

TEST(VirtioBlk, ReportsWhatTheDeviceSays) {
  FakeDisk disk(2);
  disk.read_only = true;
  Memory memory;
  VirtioMmio transport = *VirtioMmio::probe(Hpa(kBase), kVirtioBlockDevice);
  VirtioBlk driver = *VirtioBlk::create(transport, memory.span());
  EXPECT_FALSE(driver.writable());
  disk.fails = true;
  std::array<std::byte, 512> sector{};
  block::Request read{.data = sector.data(), .size = 512};
  ASSERT_TRUE(driver.submit(read));
  driver.settle();
  EXPECT_EQ(read.state, block::Request::State::Failed);
}

TEST(VirtioBlk, RefusesDevicesThatDoNotWork) {
  FakeDisk disk(2);
  Memory memory;
  disk.id = 1;
  EXPECT_EQ(VirtioMmio::probe(Hpa(kBase), kVirtioBlockDevice).error(), Error::NotFound);
  disk.id = kVirtioBlockDevice;
  VirtioMmio transport = *VirtioMmio::probe(Hpa(kBase), kVirtioBlockDevice);
  disk.queue_max = 8;
  EXPECT_EQ(VirtioBlk::create(transport, memory.span()).error(), Error::NotSupported);
  disk.queue_max = 1024;
  EXPECT_TRUE(VirtioBlk::create(transport, memory.span()));
  disk.refuses_reset = true;
  EXPECT_EQ(VirtioBlk::create(transport, memory.span()).error(), Error::DeviceFailure);
}

}  // namespace
}  // namespace ax::drivers
