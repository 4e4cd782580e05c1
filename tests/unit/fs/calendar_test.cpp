#include "kernel/fs/calendar.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace ax::fs {
namespace {

TEST(Calendar, AgreesWithTheCLibraryOnEveryDayOfFat) {
  for (u64 days = days_to({1980, 1, 1}); days <= days_to({2107, 12, 31}); ++days) {
    const std::time_t seconds = static_cast<std::time_t>(days * kSecondsPerDay);
    std::tm tm{};
    gmtime_r(&seconds, &tm);
    const Date date = date_of(days);
    ASSERT_EQ(date.year, static_cast<u32>(tm.tm_year + 1900)) << days;
    ASSERT_EQ(date.month, static_cast<u32>(tm.tm_mon + 1)) << days;
    ASSERT_EQ(date.day, static_cast<u32>(tm.tm_mday)) << days;
    ASSERT_EQ(days_to(date), days);
  }
}

TEST(Calendar, TakesTimesThatFatCannotSayAsTheFirstOne) {
  EXPECT_EQ(from_fat_time(to_fat_time(0)), days_to({1980, 1, 1}) * kSecondsPerDay);
  EXPECT_EQ(from_fat_time({0, 0}), days_to({1980, 1, 1}) * kSecondsPerDay);
}

}  // namespace
}  // namespace ax::fs
