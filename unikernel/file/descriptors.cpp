#include "unikernel/file/descriptors.hpp"

#include <array>

#include "unikernel/core/waiting.hpp"
#include "unikernel/file/descriptor_table.hpp"

namespace ax::uni {
namespace {

constinit Mutex lock;
constinit std::array<Descriptor, kMaxDescriptors> descriptors;
constinit std::array<OpenFile, kMaxDescriptors> open_files;

/// With the lock.
void let_go(OpenFile& file, FileObject*& last) {
  if (--file.references == 0) last = file.object;
}

/// Without the lock: closing may take long.
void finish(OpenFile& file, FileObject* last) {
  if (last == nullptr) return;
  last->closed(file);
  const MutexGuard guard(lock);
  file = {};
}

i64 enter(OpenFile& file, u64 least, bool close_on_exec) {
  for (u64 i = least; i < kMaxDescriptors; ++i) {
    if (descriptors[i].file != nullptr) continue;
    descriptors[i] = {&file, close_on_exec};
    ++file.references;
    return static_cast<i64>(i);
  }
  return kTooManyFiles;
}

OpenFile* opened(u64 descriptor) { return descriptor < kMaxDescriptors ? descriptors[descriptor].file : nullptr; }

}  // namespace

HeldFile::~HeldFile() {
  if (file_ == nullptr) return;
  FileObject* last = nullptr;
  {
    const MutexGuard guard(lock);
    let_go(*file_, last);
  }
  finish(*file_, last);
}

HeldFile hold(u64 descriptor) {
  const MutexGuard guard(lock);
  OpenFile* file = opened(descriptor);
  if (file != nullptr) ++file->references;
  return HeldFile(file);
}

i64 open_descriptor(FileObject& object, u64 flags) {
  constexpr u64 kNotKept = kCreate | kExclusive | kTruncate | kCloseOnExec;
  const MutexGuard guard(lock);
  for (OpenFile& file : open_files) {
    if (file.object != nullptr) continue;
    file = {.object = &object, .flags = static_cast<u32>(flags & ~kNotKept)};
    const i64 descriptor = enter(file, 0, (flags & kCloseOnExec) != 0);
    if (descriptor < 0) file = {};
    return descriptor;
  }
  return kTooManyFiles;
}

i64 close_descriptor(u64 descriptor) {
  OpenFile* file;
  FileObject* last = nullptr;
  {
    const MutexGuard guard(lock);
    file = opened(descriptor);
    if (file == nullptr) return kBadFile;
    descriptors[descriptor] = {};
    let_go(*file, last);
  }
  finish(*file, last);
  return 0;
}

i64 duplicate_descriptor(u64 descriptor, u64 least, bool close_on_exec) {
  const MutexGuard guard(lock);
  OpenFile* file = opened(descriptor);
  return file == nullptr ? i64{kBadFile} : enter(*file, least, close_on_exec);
}

i64 replace_descriptor(u64 descriptor, u64 with, bool close_on_exec) {
  OpenFile* old;
  FileObject* last = nullptr;
  {
    const MutexGuard guard(lock);
    OpenFile* file = opened(with);
    if (file == nullptr || descriptor >= kMaxDescriptors) return kBadFile;
    old = std::exchange(descriptors[descriptor], Descriptor{file, close_on_exec}).file;
    ++file->references;
    if (old != nullptr) let_go(*old, last);
  }
  if (old != nullptr) finish(*old, last);
  return static_cast<i64>(descriptor);
}

bool* close_on_exec_of(u64 descriptor) {
  return opened(descriptor) == nullptr ? nullptr : &descriptors[descriptor].close_on_exec;
}

}  // namespace ax::uni
