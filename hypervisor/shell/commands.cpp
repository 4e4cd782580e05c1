// The shell's commands.
#include <algorithm>
#include <arch/timer.hpp>
#include <board_config.hpp>

#include "hypervisor/main/hypervisor.hpp"
#include "hypervisor/shell/shell.hpp"
#include "kernel/log/log.hpp"
#include "platforms/platform.hpp"

namespace hv {
namespace {

Hypervisor& hypervisor_of(ShellEnvironment& environment) { return static_cast<Shell&>(environment).hypervisor; }
VmManager& manager_of(ShellEnvironment& environment) { return hypervisor_of(environment).vms(); }

/// A decimal number from 1 to `most`. Error: InvalidArgument.
Result<u32> number(std::string_view text, u32 most) {
  u32 value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || value > most) return fail(Error::InvalidArgument);
    value = value * 10 + static_cast<u32>(c - '0');
  }
  if (value == 0 || value > most) return fail(Error::InvalidArgument);
  return value;
}

// ---- vm ---------------------------------------------------------------------------------------------------------------

/// By name, or by id. What is not there is said.
VmSlot* find(ShellEnvironment& environment, std::string_view name) {
  const KnownVms slots = manager_of(environment).slots();
  for (VmSlot& slot : slots)
    if (slot.config->name == name) return &slot;
  if (const auto id = number(name, 0xffff))
    for (VmSlot& slot : slots)
      if (slot.config->id == *id) return &slot;
  print(environment.out(), "there is no VM '{}'; 'vm list' shows them\n", name);
  return nullptr;
}

using Action = Result<void> (VmManager::*)(VmSlot&);

/// Does `action` to each VM that is named.
Result<void> for_each_named(ShellEnvironment& environment, Arguments names, Action action, std::string_view verb) {
  for (const std::string_view name : names) {
    VmSlot* slot = find(environment, name);
    if (slot == nullptr) continue;
    if (const auto done = (manager_of(environment).*action)(*slot); !done && done.error() == Error::BadState)
      print(environment.out(), "VM {} is {}: it cannot be {}\n", slot->config->name, describe(slot->life.state()), verb);
  }
  return {};
}

Result<void> vm_start(ShellEnvironment& environment, Arguments names) {
  for (VmSlot& slot : manager_of(environment).slots()) {
    if (!names.empty() || slot.life.is_active()) continue;
    slot.backoff.forget();
    static_cast<void>(manager_of(environment).start(slot));  // the reason was logged
  }
  return for_each_named(environment, names, &VmManager::start, "started");
}
Result<void> vm_stop(ShellEnvironment& environment, Arguments names) {
  return for_each_named(environment, names, &VmManager::stop, "stopped");
}
Result<void> vm_suspend(ShellEnvironment& environment, Arguments names) {
  return for_each_named(environment, names, &VmManager::suspend, "suspended");
}
Result<void> vm_resume(ShellEnvironment& environment, Arguments names) {
  return for_each_named(environment, names, &VmManager::resume, "resumed");
}

Result<void> vm_restart(ShellEnvironment& environment, Arguments arguments) {
  if (arguments.size() == 1) return for_each_named(environment, arguments, &VmManager::restart, "restarted");
  constexpr u32 kMostRestarts = 1'000'000;
  const u32 count = TRY(number(arguments[1], kMostRestarts));
  if (VmSlot* slot = find(environment, arguments[0])) static_cast<void>(manager_of(environment).check_restarts(*slot, count));
  return {};
}

Result<void> vm_list(ShellEnvironment& environment, Arguments) {
  print(environment.out(), "{:5} {:20} {:9} {:5} {:8} {:6}\n", "id", "name", "state", "vCPUs", "MiB", "starts");
  for (const VmSlot& slot : manager_of(environment).slots()) {
    u64 memory = 0;
    for (const MemoryRegion& region : slot.config->memory) memory += region.size;
    print(environment.out(), "{:5} {:20} {:9} {:5} {:8} {:6}\n", slot.config->id, slot.config->name, describe(slot.life.state()),
          slot.config->cpu_count, memory >> 20, slot.starts);
  }
  return {};
}

