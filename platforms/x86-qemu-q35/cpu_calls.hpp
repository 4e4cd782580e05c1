// What CPUs ask of each other without waiting for interrupts to be unmasked: by NMI.
#pragma once

namespace ax::platform {

/// Serves what was asked of this CPU. In the NMI handler, or wherever an NMI was taken on the host's behalf.
void handle_cpu_call();

/// Returns when every other running CPU has dropped all its translations. The caller holds the address space's lock.
void flush_other_tlbs();

/// Makes every other running CPU call stop_if_panicking(), without waiting.
void interrupt_other_cpus();

}  // namespace ax::platform
