#include "hypervisor/vcpu/x86_64/guest_page_walk.hpp"

#include "tests/unit/vcpu/x86_64/guest_tables.hpp"

namespace hv {
namespace {

using namespace test;

class GuestPageWalk : public test::GuestTables {
 protected:
  std::expected<Gpa, u32> walk(u64 linear, PageAccess access = PageAccess::Read) {
    return walk_guest_pages(memory, state, linear, access);
  }
  u32 error(u64 linear, PageAccess access = PageAccess::Read) {
    const auto result = walk(linear, access);
    return result ? ~0u : result.error();
  }
};

TEST_F(GuestPageWalk, WithoutPagingLinearIsPhysical) { EXPECT_EQ(walk(0xfee0'0020), Gpa(0xfee0'0020)); }

TEST_F(GuestPageWalk, WalksFourLevels) {
  use_long_mode();
  map(0xffff'8000'0020'3000, 0x9000);
  EXPECT_EQ(walk(0xffff'8000'0020'3abc), Gpa(0x9abc));
  EXPECT_EQ(error(0xffff'8000'0020'4abc), 0u);
  EXPECT_EQ(error(0xffff'8000'0020'4abc, PageAccess::Write), page_fault::kWrite);
  EXPECT_EQ(error(0xffff'8000'0020'4abc, PageAccess::Fetch), page_fault::kFetch);
  EXPECT_EQ(error(0x3000), 0u);
}

TEST_F(GuestPageWalk, SeesDeviceAddresses) {
  use_long_mode();
  map(0x5000, 0xfee0'0000);
  EXPECT_EQ(walk(0x5020), Gpa(0xfee0'0020));
}

TEST_F(GuestPageWalk, WalksLargePages) {
  use_long_mode();
  put(0x1000, 0x2000 | kP | kW);
  put(0x2000, 0x40000000 | kP | kW | kPs);
  put(0x2008, 0x3000 | kP | kW);
  put(0x3000, 0xfee00000 | kP | kW | kPs | 0x1000 /*PAT*/);
  EXPECT_EQ(walk(0x3fff'ffff), Gpa(0x7fff'ffff));
  EXPECT_EQ(walk(0x4012'3456), Gpa(0xfef2'3456));
  put(0x3000, 0xfee02000 | kP | kW | kPs);
  EXPECT_EQ(error(0x4000'0000), page_fault::kPresent | page_fault::kReserved);
  put(0x2000, 0x40200000 | kP | kW | kPs);
  EXPECT_EQ(error(0), page_fault::kPresent | page_fault::kReserved);
}

TEST_F(GuestPageWalk, SetsAccessedAndDirty) {
  use_long_mode();
  map(0x3000, 0x9000);
  ASSERT_TRUE(walk(0x3000));
  EXPECT_EQ(get(0x1000) & (kA | kD), kA);
  EXPECT_EQ(get(0x3000) & (kA | kD), kA);
  EXPECT_EQ(get(leaf(0x3000)) & (kA | kD), kA);
  ASSERT_TRUE(walk(0x3000, PageAccess::Write));
  EXPECT_EQ(get(0x3000) & (kA | kD), kA);
  EXPECT_EQ(get(leaf(0x3000)) & (kA | kD), kA | kD);
}

TEST_F(GuestPageWalk, AFaultSetsNoDirty) {
  use_long_mode();
  map(0x3000, 0x9000, kP);
  EXPECT_EQ(error(0x3000, PageAccess::Write), page_fault::kPresent | page_fault::kWrite);
  EXPECT_EQ(get(leaf(0x3000)), 0x9000 | kP);
}

TEST_F(GuestPageWalk, WriteProtectBindsTheSupervisorOnlyWithWp) {
  use_long_mode();
  map(0x3000, 0x9000, kP | kU);
  state.cr0 = 0x8000'0001;
  EXPECT_TRUE(walk(0x3000, PageAccess::Write));
  state.privilege = 3;
  EXPECT_EQ(error(0x3000, PageAccess::Write), page_fault::kPresent | page_fault::kWrite | page_fault::kUser);
}

TEST_F(GuestPageWalk, AnyLevelCanForbid) {
  use_long_mode();
  map(0x3000, 0x9000, kP | kW | kU);
  state.privilege = 3;
  EXPECT_TRUE(walk(0x3000, PageAccess::Write));
  put(0x2000, 0x3000 | kP | kU);
  EXPECT_EQ(error(0x3000, PageAccess::Write), page_fault::kPresent | page_fault::kWrite | page_fault::kUser);
  put(0x2000, 0x3000 | kP | kW);
  EXPECT_EQ(error(0x3000), page_fault::kPresent | page_fault::kUser);
  put(0x2000, 0x3000 | kP | kW | kU | kNx);
  EXPECT_TRUE(walk(0x3000));
  EXPECT_EQ(error(0x3000, PageAccess::Fetch), page_fault::kPresent | page_fault::kUser | page_fault::kFetch);
}

TEST_F(GuestPageWalk, SmapAndSmepKeepTheSupervisorFromUserPages) {
  use_long_mode();
  map(0x3000, 0x9000, kP | kW | kU);
  state.cr4 |= 1 << 20 | 1 << 21;
  EXPECT_EQ(error(0x3000), page_fault::kPresent);
  EXPECT_EQ(error(0x3000, PageAccess::Fetch), page_fault::kPresent | page_fault::kFetch);
  state.rflags = 1 << 18;
  EXPECT_TRUE(walk(0x3000));
  EXPECT_FALSE(walk(0x3000, PageAccess::Fetch));
  state.privilege = 3;
  EXPECT_TRUE(walk(0x3000, PageAccess::Fetch));
}

TEST_F(GuestPageWalk, ReservedBitsFault) {
  use_long_mode();
  constexpr u32 kReserved = page_fault::kPresent | page_fault::kReserved;
  map(0x3000, 0x9000 | u64{1} << 40);
  EXPECT_EQ(error(0x3000), kReserved);
  map(0x3000, 0x9000 | u64{1} << 52);  // for software
  EXPECT_TRUE(walk(0x3000));
  put(0x1000, 0x2000 | kP | kPs);
  EXPECT_EQ(error(0x3000), kReserved);
  map(0x3000, 0x9000, kP | kNx);
  EXPECT_TRUE(walk(0x3000));
  state.efer &= ~u64{1 << 11};
  EXPECT_EQ(error(0x3000), kReserved);
}

TEST_F(GuestPageWalk, TablesOutsideTheRamAreEmpty) {
  use_long_mode();
  state.cr3 = 0xfee0'0000;
  EXPECT_EQ(error(0x3000), 0u);
  state.cr3 = kRamSize - 0x1000;
  put(kRamSize - 0x1000, kRamSize | kP);
  EXPECT_EQ(error(0x3000), 0u);
}

TEST_F(GuestPageWalk, FiveLevelsAreRefused) {
  use_long_mode();
  map(0x3000, 0x9000);
  state.cr4 |= 1 << 12;
  EXPECT_EQ(error(0x3000), 0u);
}

TEST_F(GuestPageWalk, Walks32BitPaging) {
  state = {.cr0 = 0x8001'0001, .cr3 = 0x1018};  // low bits are no address
  put<u32>(0x1000 + 4 * 3, 0x2000 | kP | kW);
  put<u32>(0x2000 + 4 * 5, 0xfec0'0000 | kP | kW);
  EXPECT_EQ(walk(0x00c0'5010), Gpa(0xfec0'0010));
  EXPECT_EQ(error(0x00c0'6010), 0u);
  put<u32>(0x1000 + 4 * 4, 0x0040'0000 | kP | kW | kPs);
  EXPECT_EQ(error(0x0100'0000), 0u);  // not a large page: its table is beyond the RAM
  state.cr4 = 0x10;
  EXPECT_EQ(walk(0x0112'3456, PageAccess::Write), Gpa(0x0052'3456));
  EXPECT_EQ(get<u32>(0x1010) & (kA | kD), kA | kD);
  put<u32>(0x1000 + 4 * 4, 0x0040'0000 | 1 << 13 | kP | kPs);
  EXPECT_EQ(walk(0x0112'3456), Gpa(0x1'0052'3456));  // PSE-36
  put<u32>(0x1000 + 4 * 4, 0x0060'0000 | kP | kPs);
  EXPECT_EQ(error(0x0100'0000), page_fault::kPresent | page_fault::kReserved);
}

TEST_F(GuestPageWalk, WalksPae) {
  state = {.cr0 = 0x8001'0001, .cr3 = 0x1020, .cr4 = 0x20};
  put(0x1020 + 8 * 3, 0x2000 | kP);  // no permissions at this level
  put(0x2000 + 8 * 0x1f6, 0x3000 | kP | kW | kU);
  put(0x3000 + 8 * 0, 0xfec0'0000 | kP | kW | kU);
  EXPECT_EQ(walk(0xfec0'0010, PageAccess::Write), Gpa(0xfec0'0010));
  EXPECT_EQ(get(0x1020 + 8 * 3), 0x2000 | kP);  // and nothing is marked there
  put(0x1020 + 8 * 3, 0x2000 | kP | kA);        // but by a processor that does
  EXPECT_EQ(walk(0xfec0'0010), Gpa(0xfec0'0010));
  put(0x1020 + 8 * 3, 0x2000 | kP | kW);
  EXPECT_EQ(error(0xfec0'0010), page_fault::kPresent | page_fault::kReserved);
  put(0x1020, 0x4000 | kP);
  put(0x4000, 0x20'0000 | kP | kW | kPs);
  EXPECT_EQ(walk(0x12'3456), Gpa(0x32'3456));
}

}  // namespace
}  // namespace hv
