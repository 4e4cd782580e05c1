#include "tools/xtask/image/file_tree.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;

std::uint64_t FileTree::Node::bytes() const {
  return kind != Kind::File ? 0 : source.empty() ? content.size() : fs::file_size(source);
}

std::uint64_t FileTree::bytes() const {
  constexpr std::uint64_t kBlock = 4096;
  std::uint64_t sum = 0;
  for (const auto& [path, node] : nodes_) {
    sum += (node.bytes() + kBlock - 1) / kBlock * kBlock + (node.kind == Kind::Folder ? kBlock : 0);
  }
  return sum;
}

void FileTree::add(const std::string& path, Node node) {
  if (path.find_first_of("\"\n\\") != std::string::npos) {
    throw Failure(ExitCode::Usage, fmt::format("'{}': names with quotes, backslashes or line ends cannot be put on a disk", path));
  }
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    const auto [place, fresh] = nodes_.try_emplace(parent);
    if (!fresh && place->second.kind != Kind::Folder) {
      throw Failure(ExitCode::Usage, fmt::format("'{}' is put into '{}', which is no folder", path, parent));
    }
  }
  const auto old = nodes_.find(path);
  if (old != nodes_.end() && (old->second.kind == Kind::Folder) != (node.kind == Kind::Folder)) {
    throw Failure(ExitCode::Usage, fmt::format("'{}' is both a file and a folder", path));
  }
  nodes_[path] = std::move(node);
}

void FileTree::add_folder(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const std::string path = "/" + entry.path().lexically_relative(folder).string();
    const fs::file_status status = entry.symlink_status();
    switch (status.type()) {
      case fs::file_type::directory: add(path, {.kind = Kind::Folder}); break;
      case fs::file_type::symlink: add(path, {.kind = Kind::Link, .target = fs::read_symlink(entry.path()).string()}); break;
      case fs::file_type::regular:
        add_file(path, entry.path(), (status.permissions() & fs::perms::owner_exec) != fs::perms::none);
        break;
      default: throw Failure(ExitCode::Usage, fmt::format("{} is no file, folder or link: it cannot be put on a disk", entry.path().string()));
    }
  }
}

void FileTree::add_file(const std::string& path, const fs::path& source, bool executable) {
  add(path, {.kind = Kind::File, .source = source, .executable = executable});
}

void FileTree::add_content(const std::string& path, std::string content, bool executable) {
  add(path, {.kind = Kind::File, .content = std::move(content), .executable = executable});
}

void FileTree::prepare(const fs::path& scratch, std::int64_t time) {
  const fs::path stage = scratch / "stage";
  fs::remove_all(stage);
  fs::create_directories(stage);
  int number = 0;
  for (auto& [path, node] : nodes_) {
    if (node.kind != Kind::File) {
      continue;
    }
    node.staged = std::to_string(number++);
    node.source.empty() ? write_file(stage / node.staged, node.content)
                        : static_cast<void>(fs::copy_file(node.source, stage / node.staged));
    const std::array<timespec, 2> times{timespec{time, 0}, timespec{time, 0}};
    ::utimensat(AT_FDCWD, (stage / node.staged).c_str(), times.data(), 0);
  }
}

}  // namespace ax::xtask
