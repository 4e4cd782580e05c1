#include "unikernel/core/machine.hpp"

#include <arch/cpuid.hpp>
#include <arch/port.hpp>

#include "unikernel/core/random_bytes.hpp"

namespace ax::uni {

/// The platform has calibrated the clock and allowed the vector registers; this is the state that the ABI wants them in.
void prepare_machine(MachineInfo& machine) {
  constexpr u32 kDefaultControl = 0x1f80;
  asm volatile("fninit; ldmxcsr %0" : : "m"(kDefaultControl));
  // A byte that came before the port was switched on has been thrown away with the reset of the FIFO; emulators go on sending
  // when its register is read.
  arch::port_read8(static_cast<u16>(machine.console.registers.base.value()));
}

bool hardware_random(u64& word) {
  constexpr u32 kFeatures = 1, kRandom = 1 << 30;
  if ((arch::cpuid(kFeatures).ecx & kRandom) == 0) return false;
  bool ready;
  asm volatile("rdrand %0" : "=r"(word), "=@ccc"(ready));
  return ready;
}

}  // namespace ax::uni
