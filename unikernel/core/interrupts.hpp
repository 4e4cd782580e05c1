// What the runtime core leaves to the service that has interrupts and several CPUs.
#pragma once

namespace ax::uni {

struct CpuHooks {
  void (*interrupt)() = nullptr;               ///< platform::handle_interrupt()
  void (*secondary)(unsigned index) = nullptr;  ///< platform::main_on_secondary_cpu(); does not return
};
void set_cpu_hooks(const CpuHooks& hooks);

}  // namespace ax::uni
