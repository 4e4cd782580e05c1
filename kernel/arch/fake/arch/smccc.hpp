// Firmware on the fake architecture: a function of the test.
#pragma once

#include <functional>

#include "kernel/base/types.hpp"

namespace ax::arch {

namespace fake {
/// Called for every smc() and hvc(): conduit, function, arguments; returns x0.
inline std::function<u64(char conduit, u64 function, u64 a1, u64 a2, u64 a3)> firmware;
}  // namespace fake

inline u64 smc(u64 function, u64 a1, u64 a2, u64 a3) { return fake::firmware('s', function, a1, a2, a3); }
inline u64 hvc(u64 function, u64 a1, u64 a2, u64 a3) { return fake::firmware('h', function, a1, a2, a3); }

}  // namespace ax::arch
