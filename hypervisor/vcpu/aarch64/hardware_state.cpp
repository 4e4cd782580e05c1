#include "hypervisor/vcpu/aarch64/hardware_state.hpp"

namespace hv {

using namespace ax::arch;

namespace {

constexpr u64 kMpidrRes1 = bit(31);

// Guests run with: stage 2; physical interrupts and aborts to EL2; WFI, SMC, ID registers of group 3, implementation-defined
// and auxiliary registers, and cache maintenance by set/way trapped; barriers widened to the inner-shareable domain and local
// TLB maintenance broadcast, because a vCPU may continue on another CPU.
constexpr u64 kHcr = HCR_EL2::VM | HCR_EL2::SWIO | HCR_EL2::FMO | HCR_EL2::IMO | HCR_EL2::AMO | HCR_EL2::FB | HCR_EL2::BSU_INNER |
                     HCR_EL2::TWI | HCR_EL2::TID3 | HCR_EL2::TSC | HCR_EL2::TIDCP | HCR_EL2::TACR | HCR_EL2::TSW | HCR_EL2::TLOR | HCR_EL2::RW;

// The PMU and the debug registers are hidden, so every access traps.
constexpr u64 kMdcr = MDCR_EL2::TPMCR | MDCR_EL2::TPM | MDCR_EL2::TDA | MDCR_EL2::TDOSA | MDCR_EL2::TDRA | MDCR_EL2::TPMS | MDCR_EL2::TTRF;

}  // namespace

void init_guest_execution() {
  HCR_EL2::write(kHcr);
  MDCR_EL2::write(kMdcr);
  HSTR_EL2::write(0);
  // SVE, SME and trace accesses trap; FP/SIMD does not: it is switched with the vCPU.
  CPTR_EL2::write(CPTR_EL2::RES1 | CPTR_EL2::TTA);
  // Physical counter and timer are emulated: the VM's time starts at 0 and stands still while it is paused, which only the virtual
  // counter has an offset for on every CPU.
  CNTHCTL_EL2::write(0);
  VPIDR_EL2::write(MIDR_EL1::read());
  isb();
}

void load_system_registers(const GuestSystemRegisters& s, u64 mpidr, u64 time_offset) {
  VMPIDR_EL2::write(mpidr | kMpidrRes1);
  CNTVOFF_EL2::write(time_offset);
  SP_EL0::write(s.sp_el0);
  SP_EL1::write(s.sp_el1);
  ELR_EL1::write(s.elr_el1);
  SPSR_EL1::write(s.spsr_el1);
  SCTLR_EL1::write(s.sctlr_el1);
  CPACR_EL1::write(s.cpacr_el1);
  TTBR0_EL1::write(s.ttbr0_el1);
  TTBR1_EL1::write(s.ttbr1_el1);
  TCR_EL1::write(s.tcr_el1);
  MAIR_EL1::write(s.mair_el1);
  AMAIR_EL1::write(s.amair_el1);
  CONTEXTIDR_EL1::write(s.contextidr_el1);
  ESR_EL1::write(s.esr_el1);
  FAR_EL1::write(s.far_el1);
  AFSR0_EL1::write(s.afsr0_el1);
  AFSR1_EL1::write(s.afsr1_el1);
  PAR_EL1::write(s.par_el1);
  VBAR_EL1::write(s.vbar_el1);
  TPIDR_EL0::write(s.tpidr_el0);
  TPIDRRO_EL0::write(s.tpidrro_el0);
  TPIDR_EL1::write(s.tpidr_el1);
  CSSELR_EL1::write(s.csselr_el1);
  MDSCR_EL1::write(s.mdscr_el1);
  CNTKCTL_EL1::write(s.cntkctl_el1);
  CNTV_CVAL_EL0::write(s.cntv_cval_el0);
  CNTV_CTL_EL0::write(s.cntv_ctl_el0);
  isb();
}

void save_system_registers(GuestSystemRegisters& s) {
  s.cntv_ctl_el0 = CNTV_CTL_EL0::read();
  s.cntv_cval_el0 = CNTV_CVAL_EL0::read();
  CNTV_CTL_EL0::write(0);
  s.sp_el0 = SP_EL0::read();
  s.sp_el1 = SP_EL1::read();
  s.elr_el1 = ELR_EL1::read();
  s.spsr_el1 = SPSR_EL1::read();
  s.sctlr_el1 = SCTLR_EL1::read();
  s.cpacr_el1 = CPACR_EL1::read();
  s.ttbr0_el1 = TTBR0_EL1::read();
  s.ttbr1_el1 = TTBR1_EL1::read();
  s.tcr_el1 = TCR_EL1::read();
  s.mair_el1 = MAIR_EL1::read();
  s.amair_el1 = AMAIR_EL1::read();
  s.contextidr_el1 = CONTEXTIDR_EL1::read();
  s.esr_el1 = ESR_EL1::read();
  s.far_el1 = FAR_EL1::read();
  s.afsr0_el1 = AFSR0_EL1::read();
  s.afsr1_el1 = AFSR1_EL1::read();
  s.par_el1 = PAR_EL1::read();
  s.vbar_el1 = VBAR_EL1::read();
  s.tpidr_el0 = TPIDR_EL0::read();
  s.tpidrro_el0 = TPIDRRO_EL0::read();
  s.tpidr_el1 = TPIDR_EL1::read();
  s.csselr_el1 = CSSELR_EL1::read();
  s.mdscr_el1 = MDSCR_EL1::read();
  s.cntkctl_el1 = CNTKCTL_EL1::read();
  isb();
}

}  // namespace hv
