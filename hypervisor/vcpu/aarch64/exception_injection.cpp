#include "hypervisor/vcpu/aarch64/exception_injection.hpp"

namespace hv {
namespace {

// PSTATE as SPSR_EL2 holds it. Arm ARM, SPSR_EL2.
constexpr u64 kModeAarch32 = u64{1} << 4;
constexpr u64 kModeEl1h = 0b0101;
constexpr u64 kModeStackPointer = u64{1} << 0;  ///< EL1h rather than EL1t
constexpr u64 kModeLevel = 0b1100;
constexpr u64 kDaif = u64{0xf} << 6;
constexpr u64 kSsbs = u64{1} << 12;             ///< AArch64
constexpr u64 kPan = u64{1} << 22;              ///< both execution states
constexpr u64 kDit = u64{1} << 24;              ///< both execution states
constexpr u64 kConditionFlags = u64{0xf} << 28;
// All other bits are cleared by exception entry (SS, IL, UAO, BTYPE) or belong to AArch32 (T, IT, GE, Q, E).
constexpr u64 kKept = kConditionFlags | kDit | kPan;

constexpr unsigned kSctlrSpan = 23;   ///< clear: exception entry sets PSTATE.PAN
constexpr unsigned kSctlrDssbs = 44;  ///< what exception entry sets PSTATE.SSBS to

// Offsets of the synchronous vectors. Arm ARM D1.3.1.5.
constexpr u64 kVectorTableAlignment = 0x800;
constexpr u64 kVectorFromEl1t = 0x000;
constexpr u64 kVectorFromEl1h = 0x200;
constexpr u64 kVectorFromEl0Aarch64 = 0x400;
constexpr u64 kVectorFromEl0Aarch32 = 0x600;

// ESR_EL1.
constexpr unsigned kClassLow = 26;
constexpr u64 kLongInstruction = u64{1} << 25;  ///< IL: 1 for EC 0 and for aborts without ISV, whatever the instruction was
constexpr u64 kAddressNotValid = u64{1} << 10;  ///< FnV
constexpr u64 kCacheMaintenance = u64{1} << 8;  ///< CM
constexpr u64 kWrite = u64{1} << 6;             ///< WnR
constexpr u64 kExternalAbort = 0x10;            ///< DFSC, IFSC: synchronous external abort, not on a walk

bool from_el0(const InterruptedState& state) {
  return (state.pstate & kModeAarch32) != 0 || (state.pstate & kModeLevel) == 0;
}

u64 vector_offset(u64 pstate) {
  if ((pstate & kModeAarch32) != 0) return kVectorFromEl0Aarch32;
  if ((pstate & kModeLevel) == 0) return kVectorFromEl0Aarch64;
  return (pstate & kModeStackPointer) != 0 ? kVectorFromEl1h : kVectorFromEl1t;
}

u64 handler_pstate(const InterruptedState& state) {
  u64 pstate = (state.pstate & kKept) | kDaif | kModeEl1h;
  if (!bit(state.sctlr_el1, kSctlrSpan)) pstate |= kPan;
  if (bit(state.sctlr_el1, kSctlrDssbs)) pstate |= kSsbs;
  return pstate;
}

u64 syndrome(ExceptionClass exception_class, u64 iss) {
  return static_cast<u64>(exception_class) << kClassLow | kLongInstruction | iss;
}

InjectedException enter(const InterruptedState& state, u64 esr) {
  return {.pc = align_down(state.vbar_el1, kVectorTableAlignment) + vector_offset(state.pstate),
          .pstate = handler_pstate(state),
          .elr_el1 = state.pc,
          .spsr_el1 = state.pstate,
          .esr_el1 = esr,
          .far_el1 = std::nullopt};
}

InjectedException enter_abort(const InterruptedState& state, ExceptionClass exception_class, u64 iss, Abort abort,
                              u64 far_el2) {
  if (!abort.has_address()) iss |= kAddressNotValid;
  InjectedException exception = enter(state, syndrome(exception_class, iss | kExternalAbort));
  if (abort.has_address()) exception.far_el1 = far_el2;
  return exception;
}

}  // namespace

InjectedException inject_undefined(const InterruptedState& state) {
  return enter(state, syndrome(ExceptionClass::Unknown, 0));
}

InjectedException inject_data_abort(const InterruptedState& state, DataAbort abort, u64 far_el2) {
  const u64 iss = (abort.is_write() ? kWrite : 0) | (abort.is_cache_maintenance() ? kCacheMaintenance : 0);
  const auto exception_class = from_el0(state) ? ExceptionClass::DataAbortLowerEl : ExceptionClass::DataAbortSameEl;
  return enter_abort(state, exception_class, iss, abort, far_el2);
}

InjectedException inject_instruction_abort(const InterruptedState& state, InstructionAbort abort, u64 far_el2) {
  const auto exception_class =
      from_el0(state) ? ExceptionClass::InstructionAbortLowerEl : ExceptionClass::InstructionAbortSameEl;
  return enter_abort(state, exception_class, 0, abort, far_el2);
}

}  // namespace hv
