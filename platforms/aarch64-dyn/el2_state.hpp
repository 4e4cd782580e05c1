// EL2 control registers in the state the host runs in.
#pragma once

namespace ax::platform {

/// Gives every EL2 register that firmware may have left in any state the value for "no guest, everything trapped". The
/// program changes what a guest needs when it enters one. Each CPU, once, before the program.
void reset_el2_state();

}  // namespace ax::platform
