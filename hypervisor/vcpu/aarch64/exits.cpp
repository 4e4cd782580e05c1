#include "hypervisor/vcpu/aarch64/exits.hpp"

#include <algorithm>
#include <array>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/vcpu/aarch64/exception_injection.hpp"
#include "hypervisor/vcpu/aarch64/exit_syndrome.hpp"
#include "hypervisor/vcpu/aarch64/guest_firmware.hpp"
#include "hypervisor/vcpu/aarch64/guest_system_registers.hpp"
#include "hypervisor/vcpu/vcpu.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"

namespace hv {

using namespace ax::arch;

namespace {

// ---- injection --------------------------------------------------------------------------------------------------------

InterruptedState interrupted(const Vcpu& vcpu) {
  return {.pc = vcpu.arch.registers.pc, .pstate = vcpu.arch.registers.pstate, .vbar_el1 = VBAR_EL1::read(), .sctlr_el1 = SCTLR_EL1::read()};
}

void enter_exception(Vcpu& vcpu, const InjectedException& exception) {
  ELR_EL1::write(exception.elr_el1);
  SPSR_EL1::write(exception.spsr_el1);
  ESR_EL1::write(exception.esr_el1);
  if (exception.far_el1) FAR_EL1::write(*exception.far_el1);
  vcpu.arch.registers.pc = exception.pc;
  vcpu.arch.registers.pstate = exception.pstate;
}

void skip_instruction(Vcpu& vcpu, ExitSyndrome syndrome) { vcpu.arch.registers.pc += syndrome.instruction_length(); }

// ---- a guest that cannot go on ----------------------------------------------------------------------------------------

// The one report of a guest's end: everything needed to understand it, in the VM's own registers.
void crash(Vcpu& vcpu, std::string_view why, ExitSyndrome syndrome) {
  const GuestRegisters& r = vcpu.arch.registers;
  log::print_line("axvisor: VM {}, vCPU {}: {} (ESR_EL2 {:#x})", vcpu.vm.name(), vcpu.index, why, syndrome.value());
  log::print_line("  pc {:#x}  pstate {:#x}  sp_el1 {:#x}  elr_el1 {:#x}  esr_el1 {:#x}  far_el2 {:#x}", r.pc, r.pstate, SP_EL1::read(),
                  ELR_EL1::read(), ESR_EL1::read(), FAR_EL2::read());
  for (unsigned i = 0; i < r.x.size(); i += 4) {
    log::print_line("  x{} {:#x}  x{} {:#x}  x{} {:#x}  x{} {:#x}", i, r.x[i], i + 1, r.read(i + 1), i + 2, r.read(i + 2), i + 3,
                    r.read(i + 3));
  }
  vcpu.vm.request_stop(StopReason::Crash);
}

// ---- synchronous exits ------------------------------------------------------------------------------------------------

void handle_undefined(Vcpu& vcpu, ExitSyndrome) { enter_exception(vcpu, inject_undefined(interrupted(vcpu))); }

void handle_wait(Vcpu& vcpu, ExitSyndrome syndrome) {
  skip_instruction(vcpu, syndrome);
  if (DirectInterrupts* direct = vcpu.vm.arch.interrupts().direct()) return direct->waits(vcpu);
  vcpu.wait();
}

void handle_firmware_call(Vcpu& vcpu) {
  auto& x = vcpu.arch.registers.x;
  if (const u32 function = static_cast<u32>(x[0]); is_trng_call(function)) {
    std::ranges::copy(trng_call(vcpu.vm.hypervisor().guest_execution().entropy(), function, x[1]), x.begin());
    return;
  }
  GuestFirmware firmware(vcpu);
  const PsciResult result = psci_call(firmware, std::span<const u64, 4>(vcpu.arch.registers.x.data(), 4));
  vcpu.arch.registers.x[0] = result.x0;
  switch (result.action) {
    case PsciAction::Resume: return;
    case PsciAction::Suspend: return vcpu.wait();
    case PsciAction::PowerOffSelf: return vcpu.power_off();
    case PsciAction::SystemOff: return vcpu.vm.request_stop(StopReason::PowerOff);
    case PsciAction::SystemReset: return vcpu.vm.request_stop(StopReason::Reset);
  }
}

// ELR_EL2 is behind an HVC already (Arm ARM D1.3.5).
void handle_hvc(Vcpu& vcpu, ExitSyndrome) { handle_firmware_call(vcpu); }

// A trapped SMC has not been executed.
void handle_smc(Vcpu& vcpu, ExitSyndrome syndrome) {
  skip_instruction(vcpu, syndrome);
  handle_firmware_call(vcpu);
}

void handle_system_register(Vcpu& vcpu, ExitSyndrome syndrome) {
  const SystemRegisterAccess access(syndrome.value());
  if (access_system_register(vcpu, access)) {
    skip_instruction(vcpu, syndrome);
  } else {
    handle_undefined(vcpu, syndrome);
  }
}

void handle_instruction_abort(Vcpu& vcpu, ExitSyndrome syndrome) {
  const auto exception = inject_instruction_abort(interrupted(vcpu), InstructionAbort(syndrome.value()), FAR_EL2::read());
  // The vector itself cannot be fetched: on a real machine the CPU would take this exception for ever.
  if (exception.pc == vcpu.arch.registers.pc) return crash(vcpu, "its exception vector is not in its memory", syndrome);
  enter_exception(vcpu, exception);
}

bool emulate_access(Vcpu& vcpu, DataAbort abort, Gpa address) {
  if (abort.is_write()) {
    return vcpu.vm.arch.mmio_write(vcpu, address, abort.size(), abort.stored_value(vcpu.arch.registers.read(abort.register_index())));
  }
  const auto value = vcpu.vm.arch.mmio_read(vcpu, address, abort.size());
  if (value) vcpu.arch.registers.write(abort.register_index(), abort.loaded_value(*value));
  return value.has_value();
}

void handle_data_abort(Vcpu& vcpu, ExitSyndrome syndrome) {
  const DataAbort abort(syndrome.value());
  const u64 far = FAR_EL2::read();
  if (abort.is_device_access() && emulate_access(vcpu, abort, fault_address(HPFAR_EL2::read(), far))) return skip_instruction(vcpu, syndrome);
  // Maintenance of memory that is not there has nothing to maintain.
  if (abort.is_cache_maintenance()) return skip_instruction(vcpu, syndrome);
  enter_exception(vcpu, inject_data_abort(interrupted(vcpu), abort, far));
}

// ---- dispatch ---------------------------------------------------------------------------------------------------------

using Handler = void (*)(Vcpu&, ExitSyndrome);

// What is not listed can only be an instruction or register that the guest was not promised.
constexpr auto kHandlers = [] {
  std::array<Handler, kExceptionClasses> table{};
  table.fill(&handle_undefined);
  const auto set = [&](ExceptionClass c, Handler handler) { table[static_cast<usize>(c)] = handler; };
  set(ExceptionClass::WaitForInterrupt, &handle_wait);
  set(ExceptionClass::Hvc64, &handle_hvc);
  set(ExceptionClass::Smc64, &handle_smc);
  set(ExceptionClass::SystemRegister, &handle_system_register);
  set(ExceptionClass::InstructionAbortLowerEl, &handle_instruction_abort);
  set(ExceptionClass::DataAbortLowerEl, &handle_data_abort);
  return table;
}();

// ---- exits that are answered at once ----------------------------------------------------------------------------------

// What other CPUs ask comes with an interrupt, which is taken as soon as the guest runs; this is for what this CPU found out itself.
ExitVector resume_or_leave(const Cpu& cpu, Vcpu& vcpu) {
  const bool leave = cpu.reschedule || vcpu.is_asked() || vcpu.vm.arch.interrupts().needs_flush(vcpu.index);
  return leave ? ExitVector::Answered : ExitVector::Resume;
}

ExitVector answer_call(Vcpu& vcpu) {
  u64& x0 = vcpu.arch.registers.x[0];
  const u32 function = static_cast<u32>(x0);
  if (function == psci::kVersionFunction) {
    x0 = psci::kVersion;
  } else if (!psci::is_served(function)) {
    x0 = psci::kNotSupported;
  } else {
    return ExitVector::Synchronous;
  }
  return ExitVector::Resume;
}

void skip_instruction(ExitSyndrome syndrome) { ELR_EL2::write(ELR_EL2::read() + syndrome.instruction_length()); }

[[gnu::noinline]] ExitVector answer_device(Vcpu& vcpu, ExitSyndrome syndrome, Gpa address) {
  if (!emulate_access(vcpu, DataAbort(syndrome.value()), address)) return ExitVector::Synchronous;
  skip_instruction(syndrome);
  return resume_or_leave(Cpu::current(), vcpu);
}

ExitVector answer_access(Vcpu& vcpu, ExitSyndrome syndrome) {
  const DataAbort abort(syndrome.value());
  const unsigned index = abort.register_index();
  const bool saved = index < kFirstUnsavedRegister || index == kZeroRegister;
  if (!saved || !abort.is_device_access()) return ExitVector::Synchronous;
  const Gpa address = fault_address(HPFAR_EL2::read(), FAR_EL2::read());
  const auto constant = vcpu.vm.arch.mmio_read_constant(address, abort.size());
  if (!constant || abort.is_write()) return answer_device(vcpu, syndrome, address);
  vcpu.arch.registers.write(index, abort.loaded_value(*constant));
  skip_instruction(syndrome);
  return ExitVector::Resume;
}

}  // namespace

// One function each, so that none saves registers for another.
extern "C" ExitVector ax_answer_interrupt(Vcpu& vcpu) {
  vcpu.count_exit();
  Cpu& cpu = Cpu::current();
  cpu.handle_interrupts();
  return resume_or_leave(cpu, vcpu);
}

extern "C" ExitVector ax_answer_system_error(Vcpu& vcpu) {
  vcpu.count_exit();
  return ExitVector::SystemError;
}

extern "C" ExitVector ax_answer_synchronous(Vcpu& vcpu) {
  vcpu.count_exit();
  const ExitSyndrome syndrome(ESR_EL2::read());
  if (syndrome.exception_class() == ExceptionClass::Hvc64) return answer_call(vcpu);
  if (syndrome.exception_class() == ExceptionClass::DataAbortLowerEl) return answer_access(vcpu, syndrome);
  return ExitVector::Synchronous;
}

void handle_exit(Vcpu& vcpu, ExitVector vector) {
  const ExitSyndrome syndrome(ESR_EL2::read());
  switch (vector) {
    case ExitVector::Synchronous: return kHandlers[static_cast<usize>(syndrome.exception_class())](vcpu, syndrome);
    case ExitVector::SystemError: return crash(vcpu, "an asynchronous external abort", syndrome);
    default: return;  // answered
  }
}

}  // namespace hv
