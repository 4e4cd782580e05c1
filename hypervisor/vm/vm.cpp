// A VM at run time. How it comes into being is in vm_create.cpp.
#include "hypervisor/vm/vm.hpp"

#include <arch/cpu.hpp>
#include <arch/timer.hpp>

#include "hypervisor/main/hypervisor.hpp"

namespace hv {

std::string_view describe(StopReason reason) {
  constexpr std::string_view texts[] = {"not at all", "it powered off", "it asked for a reset", "it crashed", "on request"};
  return texts[static_cast<u8>(reason)];
}

void Vm::start() {
  time_offset_ = drivers::host_timer::now();
  arch.begin_time();
  const u64 flags = arch::irq_save();
  boot_vcpu()->start(arch.start_state());
  arch::irq_restore(flags);
}

void Vm::request_stop(StopReason reason) {
  StopReason none = StopReason::None;
  if (!stop_reason_.compare_exchange_strong(none, reason, std::memory_order_acq_rel)) return;
  for (unsigned i = 0; i < vcpu_count_; ++i) vcpu(i)->request(VcpuRequest::Stop);
}

void Vm::vcpu_stopped(Vcpu& vcpu) {
  // Device interrupts come to the boot vCPU's CPU. Taking them back there means that no handler is using this VM any more.
  if (&vcpu == boot_vcpu()) hypervisor_.interrupts().take_back(*this);
  if (stopped_vcpus_.fetch_add(1, std::memory_order_acq_rel) + 1 == vcpu_count_) hypervisor_.vms().vm_stopped();
}

GuestRam Vm::ram() const {
  GuestRam ram;
  for (const GuestRegion& region : regions_)
    if (region.is_ram) static_cast<void>(ram.push_back(region.gpa));
  return ram;
}

bool Vm::is_ram(Gpa address) const {
  for (const GuestRegion& region : regions_)
    if (region.is_ram && region.gpa.contains(address)) return true;
  return false;
}

}  // namespace hv
