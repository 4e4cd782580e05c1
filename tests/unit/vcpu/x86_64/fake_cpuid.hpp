// A processor whose CPUID leaves a test sets one by one.
#pragma once

#include <map>
#include <utility>

#include "hypervisor/vcpu/x86_64/cpuid_policy.hpp"

namespace hv::test {

class FakeCpuid final : public CpuidSource {
 public:
  static FakeCpuid amd() { return FakeCpuid(0xd, 0x8000'001f, {0xd, 0x6874'7541, 0x444d'4163, 0x6974'6e65}); }
  static FakeCpuid intel() { return FakeCpuid(0x16, 0x8000'0008, {0x16, 0x756e'6547, 0x6c65'746e, 0x4965'6e69}); }

  CpuidResult& leaf(u32 leaf, u32 subleaf = 0) { return leaves_[{leaf, subleaf}]; }
  /// Every leaf that has no value of its own has all bits set.
  void fill_with_ones() { filler_ = {~0u, ~0u, ~0u, ~0u}; }

  CpuidResult read(u32 leaf, u32 subleaf) const override {
    const auto found = leaves_.find({leaf, subleaf});
    return found != leaves_.end() ? found->second : filler_;
  }

 private:
  FakeCpuid(u32 max, u32 max_extended, CpuidResult vendor) {
    leaf(0) = vendor;
    leaf(0).eax = max;
    leaf(0x8000'0000) = {max_extended, vendor.ebx, vendor.ecx, vendor.edx};
  }
  std::map<std::pair<u32, u32>, CpuidResult> leaves_;
  CpuidResult filler_{};
};

/// Leaf 0xD of a processor with x87, SSE, AVX, MPX, AVX-512, PKRU, and all XSAVE instructions.
inline void give_xstate(FakeCpuid& cpu) {
  cpu.leaf(1).ecx |= 1u << 26;
  cpu.leaf(0xd, 0) = {0x2ff, 576, 2696, 0};
  cpu.leaf(0xd, 1) = {0xf, 576, 0x100, 0};
  cpu.leaf(0xd, 2) = {256, 576, 0, 0};
  cpu.leaf(0xd, 3) = {64, 960, 0, 0};
  cpu.leaf(0xd, 4) = {64, 1024, 0, 0};
  cpu.leaf(0xd, 5) = {64, 1088, 0, 0};
  cpu.leaf(0xd, 6) = {512, 1152, 0, 0};
  cpu.leaf(0xd, 7) = {1024, 1664, 2, 0};
  cpu.leaf(0xd, 9) = {8, 2688, 0, 0};
}

}  // namespace hv::test
