// What happens when a guest leaves its world.
#pragma once

#include "hypervisor/vcpu/aarch64/context.hpp"

namespace hv {

class Vcpu;

/// Answers an exit that was not answered at once: emulates it, injects the architectural fault, or stops the VM. Afterwards the
/// vCPU's `state` says whether it goes on. On the vCPU's CPU, its registers loaded, interrupts masked.
void handle_exit(Vcpu& vcpu, ExitVector vector);

}  // namespace hv
