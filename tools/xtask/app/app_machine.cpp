#include "tools/xtask/app/app_machine.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdlib>
#include <set>

#include "tools/app/disk_image.hpp"
#include "tools/app/os_build.hpp"
#include "tools/app/qemu.hpp"
#include "tools/app/ruxos.hpp"
#include "tools/app/unikernel.hpp"
#include "tools/xtask/app/app_guest.hpp"
#include "tools/xtask/app/app_unikernel.hpp"
#include "tools/xtask/app/host_ports.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/run/accelerator.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

bool kvm_works(app::Arch arch) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0 || !find_program(app::qemu_program(arch))) {
    return false;
  }
  return starts_and_quits(app::kvm_probe_command(arch));
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

/// The source tree of RuxOS that the user has named, if any.
std::optional<fs::path> ruxos_folder(const Context& context) {
  const char* folder = std::getenv("RUXOS_DIR");
  return folder == nullptr || *folder == '\0' ? std::nullopt : std::optional(context.resolve(folder));
}

app::OsProvider provider_of(const Context& context, const LoadedApp& loaded) {
  const std::optional<fs::path> ruxos = ruxos_folder(context);
  if (!ruxos) {
    return app::unikernel_provider(loaded.application(), {.source = context.root,
                                                          .runtime = loaded.unikernel_folder(),
                                                          .build = loaded.build_folder(),
                                                          .xtask = fs::read_symlink("/proc/self/exe")});
  }
  const app::Application& application = loaded.application();
  if (application.app && !(application.os->musl && application.os->qemu.v9p && !application.app_on_disk)) {
    throw Failure(ExitCode::Usage, "a ready-made program on RuxOS needs ulib = \"ruxmusl\" and v9p = \"y\": it is loaded from there",
                  "set both, and add the service virtio-9p; or unset RUXOS_DIR");
  }
  auto provider = app::ruxos_provider(loaded.application(), *ruxos, loaded.build_folder());
  if (!provider) {
    throw Failure(ExitCode::Usage, provider.error(), "correct RUXOS_DIR, or unset it");
  }
  return *std::move(provider);
}

app::OsBuild plan_of(const LoadedApp& loaded, const app::OsProvider& provider) {
  return app::plan_os_build(loaded.application(), provider, loaded.build_folder());
}

/// What a ready-made program needs in the folder that the system shares with this machine: source, destination.
std::vector<std::pair<fs::path, fs::path>> shared_files(const app::Application& application, const app::OsProvider& provider) {
  std::vector<std::pair<fs::path, fs::path>> files;
  if (!application.app || provider.shared.empty()) {
    return files;
  }
  const fs::path shared = (application.folder / application.os->qemu.v9p_path).lexically_normal();
  for (const auto& [source, place] : provider.shared) {
    files.emplace_back(source, shared / place);
  }
  files.emplace_back(*application.app, shared / "bin" / application.app->filename());
  return files;
}

std::string environment_text(const app::OsStep& step) {
  std::string out;
  for (const auto& [name, value] : step.environment) {
    out += fmt::format("{}={} ", name, app::join_words({value}));
  }
  return out;
}

/// Every program that the build runs must be there before it begins: all that are not are said at once.
void require_os_programs(const app::OsBuild& plan, const app::OsProvider& provider) {
  std::vector<std::string> missing;
  std::set<std::string> seen;
  for (const app::OsStep& step : plan.steps) {
    const std::string& program = step.command.front();
    if (seen.insert(program).second && !find_program(program)) {
      missing.push_back(program);
    }
  }
  if (!missing.empty()) {
    throw Failure(ExitCode::Environment,
                  fmt::format("{} cannot be built: {} {} not installed", provider.name,
                              fmt::format("{}", fmt::join(missing, ", ")), missing.size() == 1 ? "is" : "are"),
                  "--dry-run shows every command; without RUXOS_DIR nothing of RuxOS is used");
  }
}

void require_program_file(const app::Application& application) {
  if (application.app && !application.app_on_disk && !fs::is_regular_file(*application.app)) {
    throw Failure(ExitCode::Usage,
                  fmt::format("{}:{}:{}: there is no program {}", application.file.string(), application.app_where.line,
                              application.app_where.column, application.app->string()),
                  "correct 'app' in [build]");
  }
}

}  // namespace

app::OsBuild os_plan(const Context& context, const LoadedApp& loaded) { return plan_of(loaded, provider_of(context, loaded)); }

void show_os_build(const Context& context, const LoadedApp& loaded) {
  const app::OsProvider provider = provider_of(context, loaded);
  const app::OsBuild plan = plan_of(loaded, provider);
  std::string text;
  for (const auto& [name, value] : plan.settings) {
    text += fmt::format("# {} = {}\n", name, value);
  }
  for (const app::StandIn& stand_in : plan.stand_ins) {
    text += fmt::format("# '{}' is {}\n", stand_in.named, stand_in.used);
  }
  fs::path folder = loaded.application().folder;
  for (const app::OsStep& step : plan.steps) {
    const fs::path& next = step.folder.empty() ? loaded.application().folder : step.folder;
    if (next != folder) {
      text += format_command({"cd", next.string()}) + "\n";
      folder = next;
    }
    text += environment_text(step) + format_command(step.command) + "\n";
  }
  for (const auto& [source, place] : shared_files(loaded.application(), provider)) {
    text += format_command({"cp", source.string(), place.string()}) + "\n";
  }
  print_out(text);
}

