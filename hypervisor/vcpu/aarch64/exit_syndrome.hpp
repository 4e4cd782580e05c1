// What ESR_EL2, FAR_EL2 and HPFAR_EL2 say about an exit. Arm ARM D24.2 describes the registers.
#pragma once

#include "hypervisor/vcpu/aarch64/system_register.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// ESR_ELx.EC. Values without a name here exist, and new ones may appear: whoever switches over it needs a default.
enum class ExceptionClass : u8 {
  Unknown = 0x00,
  WaitForInterrupt = 0x01,       ///< WFI, WFE, WFIT, WFET
  Cp15Access32 = 0x03,           ///< AArch32 MCR, MRC
  Cp15Access64 = 0x04,           ///< AArch32 MCRR, MRRC
  Cp14Access32 = 0x05,
  Cp14LoadStore = 0x06,
  FloatingPoint = 0x07,          ///< CPTR_EL2.TFP: FP, Advanced SIMD and SVE
  PointerAuthentication = 0x09,  ///< HCR_EL2.API
  Cp14Access64 = 0x0c,
  BranchTarget = 0x0d,
  IllegalState = 0x0e,
  Hvc32 = 0x12,
  Smc32 = 0x13,
  Hvc64 = 0x16,
  Smc64 = 0x17,
  SystemRegister = 0x18,         ///< MSR, MRS and system instructions of AArch64
  Sve = 0x19,
  Sme = 0x1d,
  InstructionAbortLowerEl = 0x20,
  InstructionAbortSameEl = 0x21,
  PcAlignment = 0x22,
  DataAbortLowerEl = 0x24,
  DataAbortSameEl = 0x25,
  SpAlignment = 0x26,
  SError = 0x2f,
  BreakpointLowerEl = 0x30,
  SoftwareStepLowerEl = 0x32,
  WatchpointLowerEl = 0x34,
  Brk64 = 0x3c,
};
inline constexpr unsigned kExceptionClasses = 64;

/// The bits [low + width - 1 : low] of `value`.
constexpr u64 bit_field(u64 value, unsigned low, unsigned width) { return value >> low & ((u64{1} << width) - 1); }
constexpr bool bit(u64 value, unsigned index) { return (value >> index & 1) != 0; }

/// Fields that an ESR_ELx has whatever its class is, and those that are a single number.
class ExitSyndrome {
 public:
  constexpr explicit ExitSyndrome(u64 esr) : esr_(esr) {}

  constexpr ExceptionClass exception_class() const { return static_cast<ExceptionClass>(bit_field(esr_, 26, 6)); }
  /// Bytes of the instruction that a trap is about; what to add to ELR_EL2 to skip it.
  constexpr u64 instruction_length() const { return bit(esr_, 25) ? 4 : 2; }
  constexpr u32 iss() const { return static_cast<u32>(bit_field(esr_, 0, 25)); }
  /// The immediate operand of HVC, SMC or BRK.
  constexpr u16 immediate() const { return static_cast<u16>(esr_); }
  /// EC WaitForInterrupt: the instruction was WFE or WFET.
  constexpr bool is_wait_for_event() const { return bit(esr_, 0); }
  constexpr u64 value() const { return esr_; }

 private:
  u64 esr_;
};

/// What a fault status code says, without the level. Arm ARM, ESR_EL2, "DFSC" and "IFSC".
enum class FaultKind : u8 {
  AddressSize,
  Translation,
  AccessFlag,
  Permission,
  External,           ///< synchronous external abort, not on a walk
  ExternalOnWalk,     ///< synchronous external abort on a translation table walk
  Parity,             ///< parity or ECC error, on a walk or not
  Alignment,
  TlbConflict,
  Other,
};

/// The kind of `status`, the low six bits of the syndrome of an abort.
constexpr FaultKind fault_kind(u32 status) {
  // One row per four codes: the low two bits are the level where there is one.
  constexpr FaultKind kByGroup[16] = {
      FaultKind::AddressSize, FaultKind::Translation,    FaultKind::AccessFlag, FaultKind::Permission,
      FaultKind::Other,       FaultKind::ExternalOnWalk, FaultKind::Other,      FaultKind::Parity,
      FaultKind::Other,       FaultKind::Other,          FaultKind::Other,      FaultKind::Other,
      FaultKind::Other,       FaultKind::Other,          FaultKind::Other,      FaultKind::Other};
  switch (status) {
    case 0x10: return FaultKind::External;
    case 0x13: return FaultKind::ExternalOnWalk;  // level -1
    case 0x18: return FaultKind::Parity;
    case 0x1b: return FaultKind::Parity;          // level -1
    case 0x21: return FaultKind::Alignment;
    case 0x29: return FaultKind::AddressSize;     // level -1
    case 0x2b: return FaultKind::Translation;     // level -1
    case 0x30: return FaultKind::TlbConflict;
    default: return kByGroup[status >> 2 & 15];
  }
}

/// The part of the syndrome that data and instruction aborts share.
class Abort {
 public:
  constexpr explicit Abort(u64 esr) : esr_(esr) {}

