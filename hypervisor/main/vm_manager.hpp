// Life cycle of the virtual machines: creates them, waits for them to stop, applies their policy, does what the shell is told, powers
// off after the last.
#pragma once

#include <array>
#include <atomic>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/console/console_focus.hpp"
#include "hypervisor/console/output_history.hpp"
#include "hypervisor/sched/deadline_queue.hpp"
#include "hypervisor/sched/thread.hpp"
#include "hypervisor/shell/shell.hpp"
#include "hypervisor/vm/life_cycle.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

class Hypervisor;

inline constexpr usize kMaxVms = 16;

/// A configured VM, whether there is a guest for it now or not. For the manager's thread, but for `vm`.
struct VmSlot {
  enum class Outcome : u8 { None, Stopped, Failed };

  const VmConfig* config = nullptr;
  mm::Box<OutputHistory> history;
  mm::Box<Vm> owned;             ///< a crashed one stays until it is started again, if its policy is to halt
  std::atomic<Vm*> vm{nullptr};  ///< the same while it runs, for interrupt handlers
  LifeCycle life;
  RestartBackoff backoff;
  bool waits = false;  ///< to be started after others that were not started yet
  bool again = false;  ///< to be started again as soon as it has stopped
  Outcome outcome = Outcome::None;  ///< of its last run
  StopReason reason = StopReason::None;
  u32 starts = 0;
  u64 started_at = 0;  ///< host timer ticks
  u64 restart_at = 0;  ///< the same; 0: not by itself
  u64 rest_ticks = 0;  ///< between the wish that it stops and its rest, the last time
};

/// Runs on a host thread of the boot CPU: everything that takes long (loading, scrubbing, the shell's commands) happens here,
/// preemptible. Functions are for that thread, unless they say otherwise.
class VmManager {
 public:
  explicit VmManager(Hypervisor& owner) : hypervisor_(owner) {}

  /// Creates the thread; it takes up its work when the CPUs run. Boot CPU. Error: OutOfMemory.
  Result<void> start();

  /// Something has changed that the manager waits for. Any CPU, interrupts masked.
  void look() { event_->signal(); }

  /// Input of the physical console: goes to whom the user chose (ConsoleFocus), or else to the first VM that runs. Boot CPU,
  /// interrupts masked.
  void console_input(char c);

  std::span<VmSlot> slots() { return {slots_.data(), slot_count_}; }
  OutputHistory* history(u16 number) { return slots_[number].history.get(); }

  // What the shell does. Each returns when it is done. Error: BadState (the VM's life does not allow it now).
  /// Error also: those of Vm::create().
  Result<void> start(VmSlot& slot);
  Result<void> stop(VmSlot& slot);
  Result<void> suspend(VmSlot& slot);
  Result<void> resume(VmSlot& slot);
  /// Starts it if it does not run.
  Result<void> restart(VmSlot& slot);
  /// Stops and loads it `count` times, and compares its memory before its first instruction, and what is free on the host, with the
  /// first time. True: no difference. What was found is logged.
  bool check_restarts(VmSlot& slot, u32 count);
  void focus(VmSlot& slot);
  /// Stops every VM and the machine.
  [[noreturn]] void power_off();

  /// Ticks since `since` in microseconds.
  static u64 microseconds_since(u64 since);

 private:
  /// Wakes the manager at a point in time.
  struct Alarm : Deadline {
    explicit Alarm(VmManager& m) : Deadline(&ring), manager(m) {}
    static void ring(Deadline& deadline) { static_cast<Alarm&>(deadline).manager.look(); }
    VmManager& manager;
  };

  class Quiet;

  /// Lines of a VM's recent output that are shown when the keyboard goes to it.
  static constexpr usize kLinesOnFocus = 10;

  static void thread_entry(void* self);
  [[noreturn]] void run();
  void adopt_configured();
  void start_waiting();
  bool may_start(const VmSlot& slot) const;
  void attend();
  void collect_all();
  void collect(VmSlot& slot);
  void decide(VmSlot& slot);
  void restart_in(VmSlot& slot, u64 milliseconds);
  void restart_due();
  void watch();
  static void report_position(Vm& vm);
  void set_alarm();
  void take_input();
  Result<void> load(VmSlot& slot);
  void begin(VmSlot& slot);
  bool is_idle() const;
  void settle();
  [[noreturn]] static void end_machine();
  void print_verdict() const;
  void choose(usize slot);
  template <class Condition>
  void wait_until(Condition condition);

  Hypervisor& hypervisor_;
  std::array<VmSlot, kMaxVms> slots_{};
  usize slot_count_ = 0;
  ConsoleFocus focus_;
  usize focused_ = 0;  ///< slot
  std::atomic<bool> shell_focused_{false};
  StaticVector<char, 128> typed_{};       ///< for the shell; interrupts masked
  std::atomic<VmSlot*> replay_{nullptr};  ///< got the keyboard: its recent output is to be shown
  bool quiet_ = false;                    ///< VMs stop without a line each
  bool settled_ = false;                  ///< nothing runs, and that was said
  Shell shell_{hypervisor_};
  Alarm alarm_{*this};
  alignas(Thread) std::byte thread_storage_[sizeof(Thread)];
  alignas(Event) std::byte event_storage_[sizeof(Event)];
  Event* event_ = nullptr;
};

}  // namespace hv
