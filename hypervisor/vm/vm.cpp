// A VM at run time. How it comes into being is in vm_create.cpp.
#include "hypervisor/vm/vm.hpp"

#include <arch/cpu.hpp>
#include <arch/timer.hpp>

#include "hypervisor/main/hypervisor.hpp"

namespace hv {

std::string_view describe(StopReason reason) {
  constexpr std::string_view texts[] = {"not at all", "it powered off", "it asked for a reset", "it crashed", "on request", "it did not feed its watchdog"};
  return texts[static_cast<u8>(reason)];
}

void Vm::start() {
  time_offset_.store(drivers::host_timer::now(), std::memory_order_relaxed);
  arch.begin_time();
  const u64 flags = arch::irq_save();
  boot_vcpu()->start(arch.start_state());
  arch::irq_restore(flags);
}

void Vm::request_stop(StopReason reason) {
  StopReason none = StopReason::None;
  if (!stop_reason_.compare_exchange_strong(none, reason, std::memory_order_acq_rel)) return;
  stop_asked_at_ = drivers::host_timer::now();
  request(VcpuRequest::Stop);
}

void Vm::request(VcpuRequest what) {
  const u64 flags = arch::irq_save();
  for (unsigned i = 0; i < vcpu_count_; ++i) vcpu(i)->request(what);
  arch::irq_restore(flags);
}

void Vm::pause() {
  paused_vcpus_.store(0, std::memory_order_relaxed);
  request(VcpuRequest::Pause);
}

// The time of the last one counts: none of them has seen a later one.
void Vm::vcpu_paused() {
  if (paused_vcpus_.fetch_add(1, std::memory_order_acq_rel) + 1 != vcpu_count_) return;
  paused_at_.store(drivers::host_timer::now(), std::memory_order_release);
  hypervisor_.vms().look();
}

void Vm::resume() {
  const u64 missed = drivers::host_timer::now() - paused_at_.load(std::memory_order_relaxed);
  time_offset_.store(time_offset() + missed, std::memory_order_relaxed);
  paused_at_.store(0, std::memory_order_release);
  request(VcpuRequest::Resume);
}

u64 Vm::now() const {
  const u64 paused = paused_at_.load(std::memory_order_relaxed);
  return (paused != 0 ? paused : drivers::host_timer::now()) - time_offset();
}

void Vm::vcpu_stopped(Vcpu& vcpu) {
  // Device interrupts come to the boot vCPU's CPU. Taking them back there means that no handler is using this VM any more.
  if (&vcpu == boot_vcpu()) hypervisor_.interrupts().take_back(*this);
  if (stopped_vcpus_.fetch_add(1, std::memory_order_acq_rel) + 1 == vcpu_count_) hypervisor_.vms().look();
}

GuestRam Vm::ram() const {
  GuestRam ram;
  for (const GuestRegion& region : regions_)
    if (region.is_ram) static_cast<void>(ram.push_back(region.gpa));
  return ram;
}

// Only a time that is up sooner than the manager expects is news for it.
void Vm::watchdog_changed() {
  if (watchdog_.span() != watchdog_.limit()) hypervisor_.vms().look();
}

bool Vm::is_ram(Gpa address) const {
  for (const GuestRegion& region : regions_)
    if (region.is_ram && region.gpa.contains(address)) return true;
  return false;
}

}  // namespace hv
