#include "hypervisor/vcpu/x86_64/svm.hpp"

#include <algorithm>
#include <utility>

#include "hypervisor/vcpu/x86_64/architecture.hpp"

namespace hv::svm {
namespace {

using namespace x86;

// ---- what is intercepted ---------------------------------------------------------------------------------------------

constexpr u32 intercept_word(u64 code) { return static_cast<u32>((code - ExitCode::kFirstMisc) / 32); }
constexpr u32 intercept_bit(u64 code) { return u32{1} << (code - ExitCode::kFirstMisc) % 32; }

constexpr u64 kIntercepted[] = {
    ExitCode::kInterrupt, ExitCode::kNmi,     ExitCode::kInit,    ExitCode::kRdpmc,
    ExitCode::kCpuid,     ExitCode::kRsm,     ExitCode::kInvd,    ExitCode::kHlt,
    ExitCode::kPort,      ExitCode::kMsr,     ExitCode::kInvlpga, ExitCode::kTaskSwitch,
    ExitCode::kShutdown,  ExitCode::kVmrun,   ExitCode::kVmmcall, ExitCode::kVmload,
    ExitCode::kVmsave,    ExitCode::kStgi,    ExitCode::kClgi,    ExitCode::kSkinit,
    ExitCode::kWbinvd,    ExitCode::kMonitor, ExitCode::kMwait,   ExitCode::kMwaitConditional,
    ExitCode::kXsetbv,    ExitCode::kRdpru,
};
constexpr u32 kInterceptedCr = 1 << 8 | 1 << 20 | 1 << 24;  // reads and writes of CR8, writes of CR4
// A guest whose handlers raise these again for ever would never let the CPU go (APM vol. 2 15.14.4). A machine check is
// the host's.
constexpr u32 kInterceptedExceptions = 1 << Vector::kDebug | 1 << Vector::kAlignmentCheck | 1 << Vector::kMachineCheck;
constexpr u16 kPausesBeforeExit = 3000;

// ---- what an exit means ----------------------------------------------------------------------------------------------

/// What of the control block an exit is about.
enum Details : u8 { kNoDetails, kFaultDetails, kPortDetails, kMsrDetails, kOtherDetails };

constexpr usize kExitCodes = 0x90;
constexpr auto kExitKinds = [] {
  std::array<ExitKind, kExitCodes> table;
  table.fill({.reason = ExitReason::Unexpected, .details = kOtherDetails});
  const auto set = [&](u64 code, ExitReason reason, u8 length) {
    const bool has_others = reason == ExitReason::InterruptWindow || reason == ExitReason::TaskPriority ||
                            reason == ExitReason::Cr4Write || reason == ExitReason::NmiWindow;
    const Details details = reason == ExitReason::PortIo    ? kPortDetails
                            : reason == ExitReason::MsrRead ? kMsrDetails
                            : has_others                    ? kOtherDetails
                                                            : kNoDetails;
    table[code] = {.reason = reason, .instruction_length = length, .details = details};
  };
  set(ExitCode::kCr8Read, ExitReason::TaskPriority, 0);
  set(ExitCode::kCr8Write, ExitReason::TaskPriority, 0);
  set(ExitCode::kCr4Write, ExitReason::Cr4Write, 0);
  set(ExitCode::kInterrupt, ExitReason::Interrupt, 0);
  set(ExitCode::kNmi, ExitReason::Nmi, 0);
  set(ExitCode::kInit, ExitReason::Handled, 0);
  set(ExitCode::kInterruptWindow, ExitReason::InterruptWindow, 0);
  set(ExitCode::kIret, ExitReason::NmiWindow, 0);
  set(ExitCode::kRdpmc, ExitReason::ProtectedInstruction, 0);
  set(ExitCode::kCpuid, ExitReason::Cpuid, 2);
  set(ExitCode::kInvd, ExitReason::CacheInvalidation, 2);
  set(ExitCode::kPause, ExitReason::Pause, 2);
  set(ExitCode::kHlt, ExitReason::Hlt, 1);
  set(ExitCode::kPort, ExitReason::PortIo, 0);
  set(ExitCode::kMsr, ExitReason::MsrRead, 2);
  set(ExitCode::kTaskSwitch, ExitReason::TaskSwitch, 0);
  set(ExitCode::kShutdown, ExitReason::Shutdown, 0);
  set(ExitCode::kVmmcall, ExitReason::Hypercall, 3);
  set(ExitCode::kWbinvd, ExitReason::CacheInvalidation, 2);
  set(ExitCode::kXsetbv, ExitReason::Xsetbv, 3);
  for (const u64 code : {ExitCode::kRsm, ExitCode::kInvlpga, ExitCode::kVmrun, ExitCode::kVmload, ExitCode::kVmsave,
                         ExitCode::kStgi, ExitCode::kClgi, ExitCode::kSkinit, ExitCode::kMonitor, ExitCode::kMwait,
                         ExitCode::kMwaitConditional, ExitCode::kRdpru}) {
    set(code, ExitReason::UndefinedInstruction, 0);
  }
  return table;
}();

constexpr ExitKind kind_beyond_table(u64 code) {
  if (code == ExitCode::kNestedFault) [[likely]]
    return {.reason = ExitReason::NestedFault, .details = kFaultDetails};
  return {.reason = static_cast<u32>(code) == ExitCode::kInvalid ? ExitReason::InvalidState : ExitReason::Unexpected};
}

// ---- where registers are ---------------------------------------------------------------------------------------------

struct Field {
  u16 offset;  // in the save area
  u16 clean;   // what is no longer clean when it changes
};

constexpr auto kFields = [] {
  std::array<Field, kGuestRegisters> table{};
  const auto set = [&](GuestRegister which, usize offset, u32 clean) {
    table[static_cast<usize>(which)] = {static_cast<u16>(offset), static_cast<u16>(clean)};
  };
  set(GuestRegister::Cr0, offsetof(SaveArea, cr0), Clean::kControlRegisters);
  set(GuestRegister::Cr2, offsetof(SaveArea, cr2), Clean::kCr2);
  set(GuestRegister::Cr3, offsetof(SaveArea, cr3), Clean::kControlRegisters);
  set(GuestRegister::Cr4, offsetof(SaveArea, cr4), Clean::kControlRegisters);
  set(GuestRegister::Efer, offsetof(SaveArea, efer), Clean::kControlRegisters);
  set(GuestRegister::Dr6, offsetof(SaveArea, dr6), Clean::kDebugRegisters);
  set(GuestRegister::Dr7, offsetof(SaveArea, dr7), Clean::kDebugRegisters);
  set(GuestRegister::Pat, offsetof(SaveArea, pat), Clean::kNestedPaging);
  set(GuestRegister::FsBase, offsetof(SaveArea, fs.base), 0);
  set(GuestRegister::GsBase, offsetof(SaveArea, gs.base), 0);
  set(GuestRegister::KernelGsBase, offsetof(SaveArea, kernel_gs_base), 0);
  set(GuestRegister::Star, offsetof(SaveArea, star), 0);
  set(GuestRegister::Lstar, offsetof(SaveArea, lstar), 0);
  set(GuestRegister::Cstar, offsetof(SaveArea, cstar), 0);
  set(GuestRegister::Sfmask, offsetof(SaveArea, sfmask), 0);
  set(GuestRegister::SysenterCs, offsetof(SaveArea, sysenter_cs), 0);
  set(GuestRegister::SysenterEsp, offsetof(SaveArea, sysenter_esp), 0);
  set(GuestRegister::SysenterEip, offsetof(SaveArea, sysenter_eip), 0);
  return table;
}();

constexpr SegmentState SaveArea::* kSegments[] = {&SaveArea::es, &SaveArea::cs, &SaveArea::ss,   &SaveArea::ds,
                                                  &SaveArea::fs, &SaveArea::gs, &SaveArea::ldtr, &SaveArea::tr};

u64& field(SaveArea& save, Field f) { return *reinterpret_cast<u64*>(reinterpret_cast<std::byte*>(&save) + f.offset); }

}  // namespace

// ---- life ------------------------------------------------------------------------------------------------------------

SvmVcpu::SvmVcpu(const SvmMachineState& machine, HpaRange control_block, VmFrames& frames, const VcpuSettings& settings)
    : machine_(machine),
      settings_(settings),
      vmcb_(*::new(reinterpret_cast<void*>(control_block.base.value())) Vmcb{}),
      address_(control_block.base),
      frames_(frames) {
  ControlArea& c = vmcb_.control;
  c.intercept_cr = kInterceptedCr;
  c.intercept_exceptions = kInterceptedExceptions;
  for (const u64 code : kIntercepted) set_intercept(code, true);
  if (machine.features.pause_filter) {
    set_intercept(ExitCode::kPause, true);
    c.pause_filter_count = kPausesBeforeExit;
  }
  c.iopm_base = settings.port_permissions.value();
  c.msrpm_base = machine.msr_permissions.value();
  c.tsc_offset = settings.tsc_offset;
  c.virtual_interrupt = VirtualInterrupt::kMasking;
  c.nested_enable = 1;
  c.nested_cr3 = settings.translation.root().value();
  write(GuestRegister::Efer, 0);
}

SvmVcpu::~SvmVcpu() { frames_.free({address_, sizeof(Vmcb)}); }

void SvmVcpu::load(unsigned cpu) {
  cpu_ = &machine_.cpus[cpu];
  // Each CPU has numbers of its own. One that it gave out before tells of translations that may have changed since: what a
  // guest invalidates on one CPU stays in the TLB of another.
  if (cpu_ != last_cpu_) asid_ = {};
  last_cpu_ = cpu_;
  // Another vCPU's values may be cached under this address: it was a different VM's frame once.
  vmcb_.control.clean = 0;
  load_breakpoints(breakpoints_);
  if (machine_.features.tsc_aux) write_guest_msr(Msr::kTscAux, tsc_aux_);
}

void SvmVcpu::put() {
  if (machine_.features.tsc_aux) tsc_aux_ = read_guest_msr(Msr::kTscAux);
  save_breakpoints(breakpoints_);
  cpu_ = nullptr;
}

// A new ASID has nothing in the TLB: taking one is a flush.
void SvmVcpu::renew_asid() {
  ControlArea& c = vmcb_.control;
  epoch_ = settings_.translation.epoch();
  if (cpu_->asids.is_current(asid_) && machine_.features.flush_by_asid) {
    c.tlb_control = TlbControl::kFlushThisAsid;
    return;
  }
  if (cpu_->asids.renew(asid_)) c.tlb_control = TlbControl::kFlushAll;
  c.asid = asid_.number;
  c.clean &= ~Clean::kAsid;
}

// ---- entry and exit --------------------------------------------------------------------------------------------------

[[gnu::always_inline]] inline void SvmVcpu::describe_fault() {
  const ControlArea& c = vmcb_.control;
  exit_.instruction_length = 0;  // the next RIP is not valid here
  exit_.fault = {.address = Gpa(c.exit_info_2),
                 .write = (c.exit_info_1 & FaultInfo::kWrite) != 0,
                 .fetch = (c.exit_info_1 & FaultInfo::kFetch) != 0,
                 .on_walk = (c.exit_info_1 & FaultInfo::kOnWalk) != 0};
}

// The hardware tells the kind of access in the bits that PortAccess has, and where the next instruction is.
[[gnu::always_inline]] inline void SvmVcpu::describe_port(const GuestRegisters& registers) {
  const u64 info = vmcb_.control.exit_info_1;
  constexpr u64 kKind = PortInfo::kIn | PortInfo::kString | PortInfo::kRepeat;
  static_assert(kKind == (PortAccess::kIn | PortAccess::kString | PortAccess::kRepeat));
  exit_.instruction_length = static_cast<u8>(vmcb_.control.exit_info_2 - registers.rip);
  exit_.port = {.port = static_cast<u16>(info >> PortInfo::kPortShift),
                .size = static_cast<u8>(info >> PortInfo::kSizeShift & 7),
                .kind = static_cast<u8>(info & kKind)};
}

const VmExit& SvmVcpu::enter(GuestRegisters& registers) {
  ControlArea& c = vmcb_.control;
  SaveArea& s = vmcb_.save;
  if (epoch_ != settings_.translation.epoch() || !cpu_->asids.is_current(asid_)) [[unlikely]]
    renew_asid();
  if (needs_preparation_) [[unlikely]]
    prepare_entry(registers);
  s.rax = registers[Gpr::Rax];
  s.rsp = registers[Gpr::Rsp];
  s.rip = registers.rip;
  s.rflags = registers.rflags;

  ax_svm_enter(&registers, address_.value(), cpu_->host_state.value());

  registers[Gpr::Rax] = s.rax;
  registers[Gpr::Rsp] = s.rsp;
  registers.rip = s.rip;
  registers.rflags = s.rflags;
  c.tlb_control = TlbControl::kNothing;
  c.clean = Clean::kAll;
  if (injects_) [[unlikely]]
    end_injection();
  completes_simply_ = true;
  if ((c.interrupt_shadow & kInShadow) != 0 || shadowed_ != kNothingShadowed) [[unlikely]]
    completes_simply_ = follow_shadow(registers.rip);
  exit_.code = c.exit_code;
  exit_.set_kind(exit_.code < kExitCodes ? kExitKinds[exit_.code] : kind_beyond_table(exit_.code));
  if (Event(c.exit_interrupt_info).valid()) [[unlikely]]
    repeat_interrupted_event();
  // Where known lengths end the CPU may know; prefixes it knows better.
  if (machine_.features.next_rip && c.next_rip != 0) exit_.instruction_length = static_cast<u8>(c.next_rip - registers.rip);
  switch (exit_.details) {
    case kNoDetails: break;
    case kFaultDetails: describe_fault(); break;
    case kPortDetails: describe_port(registers); break;
    case kMsrDetails:
      if (c.exit_info_1 != 0) exit_.reason = ExitReason::MsrWrite;
      break;
    default: describe(registers);
  }
  return exit_;
}

[[gnu::noinline]] void SvmVcpu::prepare_entry(GuestRegisters& registers) {
  if (nmi_waits_) step_over_return(registers);
  const Event event(vmcb_.control.event_injection);
  injects_ = event.valid();
  if (machine_.features.injects_twice && injects_ && event.type() == Event::Type::Interrupt && !window_open())
    offer_interrupt(event.vector());
  needs_preparation_ = nmi_waits_;
}

// A virtual interrupt instead, which the guest takes at once as well: it has been seen to be able to.
void SvmVcpu::offer_interrupt(u8 vector) {
  ControlArea& c = vmcb_.control;
  c.event_injection = 0;
  c.virtual_interrupt = VirtualInterrupt::kMasking | VirtualInterrupt::kPending | VirtualInterrupt::kPriorityMax |
                        VirtualInterrupt::kIgnoreTpr | u64{vector} << VirtualInterrupt::kVectorShift;
  c.clean &= ~Clean::kInterrupts;
  offers_ = true;
}

// What the guest has not taken is injected again: an interrupt of the host came first, or QEMU met a fault in its delivery.
void SvmVcpu::end_injection() {
  ControlArea& c = vmcb_.control;
  injects_ = false;
  c.event_injection = 0;
  const bool offered = std::exchange(offers_, false), taken = (c.virtual_interrupt & VirtualInterrupt::kPending) == 0;
  if (!offered || taken) return;
  set_event(Event::of(Event::Type::Interrupt, static_cast<u8>(c.virtual_interrupt >> VirtualInterrupt::kVectorShift)));
  c.virtual_interrupt = VirtualInterrupt::kMasking;
  c.clean &= ~Clean::kInterrupts;
}

void SvmVcpu::set_event(Event event) {
  vmcb_.control.event_injection = event.encoded();
  needs_preparation_ = true;
}

[[gnu::noinline]] void SvmVcpu::repeat_interrupted_event() {
  const Event interrupted(vmcb_.control.exit_interrupt_info);
  exit_.during_delivery = true;
  // QEMU calls a virtual interrupt that it could not deliver an exception, too.
  if (interrupted.must_be_repeated() && !Event(vmcb_.control.event_injection).valid()) set_event(interrupted);
}

/// Whether the guest stands behind what was shadowed.
bool SvmVcpu::follow_shadow(u64 rip) {
  if ((vmcb_.control.interrupt_shadow & kInShadow) != 0) {
    shadowed_ = rip;
    return false;
  }
  if (shadowed_ == rip) return false;
  shadowed_ = kNothingShadowed;
  return true;
}

void SvmVcpu::describe(GuestRegisters& registers) {
  const ControlArea& c = vmcb_.control;
  const u64 code = exit_.code;
  switch (exit_.reason) {
    case ExitReason::InterruptWindow:
      close_window();
      if (shadowed_ == registers.rip) exit_.reason = ExitReason::LostShadow;
      shadowed_ = kNothingShadowed;
      break;
    case ExitReason::TaskPriority:
    case ExitReason::Cr4Write:
      exit_.control_move.write = code != ExitCode::kCr8Read;
      exit_.control_move.which.reset();
      if (machine_.features.decode_assists) exit_.control_move.which = static_cast<Gpr>(c.exit_info_1 & 15);
      break;
    case ExitReason::NmiWindow:
      // The IRET runs now; afterwards NMIs are open.
      set_intercept(ExitCode::kIret, false);
      nmi_ = NmiState::Returning;
      nmi_return_ = registers.rip;
      exit_.reason = ExitReason::Handled;
      break;
    case ExitReason::Unexpected: return classify_exception(registers);
    default: break;
  }
}

// The guest takes an intercepted exception all the same: it was only to be seen.
void SvmVcpu::classify_exception(GuestRegisters& registers) {
  const ControlArea& c = vmcb_.control;
  const u64 vector = c.exit_code - ExitCode::kFirstException;
  if (vector == Vector::kMachineCheck) exit_.reason = ExitReason::MachineCheck;
  if (vector == Vector::kDebug && stepping_) return end_step(registers);
  if (vector != Vector::kDebug && vector != Vector::kAlignmentCheck) return;
  const std::optional<u32> error_code =
      vector == Vector::kAlignmentCheck ? std::optional(static_cast<u32>(c.exit_info_1)) : std::nullopt;
  exit_.reason = inject_exception(static_cast<u8>(vector), error_code) ? ExitReason::Handled : ExitReason::Shutdown;
}

void SvmVcpu::complete_instruction(GuestRegisters& registers, unsigned length) {
  registers.rip += length;
  vmcb_.control.interrupt_shadow = 0;
  shadowed_ = kNothingShadowed;
  if ((registers.rflags & Rflags::kTf) != 0) [[unlikely]] {
    write(GuestRegister::Dr6, vmcb_.save.dr6 | kDr6SingleStep);
    static_cast<void>(inject_exception(Vector::kDebug, {}));  // nothing is pending that it could double
  }
}

std::span<const u8> SvmVcpu::instruction_bytes() const {
  if (!machine_.features.decode_assists) return {};
  const ControlArea& c = vmcb_.control;
  return {c.instruction_bytes, std::min<usize>(c.fetched_bytes, sizeof(c.instruction_bytes))};
}

// ---- registers -------------------------------------------------------------------------------------------------------

u64 SvmVcpu::read(GuestRegister which) const {
  if (which == GuestRegister::TscAux)
    return cpu_ != nullptr && machine_.features.tsc_aux ? read_guest_msr(Msr::kTscAux) : tsc_aux_;
  const u64 value = field(vmcb_.save, kFields[static_cast<usize>(which)]);
  // SVME is the host's; a guest that looks sees its own.
  return which == GuestRegister::Efer ? value & ~Efer::kSvme : value;
}

void SvmVcpu::write(GuestRegister which, u64 value) {
  if (which == GuestRegister::TscAux) {
    tsc_aux_ = value;
    if (cpu_ != nullptr && machine_.features.tsc_aux) write_guest_msr(Msr::kTscAux, value);
    return;
  }
  const Field f = kFields[static_cast<usize>(which)];
  field(vmcb_.save, f) = which == GuestRegister::Efer ? value | Efer::kSvme : value;
  if (which == GuestRegister::Cr4) epoch_ = kFlush;  // what it says about pages is also in the TLB (APM vol. 2 15.16.1)
  vmcb_.control.clean &= ~u32{f.clean};
}

SegmentState SvmVcpu::segment(SegmentRegister which) const { return vmcb_.save.*kSegments[static_cast<usize>(which)]; }

void SvmVcpu::set_segment(SegmentRegister which, const SegmentState& state) {
  vmcb_.save.*kSegments[static_cast<usize>(which)] = state;
  vmcb_.control.clean &= ~Clean::kSegments;
}

TableState SvmVcpu::table(DescriptorTable which) const {
  const SegmentState& t = which == DescriptorTable::Gdt ? vmcb_.save.gdtr : vmcb_.save.idtr;
  return {t.base, static_cast<u16>(t.limit)};
}

void SvmVcpu::set_table(DescriptorTable which, const TableState& state) {
  SegmentState& t = which == DescriptorTable::Gdt ? vmcb_.save.gdtr : vmcb_.save.idtr;
  t = {.limit = state.limit, .base = state.base};
  vmcb_.control.clean &= ~Clean::kDescriptorTables;
}

void SvmVcpu::set_privilege(unsigned level) {
  vmcb_.save.cpl = static_cast<u8>(level);
  vmcb_.control.clean &= ~Clean::kSegments;
}

void SvmVcpu::set_tsc_offset(u64 offset) {
  vmcb_.control.tsc_offset = offset;
  vmcb_.control.clean &= ~Clean::kIntercepts;
}

// ---- events ----------------------------------------------------------------------------------------------------------

void SvmVcpu::set_intercept(u64 exit_code, bool on) {
  u32& word = vmcb_.control.intercept_misc[intercept_word(exit_code)];
  word = on ? word | intercept_bit(exit_code) : word & ~intercept_bit(exit_code);
  vmcb_.control.clean &= ~Clean::kIntercepts;
}

bool SvmVcpu::inject_exception(u8 vector, std::optional<u32> error_code) {
  if ((vmcb_.save.cr0 & Cr0::kPe) == 0) error_code.reset();  // real mode knows none
  const auto event = combine(Event(vmcb_.control.event_injection), Event::of(Event::Type::Exception, vector, error_code));
  set_event(event.value_or(Event()));
  return event.has_value();
}

void SvmVcpu::inject_interrupt(u8 vector) {
  if (window_open()) close_window();
  set_event(Event::of(Event::Type::Interrupt, vector));
}

void SvmVcpu::inject_nmi() {
  set_event(Event::of(Event::Type::Nmi, Vector::kNmi));
  nmi_ = NmiState::Masked;
  set_intercept(ExitCode::kIret, true);
}

bool SvmVcpu::can_take_interrupt(const GuestRegisters& registers) const {
  const ControlArea& c = vmcb_.control;
  return (registers.rflags & Rflags::kIf) != 0 && (c.interrupt_shadow & kInShadow) == 0 && shadowed_ != registers.rip &&
         !Event(c.event_injection).valid();
}

bool SvmVcpu::can_take_nmi(const GuestRegisters& registers) const {
  if (Event(vmcb_.control.event_injection).valid()) return false;
  return nmi_ == NmiState::Open || (nmi_ == NmiState::Returning && registers.rip != nmi_return_);
}

// While another NMI is handled it is the IRET that opens the window. What else stands in its way is over soon, and
// nearly always when an interrupt could be taken.
void SvmVcpu::request_nmi_window() {
  if (nmi_ == NmiState::Open) return request_interrupt_window();
  nmi_waits_ = needs_preparation_ = true;
}

// The IRET is single-stepped: it loads the flag that the guest has saved, and traps behind it all the same.
void SvmVcpu::step_over_return(GuestRegisters& registers) {
  if (nmi_ == NmiState::Masked) return;
  nmi_waits_ = false;
  if (registers.rip != nmi_return_) {
    nmi_ = NmiState::Open;
    return request_interrupt_window();
  }
  if ((registers.rflags & Rflags::kTf) != 0) return;  // the guest is left there anyway
  registers.rflags |= Rflags::kTf;
  stepping_ = true;
  step_dr6_ = vmcb_.save.dr6;
}

// Had the IRET raised an exception, or had an interrupt come before it, the flag would have been saved with the others
// and be back by now.
void SvmVcpu::end_step(GuestRegisters& registers) {
  exit_.reason = ExitReason::Handled;
  if (registers.rip == nmi_return_) return;
  exit_.reason = ExitReason::NmiWindow;
  registers.rflags &= ~Rflags::kTf;
  stepping_ = false;
  nmi_ = NmiState::Open;
  write(GuestRegister::Dr6, step_dr6_);
}

// A virtual interrupt that is intercepted the moment it could be taken.
void SvmVcpu::request_interrupt_window() {
  ControlArea& c = vmcb_.control;
  c.virtual_interrupt |= VirtualInterrupt::kPending | VirtualInterrupt::kPriorityMax | VirtualInterrupt::kIgnoreTpr;
  c.clean &= ~Clean::kInterrupts;
  set_intercept(ExitCode::kInterruptWindow, true);
}

void SvmVcpu::close_window() {
  ControlArea& c = vmcb_.control;
  c.virtual_interrupt = VirtualInterrupt::kMasking;
  c.clean &= ~Clean::kInterrupts;
  set_intercept(ExitCode::kInterruptWindow, false);
}

void SvmVcpu::reset_events() {
  vmcb_.control.event_injection = 0;
  vmcb_.control.interrupt_shadow = 0;
  shadowed_ = kNothingShadowed;
  nmi_ = NmiState::Open;
  nmi_waits_ = stepping_ = false;
  set_intercept(ExitCode::kIret, false);
  close_window();
}

}  // namespace hv::svm
