// RAM of a machine that exists only in the test: a block of this program's address space, so that HPA = HVA holds.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <vector>

#include "kernel/base/types.hpp"

namespace ax::mm {

/// Costs nothing until it is touched, so that it may be as large as a big machine's.
class FakeRam {
 public:
  explicit FakeRam(u64 size, u64 alignment = 1_GiB) : mapped_size_(size + alignment) {
    mapped_ = ::mmap(nullptr, mapped_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped_ == MAP_FAILED) throw std::bad_alloc();
    range_ = {Hpa(align_up(reinterpret_cast<u64>(mapped_), alignment)), size};
  }
  ~FakeRam() { ::munmap(mapped_, mapped_size_); }
  FakeRam(const FakeRam&) = delete;
  FakeRam& operator=(const FakeRam&) = delete;

  HpaRange range() const { return range_; }
  Hpa at(u64 offset) const { return range_.base + offset; }
  HpaRange part(u64 offset, u64 size) const { return {at(offset), size}; }

  /// Pages that anybody has touched so far.
  usize touched_pages() const {
    std::vector<unsigned char> resident(range_.size / kPageSize);
    EXPECT_EQ(::mincore(reinterpret_cast<void*>(range_.base.value()), range_.size, resident.data()), 0);
    usize count = 0;
    for (const unsigned char page : resident) count += page & 1;
    return count;
  }

 private:
  u64 mapped_size_;
  void* mapped_;
  HpaRange range_;
};

}  // namespace ax::mm
