#include "hypervisor/vcpu/x86_64/svm_machine.hpp"

#include <arch/cpuid.hpp>
#include <arch/sysreg.hpp>
#include <arch/timer.hpp>

#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "kernel/log/log.hpp"

namespace hv::svm {

using namespace ax::arch;

namespace {

constexpr u32 kMaxExtendedLeaf = 0x8000'0000, kFeatureLeaf = 0x8000'0001, kAddressLeaf = 0x8000'0008,
              kSvmLeaf = 0x8000'000a;
constexpr u32 kSvmFeature = 1 << 2;      // Fn8000_0001 ECX
constexpr u32 kGigabytePages = 1 << 26;  // Fn8000_0001 EDX
// Fn8000_000A EDX
constexpr u32 kNestedPaging = 1 << 0, kNextRip = 1 << 3, kFlushByAsid = 1 << 6, kDecodeAssists = 1 << 7,
              kPauseFilter = 1 << 10;

constexpr u32 kVmCr = 0xc001'0114, kVmHsavePa = 0xc001'0117;
constexpr u64 kVmCrLock = 1 << 3, kVmCrSvmDisabled = 1 << 4;

constexpr u32 kMinimumAsids = 2;  // the host's and one more

// The registers whose value is in the VMCB or only the guest's: no exit (APM vol. 2 15.11).
constexpr u32 kDirectMsrs[] = {x86::Msr::kSysenterCs, x86::Msr::kSysenterEsp, x86::Msr::kSysenterEip, x86::Msr::kStar,
                               x86::Msr::kLstar,      x86::Msr::kCstar,       x86::Msr::kSfmask,      x86::Msr::kFsBase,
                               x86::Msr::kGsBase,     x86::Msr::kKernelGsBase};

void allow_msr(u8* map, u32 index) {
  // Two bits for each register, in three ranges of 8192.
  constexpr u32 kSecondRange = 0xc000'0000;
  constexpr u32 kRangeBytes = 0x800;
  const u32 base = index >= kSecondRange ? kRangeBytes : 0;
  const u32 bit = (index & 0x1fff) * 2;
  map[base + bit / 8] &= static_cast<u8>(~(3u << bit % 8));
}

// APM vol. 2 15.31: what is turned off, but not locked, can be turned on.
Result<void> turn_on(unsigned cpu) {
  const u64 control = read_msr(kVmCr);
  if ((control & kVmCrSvmDisabled) == 0) return {};
  if ((control & kVmCrLock) != 0) {
    log::error("the firmware has locked AMD SVM off on CPU {} (VM_CR {:#x}): turn it on in the firmware's setup", cpu,
               control);
    return fail(Error::NotSupported);
  }
  write_msr(kVmCr, control & ~kVmCrSvmDisabled);
  return {};
}

/// QEMU without KVM, by the name that its CPUs give themselves.
bool is_emulated_by_qemu() {
  constexpr u32 kSelfDescription = 1, kHypervisorPresent = 1u << 31, kHypervisorName = 0x4000'0000;
  constexpr u32 kTcg = 0x54474354, kCgt = 0x43544743, kGtc = 0x47435447;  // "TCGT" "CGTC" "GTCG"
  if ((cpuid(kSelfDescription).ecx & kHypervisorPresent) == 0) return false;
  const CpuidResult name = cpuid(kHypervisorName);
  return name.ebx == kTcg && name.ecx == kCgt && name.edx == kGtc;
}

}  // namespace

bool SvmMachine::present() {
  return cpuid(kMaxExtendedLeaf).eax >= kSvmLeaf && (cpuid(kFeatureLeaf).ecx & kSvmFeature) != 0;
}

Result<mm::Box<Virtualization>> SvmMachine::create(mm::ObjectAllocator& heap, VmFrames& frames) {
  mm::Box<SvmMachine> machine = TRY(mm::make_box<SvmMachine>(heap, frames));
  TRY(machine->detect());
  return mm::Box<Virtualization>(std::move(machine));
}

Result<void> SvmMachine::detect() {
  TRY(turn_on(0));
  const CpuidResult svm = cpuid(kSvmLeaf);
  if ((svm.edx & kNestedPaging) == 0) {
    log::error("this CPU has AMD SVM without nested paging, which guests need");
    return fail(Error::NotSupported);
  }
  state_.features = {.next_rip = (svm.edx & kNextRip) != 0,
                     .decode_assists = (svm.edx & kDecodeAssists) != 0,
                     .flush_by_asid = (svm.edx & kFlushByAsid) != 0,
                     .pause_filter = (svm.edx & kPauseFilter) != 0,
                     .tsc_aux = has_tsc_aux(),
                     .injects_twice = is_emulated_by_qemu()};
  nested_ = {.kind = mm::NestedKind::Npt,
             .physical_bits = cpuid(kAddressLeaf).eax & 0xff,
             .gigabyte_leaves = (cpuid(kFeatureLeaf).edx & kGigabytePages) != 0,
             .accessed_dirty = true};
  state_.cpus = cpus_;

  const HpaRange map = TRY(frames_.allocate(kMsrMapSize, kPageSize));
  u8* bits = reinterpret_cast<u8*>(map.base.value());
  __builtin_memset(bits, 0xff, kMsrMapSize);
  for (const u32 index : kDirectMsrs) allow_msr(bits, index);
  if (state_.features.tsc_aux) allow_msr(bits, x86::Msr::kTscAux);
  state_.msr_permissions = map.base;
  return {};
}

Result<void> SvmMachine::init_cpu(unsigned cpu) {
  if (!present() || (cpuid(kSvmLeaf).edx & kNestedPaging) == 0) {
    log::error("CPU {} has no AMD SVM with nested paging, although the boot CPU has", cpu);
    return fail(Error::NotSupported);
  }
  TRY(turn_on(cpu));
  SvmCpu& state = cpus_[cpu];
  const u32 asids = cpuid(kSvmLeaf).ebx;
  if (asids < kMinimumAsids) {
    log::error("CPU {} has no address space identifiers for guests", cpu);
    return fail(Error::NotSupported);
  }
  state.asids = AddressTags(asids);
  const HpaRange pages = TRY(frames_.allocate(2 * kPageSize, kPageSize));
  __builtin_memset(reinterpret_cast<void*>(pages.base.value()), 0, pages.size);
  state.host_state = pages.base + kPageSize;

  IA32_EFER::write(IA32_EFER::read() | IA32_EFER::SVME);
  write_msr(kVmHsavePa, pages.base.value());
  asm volatile("vmsave %0" : : "a"(state.host_state.value()) : "memory");
  // VMRUN can lose an interrupt that arrives just then (docs/machines.md); a guest without exits would never stop.
  if (is_emulated_by_qemu()) drivers::host_timer::repeat();
  return {};
}

Result<mm::Box<VcpuBackend>> SvmMachine::create_vcpu(mm::ObjectAllocator& heap, VmFrames& frames,
                                                     const VcpuSettings& settings) {
  const HpaRange control_block = TRY(frames.allocate(sizeof(Vmcb), kPageSize));
  auto vcpu = mm::make_box<SvmVcpu>(heap, state_, control_block, frames, settings);
  if (!vcpu) {
    frames.free(control_block);
    return fail(vcpu.error());
  }
  return mm::Box<VcpuBackend>(std::move(*vcpu));
}

}  // namespace hv::svm
