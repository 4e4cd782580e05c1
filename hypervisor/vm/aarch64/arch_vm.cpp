// The aarch64 half of a VM at run time.
#include "hypervisor/vm/aarch64/arch_vm.hpp"

#include <arch/cpu.hpp>

#include "hypervisor/device/sbsa_watchdog.hpp"
#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {

ArchVm::ArchVm(Vm& owner) : vm_(owner), terminal_(owner.output(), uart_line_) {}

StartState ArchVm::start_state() const { return {vm_.config().entry_point, layout_.fdt.base.value()}; }

u8 ArchVm::gic_version() const { return vm_.hypervisor().machine().gic.version; }

void ArchVm::load_translation(unsigned cpu, unsigned vcpu) {
  arch::VTCR_EL2::write(stage2_->vtcr());
  arch::VTTBR_EL2::write(stage2_->vttbr());
  tlb_residents_.enter(cpu, vcpu);
  arch::isb();
}

const ArchVm::MmioRegion* ArchVm::find_device(Gpa address, u32 size) const {
  for (const MmioRegion& region : mmio_)
    if (region.range.contains(GpaRange{address, size})) return &region;
  return nullptr;
}

std::optional<u64> ArchVm::mmio_read(Vcpu& vcpu, Gpa address, u32 size) {
  const MmioRegion* region = find_device(address, size);
  if (region == nullptr) return pci_ ? pci_->mmio_read(address, size) : std::nullopt;
  const MmioAccess access{address - region->range.base, size, vcpu.index};
  if (region->device != nullptr) return interrupts_->read(*region->device, access);
  if (is_watchdog(*region)) return sbsa_watchdog::read(vm_.watchdog(), access, vm_.now());
  const auto terminal = terminal_.lock();
  const auto value = terminal->uart.read(access);
  terminal->feed();
  uart_line_.refresh();
  if (++terminal->reads == kPollsThatMeanWaiting) vm_.output().flush();
  return value;
}

bool ArchVm::mmio_write(Vcpu& vcpu, Gpa address, u32 size, u64 value) {
  const MmioRegion* region = find_device(address, size);
  if (region == nullptr) return pci_ && pci_->mmio_write(address, size, value);
  const MmioAccess access{address - region->range.base, size, vcpu.index};
  if (region->device != nullptr) return interrupts_->write(*region->device, access, value);
  if (is_watchdog(*region)) {
    sbsa_watchdog::write(vm_.watchdog(), access, value, vm_.now());
    if (vm_.now() < vm_.watchdog().half()) set_watchdog_line(false);
    vm_.watchdog_changed();
    return true;
  }
  const auto terminal = terminal_.lock();
  terminal->reads = 0;
  const bool answered = terminal->uart.write(access, value);
  uart_line_.refresh();
  // Nobody else sees that the guest waits, and then an unfinished line is to be shown.
  if (interrupts_->direct() != nullptr) DirectInterrupts::expect_wait();
  return answered;
}

void ArchVm::set_watchdog_line(bool asserted) {
  if (watchdog_interrupt_ != 0) interrupts_->set_line(watchdog_interrupt_, asserted);
}

// A meal lowers the line after it has moved the end: whoever raises it looks once more, so that none stays behind.
void ArchVm::watchdog_warns() {
  set_watchdog_line(true);
  if (vm_.now() < vm_.watchdog().half()) set_watchdog_line(false);
}

void ArchVm::console_input(char c) {
  const auto terminal = terminal_.lock();
  terminal->type(c);
  terminal->feed();
}

void ArchVm::Terminal::feed() {
  while (!typed.empty() && uart.can_receive()) {
    uart.receive(typed[0]);
    typed.erase(0);
  }
}

void ArchVm::UartInterrupt::refresh() {
  if (asserted_ && vm_.interrupts_->direct() != nullptr) set(true);
}

void ArchVm::UartInterrupt::set(bool asserted) {
  asserted_ = asserted;
  if (vm_.uart_interrupt_ != 0) vm_.interrupts_->set_line(vm_.uart_interrupt_, asserted);
}

}  // namespace hv
