#include "hypervisor/vcpu/vcpu.hpp"

#include <arch/cpu.hpp>

#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vcpu/aarch64/exits.hpp"
#include "hypervisor/vcpu/aarch64/hardware_state.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {
namespace {

constexpr u64 kPstateEl1hMasked = 0x3c5;  // EL1h, D A I F masked (Arm ARM D1.6.4: the state at reset)
constexpr u64 kSctlrEl1Reset = 0x30d0'0800;  // RES1 bits; MMU and caches off

constexpr u32 bit_of(VcpuRequest r) { return static_cast<u32>(r); }

}  // namespace

Vcpu::Vcpu(Vm& owner, unsigned vcpu_index, unsigned cpu_index, u64 guest_mpidr)
    : Task(Kind::Vcpu, cpu_index), vm(owner), index(vcpu_index), mpidr(guest_mpidr) {}

void Vcpu::request(VcpuRequest what) {
  requests_.fetch_or(bit_of(what), std::memory_order_release);
  Cpu::current().notify(*this);
}

bool Vcpu::start(Gpa entry, u64 context) {
  VcpuPower expected = VcpuPower::Off;
  if (!power_.compare_exchange_strong(expected, VcpuPower::OnPending, std::memory_order_acq_rel)) return false;
  start_entry_ = entry;
  start_context_ = context;
  request(VcpuRequest::Start);
  return true;
}

void Vcpu::reset(Gpa entry, u64 context) {
  registers = {};
  registers.x[0] = context;
  registers.pc = entry.value();
  registers.pstate = kPstateEl1hMasked;
  system_ = {};
  system_.sctlr_el1 = kSctlrEl1Reset;
  fp_ = {};
  debug = {};
}

void Vcpu::run(Cpu& cpu) {
  for (;;) {
    if (requests_.load(std::memory_order_relaxed) != 0 && !serve_requests(cpu)) return;
    if (power() != VcpuPower::On) {
      state = State::Blocked;
      return;
    }
    if (cpu.loaded != this) load(cpu);

    vm.interrupts().flush(*this);
    const ExitVector vector = ax_enter_guest(&registers);
    cpu.exits.fetch_add(1, std::memory_order_relaxed);
    handle_exit(cpu, *this, vector);

    if (state != State::Running) return;
    if (cpu.reschedule) {
      state = State::Ready;
      return;
    }
  }
}

bool Vcpu::serve_requests(Cpu& cpu) {
  const u32 asked = requests_.exchange(0, std::memory_order_acquire);
  if ((asked & bit_of(VcpuRequest::Stop)) != 0) {
    if (cpu.loaded == this) put(cpu);
    cpu.cancel(virtual_timer_wake_);
    cpu.cancel(physical_timer_);
    power_.store(VcpuPower::Off, std::memory_order_release);
    state = State::Blocked;
    vm.vcpu_stopped(*this);
    return false;
  }
  if ((asked & bit_of(VcpuRequest::Start)) != 0) {
    // Whatever of it is in the registers belongs to its life before it was turned off.
    if (cpu.loaded == this) put(cpu);
    cpu.cancel(virtual_timer_wake_);
    cpu.cancel(physical_timer_);
    physical_timer_.control = 0;
    reset(start_entry_, start_context_);
    power_.store(VcpuPower::On, std::memory_order_release);
  }
  return true;
}

void Vcpu::power_off() {
  power_.store(VcpuPower::Off, std::memory_order_release);
  state = State::Blocked;
}

void Vcpu::wait() {
  if (requests_.load(std::memory_order_acquire) != 0 || vm.interrupts().has_deliverable(*this)) return;
  state = State::Blocked;
  vm.console_idle();
}

void Vcpu::load(Cpu& cpu) {
  if (cpu.loaded != nullptr) cpu.loaded->put(cpu);
  cpu.loaded = this;
  cpu.cancel(virtual_timer_wake_);
  vm.load_translation();
  load_system_registers(system_, mpidr, vm.time_offset());
  ax_restore_fp(&fp_);
  vm.interrupts().load(*this);
}

void Vcpu::put(Cpu& cpu) {
  vm.interrupts().put(*this);
  ax_save_fp(&fp_);
  save_system_registers(system_);
  cpu.loaded = nullptr;
  // Its timer runs on without the hardware: somebody has to wake it when it is due.
  if (timer_can_fire(system_.cntv_ctl_el0)) cpu.arm(virtual_timer_wake_, system_.cntv_cval_el0 + vm.time_offset());
}

void Vcpu::wake_for_timer(Deadline& deadline) {
  Vcpu& vcpu = static_cast<Timer&>(deadline).vcpu;
  // Once it is loaded the hardware timer raises its interrupt by itself.
  Cpu::current().notify(vcpu);
}

void Vcpu::virtual_timer_fired() {
  vm.interrupts().hardware_interrupt(*this, vm.interrupts().virtual_timer_id());
  Cpu::current().notify(*this);
}

void Vcpu::set_physical_timer(u64 control, u64 compare_value) {
  Cpu& cpu = Cpu::current();
  physical_timer_.control = control;
  physical_timer_.compare = compare_value;
  const bool enabled = timer_can_fire(control);
  const bool due = enabled && compare_value <= cpu.now();
  vm.interrupts().set_physical_timer_line(*this, due);
  if (enabled && !due) {
    cpu.arm(physical_timer_, compare_value);
  } else {
    cpu.cancel(physical_timer_);
  }
}

u64 Vcpu::physical_timer_control() const {
  using arch::TimerControl;
  const bool due = (physical_timer_.control & TimerControl::ENABLE) != 0 && physical_timer_.compare <= Cpu::current().now();
  return physical_timer_.control | (due ? TimerControl::ISTATUS : 0);
}

void Vcpu::physical_timer_due(Deadline& deadline) {
  Vcpu& vcpu = static_cast<Timer&>(deadline).vcpu;
  vcpu.vm.interrupts().set_physical_timer_line(vcpu, true);
  Cpu::current().notify(vcpu);
}

}  // namespace hv
