// The registers that the host uses: one struct per register, with read()/write() and its bit fields.
// Names and positions are those of the Intel SDM (vol. 3 chapter 2, vol. 4) and the AMD APM (vol. 2 chapter 3).
//
// Include <arch/sysreg.hpp>, which says what an access is.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

constexpr u64 bit(unsigned n) { return u64{1} << n; }
/// The `width` bits of `value` that start at bit `low`.
constexpr u64 bits(u64 value, unsigned low, unsigned width) { return (value >> low) & (bit(width) - 1); }

struct RFLAGS {
  static constexpr u64 CF = bit(0), RES1 = bit(1), ZF = bit(6), TF = bit(8), IF = bit(9), DF = bit(10), RF = bit(16),
                       VM = bit(17);
};

// ---- control registers -----------------------------------------------------------------------------------------------

struct CR0 {
  AX_CONTROL_REGISTER(cr0)
  static constexpr u64 PE = bit(0), MP = bit(1), EM = bit(2), TS = bit(3), ET = bit(4), NE = bit(5), WP = bit(16),
                       AM = bit(18), NW = bit(29), CD = bit(30), PG = bit(31);
};
/// Address of the last page fault.
struct CR2 {
  AX_CONTROL_REGISTER(cr2)
};
struct CR3 {
  AX_CONTROL_REGISTER(cr3)
};
struct CR4 {
  AX_CONTROL_REGISTER(cr4)
  static constexpr u64 DE = bit(3), PAE = bit(5), MCE = bit(6), PGE = bit(7), OSFXSR = bit(9), OSXMMEXCPT = bit(10),
                       UMIP = bit(11), LA57 = bit(12), VMXE = bit(13), FSGSBASE = bit(16), PCIDE = bit(17),
                       OSXSAVE = bit(18), SMEP = bit(20), SMAP = bit(21);
};
struct CR8 {
  AX_CONTROL_REGISTER(cr8)
};

// ---- model-specific registers ----------------------------------------------------------------------------------------

struct IA32_TSC {
  AX_MODEL_SPECIFIC_REGISTER(0x10)
};
struct IA32_APIC_BASE {
  AX_MODEL_SPECIFIC_REGISTER(0x1b)
  static constexpr u64 BSP = bit(8);
  static constexpr u64 EXTD = bit(10);  ///< x2APIC mode
  static constexpr u64 EN = bit(11);
  static constexpr u64 kAddress = 0x000f'ffff'ffff'f000;
};
struct IA32_TSC_DEADLINE {
  AX_MODEL_SPECIFIC_REGISTER(0x6e0)
};
struct IA32_PAT {
  AX_MODEL_SPECIFIC_REGISTER(0x277)
  static constexpr u64 kReset = 0x0007'0406'0007'0406;  ///< entry 0 write-back, entry 3 uncached
};
struct IA32_EFER {
  AX_MODEL_SPECIFIC_REGISTER(0xc000'0080)
  static constexpr u64 SCE = bit(0), LME = bit(8), LMA = bit(10), NXE = bit(11), SVME = bit(12);
};
struct IA32_FS_BASE {
  AX_MODEL_SPECIFIC_REGISTER(0xc000'0100)
};
struct IA32_GS_BASE {
  AX_MODEL_SPECIFIC_REGISTER(0xc000'0101)
};

}  // namespace ax::arch
