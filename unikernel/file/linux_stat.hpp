// How Linux lays a file's status out for programs, per architecture.
#pragma once

#include "unikernel/core/time.hpp"
#include "unikernel/file/file.hpp"

namespace ax::uni {

/// struct stat of the kernel.
#if defined(__x86_64__)
struct LinuxStat {
  u64 device, id, links;
  u32 mode, user, group, padding;
  u64 special_device;
  i64 size, block_size, blocks;
  TimeSpec accessed, modified, changed;
  i64 unused[3];
};
static_assert(sizeof(LinuxStat) == 144);
#else
struct LinuxStat {
  u64 device, id;
  u32 mode, links, user, group;
  u64 special_device, padding;
  i64 size;
  i32 block_size, more_padding;
  i64 blocks;
  TimeSpec accessed, modified, changed;
  u32 unused[2];
};
static_assert(sizeof(LinuxStat) == 128);
#endif

inline void fill(LinuxStat& out, const Status& status) {
  constexpr i64 kUnit = 512;
  out = {};
  out.device = 1;
  out.id = status.id;
  out.links = 1;
  out.mode = status.mode;
  out.size = static_cast<i64>(status.size);
  out.block_size = 4096;
  out.blocks = (out.size + kUnit - 1) / kUnit;
  out.accessed = out.modified = out.changed = {static_cast<i64>(status.changed), 0};
}

}  // namespace ax::uni
