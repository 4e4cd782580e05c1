#include "hypervisor/vcpu/x86_64/vmx.hpp"

#include <algorithm>
#include <arch/cpu.hpp>
#include <arch/vmx.hpp>

#include "hypervisor/vcpu/x86_64/architecture.hpp"

namespace hv::vmx {

using arch::Vmx;

namespace {

using namespace x86;

// ---- what belongs to the host ----------------------------------------------------------------------------------------

// NE must be 1 in VMX operation, and a guest must not turn off caches that the host shares. What the guest sees is in
// the shadow.
constexpr u64 kCr0Owned = Cr0::kNe | Cr0::kCd | Cr0::kNw;
// The features behind every other bit are hidden: a guest that sets one of them gets #GP. Bits 0 to 11, 16 to 18, 20
// and 21 are VME to UMIP, FSGSBASE, PCIDE, OSXSAVE, SMEP and SMAP; of those the CPU checks what it has itself.
constexpr u64 kCr4Guest = 0x37'0fff;
constexpr u64 kCr4Owned = ~kCr4Guest;
// A guest whose handlers raise these again for ever would never let the CPU go. A machine check is the host's.
constexpr u32 kInterceptedExceptions = 1 << Vector::kDebug | 1 << Vector::kAlignmentCheck | 1 << Vector::kMachineCheck;
constexpr u64 kPortMapB = 0x1000;            // offset of I/O bitmap B in PortPermissions
constexpr u64 kVirtualApicPage = kPageSize;  // offset in the vCPU's frames
constexpr u64 kApicAddress = 0xfee0'0000;    // of the local APIC, where VcpuSettings::apic_access is found

// ---- what an exit means ----------------------------------------------------------------------------------------------

struct Meaning {
  ExitReason reason;
  bool instruction;  // the VMCS has its length
};

constexpr usize kReasons = 60;
constexpr auto kMeanings = [] {
  std::array<Meaning, kReasons> table;
  table.fill({ExitReason::Unexpected, false});
  const auto set = [&](u32 reason, ExitReason meaning, bool instruction = false) { table[reason] = {meaning, instruction}; };
  set(Reason::kInterrupt, ExitReason::Interrupt);
  set(Reason::kPreemptionTimer, ExitReason::Interrupt);
  set(Reason::kTripleFault, ExitReason::Shutdown);
  set(Reason::kTprBelowThreshold, ExitReason::PriorityWindow);
  set(Reason::kApicAccess, ExitReason::NestedFault);
  set(Reason::kVirtualizedEoi, ExitReason::EndOfInterrupt);
  set(Reason::kApicWrite, ExitReason::ApicWrite);
  set(Reason::kInit, ExitReason::Handled);
  set(Reason::kStartup, ExitReason::Handled);
  set(Reason::kInterruptWindow, ExitReason::InterruptWindow);
  set(Reason::kNmiWindow, ExitReason::NmiWindow);
  set(Reason::kTaskSwitch, ExitReason::TaskSwitch);
  set(Reason::kCpuid, ExitReason::Cpuid, true);
  set(Reason::kHlt, ExitReason::Hlt, true);
  set(Reason::kInvd, ExitReason::CacheInvalidation, true);
  set(Reason::kWbinvd, ExitReason::CacheInvalidation, true);
  set(Reason::kRdpmc, ExitReason::ProtectedInstruction);
  set(Reason::kVmcall, ExitReason::Hypercall, true);
  set(Reason::kPort, ExitReason::PortIo, true);
  set(Reason::kRdmsr, ExitReason::MsrRead, true);
  set(Reason::kWrmsr, ExitReason::MsrWrite, true);
  set(Reason::kXsetbv, ExitReason::Xsetbv, true);
  set(Reason::kEptViolation, ExitReason::NestedFault);
  set(Reason::kInvalidGuestState, ExitReason::InvalidState);
  set(Reason::kMsrLoading, ExitReason::InvalidState);
  for (const u32 reason : {Reason::kGetsec, Reason::kRsm, Reason::kMwait, Reason::kMonitor, Reason::kInvept, Reason::kRdtscp,
                           Reason::kInvvpid, Reason::kInvpcid, Reason::kVmfunc}) {
    set(reason, ExitReason::UndefinedInstruction);
  }
  for (u32 reason = Reason::kVmclear; reason <= Reason::kVmxon; ++reason) set(reason, ExitReason::UndefinedInstruction);
  return table;
}();

// ---- where registers are ---------------------------------------------------------------------------------------------

constexpr std::array<GuestRegister, 8> kSwitchedRegisters = {
    GuestRegister::Cr2,   GuestRegister::Dr6,   GuestRegister::KernelGsBase, GuestRegister::Star,
    GuestRegister::Lstar, GuestRegister::Cstar, GuestRegister::Sfmask,       GuestRegister::TscAux};

// 0: not a field of its own.
constexpr auto kFields = [] {
  std::array<u16, kGuestRegisters> table{};
  const auto set = [&](GuestRegister which, u32 field) { table[static_cast<usize>(which)] = static_cast<u16>(field); };
  set(GuestRegister::Cr3, Field::kGuestCr3);
  set(GuestRegister::Dr7, Field::kGuestDr7);
  set(GuestRegister::Pat, Field::kGuestPat);
  set(GuestRegister::Efer, Field::kGuestEfer);
  set(GuestRegister::FsBase, Field::kGuestFsBase);
  set(GuestRegister::GsBase, Field::kGuestGsBase);
  set(GuestRegister::SysenterCs, Field::kGuestSysenterCs);
  set(GuestRegister::SysenterEsp, Field::kGuestSysenterEsp);
  set(GuestRegister::SysenterEip, Field::kGuestSysenterEip);
  return table;
}();

usize switched_index(GuestRegister which) {
  return static_cast<usize>(std::ranges::find(kSwitchedRegisters, which) - kSwitchedRegisters.begin());
}

constexpr u32 kFieldStep = 2;
u32 segment_field(u32 first, SegmentRegister which) { return first + kFieldStep * static_cast<u32>(which); }

// Access rights (SDM vol. 3 table 25-2) have four unused bits in the middle, and one for a segment that cannot be used.
constexpr u32 kUnusable = 1 << 16;
constexpr u32 to_access_rights(u16 attributes) {
  const u32 rights = (attributes & 0xffu) | (attributes & 0xf00u) << 4;
  return (attributes & SegmentState::kPresent) != 0 ? rights : rights | kUnusable;
}
constexpr u16 from_access_rights(u64 rights) { return static_cast<u16>((rights & 0xff) | (rights >> 4 & 0xf00)); }
constexpr unsigned kPrivilegeShift = 5;

}  // namespace

class VmxVcpu::Current {
 public:
  explicit Current(const VmxVcpu& vcpu) : region_(vcpu.cpu_ == nullptr ? vcpu.region_.value() : 0) {
    if (region_ == 0) return;
    interrupts_ = arch::irq_save();
    previous_ = Vmx::current();
    Vmx::load(region_);
  }
  ~Current() {
    if (region_ == 0) return;
    Vmx::clear(region_);
    if (previous_ != kNone) Vmx::load(previous_);
    arch::irq_restore(interrupts_);
  }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  static constexpr u64 kNone = ~u64{0};
  u64 region_;  ///< 0: nothing to do
  u64 previous_ = kNone;
  u64 interrupts_ = 0;
};

// ---- life ------------------------------------------------------------------------------------------------------------

VmxVcpu::VmxVcpu(const VmxMachineState& machine, HpaRange region, VmFrames& frames, const VcpuSettings& settings)
    : machine_(machine), settings_(settings), region_(region.base), frames_(frames), primary_(machine.controls.primary) {
  auto* words = reinterpret_cast<u32*>(region.base.value());
  __builtin_memset(words, 0, region.size);
  words[0] = machine.revision;
  Vmx::clear(region_.value());
  delivers_interrupts_ = settings.apic_access && (machine.controls.secondary & Secondary::kInterruptDelivery) != 0;
  const Current current(*this);
  write_constant_fields();
}

VmxVcpu::~VmxVcpu() { frames_.free({region_, kRegionSize}); }

void VmxVcpu::write_constant_fields() {
  struct Constant {
    u32 field;
    u64 value;
  };
  const Controls& c = machine_.controls;
  const Constant kConstants[] = {
      {Field::kPinControls, c.pin},
      {Field::kProcessorControls, c.primary},
      {Field::kSecondaryControls, secondary_controls(ApicMode::Elsewhere)},
      {Field::kExitControls, c.exit},
      {Field::kEntryControls, c.entry},
      {Field::kExceptionBitmap, kInterceptedExceptions},
      {Field::kPageFaultMask, 0},
      {Field::kPageFaultMatch, 0},
      {Field::kCr3TargetCount, 0},
      {Field::kExitMsrStoreCount, 0},
      {Field::kExitMsrLoadCount, 0},
      {Field::kEntryMsrLoadCount, 0},
      {Field::kEntryInterruption, 0},
      {Field::kIoBitmapA, settings_.port_permissions.value()},
      {Field::kIoBitmapB, settings_.port_permissions.value() + kPortMapB},
      {Field::kMsrBitmap, machine_.msr_permissions.value()},
      {Field::kTscOffset, settings_.tsc_offset},
      {Field::kEptPointer, settings_.translation.ept_pointer()},
      {Field::kCr0Mask, kCr0Owned},
      {Field::kCr4Mask, kCr4Owned},
      {Field::kVmcsLink, ~u64{0}},
      {Field::kGuestDebugControl, 0},
      {Field::kGuestActivity, 0},
      {Field::kGuestInterruptibility, 0},
      {Field::kGuestPendingDebug, 0},
      {Field::kHostSysenterCs, 0},
      {Field::kHostSysenterEsp, 0},
      {Field::kHostSysenterEip, 0},
      {Field::kHostRip, reinterpret_cast<u64>(&ax_vmx_exit)},
      {Field::kGuestRsp, rsp_},
      {Field::kGuestRip, rip_},
      {Field::kGuestRflags, rflags_},
  };
  for (const Constant& constant : kConstants) Vmx::write(constant.field, constant.value);
  if (shadows_task_priority()) {
    Vmx::write(Field::kVirtualApic, region_.value() + kVirtualApicPage);
    Vmx::write(Field::kTprThreshold, 0);
  }
  if (delivers_interrupts_) {
    Vmx::write(Field::kApicAccess, settings_.apic_access->value());
    Vmx::write(Field::kGuestInterruptStatus, 0);
    for (u32 i = 0; i < told_.size(); ++i) Vmx::write(Field::kEoiExits + kFieldStep * i, 0);
  }
  if (machine_.preemption_ticks != 0) Vmx::write(Field::kPreemptionTimer, machine_.preemption_ticks);
}

void VmxVcpu::write_host_state() {
  const HostState h = host_state();
  const std::pair<u32, u64> kFieldsOfHost[] = {{Field::kHostCr0, h.cr0},           {Field::kHostCr3, h.cr3},
                                               {Field::kHostCr4, h.cr4},           {Field::kHostEfer, h.efer},
                                               {Field::kHostPat, h.pat},           {Field::kHostEsSelector, h.es},
                                               {Field::kHostCsSelector, h.cs},     {Field::kHostSsSelector, h.ss},
                                               {Field::kHostDsSelector, h.ds},     {Field::kHostFsSelector, h.fs},
                                               {Field::kHostGsSelector, h.gs},     {Field::kHostTrSelector, h.tr},
                                               {Field::kHostFsBase, h.fs_base},    {Field::kHostGsBase, h.gs_base},
                                               {Field::kHostTrBase, h.tr_base},    {Field::kHostGdtrBase, h.gdtr_base},
                                               {Field::kHostIdtrBase, h.idtr_base}};
  for (const auto& [field, value] : kFieldsOfHost) Vmx::write(field, value);
}

void VmxVcpu::load(unsigned cpu) {
  cpu_ = &machine_.cpus[cpu];
  Vmx::load(region_.value());
  launched_ = false;
  if (cpu_ != last_cpu_) {
    // Tables, stacks and VPIDs are each CPU's own, and what a guest invalidates on one CPU stays in the TLB of another.
    write_host_state();
    vpid_ = {};
    epoch_ = 0;
    last_cpu_ = cpu_;
  }
  load_breakpoints(breakpoints_);
  for (usize i = 0; i < kSwitched; ++i) {
    if (kSwitchedRegisters[i] != GuestRegister::TscAux || machine_.tsc_aux) write_hardware(kSwitchedRegisters[i], switched_[i]);
  }
}

void VmxVcpu::put() {
  for (usize i = 0; i < kSwitched; ++i) switched_[i] = read_switched(kSwitchedRegisters[i]);
  save_breakpoints(breakpoints_);
  Vmx::clear(region_.value());
  cpu_ = nullptr;
}

// Mappings are cached under the tables' root and under the VPID: a root that was another VM's once may still be there.
void VmxVcpu::renew_translation() {
  const NestedPaging& translation = settings_.translation;
  if (epoch_ != translation.epoch()) {
    epoch_ = translation.epoch();
    Vmx::invept(Vmx::kSingleContext, translation.ept_pointer());
  }
  if (cpu_->vpids.is_current(vpid_)) return;
  if (cpu_->vpids.renew(vpid_)) Vmx::invvpid(Vmx::kAllContexts, 0);
  Vmx::write(Field::kVpid, vpid_.number);
}

// ---- entry and exit --------------------------------------------------------------------------------------------------

const VmExit& VmxVcpu::enter(GuestRegisters& registers) {
  if (epoch_ != settings_.translation.epoch() || !cpu_->vpids.is_current(vpid_)) [[unlikely]]
    renew_translation();
  write_registers(registers);
  if (event_.valid()) {
    Vmx::write(Field::kEntryInterruption, static_cast<u32>(event_.encoded()));
    if (event_.has_error_code()) Vmx::write(Field::kEntryErrorCode, event_.error_code());
  }
  if (!ax_vmx_enter(&registers, launched_)) {
    exit_.reason = ExitReason::InvalidState;
    exit_.code = Vmx::read(Field::kInstructionError);
    return exit_;
  }
  launched_ = true;
  read_registers(registers);
  repeat_interrupted_event();
  classify(registers, static_cast<u32>(Vmx::read(Field::kExitReason)));
  return exit_;
}

void VmxVcpu::write_registers(const GuestRegisters& registers) {
  const u64 rsp = registers[Gpr::Rsp];
  if (rsp != rsp_) Vmx::write(Field::kGuestRsp, rsp);
  if (registers.rip != rip_) Vmx::write(Field::kGuestRip, registers.rip);
  if (registers.rflags != rflags_) Vmx::write(Field::kGuestRflags, registers.rflags);
}

void VmxVcpu::read_registers(GuestRegisters& registers) {
  registers[Gpr::Rsp] = rsp_ = Vmx::read(Field::kGuestRsp);
  registers.rip = rip_ = Vmx::read(Field::kGuestRip);
  registers.rflags = rflags_ = Vmx::read(Field::kGuestRflags);
}

// ---- local APIC ------------------------------------------------------------------------------------------------------

std::optional<ApicPage> VmxVcpu::apic_page() {
  if (!shadows_task_priority()) return std::nullopt;
  return ApicPage(reinterpret_cast<u32*>(region_.value() + kVirtualApicPage), ApicPage::extent);
}

u32 VmxVcpu::secondary_controls(ApicMode mode) const {
  const u32 offered = machine_.controls.secondary;
  if (!delivers_interrupts_) return offered & ~(kVirtualApicControls | Secondary::kX2apic);
  const u32 off = mode == ApicMode::Memory ? Secondary::kX2apic
                  : mode == ApicMode::Msrs ? Secondary::kApicAccess
                                           : Secondary::kX2apic | Secondary::kApicAccess;
  return offered & ~off;
}

// With the other permissions an access to an x2APIC register would go to the host's.
void VmxVcpu::set_apic_mode(ApicMode mode) {
  if (!delivers_interrupts_) return;
  const Current current(*this);
  const u32 secondary = secondary_controls(mode);
  const bool msrs = (secondary & Secondary::kX2apic) != 0;
  Vmx::write(Field::kSecondaryControls, secondary);
  Vmx::write(Field::kMsrBitmap, (msrs ? machine_.x2apic_msr_permissions : machine_.msr_permissions).value());
  // What was cached for the page is with and without the control another thing (SDM vol. 3 30.4.2).
  epoch_ = 0;
}

void VmxVcpu::show_interrupts(const InterruptState& state) {
  constexpr unsigned kInServiceShift = 8;
  Vmx::write(Field::kGuestInterruptStatus, state.requested | u64{state.in_service} << kInServiceShift);
  if (state.told == told_) return;
  told_ = state.told;
  for (u32 i = 0; i < told_.size(); ++i) Vmx::write(Field::kEoiExits + kFieldStep * i, state.told[i]);
}

void VmxVcpu::leave_below_priority(u8 priority) {
  if (!shadows_task_priority() || delivers_interrupts_ || priority == threshold_) return;
  threshold_ = priority;
  const Current current(*this);
  Vmx::write(Field::kTprThreshold, priority);
}

void VmxVcpu::repeat_interrupted_event() {
  constexpr u64 kInformation = 0x8000'0fff;
  u64 encoded = Vmx::read(Field::kVectoring) & kInformation;
  const Event interrupted(encoded);
  exit_.during_delivery = interrupted.valid();
  event_ = {};
  if (!interrupted.must_be_repeated()) return;
  if (interrupted.has_error_code()) encoded |= Vmx::read(Field::kVectoringErrorCode) << 32;
  event_ = Event(encoded);
  if (interrupted.type() == Event::Type::Nmi) {
    // Its delivery had begun: the CPU would not inject it into a guest that blocks NMIs (SDM vol. 3 27.2.1.3).
    Vmx::write(Field::kGuestInterruptibility, Vmx::read(Field::kGuestInterruptibility) & ~u64{Interruptibility::kNmi});
  }
}

void VmxVcpu::classify(GuestRegisters& registers, u32 reason) {
  exit_.code = reason;
  exit_.instruction_length = 0;
  reason &= ~Reason::kEntryFailed;
  if (reason == Reason::kException) return classify_exception(registers);
  if (reason == Reason::kControlRegister) return classify_control_register(registers);
  if (reason >= kReasons) {
    exit_.reason = ExitReason::Unexpected;
    return;
  }
  const Meaning kind = kMeanings[reason];
  exit_.reason = kind.reason;
  if (kind.instruction) exit_.instruction_length = static_cast<u8>(Vmx::read(Field::kExitInstructionLength));
  switch (kind.reason) {
    case ExitReason::Interrupt:
      if (reason == Reason::kInterrupt) take_host_interrupt(static_cast<u8>(Vmx::read(Field::kExitInterruption)));
      break;
    case ExitReason::InterruptWindow: return set_primary(Primary::kInterruptWindow, false);
    case ExitReason::NmiWindow: return set_primary(Primary::kNmiWindow, false);
    case ExitReason::PortIo: return describe_port();
    case ExitReason::NestedFault: return reason == Reason::kApicAccess ? describe_apic_access() : describe_violation();
    case ExitReason::ApicWrite:
      exit_.fault.address = Gpa(Vmx::read(Field::kExitQualification) & ApicQualification::kOffset);
      break;
    case ExitReason::EndOfInterrupt: exit_.ended_vector = static_cast<u8>(Vmx::read(Field::kExitQualification)); break;
    default: break;
  }
}

void VmxVcpu::describe_port() {
  const u64 q = Vmx::read(Field::kExitQualification);
  exit_.port = {.port = static_cast<u16>(q >> PortQualification::kPortShift),
                .size = static_cast<u8>((q & PortQualification::kSizeMask) + 1),
                .kind = static_cast<u8>(((q & PortQualification::kIn) != 0 ? PortAccess::kIn : 0) |
                                        ((q & PortQualification::kString) != 0 ? PortAccess::kString : 0) |
                                        ((q & PortQualification::kRepeat) != 0 ? PortAccess::kRepeat : 0))};
}

// What the CPU cannot answer from the registers' page is emulated as any other access to a device.
void VmxVcpu::describe_apic_access() {
  const u64 q = Vmx::read(Field::kExitQualification);
  const u64 type = q >> ApicQualification::kTypeShift & ApicQualification::kTypeMask;
  exit_.fault = {.address = Gpa(kApicAddress + (q & ApicQualification::kOffset)),
                 .write = type == ApicQualification::kWrite,
                 .fetch = type == ApicQualification::kFetch,
                 .on_walk = type >= ApicQualification::kGuestPhysical};
}

void VmxVcpu::describe_violation() {
  const u64 q = Vmx::read(Field::kExitQualification);
  exit_.fault = {.address = Gpa(Vmx::read(Field::kGuestPhysicalAddress)),
                 .write = (q & Violation::kWrite) != 0,
                 .fetch = (q & Violation::kFetch) != 0,
                 .on_walk = (q & (Violation::kLinear | Violation::kFinal)) == Violation::kLinear};
  if ((q & Violation::kNmiUnblocked) != 0 && !exit_.during_delivery) block_nmis();
}

// The IRET that ended blocking by NMI did not complete.
void VmxVcpu::block_nmis() {
  Vmx::write(Field::kGuestInterruptibility, Vmx::read(Field::kGuestInterruptibility) | Interruptibility::kNmi);
}

void VmxVcpu::classify_exception(GuestRegisters& registers) {
  const u64 information = Vmx::read(Field::kExitInterruption);
  const Event event(information);
  exit_.reason = ExitReason::Unexpected;
  if (event.type() == Event::Type::Nmi) {
    take_host_nmi();
    exit_.reason = ExitReason::Nmi;
    return;
  }
  if ((information & kNmiUnblockedByIret) != 0 && !exit_.during_delivery) block_nmis();
  // The guest takes an intercepted exception all the same: it was only to be seen.
  std::optional<u32> error_code;
  if (event.vector() == Vector::kDebug) {
    constexpr u64 kCauses = 0x600f;  // B0 to B3, BD, BS
    write(GuestRegister::Dr6, read(GuestRegister::Dr6) | (Vmx::read(Field::kExitQualification) & kCauses));
    // INT1 is a trap, but is left before it is done.
    if (event.type() == Event::Type::PrivilegedException) registers.rip += Vmx::read(Field::kExitInstructionLength);
  } else if (event.vector() == Vector::kAlignmentCheck) {
    error_code = static_cast<u32>(Vmx::read(Field::kExitErrorCode));
  } else {
    if (event.vector() == Vector::kMachineCheck) exit_.reason = ExitReason::MachineCheck;
    return;
  }
  exit_.reason = inject_exception(event.vector(), error_code) ? ExitReason::Handled : ExitReason::Shutdown;
}

// A guest that changes its view of a bit that is the host's repeats the instruction: with the shadow as it wants it
// there is no exit, and the CPU does the rest with all its checks.
void VmxVcpu::classify_control_register(const GuestRegisters& registers) {
  const u64 q = Vmx::read(Field::kExitQualification);
  const u64 number = q & ControlQualification::kRegisterMask;
  const u64 type = q >> ControlQualification::kTypeShift & 3;
  const Gpr gpr = static_cast<Gpr>(q >> ControlQualification::kGprShift & 15);
  constexpr u64 kTaskPriority = 8;
  if (number == kTaskPriority) {
    exit_.reason = ExitReason::TaskPriority;
    exit_.control_move = {.write = type == ControlQualification::kMoveTo, .which = gpr};
    exit_.instruction_length = static_cast<u8>(Vmx::read(Field::kExitInstructionLength));
    return;
  }
  exit_.reason = ExitReason::Handled;
  const u64 value = registers[gpr];
  const bool allowed =
      number == 0 && type == ControlQualification::kMoveTo && ((value & Cr0::kNw) == 0 || (value & Cr0::kCd) != 0);
  if (allowed) {
    Vmx::write(Field::kCr0Shadow, value);
  } else if (!inject_exception(Vector::kGeneralProtection, 0)) {
    exit_.reason = ExitReason::Shutdown;
  }
}

void VmxVcpu::complete_instruction(GuestRegisters& registers, unsigned length) {
  registers.rip += length;
  constexpr u64 kShadow = Interruptibility::kSti | Interruptibility::kMovSs;
  const u64 interruptibility = Vmx::read(Field::kGuestInterruptibility);
  if ((interruptibility & kShadow) != 0) Vmx::write(Field::kGuestInterruptibility, interruptibility & ~kShadow);
  if ((registers.rflags & Rflags::kTf) != 0) [[unlikely]] {
    write(GuestRegister::Dr6, read(GuestRegister::Dr6) | kDr6SingleStep);
    static_cast<void>(inject_exception(Vector::kDebug, {}));  // nothing is pending that it could double
  }
}

// ---- registers -------------------------------------------------------------------------------------------------------

u64 VmxVcpu::read_switched(GuestRegister which) const {
  const u64 saved = switched_[switched_index(which)];
  if (cpu_ == nullptr || (which == GuestRegister::TscAux && !machine_.tsc_aux)) return saved;
  return read_hardware(which);
}

u64 VmxVcpu::read(GuestRegister which) const {
  if (switched_index(which) < kSwitched) return read_switched(which);
  const Current current(*this);
  switch (which) {
    case GuestRegister::Cr0: return (Vmx::read(Field::kGuestCr0) & ~kCr0Owned) | (Vmx::read(Field::kCr0Shadow) & kCr0Owned);
    case GuestRegister::Cr4: return (Vmx::read(Field::kGuestCr4) & ~kCr4Owned) | (Vmx::read(Field::kCr4Shadow) & kCr4Owned);
    default: return Vmx::read(kFields[static_cast<usize>(which)]);
  }
}

void VmxVcpu::write(GuestRegister which, u64 value) {
  if (const usize index = switched_index(which); index < kSwitched) {
    switched_[index] = value;
    if (cpu_ != nullptr && (which != GuestRegister::TscAux || machine_.tsc_aux)) write_hardware(which, value);
    return;
  }
  const Current current(*this);
  switch (which) {
    case GuestRegister::Cr0:
      Vmx::write(Field::kCr0Shadow, value);
      Vmx::write(Field::kGuestCr0, (value & ~kCr0Owned) | Cr0::kNe);
      break;
    case GuestRegister::Cr4:
      Vmx::write(Field::kCr4Shadow, value & ~kCr4Owned);
      Vmx::write(Field::kGuestCr4, (value & ~kCr4Owned) | Cr4::kVmxe);
      break;
    case GuestRegister::Efer:
      // The CPU keeps this control up to date when the guest itself goes in and out of long mode (SDM vol. 3 28.3.1).
      Vmx::write(Field::kEntryControls,
                 (machine_.controls.entry & ~Entry::kLongMode) | ((value & Efer::kLma) != 0 ? Entry::kLongMode : 0));
      Vmx::write(Field::kGuestEfer, value);
      break;
    default: Vmx::write(kFields[static_cast<usize>(which)], value);
  }
}

SegmentState VmxVcpu::segment(SegmentRegister which) const {
  const Current current(*this);
  return {.selector = static_cast<u16>(Vmx::read(segment_field(Field::kGuestEsSelector, which))),
          .attributes = from_access_rights(Vmx::read(segment_field(Field::kGuestEsAccess, which))),
          .limit = static_cast<u32>(Vmx::read(segment_field(Field::kGuestEsLimit, which))),
          .base = Vmx::read(segment_field(Field::kGuestEsBase, which))};
}

void VmxVcpu::set_segment(SegmentRegister which, const SegmentState& state) {
  const Current current(*this);
  Vmx::write(segment_field(Field::kGuestEsSelector, which), state.selector);
  Vmx::write(segment_field(Field::kGuestEsAccess, which), to_access_rights(state.attributes));
  Vmx::write(segment_field(Field::kGuestEsLimit, which), state.limit);
  Vmx::write(segment_field(Field::kGuestEsBase, which), state.base);
}

TableState VmxVcpu::table(DescriptorTable which) const {
  const Current current(*this);
  const bool gdt = which == DescriptorTable::Gdt;
  return {.base = Vmx::read(gdt ? Field::kGuestGdtrBase : Field::kGuestIdtrBase),
          .limit = static_cast<u16>(Vmx::read(gdt ? Field::kGuestGdtrLimit : Field::kGuestIdtrLimit))};
}

void VmxVcpu::set_table(DescriptorTable which, const TableState& state) {
  const Current current(*this);
  const bool gdt = which == DescriptorTable::Gdt;
  Vmx::write(gdt ? Field::kGuestGdtrBase : Field::kGuestIdtrBase, state.base);
  Vmx::write(gdt ? Field::kGuestGdtrLimit : Field::kGuestIdtrLimit, state.limit);
}

// The privilege level is that of the stack segment (SDM vol. 3 25.4.1).
unsigned VmxVcpu::privilege() const {
  const Current current(*this);
  return Vmx::read(segment_field(Field::kGuestEsAccess, SegmentRegister::Ss)) >> kPrivilegeShift & 3;
}

void VmxVcpu::set_privilege(unsigned level) {
  const Current current(*this);
  const u32 field = segment_field(Field::kGuestEsAccess, SegmentRegister::Ss);
  Vmx::write(field, (Vmx::read(field) & ~(u64{3} << kPrivilegeShift)) | u64{level} << kPrivilegeShift);
}

void VmxVcpu::set_tsc_offset(u64 offset) {
  const Current current(*this);
  Vmx::write(Field::kTscOffset, offset);
}

// ---- events ----------------------------------------------------------------------------------------------------------

void VmxVcpu::set_primary(u32 bits, bool on) {
  const u32 wanted = on ? primary_ | bits : primary_ & ~bits;
  if (wanted == primary_) return;
  primary_ = wanted;
  Vmx::write(Field::kProcessorControls, wanted);
}

bool VmxVcpu::inject_exception(u8 vector, std::optional<u32> error_code) {
  // Real mode knows no error codes, and the CPU refuses to inject one (SDM vol. 3 27.2.1.3).
  if ((read(GuestRegister::Cr0) & Cr0::kPe) == 0) error_code.reset();
  const auto event = combine(event_, Event::of(Event::Type::Exception, vector, error_code));
  event_ = event.value_or(Event{});
  return event.has_value();
}

void VmxVcpu::inject_interrupt(u8 vector) {
  event_ = Event::of(Event::Type::Interrupt, vector);
  set_primary(Primary::kInterruptWindow, false);
}

void VmxVcpu::inject_nmi() { event_ = Event::of(Event::Type::Nmi, Vector::kNmi); }

bool VmxVcpu::can_take_interrupt(const GuestRegisters& registers) const {
  if ((registers.rflags & Rflags::kIf) == 0 || event_.valid()) return false;
  return (Vmx::read(Field::kGuestInterruptibility) & (Interruptibility::kSti | Interruptibility::kMovSs)) == 0;
}

bool VmxVcpu::can_take_nmi(const GuestRegisters&) const {
  constexpr u64 kBlocking = Interruptibility::kSti | Interruptibility::kMovSs | Interruptibility::kNmi;
  return !event_.valid() && (Vmx::read(Field::kGuestInterruptibility) & kBlocking) == 0;
}

void VmxVcpu::request_interrupt_window() { set_primary(Primary::kInterruptWindow, true); }
void VmxVcpu::request_nmi_window() { set_primary(Primary::kNmiWindow, true); }

void VmxVcpu::reset_events() {
  const Current current(*this);
  event_ = {};
  leave_below_priority(0);
  set_primary(Primary::kInterruptWindow | Primary::kNmiWindow, false);
  Vmx::write(Field::kGuestInterruptibility, 0);
  Vmx::write(Field::kGuestPendingDebug, 0);
}

}  // namespace hv::vmx
