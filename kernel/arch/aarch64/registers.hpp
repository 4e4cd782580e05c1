// The system registers that code at EL2 uses: one struct per register, with read()/write() and its bit fields.
// Names and positions are those of the Arm ARM (DDI 0487, chapter D19) and of the GIC specification (IHI 0069).
//
// Include <arch/sysreg.hpp>, which says what an access is: an instruction on the machine, a recorded event in unit tests.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

constexpr u64 bit(unsigned n) { return u64{1} << n; }
/// The `width` bits of `value` that start at bit `low`.
constexpr u64 bits(u64 value, unsigned low, unsigned width) { return (value >> low) & (bit(width) - 1); }

// ---- state of this CPU ------------------------------------------------------------------------------------------------

struct MPIDR_EL1 {
  AX_REGISTER_READ(mpidr_el1)
  static constexpr u64 kAffinity = 0xff'00ff'ffff;  ///< Aff3 in bits 39:32, Aff2..Aff0 in 23:0
};
struct PMCR_EL0 {
  AX_REGISTER_READ(pmcr_el0)
  static constexpr u64 counters(u64 pmcr) { return bits(pmcr, 11, 5); }
};
struct MIDR_EL1 { AX_REGISTER_READ(midr_el1) };
struct CURRENT_EL { AX_REGISTER_READ(currentel) };
struct DAIF {
  AX_REGISTER_ACCESS(daif)
  static constexpr u64 F = bit(6), I = bit(7), A = bit(8), D = bit(9);
};
struct TPIDR_EL2 { AX_REGISTER_ACCESS(tpidr_el2) };
struct VBAR_EL2 { AX_REGISTER_ACCESS(vbar_el2) };
struct SP_EL0 { AX_REGISTER_ACCESS(sp_el0) };
struct SP_EL1 { AX_REGISTER_ACCESS(sp_el1) };

struct CTR_EL0 {
  AX_REGISTER_READ(ctr_el0)
  static constexpr u64 IDC = bit(28);  ///< data cache clean to PoU is not needed for instruction coherence
  static constexpr u64 DIC = bit(29);  ///< instruction cache invalidation is not needed either
  /// Smallest line of all data caches, in bytes.
  static constexpr u64 data_line(u64 ctr) { return 4u << bits(ctr, 16, 4); }
  /// Smallest line of all instruction caches, in bytes.
  static constexpr u64 instruction_line(u64 ctr) { return 4u << bits(ctr, 0, 4); }
};
struct DCZID_EL0 {
  AX_REGISTER_READ(dczid_el0)
  static constexpr u64 DZP = bit(4);  ///< DC ZVA is prohibited
  static constexpr u64 block(u64 dczid) { return 4u << bits(dczid, 0, 4); }
};

// ---- identification ---------------------------------------------------------------------------------------------------

struct ID_AA64PFR0_EL1 {
  AX_REGISTER_READ(id_aa64pfr0_el1)
  static constexpr unsigned kGicShift = 24;  ///< 0: no system register interface to the GIC
  static constexpr unsigned kSveShift = 32;
  static constexpr u64 mpam(u64 pfr0) { return bits(pfr0, 40, 4); }
};
struct ID_AA64PFR1_EL1 { AX_REGISTER_READ(id_aa64pfr1_el1) };
struct ID_AA64DFR0_EL1 {
  AX_REGISTER_READ(id_aa64dfr0_el1)
  /// 0 and 15: no architected PMU.
  static constexpr u64 pmu_version(u64 dfr0) { return bits(dfr0, 8, 4); }
};
struct ID_AA64DFR1_EL1 { AX_REGISTER_READ(id_aa64dfr1_el1) };
struct ID_AA64ISAR0_EL1 { AX_REGISTER_READ(id_aa64isar0_el1) };
struct ID_AA64ISAR1_EL1 { AX_REGISTER_READ(id_aa64isar1_el1) };
struct ID_AA64MMFR0_EL1 {
  AX_REGISTER_READ(id_aa64mmfr0_el1)
  static constexpr u64 pa_range(u64 mmfr0) { return bits(mmfr0, 0, 4); }
  static constexpr u64 fine_grained_traps(u64 mmfr0) { return bits(mmfr0, 56, 4); }
  /// 2: CNTPOFF_EL2 exists.
  static constexpr u64 counter_virtualization(u64 mmfr0) { return bits(mmfr0, 60, 4); }
};
struct ID_AA64MMFR1_EL1 {
  AX_REGISTER_READ(id_aa64mmfr1_el1)
  /// 2: sixteen VMID bits.
  static constexpr u64 vmid_bits(u64 mmfr1) { return bits(mmfr1, 4, 4); }
  static constexpr u64 vhe(u64 mmfr1) { return bits(mmfr1, 8, 4); }
  static constexpr u64 hcrx(u64 mmfr1) { return bits(mmfr1, 40, 4); }
};
struct ID_AA64MMFR2_EL1 { AX_REGISTER_READ(id_aa64mmfr2_el1) };

