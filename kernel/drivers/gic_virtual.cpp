#include "kernel/drivers/gic_virtual.hpp"

namespace ax::drivers {
namespace {

using arch::mmio_read32;
using arch::mmio_write32;

// GICH registers (IHI 0048 5.3), all 32 bits.
constexpr u64 GICH_HCR = 0x000;
constexpr u64 GICH_VTR = 0x004;
constexpr u64 GICH_VMCR = 0x008;
constexpr u64 GICH_MISR = 0x010;
constexpr u64 GICH_EISR0 = 0x020;
constexpr u64 GICH_APR = 0x0f0;
constexpr u64 GICH_LR0 = 0x100;

// GICC_IIDR (IHI 0048 4.4.14). No product of Arm's has the number 0, but QEMU's.
constexpr u64 GICC_IIDR = 0x0fc;
constexpr unsigned kProductShift = 20;
constexpr u32 kImplementer = 0xfff, kArm = 0x43b;

bool is_emulated_by_qemu(const GicInfo& info) {
  const u32 id = mmio_read32(GicInfo::registers_of(info.cpu_interface) + GICC_IIDR);
  return id >> kProductShift == 0 && (id & kImplementer) == kArm;
}

/// GICH_VTR and ICH_VTR_EL2 (IHI 0069 12.4.10): shared fields.
struct VirtualType {
  u32 value;
  unsigned list_registers() const { return std::min<unsigned>((value & 0x1f) + 1, kMaxListRegisters); }
  unsigned preemption_bits() const { return (value >> 26 & 0x7) + 1; }
  unsigned priority_bits() const { return (value >> 29) + 1; }
  bool traps_deactivate() const { return (value >> 19 & 1) != 0; }
};

/// A system register's number is part of the instruction, so an index has to become one of sixteen instructions.
template <unsigned I>
struct ListRegisterAccess;
template <unsigned I>
struct ActivePriorityAccess;

#define AX_LIST_REGISTER(n) \
  template <>               \
  struct ListRegisterAccess<n> { AX_REGISTER_ACCESS(ich_lr##n##_el2) };
AX_LIST_REGISTER(0) AX_LIST_REGISTER(1) AX_LIST_REGISTER(2) AX_LIST_REGISTER(3)
AX_LIST_REGISTER(4) AX_LIST_REGISTER(5) AX_LIST_REGISTER(6) AX_LIST_REGISTER(7)
AX_LIST_REGISTER(8) AX_LIST_REGISTER(9) AX_LIST_REGISTER(10) AX_LIST_REGISTER(11)
AX_LIST_REGISTER(12) AX_LIST_REGISTER(13) AX_LIST_REGISTER(14) AX_LIST_REGISTER(15)
#undef AX_LIST_REGISTER

#define AX_ACTIVE_PRIORITY(n)                                          \
  template <>                                                          \
  struct ActivePriorityAccess<n> {                                     \
    struct Group0 { AX_REGISTER_ACCESS(ich_ap0r##n##_el2) };           \
    struct Group1 { AX_REGISTER_ACCESS(ich_ap1r##n##_el2) };           \
  };
AX_ACTIVE_PRIORITY(0) AX_ACTIVE_PRIORITY(1) AX_ACTIVE_PRIORITY(2) AX_ACTIVE_PRIORITY(3)
#undef AX_ACTIVE_PRIORITY

/// Calls f.operator()<i>() for the run-time index `i` below N.
template <unsigned N, class F>
inline void with_index(unsigned i, F f) {
  [&]<unsigned... I>(std::integer_sequence<unsigned, I...>) {
    (void)((i == I ? (f.template operator()<I>(), true) : false) || ...);
  }(std::make_integer_sequence<unsigned, N>{});
}

}  // namespace

void GicVirtualInterface::attach(const GicInfo& info) {
  v3_ = info.version >= 3;
  base_ = info.hypervisor_interface.base.value();
  const VirtualType type{v3_ ? static_cast<u32>(arch::ICH_VTR_EL2::read()) : mmio_read32(base_ + GICH_VTR)};
  count_ = static_cast<u8>(type.list_registers());
  priority_bits_ = static_cast<u8>(v3_ ? type.priority_bits() : 5);
  can_trap_deactivate_ = v3_ && type.traps_deactivate();
  can_end_by_hardware_ = v3_ || !is_emulated_by_qemu(info);
  // Each register holds 32 priorities: 5 preemption bits need one, 6 need two, 7 need four.
  active_priority_registers_ = static_cast<u8>(v3_ ? 1u << (type.preemption_bits() - 5) : 1u);
}

ListRegister GicVirtualInterface::read(unsigned i) const {
  if (!v3_) return ListRegister::from_gich(mmio_read32(base_ + GICH_LR0 + i * 4));
  u64 value = 0;
  with_index<kMaxListRegisters>(i, [&]<unsigned I>() { value = ListRegisterAccess<I>::read(); });
  return ListRegister::from_ich(value);
}

void GicVirtualInterface::write(unsigned i, ListRegister value) const {
  if (!v3_) return mmio_write32(base_ + GICH_LR0 + i * 4, value.to_gich());
  with_index<kMaxListRegisters>(i, [&]<unsigned I>() { ListRegisterAccess<I>::write(value.to_ich()); });
}

u32 GicVirtualInterface::control() const {
  return v3_ ? static_cast<u32>(arch::ICH_HCR_EL2::read()) : mmio_read32(base_ + GICH_HCR);
}

void GicVirtualInterface::set_control(u32 value) const {
  v3_ ? arch::ICH_HCR_EL2::write(value) : mmio_write32(base_ + GICH_HCR, value);
}

void GicVirtualInterface::save(VirtualInterfaceState& state) const {
  if (!v3_) {
    state.vmcr = mmio_read32(base_ + GICH_VMCR);
    state.apr0[0] = mmio_read32(base_ + GICH_APR);
    return;
  }
  state.vmcr = static_cast<u32>(arch::ICH_VMCR_EL2::read());
  for (unsigned i = 0; i < active_priority_registers_; ++i) {
    with_index<4>(i, [&]<unsigned I>() {
      state.apr0[I] = static_cast<u32>(ActivePriorityAccess<I>::Group0::read());
      state.apr1[I] = static_cast<u32>(ActivePriorityAccess<I>::Group1::read());
    });
  }
}

void GicVirtualInterface::restore(const VirtualInterfaceState& state) const {
  if (!v3_) {
    mmio_write32(base_ + GICH_VMCR, state.vmcr);
    mmio_write32(base_ + GICH_APR, state.apr0[0]);
    return;
  }
  arch::ICH_VMCR_EL2::write(state.vmcr);
  for (unsigned i = 0; i < active_priority_registers_; ++i) {
    with_index<4>(i, [&]<unsigned I>() {
      ActivePriorityAccess<I>::Group0::write(state.apr0[I]);
      ActivePriorityAccess<I>::Group1::write(state.apr1[I]);
    });
  }
}

u32 GicVirtualInterface::ended() const {
  return v3_ ? static_cast<u32>(arch::ICH_EISR_EL2::read()) : mmio_read32(base_ + GICH_EISR0);
}
u32 GicVirtualInterface::maintenance_status() const {
  return v3_ ? static_cast<u32>(arch::ICH_MISR_EL2::read()) : mmio_read32(base_ + GICH_MISR);
}

}  // namespace ax::drivers
