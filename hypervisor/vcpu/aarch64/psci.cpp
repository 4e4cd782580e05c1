#include "hypervisor/vcpu/aarch64/psci.hpp"

#include <optional>

namespace hv {
namespace {

// DEN 0022 5.2.2, "Return error codes".
enum class Status : i32 {
  Success = 0,
  NotSupported = -1,
  InvalidParameters = -2,
  AlreadyOn = -4,
  OnPending = -5,
  InvalidAddress = -9,
};

constexpr PsciResult resume(Status status) {
  return {PsciAction::Resume, static_cast<u64>(static_cast<i64>(status))};
}
constexpr PsciResult resume(u64 x0) { return {PsciAction::Resume, x0}; }

// Function identifiers. DEN 0028 2.
constexpr u32 kFunction64 = 1u << 30;     ///< SMC64: 64-bit parameters
constexpr u32 kPsciBase = 0x8400'0000;
constexpr u32 kSmcccVersion = 0x8000'0000;
constexpr u32 kSmcccArchFeatures = 0x8000'0001;

constexpr u32 kPvTimeFeatures = 0xc500'0020;
constexpr u32 kPvTimeStolen = 0xc500'0021;

constexpr u64 kSmcccVersionValue = 0x0001'0001;
constexpr u64 kNoTrustedOsToMigrate = 2;  ///< MIGRATE_INFO_TYPE

constexpr u64 kAffinityFields = 0xff'00ff'ffff;
constexpr u64 kAffinityLevelMask[] = {0xff'00ff'ffff, 0xff'00ff'ff00, 0xff'00ff'0000, 0xff'0000'0000};

// power_state of CPU_SUSPEND, original format. DEN 0022 5.4.2.
constexpr u64 kPowerDown = 1u << 16;
constexpr u64 kPowerStateReserved = 0xfcfe'0000;

/// The three parameters of a call, cut to the width of its function.
struct Parameters {
  u64 first;
  u64 second;
  u64 third;
};
using Handler = PsciResult (*)(PsciHost&, const Parameters&);

std::optional<unsigned> find_vcpu(PsciHost& host, u64 mpidr) {
  // Bit 31 of MPIDR_EL1 is no affinity either, although it reads as one.
  if ((mpidr & ~kAffinityFields) != 0) return std::nullopt;
  for (unsigned vcpu = 0; vcpu < host.vcpu_count(); ++vcpu) {
    if (host.mpidr_of(vcpu) == mpidr) return vcpu;
  }
  return std::nullopt;
}

PsciResult cpu_suspend(PsciHost& host, const Parameters& parameters) {
  const u64 power_state = parameters.first;
  if ((power_state & kPowerStateReserved) != 0) return resume(Status::InvalidParameters);
  if ((power_state & kPowerDown) != 0 && !host.is_ram(Gpa(parameters.second))) return resume(Status::InvalidAddress);
  // A powerdown request may be answered with a standby state, which keeps the context: DEN 0022 5.4.4.
  return {PsciAction::Suspend, static_cast<u64>(Status::Success)};
}

PsciResult cpu_off(PsciHost&, const Parameters&) { return {PsciAction::PowerOffSelf, 0}; }

PsciResult already_started(PsciPower power) {
  return resume(power == PsciPower::OnPending ? Status::OnPending : Status::AlreadyOn);
}

PsciResult cpu_on(PsciHost& host, const Parameters& parameters) {
  const auto target = find_vcpu(host, parameters.first);
  if (!target) return resume(Status::InvalidParameters);
  if (const PsciPower power = host.power_of(*target); power != PsciPower::Off) return already_started(power);
  const Gpa entry(parameters.second);
  if (!host.is_ram(entry)) return resume(Status::InvalidAddress);
  if (host.start(*target, entry, parameters.third)) return resume(Status::Success);
  // Another vCPU was faster. If the target has already gone off again, it was on in between.
  return already_started(host.power_of(*target));
}

PsciResult affinity_info(PsciHost& host, const Parameters& parameters) {
  const u64 level = parameters.second;
  if (level >= std::size(kAffinityLevelMask)) return resume(Status::InvalidParameters);
  if ((parameters.first & ~kAffinityFields) != 0) return resume(Status::InvalidParameters);
  const u64 mask = kAffinityLevelMask[level];
  std::optional<PsciPower> power;
  for (unsigned vcpu = 0; vcpu < host.vcpu_count(); ++vcpu) {
    if (((host.mpidr_of(vcpu) ^ parameters.first) & mask) != 0) continue;
    const PsciPower of_vcpu = host.power_of(vcpu);
    if (of_vcpu == PsciPower::On) return resume(static_cast<u64>(of_vcpu));
    if (!power || of_vcpu == PsciPower::OnPending) power = of_vcpu;
  }
  return power ? resume(static_cast<u64>(*power)) : resume(Status::InvalidParameters);
}

PsciResult migrate_info_type(PsciHost&, const Parameters&) { return resume(kNoTrustedOsToMigrate); }
PsciResult system_off(PsciHost&, const Parameters&) { return {PsciAction::SystemOff, 0}; }
PsciResult system_reset(PsciHost&, const Parameters&) { return {PsciAction::SystemReset, 0}; }

PsciResult system_reset2(PsciHost&, const Parameters& parameters) {
  constexpr u64 kWarmReset = 0;
  // reset_type is 32 bits wide in both forms of the call.
  if (static_cast<u32>(parameters.first) != kWarmReset) return resume(Status::InvalidParameters);
  return {PsciAction::SystemReset, 0};
}

PsciResult features(PsciHost&, const Parameters& parameters);

PsciResult version(PsciHost&, const Parameters&) { return resume(psci::kVersion); }

struct Function {
  Handler handler = nullptr;
  bool has_64bit_form = false;
};

/// By function number: the identifier without kPsciBase and kFunction64.
constexpr Function kFunctions[] = {
    /* 0x00 PSCI_VERSION */ {version, false},
    /* 0x01 CPU_SUSPEND */ {cpu_suspend, true},
    /* 0x02 CPU_OFF */ {cpu_off, false},
    /* 0x03 CPU_ON */ {cpu_on, true},
    /* 0x04 AFFINITY_INFO */ {affinity_info, true},
    /* 0x05 MIGRATE */ {},
    /* 0x06 MIGRATE_INFO_TYPE */ {migrate_info_type, false},
    /* 0x07 MIGRATE_INFO_UP_CPU */ {},
    /* 0x08 SYSTEM_OFF */ {system_off, false},
    /* 0x09 SYSTEM_RESET */ {system_reset, false},
    /* 0x0a PSCI_FEATURES */ {features, false},
    /* 0x0b CPU_FREEZE */ {},
    /* 0x0c CPU_DEFAULT_SUSPEND */ {},
    /* 0x0d NODE_HW_STATE */ {},
    /* 0x0e SYSTEM_SUSPEND */ {},
    /* 0x0f PSCI_SET_SUSPEND_MODE */ {},
    /* 0x10 PSCI_STAT_RESIDENCY */ {},
    /* 0x11 PSCI_STAT_COUNT */ {},
    /* 0x12 SYSTEM_RESET2 */ {system_reset2, true},
};

const Function* find_function(u32 function) {
  const bool is_64bit = (function & kFunction64) != 0;
  const u32 number = (function & ~kFunction64) - kPsciBase;
  if (number >= std::size(kFunctions)) return nullptr;
  const Function& row = kFunctions[number];
  return row.handler != nullptr && (row.has_64bit_form || !is_64bit) ? &row : nullptr;
}

PsciResult features(PsciHost&, const Parameters& parameters) {
  // No feature flags: CPU_SUSPEND has the original power_state format and no OS-initiated mode.
  const u32 function = static_cast<u32>(parameters.first);
  const bool implemented = function == kSmcccVersion || find_function(function) != nullptr;
  return resume(implemented ? Status::Success : Status::NotSupported);
}

PsciResult arch_features(PsciHost& host, u32 function) {
  const bool implemented = function == kSmcccVersion || function == kSmcccArchFeatures ||
                           (function == kPvTimeFeatures && host.has_stolen_time());
  return resume(implemented ? Status::Success : Status::NotSupported);
}

// DEN 0057 3.2.
PsciResult pv_time(PsciHost& host, u32 function, u32 asked) {
  if (!host.has_stolen_time()) return resume(Status::NotSupported);
  if (function == kPvTimeStolen) return resume(host.stolen_time().value());
  return resume(asked == kPvTimeFeatures || asked == kPvTimeStolen ? Status::Success : Status::NotSupported);
}

}  // namespace

PsciResult psci::dispatch(PsciHost& host, u32 function, std::span<const u64, 4> x) {
  if (const Function* row = find_function(function)) {
    const u64 mask = (function & kFunction64) != 0 ? ~u64{0} : u64{0xffff'ffff};
    return row->handler(host, {x[1] & mask, x[2] & mask, x[3] & mask});
  }
  if (function == kSmcccVersion) return resume(kSmcccVersionValue);
  if (function == kSmcccArchFeatures) return arch_features(host, static_cast<u32>(x[1]));
  if (function == kPvTimeFeatures || function == kPvTimeStolen) return pv_time(host, function, static_cast<u32>(x[1]));
  if (function == psci::kExitsFunction) return resume(host.exits());
  return resume(Status::NotSupported);
}

}  // namespace hv
