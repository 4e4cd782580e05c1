#include "hypervisor/vcpu/x86_64/physical_interrupts.hpp"

#include <algorithm>
#include <arch/cpu.hpp>
#include <utility>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"

namespace hv {

namespace vector = drivers::host_vector;

Result<void> PhysicalInterrupts::init() {
  const PcInfo& pc = machine_.pc;
  apic_.attach(pc.local_apic.base);
  const auto io_apics = io_apics_.lock();
  for (const acpi::IoApic& info : pc.io_apics) {
    TRY(platform::map_device(info.registers));
    drivers::IoApic io_apic(info.registers.base, info.gsi_base);
    io_apic.init();
    TRY(io_apics->push_back(io_apic));
  }
  return {};
}

void PhysicalInterrupts::enable(u32 isa_interrupt) {
  console_gsi_ = machine_.pc.route(static_cast<u8>(isa_interrupt)).gsi;
  if (!route(console_gsi_, 0)) log::warn("no I/O APIC has the console's interrupt {}: there will be no input", console_gsi_);
}

void PhysicalInterrupts::send_kick(unsigned index) {
  apic_.send(static_cast<u32>(machine_.cpus[index].hardware_id), vector::kKick);
}

// ---- taking interrupts ------------------------------------------------------------------------------------------------

void PhysicalInterrupts::handle_pending(Cpu& cpu) {
  const u64 taken = std::exchange(percpu::this_cpu().vector, 0);
  if (taken != 0) return dispatch(cpu, static_cast<u8>(taken));
  arch::take_pending_interrupts();
}

void PhysicalInterrupts::dispatch(Cpu& cpu, u8 taken) {
  switch (taken) {
    case vector::kSpurious: return;  // not in service: no end of interrupt
    case vector::kKick: cpu.reschedule = true; break;
    case vector::kTimer: cpu.timer_expired(); break;
    default:
      if (taken >= vector::kFirstLine && taken <= vector::kLastLine) forward(taken - vector::kFirstLine);
  }
  apic_.end_of_interrupt();
}

void PhysicalInterrupts::forward(u32 gsi) {
  if (gsi == console_gsi_) return hypervisor_.console().receive();
  const Line& line = lines_[gsi];
  Vm* vm = line.vm.load(std::memory_order_acquire);
  if (vm == nullptr || line.level) set_masked(gsi, true);
  if (vm != nullptr && gsi >= kFirstMessage) return vm->arch.hardware_message(line.pin);
  if (vm != nullptr) return vm->arch.hardware_interrupt(line.pin, line.level);
  // Nobody asked for it: once is enough.
  log::debug("interrupt {} belongs to nobody and was masked", gsi);
}

// ---- lines ------------------------------------------------------------------------------------------------------------

// ISA interrupts are active high and edge-triggered, PCI's are active low and level-triggered, and overrides say what differs.
acpi::InterruptOverride PhysicalInterrupts::signal_of(u32 gsi) const {
  for (const acpi::InterruptOverride& entry : machine_.pc.overrides)
    if (entry.gsi == gsi) return entry;
  constexpr u32 kIsaInterrupts = 16;
  const bool pci = gsi >= kIsaInterrupts;
  return {.gsi = gsi, .active_low = pci, .level = pci};
}

bool PhysicalInterrupts::route(u32 gsi, unsigned cpu) {
  const acpi::InterruptOverride signal = signal_of(gsi);
  const auto io_apics = io_apics_.lock();
  const auto io_apic = std::ranges::find_if(*io_apics, [&](const drivers::IoApic& a) { return a.owns(gsi); });
  if (io_apic == io_apics->end() || gsi >= kFirstMessage) return false;
  io_apic->set_route(gsi, {.vector = static_cast<u8>(vector::kFirstLine + gsi),
                           .destination = static_cast<u8>(machine_.cpus[cpu].hardware_id),
                           .active_low = signal.active_low,
                           .level = signal.level,
                           .masked = false});
  return true;
}

void PhysicalInterrupts::set_masked(u32 gsi, bool masked) {
  const auto io_apics = io_apics_.lock();
  for (drivers::IoApic& io_apic : *io_apics)
    if (io_apic.owns(gsi)) io_apic.set_masked(gsi, masked);
}

Result<void> PhysicalInterrupts::give_to_vm(u32 gsi, Vm& vm, u32 pin) {
  if (gsi >= kFirstMessage) return fail(Error::OutOfRange);
  if (gsi == console_gsi_) return fail(Error::Busy);
  Line& line = lines_[gsi];
  Vm* nobody = nullptr;
  if (!line.vm.compare_exchange_strong(nobody, &vm, std::memory_order_acq_rel)) return fail(Error::Busy);
  line.pin = pin;
  line.level = signal_of(gsi).level;
  if (route(gsi, vm.boot_vcpu()->cpu)) return {};
  line.vm.store(nullptr, std::memory_order_release);
  return fail(Error::OutOfRange);
}

Result<PciMessage> PhysicalInterrupts::give_message(Vm& vm, u32 number) {
  constexpr u64 kMessageAddress = 0xfee0'0000, kLastDestination = 0xff;  // SDM vol. 3 11.11.1
  constexpr unsigned kDestinationShift = 12;
  const u64 destination = machine_.cpus[vm.boot_vcpu()->cpu].hardware_id;
  if (destination > kLastDestination) return fail(Error::OutOfRange);
  for (u32 i = kFirstMessage; i < kLines; ++i) {
    Vm* nobody = nullptr;
    if (!lines_[i].vm.compare_exchange_strong(nobody, &vm, std::memory_order_acq_rel)) continue;
    lines_[i].pin = number;
    lines_[i].level = false;
    return PciMessage{kMessageAddress | destination << kDestinationShift, vector::kFirstLine + i};
  }
  return fail(Error::OutOfMemory);
}

void PhysicalInterrupts::line_ended(Vm& vm, u32 pin) {
  for (u32 gsi = 0; gsi < kLines; ++gsi) {
    const Line& line = lines_[gsi];
    if (line.vm.load(std::memory_order_acquire) == &vm && line.pin == pin && line.level) set_masked(gsi, false);
  }
}

void PhysicalInterrupts::take_back(Vm& vm) {
  for (u32 gsi = 0; gsi < kLines; ++gsi) {
    if (lines_[gsi].vm.load(std::memory_order_relaxed) != &vm) continue;
    set_masked(gsi, true);
    lines_[gsi].vm.store(nullptr, std::memory_order_release);
  }
}

}  // namespace hv
