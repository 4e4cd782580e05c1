// Firmware of RISC-V machines on the fake architecture: a function of the test.
#pragma once

#include <functional>

#include "kernel/base/types.hpp"

namespace ax::arch {

struct SbiAnswer {
  i64 error;
  u64 value;
};

namespace fake {
inline std::function<SbiAnswer(u32 extension, u32 function, u64 first, u64 second, u64 third)> sbi;
}  // namespace fake

inline SbiAnswer sbi_call(u32 extension, u32 function, u64 first, u64 second, u64 third, u64) {
  return fake::sbi(extension, function, first, second, third);
}

}  // namespace ax::arch
