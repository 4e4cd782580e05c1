#include "hypervisor/vcpu/x86_64/guest_access.hpp"

#include <map>
#include <vector>

#include "tests/unit/vcpu/x86_64/guest_tables.hpp"

namespace hv {
namespace {

using namespace test;

class FakeBus final : public GuestBus {
 public:
  u64 mmio_read(Gpa address, u32 size) override {
    accesses.push_back({address.value(), size});
    return 0xa5a5'a5a5'a5a5'a5a5 & (size == 8 ? ~u64{0} : (u64{1} << 8 * size) - 1);
  }
  void mmio_write(Gpa address, u32 size, u64 value) override {
    accesses.push_back({address.value(), size});
    values.push_back(value);
  }
  std::vector<std::pair<u64, u32>> accesses;
  std::vector<u64> values;
};

class GuestAccessTest : public test::GuestTables {
 protected:
  GuestAccessTest() {
    use_long_mode();
    map(0x5000, 0x9000);
    map(0x6000, 0xb000);
    map(0x7000, 0xfee0'0000);
    map(0x8000, 0xc000, kP);
  }
  GuestAccess access() { return {memory, bus, state}; }
  FakeBus bus;
};

TEST_F(GuestAccessTest, ReachesRamAndDevices) {
  GuestAccess guest = access();
  ASSERT_TRUE(guest.write(0x5010, 4, 0x1122'3344));
  EXPECT_EQ(get<u32>(0x9010), 0x1122'3344u);
  EXPECT_EQ(guest.read(0x5010, 2), 0x3344u);
  EXPECT_EQ(guest.read(0x7020, 4), 0xa5a5'a5a5u);
  ASSERT_TRUE(guest.write(0x70b0, 4, 7));
  EXPECT_EQ(bus.accesses, (std::vector<std::pair<u64, u32>>{{0xfee0'0020, 4}, {0xfee0'00b0, 4}}));
}

TEST_F(GuestAccessTest, CrossesPages) {
  GuestAccess guest = access();
  ASSERT_TRUE(guest.write(0x5ffd, 8, 0x8877'6655'4433'2211));
  EXPECT_EQ(get<u8>(0x9fff), 0x33);
  EXPECT_EQ(get<u32>(0xb000), 0x7766'5544u);
  EXPECT_EQ(get<u8>(0xb004), 0x88);
  EXPECT_EQ(guest.read(0x5ffd, 8), 0x8877'6655'4433'2211u);
}

TEST_F(GuestAccessTest, ACrossingIntoADeviceIsSplit) {
  GuestAccess guest = access();
  put<u8>(0xbfff, 0x11);
  EXPECT_EQ(guest.read(0x6fff, 4), 0xa5a5'a511u);
  EXPECT_EQ(bus.accesses, (std::vector<std::pair<u64, u32>>{{0xfee0'0000, 1}, {0xfee0'0001, 1}, {0xfee0'0002, 1}}));
}

TEST_F(GuestAccessTest, FaultsName) {
  GuestAccess guest = access();
  EXPECT_EQ(guest.read(0xa008, 4).error(), (EmulationFault{14, 0, 0xa008}));
  EXPECT_EQ(guest.write(0x8008, 4, 0).error(), (EmulationFault{14, 3, 0x8008}));
  EXPECT_EQ(guest.check_write(0x8008, 4).error(), (EmulationFault{14, 3, 0x8008}));
}

TEST_F(GuestAccessTest, AFaultOnTheSecondPageWritesNothing) {
  GuestAccess guest = access();
  EXPECT_EQ(guest.write(0x7ffe, 4, ~0u).error(), (EmulationFault{14, 3, 0x8000}));
  EXPECT_TRUE(bus.accesses.empty());
}

TEST_F(GuestAccessTest, AKnownOperandNeedsNoWalk) {
  state.cr3 = 0xffff'f000;  // no tables at all
  GuestAccess guest = access();
  guest.know_operand(Gpa(0xfee0'0020), true);
  EXPECT_EQ(guest.read(0xdead'0020, 4), 0xa5a5'a5a5u);
  EXPECT_TRUE(guest.write(0xdead'0020, 4, 1));
  EXPECT_EQ(bus.accesses, (std::vector<std::pair<u64, u32>>{{0xfee0'0020, 4}, {0xfee0'0020, 4}}));
  EXPECT_FALSE(guest.read(0xdeae'0020, 4)) << "another page";
}

TEST_F(GuestAccessTest, AReadSaysNothingAboutWriting) {
  GuestAccess guest = access();
  guest.know_operand(Gpa(0xc008), false);
  EXPECT_TRUE(guest.read(0x8008, 4));
  EXPECT_EQ(guest.write(0x8008, 4, 1).error(), (EmulationFault{14, 3, 0x8008}));
}

TEST_F(GuestAccessTest, OtherOffsetsAreNotTheKnownOperand) {
  GuestAccess guest = access();
  guest.know_operand(Gpa(0xfee0'0020), true);
  EXPECT_EQ(guest.read(0x5024, 4), 0u);
  EXPECT_TRUE(bus.accesses.empty());
}

TEST_F(GuestAccessTest, FetchesUpToWhereTheGuestMayExecute) {
  put(0x9ffe, u16{0x1234});
  put(0xb000, u32{0x5678});
  u8 bytes[15];
  GuestAccess guest = access();
  EXPECT_EQ(guest.fetch(0x5ffe, bytes), 15u);
  EXPECT_EQ(bytes[2], 0x78);
  put(leaf(0x6000), 0xb000 | kP | kNx);
  GuestAccess again = access();
  EXPECT_EQ(again.fetch(0x5ffe, bytes), 2u);
  EXPECT_EQ(again.fetch(0x6000, bytes).error(), (EmulationFault{14, 0x11, 0x6000}));
  EXPECT_EQ(again.fetch(0x7ff8, bytes), 0u) << "code in a device";
}

}  // namespace
}  // namespace hv
