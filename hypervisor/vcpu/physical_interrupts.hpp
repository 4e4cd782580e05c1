// The architecture's half of interrupt handling: `PhysicalInterrupts`.
#pragma once

#if defined(__aarch64__)
#include "hypervisor/vcpu/aarch64/physical_interrupts.hpp"
#elif defined(__x86_64__)
#include "hypervisor/vcpu/x86_64/physical_interrupts.hpp"
#endif