// ---- EL2 translation and control --------------------------------------------------------------------------------------

struct SCTLR_EL2 {
  AX_REGISTER_ACCESS(sctlr_el2)
  static constexpr u64 M = bit(0), A = bit(1), C = bit(2), SA = bit(3), I = bit(12), WXN = bit(19);
};
struct TCR_EL2 { AX_REGISTER_ACCESS(tcr_el2) };
struct MAIR_EL2 { AX_REGISTER_ACCESS(mair_el2) };
struct TTBR0_EL2 { AX_REGISTER_ACCESS(ttbr0_el2) };

struct HCR_EL2 {
  AX_REGISTER_ACCESS(hcr_el2)
  static constexpr u64 VM = bit(0), SWIO = bit(1), PTW = bit(2), FMO = bit(3), IMO = bit(4), AMO = bit(5);
  static constexpr u64 VF = bit(6), VI = bit(7), VSE = bit(8), FB = bit(9);
  static constexpr u64 BSU_INNER = u64{1} << 10;
  static constexpr u64 DC = bit(12), TWI = bit(13), TWE = bit(14), TID0 = bit(15), TID1 = bit(16), TID2 = bit(17), TID3 = bit(18);
  static constexpr u64 TSC = bit(19), TIDCP = bit(20), TACR = bit(21), TSW = bit(22), TPCP = bit(23), TPU = bit(24);
  static constexpr u64 TTLB = bit(25), TVM = bit(26), TGE = bit(27), TDZ = bit(28), HCD = bit(29), TRVM = bit(30), RW = bit(31);
  static constexpr u64 E2H = bit(34), TLOR = bit(35), TERR = bit(36), APK = bit(40), API = bit(41);
};
struct HSTR_EL2 { AX_REGISTER_ACCESS(hstr_el2) };
struct CPTR_EL2 {
  AX_REGISTER_ACCESS(cptr_el2)
  /// With HCR_EL2.E2H = 0. TZ and TSM (SVE and SME traps) read as one where there is nothing to trap.
  static constexpr u64 RES1 = 0x22ff, TZ = bit(8), TFP = bit(10), TSM = bit(12), TTA = bit(20), TAM = bit(30), TCPAC = bit(31);
};
struct MDCR_EL2 {
  AX_REGISTER_ACCESS(mdcr_el2)
  static constexpr u64 TPMCR = bit(5), TPM = bit(6), HPME = bit(7), TDE = bit(8), TDA = bit(9), TDOSA = bit(10), TDRA = bit(11);
  static constexpr u64 TPMS = bit(14), TTRF = bit(19);
};
struct CNTHCTL_EL2 {
  AX_REGISTER_ACCESS(cnthctl_el2)
  static constexpr u64 EL1PCTEN = bit(0), EL1PCEN = bit(1);  ///< set: EL1/EL0 reach the physical counter / timer untrapped
};
struct CNTVOFF_EL2 { AX_REGISTER_ACCESS(cntvoff_el2) };
struct VTTBR_EL2 { AX_REGISTER_ACCESS(vttbr_el2) };
struct VTCR_EL2 {
  AX_REGISTER_ACCESS(vtcr_el2)
  static constexpr u64 RES1 = bit(31);
};
struct VPIDR_EL2 { AX_REGISTER_ACCESS(vpidr_el2) };
struct VMPIDR_EL2 { AX_REGISTER_ACCESS(vmpidr_el2) };

