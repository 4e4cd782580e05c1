// The architecture's half of what lets a machine run guests: `GuestExecution`.
#pragma once

#if defined(__aarch64__)
#include "hypervisor/vcpu/aarch64/guest_execution.hpp"
#elif defined(__x86_64__)
#include "hypervisor/vcpu/x86_64/guest_execution.hpp"
#endif
