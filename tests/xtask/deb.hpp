// Tiny Debian packages made in memory.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ax::xtask::test {

enum class DebCompression { None, Gzip, Xz, Zstd };

/// A .deb with these files (path, content) in its data archive.
std::string make_deb(const std::vector<std::pair<std::string, std::string>>& files, DebCompression compression);

}  // namespace ax::xtask::test
