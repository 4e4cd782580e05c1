// Archives made in memory, good and bad.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace ax::xtask::test {

struct ArchiveMember {
  std::string path;
  std::string content{};
  std::string link{};       ///< where a symbolic link points
  std::string hard_link{};  ///< another member
  mode_t mode = 0644;
  mode_t type = 0;  ///< S_IFDIR, S_IFIFO, ...; 0: a file, or what link and hard_link say
};

/// A .tar.gz with these members, in this order and just as they are.
std::string make_tar(const std::vector<ArchiveMember>& members);

}  // namespace ax::xtask::test
