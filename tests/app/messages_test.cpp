// Every mistake in a description has its exact text: bad/NAME.toml must produce bad/NAME.expected.
#include <sstream>

#include "tests/app/support.hpp"
#include "tests/config/expected_texts.hpp"
#include "tools/app/reference.hpp"

namespace ax::app::testing {
namespace {

using config::testing::case_name;
using config::testing::cases_in;
using config::testing::expect_messages;

fs::path bad_folder() { return source_folder() / "tests/app/bad"; }

std::string messages_of(const std::string& name) {
  config::SourceStore sources;
  Diagnostics diagnostics;
  const std::string file = name + ".toml";
  load_application(**sources.open(bad_folder() / file, file), pkg_config_with(""), diagnostics);
  return diagnostics.render(false);
}

class AppMessages : public ::testing::TestWithParam<std::string> {};

TEST_P(AppMessages, AreExact) { expect_messages(bad_folder(), GetParam(), messages_of(GetParam())); }

/// What is wrong is half of an answer.
TEST_P(AppMessages, SayWhatToDo) {
  std::istringstream lines(read_file(bad_folder() / (GetParam() + ".expected")));
  int complaints = 0;
  int remedies = 0;
  for (std::string line; std::getline(lines, line);) {
    complaints += line.find(": error: ") != std::string::npos || line.find(": warning: ") != std::string::npos ? 1 : 0;
    remedies += line.starts_with("  fix: ") ? 1 : 0;
  }
  EXPECT_EQ(complaints, remedies);
}

INSTANTIATE_TEST_SUITE_P(Bad, AppMessages, ::testing::ValuesIn(cases_in(bad_folder())), case_name);

TEST(AppReference, IsCurrent) { EXPECT_EQ(reference_page(), read_file(source_folder() / "docs/app-reference.md")); }

}  // namespace
}  // namespace ax::app::testing
