// The keys of the configuration files, explained from their schema, and files compared key by key.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ax::xtask {

/// Every key whose path or last part is `key` ("kernel.entry_point", "entry_point"), as paragraphs for a terminal. Throws
/// Failure(Usage) with a suggestion where there is none.
std::string explain_key(const std::string& key);

struct KeyDifference {
  std::string path;    ///< "kernel.memory_regions"
  std::string before;  ///< in TOML; empty: absent
  std::string after;
};

/// What differs in value, whatever the files look like: order, comments, spelling of numbers and absent tables do not count.
std::vector<KeyDifference> compare_files(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace ax::xtask
