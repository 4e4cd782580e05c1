// Client of the Power State Coordination Interface (Arm DEN 0022): firmware that starts CPUs and ends the machine.
#pragma once

#include "kernel/base/result.hpp"
#include "platforms/machine_info.hpp"

namespace ax::drivers {

/// Calls firmware through the conduit the device tree names. Any context.
class Psci {
 public:
  struct Version {
    u16 major = 0;
    u16 minor = 0;
  };

  constexpr Psci() = default;
  explicit constexpr Psci(PsciConduit conduit) : conduit_(conduit) {}

  /// Error: NotSupported without firmware.
  Result<Version> version() const;

  /// Starts the CPU with MPIDR affinity `hardware_id` at physical address `entry`, MMU off, `context` in its x0. Returns
  /// when the firmware has accepted the request. Errors: InvalidArgument, AlreadyExists (it runs, or is starting),
  /// PermissionDenied, NotSupported, BadState (an internal failure of the firmware).
  Result<void> cpu_on(u64 hardware_id, Hpa entry, u64 context) const;

  /// End the machine. They return only when the firmware refuses.
  void system_off() const;
  void system_reset() const;

 private:
  enum class Function : u32;
  i64 call(Function function, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0) const;

  PsciConduit conduit_ = PsciConduit::None;
};

}  // namespace ax::drivers
