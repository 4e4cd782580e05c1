// Life cycle of the virtual machines: knows them, creates them, waits for them to stop, applies their policy, does what the shell is
// told, powers off after the last.
#pragma once

#include <array>
#include <atomic>

#include "hypervisor/config/vm_description.hpp"
#include "hypervisor/console/console_focus.hpp"
#include "hypervisor/console/output_history.hpp"
#include "hypervisor/sched/deadline_queue.hpp"
#include "hypervisor/sched/thread.hpp"
#include "hypervisor/shell/shell.hpp"
#include "hypervisor/vm/life_cycle.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/base/result.hpp"
#include "kernel/base/static_vector.hpp"
#include "kernel/fs/tree.hpp"
#include "kernel/mm/heap.hpp"

namespace hv {

class Hypervisor;

inline constexpr usize kMaxVms = 16;

/// A place for a VM: free, or a VM that is known, whether there is a guest for it now or not. For the manager's thread, but for `vm`.
struct VmSlot {
  enum class Outcome : u8 { None, Stopped, Failed };

  const VmConfig* config = nullptr;    ///< null: the place is free
  mm::Box<VmDescription> description;  ///< what `config` refers to, of a VM that came from a file
  mm::Box<OutputHistory> history;
  mm::Box<Vm> owned;             ///< a crashed one stays until it is started again, if its policy is to halt
  std::atomic<Vm*> vm{nullptr};  ///< the same while it runs, for interrupt handlers
  LifeCycle life;
  RestartBackoff backoff;
  bool checked = true;              ///< it keeps all rules beside those that were known before it
  bool waits = false;               ///< to be started after others that were not started yet
  bool again = false;               ///< to be started again as soon as it has stopped
  Outcome outcome = Outcome::None;  ///< of its last run
  StopReason reason = StopReason::None;
  u32 starts = 0;
  u64 started_at = 0;  ///< host timer ticks
  u64 restart_at = 0;  ///< the same; 0: not by itself
  u64 rest_ticks = 0;  ///< between the wish that it stops and its rest, the last time
};

/// The places that are not free.
class KnownVms {
 public:
  class Iterator {
   public:
    Iterator(VmSlot* at, VmSlot* end) : at_(at), end_(end) { skip(); }
    VmSlot& operator*() const { return *at_; }
    Iterator& operator++() {
      ++at_;
      skip();
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    void skip() {
      while (at_ != end_ && at_->config == nullptr) ++at_;
    }
    VmSlot* at_;
    VmSlot* end_;
  };

  explicit KnownVms(std::span<VmSlot> slots) : slots_(slots) {}
  Iterator begin() const { return {slots_.data(), slots_.data() + slots_.size()}; }
  Iterator end() const { return {slots_.data() + slots_.size(), slots_.data() + slots_.size()}; }

 private:
  std::span<VmSlot> slots_;
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

  KnownVms slots() { return KnownVms({slots_.data(), slot_count_}); }
  /// What is known now, by place; a free place has a VM without a name, which has and names nothing. Until the next create() or remove().
  std::span<const VmConfig> configs() const { return {configs_.data(), slot_count_}; }
  OutputHistory* history(u16 number) { return slots_[number].history.get(); }

  // What the shell does. Each returns when it is done. Error: BadState (the VM's life does not allow it now).
  /// Error also: those of Vm::create().
  Result<void> start(VmSlot& slot);
  Result<void> stop(VmSlot& slot);
  Result<void> suspend(VmSlot& slot);
  Result<void> resume(VmSlot& slot);
  /// Starts it if it does not run.
  Result<void> restart(VmSlot& slot);
  /// Stops and loads it `count` times, and compares its memory before its first instruction, and what is free on the host,
  /// with the
  /// first time. True: no difference. What was found is logged.
  bool check_restarts(VmSlot& slot, u32 count);
  void focus(VmSlot& slot);
  /// Makes VMs known that compiled descriptions describe: paths on the machine's disks, as seen from `directory`. What cannot be used,
  /// or takes what others have, is left out; the reason was logged. Nothing is started.
  void create(const fs::Path& directory, std::span<const std::string_view> files);
  /// Forgets a VM: everything of it is given back, and its place is free. It must not run, or with `stop_it` is stopped first.
  Result<void> remove(VmSlot& slot, bool stop_it);
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
  VmSlot* adopt(const VmConfig& config);
  void forget(VmSlot& slot);
  // vm_files.cpp; only with the feature fs.
  void adopt_files();
  bool read_description(const fs::Path& path);
  void check_adopted();
  bool keeps_rules(const VmSlot& slot, bool warn);
  void choose_id(VmSlot& slot);
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
  bool cpus_are_free(const VmSlot& slot, Vm& vm);
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
  std::array<VmConfig, kMaxVms> configs_{};
  usize slot_count_ = 0;   ///< places up to the last that was ever used
  unsigned left_out_ = 0;  ///< VMs that should be there and could not be made known
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
