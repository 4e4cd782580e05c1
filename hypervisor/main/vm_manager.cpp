#include "hypervisor/main/vm_manager.hpp"

#include <new>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {

Result<void> VmManager::start() {
  const Hva stack = TRY(platform::allocate_stack(board::kThreadStackSize));
  auto* thread = new (thread_storage_) Thread(0, stack, &thread_entry, this);
  event_ = new (event_storage_) Event(*thread);
  Cpu::current().notify(*thread);
  return {};
}

void VmManager::vm_stopped() { event_->signal(); }

void VmManager::console_input(char c) {
  const ConsoleFocus::Input input = focus_.type(c);
  if (input.chosen) return choose(*input.chosen);
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
  log::print_line("axvisor: console: input goes to VM {}", slots_[slot].config->name);
}

void VmManager::thread_entry(void* self) { static_cast<VmManager*>(self)->run(); }

void VmManager::run() {
  for (const VmConfig& config : kStaticVmConfigs) {
    if (slot_count_ == kMaxVms) {
      log::error("more than {} virtual machines: {} is left out", kMaxVms, config.name);
      ++failed_;
      continue;
    }
    Slot& slot = slots_[slot_count_++];
    slot.config = &config;
    create_and_start(slot);
  }
  while (running_ != 0) {
    event_->wait();
    for (usize i = 0; i < slot_count_; ++i) collect(slots_[i]);
  }
  finish();
}

void VmManager::create_and_start(Slot& slot) {
  const auto number = static_cast<u16>(&slot - slots_.data());
  auto vm = Vm::create(hypervisor_, *slot.config, number);
  if (!vm) {
    log::error("VM {} was not started: {}", slot.config->name, vm.error());
    ++failed_;
    return;
  }
  ++running_;
  slot.owned = std::move(*vm);
  slot.vm.store(slot.owned.get(), std::memory_order_release);
  slot.owned->start();
}

void VmManager::collect(Slot& slot) {
  Vm* vm = slot.vm.load(std::memory_order_acquire);
  if (vm == nullptr || !vm->at_rest()) return;
  const StopReason reason = vm->stop_reason();
  log::print_line("axvisor: VM {} has stopped: {}", vm->name(), describe(reason));
  slot.vm.store(nullptr, std::memory_order_release);
  hypervisor_.retire(std::move(slot.owned));
  --running_;

  const CrashPolicy policy = slot.config->on_crash;
  if (reason == StopReason::Reset || (reason == StopReason::Crash && policy == CrashPolicy::Restart)) {
    log::info("restarting VM {}", slot.config->name);
    create_and_start(slot);
    return;
  }
  reason == StopReason::Crash ? ++failed_ : ++stopped_;
  if (reason == StopReason::Crash && policy == CrashPolicy::Shutdown) finish();
}

void VmManager::finish() {
  log::print_line("axvisor: done: {} stopped, {} failed", stopped_, failed_);
  if constexpr (!board::kPowerOffWhenIdle) {
    log::print_line("axvisor: no virtual machine is left; the board stays up (power_off_when_idle = false)");
    for (;;) event_->wait();
  }
  if (!kRestartAtEnd) platform::power_off();
  log::print_line("axvisor: the machine restarts (reboot-on-system-off)");
  platform::reset();
}

}  // namespace hv
