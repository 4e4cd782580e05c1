// TLB maintenance and the barriers around it: one function per instruction, so that arch/fake can record them.
#pragma once

#include "kernel/base/types.hpp"

namespace ax::arch {

/// Single instructions (Arm ARM C5.5, D8.14). All "is" forms act on every CPU of the inner shareable domain; what they do
/// is complete only after dsb_ish(). EL2 only, but for those of stage 1 at EL1. The stage-2 forms act on the VMID in VTTBR_EL2.
struct Tlb {
  static void dsb_ishst() { asm volatile("dsb ishst" ::: "memory"); }
  static void dsb_ish() { asm volatile("dsb ish" ::: "memory"); }
  static void isb() { asm volatile("isb" ::: "memory"); }

  static void tlbi_vae2is(Hva address) { asm volatile("tlbi vae2is, %0" ::"r"(operand(address.value())) : "memory"); }
  static void tlbi_alle2is() { asm volatile("tlbi alle2is" ::: "memory"); }

  static void tlbi_vaae1is(Hva address) { asm volatile("tlbi vaae1is, %0" ::"r"(operand(address.value())) : "memory"); }

  static void tlbi_ipas2e1is(Gpa address) { asm volatile("tlbi ipas2e1is, %0" ::"r"(operand(address.value())) : "memory"); }
  static void tlbi_vmalle1is() { asm volatile("tlbi vmalle1is" ::: "memory"); }
  static void tlbi_vmalls12e1is() { asm volatile("tlbi vmalls12e1is" ::: "memory"); }
  static void tlbi_alle1is() { asm volatile("tlbi alle1is" ::: "memory"); }
  /// This CPU alone; complete only after dsb_nsh().
  static void tlbi_vmalle1() { asm volatile("tlbi vmalle1" ::: "memory"); }
  static void ic_iallu() { asm volatile("ic iallu" ::: "memory"); }
  static void dsb_nsh() { asm volatile("dsb nsh" ::: "memory"); }
  static void ic_ialluis() { asm volatile("ic ialluis" ::: "memory"); }

  static u64 vttbr_el2() {
    u64 value;
    asm volatile("mrs %0, vttbr_el2" : "=r"(value));
    return value;
  }
  static void set_vttbr_el2(u64 value) { asm volatile("msr vttbr_el2, %0" ::"r"(value) : "memory"); }

 private:
  /// Bits 43:0 hold address bits 55:12; TTL and ASID stay 0.
  static constexpr u64 operand(u64 address) { return (address >> kPageShift) & ((u64{1} << 44) - 1); }
};

}  // namespace ax::arch
