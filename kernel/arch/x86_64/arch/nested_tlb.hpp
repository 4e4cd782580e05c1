// Maintenance of nested translations: what the CPU that changes a VM's tables does.
#pragma once

#include <atomic>

#include "kernel/base/types.hpp"

namespace ax::arch {

struct NestedTlb {
  static void order_stores() { asm volatile("" ::: "memory"); }
  /// Every CPU flushes before it next uses the translations that `epoch` belongs to.
  static void start_epoch(std::atomic<u64>& epoch) { epoch.fetch_add(1, std::memory_order_release); }
};

}  // namespace ax::arch
