// The x86 half of a VM at run time.
#include "hypervisor/vm/x86_64/arch_vm.hpp"

#include <algorithm>
#include <arch/cpu.hpp>
#include <arch/msr.hpp>
#include <arch/port.hpp>
#include <arch/timer.hpp>
#include <bit>
#include <utility>

#include "hypervisor/device/x86_64/kvmclock.hpp"
#include "hypervisor/device/x86_64/port_watchdog.hpp"
#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"

namespace hv {

using namespace x86;

VLocalApic& ArchVm::local_apic(const Vcpu& vcpu) { return (*apics_)[vcpu.index]; }

/// What MSR emulation asks, for the time of one access by `vcpu`, on its CPU.
class ArchVm::Msrs final : public MsrHost {
 public:
  Msrs(ArchVm& vm, Vcpu& vcpu) : vm_(vm), vcpu_(vcpu) {}

  u64 read_register(u32 index) override { return backend().read(*register_of_msr(index)); }
  void write_register(u32 index, u64 value) override { backend().write(*register_of_msr(index), value); }
  bool paging_enabled() override { return (backend().read(GuestRegister::Cr0) & Cr0::kPg) != 0; }
  u64 read_tsc() override { return vm_.now() + adjust(); }
  void write_tsc(u64 value) override {
    adjust() = value - vm_.now();
    vm_.adjust_counter(vcpu_);
    vm_.update_clock(vcpu_, msr::kKvmSystemTime);
  }
  std::optional<u64> read_apic(u32 index) override {
    VLocalApic& apic = vm_.local_apic(vcpu_);
    if (index == msr::kApicBase) return apic.base();
    if (index != msr::kTscDeadline) return apic.read_msr(index);
    const u64 deadline = apic.tsc_deadline();
    vm_.set_timers();
    return deadline == 0 ? 0 : deadline + adjust();
  }
  bool write_apic(u32 index, u64 value) override {
    VLocalApic& apic = vm_.local_apic(vcpu_);
    bool valid = true;
    if (index == msr::kApicBase) {
      vcpu_.arch.forget_cpuid();
      valid = apic.set_base(value);
      backend().set_apic_mode(vm_.apic_mode(vcpu_));
    } else if (index == msr::kTscDeadline) {
      apic.set_tsc_deadline(value == 0 ? 0 : value - adjust());
    } else {
      valid = apic.write_msr(index, value);
    }
    vm_.set_timers();
    return valid;
  }
  u64 host_arch_capabilities() override { return arch::read_msr(msr::kArchCapabilities); }
  void clock_changed(u32 index) override { vm_.update_clock(vcpu_, index); }

 private:
  VcpuBackend& backend() { return vcpu_.arch.backend(); }
  u64& adjust() { return vm_.tsc_adjust_[vcpu_.index]; }

