// The hypervisor: one root object that owns everything.
#pragma once

#include <array>
#include <atomic>

#include "hypervisor/console/guest_console.hpp"
#include "hypervisor/main/locked_heap.hpp"
#include "hypervisor/main/vm_manager.hpp"
#include "hypervisor/storage/disks.hpp"
#include "hypervisor/sched/cpu.hpp"
#include "hypervisor/vcpu/guest_execution.hpp"
#include "hypervisor/vcpu/physical_interrupts.hpp"
#include "hypervisor/vm/device_owners.hpp"
#include "hypervisor/vm/shared_regions.hpp"
#include "kernel/mm/heap.hpp"
#include "platforms/platform.hpp"

namespace hv {

class Hypervisor {
 public:
  explicit Hypervisor(MachineInfo& machine_info);

  /// Brings up this CPU's interrupts, timers and guest execution, then runs its main loop. Every CPU calls it once.
  [[noreturn]] void run_cpu(unsigned index);

  /// Starts the other CPUs, creates the manager thread, then runs the boot CPU's loop. Boot CPU, interrupts masked.
  [[noreturn]] void run_boot_cpu();

  /// CPUs that take part, the boot CPU included; fixed before the first VM is created.
  unsigned cpu_count() const { return cpu_count_; }
  Cpu& cpu(unsigned index) { return *cpus_[index]; }

  const MachineInfo& machine() const { return machine_; }
  GuestExecution& guest_execution() { return guest_execution_; }
  PhysicalInterrupts& interrupts() { return interrupts_; }
  GuestConsole& console() { return console_; }
  VmManager& vms() { return vms_; }
  DeviceOwners& device_owners() { return device_owners_; }
  SharedRegions& shared_regions() { return shared_regions_; }
  /// Only with the feature fs.
  Disks& disks() { return disks_; }
  /// Any context but the exit path.
  mm::ObjectAllocator& heap() { return heap_; }

  u64 heap_bytes() { return heap_.used_bytes(); }

  /// Destroys a VM that has come to rest, once no CPU can refer to its vCPUs any more. Manager thread.
  void retire(mm::Box<Vm> vm);

 private:
  void print_banner() const;
  void print_machine() const;
  [[noreturn]] void give_up();
  void start_secondary_cpus();
  void create_cpu(unsigned index);
  void quiesce();

  MachineInfo& machine_;
  LockedHeap heap_{platform::frames()};
  GuestExecution guest_execution_;
  PhysicalInterrupts interrupts_;
  GuestConsole console_;
  Disks disks_{*this};
  VmManager vms_;
  DeviceOwners device_owners_;
  SharedRegions shared_regions_;
  LoadBoard loads_;
  std::array<Cpu*, kMaxCpus> cpus_{};
  std::atomic<unsigned> online_{0};
  std::atomic<unsigned> useless_{0};  ///< the CPU that cannot run guests; 0: none has said so
  unsigned cpu_count_ = 1;
};

}  // namespace hv
