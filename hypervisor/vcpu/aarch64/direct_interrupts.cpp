#include "hypervisor/vcpu/aarch64/direct_interrupts.hpp"

#include <arch/cpu.hpp>
#include <arch/sysreg.hpp>

#include "hypervisor/device/vgic_bits.hpp"
#include "hypervisor/vcpu/aarch64/physical_interrupts.hpp"
#include "hypervisor/vcpu/aarch64/system_register.hpp"
#include "hypervisor/vcpu/vcpu.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {

using namespace ax::arch;

namespace {

constexpr u32 kTrapCommon = 1 << 10;  // ICH_HCR_EL2.TC
constexpr u8 kIdlePriority = 0xff;

constexpr u32 kMaskRegister = system_register(3, 0, 4, 6, 0), kDeactivateRegister = system_register(3, 0, 12, 11, 1),
              kRunningRegister = system_register(3, 0, 12, 11, 3), kControlRegister = system_register(3, 0, 12, 12, 4);

/// Bits of a priority that the CPU interface has.
u8 implemented(u8 priority) {
  return static_cast<u8>(priority & 0xff << (8 - ICC_CTLR_EL1::priority_bits(ICC_CTLR_EL1::read())));
}

// Five bits of priority need one register, six two, seven and eight four.
void save_active(std::array<u64, 4>& active) {
  const unsigned bits = ICC_CTLR_EL1::priority_bits(ICC_CTLR_EL1::read());
  active[0] = ICC_AP1R0_EL1::read();
  if (bits > 5) active[1] = ICC_AP1R1_EL1::read();
  if (bits > 6) active[2] = ICC_AP1R2_EL1::read(), active[3] = ICC_AP1R3_EL1::read();
}

void restore_active(const std::array<u64, 4>& active) {
  const unsigned bits = ICC_CTLR_EL1::priority_bits(ICC_CTLR_EL1::read());
  ICC_AP1R0_EL1::write(active[0]);
  if (bits > 5) ICC_AP1R1_EL1::write(active[1]);
  if (bits > 6) ICC_AP1R2_EL1::write(active[2]), ICC_AP1R3_EL1::write(active[3]);
}

}  // namespace

DirectInterrupts::DirectInterrupts(Vm& vm, PhysicalInterrupts& host, Vgic& answers, u32 virtual_timer_id, u32 physical_timer_id)
    : vm_(vm), host_(host), virtual_timer_id_(virtual_timer_id),
      model_(answers, static_cast<GicHardware&>(*this), 1u << virtual_timer_id | 1u << physical_timer_id,
             1u << virtual_timer_id),
      redistributors_(model_, answers.config().vcpu_count) {}

void DirectInterrupts::load(Vcpu& vcpu) {
  Interface& state = interfaces_[vcpu.index];
  if (state.fresh) model_.reset_private(vcpu.index);
  else model_.restore_private(vcpu.index, state.interrupts);
  state.fresh = false;
  HCR_EL2::write(HCR_EL2::read() & ~(HCR_EL2::IMO | HCR_EL2::TWI));
  ICH_HCR_EL2::write(kTrapCommon);
  ICC_CTLR_EL1::write(state.control);
  ICC_PMR_EL1::write(DirectGic::hardware_priority(state.mask));
  ICC_BPR1_EL1::write(state.binary_point);
  restore_active(state.active);
  ICC_IGRPEN1_EL1::write(state.enable_group1);
  isb();
}

// Whatever the guest has left in service there would hold back the interrupts of the next one.
void DirectInterrupts::put(Vcpu& vcpu) {
  Interface& state = interfaces_[vcpu.index];
  state.enable_group1 = ICC_IGRPEN1_EL1::read();
  state.binary_point = ICC_BPR1_EL1::read();
  state.control = ICC_CTLR_EL1::read() & ICC_CTLR_EL1::EOIMODE;
  save_active(state.active);
  constexpr u64 kLowestPriority = 0xff;
  restore_active({});
  ICC_CTLR_EL1::write(ICC_CTLR_EL1::EOIMODE);
  ICC_PMR_EL1::write(kLowestPriority);
  ICC_BPR1_EL1::write(0);
  ICC_IGRPEN1_EL1::write(1);
  ICH_HCR_EL2::write(0);
  HCR_EL2::write(HCR_EL2::read() | HCR_EL2::IMO | HCR_EL2::TWI);
  isb();
  state.interrupts = model_.save_private(vcpu.index);
  host_.gic().enable(virtual_timer_id_);
}