void show_guest(Sink& out, Vm& vm) {
  for (const GuestRegion& region : vm.regions())
    print(out, "  memory {:#x} + {:#x} at {:#x}\n", region.gpa.base, region.gpa.size, region.hpa);
  for (unsigned i = 0; i < vm.vcpu_count(); ++i) {
    const Vcpu& vcpu = *vm.vcpu(i);
    constexpr std::string_view powers[] = {"off", "starting", "on"};
    print(out, "  vCPU {} ({:#x}) on CPU {}: {}, {} exits\n", i, vcpu.guest_id, vcpu.cpu.load(std::memory_order_relaxed),
          powers[static_cast<u32>(vcpu.power())], vcpu.exits());
  }
}

Result<void> vm_show(ShellEnvironment& environment, Arguments arguments) {
  VmSlot* slot = find(environment, arguments[0]);
  if (slot == nullptr) return {};
  Sink& out = environment.out();
  constexpr std::string_view policies[] = {"halt", "restart", "shutdown"};
  const VmConfig& config = *slot->config;
  print(out, "VM {} (id {}, {}): {}, {} starts, on_crash {}\n", config.name, config.id, config.source,
        describe(slot->life.state()), slot->starts, policies[static_cast<u8>(config.on_crash)]);
  if (slot->reason != StopReason::None) print(out, "  stopped the last time: {}\n", describe(slot->reason));
  if (!slot->owned) return {};
  constexpr u64 kMicroseconds = 1'000'000;
  if (slot->life.is_active())
    print(out, "  its time {} us\n", slot->owned->now() / (drivers::host_timer::frequency() / kMicroseconds));
  show_guest(out, *slot->owned);
  return {};
}

/// The newest lines of a guest's output: as many as are kept, unless told.
Result<void> vm_log(ShellEnvironment& environment, Arguments arguments) {
  constexpr u32 kMostLines = OutputHistory::kSize;
  u32 lines = kMostLines;
  if (arguments.size() == 2) lines = TRY(number(arguments[1], kMostLines));
  const VmSlot* slot = find(environment, arguments[0]);
  if (slot != nullptr && slot->history) hypervisor_of(environment).console().replay(*slot->history, slot->config->name, lines);
  return {};
}

Result<void> vm_create(ShellEnvironment& environment, Arguments files) {
  if constexpr (board::kFeatureFs) {
    manager_of(environment).create(static_cast<Shell&>(environment).files().directory, files);
  } else {
    print(environment.out(), "this hypervisor was built without the feature fs\n");
  }
  return {};
}

Result<void> vm_delete(ShellEnvironment& environment, Arguments names) {
  const bool force = names[0] == "-f" || names[0] == "--force";
  if (force) names = names.subspan(1);
  if (names.empty()) return fail(Error::InvalidArgument);
  for (const std::string_view name : names) {
    VmSlot* slot = find(environment, name);
    if (slot != nullptr && !manager_of(environment).remove(*slot, force))
      print(environment.out(), "VM {} is {}: stop it first, or use 'vm delete -f'\n", slot->config->name,
            describe(slot->life.state()));
  }
  return {};
}

constexpr u8 kMany = ShellCommand::kAnyNumber;
constexpr ShellCommand kVmCommands[] = {
    {.name = "list", .help = "Lists the virtual machines.", .run = vm_list},
    {.name = "show", .usage = "VM", .help = "Shows state, memory and vCPUs.", .run = vm_show, .fewest = 1, .most = 1},
    {.name = "start", .usage = "[VM...]", .help = "Starts them, or all that are stopped.", .run = vm_start, .most = kMany},
    {.name = "stop",
     .usage = "VM...",
     .help = "Ends them at once; their memory is freed.",
     .run = vm_stop,
     .fewest = 1,
     .most = kMany},
    {.name = "suspend",
     .usage = "VM...",
     .help = "Lets their vCPUs and their time stand still.",
     .run = vm_suspend,
     .fewest = 1,
     .most = kMany},
    {.name = "resume", .usage = "VM...", .help = "Lets suspended ones go on.", .run = vm_resume, .fewest = 1, .most = kMany},
    {.name = "restart",
     .usage = "VM [COUNT]",
     .help = "Starts it again with fresh images; with COUNT so often, checking that each start finds the same memory.",
     .run = vm_restart,
     .fewest = 1,
     .most = 2},
    {.name = "create",
     .usage = "FILE...",
     .help = "Makes virtual machines of descriptions on a disk ('./xtask vmconfig compile'); 'vm start' starts them.",
     .run = vm_create,
     .fewest = 1,
     .most = kMany},
    {.name = "delete",
     .usage = "[-f] VM...",
     .help = "Forgets stopped ones; -f stops them first.",
     .run = vm_delete,
     .fewest = 1,
     .most = kMany},
    {.name = "log", .usage = "VM [LINES]", .help = "Shows what it has printed.", .run = vm_log, .fewest = 1, .most = 2},
};

