#include "hypervisor/vcpu/x86_64/vmx_machine.hpp"

#include <arch/cpuid.hpp>
#include <arch/sysreg.hpp>
#include <arch/timer.hpp>
#include <arch/vmx.hpp>

#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "kernel/log/log.hpp"

namespace hv::vmx {

using namespace ax::arch;

namespace {

constexpr u32 kFeatureLeaf = 1, kAddressLeaf = 0x8000'0008;
constexpr u32 kVmxFeature = 1 << 5;  // CPUID.1 ECX

// SDM vol. 4 table 2-2.
constexpr u32 kFeatureControl = 0x3a, kBasic = 0x480, kMisc = 0x485, kCr0Fixed0 = 0x486, kCr4Fixed0 = 0x488,
              kSecondaryControls = 0x48b, kEptVpid = 0x48c, kTruePin = 0x48d, kTruePrimary = 0x48e, kTrueExit = 0x48f,
              kTrueEntry = 0x490, kX2apicFirst = 0x800;
constexpr u64 kLocked = 1 << 0, kOutsideSmx = 1 << 2;
constexpr u64 kBasicTrueControls = u64{1} << 55;
constexpr u64 kBasicRevision = 0x7fff'ffff;
constexpr u64 kMiscTimerShift = 0x1f;
// IA32_VMX_EPT_VPID_CAP
constexpr u64 kWalkOfFour = 1 << 6, kWriteBack = 1 << 14, kLarge = 1 << 16, kGigabyte = 1 << 17, kInvept = 1 << 20,
              kAccessedDirty = 1 << 21, kInveptSingle = 1 << 25, kInvvpid = u64{1} << 32, kInvvpidAll = u64{1} << 42;
constexpr u64 kEptNeeded = kWalkOfFour | kWriteBack | kLarge | kInvept | kInveptSingle | kInvvpid | kInvvpidAll;

constexpr u32 kVpids = 0x1'0000;
constexpr u64 kPreemptionsPerSecond = 1000;
constexpr u64 kFrequencyIfUnknown = 1'000'000'000;

struct ControlNeed {
  std::string_view name;
  u32 msr;
  u32 Controls::* where;
  u32 needed;
  u32 welcome;
};
constexpr ControlNeed kNeeds[] = {
    {"pin-based", kTruePin, &Controls::pin, Pin::kExternalInterrupts | Pin::kNmis | Pin::kVirtualNmis, Pin::kPreemptionTimer},
    {"processor-based", kTruePrimary, &Controls::primary,
     Primary::kTscOffset | Primary::kHlt | Primary::kMwait | Primary::kRdpmc | Primary::kCr8Load | Primary::kCr8Store |
         Primary::kIoBitmaps | Primary::kMsrBitmaps | Primary::kMonitor | Primary::kSecondary,
     Primary::kTprShadow},
    {"secondary processor-based", kSecondaryControls, &Controls::secondary,
     Secondary::kEpt | Secondary::kVpid | Secondary::kWbinvd | Secondary::kUnrestricted,
     Secondary::kRdtscp | Secondary::kInvpcid | kVirtualApicControls | Secondary::kX2apic},
    {"VM-exit", kTrueExit, &Controls::exit,
     Exit::kSaveDebug | Exit::kHost64 | Exit::kAcknowledge | Exit::kSavePat | Exit::kLoadPat | Exit::kSaveEfer | Exit::kLoadEfer,
     0},
    {"VM-entry", kTrueEntry, &Controls::entry, Entry::kLoadDebug | Entry::kLoadPat | Entry::kLoadEfer, 0},
};
// Must be 0, or guests would exit for what is theirs.
constexpr u32 kUnwantedPrimary = Primary::kCr3Load | Primary::kCr3Store;

// What CPUs came without for a while has a name.
void report_missing(unsigned cpu, const ControlNeed& need, u32 missing) {
  constexpr std::pair<u32, std::string_view> kNamed[] = {{Secondary::kEpt, "extended page tables"},
                                                         {Secondary::kUnrestricted, "unrestricted guests"}};
  if (need.msr == kSecondaryControls) {
    for (const auto& [bit, name] : kNamed)
      if ((missing & bit) != 0) return log::error("CPU {} has Intel VMX without {}, which guests need", cpu, name);
  }
  log::error("CPU {} has Intel VMX without {} controls {:#x}, which guests need", cpu, need.name, missing);
}

Result<Controls> choose_controls(unsigned cpu) {
  Controls controls;
  for (const ControlNeed& need : kNeeds) {
    const ControlCapability capability(read_msr(need.msr));
    if (const u32 missing = capability.missing(need.needed); missing != 0) {
      report_missing(cpu, need, missing);
      return fail(Error::NotSupported);
    }
    controls.*need.where = capability.adjust(need.needed | need.welcome);
  }
  // The shadow is what CR8 then reads and writes.
  if ((controls.primary & Primary::kTprShadow) != 0) controls.primary &= ~(Primary::kCr8Load | Primary::kCr8Store);
  // All of it or nothing; without, local APICs are emulated, but for that shadow.
  const bool virtualizes_apic =
      (controls.primary & Primary::kTprShadow) != 0 && (controls.secondary & kVirtualApicControls) == kVirtualApicControls;
  if (!virtualizes_apic) controls.secondary &= ~(kVirtualApicControls | Secondary::kX2apic);
  if ((controls.primary & kUnwantedPrimary) != 0) {
    log::error("CPU {} has Intel VMX that cannot leave CR3 to guests", cpu);
    return fail(Error::NotSupported);
  }
  return controls;
}

// The registers whose value is in the VMCS or only the guest's: no exit (SDM vol. 3 25.6.9).
constexpr u32 kDirectMsrs[] = {x86::Msr::kSysenterCs, x86::Msr::kSysenterEsp, x86::Msr::kSysenterEip, x86::Msr::kPat,
                               x86::Msr::kStar,       x86::Msr::kLstar,       x86::Msr::kCstar,       x86::Msr::kSfmask,
                               x86::Msr::kFsBase,     x86::Msr::kGsBase,      x86::Msr::kKernelGsBase};

// A bit for each register: reads of the low range, reads of the high one, then writes.
void allow_msr_read(u8* map, u32 index) {
  constexpr u32 kHighRange = 0xc000'0000, kHighOffset = 0x400;
  const u32 byte = (index >= kHighRange ? kHighOffset : 0) + (index & 0x1fff) / 8;
  map[byte] &= static_cast<u8>(~(1u << index % 8));
}
void allow_msr_write(u8* map, u32 index) {
  constexpr u32 kWriteOffset = 0x800;
  allow_msr_read(map + kWriteOffset, index);
}
void allow_msr(u8* map, u32 index) {
  allow_msr_read(map, index);
  allow_msr_write(map, index);
}

// Registers of a virtual x2APIC that the CPU finds in the page, and those whose writes it carries out (SDM vol. 3 30.5):
// task priority, end of interrupt, self-IPI. The command register is 64 bits wide there, and the current count is not
// stored anywhere.
void allow_x2apic(u8* map) {
  constexpr std::pair<u8, u8> kRead[] = {{0x02, 0x03}, {0x08, 0x08}, {0x0a, 0x0a}, {0x0d, 0x0d},
                                         {0x0f, 0x28}, {0x32, 0x38}, {0x3e, 0x3e}};
  constexpr u8 kWritten[] = {0x08, 0x0b, 0x3f};
  for (const auto& [first, last] : kRead)
    for (u32 index = first; index <= last; ++index) allow_msr_read(map, kX2apicFirst + index);
  for (const u8 index : kWritten) allow_msr_write(map, kX2apicFirst + index);
}

Result<void> unlock_feature(unsigned cpu) {
  const u64 control = read_msr(kFeatureControl);
  if ((control & kLocked) == 0) {
    write_msr(kFeatureControl, control | kLocked | kOutsideSmx);
  } else if ((control & kOutsideSmx) == 0) {
    log::error(
        "the firmware has locked Intel VMX off on CPU {} (IA32_FEATURE_CONTROL {:#x}): turn it on in the firmware's "
        "setup",
        cpu, control);
    return fail(Error::NotSupported);
  }
  return {};
}

}  // namespace

bool VmxMachine::present() { return (cpuid(kFeatureLeaf).ecx & kVmxFeature) != 0; }

Result<mm::Box<Virtualization>> VmxMachine::create(mm::ObjectAllocator& heap, VmFrames& frames) {
  mm::Box<VmxMachine> machine = TRY(mm::make_box<VmxMachine>(heap, frames));
  TRY(machine->detect());
  return mm::Box<Virtualization>(std::move(machine));
}

Result<void> VmxMachine::detect() {
  TRY(unlock_feature(0));
  const u64 basic = read_msr(kBasic);
  if ((basic & kBasicTrueControls) == 0) {
    log::error("this CPU's Intel VMX is too old for guests (IA32_VMX_BASIC {:#x})", basic);
    return fail(Error::NotSupported);
  }
  state_.revision = static_cast<u32>(basic & kBasicRevision);
  state_.controls = TRY(choose_controls(0));
  const u64 ept = read_msr(kEptVpid);
  if ((ept & kEptNeeded) != kEptNeeded) {
    log::error("this CPU's extended page tables lack what guests need (IA32_VMX_EPT_VPID_CAP {:#x})", ept);
    return fail(Error::NotSupported);
  }
  nested_ = {.kind = mm::NestedKind::Ept,
             .physical_bits = cpuid(kAddressLeaf).eax & 0xff,
             .gigabyte_leaves = (ept & kGigabyte) != 0,
             .accessed_dirty = (ept & kAccessedDirty) != 0};
  if ((state_.controls.pin & Pin::kPreemptionTimer) != 0) {
    const u64 frequency = ax::drivers::host_timer::frequency();
    const u64 ticks =
        (frequency != 0 ? frequency : kFrequencyIfUnknown) / kPreemptionsPerSecond >> (read_msr(kMisc) & kMiscTimerShift);
    state_.preemption_ticks = static_cast<u32>(ticks) | 1;
  }
  // Without the control RDTSCP is undefined, and the register is of no use.
  state_.tsc_aux = has_tsc_aux() && (state_.controls.secondary & Secondary::kRdtscp) != 0;
  state_.cpus = cpus_;
  return allocate_msr_permissions();
}

Result<void> VmxMachine::allocate_msr_permissions() {
  const HpaRange maps = TRY(frames_.allocate(2 * kPageSize, kPageSize));
  u8* bits = reinterpret_cast<u8*>(maps.base.value());
  __builtin_memset(bits, 0xff, kPageSize);
  for (const u32 index : kDirectMsrs) allow_msr(bits, index);
  if (state_.tsc_aux) allow_msr(bits, x86::Msr::kTscAux);
  state_.msr_permissions = maps.base;
  state_.x2apic_msr_permissions = maps.base + kPageSize;
  __builtin_memcpy(bits + kPageSize, bits, kPageSize);
  allow_x2apic(bits + kPageSize);
  return {};
}

Result<void> VmxMachine::init_cpu(unsigned cpu) {
  if (!present()) {
    log::error("CPU {} has no Intel VMX, although the boot CPU has", cpu);
    return fail(Error::NotSupported);
  }
  TRY(unlock_feature(cpu));
  const Controls own = TRY(choose_controls(cpu));
  const u64 basic = read_msr(kBasic);
  if (own != state_.controls || (basic & kBasicRevision) != state_.revision) {
    log::error("CPU {} has another Intel VMX than the boot CPU", cpu);
    return fail(Error::NotSupported);
  }
  const HpaRange region = TRY(frames_.allocate(kPageSize, kPageSize));
  auto* words = reinterpret_cast<u32*>(region.base.value());
  __builtin_memset(words, 0, region.size);
  words[0] = state_.revision;

  CR0::write(CR0::read() | read_msr(kCr0Fixed0));
  CR4::write(CR4::read() | read_msr(kCr4Fixed0));
  if (!Vmx::on(region.base.value())) {
    frames_.free(region);
    log::error("CPU {} refuses VMXON", cpu);
    return fail(Error::NotSupported);
  }
  cpus_[cpu].vpids = AddressTags(kVpids);
  return {};
}

Result<mm::Box<VcpuBackend>> VmxMachine::create_vcpu(mm::ObjectAllocator& heap, VmFrames& frames, const VcpuSettings& settings) {
  const HpaRange region = TRY(frames.allocate(VmxVcpu::kRegionSize, kPageSize));
  auto vcpu = mm::make_box<VmxVcpu>(heap, state_, region, frames, settings);
  if (!vcpu) {
    frames.free(region);
    return fail(vcpu.error());
  }
  return mm::Box<VcpuBackend>(std::move(*vcpu));
}

}  // namespace hv::vmx
