// The register state of an x86 vCPU, laid out for the assembly in entry.S.
#pragma once

#include <array>
#include <cstddef>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// General-purpose registers by the number that instructions encode.
enum class Gpr : u8 { Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15 };

/// What every exit brings up to date and every entry puts into force. The rest of a vCPU's state is in its control
/// block and, while it is loaded on a CPU, in the hardware.
struct GuestRegisters {
  std::array<u64, 16> gpr{};
  u64 rip = 0;
  u64 rflags = 0;

  u64& operator[](Gpr which) { return gpr[static_cast<usize>(which)]; }
  u64 operator[](Gpr which) const { return gpr[static_cast<usize>(which)]; }
};
static_assert(offsetof(GuestRegisters, gpr) == 0 && offsetof(GuestRegisters, rip) == 128,
              "entry.S knows these offsets");

/// Segment registers by the number that instructions encode, then the two of the system.
enum class SegmentRegister : u8 { Es, Cs, Ss, Ds, Fs, Gs, Ldtr, Tr };

/// A segment register with its hidden part.
struct SegmentState {
  // Attributes are bits 55:52 and 47:40 of a descriptor, next to each other (APM vol. 2 15.5.1).
  static constexpr u16 kCode = 1 << 3, kUser = 1 << 4, kPresent = 1 << 7, kLong = 1 << 9, kBig = 1 << 10,
                       kGranular = 1 << 11;

  u16 selector = 0;
  u16 attributes = 0;
  u32 limit = 0;  ///< in bytes
  u64 base = 0;

  constexpr unsigned privilege() const { return attributes >> 5 & 3; }
  friend constexpr bool operator==(const SegmentState&, const SegmentState&) = default;
};

/// GDTR or IDTR.
enum class DescriptorTable : u8 { Gdt, Idt };
struct TableState {
  u64 base = 0;
  u16 limit = 0;
  friend constexpr bool operator==(const TableState&, const TableState&) = default;
};

/// The other registers that belong to a guest; the backend keeps each where its hardware wants it.
enum class GuestRegister : u8 {
  Cr0,
  Cr2,
  Cr3,
  Cr4,
  Efer,
  Dr6,
  Dr7,
  Pat,
  FsBase,
  GsBase,
  KernelGsBase,
  Star,
  Lstar,
  Cstar,
  Sfmask,
  SysenterCs,
  SysenterEsp,
  SysenterEip,
  TscAux,
};
inline constexpr usize kGuestRegisters = 19;

}  // namespace hv
