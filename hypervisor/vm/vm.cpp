// A VM at run time. How it comes into being is in vm_create.cpp.
#include "hypervisor/vm/vm.hpp"

#include <arch/cpu.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "kernel/drivers/generic_timer.hpp"
#include "kernel/log/log.hpp"

namespace hv {

std::string_view describe(StopReason reason) {
  constexpr std::string_view texts[] = {"not at all", "it powered off", "it asked for a reset", "it crashed", "on request"};
  return texts[static_cast<u8>(reason)];
}

void Vm::start() {
  time_offset_ = drivers::generic_timer::now();
  const u64 flags = arch::irq_save();
  boot_vcpu()->start(config_.entry_point, fdt_address_.value());
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

bool Vm::is_ram(Gpa address) const {
  for (const GuestRegion& region : regions_)
    if (region.gpa.contains(address)) return true;
  return false;
}

u8 Vm::gic_version() const { return hypervisor_.machine().gic.version; }

void Vm::load_translation() {
  arch::VTCR_EL2::write(stage2_->vtcr());
  arch::VTTBR_EL2::write(stage2_->vttbr());
  arch::isb();
}

// ---- devices ----------------------------------------------------------------------------------------------------------

const Vm::MmioRegion* Vm::find_device(Gpa address, u32 size) const {
  for (const MmioRegion& region : mmio_)
    if (region.range.contains(GpaRange{address, size})) return &region;
  return nullptr;
}

std::optional<u64> Vm::mmio_read(Vcpu& vcpu, Gpa address, u32 size) {
  const MmioRegion* region = find_device(address, size);
  if (region == nullptr) return std::nullopt;
  const MmioAccess access{address - region->range.base, size, vcpu.index};
  if (region->device != nullptr) return interrupts_->read(*region->device, access);
  const auto terminal = terminal_.lock();
  const auto value = terminal->uart.read(access);
  terminal->feed();
  if (++terminal->reads == kPollsThatMeanWaiting) uart_wires_.flush();
  return value;
}

bool Vm::mmio_write(Vcpu& vcpu, Gpa address, u32 size, u64 value) {
  const MmioRegion* region = find_device(address, size);
  if (region == nullptr) return false;
  const MmioAccess access{address - region->range.base, size, vcpu.index};
  if (region->device != nullptr) return interrupts_->write(*region->device, access, value);
  const auto terminal = terminal_.lock();
  terminal->reads = 0;
  return terminal->uart.write(access, value);
}

void Vm::console_input(char c) {
  const auto terminal = terminal_.lock();
  terminal->type(c);
  terminal->feed();
}

void Vm::Terminal::feed() {
  while (!typed.empty() && uart.can_receive()) {
    uart.receive(typed[0]);
    typed.erase(0);
  }
}

void Vm::UartWires::put(char c) {
  unshown_.store(c != '\n', std::memory_order_relaxed);
  vm_.hypervisor_.console().put(stream_, c);
}
void Vm::UartWires::flush() {
  if (unshown_.exchange(false, std::memory_order_relaxed)) vm_.hypervisor_.console().flush(stream_);
}
void Vm::UartWires::close() { vm_.hypervisor_.console().close(stream_); }
void Vm::UartWires::set(bool asserted) {
  if (vm_.uart_interrupt_ != 0) vm_.interrupts_->set_line(vm_.uart_interrupt_, asserted);
}

}  // namespace hv
