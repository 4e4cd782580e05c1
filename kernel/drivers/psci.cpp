#include "kernel/drivers/psci.hpp"

#include <arch/smccc.hpp>
#include <arch/sysreg.hpp>

namespace ax::drivers {

enum class Psci::Function : u32 {
  Version = 0x8400'0000,
  CpuOn64 = 0xc400'0003,
  SystemOff = 0x8400'0008,
  SystemReset = 0x8400'0009,
};

namespace {

/// What the functions answer (DEN 0022, 5.2.2).
constexpr i64 kSuccess = 0;
constexpr i64 kNotSupported = -1;

struct Answer {
  i64 code;
  Error error;
};
constexpr Answer kErrors[] = {
    {kNotSupported, Error::NotSupported}, {-2, Error::InvalidArgument},  {-3, Error::PermissionDenied},
    {-4, Error::AlreadyExists},           {-5, Error::AlreadyExists},    {-6, Error::BadState},
    {-9, Error::InvalidArgument},  // invalid address
};

Error error_of(i64 code) {
  for (const Answer& answer : kErrors) {
    if (answer.code == code) return answer.error;
  }
  return Error::BadState;
}

}  // namespace

i64 Psci::call(Function function, u64 a1, u64 a2, u64 a3) const {
  const u64 id = static_cast<u32>(function);
  u64 answer = 0;
  switch (conduit_) {
    case PsciConduit::None: return kNotSupported;
    case PsciConduit::Smc: answer = arch::smc(id, a1, a2, a3); break;
    case PsciConduit::Hvc: answer = arch::hvc(id, a1, a2, a3); break;
  }
  // Most functions answer in 32 bits, CPU_ON for 64-bit callers in 64: both are sign-extended by this.
  return static_cast<i32>(answer);
}

Result<Psci::Version> Psci::version() const {
  const i64 answer = call(Function::Version);
  if (answer < 0) return fail(error_of(answer));
  return Version{static_cast<u16>(answer >> 16), static_cast<u16>(answer)};
}

Result<void> Psci::cpu_on(u64 hardware_id, Hpa entry, u64 context) const {
  // Bits outside the affinity fields, such as the RES1 bit 31 of MPIDR, are refused by some firmware.
  const i64 answer = call(Function::CpuOn64, hardware_id & arch::MPIDR_EL1::kAffinity, entry.value(), context);
  if (answer != kSuccess) return fail(error_of(answer));
  return {};
}

void Psci::system_off() const { call(Function::SystemOff); }
void Psci::system_reset() const { call(Function::SystemReset); }

}  // namespace ax::drivers
