#include "unikernel/file/open_files.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "kernel/base/memory.hpp"
#include "kernel/block/device.hpp"
#include "unikernel/core/object_heap.hpp"

namespace ax::uni {
namespace {

constexpr u64 kMostBytes = 0xffff'ffff;  // of a file on FAT

constinit Volume the_volume;
constinit Mutex the_lock;
constinit DiskFile* open_files = nullptr;
constinit OpenDirectory* open_directories = nullptr;

/// Takes one out of a list.
template <class T>
void unlink(T*& first, T& object) {
  T** link = &first;
  while (*link != &object) link = &(*link)->next;
  *link = object.next;
}

template <class T>
void destroy(T& object) {
  object.~T();
  object_heap().free(reinterpret_cast<std::byte*>(&object));
}

}  // namespace

void set_volume(const Volume& volume) { the_volume = volume; }
Volume& volume() { return the_volume; }
Mutex& volume_lock() { return the_lock; }
u64 seconds_now() { return (monotonic_now() + wall_clock_offset()) / kNanosecondsPerSecond; }

Status status_of(const fs::Node& node) {
  // FAT knows no owners: everything may be read, written and executed.
  const bool is_directory = node.kind == fs::Kind::Directory;
  const u32 kind = is_directory ? Status::kDirectory : Status::kRegular;
  return {.mode = kind | 0755, .size = node.size, .id = is_directory ? node.id + 1 : node.place, .changed = node.changed};
}

// ---- files

DiskFile* DiskFile::find(u64 place) {
  DiskFile* file = open_files;
  while (file != nullptr && file->node_.place != place) file = file->next;
  return file;
}

Result<DiskFile*> DiskFile::open(const fs::Node& node) {
  DiskFile* file = find(node.place);
  if (file == nullptr) {
    std::byte* storage = TRY(object_heap().allocate(sizeof(DiskFile), alignof(DiskFile)));
    file = ::new (storage) DiskFile(node);
    file->next = std::exchange(open_files, file);
  }
  ++file->opens_;
  return file;
}

void DiskFile::close() {
  if (--opens_ != 0) return;
  static_cast<void>(commit());
  if (node_.place == 0) static_cast<void>(volume().release(*volume().system, node_));
  unlink(open_files, *this);
  destroy(*this);
}

void DiskFile::closed(OpenFile&) {
  const MutexGuard guard(volume_lock());
  close();
}

void DiskFile::commit_open() {
  for (DiskFile* file = open_files; file != nullptr; file = file->next) static_cast<void>(file->commit());
}

void DiskFile::finish_all() {
  commit_open();
  for (DiskFile* file = open_files; file != nullptr; file = file->next) {
    if (file->node_.place == 0) static_cast<void>(volume().release(*volume().system, file->node_));
  }
}

Result<void> DiskFile::commit() { return node_.place == 0 ? Result<void>() : volume().system->commit(node_); }

i64 DiskFile::read_now(u64 offset, std::span<char> out) {
  const Result<usize> read = volume().system->read(node_, offset, std::as_writable_bytes(out));
  return read ? static_cast<i64>(*read) : to_errno(read.error());
}

/// Zeroes from the file's end up to `size`.
Result<void> DiskFile::fill(u64 size) {
  static constinit std::array<std::byte, block::kSectorSize> zeroes{};  // nobody writes: constants take room in the image
  while (node_.size < size)
    TRY(volume().system->write(node_, node_.size, std::span(zeroes).first(std::min<u64>(size - node_.size, zeroes.size()))));
  return {};
}

i64 DiskFile::write_now(u64 offset, std::span<const char> bytes) {
  if (offset > kMostBytes || bytes.size() > kMostBytes - offset) return kFileTooLarge;
  Result<void> written = fill(bytes.empty() ? 0 : offset);
  if (written) written = volume().system->write(node_, offset, std::as_bytes(bytes));
  if (!written) return to_errno(written.error());
  node_.changed = seconds_now();
  return static_cast<i64>(bytes.size());
}

Result<void> DiskFile::resize(u64 size) {
  if (size > kMostBytes) return fail(Error::NoSpace);
  if (size >= node_.size) return fill(size);
  return volume().shorten(*volume().system, node_, size);
}

i64 DiskFile::read(OpenFile& file, std::span<char> out) {
  const MutexGuard guard(volume_lock());
  const i64 result = read_now(file.position, out);
  if (result > 0) file.position += static_cast<u64>(result);
  return result;
}

i64 DiskFile::write(OpenFile& file, std::span<const char> bytes) {
  const MutexGuard guard(volume_lock());
  if ((file.flags & kAppend) != 0) file.position = node_.size;
  const i64 result = write_now(file.position, bytes);
  if (result > 0) file.position += static_cast<u64>(result);
  return result;
}

i64 DiskFile::read_at(u64 offset, std::span<char> out) {
  const MutexGuard guard(volume_lock());
  return read_now(offset, out);
}

i64 DiskFile::write_at(u64 offset, std::span<const char> bytes) {
  const MutexGuard guard(volume_lock());
  return write_now(offset, bytes);
}

i64 DiskFile::seek(OpenFile& file, i64 offset, u64 whence) {
  enum Whence : u64 { kStart, kHere, kEnd };
  if (whence > kEnd) return kInvalid;
  const MutexGuard guard(volume_lock());
  const i64 base = whence == kStart ? 0 : static_cast<i64>(whence == kHere ? file.position : node_.size);
  i64 to;
  if (__builtin_add_overflow(base, offset, &to)) return kOverflow;
  if (to < 0) return kInvalid;
  file.position = static_cast<u64>(to);
  return to;
}

i64 DiskFile::truncate(u64 size) {
  if (size > kMostBytes) return kFileTooLarge;
  const MutexGuard guard(volume_lock());
  const Result<void> done = resize(size);
  if (!done) return to_errno(done.error());
  node_.changed = seconds_now();
  return 0;
}

i64 DiskFile::sync() {
  const MutexGuard guard(volume_lock());
  Result<void> done = commit();
  if (done) done = volume().system->sync();
  return done ? 0 : to_errno(done.error());
}

Status DiskFile::status() {
  const MutexGuard guard(volume_lock());
  return status_of(node_);
}

// ---- directories

i64 OpenDirectory::seek(OpenFile&, i64 offset, u64 whence) {
  if (whence != 0 || offset < 0) return kInvalid;
  const MutexGuard guard(volume_lock());
  next_ = static_cast<u64>(offset);
  return offset;
}

i64 OpenDirectory::sync() {
  const MutexGuard guard(volume_lock());
  const Result<void> done = volume().system->sync();
  return done ? 0 : to_errno(done.error());
}

namespace {

/// struct dirent64 by struct dirent64 into a buffer, from entry `next` on: 0 and 1 are "." and "..".
class EntryWriter final : public fs::DirectoryVisitor {
 public:
  EntryWriter(u64 next, std::span<char> out) : next_(next), out_(out) {}

