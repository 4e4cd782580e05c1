#include <arch/cpu.hpp>

#include "platforms/aarch64-dyn/level_state.hpp"

namespace ax::platform {

void reset_level_state() {
  using namespace arch;
  CNTV_CTL_EL0::write(0);
  CNTP_CTL_EL0::write(0);
  CNTKCTL_EL1::write(0);
  MDSCR_EL1::write(0);
  TPIDR_EL0::write(0);
  isb();
}

}  // namespace ax::platform
