#include "hypervisor/main/vm_manager.hpp"

#include <arch/cpu.hpp>
#include <arch/timer.hpp>
#include <board_config.hpp>
#include <new>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

constexpr u64 kMicroseconds = 1'000'000, kMilliseconds = 1'000;

bool is_failure(StopReason reason) { return reason == StopReason::Crash || reason == StopReason::Watchdog; }

class MaskedInterrupts {
 public:
  MaskedInterrupts() : flags_(arch::irq_save()) {}
  ~MaskedInterrupts() { arch::irq_restore(flags_); }
  MaskedInterrupts(const MaskedInterrupts&) = delete;
  MaskedInterrupts& operator=(const MaskedInterrupts&) = delete;

 private:
  u64 flags_;
};

}  // namespace

u64 VmManager::microseconds_since(u64 since) {
  return (drivers::host_timer::now() - since) * kMicroseconds / drivers::host_timer::frequency();
}

Result<void> VmManager::start() {
  const Hva stack = TRY(platform::allocate_stack(board::kThreadStackSize));
  auto* thread = new (thread_storage_) Thread(0, stack, &thread_entry, this);
  event_ = new (event_storage_) Event(*thread);
  Cpu::current().notify(*thread);
  return {};
}

void VmManager::thread_entry(void* self) { static_cast<VmManager*>(self)->run(); }

void VmManager::run() {
  adopt_configured();
  if constexpr (board::kFeatureFs) {
    hypervisor_.disks().start();
    adopt_files();
  }
  start_waiting();
  for (;;) {
    attend();
    if (is_idle()) settle();
    event_->wait();
  }
}

void VmManager::adopt_configured() {
  for (const VmConfig& config : kStaticVmConfigs)
    if (VmSlot* slot = adopt(config)) slot->waits = config.start == StartPolicy::Auto;
}

/// Nothing if there are too many, which was logged.
VmSlot* VmManager::adopt(const VmConfig& config) {
  VmSlot* const slot = std::ranges::find(slots_, nullptr, &VmSlot::config);
  if (slot == slots_.end()) {
    log::error("more than {} virtual machines: {} is left out", kMaxVms, config.name);
    ++left_out_;
    return nullptr;
  }
  const auto number = static_cast<usize>(slot - slots_.begin());
  slot_count_ = std::max(slot_count_, number + 1);
  configs_[number] = config;
  slot->config = &configs_[number];
  // Without it there is nothing to scroll back to, and nothing else is lost.
  if (auto history = mm::make_box<OutputHistory>(hypervisor_.heap())) slot->history = std::move(*history);
  return slot;
}

/// Its guest is gone.
void VmManager::forget(VmSlot& slot) {
  VmSlot* shown = &slot;
  replay_.compare_exchange_strong(shown, nullptr);
  // Memory that others share goes on under their name for it.
  for (const MemoryRegion& mine : slot.config->memory)
    for (const VmSlot& other : slots())
      for (const MemoryRegion& region : other.config->memory)
        if (&other != &slot && !mine.shared.empty() && region.shared == mine.shared)
          hypervisor_.shared_regions().rename(region.shared);
  slot.config = nullptr;
  configs_[static_cast<usize>(&slot - slots_.data())] = {};
  slot.description.reset();
  slot.history.reset();
  slot.life = {};
  slot.backoff = {};
  slot.checked = true;
  slot.waits = slot.again = false;
  slot.outcome = VmSlot::Outcome::None;
  slot.reason = StopReason::None;
  slot.starts = 0;
  slot.restart_at = 0;
}

// ---- what comes up ----------------------------------------------------------------------------------------------------

void VmManager::attend() {
  take_input();
  watch();
  collect_all();
  restart_due();
  set_alarm();
}

template <class Condition>
void VmManager::wait_until(Condition condition) {
  for (collect_all(); !condition(); collect_all()) event_->wait();
}

void VmManager::collect_all() {
  for (VmSlot& slot : slots()) collect(slot);
}

void VmManager::collect(VmSlot& slot) {
  Vm* vm = slot.owned.get();
  if (!slot.life.is_active() || vm == nullptr || !vm->at_rest()) return;
  static_cast<void>(slot.life.apply(VmEvent::Stop));  // unless somebody has asked for it
  static_cast<void>(slot.life.apply(VmEvent::AtRest));
  slot.reason = vm->stop_reason();
  slot.rest_ticks = drivers::host_timer::now() - vm->stop_asked_at();
  // Whoever reads the line may type at once: that is for the next one.
  slot.vm.store(nullptr, std::memory_order_release);
  if (!quiet_) log::print_line("axvisor: VM {} has stopped: {}", vm->name(), describe(slot.reason));
  if (slot.reason == StopReason::Watchdog) report_position(*vm);
  const bool keep = is_failure(slot.reason) && slot.config->on_crash == CrashPolicy::Halt && !slot.again;
  if (!keep) hypervisor_.retire(std::move(slot.owned));
  decide(slot);
}

