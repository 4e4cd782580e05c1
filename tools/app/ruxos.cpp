#include "tools/app/ruxos.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/app/qemu.hpp"
#include "tools/app/services.hpp"

namespace ax::app {
namespace fs = std::filesystem;
namespace {

constexpr RuxosRelease kReleases[] = {
    {"RuxOS 0.0.3", true, "ruxfeat/log-level-", "aarch64-unknown-none-softfloat", true, false},
    {"RuxOS after 0.1.0", false, "axlog/log-level-", "aarch64-unknown-none", false, true},
};
constexpr std::string_view kMusl = "musl-1.2.3";

/// Features of the C library; every other service is one of RuxOS itself.
constexpr std::array<std::string_view, 13> kLibraryFeatures{
    "fp_simd", "alloc", "paging", "multitask", "fs", "net", "fd", "pipe", "select", "poll", "epoll", "random-hw", "signal"};
constexpr std::array<std::string_view, 3> kMuslFeatures{"irq", "musl", "sched_rr"};
constexpr std::array<std::string_view, 6> kNeedFd{"fs", "net", "pipe", "select", "poll", "epoll"};

class Provider {
 public:
  Provider(const Application& app, const RuxosRelease& release, const fs::path& folder, const fs::path& build)
      : app_(app), os_(*app.os), release_(release), folder_(folder), build_(build) {}

  OsProvider provide() {
    find_services();
    OsProvider out;
    out.name = fmt::format("{} in {}", release_.name, folder_.string());
    out.c = {musl_tool(fs::path(app_.compiler.c).filename().string())};
    out.cxx = {musl_tool(fs::path(app_.compiler.cxx).filename().string())};
    out.linker = {"rust-lld", "-flavor", "gnu"};
    out.objcopy = {"rust-objcopy", fmt::format("--binary-architecture={}", arch_name(os_.arch))};
    out.objcopy_options = {"--strip-all", "-O", "binary"};
    out.options = options();
    out.linker_script = folder_ / fmt::format("modules/ruxhal/linker_{}.lds", os_.platform);
    const fs::path system =
        build_ / "target" / rust_target() / (os_.release ? "release" : "debug") / fmt::format("lib{}.a", ulib());
    out.libraries = {os_.musl ? build_ / "ruxmusl/install/lib/libc.a" : build_ / "bin/libc.a", system};
    out.system.push_back(cargo(system, out.linker_script));
    if (os_.musl) {
      musl(out);
    } else {
      c_library(out);
    }
    if (app_.app) loader(out);
    return out;
  }

 private:
  std::string ulib() const { return os_.musl ? "ruxmusl" : "ruxlibc"; }
  bool offers(std::string_view service) const { return std::ranges::find(services_, service) != services_.end(); }

  std::string musl_tool(const std::string& tool) const {
    const std::string prefix = fmt::format("{}-linux-musl-", arch_name(os_.arch));
    return tool.starts_with(prefix) ? tool : prefix + tool;
  }

  std::string rust_target() const {
    switch (os_.arch) {
      case Arch::X86_64: return "x86_64-unknown-none";
      case Arch::Riscv64: return "riscv64gc-unknown-none-elf";
      default: return std::string(release_.aarch64_target);
    }
  }

  /// The services as the description names them, and what Ruxgo and the makefiles add. What they need in turn, Cargo knows.
  void find_services() {
    services_ = os_.named_services;
    const auto add = [&](std::string_view service) {
      if (!offers(service)) services_.emplace_back(service);
    };
    if (std::ranges::any_of(kNeedFd, [&](std::string_view s) { return offers(s); })) add("fd");
    if (os_.musl) {
      for (const std::string_view service : {"musl", "fp_simd", "fd", "tls"}) add(service);
    }
    if (release_.more_services) {
      for (const std::string_view service : {"multitask", "fs", "paging", "alloc", "sched_rr"}) add(service);
    }
  }

  bool of_library(std::string_view service) const {
    const auto in = [&](const auto& list) { return std::ranges::find(list, service) != list.end(); };
    return in(kLibraryFeatures) || (os_.musl && in(kMuslFeatures));
  }

  std::vector<std::string> library_features() const {
    std::vector<std::string> out;
    if (os_.smp > 1) out.emplace_back("smp");
    std::ranges::copy_if(services_, std::back_inserter(out), [&](const std::string& s) { return of_library(s); });
    return out;
  }

  std::string features() const {
    std::string out = std::string(release_.log_features) + os_.log;
    if (os_.arch == Arch::X86_64) out += " ruxfeat/bus-pci";
    for (const std::string& service : services_) {
      if (!of_library(service) && !(service == "bus-pci" && os_.arch == Arch::X86_64)) out += " ruxfeat/" + service;
    }
    for (const std::string& feature : library_features()) out += fmt::format(" {}/{}", ulib(), feature);
    return out;
  }

  OsStep cargo(const fs::path& output, const fs::path& script) const {
    OsStep step{.kind = OsStep::Kind::System,
                .command = {"cargo", "build", "--target", rust_target(), "--target-dir", (build_ / "target").string()},
                .inputs = {},
                .output = output,
                .folder = folder_};
    if (os_.release) step.command.emplace_back("--release");
    step.command.insert(step.command.end(), {"-p", ulib()});
    if (os_.verbosity != 0) step.command.emplace_back(os_.verbosity == 1 ? "-v" : "-vv");
    step.command.insert(step.command.end(), {"--features", features()});
    step.environment = {{"RUX_ARCH", std::string(arch_name(os_.arch))},
                        {"RUX_PLATFORM", os_.platform},
                        {"RUX_SMP", std::to_string(os_.smp)},
                        {"RUX_MODE", os_.release ? "release" : "debug"},
                        {"RUX_LOG", os_.log},
                        {"RUX_TARGET", rust_target()},
                        {"RUX_IP", os_.qemu.ip},
                        {"RUX_GW", os_.qemu.gw}};
    if (os_.qemu.v9p) {
      step.environment.insert(step.environment.end(),
                              {{"RUX_9P_ADDR", "127.0.0.1:564"}, {"RUX_ANAME_9P", "./"}, {"RUX_PROTOCOL_9P", "9P2000.L"}});
    }
    if (os_.musl) step.environment.emplace_back("RUX_MUSL", "y");
    step.more_outputs = {script};
    return step;
  }

