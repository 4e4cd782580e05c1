#include "platforms/aarch64-dyn/el2_state.hpp"

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

}  // namespace

void reset_el2_state() {
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
  isb();
}

}  // namespace ax::platform
