#include "hypervisor/main/hypervisor.hpp"

#include <arch/cpu.hpp>
#include <arch/timer.hpp>
#include <board_config.hpp>
#include <new>

#include "hypervisor/config/vm_config.hpp"
#include "hypervisor/vm/vm.hpp"
#include "kernel/log/log.hpp"
#include "kernel/percpu/per_cpu.hpp"

namespace hv {
namespace {

// Generous: emulators on loaded machines start a CPU late, and nothing but a broken CPU ever waits this long.
constexpr u64 kCpuStartTimeoutMs = 10000;

alignas(Hypervisor) std::byte root_storage[sizeof(Hypervisor)];
alignas(Cpu) std::byte cpu_storage[board::kMaxCpus][sizeof(Cpu)];

Hypervisor& root() { return *std::launder(reinterpret_cast<Hypervisor*>(root_storage)); }

}  // namespace

Hypervisor::Hypervisor(MachineInfo& machine_info)
    : machine_(machine_info), interrupts_(*this, machine_info), console_(*this), vms_(*this) {}

void Hypervisor::print_banner() const {
  log::print_line("axvisor {} on {} ({}), log {}", AXVISOR_VERSION, board::kName, machine_.model, log::name(log::kCompiledLevel));
  log::print_line("axvisor: features: {}", board::kFeatures.empty() ? std::string_view("none") : board::kFeatures);
  if (!board::kFeaturesNotBuilt.empty()) log::print_line("axvisor: not built yet, without effect: {}", board::kFeaturesNotBuilt);
}

void Hypervisor::print_machine() const {
  u64 ram = 0;
  for (const HpaRange& range : machine_.ram) ram += range.size;
  log::print_line("axvisor: {} CPUs, {} MiB of RAM, {}, {}, {} virtual machines", machine_.cpus.size(), ram >> 20,
                  guest_execution_.name(), interrupts_.name(), kStaticVmConfigs.size());
}

// The reason was logged.
void Hypervisor::give_up() {
  log::print_line("axvisor: done: 0 stopped, {} failed: this machine cannot run guests", kStaticVmConfigs.size());
  platform::power_off();
}

void Hypervisor::run_boot_cpu() {
  print_banner();
  if (const auto ready = interrupts_.init(); !ready) platform::panic("the interrupt controller cannot be used");
  if (const auto ready = guest_execution_.init(heap_); !ready) give_up();
  print_machine();
  create_cpu(0);
  percpu::this_cpu().program = cpus_[0];
  if (!interrupts_.init_cpu(0)) platform::panic("the boot CPU has no interrupt controller interface");
  start_secondary_cpus();
  if (drivers::Uart* uart = platform::console_uart()) console_.attach(*uart, machine_.console.interrupt);
  if (!vms_.start()) platform::panic("no memory for the manager's thread");
  run_cpu(0);
}

void Hypervisor::create_cpu(unsigned index) { cpus_[index] = new (cpu_storage[index]) Cpu(*this, loads_, index); }

void Hypervisor::run_cpu(unsigned index) {
  percpu::this_cpu().program = cpus_[index];
  if (const auto ready = guest_execution_.init_cpu(index); !ready) {
    if (index == 0) give_up();
    useless_.store(index, std::memory_order_release);
    arch::halt();
  }
  machine_.cpus[index].online = true;
  online_.fetch_add(1, std::memory_order_release);
  log::debug("CPU {} ({:#x}) is online", index, machine_.cpus[index].hardware_id);
  cpus_[index]->run();
}

// A CPU that does not come, or cannot run guests, is left out: the machine is used as far as it works. CPU numbers stay dense
// because CPUs are started in order and the first that fails ends the list.
void Hypervisor::start_secondary_cpus() {
  const auto wanted = static_cast<unsigned>(std::min<usize>(machine_.cpus.size(), board::kMaxCpus));
  for (unsigned index = 1; index < wanted; ++index) {
    create_cpu(index);
    const unsigned before = online_.load(std::memory_order_acquire);
    if (const auto started = platform::start_cpu(index); !started) {
      log::error("CPU {} was not started: {}", index, started.error());
      break;
    }
    const u64 deadline = drivers::host_timer::now() + drivers::host_timer::frequency() * kCpuStartTimeoutMs / 1000;
    const auto is_useless = [&] { return useless_.load(std::memory_order_acquire) == index; };
    while (online_.load(std::memory_order_acquire) == before && !is_useless() && drivers::host_timer::now() < deadline)
      arch::cpu_relax();
    if (is_useless()) {
      log::warn("CPU {} is left out, and those behind it", index);
      break;
    }
    if (online_.load(std::memory_order_acquire) == before) {
      log::error("CPU {} did not come up within {} ms", index, kCpuStartTimeoutMs);
      break;
    }
    ++cpu_count_;
  }
  log::info("{} of {} CPUs are in use", cpu_count_, machine_.cpus.size());
}

// A notification that lies where its task has been is passed on to where the task is: the second round finds it there.
void Hypervisor::quiesce() {
  constexpr unsigned kRounds = 2;
  for (unsigned i = 0; i < kRounds * cpu_count_; ++i) {
    const unsigned index = i % cpu_count_;
    Cpu& cpu = *cpus_[index];
    const u64 before = cpu.rounds.load(std::memory_order_acquire);
    const u64 flags = arch::irq_save();
    if (&cpu == &Cpu::current()) {
      cpu.leave_thread(Task::State::Ready);
    } else {
      interrupts_.send_kick(index);
    }
    arch::irq_restore(flags);
    while (cpu.rounds.load(std::memory_order_acquire) == before) arch::cpu_relax();
  }
}

// A notification of a vCPU may still lie in an inbox, posted by a sibling that stopped later.
void Hypervisor::retire(mm::Box<Vm> vm) {
  quiesce();
  vm.reset();
}

}  // namespace hv

namespace ax::platform {

void main_on_boot_cpu(MachineInfo& machine) { (new (hv::root_storage) hv::Hypervisor(machine))->run_boot_cpu(); }

void main_on_secondary_cpu(unsigned index) {
  hv::Hypervisor& hypervisor = hv::root();
  if (!hypervisor.interrupts().init_cpu(index)) panic("a CPU has no interrupt controller interface");
  hypervisor.run_cpu(index);
}

void handle_interrupt() {
  hv::Cpu& cpu = hv::Cpu::current();
  cpu.handle_interrupts();
  cpu.preempt_thread_if_needed();
}

}  // namespace ax::platform