  Words options() const {
    const fs::path include = os_.musl ? build_ / "ruxmusl/install/include" : folder_ / "ulib/ruxlibc/include";
    Words words{"-nostdinc", "-fno-builtin", "-ffreestanding", "-Wall", "-isystem" + include.string()};
    if (!os_.musl) {
      for (const std::string& feature : library_features()) words.push_back("-DRUX_CONFIG_" + upper_case(feature));
      words.push_back((release_.old_definitions ? "-DRUX_CONFIG_" : "-DRUX_LOG_") + upper_case(os_.log));
    }
    Os os = os_;
    os.services = services_;
    const Words machine = machine_options(os);
    words.insert(words.end(), machine.begin(), machine.end());
    if (release_.more_services && os_.arch == Arch::X86_64) words.emplace_back("-mno-red-zone");
    return words;
  }

  /// The part of ruxlibc that is written in C.
  void c_library(OsProvider& out) const {
    const fs::path sources = folder_ / "ulib/ruxlibc/c";
    std::vector<fs::path> files;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(sources, none)) {
      if (entry.path().extension() == ".c") files.push_back(entry.path());
    }
    std::ranges::sort(files);
    OsStep archive{OsStep::Kind::Archive, {musl_tool("ar"), "rcs", out.libraries.front().string()}, {}, out.libraries.front()};
    for (const fs::path& file : files) {
      const fs::path object = build_ / "objects/libc" / (file.filename().string() + ".o");
      Words command = out.c;
      command.insert(command.end(), out.options.begin(), out.options.end());
      command.insert(command.end(), {"-o", object.string(), "-c", file.string()});
      out.system.push_back({OsStep::Kind::Compile, std::move(command), {file}, object});
      archive.inputs.push_back(object);
      archive.command.push_back(object.string());
    }
    out.system.push_back(std::move(archive));
  }

  /// A ready-made program is started from the shared folder, where its dynamic linker is too.
  void loader(OsProvider& out) const {
    const fs::path source = build_ / "loader.c";
    out.files.emplace_back(source, fmt::format("#include <unistd.h>\n\nint main(int argc, char** argv) {{\n  (void)argc;\n"
                                               "  return execv(\"/bin/{}\", argv);\n}}\n",
                                               app_.app->filename().string()));
    out.loader = build_ / "objects/loader.c.o";
    Words command = out.c;
    command.insert(command.end(), out.options.begin(), out.options.end());
    command.insert(command.end(), {"-o", out.loader.string(), "-c", source.string()});
    out.system.push_back({OsStep::Kind::Compile, std::move(command), {source}, out.loader});
    out.shared.emplace_back(build_ / "ruxmusl/lib/libc.so", fmt::format("lib/ld-musl-{}.so.1", arch_name(os_.arch)));
  }

  void musl(OsProvider& out) const {
    const fs::path folder = build_ / "ruxmusl";
    const auto add = [&](Words command, std::vector<fs::path> inputs, const fs::path& output) {
      out.system.push_back({OsStep::Kind::Once, std::move(command), std::move(inputs), output, folder});
    };
    Words configure{(folder_ / "ulib/ruxmusl" / kMusl / "configure").string(), "--prefix=./install", "--exec-prefix=./",
                    "--syslibdir=./install/lib", "--disable-warnings"};
    if (!app_.app) configure.emplace_back("--disable-shared");  // a ready-made program needs libc.so
    configure.insert(configure.end(), {fmt::format("ARCH={}", arch_name(os_.arch)), "CC=" + out.c.front()});
    add(std::move(configure), {}, folder / "config.mak");
    add({"make", "-j"}, {folder / "config.mak"}, folder / "lib/libc.a");
    add({"make", "install"}, {folder / "lib/libc.a"}, folder / "install/lib/libc.a");
  }

  const Application& app_;
  const Os& os_;
  const RuxosRelease& release_;
  const fs::path& folder_;
  const fs::path& build_;
  std::vector<std::string> services_;
};

}  // namespace

std::expected<const RuxosRelease*, std::string> ruxos_release(const fs::path& folder) {
  std::error_code none;
  const bool ruxlibc = fs::is_directory(folder / "ulib/ruxlibc", none);
  if (!ruxlibc && !fs::is_directory(folder / "ulib/ruxmusl", none)) {
    return std::unexpected(fmt::format("{} is no source tree of RuxOS: it has no ulib/ruxmusl", folder.string()));
  }
  return &kReleases[ruxlibc ? 0 : 1];
}

std::expected<OsProvider, std::string> ruxos_provider(const Application& app, const fs::path& folder, const fs::path& build) {
  const auto release = ruxos_release(folder);
  if (!release) return std::unexpected(release.error());
  if (!app.os->musl && !(*release)->has_ruxlibc) {
    return std::unexpected(fmt::format("{} in {} has no ruxlibc any more: use ulib = \"ruxmusl\", or release 0.0.3",
                                       (*release)->name, folder.string()));
  }
  return Provider(app, **release, folder, build).provide();
}

}  // namespace ax::app
