// What a trapped MSR, MRS or system instruction does: one table from register to handler. Registers without a row are
// undefined for a guest: PMU, SPE, trace, AMU, pointer authentication keys, LORegions, RAS, SVE, SME, MTE, EL2.
#pragma once

#include "hypervisor/device/vgic.hpp"
#include "hypervisor/vcpu/aarch64/exit_syndrome.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// The EL1 physical timer of one vCPU, emulated by the core. Arm ARM D12.2.
class PhysicalTimer {
 public:
  /// CNTP_CTL_EL0.ENABLE and .IMASK as last set; other bits are ignored.
  virtual u64 control() = 0;
  /// CNTP_CVAL_EL0, in the units of counter().
  virtual u64 compare() = 0;
  /// What the guest reads from CNTPCT_EL0.
  virtual u64 counter() = 0;
  /// Sets both and recomputes the interrupt line: asserted while ENABLE, not IMASK, and counter() >= `compare`.
  virtual void set(u64 control, u64 compare) = 0;

 protected:
  ~PhysicalTimer() = default;
};

/// Debug registers of one vCPU, stored and without effect: a guest does not debug itself by hardware. As after reset.
struct DebugRegisters {
  u32 mdscr_el1 = 0;
  bool os_locked = true;  ///< OSLSR_EL1.OSLK
  u8 claim_tags = 0;      ///< DBGCLAIMSET_EL1, DBGCLAIMCLR_EL1
};

/// What emulation asks of the core. The calls are made on the pCPU that runs the accessing vCPU, without a lock; those
/// that reach the vGIC take the VM's device lock.
class SystemRegisterHost {
 public:
  /// This processor's value of an ID register (see is_id_register()).
  virtual u64 read_host_id_register(u32 encoding) = 0;
  /// 2 or 3. The registers of the CPU interface are undefined for a guest with GICv2.
  virtual u8 gic_version() = 0;
  virtual void send_sgi(unsigned vcpu, SgiRegister which, u64 value) = 0;
  virtual void deactivate(unsigned vcpu, u32 intid) = 0;
  virtual PhysicalTimer& physical_timer(unsigned vcpu) = 0;
  virtual DebugRegisters& debug_registers(unsigned vcpu) = 0;

 protected:
  ~SystemRegisterHost() = default;
};

/// Who accesses, and whom to ask.
struct AccessContext {
  unsigned vcpu;
  SystemRegisterHost& host;
};

/// What the core does after an access. Undefined leaves the program counter to the injected exception, everything else
/// skips the instruction.
struct SystemRegisterOutcome {
  enum class Kind : u8 {
    Value,              ///< a read: write `value` to the register, unless it is XZR
    Done,               ///< a write took effect
    Undefined,          ///< inject_undefined()
    /// DC ISW, CSW or CISW: clean and invalidate the guest's RAM by address to the point of coherency. The guest loops
    /// over all sets and ways, and wants what it has written to be in memory, also from the caches of other CPUs. Only
    /// the first exit of such a loop needs the work, until the guest writes SCTLR_EL1 (HCR_EL2.TVM traps it).
    CleanInvalidateAll,
  };
  Kind kind = Kind::Undefined;
  u64 value = 0;
  friend constexpr bool operator==(const SystemRegisterOutcome&, const SystemRegisterOutcome&) = default;
};

/// Carries out a trapped access (EC 0x18). `value` is what a write stores, 0 if the register is XZR; ignored for reads.
SystemRegisterOutcome emulate_system_register(const AccessContext& context, SystemRegisterAccess access, u64 value);

}  // namespace hv
