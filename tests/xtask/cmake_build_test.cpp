// What a person sees when CMake configures.
#include "tools/xtask/build/cmake_build.hpp"

#include <gtest/gtest.h>

namespace ax::xtask {
namespace {

std::string shown(const std::vector<std::string_view>& lines) {
  std::string text;
  ConfigureMessages messages([&](std::string_view part) { text += part; });
  for (const std::string_view line : lines) messages.take(line);
  messages.end();
  return text;
}

TEST(ConfigureMessages, GeneratorsErrorsAreNotFollowedByCmakesReportOfThem) {
  EXPECT_EQ(shown({"bad.toml:4:11: error: 'cpu_num' is 99\n", "1 error\n", "CMake Error at cmake/AxvisorBoard.cmake:52 (message):\n",
                   "  The configuration has errors: see above.  Nothing was built.\n", "Call Stack (most recent call first):\n",
                   "  cmake/AxvisorBoard.cmake:56 (axvisor_generate)\n", "  CMakeLists.txt:20 (include)\n", "\n", "\n"}),
            "bad.toml:4:11: error: 'cpu_num' is 99\n1 error\n");
}

TEST(ConfigureMessages, OtherErrorsOfCmakeAreShownWhole) {
  const std::vector<std::string_view> lines{"CMake Error at CMakeLists.txt:9 (message):\n", "  clang++-19 was not found\n", "\n",
                                            "Call Stack (most recent call first):\n", "  CMakeLists.txt:20 (include)\n", "\n",
                                            "CMake Error at b.cmake:1 (include):\n", "  no such file\n", "and the last line has no end"};
  std::string all;
  for (const std::string_view line : lines) all += line;
  EXPECT_EQ(shown(lines), all);
}

TEST(ConfigureMessages, WhatFollowsADroppedMessageIsShown) {
  EXPECT_EQ(shown({"CMake Error at a.cmake:1 (message):\n", "  The configuration has errors: see above.  Nothing was built.\n",
                   "CMake Error at CMakeLists.txt:9 (message):\n", "  another\n", "warning\n"}),
            "CMake Error at CMakeLists.txt:9 (message):\n  another\nwarning\n");
}

}  // namespace
}  // namespace ax::xtask
