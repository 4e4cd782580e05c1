// Tiny Debian packages made in memory, and the mirror they come from.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace ax::xtask::test {

enum class DebCompression { None, Gzip, Xz, Zstd };

/// A .deb with these files (path, content) in its data archive.
std::string make_deb(const std::vector<std::pair<std::string, std::string>>& files, DebCompression compression);

/// Programs apt-get and apt-cache in this folder, whose mirror is the folder $MIRROR: NAME=VERSION.record (what apt-cache prints),
/// NAME=VERSION.deb, and NAME.candidate with the current NAME=VERSION. `apt-get update` ends with $UPDATE_STATUS; $MIRROR/log tells
/// what was asked for.
void write_fake_apt(const std::filesystem::path& programs);

/// What apt-cache prints of a package.
std::string package_record(const std::string& name, const std::string& version, const std::string& depends, const std::string& sha256);

}  // namespace ax::xtask::test
