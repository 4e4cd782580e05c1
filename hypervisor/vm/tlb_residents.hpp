// Whose stage-1 translations a CPU's TLB holds for a VM.
#pragma once

#include <arch/tlb.hpp>
#include <array>
#include <board_config.hpp>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// The vCPUs of a VM share its VMID, but each is a CPU to its guest: the same ASID may mean something else on another one. So a
/// CPU that ran one of them forgets the VM's stage-1 translations before it runs a sibling. One that comes back to where it was
/// the last of its VM finds nothing stale: TLB maintenance of guests is broadcast (HCR_EL2.FB).
class TlbResidents {
 public:
  TlbResidents() { last_.fill(kNobody); }

  /// vCPU `vcpu` is about to run on `cpu`, the caller, whose VTTBR_EL2 is this VM's already.
  void enter(unsigned cpu, unsigned vcpu) {
    u8& last = last_[cpu];
    if (last != vcpu && last != kNobody) forget();
    last = static_cast<u8>(vcpu);
  }

 private:
  static constexpr u8 kNobody = 0xff;  // the VMID was invalidated when the VM was made

  [[gnu::cold]] static void forget() {
    arch::Tlb::isb();  // VTTBR_EL2
    arch::Tlb::tlbi_vmalle1();
    arch::Tlb::ic_iallu();
    arch::Tlb::dsb_nsh();
    arch::Tlb::isb();
  }

  std::array<u8, board::kMaxCpus> last_;  ///< each CPU's own entry
};

}  // namespace hv
