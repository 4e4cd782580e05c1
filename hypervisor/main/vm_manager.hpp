// Life cycle of the virtual machines: creates them, waits for them to stop, applies their policy, powers off after the last.
#pragma once

#include <array>
#include <atomic>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/console/console_focus.hpp"
#include "hypervisor/sched/thread.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/base/result.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

class Hypervisor;

inline constexpr usize kMaxVms = 16;

/// Runs on a host thread of the boot CPU: everything that takes long (loading, scrubbing) happens here, preemptible.
class VmManager {
 public:
  explicit VmManager(Hypervisor& owner) : hypervisor_(owner) {}

  /// Creates the thread; it takes up its work when the CPUs run. Error: OutOfMemory.
  Result<void> start();

  /// A VM has come to rest. Any CPU, interrupts masked.
  void vm_stopped();

  /// Input of the physical console: goes to the VM that was chosen (ConsoleFocus), or else to the first that runs. Boot CPU,
  /// interrupts masked.
  void console_input(char c);

 private:
  struct Slot {
    const VmConfig* config = nullptr;
    mm::Box<Vm> owned;
    std::atomic<Vm*> vm{nullptr};  ///< the same, for interrupt handlers; empty while it is created or destroyed
  };

  static void thread_entry(void* self);
  [[noreturn]] void run();
  void create_and_start(Slot& slot);
  void collect(Slot& slot);
  void choose(usize slot);
  [[noreturn]] void finish();

  Hypervisor& hypervisor_;
  std::array<Slot, kMaxVms> slots_{};
  usize slot_count_ = 0;
  ConsoleFocus focus_;
  usize focused_ = 0;  ///< slot
  unsigned running_ = 0;
  unsigned stopped_ = 0;
  unsigned failed_ = 0;
  alignas(Thread) std::byte thread_storage_[sizeof(Thread)];
  alignas(Event) std::byte event_storage_[sizeof(Event)];
  Event* event_ = nullptr;
};

}  // namespace hv
