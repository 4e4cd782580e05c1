// Control registers of the exception level, in the state that the image runs in.
#pragma once

namespace ax::platform {

/// Gives every register of the level that firmware may have left in any state its value: at EL2 that for "no guest, everything
/// trapped" (the program changes what a guest needs when it enters one), at EL1 no timers and no traps. Each CPU, once, before
/// the program.
void reset_level_state();

}  // namespace ax::platform
