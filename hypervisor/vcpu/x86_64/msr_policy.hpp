// What RDMSR and WRMSR do: one table from MSR to handler. MSRs without a row are #GP(0): machine check banks,
// performance counters, power management, SVM, VMX and everything that CPUID hides. SDM vol. 4, APM vol. 2 appendix A.
#pragma once

#include <array>
#include <optional>

#include "hypervisor/vcpu/x86_64/cpuid_policy.hpp"

namespace hv {

/// MSRs that the rest of the hypervisor names.
namespace msr {
inline constexpr u32 kTsc = 0x10;
inline constexpr u32 kApicBase = 0x1b;
inline constexpr u32 kArchCapabilities = 0x10a;
inline constexpr u32 kSysenterCs = 0x174, kSysenterEsp = 0x175, kSysenterEip = 0x176;
inline constexpr u32 kPat = 0x277;
inline constexpr u32 kTscDeadline = 0x6e0;
inline constexpr u32 kX2ApicFirst = 0x800, kX2ApicLast = 0x8ff;
inline constexpr u32 kKvmWallClock = 0x4b56'4d00, kKvmSystemTime = 0x4b56'4d01, kKvmStealTime = 0x4b56'4d03;
inline constexpr u32 kEfer = 0xc000'0080;
inline constexpr u32 kStar = 0xc000'0081, kLstar = 0xc000'0082, kCstar = 0xc000'0083, kSfmask = 0xc000'0084;
inline constexpr u32 kFsBase = 0xc000'0100, kGsBase = 0xc000'0101, kKernelGsBase = 0xc000'0102, kTscAux = 0xc000'0103;
}  // namespace msr

namespace efer {
inline constexpr u64 kSyscall = 1 << 0, kLongModeEnable = 1 << 8, kLongModeActive = 1 << 10, kNoExecute = 1 << 11;
}

/// PAT after reset: WB, WT, UC-, UC, twice. SDM vol. 3 12.12.4.
inline constexpr u64 kPatAtReset = 0x0007'0406'0007'0406;

/// Memory type range registers: stored and without effect, as the nested tables decide. SDM vol. 3 12.11.
struct MtrrState {
  static constexpr usize kVariable = 8;
  static constexpr usize kFixed = 11;
  // What firmware leaves behind, and what Linux wants before it uses the PAT: enabled, all memory write-back.
  static constexpr u64 kEnabledWriteBack = 0xc06;
  static constexpr u64 kFixedWriteBack = 0x0606'0606'0606'0606;

  u64 default_type = kEnabledWriteBack;
  std::array<u64, kFixed> fixed{kFixedWriteBack, kFixedWriteBack, 0,
                                kFixedWriteBack, kFixedWriteBack, kFixedWriteBack,
                                kFixedWriteBack, kFixedWriteBack, kFixedWriteBack,
                                kFixedWriteBack, kFixedWriteBack};
  std::array<u64, 2 * kVariable> variable{};  ///< base and mask by turns
};

/// MSRs of one vCPU that live nowhere else; as after reset.
struct MsrState {
  MtrrState mtrr{};
  u64 misc_enable = 1;  ///< IA32_MISC_ENABLE, the writable bits: fast strings
  u64 machine_check_status = 0;
  u64 kvm_wall_clock = 0;  ///< as last written: see kvmclock.hpp
  u64 kvm_system_time = 0;
  u64 kvm_steal_time = 0;

  /// Where registers were found in the allow-list.
  struct Found {
    u32 index = 0;
    u8 row = 0;  ///< from 1 on; 0: nothing
  };
  std::array<Found, 4> found{};
};

/// What emulation asks of the backend and of the VM. The calls are made on the pCPU that runs the vCPU, without a lock.
class MsrHost {
 public:
  /// A register that the backend holds or switches: EFER, PAT, STAR..., SYSENTER_*, FS/GS bases, TSC_AUX. The value is
  /// valid.
  virtual u64 read_register(u32 index) = 0;
  virtual void write_register(u32 index, u64 value) = 0;
  /// CR0.PG of the guest.
  virtual bool paging_enabled() = 0;
  /// The guest's TSC, now.
  virtual u64 read_tsc() = 0;
  virtual void write_tsc(u64 value) = 0;
  /// IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC range. Empty, or false: #GP(0).
  virtual std::optional<u64> read_apic(u32 index) = 0;
  virtual bool write_apic(u32 index, u64 value) = 0;
  /// The host processor's IA32_ARCH_CAPABILITIES; asked for only if it exists.
  virtual u64 host_arch_capabilities() = 0;
  /// One of the three MSRs of the paravirtual clock has a new value, already in MsrState.
  virtual void clock_changed(u32 index) = 0;

 protected:
  ~MsrHost() = default;
};

/// Who accesses, and whom to ask.
struct MsrContext {
  MsrHost& host;
  MsrState& state;
  const CpuidFacts& facts;
};

/// RDMSR. Empty: #GP(0).
std::optional<u64> read_msr(const MsrContext& context, u32 index);
/// WRMSR. False: #GP(0), nothing has changed.
[[nodiscard]] bool write_msr(const MsrContext& context, u32 index, u64 value);

/// Whether the processor itself checks values of `index` as this policy does, so that a guest may access the register
/// without an exit while the backend has it loaded: those of MsrHost::read_register() but EFER.
bool is_direct_msr(u32 index);

}  // namespace hv