// Registers of optional features, by encoding: the base architecture's assembler does not know their names.
struct HCRX_EL2 { AX_REGISTER_ACCESS(s3_4_c1_c2_2) };
struct HFGRTR_EL2 { AX_REGISTER_ACCESS(s3_4_c1_c1_4) };
struct HFGWTR_EL2 { AX_REGISTER_ACCESS(s3_4_c1_c1_5) };
struct HFGITR_EL2 { AX_REGISTER_ACCESS(s3_4_c1_c1_6) };
struct HDFGRTR_EL2 { AX_REGISTER_ACCESS(s3_4_c3_c1_4) };
struct HDFGWTR_EL2 { AX_REGISTER_ACCESS(s3_4_c3_c1_5) };
struct CNTPOFF_EL2 { AX_REGISTER_ACCESS(s3_4_c14_c0_6) };
struct MPAM2_EL2 {
  AX_REGISTER_ACCESS(s3_4_c10_c5_0)
  static constexpr u64 TRAPMPAM1EL1 = bit(48), TRAPMPAM0EL1 = bit(49);
};

struct ESR_EL2 {
  AX_REGISTER_ACCESS(esr_el2)
  static constexpr u64 exception_class(u64 esr) { return bits(esr, 26, 6); }
};
struct ELR_EL2 { AX_REGISTER_ACCESS(elr_el2) };
struct SPSR_EL2 { AX_REGISTER_ACCESS(spsr_el2) };
struct FAR_EL2 { AX_REGISTER_ACCESS(far_el2) };
struct HPFAR_EL2 { AX_REGISTER_ACCESS(hpfar_el2) };

// ---- EL1 state of a guest ---------------------------------------------------------------------------------------------

struct SCTLR_EL1 { AX_REGISTER_ACCESS(sctlr_el1) };
struct ACTLR_EL1 { AX_REGISTER_ACCESS(actlr_el1) };
struct CPACR_EL1 { AX_REGISTER_ACCESS(cpacr_el1) };
struct TTBR0_EL1 { AX_REGISTER_ACCESS(ttbr0_el1) };
struct TTBR1_EL1 { AX_REGISTER_ACCESS(ttbr1_el1) };
struct TCR_EL1 { AX_REGISTER_ACCESS(tcr_el1) };
struct MAIR_EL1 { AX_REGISTER_ACCESS(mair_el1) };
struct AMAIR_EL1 { AX_REGISTER_ACCESS(amair_el1) };
struct AFSR0_EL1 { AX_REGISTER_ACCESS(afsr0_el1) };
struct AFSR1_EL1 { AX_REGISTER_ACCESS(afsr1_el1) };
struct ESR_EL1 {
  AX_REGISTER_ACCESS(esr_el1)
  static constexpr u64 exception_class(u64 esr) { return bits(esr, 26, 6); }
};
struct FAR_EL1 { AX_REGISTER_ACCESS(far_el1) };
struct PAR_EL1 { AX_REGISTER_ACCESS(par_el1) };
struct VBAR_EL1 { AX_REGISTER_ACCESS(vbar_el1) };
struct ELR_EL1 { AX_REGISTER_ACCESS(elr_el1) };
struct SPSR_EL1 { AX_REGISTER_ACCESS(spsr_el1) };
struct CONTEXTIDR_EL1 { AX_REGISTER_ACCESS(contextidr_el1) };
struct TPIDR_EL0 { AX_REGISTER_ACCESS(tpidr_el0) };
struct TPIDRRO_EL0 { AX_REGISTER_ACCESS(tpidrro_el0) };
struct TPIDR_EL1 { AX_REGISTER_ACCESS(tpidr_el1) };
struct CSSELR_EL1 { AX_REGISTER_ACCESS(csselr_el1) };
struct CNTKCTL_EL1 { AX_REGISTER_ACCESS(cntkctl_el1) };
struct MDSCR_EL1 { AX_REGISTER_ACCESS(mdscr_el1) };

// ---- generic timer ----------------------------------------------------------------------------------------------------

