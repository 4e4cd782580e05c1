// The per-CPU block: reachable from a CPU register in one instruction, from the first C++ instruction on.
#pragma once

#include <arch/cpu.hpp>
#include <atomic>
#include <board_config.hpp>

#include "kernel/base/types.hpp"

namespace ax::percpu {

/// One CPU's block. Written by the CPU itself, or by the CPU that starts it before it runs. What has an offset below is read
/// by assembly code.
struct alignas(64) PerCpu {
  u32 index = 0;                  ///< place in MachineInfo::cpus
  std::atomic<u32> panics{0};     ///< 1 while this CPU reports a panic
  u64 emergency_stack_top = 0;    ///< where a fatal exception continues: the stack in use may be the culprit
  u64 stack_top = 0;              ///< the stack the CPU started on
  u64 stack_size = 0;             ///< bytes below stack_top; the page below them is not mapped
  u64 hardware_id = 0;            ///< MPIDR_EL1 affinity, APIC id, or hart number
  void* program = nullptr;        ///< belongs to the program (hypervisor, unikernel): its own per-CPU object
  PerCpu* self = nullptr;         ///< x86: this block, which GS reaches but cannot name; set before the CPU runs
  u64 vector = 0;                 ///< x86: the interrupt that handle_interrupt() is called for; riscv64: a register, while vectors.S needs it
  std::atomic<u64> asleep{0};     ///< riscv64: not 0 while the CPU waits for an interrupt, and forgets old translations afterwards
  void* user_entry = nullptr;     ///< where a program in user mode arrives: unikernel/app
};

inline constexpr u64 kIndexOffset = 0;
inline constexpr u64 kEmergencyStackOffset = 8;
inline constexpr u64 kStackTopOffset = 16;
inline constexpr u64 kSelfOffset = 48;
inline constexpr u64 kVectorOffset = 56;
inline constexpr u64 kAsleepOffset = 64;
inline constexpr u64 kUserEntryOffset = 72;
static_assert(offsetof(PerCpu, index) == kIndexOffset);
static_assert(offsetof(PerCpu, emergency_stack_top) == kEmergencyStackOffset);
static_assert(offsetof(PerCpu, stack_top) == kStackTopOffset);
static_assert(offsetof(PerCpu, self) == kSelfOffset);
static_assert(offsetof(PerCpu, vector) == kVectorOffset);
static_assert(offsetof(PerCpu, asleep) == kAsleepOffset);
static_assert(offsetof(PerCpu, user_entry) == kUserEntryOffset);

/// The block of the calling CPU. The caller must not migrate while it uses it: interrupts masked, or a pinned thread.
inline PerCpu& this_cpu() { return *static_cast<PerCpu*>(arch::per_cpu_base()); }

/// The block of CPU `index`; nullptr when the board brings up fewer CPUs than that.
PerCpu* of(unsigned index);

/// What the program stored in this CPU's block. The program guarantees that it did, and the type.
template <class T>
T& program() {
  return *static_cast<T*>(this_cpu().program);
}

}  // namespace ax::percpu
