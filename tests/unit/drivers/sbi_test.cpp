#include "kernel/drivers/sbi.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <arch/sbi.hpp>

namespace ax::drivers {
namespace {

using ::testing::ElementsAre;

/// Numbers from the specification's tables, written out so that the test does not repeat the code.
constexpr u32 kBase = 0x10, kIpi = 0x735049, kFence = 0x52464e43, kHart = 0x48534d, kReset = 0x53525354, kTime = 0x54494d45,
              kConsole = 0x4442434e;

struct Call {
  u32 extension = 0, function = 0;
  u64 first = 0, second = 0, third = 0;
  friend bool operator==(const Call&, const Call&) = default;
};

class SbiTest : public ::testing::Test {
 protected:
  SbiTest() {
    arch::fake::sbi = [this](u32 extension, u32 function, u64 first, u64 second, u64 third) {
      calls.push_back({extension, function, first, second, third});
      return answer;
    };
  }
  ~SbiTest() override { arch::fake::sbi = nullptr; }

  std::vector<Call> calls;
  arch::SbiAnswer answer{0, 0};
};

TEST_F(SbiTest, AsksWhetherAnExtensionIsThere) {
  EXPECT_FALSE(sbi::has(sbi::Extension::HartState));
  answer.value = 1;
  EXPECT_TRUE(sbi::has(sbi::Extension::HartState));
  answer.error = -2;
  EXPECT_FALSE(sbi::has(sbi::Extension::HartState));
  EXPECT_EQ(calls.front(), (Call{kBase, 3, kHart, 0, 0}));
}

TEST_F(SbiTest, StartsAHartAndSaysWhyNot) {
  EXPECT_TRUE(sbi::start_hart(3, Hpa(0x8020'0000), 7));
  EXPECT_THAT(calls, ElementsAre(Call{kHart, 0, 3, 0x8020'0000, 7}));
  answer.error = -6;
  EXPECT_EQ(sbi::start_hart(3, Hpa(0), 0).error(), Error::AlreadyExists);
  answer.error = -3;
  EXPECT_EQ(sbi::start_hart(3, Hpa(0), 0).error(), Error::InvalidArgument);
  answer.error = -1;
  EXPECT_EQ(sbi::start_hart(3, Hpa(0), 0).error(), Error::BadState);
}

TEST_F(SbiTest, NamesHartsByAMaskOfOneAndABase) {
  sbi::send_interrupt(70);
  sbi::flush_tlb(70);
  EXPECT_THAT(calls, ElementsAre(Call{kIpi, 0, 1, 70, 0}, Call{kFence, 1, 1, 70, 0}));
}

TEST_F(SbiTest, SetsDeadlines) {
  sbi::set_timer(12345);
  EXPECT_THAT(calls, ElementsAre(Call{kTime, 0, 12345, 0, 0}));
}

TEST_F(SbiTest, ShutsDownThroughTheOldCallWhereTheNewOneReturns) {
  sbi::shut_down();
  EXPECT_THAT(calls, ElementsAre(Call{kReset, 0, 0, 0, 0}, Call{8, 0, 0, 0, 0}));
  calls.clear();
  sbi::reboot();
  EXPECT_THAT(calls, ElementsAre(Call{kReset, 0, 1, 0, 0}));
}

TEST_F(SbiTest, WritesToTheConsoleOfOldAndNewFirmware) {
  SbiConsole console;
  console.init();
  calls.clear();
  console.write("a\n");
  EXPECT_THAT(calls, ElementsAre(Call{1, 0, 'a', 0, 0}, Call{1, 0, '\r', 0, 0}, Call{1, 0, '\n', 0, 0}));
  answer.value = 1;
  console.init();
  calls.clear();
  console.write("b");
  EXPECT_THAT(calls, ElementsAre(Call{kConsole, 2, 'b', 0, 0}));
}

TEST_F(SbiTest, ReadsWhatOldFirmwareHas) {
  SbiConsole console;
  console.init();
  answer = {-1, 0};
  EXPECT_EQ(console.get(), std::nullopt);
  answer = {'x', 0};
  EXPECT_EQ(console.get(), 'x');
  EXPECT_EQ(calls.back().extension, 2u);
}

TEST_F(SbiTest, ReadsWhatNewFirmwarePutsIntoTheBuffer) {
  SbiConsole console;
  answer = {0, 1};
  console.init();
  arch::fake::sbi = [](u32 extension, u32 function, u64 count, u64 buffer, u64) {
    EXPECT_EQ(extension, kConsole);
    EXPECT_EQ(function, 1u);
    EXPECT_EQ(count, 1u);
    *reinterpret_cast<char*>(buffer) = 'y';
    return arch::SbiAnswer{0, 1};
  };
  EXPECT_EQ(console.get(), 'y');
  arch::fake::sbi = [](u32, u32, u64, u64, u64) { return arch::SbiAnswer{0, 0}; };
  EXPECT_EQ(console.get(), std::nullopt);
}

}  // namespace
}  // namespace ax::drivers
