#include "unikernel/core/waiting.hpp"

#include <atomic>

namespace ax::uni {
namespace {

constinit u32 changes = 0;
constinit std::atomic<u32> waiters{0};

}  // namespace

u32 change_count() { return __atomic_load_n(&changes, __ATOMIC_SEQ_CST); }

void announce_change() {
  __atomic_add_fetch(&changes, 1, __ATOMIC_SEQ_CST);
  if (waiters.load(std::memory_order_seq_cst) != 0) wake_all(&changes);
}

void wait_for_change(u32 seen, u64 deadline) {
  waiters.fetch_add(1, std::memory_order_seq_cst);
  wait_for_word(&changes, seen, deadline);
  waiters.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace ax::uni
