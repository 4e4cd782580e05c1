#include "hypervisor/vcpu/x86_64/exits.hpp"

#include <array>

#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vcpu/x86_64/arch_vcpu.hpp"
#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/instruction_emulation.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"

namespace hv {

using namespace x86;

namespace {

u32 low(u64 value) { return static_cast<u32>(value); }

// ---- instructions ----------------------------------------------------------------------------------------------------

void handle_cpuid(ArchVcpu& vcpu, const VmExit& exit) {
  GuestRegisters& r = vcpu.registers;
  const CpuidResult answer = vcpu.cpuid(low(r[Gpr::Rax]), low(r[Gpr::Rcx]));
  r[Gpr::Rax] = answer.eax;
  r[Gpr::Rbx] = answer.ebx;
  r[Gpr::Rcx] = answer.ecx;
  r[Gpr::Rdx] = answer.edx;
  vcpu.complete(exit.instruction_length);
}

void handle_halt(ArchVcpu& vcpu, const VmExit& exit) {
  vcpu.complete(exit.instruction_length);
  if ((vcpu.registers.rflags & Rflags::kTf) == 0) vcpu.halt();  // the trap behind it is what it would wait for
}

// There are none yet; the answer is the one that guests of other hypervisors know for that.
void handle_hypercall(ArchVcpu& vcpu, const VmExit& exit) {
  constexpr i64 kNoSuchCall = -1000;
  vcpu.registers[Gpr::Rax] = static_cast<u64>(kNoSuchCall);
  vcpu.complete(exit.instruction_length);
}

void handle_msr_read(ArchVcpu& vcpu, const VmExit& exit) {
  GuestRegisters& r = vcpu.registers;
  const std::optional<u64> value = vcpu.vm().msr_read(vcpu.owner(), low(r[Gpr::Rcx]));
  if (!value) return vcpu.inject(Vector::kGeneralProtection, 0);
  r[Gpr::Rax] = low(*value);
  r[Gpr::Rdx] = *value >> 32;
  vcpu.complete(exit.instruction_length);
}

void handle_msr_write(ArchVcpu& vcpu, const VmExit& exit) {
  const GuestRegisters& r = vcpu.registers;
  const u64 value = u64{low(r[Gpr::Rdx])} << 32 | low(r[Gpr::Rax]);
  if (!vcpu.vm().msr_write(vcpu.owner(), low(r[Gpr::Rcx]), value)) return vcpu.inject(Vector::kGeneralProtection, 0);
  vcpu.complete(exit.instruction_length);
}

void handle_xsetbv(ArchVcpu& vcpu, const VmExit& exit) {
  const GuestRegisters& r = vcpu.registers;
  const u64 value = u64{low(r[Gpr::Rdx])} << 32 | low(r[Gpr::Rax]);
  const bool valid = low(r[Gpr::Rcx]) == 0 && vcpu.backend().privilege() == 0 && vcpu.set_xcr0(value);
  if (!valid) return vcpu.inject(Vector::kGeneralProtection, 0);
  vcpu.complete(exit.instruction_length);
}

void handle_pause(ArchVcpu& vcpu, const VmExit& exit) {
  vcpu.complete(exit.instruction_length);
  Cpu::current().reschedule = true;  // another task may run first
}

void handle_undefined(ArchVcpu& vcpu, const VmExit&) { vcpu.inject(Vector::kInvalidOpcode); }
void handle_protected(ArchVcpu& vcpu, const VmExit&) { vcpu.inject(Vector::kGeneralProtection, 0); }

// ---- devices ---------------------------------------------------------------------------------------------------------

[[gnu::noinline]] void handle_any_port(ArchVcpu& vcpu, const VmExit& exit) {
  const PortAccess& access = exit.port;
  if (access.kind != 0 && access.kind != PortAccess::kIn) return emulate_instruction(vcpu, exit);
  u64& rax = vcpu.registers[Gpr::Rax];
  const u32 mask = ~u32{0} >> (sizeof(u32) - access.size) * 8;
  if (access.kind == PortAccess::kIn) {
    const u32 value = vcpu.vm().port_in(access.port, access.size) & mask;
    // A 32-bit result clears the upper half, smaller ones keep what surrounds them.
    rax = access.size == sizeof(u32) ? value : (rax & ~u64{mask}) | value;
  } else {
    vcpu.vm().port_out(access.port, access.size, low(rax) & mask);
  }
  vcpu.complete(exit.instruction_length);
}

void handle_port(ArchVcpu& vcpu, const VmExit& exit) {
  if (!exit.port.reads_low_byte()) return handle_any_port(vcpu, exit);
  const u32 value = vcpu.vm().board_port_in(exit.port.port);
  u64& rax = vcpu.registers[Gpr::Rax];
  rax = (rax & ~u64{0xff}) | (value & 0xff);
  vcpu.complete(exit.instruction_length);
}

void handle_nested_fault(ArchVcpu& vcpu, const VmExit& exit) {
  if (exit.during_delivery) return crash(vcpu, "an event could not be delivered: its tables or its stack are not in its memory");
  if (exit.fault.on_walk) return crash(vcpu, "its page tables are not in its memory");
  // All of its memory is mapped: only the flags of the region can be in the way. The architecture has no fault for
  // this; hypervisors that guard memory of a system raise this one, which no system takes for a page to be brought in.
  if (vcpu.owner().vm.memory().is_guarded(exit.fault.address)) return vcpu.inject(Vector::kGeneralProtection, 0);
  emulate_instruction(vcpu, exit);
}

void handle_task_priority(ArchVcpu& vcpu, const VmExit& exit) {
  const auto access = control_move(vcpu, exit);
  if (!access) return;  // another CPU of the guest changed the code: it runs again
  GuestRegisters& r = vcpu.registers;
  constexpr u64 kMaxPriority = 15;
  if (!access->write) {
    r[access->which] = vcpu.vm().task_priority(vcpu.owner());
  } else if (r[access->which] > kMaxPriority) {
    return vcpu.inject(Vector::kGeneralProtection, 0);
  } else {
    vcpu.vm().set_task_priority(vcpu.owner(), static_cast<u8>(r[access->which]));
  }
  vcpu.complete(access->length);
}

void handle_apic_write(ArchVcpu& vcpu, const VmExit& exit) {
  vcpu.vm().apic_written(vcpu.owner(), static_cast<u32>(exit.fault.address.value()));
}
void handle_end_of_interrupt(ArchVcpu& vcpu, const VmExit& exit) { vcpu.vm().interrupt_ended(vcpu.owner(), exit.ended_vector); }

void handle_cr4_write(ArchVcpu& vcpu, const VmExit& exit) {
  const auto move = control_move(vcpu, exit);
  if (!move) return;
  const CodeState code = vcpu.backend().code();
  const u64 value = vcpu.registers[move->which];
  if (!vcpu.set_cr4(code.is_64bit ? value : low(value), code.paging)) return vcpu.inject(Vector::kGeneralProtection, 0);
  vcpu.complete(move->length);
}

// ---- the rest --------------------------------------------------------------------------------------------------------

void handle_nothing(ArchVcpu&, const VmExit&) {}
void handle_window(ArchVcpu& vcpu, const VmExit&) { vcpu.interrupts_changed(); }

// STI and HLT are a pair: an interrupt between them would leave the guest waiting for the next one. Any other
// instruction does as well behind the interrupt as before it.
void handle_lost_shadow(ArchVcpu& vcpu, const VmExit& exit) {
  if (stands_at_halt(vcpu)) {
    constexpr unsigned kHaltLength = 1;
    vcpu.complete(kHaltLength);
    vcpu.halt();
  }
  handle_window(vcpu, exit);
}

void handle_fatal(ArchVcpu& vcpu, const VmExit& exit) { crash(vcpu, describe(exit.reason)); }

// ---- dispatch --------------------------------------------------------------------------------------------------------

constexpr auto kTable = [] {
  std::array<ExitHandler, kExitReasons> table{};
  table.fill(&handle_fatal);
  const auto set = [&](ExitReason reason, ExitHandler handler) { table[static_cast<usize>(reason)] = handler; };
  set(ExitReason::Handled, &handle_nothing);
  set(ExitReason::Nmi, &handle_nothing);
  set(ExitReason::InterruptWindow, &handle_window);
  set(ExitReason::NmiWindow, &handle_nothing);
  set(ExitReason::PriorityWindow, &handle_window);
  set(ExitReason::ApicWrite, &handle_apic_write);
  set(ExitReason::EndOfInterrupt, &handle_end_of_interrupt);
  set(ExitReason::LostShadow, &handle_lost_shadow);
  set(ExitReason::Cpuid, &handle_cpuid);
  set(ExitReason::Hlt, &handle_halt);
  set(ExitReason::Hypercall, &handle_hypercall);
  set(ExitReason::MsrRead, &handle_msr_read);
  set(ExitReason::MsrWrite, &handle_msr_write);
  set(ExitReason::PortIo, &handle_port);
  set(ExitReason::NestedFault, &handle_nested_fault);
  set(ExitReason::Xsetbv, &handle_xsetbv);
  set(ExitReason::TaskPriority, &handle_task_priority);
  set(ExitReason::Cr4Write, &handle_cr4_write);
  set(ExitReason::CacheInvalidation, &emulate_instruction);  // with its prefixes: WBNOINVD is WBINVD with one
  set(ExitReason::Pause, &handle_pause);
  set(ExitReason::UndefinedInstruction, &handle_undefined);
  set(ExitReason::ProtectedInstruction, &handle_protected);
  return table;
}();

void print_segment(const VcpuBackend& cpu, std::string_view name, SegmentRegister which) {
  const SegmentState s = cpu.segment(which);
  log::print_line("  {} {:#x}  base {:#x}  limit {:#x}  attributes {:#x}", name, s.selector, s.base, s.limit, s.attributes);
}

}  // namespace

constinit const std::array<ExitHandler, kExitReasons> kExitHandlers = kTable;

void crash(ArchVcpu& vcpu, std::string_view why) {
  const GuestRegisters& r = vcpu.registers;
  const VcpuBackend& cpu = vcpu.backend();
  const VmExit& exit = vcpu.backend().last_exit();
  log::print_line("axvisor: VM {}, vCPU {}: {} (exit {:#x}, guest-physical {:#x})", vcpu.owner().vm.name(), vcpu.owner().index,
                  why, exit.code, exit.fault.address.value());
  log::print_line("  rip {:#x}  rflags {:#x}  cr0 {:#x}  cr2 {:#x}  cr3 {:#x}  cr4 {:#x}  efer {:#x}", r.rip, r.rflags,
                  cpu.read(GuestRegister::Cr0), cpu.read(GuestRegister::Cr2), cpu.read(GuestRegister::Cr3),
                  cpu.read(GuestRegister::Cr4), cpu.read(GuestRegister::Efer));
  constexpr std::string_view kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                         "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  for (usize i = 0; i < r.gpr.size(); i += 4) {
    log::print_line("  {} {:#x}  {} {:#x}  {} {:#x}  {} {:#x}", kNames[i], r.gpr[i], kNames[i + 1], r.gpr[i + 1], kNames[i + 2],
                    r.gpr[i + 2], kNames[i + 3], r.gpr[i + 3]);
  }
  print_segment(cpu, "cs", SegmentRegister::Cs);
  print_segment(cpu, "ss", SegmentRegister::Ss);
  print_segment(cpu, "ds", SegmentRegister::Ds);
  vcpu.owner().vm.request_stop(StopReason::Crash);
}

}  // namespace hv
