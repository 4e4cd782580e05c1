#include "unikernel/core/interrupts.hpp"

#include <arch/msr.hpp>

#include "kernel/drivers/local_apic.hpp"
#include "kernel/percpu/per_cpu.hpp"
#include "platforms/platform.hpp"

extern "C" void ax_context_entry();

namespace ax::uni {
namespace {

constinit drivers::LocalApic apic;
constinit u32 apic_ids[kMaxCpus] = {};
constinit void (*device_handler)() = nullptr;
constexpr u32 kFsBase = 0xc000'0100;

/// As ax_switch_context() stores it.
struct Context {
  u32 mxcsr = 0x1f80;
  u16 control = 0x037f;
  u16 padding = 0;
  u64 r15 = 0, r14 = 0, r13 = 0, r12 = 0, rbx = 0, rbp = 0;
  u64 rip = 0;
};

}  // namespace

Result<void> init_interrupts(const MachineInfo& machine) {
  apic.attach(machine.pc.local_apic.base);
  for (usize i = 0; i < machine.cpus.size(); ++i) apic_ids[i] = static_cast<u32>(machine.cpus[i].hardware_id);
  return {};
}

/// The platform has prepared the local APIC, which its clock needs.
Result<void> init_cpu_interrupts(unsigned) {
  asm volatile("fninit");
  return {};
}

Result<void> attach_device(std::span<const u32>, void (*handler)()) {
  device_handler = handler;
  return {};
}

void kick_cpu(unsigned index) { apic.send(apic_ids[index], drivers::host_vector::kKick); }

void take_interrupts(void (*timer)()) {
  const u64 vector = percpu::this_cpu().vector;
  if (vector == drivers::host_vector::kSpurious) return;
  if (vector == drivers::host_vector::kTimer) timer();
  if (vector == drivers::host_vector::kFirstLine && device_handler != nullptr) device_handler();
  apic.end_of_interrupt();
}

u64 thread_pointer() { return arch::read_msr(kFsBase); }
void set_thread_pointer(u64 value) { arch::write_msr(kFsBase, value); }

void* make_context(u64 top, void (*entry)(void*), void* argument) {
  // The entry's stack is that of a function that was called: 8 bytes off a 16-byte boundary after its push.
  Context* context = reinterpret_cast<Context*>(align_down(top, 16)) - 1;
  *context = {};
  context->rbx = reinterpret_cast<u64>(entry);
  context->r12 = reinterpret_cast<u64>(argument);
  context->rip = reinterpret_cast<u64>(&ax_context_entry);
  return context;
}

}  // namespace ax::uni
