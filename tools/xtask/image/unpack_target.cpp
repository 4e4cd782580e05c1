#include "tools/xtask/image/unpack_target.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr mode_t kPermissions = 0777;
constexpr int kMostLinks = 40;  // on the way to one entry

[[noreturn]] void cannot_write(const fs::path& path) {
  throw Failure(ExitCode::Environment, fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
}

}  // namespace

void UnpackTarget::refuse(std::string_view entry, const std::string& reason) const {
  throw Failure(ExitCode::Failure, fmt::format("cannot unpack {}: '{}' {}", archive_.string(), entry, reason),
                "this archive was not made for others to unpack: ask who published it");
}

fs::path UnpackTarget::safe_path(std::string_view name) const {
  const fs::path path(name);
  if (path.is_absolute()) {
    refuse(name, "is an absolute path");
  }
  fs::path clean;
  for (const fs::path& part : path) {
    if (part == "..") {
      refuse(name, "leads out of the folder");
    }
    if (part != "." && !part.empty()) {
      clean /= part;
    }
  }
  return clean.empty() ? fs::path(".") : clean;
}

/// The entry's place on this machine: its parents exist (with `make`) and are folders, links followed as the policy says.
fs::path UnpackTarget::place_of(const fs::path& path, bool make) {
  fs::path done;  // below folder_, without links
  const fs::path parent = path.parent_path();
  std::deque<fs::path> left(parent.begin(), parent.end());
  for (int links = 0; !left.empty();) {
    const fs::path part = left.front();
    left.pop_front();
    if (part == ".." || part == "." || part.empty() || part == "/") {
      done = part == ".." ? done.parent_path() : done;
      continue;
    }
    const fs::path place = folder_ / done / part;
    struct stat status{};
    if (::lstat(place.c_str(), &status) != 0) {
      if (make && ::mkdir(place.c_str(), kPermissions) != 0) {
        cannot_write(place);
      }
      done /= part;
    } else if (S_ISDIR(status.st_mode)) {
      done /= part;
    } else if (S_ISLNK(status.st_mode) && policy_ == LinkPolicy::RootFileSystem && ++links <= kMostLinks) {
      const fs::path link = fs::read_symlink(place);
      done = link.is_absolute() ? fs::path() : done;
      left.insert(left.begin(), link.begin(), link.end());
    } else {
      refuse(path.string(), fmt::format("goes through {}, which is no folder", (done / part).string()));
    }
  }
  return folder_ / done / path.filename();
}

fs::path UnpackTarget::room_for(const fs::path& path) {
  const fs::path place = place_of(path, true);
  struct stat status{};
  if (::lstat(place.c_str(), &status) != 0) {
    return place;
  }
  if (S_ISDIR(status.st_mode) && policy_ == LinkPolicy::Inside) {
    refuse(path.string(), "is there as a folder already");
  }
  fs::remove_all(place);
  return place;
}

void UnpackTarget::check_link(const fs::path& path, std::string_view link) const {
  const fs::path target(link);
  int depth = static_cast<int>(std::distance(path.begin(), path.end())) - 1;
  bool leads_out = target.is_absolute();
  for (const fs::path& part : target) {
    depth += part == ".." ? -1 : part == "." || part.empty() ? 0 : 1;
    leads_out = leads_out || depth < 0;
  }
  if (leads_out && policy_ == LinkPolicy::Inside) {
    refuse(path.string(), fmt::format("is a link to {}, which leads out of the folder", link));
  }
}

void UnpackTarget::add_folder(const fs::path& path, mode_t mode) {
  if (path == ".") {
    return;
  }
  const fs::path place = place_of(path, true);
  struct stat status{};
  const bool there = ::lstat(place.c_str(), &status) == 0;
  if (there && S_ISLNK(status.st_mode) && policy_ == LinkPolicy::RootFileSystem) {
    return;  // /lib of a later layer, which is a link to /usr/lib
  }
  if (there && !S_ISDIR(status.st_mode)) {
    fs::remove(room_for(path));
  }
  if ((!there || !S_ISDIR(status.st_mode)) && ::mkdir(place.c_str(), kPermissions) != 0) {
    cannot_write(place);
  }
  folder_modes_.emplace_back(place, mode);
}

int UnpackTarget::add_file(const fs::path& path, mode_t mode) {
  const fs::path place = room_for(path);
  const int fd = ::open(place.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode & kPermissions) | S_IWUSR);
  if (fd < 0) {
    cannot_write(place);
  }
  return fd;
}

void UnpackTarget::add_symlink(const fs::path& path, std::string_view link) {
  check_link(path, link);
  const fs::path place = room_for(path);
  if (::symlink(std::string(link).c_str(), place.c_str()) != 0) {
    cannot_write(place);
  }
}

void UnpackTarget::add_hard_link(const fs::path& path, const fs::path& to) {
  const fs::path source = place_of(to, false);
  struct stat status{};
  if (::lstat(source.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    refuse(path.string(), fmt::format("is a link to {}, which is no file before it", to.string()));
  }
  const fs::path place = room_for(path);
  if (::link(source.c_str(), place.c_str()) != 0) {
    cannot_write(place);
  }
}

void UnpackTarget::remove(const fs::path& path) { fs::remove_all(place_of(path, false)); }

void UnpackTarget::clear(const fs::path& path) {
  const fs::path place = path == "." ? folder_ : place_of(path, false);
  std::error_code none;
  std::vector<fs::path> content;
  for (const fs::directory_entry& entry : fs::directory_iterator(place, none)) {
    content.push_back(entry.path());
  }
  for (const fs::path& entry : content) {
    fs::remove_all(entry);
  }
}

void UnpackTarget::finish() const {
  for (const auto& [folder, mode] : folder_modes_) {
    if (fs::is_directory(fs::symlink_status(folder))) {
      ::chmod(folder.c_str(), (mode & kPermissions) | S_IRWXU);
    }
  }
}

}  // namespace ax::xtask
