// The program's life: how it begins and how it ends.
#pragma once

#include <string_view>

#include "kernel/base/types.hpp"

namespace ax::uni {

/// Ends the machine with the program's exit status (0..255). The status goes to the console as an Application Program Command
/// (ECMA-48 8.3.2), which terminals do not show and `xtask app run` takes for its own exit status. Any context.
[[noreturn]] void end_program(unsigned status);

/// Called once, before the machine ends: what is still to be written is written. `crashed`: anything may be in the middle of
/// something, and nothing may be waited for.
void set_end_hook(void (*hook)(bool crashed));

/// What a shell reports for a program that a signal ended: 128 + its number.
inline constexpr unsigned kAbortStatus = 134;
inline constexpr unsigned kCrashStatus = 139;
/// The system itself could not go on.
inline constexpr unsigned kSystemFailureStatus = 125;

/// A message, then end_program(kSystemFailureStatus).
[[noreturn]] void stop_program(std::string_view message);

}  // namespace ax::uni
