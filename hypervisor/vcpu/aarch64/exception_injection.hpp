// Makes a guest take a synchronous exception to its EL1, as the processor would. Arm ARM D1.3 (exception entry).
#pragma once

#include <optional>

#include "hypervisor/vcpu/aarch64/exit_syndrome.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// What exception entry depends on, as the exit left it.
struct InterruptedState {
  u64 pc = 0;         ///< ELR_EL2: the instruction that the exception is about
  u64 pstate = 0;     ///< SPSR_EL2: EL0 (either execution state), EL1t or EL1h
  u64 vbar_el1 = 0;
  u64 sctlr_el1 = 0;
};

/// What the core writes: pc and pstate to ELR_EL2 and SPSR_EL2, the rest to the guest's registers.
struct InjectedException {
  u64 pc = 0;
  u64 pstate = 0;
  u64 elr_el1 = 0;
  u64 spsr_el1 = 0;
  u64 esr_el1 = 0;
  std::optional<u64> far_el1;  ///< absent: FAR_EL1 stays

  friend constexpr bool operator==(const InjectedException&, const InjectedException&) = default;
};

/// The instruction does not exist for the guest (EC 0). PSTATE bits of features that the processor lacks are RES0 in
/// SPSR_EL2: what is set here because of SCTLR_EL1 has no effect then.
InjectedException inject_undefined(const InterruptedState& state);

/// Nothing answered the access: a synchronous external abort. `abort` is the syndrome and `far_el2` the address of the
/// stage 2 fault. A fault on the guest's stage 1 walk is reported the same way, as its level is not known.
InjectedException inject_data_abort(const InterruptedState& state, DataAbort abort, u64 far_el2);

/// As inject_data_abort(), for an instruction fetch.
InjectedException inject_instruction_abort(const InterruptedState& state, InstructionAbort abort, u64 far_el2);

}  // namespace hv
