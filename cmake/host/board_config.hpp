// What the generator writes for a board, fixed for host builds of kernel-side code.
#pragma once

#include <string_view>

namespace ax::board {

inline constexpr std::string_view kName = "host";
inline constexpr std::string_view kFeatures = "";
inline constexpr unsigned kLogLevel = 4;            ///< ax::log::Level: everything is compiled in
inline constexpr unsigned kMaxCpus = 8;             ///< most CPUs that are brought up
inline constexpr unsigned kTicksPerSecond = 1000;   ///< default time slice = 1 / this
inline constexpr unsigned kThreadStackSize = 0x40000;  ///< bytes
inline constexpr bool kPowerOffWhenIdle = true;     ///< power off when the last VM has stopped
inline constexpr bool kFeatureFs = false;

}  // namespace ax::board
