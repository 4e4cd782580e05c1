#include "hypervisor/vcpu/aarch64/guest_system_registers.hpp"

#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vcpu/aarch64/host_id_registers.hpp"
#include "hypervisor/vcpu/aarch64/sysreg_emulation.hpp"
#include "hypervisor/vcpu/vcpu.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {
namespace {

/// For the time of one access by `vcpu`, on its CPU.
class Host final : public SystemRegisterHost, private PhysicalTimer {
 public:
  explicit Host(Vcpu& vcpu) : vcpu_(vcpu) {}

  u64 read_host_id_register(u32 encoding) override { return host_id_register(encoding); }
  u8 gic_version() override { return vcpu_.vm.arch.gic_version(); }
  void send_sgi(unsigned, SgiRegister which, u64 value) override { vcpu_.vm.arch.interrupts().send_sgi(vcpu_, which, value); }
  void deactivate(unsigned, u32 intid) override { vcpu_.vm.arch.interrupts().deactivate(vcpu_, intid); }
  PhysicalTimer& physical_timer(unsigned) override { return *this; }
  DebugRegisters& debug_registers(unsigned) override { return vcpu_.arch.debug; }

 private:
  u64 control() override { return vcpu_.arch.physical_timer_control(); }
  u64 compare() override { return vcpu_.arch.physical_timer_compare(); }
  u64 counter() override { return vcpu_.vm.now(); }
  void set(u64 timer_control, u64 timer_compare) override { vcpu_.arch.set_physical_timer(timer_control, timer_compare); }

  Vcpu& vcpu_;
};

}  // namespace

bool access_system_register(Vcpu& vcpu, SystemRegisterAccess access) {
  const unsigned target = access.register_index();
  DirectInterrupts* direct = vcpu.vm.arch.interrupts().direct();
  if (direct != nullptr && DirectInterrupts::is_trapped(access)) {
    if (access.is_read()) vcpu.arch.registers.write(target, direct->read(vcpu, access));
    else direct->write(vcpu, access, vcpu.arch.registers.read(target));
    return true;
  }
  Host host(vcpu);
  const u64 stored = access.is_read() ? 0 : vcpu.arch.registers.read(target);
  const SystemRegisterOutcome outcome = emulate_system_register({vcpu.index, host}, access, stored);
  using Kind = SystemRegisterOutcome::Kind;
  switch (outcome.kind) {
    case Kind::Value: vcpu.arch.registers.write(target, outcome.value); return true;
    case Kind::Done: return true;
    // Guest memory is cleaned when the host has written it, and its own CPUs' caches are coherent: what a guest may expect
    // of maintenance by set and way - that nothing older than its own last write turns up - holds already.
    case Kind::CleanInvalidateAll: return true;
    case Kind::Undefined: return false;
  }
  return false;
}

}  // namespace hv