void VmManager::decide(VmSlot& slot) {
  const bool crashed = is_failure(slot.reason);
  const u64 ran = microseconds_since(slot.started_at) / kMilliseconds;
  slot.outcome = crashed ? VmSlot::Outcome::Failed : VmSlot::Outcome::Stopped;
  if (slot.again) return restart_in(slot, 0);
  if (slot.reason == StopReason::Reset) return restart_in(slot, slot.backoff.after_reset(ran));
  if (!crashed || slot.config->on_crash != CrashPolicy::Restart) return;
  if (const auto delay = slot.backoff.after_crash(ran)) return restart_in(slot, *delay);
  log::warn("VM {} has crashed {} times in a row and stays stopped", slot.config->name, slot.backoff.failures());
}

void VmManager::restart_in(VmSlot& slot, u64 milliseconds) {
  slot.again = false;
  if (milliseconds == 0) {
    log::info("restarting VM {}", slot.config->name);
    static_cast<void>(start(slot));  // the reason was logged
    return;
  }
  log::info("restarting VM {} in {} ms", slot.config->name, milliseconds);
  slot.restart_at = drivers::host_timer::now() + milliseconds * drivers::host_timer::frequency() / kMilliseconds;
}

void VmManager::restart_due() {
  for (VmSlot& slot : slots())
    if (slot.restart_at != 0 && slot.restart_at <= drivers::host_timer::now()) restart_in(slot, 0);
}

// A guest that has fed it in time has moved the end meanwhile: then the alarm is set again.
void VmManager::watch() {
  for (VmSlot& slot : slots()) {
    if (slot.life.state() != VmState::Running || slot.owned->now() < slot.owned->watchdog().half()) continue;
    if (slot.owned->now() < slot.owned->watchdog().due()) {
      const MaskedInterrupts masked;
      slot.owned->arch.watchdog_warns();
      continue;
    }
    slot.owned->request_stop(StopReason::Watchdog);
    static_cast<void>(slot.life.apply(VmEvent::Stop));
  }
}

/// Where a guest was that nobody heard of any more.
void VmManager::report_position(Vm& vm) {
  for (unsigned i = 0; i < vm.vcpu_count(); ++i) {
    const Vcpu& vcpu = *vm.vcpu(i);
    log::print_line("  vCPU {}: at {:#x} after {} exits", i, vcpu.arch.program_counter(), vcpu.exits());
  }
}

void VmManager::set_alarm() {
  u64 next = DeadlineQueue::kNever;
  for (const VmSlot& slot : slots()) {
    if (slot.restart_at != 0) next = std::min(next, slot.restart_at);
    if (slot.life.state() != VmState::Running || !slot.owned->watchdog().present()) continue;
    const Watchdog& watchdog = slot.owned->watchdog();
    next = std::min(next, (slot.owned->now() < watchdog.half() ? watchdog.half() : watchdog.due()) + slot.owned->time_offset());
  }
  const MaskedInterrupts masked;
  next == DeadlineQueue::kNever ? Cpu::current().cancel(alarm_) : Cpu::current().arm(alarm_, next);
}

// ---- starting ---------------------------------------------------------------------------------------------------------

// A VM that failed does not hold back those behind it.
bool VmManager::may_start(const VmSlot& slot) const {
  for (const std::string_view name : slot.config->start_after)
    for (usize i = 0; i < slot_count_; ++i)
      if (configs_[i].name == name && slots_[i].starts == 0 && slots_[i].outcome == VmSlot::Outcome::None) return false;
  return true;
}

void VmManager::start_waiting() {
  for (bool progress = true; progress;) {
    progress = false;
    for (VmSlot& slot : slots()) {
      if (!slot.waits || !may_start(slot)) continue;
      slot.waits = false;
      progress = true;
      if (load(slot)) begin(slot);
    }
  }
}

Result<void> VmManager::load(VmSlot& slot) {
  TRY(slot.life.apply(VmEvent::Load));
  slot.restart_at = 0;
  if (slot.owned) hypervisor_.retire(std::move(slot.owned));
  auto vm = Vm::create(hypervisor_, *slot.config, static_cast<u16>(&slot - slots_.data()));
  if (vm && !cpus_are_free(slot, **vm)) vm = fail(Error::Busy);
  if (!vm) {
    static_cast<void>(slot.life.apply(VmEvent::Failed));
    slot.outcome = VmSlot::Outcome::Failed;
    log::error("VM {} was not started: {}", slot.config->name, vm.error());
    return fail(vm.error());
  }
  slot.owned = std::move(*vm);
  return {};
}

