// Who includes whom, found by reading #include lines: an independent opinion on what a header edit must rebuild.
#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace ax::build_test {

/// The object files (relative to `build_folder`) of all compilations whose source is `file` or includes it, directly or not.
/// Conditional includes count as included.
std::set<std::string> objects_using(const std::filesystem::path& build_folder, const std::filesystem::path& file);

/// The object files of all compilations of source files below `folder`.
std::set<std::string> objects_below(const std::filesystem::path& build_folder, const std::filesystem::path& folder);

/// The object files of all compilations.
std::set<std::string> all_objects(const std::filesystem::path& build_folder);

}  // namespace ax::build_test
