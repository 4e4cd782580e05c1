// Extended processor state: which XCR0 values a guest may set, and how large its XSAVE area is. SDM vol. 1 chapter 13.
#pragma once

#include "hypervisor/vcpu/x86_64/cpuid_policy.hpp"

namespace hv {

namespace xcr0 {
inline constexpr u64 kX87 = 1 << 0;
inline constexpr u64 kSse = 1 << 1;
inline constexpr u64 kAvx = 1 << 2;
inline constexpr u64 kAvx512 = 7 << 5;  ///< opmask, ZMM_Hi256 and Hi16_ZMM, which come together
/// What the hypervisor switches. MPX, PKRU, CET and AMX are hidden.
inline constexpr u64 kSwitched = kX87 | kSse | kAvx | kAvx512;
}  // namespace xcr0

/// CPUID leaf 0xD, SDM vol. 1 13.2.
inline constexpr u32 kXstateLeaf = 0xd;
/// Legacy region and XSAVE header: the size of an area without any extended component.
inline constexpr u32 kXsaveBaseSize = 512 + 64;

/// The bits of XCR0 that a guest on this processor may set; 0 if it has no XSAVE.
u64 supported_xcr0(const CpuidSource& host);

/// Whether XSETBV with XCR0 = `value` succeeds; otherwise it is #GP(0). SDM vol. 1 13.3.
constexpr bool is_valid_xcr0(u64 value, u64 supported) {
  if ((value & ~supported) != 0 || (value & xcr0::kX87) == 0) return false;
  if ((value & xcr0::kAvx) != 0 && (value & xcr0::kSse) == 0) return false;
  const u64 avx512 = value & xcr0::kAvx512;
  return avx512 == 0 || (avx512 == xcr0::kAvx512 && (value & xcr0::kAvx) != 0);
}

/// Bytes that XSAVE writes for the components in `components`, which the host must support.
u32 xsave_size(const CpuidSource& host, u64 components);
/// Bytes of the compacted format (XSAVEC).
u32 xsave_compacted_size(const CpuidSource& host, u64 components);

/// CPUID leaf 0xD for a guest whose XCR0 is `current`.
CpuidResult guest_xstate_leaf(const CpuidSource& host, u64 current, u32 subleaf);

}  // namespace hv
