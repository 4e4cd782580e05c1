// Original archives of Debian's source packages, from the mirror that this machine is set up for, through apt's own signature
// checks, in an apt root of our own.
#pragma once

#include <filesystem>
#include <string>

#include "tools/xtask/core/console.hpp"

namespace ax::xtask {

/// The archive NAME_VERSION.orig.tar.* with this SHA-256, kept in `cache`. Throws Unreachable where it is not in the cache and
/// cannot be had, Failure(Environment) when the mirror has another version or another archive.
std::filesystem::path original_archive(const Console& console, const std::filesystem::path& cache, const std::string& package,
                                       const std::string& version, const std::string& sha256, bool offline);

}  // namespace ax::xtask
