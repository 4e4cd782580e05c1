// The hardware that presents interrupts to a guest: list registers and their control, GICv3 (ICH_*_EL2) or GICv2 (GICH).
#pragma once

#include <arch/mmio.hpp>
#include <arch/sysreg.hpp>

#include "kernel/base/types.hpp"
#include "kernel/drivers/gic_list_register.hpp"
#include "platforms/machine_info.hpp"

namespace ax::drivers {

/// What of a vCPU lives in the virtual interface, besides its list registers, while it runs.
struct VirtualInterfaceState {
  u32 vmcr = 0;                 ///< guest's view of its CPU interface; v2 and v3 have the fields at the same places
  std::array<u32, 4> apr0{};    ///< active priorities, Group 0 (v2: both groups in apr0[0])
  std::array<u32, 4> apr1{};    ///< active priorities, Group 1; v3 only
};

/// Access to the virtual interface of the calling CPU. All functions: interrupts masked, EL2.
class GicVirtualInterface {
 public:
  constexpr GicVirtualInterface() = default;

  /// `info` as given to Gic::attach(); the registers are mapped, and on a v3 this CPU has done Gic::init_cpu().
  void attach(const GicInfo& info);

  unsigned list_register_count() const { return count_; }
  /// Implemented bits of a virtual interrupt's priority, from the top.
  unsigned priority_bits() const { return priority_bits_; }
  /// GICv3: ICH_HCR_EL2.TDIR works.
  bool can_trap_deactivate() const { return can_trap_deactivate_; }
  /// The end of an interrupt with HW = 1 is noticed if its line is high again. It is not in QEMU's GICv2, which signals the
  /// interrupt no more until another register of its physical side is written (docs/machines.md).
  bool can_end_by_hardware() const { return can_end_by_hardware_; }

  ListRegister read(unsigned i) const;
  void write(unsigned i, ListRegister value) const;

  /// Virtual control register: see virtual_control. The same bits on both versions.
  u32 control() const;
  void set_control(u32 value) const;

  void save(VirtualInterfaceState& state) const;
  void restore(const VirtualInterfaceState& state) const;

  /// One bit per list register: it holds no interrupt.
  u32 empty() const {
    return v3_ ? static_cast<u32>(arch::ICH_ELRSR_EL2::read()) : arch::mmio_read32(base_ + kEmptyOffset);
  }
  /// One bit per list register: its interrupt was deactivated and it asked for maintenance.
  u32 ended() const;
  /// Why the maintenance interrupt is raised: the enables of the virtual control register, one place lower.
  u32 maintenance_status() const;

 private:
  static constexpr u64 kEmptyOffset = 0x30;  ///< GICH_ELRSR0

  bool v3_ = false;
  bool can_trap_deactivate_ = false;
  bool can_end_by_hardware_ = true;
  u8 count_ = 0;
  u8 priority_bits_ = 0;
  u8 active_priority_registers_ = 1;
  u64 base_ = 0;  ///< v2: GICH
};

}  // namespace ax::drivers
