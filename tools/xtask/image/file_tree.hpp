// The files of a file system in the making, by their paths on it, sorted.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace ax::xtask {

class FileTree {
 public:
  enum class Kind { Folder, File, Link };
  struct Node {
    Kind kind = Kind::Folder;
    std::filesystem::path source{};  ///< of a file
    std::string content{};           ///< of a file without a source
    std::string target{};            ///< of a link
    bool executable = false;
    std::string staged{};            ///< name in the scratch folder, once prepared

    std::uint64_t bytes() const;
    /// Where prepare() put it.
    std::filesystem::path file(const std::filesystem::path& scratch) const { return scratch / "stage" / staged; }
  };

  /// What is in a folder of this machine, over what is there. Throws Failure(Usage) for devices and for names that tools cannot take.
  void add_folder(const std::filesystem::path& folder);
  void add_file(const std::string& path, const std::filesystem::path& source, bool executable);
  void add_content(const std::string& path, std::string content, bool executable);

  /// Paths begin with "/"; the root itself is not there.
  const std::map<std::string, Node>& nodes() const { return nodes_; }
  std::uint64_t bytes() const;

  /// Links or copies every file into `scratch`/stage, with this time of change.
  void prepare(const std::filesystem::path& scratch, std::int64_t time);

 private:
  void add(const std::string& path, Node node);

  std::map<std::string, Node> nodes_;
};

}  // namespace ax::xtask
