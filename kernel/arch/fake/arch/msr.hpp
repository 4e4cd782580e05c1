// Model-specific registers on the fake architecture: values by number; every write is an event that a test can compare.
#pragma once

#include <map>

#include "kernel/arch/fake/arch/recorder.hpp"
#include "kernel/base/types.hpp"

namespace ax::arch {

namespace fake {
/// What reads return; writes change it too.
inline std::map<u32, u64> msrs;
/// The time-stamp counter, and what it grows by each time it is read.
inline u64 tsc = 0;
inline u64 tsc_step = 0;
}  // namespace fake

inline u64 read_msr(u32 index) { return fake::msrs.contains(index) ? fake::msrs[index] : 0; }
inline void write_msr(u32 index, u64 value) {
  fake::msrs[index] = value;
  fake::record("wrmsr", index, value);
}
inline u64 read_tsc() { return fake::tsc += fake::tsc_step; }

}  // namespace ax::arch
