// The CPU's own identification registers, by number.
#pragma once

#include <array>

#include "hypervisor/vcpu/aarch64/system_register.hpp"

namespace hv {

namespace detail {

// The number of a system register is part of the instruction: one instruction, and so one function, per register.
#define AX_ID_REGISTER(m, n)                                           \
  +[]() -> u64 {                                                       \
    u64 value;                                                         \
    asm volatile("mrs %0, S3_0_C0_C" #m "_" #n : "=r"(value));         \
    return value;                                                      \
  }
#define AX_ID_REGISTERS(m)                                                                             \
  AX_ID_REGISTER(m, 0), AX_ID_REGISTER(m, 1), AX_ID_REGISTER(m, 2), AX_ID_REGISTER(m, 3), AX_ID_REGISTER(m, 4), \
      AX_ID_REGISTER(m, 5), AX_ID_REGISTER(m, 6), AX_ID_REGISTER(m, 7)
inline constexpr std::array<u64 (*)(), 56> kIdRegisterReaders = {
    AX_ID_REGISTERS(1), AX_ID_REGISTERS(2), AX_ID_REGISTERS(3), AX_ID_REGISTERS(4),
    AX_ID_REGISTERS(5), AX_ID_REGISTERS(6), AX_ID_REGISTERS(7)};
#undef AX_ID_REGISTERS
#undef AX_ID_REGISTER

}  // namespace detail

/// The value of a register for which is_id_register() holds, as this CPU has it. Unallocated ones read as zero
/// (Arm ARM D24.1.2).
inline u64 host_id_register(u32 encoding) {
  constexpr u32 kFirst = system_register(3, 0, 0, 1, 0);
  return detail::kIdRegisterReaders[encoding - kFirst]();
}

}  // namespace hv
