#include "hypervisor/vcpu/vcpu.hpp"

#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {
namespace {

constexpr u32 bit_of(VcpuRequest r) { return static_cast<u32>(r); }

}  // namespace

Vcpu::Vcpu(Vm& owner, unsigned vcpu_index, unsigned cpu_index, const Scheduling& how, u64 id)
    : Task(Kind::Vcpu, cpu_index, how), vm(owner), index(vcpu_index), guest_id(id), arch(*this, owner.arch) {}

void Vcpu::request(u32 bits) {
  requests_.fetch_or(bits, std::memory_order_release);
  Cpu::current().notify(*this);
}

bool Vcpu::start(const StartState& start) {
  VcpuPower expected = VcpuPower::Off;
  if (!power_.compare_exchange_strong(expected, VcpuPower::OnPending, std::memory_order_acq_rel)) return false;
  start_state_ = start;
  request(VcpuRequest::Start);
  return true;
}

void Vcpu::run(Cpu& cpu) {
  for (;;) {
    if (requests_.load(std::memory_order_relaxed) != 0 && !serve_requests(cpu)) return;
    if (power() != VcpuPower::On || paused_) {
      state = State::Blocked;
      return;
    }
    if (cpu.loaded != this) load(cpu);
    if (waited != reported_wait_) {
      reported_wait_ = waited;
      arch.report_wait(waited);
    }
    // Also what came up while it was made ready: the guest may not leave by itself for long.
    if (cpu.reschedule) {
      state = State::Ready;
      return;
    }
    arch.run_guest(cpu);
    if (state != State::Running) return;
  }
}

bool Vcpu::serve_requests(Cpu& cpu) {
  const u32 asked = requests_.exchange(0, std::memory_order_acquire);
  if ((asked & (bit_of(VcpuRequest::Stop) | bit_of(VcpuRequest::Start))) != 0) {
    // Whatever of it is in the registers belongs to its life before.
    if (cpu.loaded == this) put(cpu);
    arch.cancel_timers();
  }
  if ((asked & bit_of(VcpuRequest::Stop)) != 0) {
    power_.store(VcpuPower::Off, std::memory_order_release);
    state = State::Blocked;
    vm.vcpu_stopped(*this);
    return false;
  }
  if ((asked & bit_of(VcpuRequest::Start)) != 0) {
    arch.reset(start_state_);
    power_.store(VcpuPower::On, std::memory_order_release);
  }
  if ((asked & (bit_of(VcpuRequest::Pause) | bit_of(VcpuRequest::Resume))) != 0)
    set_paused(cpu, (asked & bit_of(VcpuRequest::Pause)) != 0);
  arch.serve(asked);
  return true;
}

void Vcpu::set_paused(Cpu& cpu, bool paused) {
  if (cpu.loaded == this) put(cpu);
  paused_ = paused;
  if (!paused) return arch.resume_time();
  arch.suspend_timers();
  vm.vcpu_paused();
}

void Vcpu::power_off() {
  power_.store(VcpuPower::Off, std::memory_order_release);
  request(VcpuRequest::Interrupt);
}

void Vcpu::wait() {
  if (requests_.load(std::memory_order_acquire) != 0 || arch.has_deliverable()) return;
  state = State::Blocked;
  vm.console_idle();
}

void Vcpu::load(Cpu& cpu) {
  if (cpu.loaded != nullptr) cpu.loaded->put(cpu);
  cpu.loaded = this;
  arch.load(cpu.index);
}

void Vcpu::put(Cpu& cpu) {
  arch.put();
  cpu.loaded = nullptr;
}

}  // namespace hv