  ArchVm& vm_;
  Vcpu& vcpu_;
};

// ---- what vCPUs ask --------------------------------------------------------------------------------------------------

CpuidResult ArchVm::cpuid(Vcpu& vcpu, u32 leaf, u32 subleaf) {
  CpuidGuest guest;
  guest.apic_id = vcpu.index;
  guest.cpu_count = vm_.vcpu_count();
  guest.xcr0 = vcpu.arch.xcr0();
  guest.apic_enabled = local_apic(vcpu).enabled();
  guest.tsc_hz = guest.apic_timer_hz = drivers::host_timer::frequency();
  guest.exits = vcpu.exits();
  return guest_cpuid(host_cpuid(), guest, leaf, subleaf);
}

std::optional<u64> ArchVm::msr_read(Vcpu& vcpu, u32 index) {
  Msrs host(*this, vcpu);
  return read_msr({host, msrs_[vcpu.index], vm_.hypervisor().guest_execution().facts()}, index);
}

bool ArchVm::msr_write(Vcpu& vcpu, u32 index, u64 value) {
  Msrs host(*this, vcpu);
  return write_msr({host, msrs_[vcpu.index], vm_.hypervisor().guest_execution().facts()}, index, value);
}

// The reset control register is a byte between the PCI ports.
constexpr bool is_configuration_port(u16 port, u32 size) {
  constexpr u16 kResetControl = 0xcf9;
  return port >= VPciBus::kPort && port - VPciBus::kPort < VPciBus::kPortCount && !(port == kResetControl && size == 1);
}

// A range of ports that the guest has moved: at the old place it would have them without an exit.
std::optional<u32> ArchVm::pci_port_in(u16 port, u32 size) {
  if (is_configuration_port(port, size)) return pci_->configuration_read(port - VPciBus::kPort, size);
  const auto machine_port = pci_->machine_port(port, size);
  if (!machine_port) return std::nullopt;
  if (size == 1) return arch::port_read8(*machine_port);
  return size == 2 ? arch::port_read16(*machine_port) : arch::port_read32(*machine_port);
}
bool ArchVm::pci_port_out(u16 port, u32 size, u32 value) {
  if (is_configuration_port(port, size)) {
    pci_->configuration_write(port - VPciBus::kPort, size, value);
    return true;
  }
  const auto machine_port = pci_->machine_port(port, size);
  if (!machine_port) return false;
  if (size == 1) arch::port_write8(*machine_port, static_cast<u8>(value));
  else if (size == 2) arch::port_write16(*machine_port, static_cast<u16>(value));
  else arch::port_write32(*machine_port, value);
  return true;
}

u32 ArchVm::port_in(u16 port, u32 size) {
  if (PortWatchdog::owns(port) && vm_.watchdog().present())
    return PortWatchdog::read(vm_.watchdog(), port, vm_.now(), drivers::host_timer::frequency() / 1000);
  if (pci_)
    if (const auto value = pci_port_in(port, size)) return *value;
  return with_board([&](PcMachine& board) {
    const u32 value = board.port_read(port, size);
    if (!typed_.empty()) feed(board);
    if (++port_reads_ == kReadsThatMeanWaiting) vm_.output().flush();
    return value;
  });
}
void ArchVm::port_out(u16 port, u32 size, u32 value) {
  if (PortWatchdog::owns(port) && vm_.watchdog().present()) {
    PortWatchdog::write(vm_.watchdog(), port, value, vm_.now(), drivers::host_timer::frequency() / 1000);
    return vm_.watchdog_changed();
  }
  if (pci_ && pci_port_out(port, size, value)) return;
  with_board([&](PcMachine& board) {
    port_reads_ = 0;
    board.port_write(port, size, value);
    return true;
  });
}

// Each vCPU finds its own local APIC at the address that it has given it.
std::optional<u64> ArchVm::mmio_read(Vcpu& vcpu, Gpa address, u32 size) {
  VLocalApic& apic = local_apic(vcpu);
  const u64 offset = address.value() - apic.page();
  if (offset >= kPageSize) return board_read(address, size);
  const u64 value = apic.mmio_read(static_cast<u32>(offset), size);
  set_timers();
  return value;
}
[[gnu::noinline]] std::optional<u64> ArchVm::board_read(Gpa address, u32 size) {
  const auto value = with_board([&](PcMachine& board) { return board.mmio_read(address, size); });
  return !value && pci_ ? pci_->mmio_read(address, size) : value;
}

bool ArchVm::mmio_write(Vcpu& vcpu, Gpa address, u32 size, u64 value) {
  VLocalApic& apic = local_apic(vcpu);
  const u64 offset = address.value() - apic.page();
  if (offset >= kPageSize) return board_write(address, size, value);
  apic.mmio_write(static_cast<u32>(offset), size, static_cast<u32>(value));
  set_timers();
  return true;
}
[[gnu::noinline]] bool ArchVm::board_write(Gpa address, u32 size, u64 value) {
  return with_board([&](PcMachine& board) { return board.mmio_write(address, value); }) ||
         (pci_ && pci_->mmio_write(address, size, value));
}

u8 ArchVm::task_priority(Vcpu& vcpu) { return local_apic(vcpu).cr8(); }
void ArchVm::set_task_priority(Vcpu& vcpu, u8 priority) { local_apic(vcpu).set_cr8(priority); }
bool ArchVm::interrupt_pending(Vcpu& vcpu) {
  if (vm_.config().interrupt_mode == InterruptMode::None) return false;
  return local_apic(vcpu).pending() != 0 || takes_8259(vcpu);
}
bool ArchVm::must_inject(Vcpu& vcpu) {
  return vcpu.arch.backend().delivers_interrupts() ? takes_8259(vcpu) : interrupt_pending(vcpu);
}
bool ArchVm::takes_8259(Vcpu& vcpu) {
  return apics_->asserts_8259() && board_->lock_masked()->pending_8259(vcpu.index).has_value();
}
std::optional<u8> ArchVm::take_interrupt(Vcpu& vcpu) {
  if (vm_.config().interrupt_mode == InterruptMode::None) return std::nullopt;
  VLocalApic& apic = local_apic(vcpu);
  if (!vcpu.arch.backend().delivers_interrupts()) {
    if (const u8 vector = apic.pending(); vector != 0) {
      apic.acknowledge();
      return vector;
    }
  }
  if (!apics_->asserts_8259()) return std::nullopt;
  return with_board([&](PcMachine& board) {
    const std::optional<u8> vector = board.pending_8259(vcpu.index);
    if (vector) board.acknowledge_8259();
    return vector;
  });
}
u8 ArchVm::priority_in_wait(Vcpu& vcpu) { return local_apic(vcpu).class_in_wait(); }

ApicMode ArchVm::apic_mode(Vcpu& vcpu) {
  const VLocalApic& apic = local_apic(vcpu);
  if (apic.in_x2apic_mode()) return ApicMode::Msrs;
  return apic.page() == VLocalApic::kDefaultBase ? ApicMode::Memory : ApicMode::Elsewhere;
}
InterruptState ArchVm::interrupt_state(Vcpu& vcpu) {
  const VLocalApic::Delivery now = local_apic(vcpu).delivery();
  return {.requested = now.requested, .in_service = now.in_service, .told = now.level};
}
void ArchVm::apic_written(Vcpu& vcpu, u32 offset) {
  local_apic(vcpu).register_written(offset);
  set_timers();
}
void ArchVm::end_of_interrupt(u8 vector) {
  with_board([&](PcMachine& board) {
    board.end_of_interrupt(vector);
    return true;
  });
}

// ---- from outside ----------------------------------------------------------------------------------------------------

void ArchVm::begin_time() {
  for (unsigned i = 0; i < vm_.vcpu_count(); ++i) adjust_counter(*vm_.vcpu(i));
}

void ArchVm::adjust_counter(Vcpu& vcpu) { vcpu.arch.backend().set_tsc_offset(tsc_adjust_[vcpu.index] - vm_.time_offset()); }

void ArchVm::console_input(char c) {
  with_board([&](PcMachine& board) {
    // Input beyond the queue's capacity is lost, as on a real line without flow control.
    static_cast<void>(typed_.push_back(c));
    feed(board);
    return true;
  });
}

void ArchVm::feed(PcMachine& board) {
  while (!typed_.empty() && board.can_receive()) {
    board.receive(typed_[0]);
    typed_.erase(0);
  }
}

void ArchVm::hardware_interrupt(u32 gsi, bool level) {
  with_board([&](PcMachine& board) {
    board.interrupt(gsi, level);
    return true;
  });
}

void ArchVm::hardware_message(u32 number) {
  pci_->hardware_message(number);
  set_timers();
}

// The other vCPUs forget the old translation when they are entered again.
void ArchVm::unmap(GpaRange range) {
  static_cast<void>(translation_->unmap(range));
  for (unsigned i = 0; i < vm_.vcpu_count(); ++i) kick(i);
}

bool ArchVm::open_ports(u16 first, u32 count, bool open) {
  open ? static_cast<void>(ports_->allow(first, count)) : ports_->forbid(first, count);
  return true;
}

// A message as a local APIC understands it (SDM vol. 3 11.11): what a guest writes reaches its own APICs only.
void ArchVm::send(const PciMessage& message) {
  constexpr u64 kApics = 0xfee, kLogical = 1 << 2;
  constexpr unsigned kApicsShift = 20, kDestinationShift = 12, kDeliveryShift = 8;
  constexpr u32 kPhysicalBroadcast = 0xff;
  if (message.address >> kApicsShift != kApics) return;
  const bool logical = (message.address & kLogical) != 0;
  const u32 destination = static_cast<u32>(message.address >> kDestinationShift & kPhysicalBroadcast);
  apics_->deliver({.destination = !logical && destination == kPhysicalBroadcast ? ApicMessage::kBroadcast : destination,
                   .logical = logical,
                   .delivery = static_cast<ApicDelivery>(message.data >> kDeliveryShift & 7),
                   .vector = static_cast<u8>(message.data)});
}

// ---- what the machine tells -------------------------------------------------------------------------------------------

void ArchVm::kick(unsigned index) {
  Vcpu& vcpu = *vm_.vcpu(index);
  vcpu.arch.interrupts_changed();
  // The one that runs here looks before its next entry anyway.
  if (Cpu::current().running == &vcpu && vcpu.state == Task::State::Running) return;
  vcpu.request(VcpuRequest::Interrupt);
}

void ArchVm::nmi(unsigned index) {
  vm_.vcpu(index)->arch.post_nmi();
  vm_.vcpu(index)->request(VcpuRequest::Interrupt);
}

void ArchVm::init(unsigned index) { vm_.vcpu(index)->power_off(); }

void ArchVm::start(unsigned index, u8 vector) {
  constexpr unsigned kVectorShift = 8;  // page number to segment
  static_cast<void>(vm_.vcpu(index)->start({.real_segment = static_cast<u16>(vector << kVectorShift)}));
}

void ArchVm::console_output(char c) { vm_.output().put(c); }
void ArchVm::power_off() { vm_.request_stop(StopReason::PowerOff); }
void ArchVm::reset() { vm_.request_stop(StopReason::Reset); }

void ArchVm::debug_exit(u32 code) {
  log::info("VM {} wrote {} to its debug-exit port", vm_.name(), code);
  vm_.request_stop(StopReason::PowerOff);
}

void ArchVm::line_ended(u32 gsi) { vm_.hypervisor().interrupts().line_ended(vm_, gsi); }

// ---- time ------------------------------------------------------------------------------------------------------------

u64 ArchVm::now() { return vm_.now(); }

// A record that a guest wants outside its memory is not written: what it reads there is its own business.
void ArchVm::update_clock(Vcpu& vcpu, u32 index) {
  const MsrState& state = msrs_[vcpu.index];
  GuestMemory& memory = vm_.memory();
  if (index == msr::kKvmWallClock) {
    // The same time of day as the RTC has at the start.
    static_cast<void>(write_wall_clock(memory, clock_record(state.kvm_wall_clock), start_of_day_ * kNanosecondsPerSecond));
  } else if (index == msr::kKvmSystemTime && clock_enabled(state.kvm_system_time)) {
    const ClockScale scale = ClockScale::of(drivers::host_timer::frequency());
    const u64 ticks = now();
    static_cast<void>(write_system_time(memory, clock_record(state.kvm_system_time), ticks + tsc_adjust_[vcpu.index],
                                        scale.nanoseconds(ticks), scale));
  } else if (index == msr::kKvmStealTime && clock_enabled(state.kvm_steal_time)) {
    report_wait(vcpu, vcpu.waited);
  }
}

void ArchVm::report_wait(Vcpu& vcpu, u64 ticks) {
  const u64 record = msrs_[vcpu.index].kvm_steal_time;
  if (!clock_enabled(record)) return;
  const ClockScale scale = ClockScale::of(drivers::host_timer::frequency());
  // A record outside the guest's memory is not written; it is the guest's mistake.
  static_cast<void>(write_steal_time(vm_.memory(), clock_record(record), scale.nanoseconds(ticks), false));
}

// A deadline is armed on the CPU of the vCPU that it belongs to.
void ArchVm::set_changed_timers() {
  for (u32 left = changed_timers_.exchange(0, std::memory_order_relaxed); left != 0; left &= left - 1) {
    const auto index = static_cast<unsigned>(std::countr_zero(left));
    Vcpu& vcpu = *vm_.vcpu(index);
    if (vcpu.cpu == Cpu::current().index) {
      arm(index);
    } else {
      vcpu.request(ArchVcpu::kArmTimer);
    }
  }
}

void ArchVm::arm(unsigned index) {
  u64 next = (*apics_)[index].deadline();
  if (index == 0) next = std::min(next, board_deadline_.load(std::memory_order_relaxed));
  if (next == kNoDeadline || vm_.is_paused()) {
    Cpu::current().cancel(timers_[index]);
  } else {
    Cpu::current().arm(timers_[index], next + vm_.time_offset());
  }
}

void ArchVm::arm_timer(Vcpu& vcpu) { arm(vcpu.index); }
void ArchVm::cancel_timer(Vcpu& vcpu) { Cpu::current().cancel(timers_[vcpu.index]); }

void ArchVm::timer_due(Deadline& deadline) {
  const Timer& timer = static_cast<Timer&>(deadline);
  ArchVm& self = *timer.vm;
  const u64 now = self.now();
  (*self.apics_)[timer.vcpu].run_timer(now);
  if (timer.vcpu == 0 && self.board_deadline_.load(std::memory_order_relaxed) <= now) self.board_->lock_masked()->run_timers(now);
  self.deadline_changed(timer.vcpu);
  self.set_changed_timers();
}

}  // namespace hv
