#include "tools/xtask/build/test_report.hpp"

#include <re2/re2.h>

#include <string>

namespace ax::xtask {

TestCounts& TestCounts::operator+=(const TestCounts& other) {
  passed += other.passed;
  failed += other.failed;
  skipped += other.skipped;
  return *this;
}

TestCounts count_tests(std::string_view junit) {
  static const RE2 kCase("<testcase [^>]*status=\"([a-z]+)\"[^>]*>");
  static const RE2 kSkipMessage("\\s*<skipped message=\"([^\"]*)\"");
  TestCounts counts;
  re2::StringPiece rest(junit.data(), junit.size());
  for (std::string status; RE2::FindAndConsume(&rest, kCase, &status);) {
    std::string message;
    re2::StringPiece after = rest;
    RE2::Consume(&after, kSkipMessage, &message);
    if (status == "run") {
      ++counts.passed;
    } else if (status == "disabled" || message.starts_with("SKIP_")) {
      ++counts.skipped;
    } else {
      ++counts.failed;
    }
  }
  return counts;
}

std::string join_junit(const std::vector<std::string>& reports) {
  std::string joined = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const std::string& report : reports) {
    const size_t start = report.find("<testsuite");
    joined += start == std::string::npos ? "" : report.substr(start);
    joined += joined.ends_with('\n') ? "" : "\n";
  }
  return joined + "</testsuites>\n";
}

}  // namespace ax::xtask
