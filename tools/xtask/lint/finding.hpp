// What a checker complains about, whichever checker it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

enum class Severity : std::uint8_t {
  Note,     ///< told, but no reason to fail
  Warning,
  Error,
};

struct Finding {
  std::string tool;  ///< "clang-tidy", ...
  std::string rule;  ///< the tool's own name of the check; may be empty
  Severity severity = Severity::Warning;
  std::string file;  ///< relative to the source tree where it is inside
  unsigned line = 0;    ///< 1-based; 0: the file as a whole
  unsigned column = 0;  ///< 1-based; 0: the line as a whole
  std::string message;

  friend auto operator<=>(const Finding&, const Finding&) = default;
};

/// The findings in what `tool` wrote: lines `FILE:LINE[:COLUMN]: SEVERITY: MESSAGE [RULE]`, as compilers write them and all
/// our checkers can. Notes of a compiler belong to the finding before them and are left out, and so is what cppcheck says of
/// itself. Paths become relative to `root`.
std::vector<Finding> parse_findings(const std::string& tool, std::string_view output, const std::filesystem::path& root);

/// Sorted by place, each once: a header is judged in every file that includes it.
void merge_findings(std::vector<Finding>& all, const std::vector<Finding>& more);

/// SARIF 2.1.0, one run per tool, for viewers and code hosting services. `root` is where relative paths start.
std::string to_sarif(const std::vector<Finding>& findings, const std::vector<std::string>& tools, const std::filesystem::path& root);

}  // namespace ax::xtask
