// A guest that writes anything anywhere into the configuration space and the mediated memory of its PCI functions.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/device/fake_pci.hpp"

namespace hv {
namespace {

using test::FakePci;
using test::FakeSink;
using test::FakeSpace;

constexpr PciMessage kHost[] = {{0xfee0'0000, 0xb0}, {0xfee0'0000, 0xb1}, {0xfee0'0000, 0xb2}};
constexpr u64 kWindow = 0xe000'0000, kWindowSize = 0x1ec0'0000;
constexpr GpaRange kRam{Gpa(0xe800'0000), 16_MiB};
constexpr u32 kSteps = 40'000;

class Rig {
 public:
  explicit Rig(u32 seed) : random_(seed) {
    messages_ = std::span(kHost).first(seed % 4 == 0 ? 0 : 3);
    for (VPciFunction* function : {&first_, &second_}) {
      EXPECT_TRUE(function->probe(true));
      for (PciBar& bar : function->bars()) bar.base = Hpa(bar.bus);
      if (seed % 2 == 0) function->give_interrupt_pin(10);
      function->attach(messages_);
      EXPECT_TRUE(bus_.add(*function));
    }
    EXPECT_TRUE(bus_.add_window({.bus = kWindow, .base = kWindow, .size = kWindowSize}));
    EXPECT_TRUE(bus_.add_window({.bus = 0x8'0000'0000, .base = 0x8'0000'0000, .size = 1_GiB}));
    EXPECT_TRUE(bus_.add_window({.bus = 0x1000, .base = 0x1000, .size = 0xf000, .is_port = true}));
    space_.ram.push_back(kRam);
    static_cast<void>(bus_.start());
  }

  void step() {
    const u32 size = 1u << below(3);
    switch (below(7)) {
      case 0: bus_.write(below(4) << 15 | (below(0x1000) & ~(size - 1)), size, interesting()); break;
      // Where it matters: command, ranges, capabilities.
      case 1: bus_.write(device() | (below(0xd0) & ~(size - 1)), size, interesting()); break;
      case 2: bus_.memory_write(somewhere(size), size, interesting()); break;
      case 3: bus_.write(device() | (FakePci::kMsix + 2), 2, below(4) << 14); break;
      case 4: bus_.write(device() | (FakePci::kMsi + 2), 2, below(2)); break;
      case 5: bus_.memory_write(table_word(), 4, interesting()); break;
      default: static_cast<void>(bus_.memory_read(somewhere(size), size)); break;
    }
    if (below(8) == 0) first_.hardware_message(below(20));
    space_.tables = below(8) != 0;
  }

  void check() {
    for (FakePci* hardware : {&first_hardware_, &second_hardware_}) {
      EXPECT_EQ(hardware->word(0x10), FakePci::kPorts | 1u);
      EXPECT_EQ(hardware->word(0x14), FakePci::kTable);
      EXPECT_EQ(hardware->word(0x20) & ~0xfu, static_cast<u32>(FakePci::kRegisters) & ~0xfu);
      EXPECT_EQ(hardware->word(0x24), FakePci::kRegisters >> 32);
      EXPECT_EQ(hardware->word(4) & 0xfbf8, 0U) << "command bits that nobody mediates";
      EXPECT_EQ(hardware->word(FakePci::kExpress + 8) & 0xffff, 0U);
      check_msi(*hardware);
      check_msix(*hardware);
    }
    check_space();
  }

 private:
  u32 below(u32 n) { return random_() % n; }
  u32 interesting() {
    constexpr u32 kValues[] = {0,           ~0u,         1,           0x8000,      0xfee0'0000, 0xe800'0000, 0xe7ff'e000, 0xe000'0000, 0xfebd'2000, 0xfebd'0000,
                               0xfec0'0000, 0xfee0'1234, 0x0000'4000, 0x8,         0x7,         0x3,         0x407,       0xd000,      0xc000,      0x3f8};
    return below(3) == 0 ? static_cast<u32>(random_()) : kValues[below(std::size(kValues))];
  }
  u32 device() { return (1 + below(2)) << 15; }
  /// Of an MSI-X table, if it can be found.
  Gpa table_word() {
    const PciBar& bar = (below(2) == 0 ? first_ : second_).bars()[1];
    return Gpa(bar.guest.value_or(0) + 0x800 + below(4 * 4) * 4);
  }
  Gpa somewhere(u32 size) {
    VPciFunction& function = below(2) == 0 ? first_ : second_;
    const PciBar& bar = function.bars()[below(static_cast<u32>(function.bars().size()))];
    const u64 base = bar.guest && below(8) != 0 ? *bar.guest : interesting();
    return Gpa((base + below(0x1000)) & ~u64{size - 1});
  }
  bool is_the_hosts(u64 address, u32 data) const {
    return std::ranges::find(messages_, PciMessage{address, data}) != messages_.end();
  }
  void check_msi(FakePci& hardware) {
    const u32 control = hardware.word(FakePci::kMsi) >> 16;
    EXPECT_EQ(control & 0x70, 0U) << "one message at most";
    if ((control & 1) == 0) return;
    EXPECT_TRUE(is_the_hosts(hardware.word(FakePci::kMsi + 4) | u64{hardware.word(FakePci::kMsi + 8)} << 32, hardware.word(FakePci::kMsi + 12) & 0xffff));
  }
  void check_msix(FakePci& hardware) {
    const bool on = hardware.word(FakePci::kMsix) >> 31 != 0;
    EXPECT_FALSE(on && messages_.empty());
    for (u32 i = 0; on && i < 4; ++i) {
      const auto word = [&](u32 n) {
        const auto at = hardware.memory.find(FakePci::kTable + 0x800 + i * 16 + n * 4);
        return at == hardware.memory.end() ? (n == 3 ? 1u : 0u) : at->second;  // masked after a reset
      };
      EXPECT_TRUE((word(3) & 1) != 0 || is_the_hosts(word(0) | u64{word(1)} << 32, word(2)));
    }
  }
  void check_space() {
    const HpaRange ranges[] = {{Hpa(FakePci::kTable + 0x1000), 0x1000}, {Hpa(FakePci::kRegisters), 0x4000}};
    for (const auto& [base, target] : space_.mapped) {
      const GpaRange guest{Gpa(base), target.size};
      EXPECT_FALSE(guest.overlaps(kRam));
      EXPECT_TRUE((GpaRange{Gpa(kWindow), kWindowSize}.contains(guest) || GpaRange{Gpa(0x8'0000'0000), 1_GiB}.contains(guest)));
      EXPECT_TRUE(std::ranges::any_of(ranges, [&](const HpaRange& range) { return range.contains(target); })) << "not the table";
    }
    for (const u16 port : space_.ports) EXPECT_TRUE(port >= FakePci::kPorts && port < FakePci::kPorts + 128);
  }

  std::mt19937 random_;
  FakePci first_hardware_, second_hardware_;
  FakeSink sink_;
  FakeSpace space_;
  VPciFunction first_{first_hardware_, sink_}, second_{second_hardware_, sink_};
  VPciBus bus_{space_};
  std::span<const PciMessage> messages_;
};

TEST(PciRandom, NoGuestReachesRamOrSendsAMessageOfItsOwn) {
  for (u32 seed = 0; seed < 8 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Rig rig(seed);
    for (u32 step = 0; step < kSteps && !::testing::Test::HasFailure(); ++step) {
      rig.step();
      rig.check();
    }
  }
}

}  // namespace
}  // namespace hv
