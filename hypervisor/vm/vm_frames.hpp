// Where a VM's own structures (translation tables, control blocks) get their memory.
#pragma once

#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
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

/// Where the tables of a translation come from, one at a time: TableSource. Once some are set aside there are no others, and none
/// goes back, so that the translation can change while vCPUs run: nothing is allocated then, and what a CPU still has of an old walk
/// leads to a table of the same kind.
class TranslationTables {
 public:
  static constexpr usize kMaxReserve = 96;

  explicit TranslationTables(VmFrames& frames) : frames_(frames) {}

  Result<void> set_aside(usize count) {
    for (usize i = reserve_.size(); i < count; ++i) {
      const HpaRange table = TRY(frames_.allocate(kPageSize, kPageSize));
      TRY(reserve_.push_back(table.base));
    }
    is_fixed_ = true;
    return {};
  }
  /// Before the translation is destroyed.
  void release() {
    for (Hpa table : reserve_) frames_.free({table, kPageSize});
    reserve_.clear();
    is_fixed_ = false;
  }
  VmFrames& frames() { return frames_; }

  Result<Hpa> allocate_table() {
    if (is_fixed_) {
      if (reserve_.empty()) return fail(Error::OutOfMemory);
      const Hpa table = reserve_.back();
      reserve_.pop_back();
      return table;
    }
    const HpaRange table = TRY(frames_.allocate(kPageSize, kPageSize));
    return table.base;
  }
  /// One that a change took and did not use, or any in the end.
  void free_table(Hpa table) {
    if (!is_fixed_ || !reserve_.push_back(table)) frames_.free({table, kPageSize});
  }

 private:
  VmFrames& frames_;
  StaticVector<Hpa, kMaxReserve> reserve_{};
  bool is_fixed_ = false;
};

}  // namespace hv
