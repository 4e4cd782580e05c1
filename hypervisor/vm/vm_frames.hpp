// Where a VM's own structures (translation tables, control blocks) get their memory.
#pragma once

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Frames that a VM's tables are made of, in its name.
class VmFrames {
 public:
  /// Contiguous, zeroed or not; `alignment` is a power of two. Error: OutOfMemory.
  virtual Result<HpaRange> allocate(u64 bytes, u64 alignment) = 0;
  virtual void free(HpaRange frames) = 0;

 protected:
  ~VmFrames() = default;
};

}  // namespace hv
