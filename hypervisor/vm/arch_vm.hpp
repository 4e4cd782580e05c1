// The architecture's half of a VM: `ArchVm`, `kMaxVcpus`.
#pragma once

#if defined(__aarch64__)
#include "hypervisor/vm/aarch64/arch_vm.hpp"
#elif defined(__x86_64__)
#include "hypervisor/vm/x86_64/arch_vm.hpp"
#endif