void build_os(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  const app::Application& application = loaded.application();
  require_program_file(application);
  const app::OsProvider provider = provider_of(context, loaded);
  const bool on_unikernel = !ruxos_folder(context);
  if (on_unikernel) {
    require_unikernel_services(application);
  }
  const app::OsBuild plan = plan_of(loaded, provider);
  require_os_programs(plan, provider);
  const fs::path& folder = loaded.build_folder();
  make_build_root(loaded.build_root());
  const FileLock lock(loaded.build_root() / ".lock",
                      [&] { context.console.step("waiting for another build of this application"); });
  for (const auto& [path, text] : provider.files) {
    write_file_if_changed(path, text);
  }
  if (write_file_if_changed(folder / "build.ninja", app::ninja_file(plan, application))) {
    remove_old_products(folder);
  }
  std::optional<FileLock> runtime;
  if (on_unikernel) {
    runtime.emplace(loaded.unikernel_folder().string() + ".lock", [&] { context.console.step("waiting for another build of the unikernel"); });
  }
  run_ninja(context, loaded, options);
  for (const auto& [source, place] : shared_files(application, provider)) {
    write_file_if_changed(place, read_file(source));
    fs::permissions(place, fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec, fs::perm_options::add);
  }
}

namespace {

/// The machine's command; what it needs beside the image is made.
Argv prepare_machine(const Context& context, const LoadedApp& loaded, const app::OsBuild& plan, const app::Os& os,
                     const app::QemuRequest& request) {
  const app::Application& application = loaded.application();
  Argv command = app::qemu_command(os, request);
  if (context.dry_run) {
    return command;
  }
  const fs::path image = os.arch == app::Arch::X86_64 ? plan.elf : plan.bin;
  if (!fs::is_regular_file(image)) {
    throw Failure(ExitCode::Usage, fmt::format("could not find binary: {}", image.string()), "build the application first");
  }
  if (!find_program(command.front())) {
    throw Failure(ExitCode::Environment, fmt::format("{} is not installed", command.front()), "./xtask setup installs it");
  }
  if (os.qemu.blk) {
    const auto made = app::make_disk_image(application.folder / os.qemu.disk_img);
    if (!made) {
      throw Failure(ExitCode::Failure, made.error());
    }
  }
  if (os.qemu.net && !os.qemu.tap) {
    require_free_ports(os.qemu.ports);
  }
  if (os.qemu.v9p && !fs::is_directory(application.folder / os.qemu.v9p_path)) {
    throw Failure(ExitCode::Usage, fmt::format("there is no folder '{}' to share", os.qemu.v9p_path), "correct 'v9p_path'");
  }
  return command;
}

}  // namespace

void run_machine(const Context& context, const LoadedApp& loaded, const AppOptions& options, bool debugger) {
  const app::Application& application = loaded.application();
  const app::Os& os = *application.os;
  const app::OsBuild plan = os_plan(context, loaded);
  app::QemuRequest request{.elf = plan.elf, .bin = plan.bin, .debugger = debugger, .extra = options.program_args,
                            .quiet_firmware = !ruxos_folder(context)};
  request.accelerator = accelerator_of(context, os, debugger);
  if (options.hypervisor && ruxos_folder(context)) {
    throw Failure(ExitCode::Usage, "--hypervisor runs programs on the unikernel", "unset RUXOS_DIR");
  }
  const Argv command = options.hypervisor ? prepare_guest(context, loaded, plan, os) : prepare_machine(context, loaded, plan, os, request);
  if (context.dry_run) {
    print_out(format_command(command) + "\n");
    return;
  }
  if (debugger || os.qemu.debug) {
    context.console.step("QEMU waits for a debugger: gdb-multiarch " + plan.elf.string() + " -ex 'target remote :1234'");
  }
  if (!ruxos_folder(context)) {
    std::fflush(nullptr);
    std::exit(run_unikernel(context, application, command, plan.elf));
  }
  become_program(command, application.folder);
}

MachineTest machine_test(const Context& context, const LoadedApp& loaded, const std::vector<std::string>& args, bool hypervisor) {
  app::Os os = *loaded.application().os;
  if (ruxos_folder(context)) {
    throw Failure(ExitCode::Usage, "tests of a program with [os] run on the unikernel", "unset RUXOS_DIR");
  }
  const app::OsBuild plan = os_plan(context, loaded);
  if (!args.empty()) {
    // The program's name comes first, as in `args` of the description.
    os.qemu.args = (loaded.application().app ? loaded.application().app->filename() : plan.elf.stem()).string();
    for (const std::string& word : args) {
      if (word.find_first_of(",;") != std::string::npos) {
        throw Failure(ExitCode::Usage, fmt::format("a test's argument '{}' has a comma or semicolon, which separate arguments of a machine", word));
      }
      os.qemu.args += "," + word;
    }
  }
  if (hypervisor) {
    return {prepare_guest(context, loaded, plan, os), plan.elf, "[" + guest_name(plan) + "] "};
  }
  app::QemuRequest request{.elf = plan.elf, .bin = plan.bin, .quiet_firmware = true};
  request.accelerator = accelerator_of(context, os, false);
  return {prepare_machine(context, loaded, plan, os, request), plan.elf};
}

}  // namespace ax::xtask