  bool visit(std::string_view name, const fs::Node& node) override { return put(name, status_of(node)); }
  bool put(std::string_view name, const Status& status) {
    if (at_++ < next_) return true;
    constexpr u8 kDirectoryType = 4, kFileType = 8;
    const usize size = align_up(kNameAt + name.size() + 1, alignof(u64));
    full_ = size > out_.size() - used_;
    if (full_) return false;
    char* to = out_.data() + used_;
    const Entry entry{status.id, static_cast<i64>(++next_), static_cast<u16>(size),
                      (status.mode & Status::kDirectory) != 0 ? kDirectoryType : kFileType};
    __builtin_memset(to, 0, size);
    __builtin_memcpy(to, &entry, kNameAt);
    __builtin_memcpy(to + kNameAt, name.data(), name.size());
    used_ += size;
    return true;
  }
  u64 next() const { return next_; }
  i64 result() const { return full_ && used_ == 0 ? i64{kInvalid} : static_cast<i64>(used_); }

 private:
  struct Entry {
    u64 id;
    i64 next;
    u16 size;
    u8 type;
  };
  static constexpr usize kNameAt = 19;

  u64 next_;
  u64 at_ = 0;
  std::span<char> out_;
  usize used_ = 0;
  bool full_ = false;
};

}  // namespace

i64 OpenDirectory::list(OpenFile&, std::span<char> out) {
  const MutexGuard guard(volume_lock());
  EntryWriter writer(next_, out);
  if (writer.put(".", status_of(node_)) && writer.put("..", status_of(node_))) {
    const Result<void> listed = volume().system->list(node_, writer);
    if (!listed) return to_errno(listed.error());
  }
  next_ = writer.next();
  return writer.result();
}

void OpenDirectory::entry_changes(const fs::Node& directory, u64 place, bool appears) {
  class Counter final : public fs::DirectoryVisitor {
   public:
    explicit Counter(u64 place) : place_(place) {}
    bool visit(std::string_view, const fs::Node& node) override {
      if (node.place == place_) return false;
      ++index;
      return true;
    }
    u64 index = 2;  // behind the dots

   private:
    u64 place_;
  };
  for (OpenDirectory* open = open_directories; open != nullptr; open = open->next) {
    if (open->node_.id != directory.id || open->next_ <= 2) continue;
    Counter counter(place);
    static_cast<void>(volume().system->list(directory, counter));
    if (counter.index < open->next_) appears ? ++open->next_ : --open->next_;
  }
}

Result<OpenDirectory*> OpenDirectory::open(const fs::Path& path, const fs::Node& node) {
  std::byte* storage = TRY(object_heap().allocate(sizeof(OpenDirectory), alignof(OpenDirectory)));
  OpenDirectory* directory = ::new (storage) OpenDirectory(path, node);
  directory->next = std::exchange(open_directories, directory);
  return directory;
}

void OpenDirectory::close() {
  unlink(open_directories, *this);
  destroy(*this);
}

void OpenDirectory::closed(OpenFile&) {
  const MutexGuard guard(volume_lock());
  close();
}

Status OpenDirectory::status() { return status_of(node_); }

}  // namespace ax::uni
