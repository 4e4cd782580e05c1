#include "kernel/drivers/psci.hpp"

#include <arch/smccc.hpp>
#include <gtest/gtest.h>

namespace ax::drivers {
namespace {

struct Call {
  char conduit = 0;
  u64 function = 0, a1 = 0, a2 = 0, a3 = 0;
  friend bool operator==(const Call&, const Call&) = default;
};

class PsciTest : public ::testing::Test {
 protected:
  PsciTest() {
    arch::fake::firmware = [this](char conduit, u64 function, u64 a1, u64 a2, u64 a3) {
      last = {conduit, function, a1, a2, a3};
      return answer;
    };
  }
  ~PsciTest() override { arch::fake::firmware = nullptr; }

  Call last{};
  u64 answer = 0;
};

TEST_F(PsciTest, StartsACpuByItsAffinityAlone) {
  const Psci psci(PsciConduit::Smc);
  EXPECT_TRUE(psci.cpu_on(0x1'8000'0102, Hpa(0x4020'0000), 7));
  EXPECT_EQ(last, (Call{'s', 0xc400'0003, 0x1'0000'0102, 0x4020'0000, 7}));
}

TEST_F(PsciTest, UsesTheConduitOfTheDeviceTree) {
  Psci(PsciConduit::Hvc).system_off();
  EXPECT_EQ(last, (Call{'h', 0x8400'0008, 0, 0, 0}));
  last = {};
  Psci(PsciConduit::None).system_off();
  EXPECT_EQ(last, Call{});
}

TEST_F(PsciTest, ReportsWhatTheFirmwareSays) {
  const Psci psci(PsciConduit::Smc);
  answer = static_cast<u64>(-4);
  EXPECT_EQ(psci.cpu_on(1, Hpa(0), 0).error(), Error::AlreadyExists);
  answer = 0xffff'fffe;  // INVALID_PARAMETERS from a firmware that answers in 32 bits
  EXPECT_EQ(psci.cpu_on(1, Hpa(0), 0).error(), Error::InvalidArgument);
  answer = static_cast<u64>(-99);
  EXPECT_EQ(psci.cpu_on(1, Hpa(0), 0).error(), Error::BadState);
}

TEST_F(PsciTest, ReadsTheVersion) {
  answer = 0x0001'0001;
  const Result<Psci::Version> version = Psci(PsciConduit::Smc).version();
  ASSERT_TRUE(version);
  EXPECT_EQ(version->major, 1);
  EXPECT_EQ(version->minor, 1);
  EXPECT_EQ(Psci().version().error(), Error::NotSupported);
}

}  // namespace
}  // namespace ax::drivers
