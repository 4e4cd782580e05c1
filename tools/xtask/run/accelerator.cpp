#include "tools/xtask/run/accelerator.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kPatience{5};

/// The parts of "q35,accel=kvm" without the one that names an accelerator.
std::string without_accelerator(const std::string& machine) {
  std::string kept;
  for (size_t start = 0; start <= machine.size();) {
    const size_t end = std::min(machine.find(',', start), machine.size());
    const std::string part = machine.substr(start, end - start);
    if (!part.starts_with("accel=")) {
      kept += (kept.empty() ? "" : ",") + part;
    }
    start = end + 1;
  }
  return kept;
}

bool names_kvm(const std::string& value) {
  return value == "kvm" || value.starts_with("kvm,") || value.find("accel=kvm") != std::string::npos;
}

/// Takes what asks for KVM out of the arguments; returns whether something did.
bool take_kvm(std::vector<std::string>& args) {
  std::vector<std::string> kept;
  for (size_t i = 0; i < args.size(); ++i) {
    const bool has_value = i + 1 < args.size();
    const bool machine = args[i] == "-machine" || args[i] == "-M" || args[i] == "--machine";
    if (args[i] == "-enable-kvm" || args[i] == "--enable-kvm") {
      continue;
    }
    if (has_value && args[i] == "-accel" && names_kvm(args[i + 1])) {
      ++i;
      continue;
    }
    kept.push_back(args[i]);
    if (has_value && machine && names_kvm(args[i + 1])) {
      kept.push_back(without_accelerator(args[++i]));
      if (kept.back().empty()) {
        kept.resize(kept.size() - 2);
      }
    }
  }
  const bool found = kept != args;
  args = std::move(kept);
  return found;
}

bool chooses_accelerator(const std::vector<std::string>& args) { return std::ranges::find(args, "-accel") != args.end(); }

/// A hypervisor inside the machine needs the CPU's virtualisation there too.
bool host_can_nest(const std::string& emulator) {
  if (fs::path(emulator).filename() != "qemu-system-x86_64") {
    return false;  // KVM on arm64 and riscv64 gives its guests no hypervisor mode
  }
  for (const char* module : {"kvm_intel", "kvm_amd"}) {
    const fs::path file = fs::path("/sys/module") / module / "parameters/nested";
    std::error_code none;
    if (fs::exists(file, none)) {
      const std::string value = read_file(file);
      return value.starts_with('Y') || value.starts_with('1');
    }
  }
  return false;
}

bool kvm_works(const std::string& emulator) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0 || !host_can_nest(emulator) || !find_program(emulator)) {
    return false;
  }
  return starts_and_quits({emulator, "-accel", "kvm", "-machine", "q35", "-cpu", "host", "-nodefaults", "-display", "none", "-S",
                           "-monitor", "stdio"});
}

void replace_host_cpu(MachineSettings& machine) {
  for (size_t i = 0; i + 1 < machine.args.size(); ++i) {
    if (machine.args[i] == "-cpu" && machine.args[i + 1].starts_with("host")) {
      machine.args[i + 1] = "max";
    }
  }
  if (machine.cpu.starts_with("host")) {
    machine.cpu = "max";
  }
}

}  // namespace

bool starts_and_quits(const Argv& probe) {
  try {
    ChildProcess emulator({.argv = probe, .console = ChildProcess::Console::Pty});
    constexpr std::string_view kQuit = "quit\n";
    if (::write(emulator.output_fd(), kQuit.data(), kQuit.size()) < 0) {
      return false;
    }
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (const std::optional<int> status = emulator.poll_status()) {
        return *status == 0;
      }
      pollfd entry{emulator.output_fd(), POLLIN, 0};
      ::poll(&entry, 1, 20);
      char ignored[4096];
      [[maybe_unused]] const ssize_t size = ::read(emulator.output_fd(), ignored, sizeof ignored);
    }
    return false;
  } catch (const Failure&) {
    return false;
  }
}

MachineSettings with_working_accelerator(MachineSettings machine, const std::string& emulator, const Console& console) {
  const bool asked = take_kvm(machine.args) || machine.accel == "kvm";
  if (!asked && (machine.accel != "auto" || chooses_accelerator(machine.args))) {
    machine.accel = machine.accel == "auto" ? "" : machine.accel;
    return machine;
  }
  if (kvm_works(emulator)) {
    machine.accel = "kvm";
    return machine;
  }
  if (asked) {
    console.warn("KVM does not work here for a hypervisor: the machine is emulated (accel = \"tcg\" says so without a warning)");
  } else {
    console.detail("KVM does not work here: the machine is emulated");
  }
  machine.accel = "tcg";
  replace_host_cpu(machine);
  return machine;
}

}  // namespace ax::xtask
