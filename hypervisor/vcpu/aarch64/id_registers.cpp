#include "hypervisor/vcpu/aarch64/id_registers.hpp"

#include <algorithm>
#include <span>

#include "hypervisor/vcpu/aarch64/exit_syndrome.hpp"

namespace hv {
namespace {

/// A field is hidden (zero) if no rule names it.
enum class Policy : u8 {
  Pass,       ///< nothing to trap or switch, or the core switches it
  Cap,        ///< as Pass up to `limit`; what is above needs support that we do not give
  CapSigned,  ///< as Cap, for fields where 0xf means "not implemented"
  Fixed,      ///< always `limit`
  Gic,        ///< 1 if the guest has the system registers of GICv3
};

struct Rule {
  u8 low;
  Policy policy;
  u8 limit = 0;
  u8 width = 4;
};

struct IdRegister {
  u32 encoding;
  std::span<const Rule> rules;
};

constexpr Rule pass(u8 low) { return {low, Policy::Pass}; }
constexpr Rule cap(u8 low, u8 limit) { return {low, Policy::Cap, limit}; }
constexpr Rule cap_signed(u8 low, u8 limit) { return {low, Policy::CapSigned, limit}; }
constexpr Rule fixed(u8 low, u8 value) { return {low, Policy::Fixed, value}; }
/// Descriptions of AArch32 at EL0: instructions and caches, nothing to switch.
constexpr Rule kPassWord{0, Policy::Pass, 0, 32};

// ---- AArch64 -----------------------------------------------------------------------------------------------------------
// Hidden fields are named in the comments with the reason.

// EL2, EL3, SEL2, RME: a guest is EL1 and EL0. RAS, AMU, MPAM, SVE: registers that are not switched.
constexpr Rule kAa64Pfr0[] = {
    pass(0),                    // EL0: AArch32 programs run if the processor can
    fixed(4, 1),                // EL1: AArch64 only, HCR_EL2.RW is set
    pass(16),                   // FP: not implemented is 0xf
    pass(20),                   // AdvSIMD
    {24, Policy::Gic},
    pass(48),                   // DIT
    cap(56, 1),                 // CSV2: 2 brings SCXTNUM_ELx, which are not switched
    pass(60),                   // CSV3
};
// MTE, MTE_frac, SME, GCS, THE, NMI, PFAR, CSV2_frac (SCXTNUM_ELx): state that is not switched. RNDR_trap, DF2: EL3.
constexpr Rule kAa64Pfr1[] = {
    cap(0, 1),                  // BT
    cap(4, 2),                  // SSBS
};
// PMUVer, PMSVer, TraceVer, TraceFilt, TraceBuffer, BRBE, MTPMU: trapped, undefined for a guest.
constexpr Rule kAa64Dfr0[] = {
    fixed(0, 6),                             // DebugVer: Armv8.0, emulated without effect
    fixed(12, kGuestBreakpoints - 1),        // BRPs
    fixed(20, kGuestWatchpoints - 1),        // WRPs
    fixed(28, 0),                            // CTX_CMPs: one
    fixed(36, 0),                            // DoubleLock: Armv8.0 has it
};
// TME: transactions are not enabled in HCR_EL2.
constexpr Rule kAa64Isar0[] = {
    pass(4),                    // AES
    pass(8),                    // SHA1
    pass(12),                   // SHA2
    pass(16),                   // CRC32
    pass(20),                   // Atomic
    pass(28),                   // RDM
    pass(32),                   // SHA3
    pass(36),                   // SM3
    pass(40),                   // SM4
    pass(44),                   // DP
    pass(48),                   // FHM
    cap(52, 2),                 // TS: FlagM
    cap(56, 2),                 // TLB: outer shareable and range invalidation
    pass(60),                   // RNDR
};
// APA, API, GPA, GPI: the keys of pointer authentication are not switched. LS64: needs HCRX_EL2.
constexpr Rule kAa64Isar1[] = {
    cap(0, 2),                  // DPB
    pass(12),                   // JSCVT
    pass(16),                   // FCMA
    cap(20, 3),                 // LRCPC
    pass(32),                   // FRINTTS
    pass(36),                   // SB
    cap(40, 2),                 // SPECRES
    cap(44, 1),                 // BF16: 2 is FPCR.EBF
    pass(48),                   // DGH
    pass(52),                   // I8MM
    pass(56),                   // XS
};
// WFxT: a trapped WFI has no timeout. GPA3, APA3, PAC_frac: pointer authentication. MOPS: needs HCRX_EL2. SYSREG_128,
// SYSINSTR_128, ATS1A: nothing of Armv9.3 translation is supported.
constexpr Rule kAa64Isar2[] = {
    pass(4),                    // RPRES
    pass(20),                   // BC
    pass(28),                   // CLRBHB
    pass(40),                   // PRFMSLC
    pass(48),                   // RPRFM
    pass(52),                   // CSSC
};
// SNSMem: one security state. TGran*_2, FGT: EL2.
constexpr Rule kAa64Mmfr0[] = {
    cap(0, 5),                  // PARange: 48 bits, the most that stage 2 maps
    pass(4),                    // ASIDBits
    pass(8),                    // BigEnd
    pass(16),                   // BigEndEL0
    cap(20, 1),                 // TGran16: 2 is 52-bit addresses
    cap_signed(24, 0),          // TGran64
    cap_signed(28, 0),          // TGran4: 1 is 52-bit addresses
    pass(44),                   // ExS
    cap(60, 1),                 // ECV: 2 brings CNTPOFF_EL2
};
// VMIDBits, VH, XNX, TWED, HCX: EL2. LO: LORegions are trapped by HCR_EL2.TLOR.
constexpr Rule kAa64Mmfr1[] = {
    cap(0, 2),                  // HAFDBS: above that, TCR2_EL1 is needed
    cap(12, 2),                 // HPDS
    cap(20, 3),                 // PAN
    pass(24),                   // SpecSEI
    pass(36),                   // ETS
    pass(44),                   // AFP: in FPCR, which is switched
    pass(48),                   // nTLBPA
    pass(52),                   // TIDCP1
    pass(56),                   // CMOW
    pass(60),                   // ECBHB
};
// IESB: error synchronization without RAS says nothing. NV, FWB, EVT: EL2.
constexpr Rule kAa64Mmfr2[] = {
    pass(0),                    // CnP
    pass(4),                    // UAO
    pass(8),                    // LSM
    cap(16, 1),                 // VARange: 2 needs 128-bit descriptors
    pass(20),                   // CCIDX: the format of CCSIDR_EL1, which is not trapped
    pass(28),                   // ST
    pass(32),                   // AT
    cap(36, 1),                 // IDS: how the processor itself reports ID registers at EL0
    pass(48),                   // TTL
    pass(52),                   // BBM
    pass(60),                   // E0PD
};

// ---- AArch32 -----------------------------------------------------------------------------------------------------------

// AMU, RAS: as in AArch64.
constexpr Rule kPfr0[] = {pass(0), pass(4), pass(8), pass(12), cap(16, 1) /* CSV2 */, pass(24) /* DIT */};
// ProgMod, Security, MProgMod, Virtualization and the fractions: AArch32 is at EL0 only.
constexpr Rule kPfr1[] = {cap(16, 1) /* GenTimer */, {28, Policy::Gic}};
// RAS_frac.
constexpr Rule kPfr2[] = {pass(0) /* CSV3 */, pass(4) /* SSBS */};
// PerfMon, CopTrc, MMapTrc, TraceFilt, CopSDbg, MMapDbg.
constexpr Rule kDfr0[] = {cap(0, 6) /* CopDbg: Armv8.0 */};
// XNX, EVT: EL2.
constexpr Rule kMmfr4[] = {pass(0), pass(4), pass(12), pass(16), pass(20), pass(24)};
constexpr Rule kPassAll[] = {kPassWord};

constexpr u32 id(u32 crm, u32 op2) { return system_register(3, 0, 0, crm, op2); }

/// Sorted by encoding. Registers without a row read as zero: ID_DFR1, ID_AFR0 and the auxiliary ID_AA64AFR<n> (nothing is
/// promised), ID_AA64DFR1 (PMU), ID_AA64ZFR0, ID_AA64SMFR0, ID_AA64FPFR0 (SVE, SME, FP8), ID_AA64PFR2, ID_AA64ISAR3,
/// ID_AA64MMFR3, ID_AA64MMFR4 (all of it needs HCRX_EL2 or is about EL2), and encodings that are reserved.
constexpr IdRegister kIdRegisters[] = {
    {id(1, 0), kPfr0},
    {id(1, 1), kPfr1},
    {id(1, 2), kDfr0},
    {id(1, 4), kPassAll},       // ID_MMFR0
    {id(1, 5), kPassAll},       // ID_MMFR1
    {id(1, 6), kPassAll},       // ID_MMFR2
    {id(1, 7), kPassAll},       // ID_MMFR3
    {id(2, 0), kPassAll},       // ID_ISAR0
    {id(2, 1), kPassAll},       // ID_ISAR1
    {id(2, 2), kPassAll},       // ID_ISAR2
    {id(2, 3), kPassAll},       // ID_ISAR3
    {id(2, 4), kPassAll},       // ID_ISAR4
    {id(2, 5), kPassAll},       // ID_ISAR5
    {id(2, 6), kMmfr4},
    {id(2, 7), kPassAll},       // ID_ISAR6
    {id(3, 0), kPassAll},       // MVFR0
    {id(3, 1), kPassAll},       // MVFR1
    {id(3, 2), kPassAll},       // MVFR2
    {id(3, 4), kPfr2},
    {id(3, 6), kPassAll},       // ID_MMFR5
    {id(4, 0), kAa64Pfr0},
    {id(4, 1), kAa64Pfr1},
    {id(5, 0), kAa64Dfr0},
    {id(6, 0), kAa64Isar0},
    {id(6, 1), kAa64Isar1},
    {id(6, 2), kAa64Isar2},
    {id(7, 0), kAa64Mmfr0},
    {id(7, 1), kAa64Mmfr1},
    {id(7, 2), kAa64Mmfr2},
};
static_assert(std::ranges::is_sorted(kIdRegisters, {}, &IdRegister::encoding));

/// Each bit belongs to at most one rule.
constexpr bool rules_are_disjoint() {
  for (const IdRegister& row : kIdRegisters) {
    u64 seen = 0;
    for (const Rule& rule : row.rules) {
      const u64 mask = ((u64{1} << rule.width) - 1) << rule.low;
      if ((seen & mask) != 0) return false;
      seen |= mask;
    }
  }
  return true;
}
static_assert(rules_are_disjoint());

u64 apply(const Rule& rule, u64 field, u8 gic_version) {
  constexpr u64 kNotImplemented = 0xf;
  switch (rule.policy) {
    case Policy::Pass: return field;
    case Policy::Cap: return std::min<u64>(field, rule.limit);
    case Policy::CapSigned: return field == kNotImplemented ? field : std::min<u64>(field, rule.limit);
    case Policy::Fixed: return rule.limit;
    case Policy::Gic: return gic_version >= 3 ? 1 : 0;
  }
  return 0;
}

}  // namespace

u64 guest_id_value(u32 encoding, u64 host_value, u8 gic_version) {
  const auto* row = std::ranges::lower_bound(kIdRegisters, encoding, {}, &IdRegister::encoding);
  if (row == std::end(kIdRegisters) || row->encoding != encoding) return 0;
  u64 value = 0;
  for (const Rule& rule : row->rules) {
    value |= apply(rule, bit_field(host_value, rule.low, rule.width), gic_version) << rule.low;
  }
  return value;
}

}  // namespace hv
