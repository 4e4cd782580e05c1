// The instructions of Intel VMX (SDM vol. 3 chapter 31).
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

struct Vmx {
  /// A field of the current VMCS. Only fields that this CPU has.
  static u64 read(u32 field) {
    u64 value;
    asm volatile("vmread %1, %0" : "=r"(value) : "r"(u64{field}) : "cc");
    return value;
  }
  static void write(u32 field, u64 value) {
    asm volatile("vmwrite %1, %0" : : "r"(u64{field}), "r"(value) : "cc", "memory");
  }

  /// False: the CPU refuses the region, or VMX operation.
  static bool on(u64 region) {
    bool good;
    asm volatile("vmxon %1" : "=@cca"(good) : "m"(region) : "memory");
    return good;
  }
  /// Makes the VMCS at `region` the current one. False: it is none of this CPU's revision.
  static bool load(u64 region) {
    bool good;
    asm volatile("vmptrld %1" : "=@cca"(good) : "m"(region) : "memory");
    return good;
  }
  /// Brings the VMCS back to memory; another CPU may load it then, and its next entry is a launch.
  static void clear(u64 region) { asm volatile("vmclear %0" : : "m"(region) : "cc", "memory"); }
  /// The current VMCS; all ones: none.
  static u64 current() {
    u64 region;
    asm volatile("vmptrst %0" : "=m"(region) : : "cc");
    return region;
  }

  static constexpr u64 kSingleContext = 1, kAllContexts = 2;
  static void invept(u64 type, u64 ept_pointer) {
    const u64 descriptor[2] = {ept_pointer, 0};
    asm volatile("invept %1, %0" : : "r"(type), "m"(descriptor) : "cc", "memory");
  }
  static void invvpid(u64 type, u64 vpid) {
    const u64 descriptor[2] = {vpid, 0};
    asm volatile("invvpid %1, %0" : : "r"(type), "m"(descriptor) : "cc", "memory");
  }
};

}  // namespace ax::arch
