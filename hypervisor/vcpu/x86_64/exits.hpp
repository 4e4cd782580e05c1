// What happens when a guest leaves its world.
#pragma once

#include <array>

#include "hypervisor/vcpu/x86_64/backend.hpp"

namespace hv {

class ArchVcpu;

using ExitHandler = void (*)(ArchVcpu&, const VmExit&);
extern const std::array<ExitHandler, kExitReasons> kExitHandlers;

/// Answers the exit: emulates it, injects the architectural fault, or stops the VM. Physical interrupts are not its
/// business. On the vCPU's CPU, its state loaded, interrupts masked.
inline void handle_exit(ArchVcpu& vcpu, const VmExit& exit) { kExitHandlers[static_cast<usize>(exit.reason)](vcpu, exit); }

/// The one report of a guest's end, with its registers; then its VM is stopped.
void crash(ArchVcpu& vcpu, std::string_view why);

}  // namespace hv
