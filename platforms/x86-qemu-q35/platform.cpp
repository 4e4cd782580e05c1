// The services of platforms/platform.hpp.
#include "platforms/platform.hpp"

#include <arch/cpu.hpp>
#include <arch/timer.hpp>

#include "kernel/percpu/per_cpu.hpp"
#include "platforms/common/start.hpp"
#include "platforms/x86-qemu-q35/boot_layout.h"
#include "platforms/x86-qemu-q35/cpu_calls.hpp"
#include "platforms/x86-qemu-q35/root.hpp"

/// Who is to start next; whoever comes out of the trampoline takes it.
extern "C" {
constinit std::atomic<ax::percpu::PerCpu*> ax_secondary_block{nullptr};
}

namespace ax::platform {
namespace {

namespace timer = drivers::host_timer;

constinit Root root;

constexpr u64 kMicro = 1'000'000;
/// A CPU that an emulator runs may take long to begin.
constexpr u64 kStartPatience = 5 * kMicro;
/// Between INIT and start-up IPI, and before a second one (SDM vol. 3 8.4.4.1; CPUs of this century need no 10 ms).
constexpr u64 kAfterInit = 10, kAfterStartup = 1000;

/// Waits until `condition`, at most so many microseconds; returns it.
template <class Condition>
bool wait(u64 microseconds, Condition condition) {
  const u64 deadline = timer::now() + timer::frequency() * microseconds / kMicro;
  while (!condition()) {
    if (timer::now() >= deadline) return condition();
    arch::cpu_relax();
  }
  return true;
}

/// Sends NMIs to every CPU of `cpus` but the calling one.
void send_nmis(u64 cpus) {
  cpus &= ~(u64{1} << arch::cpu_index());
  for (; cpus != 0; cpus &= cpus - 1) {
    const unsigned index = static_cast<unsigned>(std::countr_zero(cpus));
    root.apic.send_nmi(static_cast<u32>(root.machine.cpus[index].hardware_id));
  }
}

}  // namespace

Root& Root::instance() { return root; }

drivers::Uart* console_uart() { return root.machine.console.kind == ConsoleInfo::Kind::None ? nullptr : &root.uart; }

Result<void> start_cpu(unsigned index) {
  percpu::PerCpu* cpu = TRY(prepare_cpu(index, EMERGENCY_STACK_SIZE));
  if ((root.running.load() >> index & 1) != 0) return fail(Error::AlreadyExists);
  if (root.trampoline == Hpa(0)) return fail(Error::NotSupported);
  if (root.nmi_stacks[index] == 0) root.nmi_stacks[index] = TRY(allocate_stack(NMI_STACK_SIZE)).value();
  const u32 apic_id = static_cast<u32>(cpu->hardware_id);
  const auto is_taken = [] { return ax_secondary_block.load() == nullptr; };
  ax_secondary_block = cpu;
  root.apic.send_init(apic_id);
  wait(kAfterInit, [] { return false; });
  root.apic.send_startup(apic_id, root.trampoline);
  if (wait(kAfterStartup, is_taken)) return {};
  root.apic.send_startup(apic_id, root.trampoline);
  if (wait(kStartPatience, is_taken)) return {};
  // Should it come after all, it finds nothing to start and halts.
  return ax_secondary_block.exchange(nullptr) == nullptr ? Result<void>{} : fail(Error::TimedOut);
}

void handle_cpu_call() {
  stop_if_panicking();
  const u64 self = u64{1} << arch::cpu_index();
  if ((root.must_flush.load() & self) == 0) return;
  arch::Tlb::reload_cr3();
  root.must_flush.fetch_and(~self);
}

void flush_other_tlbs() {
  const u64 others = root.running.load() & ~(u64{1} << arch::cpu_index());
  root.must_flush.store(others);
  send_nmis(others);
  while (root.must_flush.load() != 0) arch::cpu_relax();
}

void interrupt_other_cpus() { send_nmis(root.running.load()); }

}  // namespace ax::platform
