// Intel VMX on the fake architecture: every VMCS is a map of fields; a test looks into the current one.
#pragma once

#include <map>

#include "kernel/arch/fake/arch/recorder.hpp"
#include "kernel/base/types.hpp"

namespace ax::arch {

namespace fake {

inline constexpr u64 kNoVmcs = ~u64{0};
inline std::map<u64, std::map<u32, u64>> vmcs;  ///< by address of the region
inline u64 current_vmcs = kNoVmcs;

}  // namespace fake

/// The same functions as the real Vmx; see kernel/arch/x86_64/arch/vmx.hpp.
struct Vmx {
  static u64 read(u32 field) { return fake::vmcs[fake::current_vmcs][field]; }
  static void write(u32 field, u64 value) { fake::vmcs[fake::current_vmcs][field] = value; }
  static bool on(u64) { return true; }
  static bool load(u64 region) {
    fake::current_vmcs = region;
    return true;
  }
  static void clear(u64 region) {
    if (fake::current_vmcs == region) fake::current_vmcs = fake::kNoVmcs;
  }
  static u64 current() { return fake::current_vmcs; }

  static constexpr u64 kSingleContext = 1, kAllContexts = 2;
  static void invept(u64 type, u64 ept_pointer) { fake::record("invept", type, ept_pointer); }
  static void invvpid(u64 type, u64 vpid) { fake::record("invvpid", type, vpid); }
};

}  // namespace ax::arch
