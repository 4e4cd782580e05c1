// Every mistake in a description has its exact text: bad/NAME.toml must produce bad/NAME.expected. With
// AXVISOR_UPDATE_EXPECTED=1 in the environment the expected texts are written instead; read the difference before
// committing it.
#include <algorithm>
#include <cstdlib>

#include "tests/app/support.hpp"
#include "tools/app/reference.hpp"

namespace ax::app::testing {
namespace {

fs::path bad_folder() { return source_folder() / "tests/app/bad"; }

std::vector<std::string> bad_cases() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(bad_folder())) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string messages_of(const std::string& name) {
  config::SourceStore sources;
  Diagnostics diagnostics;
  const std::string file = name + ".toml";
  load_application(**sources.open(bad_folder() / file, file), pkg_config_with(""), diagnostics);
  return diagnostics.render(false);
}

class AppMessages : public ::testing::TestWithParam<std::string> {};

TEST_P(AppMessages, AreExact) {
  const fs::path expected = bad_folder() / (GetParam() + ".expected");
  const std::string actual = messages_of(GetParam());
  ASSERT_FALSE(actual.empty()) << "the file is not wrong at all";
  if (std::getenv("AXVISOR_UPDATE_EXPECTED") != nullptr) write_file(expected, actual);
  EXPECT_EQ(actual, read_file(expected));
}

std::string test_name(const ::testing::TestParamInfo<std::string>& parameter) {
  std::string name = parameter.param;
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Bad, AppMessages, ::testing::ValuesIn(bad_cases()), test_name);

TEST(AppReference, IsCurrent) { EXPECT_EQ(reference_page(), read_file(source_folder() / "docs/app-reference.md")); }

}  // namespace
}  // namespace ax::app::testing
