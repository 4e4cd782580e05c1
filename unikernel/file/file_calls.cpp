// The service `files`: file descriptors. 0, 1 and 2 are the console from the start.
#include <utility>

#include "unikernel/core/call_numbers.hpp"
#include "unikernel/core/console.hpp"
#include "unikernel/core/service.hpp"
#include "unikernel/file/descriptor_table.hpp"
#include "unikernel/file/linux_stat.hpp"
#include "unikernel/memory/file_pages.hpp"

namespace ax::uni {
namespace {

class ConsoleFile final : public FileObject {
 public:
  i64 read(OpenFile& file, std::span<char> out) override {
    if (out.empty()) return 0;
    if (!file.waits() && !console_has_input()) return kAgain;
    return static_cast<i64>(console_read(out));
  }
  i64 write(OpenFile&, std::span<const char> bytes) override {
    console_write({bytes.data(), bytes.size()});
    return static_cast<i64>(bytes.size());
  }
  i64 control(u64 request, void* argument) override { return console_control(request, argument); }
  Status status() override { return {.mode = Status::kCharacters | 0620, .id = 1}; }
  u32 readiness() override { return kWritable | (console_has_input() ? kReadable : 0u); }
  bool polled() const override { return true; }
};
constinit ConsoleFile console;

// ---- contents

i64 read(u64 descriptor, char* data, u64 size) {
  const HeldFile file = hold(descriptor);
  return file && file->may_read() ? file.object().read(*file, {data, size}) : kBadFile;
}

i64 write(u64 descriptor, const char* data, u64 size) {
  const HeldFile file = hold(descriptor);
  return file && file->may_write() ? file.object().write(*file, {data, size}) : kBadFile;
}

constexpr u64 kMostParts = 1024;

/// Calls `transfer` for one part after the other, as long as each is transferred as a whole and the next would not wait.
template <class Transfer>
i64 for_each_part(const IoVector* parts, u64 count, Transfer transfer) {
  if (count > kMostParts) return kInvalid;
  i64 total = 0;
  for (u64 i = 0; i < count; ++i) {
    if (parts[i].size == 0) continue;
    const i64 result = transfer(parts[i], total);
    if (result < 0) return total != 0 ? total : result;
    total += result;
    if (static_cast<u64>(result) < parts[i].size) break;
  }
  return total;
}

i64 read_all(u64 descriptor, const IoVector* parts, u64 count) {
  const HeldFile file = hold(descriptor);
  if (!file || !file->may_read()) return kBadFile;
  return for_each_part(parts, count, [&](const IoVector& part, i64 done) {
    if (done != 0 && (file.object().readiness() & kReadable) == 0) return i64{0};
    return file.object().read(*file, {part.base, part.size});
  });
}

i64 write_all(u64 descriptor, const IoVector* parts, u64 count) {
  const HeldFile file = hold(descriptor);
  if (!file || !file->may_write()) return kBadFile;
  return for_each_part(parts, count,
                       [&](const IoVector& part, i64) { return file.object().write(*file, {part.base, part.size}); });
}

i64 read_at(u64 descriptor, char* data, u64 size, i64 offset) {
  const HeldFile file = hold(descriptor);
  if (!file || !file->may_read()) return kBadFile;
  return offset < 0 ? i64{kInvalid} : file.object().read_at(static_cast<u64>(offset), {data, size});
}

i64 write_at(u64 descriptor, const char* data, u64 size, i64 offset) {
  const HeldFile file = hold(descriptor);
  if (!file || !file->may_write()) return kBadFile;
  return offset < 0 ? i64{kInvalid} : file.object().write_at(static_cast<u64>(offset), {data, size});
}

i64 read_all_at(u64 descriptor, const IoVector* parts, u64 count, i64 offset) {
  return for_each_part(parts, count,
                       [&](const IoVector& part, i64 done) { return read_at(descriptor, part.base, part.size, offset + done); });
}
i64 write_all_at(u64 descriptor, const IoVector* parts, u64 count, i64 offset) {
  return for_each_part(parts, count,
                       [&](const IoVector& part, i64 done) { return write_at(descriptor, part.base, part.size, offset + done); });
}

/// What mmap() takes.
i64 read_pages(i64 descriptor, u64 offset, std::span<char> pages) {
  const HeldFile file = hold(static_cast<u64>(descriptor));
  return file && file->may_read() ? file.object().read_at(offset, pages) : kBadFile;
}

i64 seek(u64 descriptor, i64 offset, u64 whence) {
  const HeldFile file = hold(descriptor);
  return file ? file.object().seek(*file, offset, whence) : kBadFile;
}

i64 truncate(u64 descriptor, i64 size) {
  const HeldFile file = hold(descriptor);
  if (!file) return kBadFile;
  return size < 0 || !file->may_write() ? i64{kInvalid} : file.object().truncate(static_cast<u64>(size));
}

i64 sync(u64 descriptor) {
  const HeldFile file = hold(descriptor);
  return file ? file.object().sync() : kBadFile;
}

i64 control(u64 descriptor, u64 request, void* argument) {
  const HeldFile file = hold(descriptor);
  return file ? file.object().control(request, argument) : kBadFile;
}

i64 status(u64 descriptor, LinuxStat* out) {
  const HeldFile file = hold(descriptor);
  if (!file) return kBadFile;
  fill(*out, file.object().status());
  return 0;
}

i64 list(u64 descriptor, char* out, u64 size) {
  const HeldFile file = hold(descriptor);
  return file ? file.object().list(*file, {out, size}) : kBadFile;
}

// ---- descriptors

i64 duplicate(u64 descriptor) { return duplicate_descriptor(descriptor, 0, false); }

i64 duplicate_to(u64 descriptor, u64 to, u64 flags) {
  if (descriptor == to) return kInvalid;
  return replace_descriptor(to, descriptor, (flags & kCloseOnExec) != 0);
}

[[maybe_unused]] i64 duplicate_to_any(u64 descriptor, u64 to) {
  if (descriptor != to) return replace_descriptor(to, descriptor, false);
  return hold(descriptor) ? static_cast<i64>(to) : i64{kBadFile};
}

/// struct flock.
struct FileLock {
  std::int16_t type, whence;
  i64 start, size;
  i32 process;
};

enum FileCommand : u64 {
  kDuplicate = 0,
  kGetDescriptorFlags = 1,
  kSetDescriptorFlags = 2,
  kGetFlags = 3,
  kSetFlags = 4,
  kGetLock = 5,
  kSetLock = 6,
  kSetLockAndWait = 7,
  kGetOwner = 16,
  kDuplicateCloseOnExec = 1030,
};

/// Locks are between processes, and there is one: each is granted, and nobody else has any.
i64 lock(const HeldFile& file, u64 command, FileLock* wanted) {
  enum Type : std::int16_t { kRead = 0, kWrite = 1, kUnlocked = 2 };
  if (wanted->type < kRead || wanted->type > kUnlocked || !file.object().is_regular()) return kInvalid;
  if (command == kGetLock) {
    wanted->type = kUnlocked;
    return 0;
  }
  const bool allowed = wanted->type == kRead ? file->may_read() : wanted->type == kUnlocked || file->may_write();
  return allowed ? 0 : i64{kBadFile};
}

i64 command(u64 descriptor, u64 command, u64 argument) {
  constexpr u32 kChangeable = kAppend | kNonBlocking;
  constexpr bool kDescriptorFlag = true;  // FD_CLOEXEC
  const HeldFile file = hold(descriptor);
  if (!file) return kBadFile;
  switch (command) {
    case kDuplicate:
    case kDuplicateCloseOnExec:
      return argument >= kMaxDescriptors ? i64{kInvalid}
                                         : duplicate_descriptor(descriptor, argument, command == kDuplicateCloseOnExec);
    case kGetDescriptorFlags: {
      const bool* flag = close_on_exec_of(descriptor);
      return flag != nullptr && *flag == kDescriptorFlag;
    }
    case kSetDescriptorFlags:
      if (bool* flag = close_on_exec_of(descriptor)) *flag = (argument & 1) != 0;
      return 0;
    case kGetFlags: return file->flags;
    case kSetFlags: file->flags = (file->flags & ~kChangeable) | (static_cast<u32>(argument) & kChangeable); return 0;
    case kGetLock:
    case kSetLock:
    case kSetLockAndWait: return lock(file, command, reinterpret_cast<FileLock*>(argument));
    default: return kInvalid;
  }
}

void start() {
  set_file_pages(read_pages);
  for (u32 i = 0; i < 3; ++i) static_cast<void>(open_descriptor(console, kReadWrite));
}

constexpr NumberedCall kCalls[] = {
    {AX_NR_read, system_call<read>},
    {AX_NR_write, system_call<write>},
    {AX_NR_readv, system_call<read_all>},
    {AX_NR_writev, system_call<write_all>},
    {AX_NR_pread64, system_call<read_at>},
    {AX_NR_pwrite64, system_call<write_at>},
    {AX_NR_preadv, system_call<read_all_at>},
    {AX_NR_pwritev, system_call<write_all_at>},
    {AX_NR_lseek, system_call<seek>},
    {AX_NR_ftruncate, system_call<truncate>},
    {AX_NR_fsync, system_call<sync>},
    {AX_NR_fdatasync, system_call<sync>},
    {AX_NR_ioctl, system_call<control>},
    {AX_NR_fstat, system_call<status>},
    {AX_NR_getdents64, system_call<list>},
    {AX_NR_close, system_call<close_descriptor>},
    {AX_NR_dup, system_call<duplicate>},
    {AX_NR_dup3, system_call<duplicate_to>},
    {AX_NR_fcntl, system_call<command>},
#ifdef AX_NR_dup2
    {AX_NR_dup2, system_call<duplicate_to_any>},
#endif
};

}  // namespace

FileObject& console_file() { return console; }

}  // namespace ax::uni

AX_EXPORT constinit const ax_service ax_service_files{"files", ax::uni::kCalls, ax::uni::start};
