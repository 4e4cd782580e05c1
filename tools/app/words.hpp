// Command lines in strings: split into words as a POSIX shell splits them, without a shell.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ax::app {

using Words = std::vector<std::string>;

/// Runs pkg-config with these words (its name first). Returns what it printed, or a sentence about what went wrong.
using PkgConfig = std::function<std::expected<std::string, std::string>(const Words& command)>;

struct WordsError {
  std::string text;
  std::string fix;
};

/// Blanks separate words; '...', "..." and \ quote. A command in back-ticks or $(...) must be pkg-config: it is run,
/// and its output split at blanks takes its place. What a shell would do beyond that (variables, pipes, redirections)
/// is an error.
std::expected<Words, WordsError> split_words(std::string_view text, const PkgConfig& pkg_config);

/// The words as a POSIX shell reads them back.
std::string join_words(const Words& words);

}  // namespace ax::app
