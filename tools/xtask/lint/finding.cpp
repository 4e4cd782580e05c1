#include "tools/xtask/lint/finding.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <sstream>

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct SeverityName {
  std::string_view name;
  Severity severity;
};
constexpr std::array kSeverities{
    SeverityName{"error", Severity::Error},         SeverityName{"fatal error", Severity::Error},
    SeverityName{"warning", Severity::Warning},     SeverityName{"style", Severity::Warning},
    SeverityName{"performance", Severity::Warning}, SeverityName{"portability", Severity::Warning},
};

// cppcheck 2.10 knows neither all of C++23 nor our literals; where it gives up, the other checkers still judge.
constexpr std::array<std::string_view, 3> kOfTheToolItself{"cppcheckError", "syntaxError", "internalAstError"};

std::string relative_to(const fs::path& root, const std::string& file) {
  const fs::path inside = fs::path(file).lexically_normal().lexically_relative(root);
  return inside.empty() || *inside.begin() == ".." ? file : inside.string();
}

/// "message [rule,-warnings-as-errors]" in two.
void split_rule(Finding& finding) {
  static const RE2 kRule("(.*?)\\s*\\[([^\\[\\] ]+)\\]");
  std::string message;
  std::string rule;
  if (RE2::FullMatch(finding.message, kRule, &message, &rule)) {
    finding.message = message;
    finding.rule = rule.substr(0, rule.find(','));
  }
}

}  // namespace

std::vector<Finding> parse_findings(const std::string& tool, std::string_view output, const fs::path& root) {
  static const RE2 kLine("([^\\s:][^:]*):(\\d+)(?::(\\d+))?: ([a-z ]+): (.*)");
  std::vector<Finding> findings;
  std::istringstream lines{std::string(output)};
  for (std::string line; std::getline(lines, line);) {
    Finding finding;
    std::string severity;
    std::string column;
    if (!RE2::FullMatch(line, kLine, &finding.file, &finding.line, &column, &severity, &finding.message)) {
      continue;
    }
    const auto known = std::find_if(kSeverities.begin(), kSeverities.end(), [&](const SeverityName& s) { return s.name == severity; });
    if (known == kSeverities.end()) {
      continue;
    }
    finding.tool = tool;
    finding.severity = known->severity;
    finding.column = column.empty() ? 0 : static_cast<unsigned>(std::stoul(column));
    finding.file = relative_to(root, finding.file);
    split_rule(finding);
    if (std::find(kOfTheToolItself.begin(), kOfTheToolItself.end(), finding.rule) != kOfTheToolItself.end()) {
      finding.severity = Severity::Note;
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

void merge_findings(std::vector<Finding>& all, const std::vector<Finding>& more) {
  all.insert(all.end(), more.begin(), more.end());
  std::sort(all.begin(), all.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.file, a.line, a.column, a.tool, a.rule, a.message) < std::tie(b.file, b.line, b.column, b.tool, b.rule, b.message);
  });
  all.erase(std::unique(all.begin(), all.end()), all.end());
}

}  // namespace ax::xtask
