#include "tools/xtask/app/app_machine.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "tools/app/disk_image.hpp"
#include "tools/app/os_build.hpp"
#include "tools/app/qemu.hpp"
#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kProbePatience{5};

/// KVM may be there and yet fail once a CPU is made: the only proof is a machine that starts and obeys.
bool kvm_works(app::Arch arch) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0 || !find_program(app::qemu_program(arch))) {
    return false;
  }
  try {
    ChildProcess probe({.argv = app::kvm_probe_command(arch), .console = ChildProcess::Console::Pty});
    constexpr std::string_view kQuit = "quit\n";
    if (::write(probe.output_fd(), kQuit.data(), kQuit.size()) < 0) {
      return false;
    }
    const auto deadline = std::chrono::steady_clock::now() + kProbePatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (const std::optional<int> status = probe.poll_status()) {
        return *status == 0;
      }
      pollfd entry{probe.output_fd(), POLLIN, 0};
      ::poll(&entry, 1, 20);
      char ignored[4096];
      [[maybe_unused]] const ssize_t size = ::read(probe.output_fd(), ignored, sizeof ignored);
    }
    return false;
  } catch (const Failure&) {
    return false;
  }
}

app::Accelerator accelerator_of(const Context& context, const app::Os& os, bool debugger) {
  if (os.qemu.accel == "tcg" || !app::may_accelerate(os, debugger)) {
    return app::Accelerator::Tcg;
  }
  if (os.qemu.accel == "kvm") {
    return app::Accelerator::Kvm;
  }
  const bool works = kvm_works(os.arch);
  context.console.detail(works ? "KVM works here" : "KVM does not work here: the machine is emulated");
  return works ? app::Accelerator::Kvm : app::Accelerator::Tcg;
}

app::OsBuild plan_of(const LoadedApp& loaded) {
  return app::plan_os_build(loaded.application(), {loaded.build_folder(), loaded.unikernel_folder()});
}

void require_program_file(const app::Application& application) {
  if (application.app && !fs::is_regular_file(*application.app)) {
    throw Failure(ExitCode::Usage, fmt::format("there is no program {}", application.app->string()),
                  "correct 'app' in [build]");
  }
}

}  // namespace

void show_os_build(const LoadedApp& loaded) {
  const app::OsBuild plan = plan_of(loaded);
  std::string text;
  for (const auto& [name, value] : plan.settings) {
    text += fmt::format("# {} = {}\n", name, value);
  }
  for (const app::StandIn& stand_in : plan.stand_ins) {
    text += fmt::format("# '{}' is {}\n", stand_in.named, stand_in.used);
  }
  for (const app::OsStep& step : plan.steps) {
    text += format_command(step.command) + "\n";
  }
  if (const auto& program = loaded.application().app) {
    const fs::path shared = loaded.application().os->qemu.v9p_path;
    text += format_command({"cp", program->string(), (shared / "bin" / program->filename()).string()}) + "\n";
  }
  print_out(text);
}

void refuse_os_build(const LoadedApp& loaded) {
  require_program_file(loaded.application());
  const app::Os& os = *loaded.application().os;
  throw Failure(
      ExitCode::Failure,
      fmt::format("applications with [os] need the unikernel for {}, which is not part of this version", os.platform),
      "--dry-run shows the whole build; without the [os] tables the program is built for this machine");
}

void run_machine(const Context& context, const LoadedApp& loaded, const AppOptions& options, bool debugger) {
  const app::Application& application = loaded.application();
  const app::Os& os = *application.os;
  const app::OsBuild plan = plan_of(loaded);
  app::QemuRequest request{.elf = plan.elf, .bin = plan.bin, .debugger = debugger, .extra = options.program_args};
  request.accelerator = accelerator_of(context, os, debugger);
  const Argv command = app::qemu_command(os, request);
  if (context.dry_run) {
    print_out(format_command(command) + "\n");
    return;
  }
  const fs::path image = os.arch == app::Arch::X86_64 ? plan.elf : plan.bin;
  if (!fs::is_regular_file(image)) {
    throw Failure(ExitCode::Usage, fmt::format("could not find binary: {}", image.string()),
                  "build the application first");
  }
  if (!find_program(command.front())) {
    throw Failure(ExitCode::Environment, fmt::format("{} is not installed", command.front()),
                  "./xtask setup installs it");
  }
  if (os.qemu.blk) {
    const auto made = app::make_disk_image(application.folder / os.qemu.disk_img);
    if (!made) {
      throw Failure(ExitCode::Failure, made.error());
    }
  }
  if (os.qemu.v9p && !fs::is_directory(application.folder / os.qemu.v9p_path)) {
    throw Failure(ExitCode::Usage, fmt::format("there is no folder '{}' to share", os.qemu.v9p_path),
                  "correct 'v9p_path'");
  }
  if (debugger || os.qemu.debug) {
    context.console.step("QEMU waits for a debugger: gdb-multiarch " + plan.elf.string() +
                         " -ex 'target remote :1234'");
  }
  become_program(command, application.folder);
}

}  // namespace ax::xtask
