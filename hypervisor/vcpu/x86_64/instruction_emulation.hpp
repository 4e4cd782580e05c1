// Instructions that the hardware leaves to software: decoded and executed in a vCPU's place.
#pragma once

#include <optional>

#include "hypervisor/vcpu/x86_64/backend.hpp"

namespace hv {

class ArchVcpu;

/// Executes the instruction that the vCPU stands at: an access to memory or ports that are not its own. Afterwards it
/// stands behind it, or in the middle of a REP, or the guest takes a fault; or its VM is stopped, because this is no
/// such instruction.
void emulate_instruction(ArchVcpu& vcpu, const VmExit& exit);

/// A move between a control register and a general-purpose one.
struct DecodedControlMove {
  bool write = false;
  Gpr which{};
  u8 length = 0;
};
/// What `exit`, a TaskPriority or Cr4Write, is about; asks the instruction itself when the CPU does not say all.
/// Nothing: the guest changed it.
std::optional<DecodedControlMove> control_move(ArchVcpu& vcpu, const VmExit& exit);

/// Whether the next instruction is a HLT.
bool stands_at_halt(ArchVcpu& vcpu);

}  // namespace hv
