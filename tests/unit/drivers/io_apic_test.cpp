#include "kernel/drivers/io_apic.hpp"

#include <gtest/gtest.h>

#include "tests/unit/drivers/fake_bus.hpp"

namespace ax::drivers {
namespace {

constexpr u64 kBase = 0xfec0'0000;
constexpr u64 kMasked = 0x1'0000;

/// Registers behind index and window (82093AA 3.0).
class FakeIoApic : public arch::fake::Bus {
 public:
  FakeIoApic() { arch::fake::bus = this; }
  ~FakeIoApic() override { arch::fake::bus = nullptr; }

  u64 read(u64 address, unsigned bytes) override {
    EXPECT_EQ(address, kBase + 0x10);
    EXPECT_EQ(bytes, 4u);
    return registers[index];
  }
  void write(u64 address, unsigned bytes, u64 value) override {
    EXPECT_EQ(bytes, 4u);
    if (address == kBase) {
      index = value;
    } else {
      EXPECT_EQ(address, kBase + 0x10);
      history.push_back({index, 4, value});
      registers[index] = value;
    }
  }

  u64 index = 0;
  std::map<u64, u64> registers{{1, 0x0017'0011}};
  std::vector<test::Access> history;
};

TEST(IoApic, KnowsItsPins) {
  FakeIoApic device;
  const IoApic io_apic(Hpa(kBase), 24);
  EXPECT_EQ(io_apic.pins(), 24u);
  EXPECT_TRUE(io_apic.owns(24) && io_apic.owns(47));
  EXPECT_FALSE(io_apic.owns(23) || io_apic.owns(48));
}

TEST(IoApic, MasksEveryPinAtFirst) {
  FakeIoApic device;
  IoApic(Hpa(kBase), 0).init();
  for (u64 pin = 0; pin < 24; ++pin) EXPECT_EQ(device.registers[0x10 + 2 * pin], kMasked) << pin;
  EXPECT_FALSE(device.registers.contains(0x10 + 2 * 24));
}

TEST(IoApic, KeepsAPinMaskedWhileItsRouteIsIncomplete) {
  FakeIoApic device;
  IoApic io_apic(Hpa(kBase), 0);
  const IoApic::Route route{.vector = 0x34, .destination = 7, .active_low = true, .level = true, .masked = false};
  io_apic.set_route(4, route);
  const std::vector<test::Access> expected{{0x18, 4, kMasked}, {0x19, 4, 0x0700'0000}, {0x18, 4, 0xa034}};
  EXPECT_EQ(device.history, expected);
  EXPECT_EQ(io_apic.route(4), route);
}

TEST(IoApic, CountsPinsFromItsFirstGlobalSystemInterrupt) {
  FakeIoApic device;
  IoApic(Hpa(kBase), 24).set_route(25, {.vector = 0x40});
  EXPECT_EQ(device.registers[0x12], kMasked | 0x40);
}

TEST(IoApic, ChangesTheMaskAlone) {
  FakeIoApic device;
  IoApic io_apic(Hpa(kBase), 0);
  device.registers[0x14] = 0xa034;
  io_apic.set_masked(2, true);
  EXPECT_EQ(device.registers[0x14], kMasked | 0xa034);
  io_apic.set_masked(2, false);
  EXPECT_EQ(device.registers[0x14], 0xa034u);
}

}  // namespace
}  // namespace ax::drivers
