// What a guest reads from CPUID: the host's answer, passed through an allow-list. SDM vol. 2A CPUID, APM vol. 3
// appendix E.
#pragma once

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

struct CpuidResult {
  u32 eax = 0;
  u32 ebx = 0;
  u32 ecx = 0;
  u32 edx = 0;
  friend constexpr bool operator==(const CpuidResult&, const CpuidResult&) = default;
};

/// The CPUID instruction of the processor that the vCPU runs on.
class CpuidSource {
 public:
  virtual CpuidResult read(u32 leaf, u32 subleaf) const = 0;

 protected:
  ~CpuidSource() = default;
};

/// What CPUID says about the asking vCPU and its VM. The package has `cpu_count` cores of one thread each, with APIC
/// ids from 0 on.
struct CpuidGuest {
  u32 apic_id = 0;
  u32 cpu_count = 1;
  u64 xcr0 = 1;              ///< its current value, for the size in leaf 0xD
  bool apic_enabled = true;  ///< IA32_APIC_BASE.EN
  u64 tsc_hz = 0;            ///< of the guest's TSC
  u64 apic_timer_hz = 0;     ///< of the local APIC's timer before its divider
  u64 exits = 0;             ///< of the vCPU so far
};

/// Whose bit in ECX repeats CR4.OSXSAVE; it is left to whoever knows CR4.
inline constexpr u32 kFeatureLeaf = 1;
inline constexpr u32 kOsXsaveFeature = 1 << 27;

/// The range that belongs to hypervisors by convention: our own leaves, and 0x100 above them those that KVM defines.
inline constexpr u32 kHypervisorLeaves = 0x4000'0000;
/// Exits of the asking vCPU with this one, low half in EAX, high half in EBX: what a benchmark compares its own count
/// with.
inline constexpr u32 kHypervisorExitsLeaf = kHypervisorLeaves + 1;
inline constexpr u32 kHypervisorFrequencyLeaf = kHypervisorLeaves + 0x10;
inline constexpr u32 kKvmLeaves = 0x4000'0100;

/// The answer of `leaf` and `subleaf`. A feature is only there if its state is switched and its registers are in the
/// MSR allow-list; whatever the table does not name reads as zero, also leaves that do not exist yet. Never more than
/// the host has, except for what is emulated (x2APIC, TSC-deadline timer) or follows from running under a hypervisor.
/// Pure; any context.
CpuidResult guest_cpuid(const CpuidSource& host, const CpuidGuest& guest, u32 leaf, u32 subleaf);

/// Facts that other policies need, from the guest's own view.
struct CpuidFacts {
  bool no_execute = false;         ///< EFER.NXE exists
  bool tsc_aux = false;            ///< RDTSCP or RDPID
  bool arch_capabilities = false;  ///< IA32_ARCH_CAPABILITIES exists
  u8 physical_address_bits = 36;
  u64 cr4 = 0;  ///< bits of CR4 that a guest may set: those of features that it sees
};
CpuidFacts cpuid_facts(const CpuidSource& host);

}  // namespace hv
