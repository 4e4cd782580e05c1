// A folder that entries of somebody else's archive are put into, and nothing else is touched.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

/// What links in an archive may be.
enum class LinkPolicy {
  Inside,          ///< relative and not leading out; no entry goes through one
  RootFileSystem,  ///< as a guest sees them: absolute ones, and "..", end at the folder; entries go through them
};

/// Every refusal is a Failure(Failure) that names the archive and the entry.
class UnpackTarget {
 public:
  /// `archive` is for messages. `folder` must exist.
  UnpackTarget(std::filesystem::path archive, std::filesystem::path folder, LinkPolicy policy)
      : archive_(std::move(archive)), folder_(std::move(folder)), policy_(policy) {}

  /// An entry's name as a path below the folder; "." for the folder itself.
  std::filesystem::path safe_path(std::string_view name) const;

  void add_folder(const std::filesystem::path& path, mode_t mode);
  /// A new file in place of what is there. Returns a descriptor to write to, which the caller closes.
  int add_file(const std::filesystem::path& path, mode_t mode);
  void add_symlink(const std::filesystem::path& path, std::string_view link);
  void add_hard_link(const std::filesystem::path& path, const std::filesystem::path& to);
  /// Removes what an earlier layer put there; nothing there is fine.
  void remove(const std::filesystem::path& path);
  /// Removes what is in a folder.
  void clear(const std::filesystem::path& path);
  /// Gives folders their modes.
  void finish() const;

  [[noreturn]] void refuse(std::string_view entry, const std::string& reason) const;

 private:
  std::filesystem::path place_of(const std::filesystem::path& path, bool make);
  std::filesystem::path room_for(const std::filesystem::path& path);
  void check_link(const std::filesystem::path& path, std::string_view link) const;

  std::filesystem::path archive_;
  std::filesystem::path folder_;
  LinkPolicy policy_;
  std::vector<std::pair<std::filesystem::path, mode_t>> folder_modes_;
};

}  // namespace ax::xtask
