// The control and status registers that code in supervisor mode uses: one struct per register, with read(), write() and its bit
// fields. Names and positions are those of the privileged specification (version 1.12, chapter 4).
//
// Include <arch/csr.hpp>, which says what an access is.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

struct SSTATUS {
  AX_CSR(sstatus)
  static constexpr u64 SIE = 1 << 1, SUM = 1 << 18, MXR = 1 << 19;
  static constexpr u64 FS_INITIAL = 1 << 13, FS = 3 << 13;
};
/// Enabled and pending interrupts, by cause.
struct SIE {
  AX_CSR(sie)
};
struct SIP {
  AX_CSR(sip)
};
struct InterruptBit {
  static constexpr u64 Software = 1 << 1, Timer = 1 << 5, External = 1 << 9;
};

struct STVEC {
  AX_CSR(stvec)
};
struct SSCRATCH {
  AX_CSR(sscratch)
};
struct SEPC {
  AX_CSR(sepc)
};
struct SCAUSE {
  AX_CSR(scause)
};
struct STVAL {
  AX_CSR(stval)
};

struct SATP {
  AX_CSR(satp)
  static constexpr u64 kSv39 = u64{8} << 60;
  static constexpr u64 kFrameMask = (u64{1} << 44) - 1;
};

/// Sstc: the deadline of this hart. By number, since assemblers learnt the name late.
struct STIMECMP {
  AX_CSR(0x14d)
};
struct TIME {
  AX_CSR_READ(time)
};

}  // namespace ax::arch