/// Guests that were placed before this VM was known may be where it wants to be alone.
bool VmManager::cpus_are_free(const VmSlot& slot, Vm& vm) {
  if (!slot.config->exclusive_cpus) return true;
  const auto cpus_of = [](Vm& some) {
    u64 cpus = 0;
    for (unsigned i = 0; i < some.vcpu_count(); ++i) cpus |= some.vcpu(i)->scheduling.cpus;
    return cpus;
  };
  for (const VmSlot& other : slots()) {
    if (&other == &slot || !other.life.is_active() || !other.owned || (cpus_of(*other.owned) & cpus_of(vm)) == 0) continue;
    log::error("VM {} wants CPUs for itself on which VM {} runs: restart that one, and start this one then", slot.config->name,
               other.config->name);
    return false;
  }
  return true;
}

void VmManager::begin(VmSlot& slot) {
  static_cast<void>(slot.life.apply(VmEvent::Loaded));
  slot.waits = settled_ = false;
  ++slot.starts;
  slot.started_at = drivers::host_timer::now();
  slot.vm.store(slot.owned.get(), std::memory_order_release);
  slot.owned->start();
}

// ---- what the shell does ----------------------------------------------------------------------------------------------

Result<void> VmManager::start(VmSlot& slot) {
  TRY(load(slot));
  begin(slot);
  start_waiting();
  return {};
}

Result<void> VmManager::stop(VmSlot& slot) {
  const bool was_waiting = slot.restart_at != 0;
  slot.restart_at = 0;
  if (const auto stopping = slot.life.apply(VmEvent::Stop); !stopping) return was_waiting ? Result<void>() : stopping;
  slot.owned->request_stop(StopReason::Request);
  wait_until([&] { return slot.life.state() != VmState::Stopping; });
  return {};
}

Result<void> VmManager::suspend(VmSlot& slot) {
  TRY(slot.life.apply(VmEvent::Pause));
  slot.owned->pause();
  wait_until([&] { return slot.life.state() != VmState::Paused || slot.owned->is_paused(); });
  if (slot.life.state() != VmState::Paused) return fail(Error::BadState);
  log::print_line("axvisor: VM {} is suspended", slot.config->name);
  return {};
}

Result<void> VmManager::resume(VmSlot& slot) {
  TRY(slot.life.apply(VmEvent::Resume));
  slot.owned->resume();
  log::print_line("axvisor: VM {} goes on", slot.config->name);
  return {};
}

Result<void> VmManager::restart(VmSlot& slot) {
  if (!slot.life.is_active()) return start(slot);
  const u64 asked = drivers::host_timer::now();
  slot.again = true;
  TRY(stop(slot));
  if (slot.life.state() != VmState::Running) return fail(Error::BadState);
  log::print_line("axvisor: VM {} was at rest after {} us and runs again after {} us", slot.config->name,
                  slot.rest_ticks * kMicroseconds / drivers::host_timer::frequency(), microseconds_since(asked));
  return {};
}

// A VM that crashes while it is stopped may run again at once.
Result<void> VmManager::remove(VmSlot& slot, bool stop_it) {
  while (stop_it && slot.life.is_active()) TRY(stop(slot));
  if (slot.life.is_active()) return fail(Error::BadState);
  if (slot.owned) hypervisor_.retire(std::move(slot.owned));
  log::print_line("axvisor: VM {} is deleted", slot.config->name);
  forget(slot);
  start_waiting();
  return {};
}

void VmManager::power_off() {
  for (VmSlot& slot : slots()) {
    slot.again = slot.waits = false;
    static_cast<void>(stop(slot));
  }
  print_verdict();
  end_machine();
}

void VmManager::end_machine() {
  if (!kRestartAtEnd) platform::power_off();
  log::print_line("axvisor: the machine restarts (reboot-on-system-off)");
  platform::reset();
}

namespace {

/// What must be the same each time that a VM is loaded.
struct Footprint {
  u64 memory_hash;
  u64 free_loaded, heap_loaded;    ///< bytes, before its first instruction
  u64 free_stopped, heap_stopped;  ///< after its end
  friend bool operator==(const Footprint&, const Footprint&) = default;
};

u64 free_bytes() {
  return platform::frames().with([](auto& frames) { return frames.free_bytes(); });
}

}  // namespace