// ---- the host ---------------------------------------------------------------------------------------------------------

Result<void> console(ShellEnvironment& environment, Arguments arguments) {
  if (VmSlot* slot = find(environment, arguments[0])) manager_of(environment).focus(*slot);
  return {};
}

// The newest part of the log is what fits on the stack; nobody needs more than that at a prompt.
Result<void> log_tail(ShellEnvironment& environment, Arguments arguments) {
  constexpr usize kBytes = 2048;
  constexpr u32 kDefaultLines = 10, kMostLines = 1000;
  u32 lines = kDefaultLines;
  if (!arguments.empty()) lines = TRY(number(arguments[0], kMostLines));
  std::array<char, kBytes> buffer;
  std::string_view text = log::recent(buffer);
  usize start = text.size();
  while (start != 0 && (text[start - 1] != '\n' || start == text.size() || --lines != 0)) --start;
  print(environment.out(), "{}", text.substr(start));
  return {};
}

Result<void> log_level(ShellEnvironment& environment, Arguments arguments) {
  if (!arguments.empty()) {
    unsigned level = 0;
    const auto same = [](char a, char b) { return (a & ~0x20) == b; };
    while (level <= static_cast<unsigned>(log::Level::Trace) &&
           !std::ranges::equal(arguments[0], log::name(static_cast<log::Level>(level)), same))
      ++level;
    if (level > static_cast<unsigned>(log::Level::Trace)) return fail(Error::InvalidArgument);
    log::set_level(static_cast<log::Level>(level));
  }
  print(environment.out(), "log level {}, built with {}\n", log::name(log::level()), log::name(log::kCompiledLevel));
  return {};
}

constexpr ShellCommand kLogCommands[] = {
    {.name = "tail", .usage = "[LINES]", .help = "Shows the newest lines of the host's log.", .run = log_tail, .most = 1},
    {.name = "level",
     .usage = "[error|warn|info|debug|trace]",
     .help = "Says or sets what is printed.",
     .run = log_level,
     .most = 1},
};

Result<void> memory(ShellEnvironment& environment, Arguments) {
  const auto [free, allocations] =
      platform::frames().with([](auto& frames) { return std::pair(frames.free_bytes(), frames.allocation_count()); });
  print(environment.out(), "{} bytes free in frames, {} allocations, {} bytes of heap in use\n", free, allocations,
        hypervisor_of(environment).heap_bytes());
  return {};
}

Result<void> power_off(ShellEnvironment& environment, Arguments) { manager_of(environment).power_off(); }

constexpr ShellCommand kOwnCommands[] = {
    {.name = "vm", .usage = "COMMAND", .help = "Virtual machines; 'vm' alone lists its commands.", .subcommands = kVmCommands},
    {.name = "console",
     .usage = "VM",
     .help = "Gives the keyboard to a virtual machine; Ctrl-] s comes back.",
     .run = console,
     .fewest = 1,
     .most = 1},
    {.name = "log", .usage = "COMMAND", .help = "The host's log.", .subcommands = kLogCommands},
    {.name = "memory", .help = "Says how much the host has free.", .run = memory},
    {.name = "poweroff", .help = "Stops every virtual machine and the machine.", .run = power_off},
};

/// Without the feature fs, nothing refers to the file commands.
constexpr auto kCommands = [] {
  constexpr usize kOwn = std::size(kOwnCommands), kFiles = board::kFeatureFs ? std::size(kFileCommands) : 0;
  std::array<ShellCommand, kOwn + kFiles> all{};
  std::ranges::copy(kOwnCommands, all.begin());
  if constexpr (kFiles != 0) std::ranges::copy(kFileCommands, all.begin() + kOwn);
  return all;
}();

}  // namespace

std::span<const ShellCommand> shell_commands() { return kCommands; }

}  // namespace hv
