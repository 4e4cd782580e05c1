#include "kernel/fs/tree.hpp"

#include <algorithm>

namespace ax::fs {
namespace {

/// The first name of a path, without the slash before it; `rest` begins with the slash behind it, or is empty.
std::string_view take_name(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
  const usize size = std::min(rest.find('/'), rest.size());
  const std::string_view name = rest.substr(0, size);
  rest.remove_prefix(size);
  return name;
}

Result<Name> make_name(std::string_view text) {
  Name name;
  for (const char c : text) TRY(name.push_back(c));
  return name;
}

}  // namespace

// ---- paths ------------------------------------------------------------------------------------------------------------

Result<void> Path::append(std::string_view name) {
  if (name.size() > kMaxName) return fail(Error::OutOfRange);
  if (!is_root() && !text_.push_back('/')) return fail(Error::OutOfRange);
  for (const char c : name)
    if (!text_.push_back(c)) return fail(Error::OutOfRange);
  return {};
}

Result<Path> Path::make(const Path& directory, std::string_view text) {
  Path path = text.starts_with('/') ? Path() : directory;
  while (!text.empty()) {
    const std::string_view name = take_name(text);
    if (name == "..") path = path.parent();
    if (name.empty() || name == "." || name == "..") continue;
    TRY(path.append(name));
  }
  return path;
}

Path Path::parent() const {
  Path parent = *this;
  while (parent.text_.size() > 1 && parent.text_.back() != '/') parent.text_.pop_back();
  if (parent.text_.size() > 1) parent.text_.pop_back();
  return parent;
}

bool Path::contains(const Path& other) const {
  const std::string_view mine = text(), theirs = other.text();
  return is_root() || (theirs.starts_with(mine) && (theirs.size() == mine.size() || theirs[mine.size()] == '/'));
}

// ---- mounts -----------------------------------------------------------------------------------------------------------

Result<void> Tree::mount(FileSystem& system, std::string_view at, std::string_view device) {
  for (const Mount& mount : mounts_)
    if (text(mount.at) == at) return fail(Error::AlreadyExists);
  const Name place = TRY(make_name(at)), name = TRY(make_name(device));
  TRY(mounts_.push_back({&system, place, name}));
  return {};
}

bool Tree::is_mount(const Path& path) const {
  return std::ranges::any_of(mounts_, [&](const Mount& mount) { return path.text().substr(1) == text(mount.at); });
}

/// The mount that a path leads to; `rest` is what is left of the path there.
const Mount* Tree::mount_of(std::string_view& rest) const {
  std::string_view below = rest;
  const std::string_view first = take_name(below);
  const Mount* root = nullptr;
  for (const Mount& mount : mounts_) {
    if (mount.at.empty()) {
      root = &mount;
    } else if (text(mount.at) == first) {
      rest = below;
      return &mount;
    }
  }
  return root;
}

// ---- finding ----------------------------------------------------------------------------------------------------------

Result<Location> Tree::walk(Path path, unsigned links) {
  std::string_view rest = path.text();
  const Mount* mount = mount_of(rest);
  if (mount == nullptr) return fail(Error::NotFound);
  FileSystem& system = *mount->system;
  Location here{&system, TRY(system.root())};
  for (;;) {
    const std::string_view before = path.text().substr(0, path.text().size() - rest.size());
    const std::string_view name = take_name(rest);
    if (name.empty()) return here;
    here.node = TRY(system.find(here.node, name));
    if (here.node.kind != Kind::Link) continue;
    if (links == 0) return fail(Error::Malformed);
    std::array<char, kMaxPath> target;
    const usize size = TRY(system.read(here.node, 0, std::as_writable_bytes(std::span(target))));
    const Path directory = TRY(Path::make(Path(), before));
    const Path led = TRY(Path::make(directory, {target.data(), size}));
    rest.remove_prefix(std::min<usize>(1, rest.size()));
    const Path whole = TRY(Path::make(led, rest));
    return walk(whole, links - 1);
  }
}

Result<Location> Tree::find(const Path& path) { return walk(path, kMostLinks); }

Result<Location> Tree::find_parent(const Path& path) {
  const Location parent = TRY(find(path.parent()));
  return parent.node.kind == Kind::Directory ? Result<Location>(parent) : fail(Error::NotDirectory);
}

Result<void> Tree::list(const Path& path, DirectoryVisitor& visitor) {
  if (path.is_root())
    for (const Mount& mount : mounts_)
      if (!mount.at.empty() && !visitor.visit(text(mount.at), {.kind = Kind::Directory})) return {};
  Location here = TRY(find(path));
  return here.system->list(here.node, visitor);
}

// ---- changes ----------------------------------------------------------------------------------------------------------

Result<void> Tree::write_file(const Path& path, std::span<const std::byte> bytes) {
  Location parent = TRY(find_parent(path));
  FileSystem& system = *parent.system;
  auto file = system.find(parent.node, path.name());
  const bool is_new = !file && file.error() == Error::NotFound;
  if (is_new) file = system.create(parent.node, path.name(), Kind::File);
  if (!file) return fail(file.error());
  TRY(system.replace(*file));
  auto done = system.write(*file, 0, bytes);
  if (done) done = system.commit(*file);
  if (done) return system.sync();
  system.abandon(*file);
  if (is_new) static_cast<void>(system.remove(parent.node, path.name()));
  return fail(done.error());
}

Result<void> Tree::make_directory(const Path& path) {
  const Location parent = TRY(find_parent(path));
  TRY(parent.system->create(parent.node, path.name(), Kind::Directory));
  return parent.system->sync();
}

Result<void> Tree::remove(const Path& path) {
  if (is_mount(path)) return fail(Error::Busy);
  const Location parent = TRY(find_parent(path));
  TRY(parent.system->remove(parent.node, path.name()));
  return parent.system->sync();
}

}  // namespace ax::fs
