// The service `paths`: files by name. Besides what is on the volume there are a few devices in /dev.
#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/program.hpp"
#include "unikernel/core/random_bytes.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/file/linux_stat.hpp"
#include "unikernel/file/open_files.hpp"

namespace ax::uni {
namespace {

// ---- /dev

class Device final : public FileObject {
 public:
  enum class Kind : u8 { Null, Zero, Random };
  constexpr Device(Kind kind, u64 id) : kind_(kind), id_(id) {}

  i64 read(OpenFile&, std::span<char> out) override {
    if (kind_ == Kind::Null) return 0;
    for (usize i = 0; i < out.size(); i += sizeof(u64)) {
      const u64 word = kind_ == Kind::Random ? random_word() : 0;
      __builtin_memcpy(out.data() + i, &word, std::min(sizeof word, out.size() - i));
    }
    return static_cast<i64>(out.size());
  }
  i64 write(OpenFile&, std::span<const char> bytes) override { return static_cast<i64>(bytes.size()); }
  i64 seek(OpenFile&, i64, u64) override { return 0; }
  Status status() override { return {.mode = Status::kCharacters | 0666, .id = id_}; }

 private:
  Kind kind_;
  u64 id_;
};

constinit Device null_device(Device::Kind::Null, 3), zero_device(Device::Kind::Zero, 5), random_device(Device::Kind::Random, 8);

FileObject* device_at(const fs::Path& path) {
  constexpr std::string_view kFolder = "/dev/";
  if (!path.text().starts_with(kFolder)) return nullptr;
  const std::string_view name = path.text().substr(kFolder.size());
  if (name == "null") return &null_device;
  if (name == "zero") return &zero_device;
  if (name == "random" || name == "urandom") return &random_device;
  return name == "tty" || name == "console" ? &console_file() : nullptr;
}

// ---- paths

constexpr i64 kWorkingDirectory = -100;  // AT_FDCWD

/// Nothing: the root. That it is not made before takes 512 bytes out of the image.
constinit std::optional<fs::Path> current_directory;

fs::Path& working_directory() { return current_directory ? *current_directory : current_directory.emplace(); }

bool works() { return volume().system != nullptr; }

/// Lives longer than the lock is held: the last who lets a directory go needs that.
struct UserPath {
  std::optional<HeldFile> base{};
  fs::Path path{};
  bool names_directory = false;  ///< it ends in a slash
};

/// The absolute path that `text` means. With the lock. 0 or -errno.
i64 resolve(i64 directory, const char* text, UserPath& out) {
  if (text == nullptr) return kFault;
  const std::string_view view(text);
  if (view.empty()) return kNoEntry;
  out.names_directory = view.back() == '/';
  Result<fs::Path> path = fs::Path::make(working_directory(), view);
  if (directory != kWorkingDirectory && view.front() != '/') {
    const HeldFile& base = out.base.emplace(hold(static_cast<u64>(directory)));
    if (!base) return kBadFile;
    if ((base.object().status().mode & Status::kDirectory) == 0) return kNotDirectory;
    path = fs::Path::make(static_cast<OpenDirectory&>(base.object()).path(), view);
  }
  if (!path) return kNameTooLong;
  out.path = *path;
  return 0;
}

/// With the lock.
Result<fs::Node> find(const fs::Path& path) {
  if (!works()) return fail(Error::NotFound);
  fs::Node node = TRY(volume().system->root());
  for (std::string_view rest = path.text().substr(1); !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    node = TRY(volume().system->find(node, name));
  }
  return node;
}

Result<fs::Node> find_parent(const fs::Path& path) {
  const fs::Node parent = TRY(find(path.parent()));
  return parent.kind == fs::Kind::Directory ? Result<fs::Node>(parent) : fail(Error::NotDirectory);
}

/// What a program is told about the file: an open one is ahead of its directory.
Status status_at(const fs::Node& node) {
  const DiskFile* open = node.kind == fs::Kind::File ? DiskFile::find(node.place) : nullptr;
  return status_of(open != nullptr ? open->node() : node);
}

// ---- open

#if defined(__aarch64__)
constexpr u64 kDirectoryOnly = 040000;
#else
constexpr u64 kDirectoryOnly = 0200000;
#endif

Result<fs::Node> create(const fs::Path& path, fs::Kind kind) {
  if (!works()) return fail(Error::ReadOnly);
  const fs::Node parent = TRY(find_parent(path));
  const fs::Node made = TRY(volume().system->create(parent, path.name(), kind));
  OpenDirectory::entry_changes(parent, made.place, true);
  return made;
}

i64 open_directory(const UserPath& where, const fs::Node& node, u64 flags) {
  if ((flags & kAccessMode) != 0 || (flags & kCreate) != 0) return kIsDirectory;
  const Result<OpenDirectory*> directory = OpenDirectory::open(where.path, node);
  if (!directory) return to_errno(directory.error());
  const i64 descriptor = open_descriptor(**directory, flags);
  if (descriptor < 0) (*directory)->close();
  return descriptor;
}

i64 open_file(const fs::Node& node, u64 flags) {
  if ((flags & kAccessMode) != 0 && !volume().system->writable()) return kReadOnly;
  const Result<DiskFile*> file = DiskFile::open(node);
  if (!file) return to_errno(file.error());
  Result<void> cut{};
  if ((flags & kTruncate) != 0 && (flags & kAccessMode) != 0) cut = (*file)->resize(0);
  const i64 descriptor = cut ? open_descriptor(**file, flags) : to_errno(cut.error());
  if (descriptor < 0) (*file)->close();
  return descriptor;
}

i64 open_at(i64 directory, const char* text, u64 flags, u64) {
  UserPath where;
  const MutexGuard guard(volume_lock());
  if (const i64 error = resolve(directory, text, where); error != 0) return error;
  if (FileObject* device = device_at(where.path))
    return (flags & kDirectoryOnly) != 0 ? i64{kNotDirectory} : open_descriptor(*device, flags);
  Result<fs::Node> node = find(where.path);
  const bool exists = node.has_value();
  if (!exists && node.error() == Error::NotFound && (flags & kCreate) != 0) {
    if (where.names_directory) return kIsDirectory;
    node = create(where.path, fs::Kind::File);
  }
  if (!node) return to_errno(node.error());
  if (exists && (flags & kCreate) != 0 && (flags & kExclusive) != 0) return kExists;
  if (node->kind == fs::Kind::Directory) return open_directory(where, *node, flags);
  if ((flags & kDirectoryOnly) != 0 || where.names_directory) return kNotDirectory;
  return open_file(*node, flags);
}

// ---- status

i64 status_of_path(i64 directory, const char* text, LinuxStat* out, u64 flags) {
  constexpr u64 kEmptyPath = 0x1000;
  if ((flags & kEmptyPath) != 0 && text != nullptr && *text == 0) {
    const HeldFile file = hold(static_cast<u64>(directory));
    if (!file) return kBadFile;
    fill(*out, file.object().status());
    return 0;
  }
  UserPath where;
  const MutexGuard guard(volume_lock());
  if (const i64 error = resolve(directory, text, where); error != 0) return error;
  if (FileObject* device = device_at(where.path)) {
    fill(*out, device->status());
    return 0;
  }
  const Result<fs::Node> node = find(where.path);
  if (!node) return to_errno(node.error());
  if (where.names_directory && node->kind != fs::Kind::Directory) return kNotDirectory;
  fill(*out, status_at(*node));
  return 0;
}

/// What exists may be done, unless the disk is read-only.
i64 may_access(i64 directory, const char* text, u64 mode) {
  constexpr u64 kWriteMode = 2;
  UserPath where;
  const MutexGuard guard(volume_lock());
  if (const i64 error = resolve(directory, text, where); error != 0) return error;
  if (device_at(where.path) != nullptr) return 0;
  const Result<fs::Node> node = find(where.path);
  if (!node) return to_errno(node.error());
  return (mode & kWriteMode) != 0 && !volume().system->writable() ? i64{kReadOnly} : 0;
}

/// There are no links.
i64 read_link(i64 directory, const char* text) {
  UserPath where;
  const MutexGuard guard(volume_lock());
  if (const i64 error = resolve(directory, text, where); error != 0) return error;
  if (device_at(where.path) != nullptr) return kInvalid;
  const Result<fs::Node> node = find(where.path);
  return node ? i64{kInvalid} : to_errno(node.error());
}

struct FileSystemStatus {
  u64 type, block_size, blocks, free_blocks, available_blocks, files, free_files, id, name_size, fragment_size, flags, unused[4];
};

i64 volume_status(FileSystemStatus* out) {
  constexpr u64 kFatMagic = 0x4d44, kUnit = 512, kReadOnlyFlag = 1;
  const MutexGuard guard(volume_lock());
  if (!works()) return kNoSystemCall;
  const Result<fs::Usage> usage = volume().system->usage();
  if (!usage) return to_errno(usage.error());
  *out = {};
  out->type = kFatMagic;
  out->block_size = out->fragment_size = kUnit;
  out->blocks = usage->total / kUnit;
  out->free_blocks = out->available_blocks = usage->free / kUnit;
  out->name_size = fs::kMaxName;
  out->flags = volume().system->writable() ? 0 : kReadOnlyFlag;
  return 0;
}

i64 status_of_volume(const char*, FileSystemStatus* out) { return volume_status(out); }
i64 status_of_volume_of(u64 descriptor, FileSystemStatus* out) { return hold(descriptor) ? volume_status(out) : i64{kBadFile}; }

// ---- changes

i64 make_directory(i64 directory, const char* text, u64) {
  UserPath where;
  const MutexGuard guard(volume_lock());
  if (const i64 error = resolve(directory, text, where); error != 0) return error;
  if (where.path.is_root()) return kExists;
  const Result<fs::Node> made = create(where.path, fs::Kind::Directory);
  return made ? 0 : to_errno(made.error());
}

Result<void> remove(const fs::Path& path, const fs::Node& node) {
  fs::FileSystem& system = *volume().system;
  const fs::Node parent = TRY(find_parent(path));
  DiskFile* open = node.kind == fs::Kind::File ? DiskFile::find(node.place) : nullptr;
  OpenDirectory::entry_changes(parent, node.place, false);
  if (open == nullptr) return system.remove(parent, path.name());
  TRY(volume().detach(system, parent, path.name()));
  open->detach();
  return {};
}

i64 remove_at(i64 directory, const char* text, u64 flags) {
  constexpr u64 kDirectory = 0x200;  // AT_REMOVEDIR
  UserPath where;
  const MutexGuard guard(volume_lock());
  if (const i64 error = resolve(directory, text, where); error != 0) return error;
  if (device_at(where.path) != nullptr) return kPerm;
  const Result<fs::Node> node = find(where.path);
  if (!node) return to_errno(node.error());
  const bool is_directory = node->kind == fs::Kind::Directory;
  if (is_directory && (flags & kDirectory) == 0) return kIsDirectory;
  if (!is_directory && (flags & kDirectory) != 0) return kNotDirectory;
  if (where.path.is_root()) return kBusyDevice;
  const Result<void> removed = remove(where.path, *node);
  return removed ? 0 : to_errno(removed.error());
}

/// What `to` names goes first: a loss of power between the two leaves the file under its old name.
Result<void> rename(const fs::Path& from, const fs::Path& to) {
  const fs::Node node = TRY(find(from)), parent = TRY(find_parent(from)), new_parent = TRY(find_parent(to));
  const Result<fs::Node> target = find(to);
  if (target && target->place == node.place && from.text() == to.text()) return {};
  if (target && target->place != node.place) {
    if (node.kind != target->kind) return fail(node.kind == fs::Kind::Directory ? Error::NotDirectory : Error::IsDirectory);
    TRY(remove(to, *target));
  } else if (!target && target.error() != Error::NotFound) {
    return fail(target.error());
  }
  DiskFile* open = node.kind == fs::Kind::File ? DiskFile::find(node.place) : nullptr;
  if (open != nullptr) TRY(open->commit());
  OpenDirectory::entry_changes(parent, node.place, false);
  TRY(volume().move(*volume().system, parent, from.name(), new_parent, to.name()));
  const fs::Node moved = TRY(find(to));
  OpenDirectory::entry_changes(new_parent, moved.place, true);
  if (open != nullptr) open->move(moved.place);
  return {};
}

i64 rename_at(i64 from_directory, const char* from, i64 to_directory, const char* to, u64 flags) {
  if (flags != 0) return kInvalid;
  UserPath old_path, new_path;
  const MutexGuard guard(volume_lock());
  if (const i64 error = resolve(from_directory, from, old_path); error != 0) return error;
  if (const i64 error = resolve(to_directory, to, new_path); error != 0) return error;
  if (old_path.path.is_root() || new_path.path.is_root()) return kBusyDevice;
  const bool into_itself = old_path.path.contains(new_path.path) && old_path.path.text() != new_path.path.text();
  const Result<void> renamed = into_itself ? fail(Error::InvalidArgument) : rename(old_path.path, new_path.path);
  return renamed ? 0 : to_errno(renamed.error());
}

[[maybe_unused]] i64 rename_between(i64 from_directory, const char* from, i64 to_directory, const char* to) {
  return rename_at(from_directory, from, to_directory, to, 0);
}

i64 truncate(const char* text, i64 size) {
  if (size < 0) return kInvalid;
  const i64 descriptor = open_at(kWorkingDirectory, text, kWriteOnly, 0);
  if (descriptor < 0) return descriptor;
  i64 result;
  {
    const HeldFile file = hold(static_cast<u64>(descriptor));
    result = file.object().truncate(static_cast<u64>(size));
  }
  static_cast<void>(close_descriptor(static_cast<u64>(descriptor)));
  return result;
}

/// FAT knows neither owners nor permissions: what asks for those that everything has is right.
i64 set_mode_of(u64 descriptor, u64 mode) {
  constexpr u64 kOwnerReadWrite = 0600;
  if (!hold(descriptor)) return kBadFile;
  return (mode & kOwnerReadWrite) == kOwnerReadWrite ? 0 : i64{kPerm};
}
i64 set_owner_of(u64 descriptor, i32 user, i32 group) {
  if (!hold(descriptor)) return kBadFile;
  return user <= 0 && group <= 0 ? 0 : i64{kPerm};
}
i64 mask_modes(u64 mask) {
  static constinit std::atomic<u64> current{0022};
  return static_cast<i64>(current.exchange(mask & 0777));
}

i64 sync_all() {
  const MutexGuard guard(volume_lock());
  if (!works()) return 0;
  DiskFile::commit_open();
  static_cast<void>(volume().system->sync());
  return 0;
}

// ---- the working directory

i64 enter(const fs::Path& path) {
  const Result<fs::Node> node = find(path);
  if (!node && !path.is_root()) return to_errno(node.error());
  if (node && node->kind != fs::Kind::Directory) return kNotDirectory;
  working_directory() = path;
  return 0;
}

i64 change_directory(const char* text) {
  UserPath where;
  const MutexGuard guard(volume_lock());
  const i64 error = resolve(kWorkingDirectory, text, where);
  return error != 0 ? error : enter(where.path);
}

i64 change_directory_to(u64 descriptor) {
  const HeldFile file = hold(descriptor);
  if (!file) return kBadFile;
  if ((file.object().status().mode & Status::kDirectory) == 0) return kNotDirectory;
  const MutexGuard guard(volume_lock());
  return enter(static_cast<OpenDirectory&>(file.object()).path());
}

i64 tell_directory(char* out, u64 size) {
  const MutexGuard guard(volume_lock());
  const std::string_view text = working_directory().text();
  if (size <= text.size()) return kRange;
  __builtin_memcpy(out, text.data(), text.size());
  out[text.size()] = 0;
  return static_cast<i64>(text.size() + 1);
}

// ---- the calls of x86_64 that have newer forms

[[maybe_unused]] i64 open_here(const char* text, u64 flags, u64 mode) { return open_at(kWorkingDirectory, text, flags, mode); }
[[maybe_unused]] i64 create_here(const char* text, u64 mode) {
  return open_at(kWorkingDirectory, text, kCreate | kWriteOnly | kTruncate, mode);
}
[[maybe_unused]] i64 status_here(const char* text, LinuxStat* out) { return status_of_path(kWorkingDirectory, text, out, 0); }
[[maybe_unused]] i64 access_here(const char* text, u64 mode) { return may_access(kWorkingDirectory, text, mode); }
[[maybe_unused]] i64 read_link_here(const char* text) { return read_link(kWorkingDirectory, text); }
[[maybe_unused]] i64 make_directory_here(const char* text, u64 mode) { return make_directory(kWorkingDirectory, text, mode); }
[[maybe_unused]] i64 remove_file_here(const char* text) { return remove_at(kWorkingDirectory, text, 0); }
[[maybe_unused]] i64 remove_directory_here(const char* text) { return remove_at(kWorkingDirectory, text, 0x200); }
[[maybe_unused]] i64 rename_here(const char* from, const char* to) {
  return rename_at(kWorkingDirectory, from, kWorkingDirectory, to, 0);
}

/// At the program's end. Whoever uses the volume then finds it taken for good.
void finish(bool crashed) {
  if (!works() || (crashed && !volume_lock().try_lock())) return;
  if (!crashed) volume_lock().lock();
  DiskFile::finish_all();
  static_cast<void>(volume().system->sync());
}

void start() { set_end_hook(finish); }

constexpr NumberedCall kCalls[] = {
    {AX_NR_openat, system_call<open_at>},
    {AX_NR_newfstatat, system_call<status_of_path>},
    {AX_NR_faccessat, system_call<may_access>},
    {AX_NR_faccessat2, system_call<may_access>},
    {AX_NR_readlinkat, system_call<read_link>},
    {AX_NR_statfs, system_call<status_of_volume>},
    {AX_NR_fstatfs, system_call<status_of_volume_of>},
    {AX_NR_mkdirat, system_call<make_directory>},
    {AX_NR_unlinkat, system_call<remove_at>},
    {AX_NR_renameat2, system_call<rename_at>},
    {AX_NR_truncate, system_call<truncate>},
    {AX_NR_fchmod, system_call<set_mode_of>},
    {AX_NR_fchown, system_call<set_owner_of>},
    {AX_NR_umask, system_call<mask_modes>},
    {AX_NR_sync, system_call<sync_all>},
    {AX_NR_chdir, system_call<change_directory>},
    {AX_NR_fchdir, system_call<change_directory_to>},
    {AX_NR_getcwd, system_call<tell_directory>},
#ifdef AX_NR_renameat
    {AX_NR_renameat, system_call<rename_between>},
#endif
#ifdef AX_NR_open
    {AX_NR_open, system_call<open_here>},
    {AX_NR_creat, system_call<create_here>},
    {AX_NR_stat, system_call<status_here>},
    {AX_NR_lstat, system_call<status_here>},
    {AX_NR_access, system_call<access_here>},
    {AX_NR_readlink, system_call<read_link_here>},
    {AX_NR_mkdir, system_call<make_directory_here>},
    {AX_NR_unlink, system_call<remove_file_here>},
    {AX_NR_rmdir, system_call<remove_directory_here>},
    {AX_NR_rename, system_call<rename_here>},
#endif
};

}  // namespace
}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_paths{"paths", ax::uni::kCalls, ax::uni::start};
