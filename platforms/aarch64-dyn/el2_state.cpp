#include "platforms/aarch64-dyn/level_state.hpp"

#include <arch/cpu.hpp>

namespace ax::platform {
namespace {

using namespace arch;

/// HPMN: as many event counters for EL1 as there are, which is what the register resets to.
u64 event_counters() {
  const u64 version = ID_AA64DFR0_EL1::pmu_version(ID_AA64DFR0_EL1::read());
  const bool present = version != 0 && version != 0xf;
  return present ? PMCR_EL0::counters(PMCR_EL0::read()) : 0;
}

/// What exists only with certain features, and is UNKNOWN after a reset where it does.
void reset_optional_state() {
  const u64 mmfr0 = ID_AA64MMFR0_EL1::read(), mmfr1 = ID_AA64MMFR1_EL1::read();
  if (ID_AA64MMFR1_EL1::hcrx(mmfr1) != 0) HCRX_EL2::write(0);
  if (ID_AA64MMFR0_EL1::fine_grained_traps(mmfr0) != 0) {
    HFGRTR_EL2::write(0);
    HFGWTR_EL2::write(0);
    HFGITR_EL2::write(0);
    HDFGRTR_EL2::write(0);
    HDFGWTR_EL2::write(0);
  }
  if (ID_AA64MMFR0_EL1::counter_virtualization(mmfr0) >= 2) CNTPOFF_EL2::write(0);
  if (ID_AA64PFR0_EL1::mpam(ID_AA64PFR0_EL1::read()) != 0) {
    MPAM2_EL2::write(MPAM2_EL2::TRAPMPAM0EL1 | MPAM2_EL2::TRAPMPAM1EL1);
  }
}

}  // namespace

void reset_level_state() {
  // HCR_EL2 and SCTLR_EL2 are boot.S's.
  HSTR_EL2::write(0);
  CPTR_EL2::write(CPTR_EL2::RES1 | CPTR_EL2::TZ | CPTR_EL2::TFP | CPTR_EL2::TSM | CPTR_EL2::TTA);
  MDCR_EL2::write(event_counters() | MDCR_EL2::TPM | MDCR_EL2::TPMCR | MDCR_EL2::TDA | MDCR_EL2::TDOSA | MDCR_EL2::TDRA |
                  MDCR_EL2::TPMS | MDCR_EL2::TTRF);
  CNTHCTL_EL2::write(0);
  CNTVOFF_EL2::write(0);
  CNTHP_CTL_EL2::write(0);
  CNTV_CTL_EL0::write(0);
  CNTP_CTL_EL0::write(0);
  VTTBR_EL2::write(0);
  VTCR_EL2::write(VTCR_EL2::RES1);
  VPIDR_EL2::write(MIDR_EL1::read());
  VMPIDR_EL2::write(MPIDR_EL1::read());
  reset_optional_state();
  isb();
}

}  // namespace ax::platform
