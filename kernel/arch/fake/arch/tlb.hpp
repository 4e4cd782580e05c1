// TLB maintenance on the fake architecture: every instruction becomes an event that a test can compare.
#pragma once

#include "kernel/arch/fake/arch/recorder.hpp"

namespace ax::arch {

/// The same functions as the real Tlb; see kernel/arch/*/arch/tlb.hpp.
struct Tlb {
  static void dsb_ishst() { fake::record("dsb ishst"); }
  static void dsb_ish() { fake::record("dsb ish"); }
  static void isb() { fake::record("isb"); }

  static void tlbi_vae2is(Hva address) { fake::record("tlbi vae2is", address.value()); }
  static void tlbi_alle2is() { fake::record("tlbi alle2is"); }

  static void tlbi_ipas2e1is(Gpa address) { fake::record("tlbi ipas2e1is", address.value()); }
  static void tlbi_vmalle1is() { fake::record("tlbi vmalle1is"); }
  static void tlbi_vmalls12e1is() { fake::record("tlbi vmalls12e1is"); }
  static void tlbi_alle1is() { fake::record("tlbi alle1is"); }
  static void tlbi_vmalle1() { fake::record("tlbi vmalle1"); }
  static void ic_iallu() { fake::record("ic iallu"); }
  static void dsb_nsh() { fake::record("dsb nsh"); }
  static void ic_ialluis() { fake::record("ic ialluis"); }

  // x86
  static void invlpg(Hva address) { fake::record("invlpg", address.value()); }
  static void reload_cr3() { fake::record("mov cr3"); }

  // RISC-V
  static void fence_stores() { fake::record("fence w, w"); }
  static void sfence_vma(Hva address) { fake::record("sfence.vma", address.value()); }
  static void sfence_vma_all() { fake::record("sfence.vma"); }

  static u64 vttbr_el2() { return fake::vttbr_el2; }
  static void set_vttbr_el2(u64 value) {
    fake::vttbr_el2 = value;
    fake::record("msr vttbr_el2", value);
  }
};

}  // namespace ax::arch
