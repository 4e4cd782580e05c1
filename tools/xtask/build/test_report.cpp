#include "tools/xtask/build/test_report.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace ax::xtask {
namespace {

enum class Outcome { Passed, Failed, Skipped };

struct TestCase {
  std::string_view name;   ///< escaped
  Outcome outcome = Outcome::Passed;
  std::string_view inside;  ///< the elements between its tags, escaped
};

Outcome outcome_of(std::string_view status, std::string_view inside) {
  static const RE2 kSkipMessage("\\s*<skipped message=\"([^\"]*)\"");
  std::string message;
  RE2::PartialMatch(re2::StringPiece(inside.data(), inside.size()), kSkipMessage, &message);
  if (status == "run") {
    return Outcome::Passed;
  }
  return status == "disabled" || message.starts_with("SKIP_") ? Outcome::Skipped : Outcome::Failed;
}

std::vector<TestCase> test_cases(std::string_view junit) {
  static const RE2 kCase("<testcase [^>]*?name=\"([^\"]*)\"[^>]*status=\"([a-z]+)\"[^>]*>");
  constexpr std::string_view kEnd = "</testcase>";
  std::vector<TestCase> cases;
  re2::StringPiece rest(junit.data(), junit.size());
  for (re2::StringPiece name, status; RE2::FindAndConsume(&rest, kCase, &name, &status);) {
    const std::string_view after(rest.data(), rest.size());
    const std::string_view inside = after.substr(0, after.find(kEnd));
    cases.push_back({{name.data(), name.size()}, outcome_of({status.data(), status.size()}, inside), inside});
  }
  return cases;
}

std::string unescape(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, char>, 5> kEntities{
      {{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}}};
  std::string plain;
  while (!text.empty()) {
    const auto* entity = std::find_if(kEntities.begin(), kEntities.end(), [&](const auto& e) { return text.starts_with(e.first); });
    plain += entity == kEntities.end() ? text.front() : entity->second;
    text.remove_prefix(entity == kEntities.end() ? 1 : entity->first.size());
  }
  return plain;
}

}  // namespace

TestCounts& TestCounts::operator+=(const TestCounts& other) {
  passed += other.passed;
  failed += other.failed;
  skipped += other.skipped;
  return *this;
}

TestCounts count_tests(std::string_view junit) {
  TestCounts counts;
  for (const TestCase& test : test_cases(junit)) {
    counts.passed += test.outcome == Outcome::Passed ? 1 : 0;
    counts.failed += test.outcome == Outcome::Failed ? 1 : 0;
    counts.skipped += test.outcome == Outcome::Skipped ? 1 : 0;
  }
  return counts;
}

std::vector<FailedTest> failed_tests(std::string_view junit) {
  static const RE2 kOutput("(?s)<system-out>(.*)</system-out>");
  std::vector<FailedTest> failed;
  for (const TestCase& test : test_cases(junit)) {
    if (test.outcome != Outcome::Failed) {
      continue;
    }
    std::string output;
    RE2::PartialMatch(re2::StringPiece(test.inside.data(), test.inside.size()), kOutput, &output);
    failed.push_back({unescape(test.name), unescape(output)});
  }
  return failed;
}

std::vector<std::string> passed_tests(std::string_view junit) {
  std::vector<std::string> names;
  for (const TestCase& test : test_cases(junit)) {
    if (test.outcome == Outcome::Passed) {
      names.push_back(unescape(test.name));
    }
  }
  return names;
}

std::string last_lines(std::string_view text, unsigned count) {
  while (text.ends_with('\n')) {
    text.remove_suffix(1);
  }
  size_t start = text.size();
  for (unsigned line = 0; line < count && start != std::string_view::npos && start != 0; ++line) {
    start = text.rfind('\n', start - 1);
  }
  text = start == std::string_view::npos || start == 0 ? text : text.substr(start + 1);
  std::string lines;
  for (const char c : text) {
    lines += lines.empty() || lines.back() == '\n' ? "    " : "";
    lines += c;
  }
  return lines.empty() ? lines : lines + '\n';
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
