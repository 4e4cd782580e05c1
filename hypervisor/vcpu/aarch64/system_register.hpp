// Names for system registers as numbers, for registers that are trapped instead of accessed.
#pragma once

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// The name of a system register or system instruction as one number: op0:op1:CRn:CRm:op2, the 16 bits that an MSR, MRS
/// or SYS instruction has at [20:5]. Arm ARM C5.1.2.
constexpr u32 system_register(u32 op0, u32 op1, u32 crn, u32 crm, u32 op2) {
  return op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
}

}  // namespace hv
