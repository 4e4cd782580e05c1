// The order in which locks may be taken; docs/locking.md says what each protects.
#pragma once

#include "kernel/base/types.hpp"

namespace ax {

/// A CPU that holds a lock may only take locks of a later rank.
enum class LockRank : u8 {
  VmRegistry,     ///< the list of virtual machines
  Vm,             ///< one VM's life cycle
  Scheduler,      ///< run queues, task states
  VirtualDevice,  ///< one emulated device
  VirtualGic,     ///< one VM's interrupt controller
  Stage2,         ///< one VM's guest-physical address space
  HostPageTable,  ///< the host's own address space
  Driver,         ///< one host device, interrupt controller included
  Heap,           ///< the host's heap
  Frames,         ///< page frames and their owners
  Inbox,          ///< requests from other CPUs
  Console,        ///< log ring and console: taken last, so that everybody may log
};

}  // namespace ax