  constexpr u32 fault_status() const { return static_cast<u32>(bit_field(esr_, 0, 6)); }
  constexpr FaultKind kind() const { return fault_kind(fault_status()); }
  /// The stage 2 fault happened on the walk of the guest's stage 1 tables: the address in HPFAR_EL2 is that of a table.
  constexpr bool on_stage1_walk() const { return bit(esr_, 7); }
  /// FnV clear: FAR_EL2 holds the address. Only an External fault can come without.
  constexpr bool has_address() const { return !bit(esr_, 10); }
  /// Whether HPFAR_EL2 holds the page. For a permission fault that is not on a stage 1 walk it is UNKNOWN, and the
  /// address is to be found with AT S1E1R.
  constexpr bool has_guest_page() const {
    return kind() == FaultKind::Translation || kind() == FaultKind::AccessFlag || kind() == FaultKind::AddressSize ||
           (kind() == FaultKind::Permission && on_stage1_walk());
  }

 protected:
  constexpr u64 esr() const { return esr_; }

 private:
  u64 esr_;
};

/// The syndrome of an instruction abort (EC 0x20, 0x21).
using InstructionAbort = Abort;

/// The syndrome of a data abort (EC 0x24, 0x25).
class DataAbort : public Abort {
 public:
  constexpr explicit DataAbort(u64 esr) : Abort(esr) {}

  /// Cleared for anything but a load or store of one general-purpose register without write-back; size(),
  /// sign_extends(), register_index(), is_64bit() and is_ordered() mean nothing then.
  constexpr bool has_instruction_syndrome() const { return bit(esr(), 24); }  // ISV
  /// Bytes accessed: 1, 2, 4 or 8.
  constexpr u32 size() const { return 1u << bit_field(esr(), 22, 2); }        // SAS
  constexpr bool sign_extends() const { return bit(esr(), 21); }              // SSE
  /// 0..30, or 31 for XZR.
  constexpr unsigned register_index() const { return static_cast<unsigned>(bit_field(esr(), 16, 5)); }  // SRT
  constexpr bool is_64bit() const { return bit(esr(), 15); }                  // SF
  constexpr bool is_ordered() const { return bit(esr(), 14); }                // AR: acquire or release
  constexpr bool is_cache_maintenance() const { return bit(esr(), 8); }       // CM: DC or IC by address, or AT
  /// Also set for every cache maintenance instruction.
  constexpr bool is_write() const { return bit(esr(), 6); }                   // WnR

  /// A load or store that can be emulated, at an address that has nothing mapped: has_instruction_syndrome(), kind() is
  /// Translation, not on_stage1_walk().
  constexpr bool is_device_access() const {
    constexpr u64 kSyndromeValid = 1 << 24, kOnWalk = 1 << 7, kTranslation = 0b000100, kKind = 0b111100;
    return (esr() & (kSyndromeValid | kOnWalk | kKind)) == (kSyndromeValid | kTranslation);
  }

  /// What the load puts into its register when the device answered `value`; bytes beyond size() are ignored.
  constexpr u64 loaded_value(u64 value) const {
    const unsigned unused = 64 - 8 * size();
    const u64 extended = sign_extends() ? static_cast<u64>(static_cast<i64>(value << unused) >> unused)
                                        : value << unused >> unused;
    return is_64bit() ? extended : static_cast<u32>(extended);
  }
  /// What the store sends when its register holds `value`.
  constexpr u64 stored_value(u64 value) const {
    const unsigned unused = 64 - 8 * size();
    return value << unused >> unused;
  }
};

/// Where the guest's access went: the page from HPFAR_EL2, the offset from FAR_EL2. Only if Abort::has_guest_page().
/// For a fault on a stage 1 walk the offset is that of the access, not of the descriptor.
constexpr Gpa fault_address(u64 hpfar_el2, u64 far_el2) {
  constexpr unsigned kFipaLow = 4;
  constexpr unsigned kFipaBits = 40;  // IPA[51:12]
  return Gpa(bit_field(hpfar_el2, kFipaLow, kFipaBits) << kPageShift | bit_field(far_el2, 0, kPageShift));
}

/// The syndrome of a trapped MSR, MRS or system instruction (EC 0x18).
class SystemRegisterAccess {
 public:
  constexpr explicit SystemRegisterAccess(u64 esr) : iss_(static_cast<u32>(esr)) {}

  constexpr u32 op0() const { return field(20, 2); }
  constexpr u32 op1() const { return field(14, 3); }
  constexpr u32 crn() const { return field(10, 4); }
  constexpr u32 crm() const { return field(1, 4); }
  constexpr u32 op2() const { return field(17, 3); }
  /// The general-purpose register: 0..30, or 31 for XZR.
  constexpr unsigned register_index() const { return field(5, 5); }
  constexpr bool is_read() const { return (iss_ & 1) != 0; }
  /// See system_register().
  constexpr u32 encoding() const { return system_register(op0(), op1(), crn(), crm(), op2()); }

 private:
  constexpr u32 field(unsigned low, unsigned width) const { return static_cast<u32>(bit_field(iss_, low, width)); }
  u32 iss_;
};

}  // namespace hv
