// What axconfig writes for a hypervisor's board, fixed for the unikernel.
#pragma once

#include <string_view>

namespace ax::board {

inline constexpr std::string_view kName = "unikernel";
inline constexpr unsigned kLogLevel = 4;               ///< everything is compiled in; the program's description chooses
inline constexpr unsigned kMaxCpus = 16;               ///< most CPUs that are brought up
inline constexpr unsigned kThreadStackSize = 0x80'0000;  ///< bytes: of the program's first thread, as Linux gives it

}  // namespace ax::board
