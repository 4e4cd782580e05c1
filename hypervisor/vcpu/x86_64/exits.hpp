// What happens when a guest leaves its world.
#pragma once

#include "hypervisor/vcpu/x86_64/backend.hpp"

namespace hv {

class ArchVcpu;

/// Answers the exit: emulates it, injects the architectural fault, or stops the VM. Physical interrupts are not its
/// business. On the vCPU's CPU, its state loaded, interrupts masked.
void handle_exit(ArchVcpu& vcpu, const VmExit& exit);

/// The one report of a guest's end, with its registers; then its VM is stopped.
void crash(ArchVcpu& vcpu, std::string_view why);

}  // namespace hv
