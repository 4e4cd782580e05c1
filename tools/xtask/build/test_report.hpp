// The counts of a ctest run, out of its JUnit report.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

struct TestCounts {
  unsigned passed = 0;
  unsigned failed = 0;
  unsigned skipped = 0;

  TestCounts& operator+=(const TestCounts& other);
};

/// A test that could not be run (program or file missing, set-up failed) counts as failed; one that said so itself
/// (SKIP_RETURN_CODE, SKIP_REGULAR_EXPRESSION) or is disabled as skipped.
TestCounts count_tests(std::string_view junit);

struct FailedTest {
  std::string name;
  std::string output;  ///< what it printed; empty if it could not be run
};

/// Those that count as failed, in the order of the report.
std::vector<FailedTest> failed_tests(std::string_view junit);

/// The names of those that passed.
std::vector<std::string> passed_tests(std::string_view junit);

/// The last lines of a text, each behind an indent.
std::string last_lines(std::string_view text, unsigned count);

/// JUnit reports of several runs as one.
std::string join_junit(const std::vector<std::string>& reports);

}  // namespace ax::xtask
