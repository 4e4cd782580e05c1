// Which files a target is made of.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tools/app/section.hpp"

namespace ax::app {

enum class Language : u8 { C, Cxx, Assembly };

struct Source {
  std::filesystem::path path;  ///< absolute
  Language language;
};

/// Build folders that the search leaves out, besides hidden ones and those that have a file called kBuildMark.
inline constexpr std::string_view kBuildMark = ".app_build";
inline constexpr std::string_view kBuildFolder = "app_build";
inline constexpr std::string_view kRuxgoBuildFolder = "ruxgo_bld";

struct SourceQuery {
  std::filesystem::path folder;  ///< of the description
  Located src;
  std::vector<Located> only;
  std::vector<Located> exclude;
};

/// The sources in the order of their paths. A path that does not exist, an entry of `only` that fits nothing and an
/// empty result are errors; an entry of `exclude` that fits nothing is a warning.
std::vector<Source> find_sources(const SourceQuery& query, Diagnostics& diagnostics);

}  // namespace ax::app
