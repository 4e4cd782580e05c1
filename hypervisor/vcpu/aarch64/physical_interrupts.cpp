#include "hypervisor/vcpu/aarch64/physical_interrupts.hpp"

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {

Result<void> PhysicalInterrupts::init() {
  const GicInfo& gic = machine_.gic;
  for (const HpaRange& range : {gic.distributor, gic.cpu_interface, gic.hypervisor_interface})
    if (!range.empty()) TRY(platform::map_device(range));
  for (const HpaRange& region : gic.redistributors) TRY(platform::map_device(region));
  gic_.attach(gic, machine_.cpus);
  gic_.init_distributor();
  return {};
}

Result<void> PhysicalInterrupts::init_cpu(unsigned index) {
  TRY(gic_.init_cpu(index));
  // Every CPU has the same virtual interface: attaching again changes nothing.
  virtual_.attach(machine_.gic);
  const TimerInfo& timer = machine_.timer;
  for (const u32 ppi : {timer.hypervisor_interrupt, timer.virtual_interrupt, machine_.gic.maintenance_interrupt}) gic_.enable(ppi);
  return {};
}

void PhysicalInterrupts::send_kick(unsigned index) { gic_.send_ipi(index, kKickSgi); }

void PhysicalInterrupts::handle_pending(Cpu& cpu) {
  for (;;) {
    const drivers::AcknowledgedInterrupt interrupt = gic_.acknowledge();
    if (interrupt.spurious()) return;
    const bool guest_deactivates = handle(cpu, interrupt.id);
    gic_.end_of_interrupt(interrupt.token);
    if (!guest_deactivates) gic_.deactivate(interrupt.token);
  }
}

bool PhysicalInterrupts::handle(Cpu& cpu, u32 intid) {
  if (intid == machine_.timer.virtual_interrupt) {
    // A timer that nobody is loaded with has been put away between the signal and its acknowledgement.
    if (cpu.loaded == nullptr) return false;
    cpu.loaded->arch.virtual_timer_fired();
    return true;
  }
  if (intid == kKickSgi) {
    cpu.reschedule = true;
    return false;
  }
  if (intid == machine_.timer.hypervisor_interrupt) {
    cpu.timer_expired();
    return false;
  }
  if (intid == machine_.gic.maintenance_interrupt) {
    if (cpu.loaded != nullptr) cpu.loaded->vm.arch.interrupts().synchronize_loaded(*cpu.loaded);
    return false;
  }
  if (intid == machine_.console.interrupt) {
    hypervisor_.console().receive();
    return false;
  }
  return forward(intid);
}

bool PhysicalInterrupts::forward(u32 intid) {
  if (intid < kFirstSpi || intid >= kInterruptCount) return false;
  Vm* vm = owners_[intid].vm.load(std::memory_order_acquire);
  if (vm == nullptr) {
    // Nobody asked for it: once is enough.
    gic_.disable(intid);
    log::debug("interrupt {} belongs to nobody and was disabled", intid);
    return false;
  }
  vm->arch.interrupts().hardware_interrupt(*vm->boot_vcpu(), owners_[intid].virtual_id);
  return true;
}

Result<void> PhysicalInterrupts::give_to_vm(u32 intid, Vm& vm, u32 virtual_id, drivers::Trigger trigger) {
  if (intid < kFirstSpi || intid >= gic_.interrupt_count()) return fail(Error::OutOfRange);
  Owner& owner = owners_[intid];
  Vm* nobody = nullptr;
  if (!owner.vm.compare_exchange_strong(nobody, &vm, std::memory_order_acq_rel)) return fail(Error::Busy);
  owner.virtual_id = virtual_id;
  gic_.set_trigger(intid, trigger);
  gic_.route(intid, vm.boot_vcpu()->cpu);
  gic_.enable(intid);
  return {};
}

void PhysicalInterrupts::take_back(Vm& vm) {
  for (u32 intid = kFirstSpi; intid < kInterruptCount; ++intid) {
    if (owners_[intid].vm.load(std::memory_order_relaxed) != &vm) continue;
    gic_.disable(intid);
    gic_.set_pending(intid, false);
    gic_.set_active(intid, false);
    owners_[intid].vm.store(nullptr, std::memory_order_release);
  }
}

}  // namespace hv
