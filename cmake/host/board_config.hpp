// What the generator writes for a board, fixed for host builds of kernel-side code.
#pragma once

#include <string_view>

namespace ax::board {

inline constexpr std::string_view kName = "host";
inline constexpr std::string_view kFeatures = "";          ///< selected and built, separated by blanks
inline constexpr std::string_view kFeaturesNotBuilt = "";  ///< selected, but without effect in this version
inline constexpr unsigned kLogLevel = 4;            ///< ax::log::Level: everything is compiled in
inline constexpr unsigned kMaxCpus = 8;             ///< most CPUs that are brought up
inline constexpr unsigned kTicksPerSecond = 1000;   ///< default time slice = 1 / this
inline constexpr unsigned kThreadStackSize = 0x40000;  ///< bytes
inline constexpr bool kPowerOffWhenIdle = true;     ///< power off when the last VM has stopped

inline constexpr bool kFeatureAxstdBusMmio = true;
inline constexpr bool kFeatureAxstdMyplat = false;
inline constexpr bool kFeatureDynPlat = true;
inline constexpr bool kFeatureEptLevel4 = true;
inline constexpr bool kFeatureFs = false;
inline constexpr bool kFeatureHv = true;
inline constexpr bool kFeatureIrq = true;
inline constexpr bool kFeaturePhytiumBlk = false;
inline constexpr bool kFeatureRebootOnSystemOff = false;
inline constexpr bool kFeatureRk3568Clk = false;
inline constexpr bool kFeatureRk3588Clk = false;
inline constexpr bool kFeatureSdmmc = false;
inline constexpr bool kFeatureSmp = true;

}  // namespace ax::board
