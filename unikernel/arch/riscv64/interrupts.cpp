#include "unikernel/core/interrupts.hpp"

#include <arch/cpu.hpp>
#include <array>

#include "kernel/drivers/plic.hpp"
#include "kernel/drivers/sbi.hpp"
#include "platforms/platform.hpp"

extern "C" void ax_context_entry();

namespace ax::uni {
namespace {

constinit std::array<u64, kMaxCpus> harts{};
constinit drivers::Plic plic;
constinit void (*device_handler)() = nullptr;

/// As ax_switch_context() stores it.
struct Context {
  u64 ra;
  u64 s0_to_s11[12];
  u64 fs0_to_fs11[12];
  u64 fcsr;
};
static_assert(sizeof(Context) == 208);

}  // namespace

Result<void> init_interrupts(const MachineInfo& machine) {
  for (usize i = 0; i < machine.cpus.size(); ++i) harts[i] = machine.cpus[i].hardware_id;
  return {};
}

Result<void> init_cpu_interrupts(unsigned) {
  arch::SIE::set(arch::InterruptBit::Timer | arch::InterruptBit::Software);
  return {};
}

Result<void> attach_device(std::span<const u32> interrupt, void (*handler)()) {
  const MachineInfo& machine = platform::machine();
  if (interrupt.size() != 1 || interrupt[0] == 0 || machine.plic.registers.empty()) return fail(Error::NotSupported);
  TRY(platform::map_device(machine.plic.registers));
  plic.attach(machine.plic, machine.cpus);
  if (interrupt[0] > plic.sources()) return fail(Error::NotSupported);
  plic.init_cpu(0);
  device_handler = handler;
  plic.enable(interrupt[0], 0);
  arch::SIE::set(arch::InterruptBit::External);
  return {};
}

void kick_cpu(unsigned index) { drivers::sbi::send_interrupt(harts[index]); }

void take_interrupts(void (*timer)()) {
  const u64 pending = arch::SIP::read();
  if ((pending & arch::InterruptBit::Software) != 0) arch::SIP::clear(arch::InterruptBit::Software);
  if ((pending & arch::InterruptBit::Timer) != 0) timer();
  if ((pending & arch::InterruptBit::External) == 0 || device_handler == nullptr || arch::cpu_index() != 0) return;
  while (const u32 source = plic.claim(0)) {
    device_handler();
    plic.complete(0, source);
  }
}

u64 thread_pointer() {
  u64 value;
  asm volatile("mv %0, tp" : "=r"(value));
  return value;
}
void set_thread_pointer(u64 value) { asm volatile("mv tp, %0" : : "r"(value)); }

void* make_context(u64 top, void (*entry)(void*), void* argument) {
  Context* context = reinterpret_cast<Context*>(align_down(top, 16)) - 1;
  *context = {};
  context->ra = reinterpret_cast<u64>(&ax_context_entry);
  context->s0_to_s11[1] = reinterpret_cast<u64>(entry);
  context->s0_to_s11[2] = reinterpret_cast<u64>(argument);
  return context;
}

}  // namespace ax::uni
