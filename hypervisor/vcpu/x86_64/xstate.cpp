#include "hypervisor/vcpu/x86_64/xstate.hpp"

#include <algorithm>

namespace hv {
namespace {

constexpr u32 kFirstExtendedComponent = 2;
constexpr u32 kComponentEnd = 8;  ///< above the highest bit of xcr0::kSwitched
static_assert(xcr0::kSwitched < (1u << kComponentEnd));

/// Leaf 0xD subleaf 1, EAX. XSAVES and XFD need MSRs that are not switched.
constexpr u32 kXsaveOpt = 1 << 0, kXsaveC = 1 << 1, kXgetbv1 = 1 << 2;
/// Leaf 0xD subleaf n, ECX: the component is aligned to 64 bytes in the compacted format.
constexpr u32 kAligned = 1 << 1;
constexpr u32 kCompactedAlignment = 64;

constexpr u32 kFeatureXsave = 1u << 26;

}  // namespace

u64 supported_xcr0(const CpuidSource& host) {
  if ((host.read(kFeatureLeaf, 0).ecx & kFeatureXsave) == 0) return 0;
  u64 value = host.read(kXstateLeaf, 0).eax & xcr0::kSwitched;
  if ((value & xcr0::kAvx512) != xcr0::kAvx512) value &= ~xcr0::kAvx512;
  return value;
}

u32 xsave_size(const CpuidSource& host, u64 components) {
  u32 size = kXsaveBaseSize;
  for (u32 i = kFirstExtendedComponent; i < kComponentEnd; ++i) {
    if ((components >> i & 1) == 0) continue;
    const CpuidResult component = host.read(kXstateLeaf, i);
    size = std::max(size, component.ebx + component.eax);
  }
  return size;
}

u32 xsave_compacted_size(const CpuidSource& host, u64 components) {
  u32 size = kXsaveBaseSize;
  for (u32 i = kFirstExtendedComponent; i < kComponentEnd; ++i) {
    if ((components >> i & 1) == 0) continue;
    const CpuidResult component = host.read(kXstateLeaf, i);
    if ((component.ecx & kAligned) != 0) size = static_cast<u32>(align_up(size, kCompactedAlignment));
    size += component.eax;
  }
  return size;
}

CpuidResult guest_xstate_leaf(const CpuidSource& host, u64 current, u32 subleaf) {
  const u64 supported = supported_xcr0(host);
  if (supported == 0) return {};
  if (subleaf == 0)
    return {static_cast<u32>(supported), xsave_size(host, current & supported), xsave_size(host, supported), 0};
  if (subleaf == 1) {
    const u32 features = host.read(kXstateLeaf, 1).eax & (kXsaveOpt | kXsaveC | kXgetbv1);
    return {features, (features & kXsaveC) != 0 ? xsave_compacted_size(host, current & supported) : 0, 0, 0};
  }
  if (subleaf >= kComponentEnd || (supported >> subleaf & 1) == 0) return {};
  const CpuidResult component = host.read(kXstateLeaf, subleaf);
  return {component.eax, component.ebx, component.ecx & kAligned, 0};
}

}  // namespace hv
