// What a guest reads from the identification registers: the host's value, passed through an allow-list. Arm ARM D24.2.
#pragma once

#include "hypervisor/vcpu/aarch64/system_register.hpp"
#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Whether `encoding` lies in the space that HCR_EL2.TID3 traps: op0 3, op1 0, CRn 0, CRm 1..7. Arm ARM, HCR_EL2.TID3.
constexpr bool is_id_register(u32 encoding) {
  constexpr u32 kFirst = system_register(3, 0, 0, 1, 0);
  constexpr u32 kLast = system_register(3, 0, 0, 7, 7);
  return encoding - kFirst <= kLast - kFirst;
}

/// The value of the ID register `encoding` for a guest with interrupt controller version `gic_version` (2 or 3), on a
/// processor that has `host_value` there. A field is only there if the hypervisor traps or switches everything that
/// belongs to it; whatever the list does not name reads as zero, also registers that do not exist yet. Never more than
/// the host has, except for the debug architecture, which is emulated. Pure; any context.
u64 guest_id_value(u32 encoding, u64 host_value, u8 gic_version);

/// How many breakpoints and watchpoints ID_AA64DFR0_EL1 announces: the fewest that the architecture allows.
inline constexpr unsigned kGuestBreakpoints = 2;
inline constexpr unsigned kGuestWatchpoints = 2;

}  // namespace hv
