// The exception level that this image runs at: EL2 as a hypervisor, EL1 as a guest or alone on a machine. A compile-time
// policy: the same names stand for the registers of either level.
#pragma once

#include <arch/sysreg.hpp>

#ifndef AX_EXCEPTION_LEVEL
#define AX_EXCEPTION_LEVEL 2
#endif

namespace ax::arch {

inline constexpr unsigned kExceptionLevel = AX_EXCEPTION_LEVEL;

#if AX_EXCEPTION_LEVEL == 2
using TPIDR_ELX = TPIDR_EL2;
using ESR_ELX = ESR_EL2;
using SCTLR_ELX = SCTLR_EL2;
/// The timer that belongs to this level, and the counter that it compares with.
using TIMER_CTL = CNTHP_CTL_EL2;
using TIMER_CVAL = CNTHP_CVAL_EL2;
using COUNTER = CNTPCT_EL0;
#elif AX_EXCEPTION_LEVEL == 1
using TPIDR_ELX = TPIDR_EL1;
using ESR_ELX = ESR_EL1;
using SCTLR_ELX = SCTLR_EL1;
using TIMER_CTL = CNTV_CTL_EL0;
using TIMER_CVAL = CNTV_CVAL_EL0;
using COUNTER = CNTVCT_EL0;
#else
#error "AX_EXCEPTION_LEVEL is 1 or 2"
#endif

}  // namespace ax::arch
