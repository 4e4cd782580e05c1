// The firmware that a guest sees, as plain logic: PSCI 1.1 (Arm DEN 0022), SMC calling convention 1.1 (Arm DEN 0028),
// paravirtualised time (Arm DEN 0057).
#pragma once

#include <span>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// State of a vCPU as AFFINITY_INFO reports it. DEN 0022 5.7.
enum class PsciPower : u8 { On = 0, Off = 1, OnPending = 2 };

/// What PSCI asks of the VM that the caller belongs to. vCPUs are named by index.
class PsciHost {
 public:
  virtual unsigned vcpu_count() = 0;
  /// The affinity fields, where MPIDR_EL1 has them: Aff3 in bits 39:32, Aff2..Aff0 in 23:0. Other bits are zero.
  virtual u64 mpidr_of(unsigned vcpu) = 0;
  virtual PsciPower power_of(unsigned vcpu) = 0;
  /// Starts a vCPU at EL1 with the MMU off, at `entry` with `context` in its x0. False: it was no longer off.
  virtual bool start(unsigned vcpu, Gpa entry, u64 context) = 0;
  virtual bool is_ram(Gpa address) = 0;
  /// Exits of the calling vCPU so far, with this one.
  virtual u64 exits() = 0;
  /// Whether stolen time can be reported.
  virtual bool has_stolen_time() = 0;
  /// The caller's stolen-time record, kept from now on. DEN 0057 3.2.
  virtual Gpa stolen_time() = 0;

 protected:
  ~PsciHost() = default;
};

/// What the core does with the calling vCPU after it has written x0.
enum class PsciAction : u8 {
  Resume,
  Suspend,       ///< wait for an interrupt, as WFI does, then resume
  PowerOffSelf,  ///< stop this vCPU; x0 means nothing
  SystemOff,     ///< stop the VM; x0 means nothing
  SystemReset,   ///< restart the VM; x0 means nothing
};

struct PsciResult {
  PsciAction action = PsciAction::Resume;
  u64 x0 = 0;
  friend constexpr bool operator==(const PsciResult&, const PsciResult&) = default;
};

namespace psci {
inline constexpr u32 kVersionFunction = 0x8400'0000;
inline constexpr u64 kVersion = 0x0001'0001;  ///< PSCI_VERSION: major in bits 30:16, minor in 15:0

/// Our own call (SMC64, vendor-specific hypervisor service): PsciHost::exits(), what a benchmark compares its own count with.
inline constexpr u32 kExitsFunction = 0xc600'0000;

inline constexpr u64 kNotSupported = ~u64{0};  ///< what a call returns that nobody serves, in x0

/// Whether anybody here serves calls of the owner that the function belongs to: Arm architecture, standard secure services (PSCI
/// among them), standard and vendor-specific hypervisor services. DEN 0028 2.5, 6.1.
constexpr bool is_served(u32 function) {
  constexpr u64 kOwners = 1u << 0 | 1u << 4 | 1u << 5 | 1u << 6;
  return (kOwners >> (function >> 24 & 0x3f) & 1) != 0;
}

/// Everything but PSCI_VERSION; use psci_call().
PsciResult dispatch(PsciHost& host, u32 function, std::span<const u64, 4> x);
}  // namespace psci

/// Answers an HVC #0 or SMC #0. `x` are the caller's x0..x3. Unknown functions give NOT_SUPPORTED and nothing else: no
/// log line, no fault. Errors are sign-extended to 64 bits, for functions of either width.
/// Context: the pCPU that runs the caller; `host` decides about locks.
inline PsciResult psci_call(PsciHost& host, std::span<const u64, 4> x) {
  const u32 function = static_cast<u32>(x[0]);
  if (function == psci::kVersionFunction) [[likely]] return {PsciAction::Resume, psci::kVersion};
  return psci::dispatch(host, function, x);
}

}  // namespace hv
