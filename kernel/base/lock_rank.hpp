// The order in which locks may be taken; docs/locking.md says what each protects.
#pragma once

#include "kernel/base/types.hpp"

namespace ax {

/// A CPU that holds a lock may only take locks of a later rank.
enum class LockRank : u8 {
  ProgramMemory,      ///< unikernel: the mappings of the program
  VirtualDevice,      ///< one emulated device
  VirtualInterrupts,  ///< one VM's interrupt controller
  HostInterrupts,     ///< interrupt controllers whose registers are reached in two steps
  HostPageTable,      ///< the host's own address space
  Frames,             ///< page frames, their owners, and the heap made of them
  Console,            ///< log ring and console: taken last, so that everybody may log
};

}  // namespace ax
