#include "hypervisor/vcpu/aarch64/physical_interrupts.hpp"

#include <algorithm>

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
  const bool wanted = std::ranges::any_of(kStaticVmConfigs, [&](const VmConfig& vm) { return why_injected(vm).empty(); });
  if (wanted) gic_.use_group0();
  return {};
}

// Direct delivery takes an interrupt of the host's that no guest can mask (Group 0), and a CPU whose interrupt controller has
// one user.
std::string_view PhysicalInterrupts::why_injected(const VmConfig& config) const {
  if (config.interrupt_mode != InterruptMode::Passthrough) return "as interrupt_mode says";
  if (!gic_.can_use_group0()) return gic_.version() == 2 ? "a GICv2 has no interrupt that guests cannot mask" : "Group 0 is the secure world's";
  if (!config.exclusive_cpus || config.phys_cpu_ids.size() != config.cpu_count) return "its CPUs are not its own (exclusive)";
  return {};
}

Result<u32> PhysicalInterrupts::find_free_spi() const {
  for (u32 intid = gic_.interrupt_count(); intid-- > kFirstSpi;) {
    if (intid != machine_.console.interrupt && owners_[intid].vm.load(std::memory_order_relaxed) == nullptr) return intid;
  }
  return fail(Error::NotFound);
}

void PhysicalInterrupts::configure(u32 intid, drivers::Trigger trigger) {
  const auto held = configuration_.lock();
  gic_.set_trigger(intid, trigger);
}

Result<void> PhysicalInterrupts::init_cpu(unsigned index) {
  TRY(gic_.init_cpu(index));
  // Every CPU has the same virtual interface: attaching again changes nothing.
  virtual_.attach(machine_.gic);
  const TimerInfo& timer = machine_.timer;
  if (gic_.uses_group0()) gic_.move_to_group0(kKickSgi);
  for (const u32 ppi : {timer.hypervisor_interrupt, machine_.gic.maintenance_interrupt}) enable(ppi);
  gic_.enable(timer.virtual_interrupt);
  return {};
}

void PhysicalInterrupts::send_kick(unsigned index) { gic_.send_ipi(index, kKickSgi); }

// Group 1 is left to a guest that takes its interrupts itself.
bool PhysicalInterrupts::handle_group0(Cpu& cpu) {
  for (;;) {
    const drivers::AcknowledgedInterrupt interrupt = gic_.acknowledge_group0();
    if (interrupt.spurious()) return cpu.loaded != nullptr && cpu.loaded->vm.arch.interrupts().direct();
    static_cast<void>(handle(cpu, interrupt.id));
    gic_.end_group0(interrupt.token);
  }
}

void PhysicalInterrupts::handle_pending(Cpu& cpu) {
  if (gic_.uses_group0() && handle_group0(cpu)) return;
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
  configure(intid, trigger);
  const unsigned cpu = vm.boot_vcpu()->cpu;
  gic_.route(intid, cpu);
  // QEMU's GICv2 counts an SPI as active on the CPU that took it, until it is deactivated there (docs/machines.md).
  if (machine_.gic.version == 2) vm.boot_vcpu()->scheduling.cpus = u64{1} << cpu;
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