/// Bits shared by the CTL register of every timer.
struct TimerControl {
  static constexpr u64 ENABLE = bit(0), IMASK = bit(1), ISTATUS = bit(2);
};
struct CNTFRQ_EL0 { AX_REGISTER_READ(cntfrq_el0) };
struct CNTPCT_EL0 { AX_REGISTER_READ(cntpct_el0) };
struct CNTVCT_EL0 { AX_REGISTER_READ(cntvct_el0) };
struct CNTHP_CTL_EL2 : TimerControl { AX_REGISTER_ACCESS(cnthp_ctl_el2) };
struct CNTHP_CVAL_EL2 { AX_REGISTER_ACCESS(cnthp_cval_el2) };
struct CNTV_CTL_EL0 : TimerControl { AX_REGISTER_ACCESS(cntv_ctl_el0) };
struct CNTV_CVAL_EL0 { AX_REGISTER_ACCESS(cntv_cval_el0) };
struct CNTP_CTL_EL0 : TimerControl { AX_REGISTER_ACCESS(cntp_ctl_el0) };
struct CNTP_CVAL_EL0 { AX_REGISTER_ACCESS(cntp_cval_el0) };

// ---- GICv3 CPU interface ----------------------------------------------------------------------------------------------

struct ICC_SRE_EL2 {
  AX_REGISTER_ACCESS(icc_sre_el2)
  static constexpr u64 SRE = bit(0), DFB = bit(1), DIB = bit(2), ENABLE = bit(3);
};
struct ICC_SRE_EL1 { AX_REGISTER_ACCESS(icc_sre_el1) };
struct ICC_CTLR_EL1 {
  AX_REGISTER_ACCESS(icc_ctlr_el1)
  static constexpr u64 EOIMODE = bit(1);
  /// Implemented bits of a priority.
  static constexpr unsigned priority_bits(u64 value) { return static_cast<unsigned>(bits(value, 8, 3)) + 1; }
};
struct ICC_PMR_EL1 { AX_REGISTER_ACCESS(icc_pmr_el1) };
struct ICC_BPR1_EL1 { AX_REGISTER_ACCESS(icc_bpr1_el1) };
struct ICC_IGRPEN1_EL1 { AX_REGISTER_ACCESS(icc_igrpen1_el1) };
struct ICC_IAR1_EL1 { AX_REGISTER_READ(icc_iar1_el1) };
struct ICC_EOIR1_EL1 { AX_REGISTER_ACCESS(icc_eoir1_el1) };
struct ICC_DIR_EL1 { AX_REGISTER_ACCESS(icc_dir_el1) };
struct ICC_SGI1R_EL1 { AX_REGISTER_ACCESS(icc_sgi1r_el1) };
struct ICC_RPR_EL1 { AX_REGISTER_READ(icc_rpr_el1) };
struct ICC_AP1R0_EL1 { AX_REGISTER_ACCESS(icc_ap1r0_el1) };
struct ICC_AP1R1_EL1 { AX_REGISTER_ACCESS(icc_ap1r1_el1) };
struct ICC_AP1R2_EL1 { AX_REGISTER_ACCESS(icc_ap1r2_el1) };
struct ICC_AP1R3_EL1 { AX_REGISTER_ACCESS(icc_ap1r3_el1) };
struct ICC_IAR0_EL1 { AX_REGISTER_READ(icc_iar0_el1) };
struct ICC_EOIR0_EL1 { AX_REGISTER_ACCESS(icc_eoir0_el1) };
struct ICC_BPR0_EL1 { AX_REGISTER_ACCESS(icc_bpr0_el1) };
struct ICC_IGRPEN0_EL1 { AX_REGISTER_ACCESS(icc_igrpen0_el1) };
struct ICC_SGI0R_EL1 { AX_REGISTER_ACCESS(icc_sgi0r_el1) };

// ---- GICv3 virtual interface ------------------------------------------------------------------------------------------

struct ICH_HCR_EL2 { AX_REGISTER_ACCESS(ich_hcr_el2) };
struct ICH_VTR_EL2 { AX_REGISTER_READ(ich_vtr_el2) };
struct ICH_VMCR_EL2 { AX_REGISTER_ACCESS(ich_vmcr_el2) };
struct ICH_MISR_EL2 { AX_REGISTER_READ(ich_misr_el2) };
struct ICH_EISR_EL2 { AX_REGISTER_READ(ich_eisr_el2) };
struct ICH_ELRSR_EL2 { AX_REGISTER_READ(ich_elrsr_el2) };

}  // namespace ax::arch
