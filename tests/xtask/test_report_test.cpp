#include "tools/xtask/build/test_report.hpp"

#include <gtest/gtest.h>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

TEST(TestReport, CountsWhatCtestReallyWrites) {
  const TemporaryFolder folder;
  write_file(folder.path() / "CTestTestfile.cmake", R"(
add_test(passes "/bin/true")
add_test(fails "/bin/sh" "-c" "echo one; echo '<two> & \"three\"'; exit 1")
add_test(missing "/nonexistent/program")
add_test(skips "/bin/sh" "-c" "exit 77")
set_tests_properties(skips PROPERTIES SKIP_RETURN_CODE 77)
add_test(says_skipped "/bin/echo" "[  SKIPPED ]")
set_tests_properties(says_skipped PROPERTIES SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
add_test(off "/bin/true")
set_tests_properties(off PROPERTIES DISABLED TRUE)
add_test(set_up "/bin/false")
set_tests_properties(set_up PROPERTIES FIXTURES_SETUP world)
add_test(needs_set_up "/bin/true")
set_tests_properties(needs_set_up PROPERTIES FIXTURES_REQUIRED world)
)");
  test::run_program({"ctest", "--output-junit", "report.xml"}, {}, folder.path());
  const std::string report = read_file(folder.path() / "report.xml");
  const TestCounts counts = count_tests(report);
  EXPECT_EQ(counts.passed, 1u);
  EXPECT_EQ(counts.failed, 4u);
  EXPECT_EQ(counts.skipped, 3u);

  std::vector<std::string> names;
  for (const FailedTest& test : failed_tests(report)) {
    names.push_back(test.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"fails", "missing", "set_up", "needs_set_up"}));
  EXPECT_EQ(last_lines(failed_tests(report).front().output, 1), "    <two> & \"three\"\n");
}

TEST(TestReport, ShowsTheLastLinesOnly) {
  EXPECT_EQ(last_lines("", 2), "");
  EXPECT_EQ(last_lines("a\nb\nc\n", 2), "    b\n    c\n");
  EXPECT_EQ(last_lines("a\n\nc", 5), "    a\n    \n    c\n");
}

}  // namespace
}  // namespace ax::xtask
