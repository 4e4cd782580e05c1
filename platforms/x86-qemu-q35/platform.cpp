// The services of platforms/platform.hpp.
#include "platforms/platform.hpp"

#include <arch/cpu.hpp>

#include "kernel/percpu/per_cpu.hpp"
#include "platforms/x86-qemu-q35/boot_layout.h"
#include "platforms/x86-qemu-q35/cpu_calls.hpp"
#include "platforms/x86-qemu-q35/root.hpp"

namespace ax::platform {
namespace {

constinit Root root;

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

MachineInfo& machine() { return root.machine; }
LockedFrames& frames() { return root.frames; }
drivers::Uart* console_uart() { return root.machine.console.kind == ConsoleInfo::Kind::None ? nullptr : &root.uart; }

Result<void> map_device(HpaRange range) { return root.space.map_identity(root.frames, range, mm::kDeviceReadWrite); }
Result<void> map_memory(HpaRange range) { return root.space.map_identity(root.frames, range, mm::kReadWrite); }
Result<Hva> allocate_stack(u64 size) { return root.space.allocate_stack(root.frames, size); }
void free_stack(Hva top, u64 size) { root.space.free_stack(root.frames, top, size); }

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
