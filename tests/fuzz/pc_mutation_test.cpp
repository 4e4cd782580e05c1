// Good ACPI tables and boot information, damaged in many small ways. Checksums are mended in most rounds: they would
// hide the damage from what is tested.
#include <gtest/gtest.h>

#include <random>

#include "platforms/x86-qemu-q35/boot_layout.h"
#include "platforms/x86-qemu-q35/discovery.hpp"
#include "tests/unit/acpi/fake_pc.hpp"

namespace ax::platform {
namespace {

using test::Blob;
using test::FakePhysicalMemory;

constexpr u8 kInteresting[] = {0, 1, 2, 7, 8, 0x12, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff};

class Mutator {
 public:
  explicit Mutator(u32 seed) : random_(seed) {}

  void damage(FakePhysicalMemory& memory) {
    for (usize hits = 1 + below(6); hits > 0; --hits) {
      auto region = memory.regions.begin();
      std::advance(region, below(memory.regions.size()));
      hit(region->second);
    }
    if (below(8) == 0) return;
    for (auto& [address, blob] : memory.regions) mend(address, blob);
  }

 private:
  // std::uniform_int_distribution differs between libraries; this does not.
  usize below(usize n) { return n == 0 ? 0 : random_() % n; }

  void hit(Blob& blob) {
    if (blob.empty()) return;
    switch (below(8)) {
      case 0: blob.resize(below(blob.size())); break;
      case 1: blob.resize(blob.size() + below(32)); break;
      case 2: blob[below(blob.size())] = static_cast<std::byte>(below(256)); break;
      default: blob[below(blob.size())] = static_cast<std::byte>(kInteresting[below(std::size(kInteresting))]); break;
    }
  }

  static void mend(u64 address, Blob& blob) {
    if (address == test::at::kRsdp && blob.size() >= 36) {
      test::fix_checksum(blob, 8, 20);
      test::fix_checksum(blob, 32, 36);
    } else if (address >= test::at::kRsdt && blob.size() >= test::kTableHeader) {
      test::fix_checksum(blob, test::kTableChecksum, mm::load_le<u32>(blob, test::kTableLength));
    }
  }

  std::mt19937 random_;
};

struct Protocol {
  u32 magic;
  u64 (*put)(FakePhysicalMemory&);
};
constexpr Protocol kProtocols[] = {
    {MULTIBOOT1_MAGIC, test::put_multiboot1}, {MULTIBOOT2_MAGIC, test::put_multiboot2}, {PVH_MAGIC, test::put_pvh}};

class PcMutation : public ::testing::TestWithParam<Protocol> {};

TEST_P(PcMutation, DoesNoHarm) {
  constexpr u32 kRounds = 5000;
  unsigned described = 0;
  for (u32 round = 0; round < kRounds; ++round) {
    FakePhysicalMemory memory = test::fake_pc();
    const u64 address = GetParam().put(memory);
    Mutator(round).damage(memory);
    std::array<char, 128> texts{};
    const auto info = read_boot_info(memory, GetParam().magic, Hpa(address), texts);
    if (!info) continue;
    BootInfo with_root = *info;
    with_root.rsdp = Hpa(test::at::kRsdp);
    MachineInfo machine;
    DiscoveryFindings findings;
    if (!discover(memory, with_root, {.boot_apic_id = 0, .has_x2apic = true}, machine, findings)) continue;
    described += machine.pc.io_apics.empty() ? 0 : 1;
    Hpa end(0);
    for (const HpaRange& range : machine.ram) {
      ASSERT_TRUE(range.base >= end && range.fits() && !range.empty()) << "round " << round;
      end = range.end();
    }
  }
  EXPECT_GT(described, kRounds / 4);  // most damage leaves something to be read
}
INSTANTIATE_TEST_SUITE_P(BootProtocols, PcMutation, ::testing::ValuesIn(kProtocols));

}  // namespace
}  // namespace ax::platform
