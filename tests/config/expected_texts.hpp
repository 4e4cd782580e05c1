// Tests by example: a folder with NAME.toml and, for each, the exact messages it must produce in NAME.expected. With
// AXVISOR_UPDATE_EXPECTED=1 in the environment the expected texts are written instead; read the difference before committing it.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "tests/config/support.hpp"

namespace ax::config::testing {

/// The NAMEs of a folder, in order.
inline std::vector<std::string> cases_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

inline void expect_messages(const fs::path& folder, const std::string& name, const std::string& actual) {
  const fs::path expected = folder / (name + ".expected");
  ASSERT_FALSE(actual.empty()) << "the file is not wrong at all";
  if (std::getenv("AXVISOR_UPDATE_EXPECTED") != nullptr) write_file(expected, actual);
  EXPECT_EQ(actual, read_file(expected));
}

/// What a test of one case is called.
inline std::string case_name(const ::testing::TestParamInfo<std::string>& parameter) {
  std::string name = parameter.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

}  // namespace ax::config::testing