void DirectInterrupts::reset(Vcpu& vcpu) { interfaces_[vcpu.index] = {}; }

void DirectInterrupts::waits(Vcpu& vcpu) {
  vcpu.vm.console_idle();
  HCR_EL2::write(HCR_EL2::read() & ~HCR_EL2::TWI);
}

void DirectInterrupts::expect_wait() { HCR_EL2::write(HCR_EL2::read() | HCR_EL2::TWI); }

// ---- the interface's shared registers -----------------------------------------------------------------------------------

bool DirectInterrupts::is_trapped(SystemRegisterAccess access) {
  const u32 encoding = access.encoding();
  return encoding == kMaskRegister || encoding == kControlRegister || (encoding == kRunningRegister && access.is_read()) ||
         (encoding == kDeactivateRegister && !access.is_read());
}

u64 DirectInterrupts::read(Vcpu& vcpu, SystemRegisterAccess access) {
  switch (access.encoding()) {
    case kMaskRegister: return DirectGic::guest_priority(implemented(DirectGic::hardware_priority(interfaces_[vcpu.index].mask)));
    case kRunningRegister: {
      const u8 running = static_cast<u8>(ICC_RPR_EL1::read());
      return running == kIdlePriority ? kIdlePriority : DirectGic::guest_priority(running);
    }
    default: return ICC_CTLR_EL1::read();
  }
}

void DirectInterrupts::write(Vcpu& vcpu, SystemRegisterAccess access, u64 value) {
  switch (access.encoding()) {
    case kMaskRegister:
      interfaces_[vcpu.index].mask = static_cast<u8>(value);
      ICC_PMR_EL1::write(DirectGic::hardware_priority(static_cast<u8>(value)));
      break;
    case kDeactivateRegister:
      // Of interrupts that are not its own it knows nothing.
      if (model_.owns(static_cast<u32>(value & 0xff'ffff)) && (ICC_CTLR_EL1::read() & ICC_CTLR_EL1::EOIMODE) != 0) ICC_DIR_EL1::write(value);
      break;
    default: ICC_CTLR_EL1::write(value & ICC_CTLR_EL1::EOIMODE);
  }
  isb();
}

// ---- the controller's registers -----------------------------------------------------------------------------------------

unsigned DirectInterrupts::frame_of(unsigned frame) const {
  return frame == kDistributor ? drivers::Gic::kDistributorFrame : unsigned{vm_.vcpu(frame)->cpu};
}
u32 DirectInterrupts::read(unsigned frame, u32 offset) { return host_.gic().read_register(frame_of(frame), offset); }
void DirectInterrupts::write(unsigned frame, u32 offset, u32 value) { host_.gic().write_register(frame_of(frame), offset, value); }
void DirectInterrupts::write_priority(unsigned frame, u32 intid, u8 priority) {
  host_.gic().write_priority(frame_of(frame), intid, priority);
}
void DirectInterrupts::configure(u32 intid, bool edge) {
  host_.configure(intid, edge ? drivers::Trigger::Edge : drivers::Trigger::Level);
}
void DirectInterrupts::route(u32 intid, unsigned vcpu) { host_.gic().route(intid, vm_.vcpu(vcpu)->cpu); }
void DirectInterrupts::send_sgi(u32 vcpus, u32 sgi) {
  for_each_bit(vcpus, [&](unsigned vcpu) { host_.gic().send_guest_sgi(vm_.vcpu(vcpu)->cpu, sgi); });
}

}  // namespace hv
