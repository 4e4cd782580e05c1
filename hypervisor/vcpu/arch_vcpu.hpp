// The architecture's half of a vCPU: `StartState`, `ArchVcpu`.
#pragma once

#if defined(__aarch64__)
#include "hypervisor/vcpu/aarch64/arch_vcpu.hpp"
#elif defined(__x86_64__)
#include "hypervisor/vcpu/x86_64/arch_vcpu.hpp"
#endif
