// The register state of a vCPU, laid out for the assembly in entry.S.
#pragma once

#include <array>
#include <cstddef>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

inline constexpr unsigned kZeroRegister = 31;  ///< XZR in a load or store

/// What every exit saves and every entry restores. The rest of a vCPU's state stays in the hardware registers while the vCPU
/// is loaded on a CPU, so that a short exit touches nothing else.
struct GuestRegisters {
  std::array<u64, 31> x{};
  u64 pc = 0;      ///< ELR_EL2
  u64 pstate = 0;  ///< SPSR_EL2

  u64 read(unsigned index) const { return index == kZeroRegister ? 0 : x[index]; }
  void write(unsigned index, u64 value) {
    if (index != kZeroRegister) x[index] = value;
  }
};
static_assert(offsetof(GuestRegisters, pc) == 248 && offsetof(GuestRegisters, pstate) == 256, "entry.S knows these offsets");

/// EL1 and EL0 system registers that belong to the guest; they live in the hardware while the vCPU is loaded.
struct GuestSystemRegisters {
  u64 sp_el0 = 0, sp_el1 = 0, elr_el1 = 0, spsr_el1 = 0;
  u64 sctlr_el1 = 0, cpacr_el1 = 0;
  u64 ttbr0_el1 = 0, ttbr1_el1 = 0, tcr_el1 = 0, mair_el1 = 0, amair_el1 = 0, contextidr_el1 = 0;
  u64 esr_el1 = 0, far_el1 = 0, afsr0_el1 = 0, afsr1_el1 = 0, par_el1 = 0, vbar_el1 = 0;
  u64 tpidr_el0 = 0, tpidrro_el0 = 0, tpidr_el1 = 0, csselr_el1 = 0, mdscr_el1 = 0;
  u64 cntkctl_el1 = 0, cntv_ctl_el0 = 0, cntv_cval_el0 = 0;
};

/// FP/SIMD registers; the host never touches them.
struct alignas(16) GuestFpRegisters {
  std::array<u64, 64> v{};
  u64 fpcr = 0;
  u64 fpsr = 0;
};
static_assert(offsetof(GuestFpRegisters, fpcr) == 512, "entry.S knows this offset");

/// Why ax_enter_guest() returned: the vector that was taken, or Answered: the exit needs nothing more, but its CPU has something
/// to do before the guest goes on. Resume never returns.
enum class ExitVector : u64 { Synchronous = 0, SystemError = 3, Answered = 4, Resume = 5 };

class Vcpu;

/// Enters the guest of `vcpu` with `registers` and returns at the next exit that is not answered at once. Interrupts masked; on the
/// CPU's own stack; the vCPU's system registers, stage 2 and virtual interrupt interface must be loaded.
extern "C" ExitVector ax_enter_guest(GuestRegisters* registers, Vcpu* vcpu);
/// Called at every exit, one for each vector, before the registers from x19 on, ELR_EL2 and SPSR_EL2 are saved. Resume: the guest
/// goes on with them. Anything else is what ax_enter_guest() returns after it has saved the rest.
extern "C" ExitVector ax_answer_synchronous(Vcpu& vcpu);
extern "C" ExitVector ax_answer_interrupt(Vcpu& vcpu);
extern "C" ExitVector ax_answer_system_error(Vcpu& vcpu);
inline constexpr unsigned kFirstUnsavedRegister = 19;
extern "C" void ax_save_fp(GuestFpRegisters* registers);
extern "C" void ax_restore_fp(const GuestFpRegisters* registers);

}  // namespace hv