/// A thousand VMs come and go without a line each.
class VmManager::Quiet {
 public:
  explicit Quiet(VmManager& manager) : manager_(manager), level_(log::level()) {
    manager_.quiet_ = true;
    log::set_level(std::min(level_, log::Level::Warn));
  }
  ~Quiet() {
    manager_.quiet_ = false;
    log::set_level(level_);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  VmManager& manager_;
  log::Level level_;
};

bool VmManager::check_restarts(VmSlot& slot, u32 count) {
  const Quiet quiet(*this);
  Footprint first{};
  for (u32 i = 0; i < count; ++i) {
    if (slot.life.is_active() && !stop(slot)) return false;
    if (slot.owned) hypervisor_.retire(std::move(slot.owned));
    Footprint now{};
    now.free_stopped = free_bytes();
    now.heap_stopped = hypervisor_.heap_bytes();
    if (!load(slot)) return false;
    now.memory_hash = slot.owned->memory().hash();
    now.free_loaded = free_bytes();
    now.heap_loaded = hypervisor_.heap_bytes();
    begin(slot);
    if (i == 0) first = now;
    if (now == first) continue;
    log::print_line("axvisor: VM {}: restart {} differs: memory {:#x}/{:#x}, free {}/{} and {}/{}, heap {}/{} and {}/{}",
                    slot.config->name, i + 1, now.memory_hash, first.memory_hash, now.free_loaded, first.free_loaded,
                    now.free_stopped, first.free_stopped, now.heap_loaded, first.heap_loaded, now.heap_stopped,
                    first.heap_stopped);
    return false;
  }
  log::print_line(
      "axvisor: VM {}: {} restarts are alike: memory {:#x}, {} bytes free and {} of heap when loaded, {} and {} when stopped",
      slot.config->name, count, first.memory_hash, first.free_loaded, first.heap_loaded, first.free_stopped, first.heap_stopped);
  return true;
}

// ---- the end ----------------------------------------------------------------------------------------------------------

bool VmManager::is_idle() const {
  for (usize i = 0; i < slot_count_; ++i)
    if (slots_[i].life.is_active() || slots_[i].restart_at != 0) return false;
  return true;
}

void VmManager::print_verdict() const {
  unsigned stopped = 0, failed = left_out_;
  for (usize i = 0; i < slot_count_; ++i) {
    stopped += slots_[i].outcome == VmSlot::Outcome::Stopped;
    failed += slots_[i].outcome == VmSlot::Outcome::Failed;
  }
  log::print_line("axvisor: done: {} stopped, {} failed", stopped, failed);
}

// Nothing runs any more, or yet. Whoever has the shell may want to start a VM, and what is started by hand only needs the shell.
void VmManager::settle() {
  if (settled_) return;
  settled_ = true;
  bool ended = slots().begin() == slots().end();
  for (const VmSlot& slot : slots()) ended |= slot.outcome != VmSlot::Outcome::None;
  if (shell_focused_ || !ended) {
    log::print_line("axvisor: no virtual machine runs; 'poweroff' in the shell ends the machine");
  } else {
    print_verdict();
    if constexpr (board::kPowerOffWhenIdle) end_machine();
    log::print_line("axvisor: no virtual machine is left; the board stays up (power_off_when_idle = false)");
  }
  shell_focused_ = true;
  shell_.open();
}

// ---- keyboard ---------------------------------------------------------------------------------------------------------

void VmManager::console_input(char c) {
  const ConsoleFocus::Input input = focus_.type(c);
  if (input.chosen) return choose(*input.chosen);
  if (input.shell) shell_focused_ = true;
  if (shell_focused_) {
    // What the shell cannot take is lost, as on a real line.
    if (input.character) static_cast<void>(typed_.push_back(*input.character));
    return look();
  }
  if (!input.character) return;
  // A VM that has gone leaves the console to the first that is there.
  Vm* vm = slots_[focused_].vm.load(std::memory_order_acquire);
  for (usize i = 0; i < slot_count_ && vm == nullptr; ++i) vm = slots_[i].vm.load(std::memory_order_acquire);
  if (vm != nullptr) vm->console_input(*input.character);
}

void VmManager::choose(usize slot) {
  if (slot >= slot_count_ || slots_[slot].vm.load(std::memory_order_acquire) == nullptr) {
    log::print_line("axvisor: console: there is no running VM {}", slot + 1);
    return;
  }
  focused_ = slot;
  shell_focused_ = false;
  log::print_line("axvisor: console: input goes to VM {}", slots_[slot].config->name);
  replay_.store(&slots_[slot], std::memory_order_release);
  look();
}

void VmManager::focus(VmSlot& slot) {
  const MaskedInterrupts masked;
  choose(static_cast<usize>(&slot - slots_.data()));
}

void VmManager::take_input() {
  if (shell_focused_) shell_.open();
  for (;;) {
    char c = 0;
    {
      const MaskedInterrupts masked;
      if (typed_.empty()) break;
      c = typed_[0];
      typed_.erase(0);
    }
    shell_.type(c);
  }
  if (VmSlot* slot = replay_.exchange(nullptr, std::memory_order_acquire)) {
    shell_.close();
    if (slot->history) hypervisor_.console().replay(*slot->history, slot->config->name, kLinesOnFocus);
  }
}

}  // namespace hv
