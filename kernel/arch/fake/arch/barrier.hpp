// Barriers on the fake architecture: events.
#pragma once

#include "kernel/arch/fake/arch/recorder.hpp"

namespace ax::arch {

inline void isb() { fake::record("isb"); }
inline void dsb_sy() { fake::record("dsb sy"); }
inline void dsb_ish() { fake::record("dsb ish"); }
inline void dsb_ishst() { fake::record("dsb ishst"); }
inline void dsb_nsh() { fake::record("dsb nsh"); }
inline void dmb_ish() { fake::record("dmb ish"); }
inline void dmb_sy() { fake::record("dmb sy"); }

// x86
inline void mfence() { fake::record("mfence"); }
inline void lfence() { fake::record("lfence"); }

}  // namespace ax::arch
