// Maintenance of nested translations on the fake architecture: events, in the order in which CPUs would see them.
#pragma once

#include <atomic>

#include "kernel/arch/fake/arch/recorder.hpp"

namespace ax::arch {

/// The same functions as the real NestedTlb; see kernel/arch/x86_64/arch/nested_tlb.hpp.
struct NestedTlb {
  static void order_stores() { fake::record("order stores"); }
  static void start_epoch(std::atomic<u64>& epoch) { fake::record("start epoch", ++epoch); }
};

}  // namespace ax::arch
