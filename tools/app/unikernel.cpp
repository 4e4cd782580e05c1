#include "tools/app/unikernel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>

#include "tools/app/qemu.hpp"
#include "unikernel/app/elf_program.hpp"

namespace ax::app {
namespace fs = std::filesystem;
namespace {

// ---- services

/// What a service of the description is in the runtime; the parts are those of unikernel/core/system.h.
struct Part {
  std::string_view service;
  std::string_view part;
};
constexpr Part kParts[] = {
    {"alloc", "memory"},
    {"paging", "memory"},
    {"multitask", "threads"},
    {"random-hw", "random"},
    {"rtc", "clock"},
    {"signal", "signals"},
    {"fd", "files"},
    {"pipe", "pipes"},
    {"select", "select"},
    {"poll", "poll"},
    {"epoll", "epoll"},
    {"fs", "paths"},
    {"blkfs", "disk"},
    {"fatfs", "disk"},
};

/// What libc++ cannot be without.
constexpr std::pair<std::string_view, std::string_view> kNeededForCxx[] = {
    {"alloc", "objects and exceptions are in allocated memory"},
    {"fp_simd", "its headers have floating-point numbers in them"},
};

/// What comes next, and says so instead of doing nothing.
constexpr std::pair<std::string_view, std::string_view> kMissing[] = {
    {"net", "a network stack and a driver for virtio-net"},
    {"lwip", "a network stack and a driver for virtio-net"},
    {"smoltcp", "a network stack and a driver for virtio-net"},
    {"net-9p", "a network stack and a client for 9P"},
    {"virtio-9p", "a driver for virtio-9p and a client for 9P"},
    {"9pfs", "a client for 9P"},
    {"display", "a driver for virtio-gpu"},
    {"ext4_rs", "the ext4 file system"},
    {"another_ext4", "the ext4 file system"},
    {"fusefs", "file systems of programs"},
    {"myfs", "file systems of programs"},
    {"virtio_console", "a driver for virtio-console"},
    {"driver-ramdisk", "a disk in memory"},
    {"driver-ixgbe", "a driver for Intel's 10-gigabit network cards"},
    {"driver-bcm2835-sdhci", "a driver for the card reader of the Raspberry Pi"},
};

bool has_service(const Os& os, std::string_view name) { return std::ranges::find(os.services, name) != os.services.end(); }

/// In the order in which they start.
std::vector<std::string> parts_of(const Application& app) {
  const Os& os = *app.os;
  std::vector<std::string> parts;
  if (!has_service(os, "fd")) parts.emplace_back("console");
  for (const std::string& service : os.services) {
    for (const Part& part : kParts) {
      if (part.service == service && std::ranges::find(parts, part.part) == parts.end()) parts.emplace_back(part.part);
    }
  }
  if (app.app) {
    // A ready-made program is read before its memory is handed out, and what files and paths have comes before what it has itself.
    const auto begins_after = [](const std::string& part) { return part != "memory" && part != "threads"; };
    if (std::ranges::find(parts, "memory") == parts.end()) parts.emplace_back("memory");
    parts.insert(std::ranges::stable_partition(parts, begins_after).begin(), "app");
  }
  return parts;
}

/// In quotation marks, as C and assembly have them.
std::string c_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

unsigned log_level(std::string_view name) {
  constexpr std::array<std::string_view, 5> kNames{"error", "warn", "info", "debug", "trace"};
  const auto found = std::ranges::find(kNames, name);
  return found == kNames.end() ? 0 : static_cast<unsigned>(found - kNames.begin());
}

/// A ready-made program in the image, and what stands in for the C library's start: the program brings its own.
std::string app_file(const Application& app) {
  const std::string path = app.app_on_disk ? app.app->string() : "/bin/" + app.app->filename().string();
  std::string out;
  if (!app.app_on_disk) {
    const std::string quoted = c_text(app.app->string()), twice = c_text(quoted), nested = twice.substr(1, twice.size() - 2);
    out = fmt::format(
        "__asm__(\".pushsection .rodata.ax_app,\\\"a\\\"\\n.balign 16\\nax_app_begin:\\n.incbin "
        "{}\\nax_app_end:\\n.popsection\");\n"
        "extern const unsigned char ax_app_begin[], ax_app_end[];\n",
        nested);
  }
  return out + fmt::format(
                   "const struct ax_app ax_app = {{{}, {}}};\n"
                   "int main(void) {{ return 0; }}\n"
                   "int __libc_start_main(int (*program)(int, char **, char **), int count, char **arguments, void (*a)(void), "
                   "void (*b)(void),\n"
                   "                      void (*c)(void))\n{{\n  ax_run_app(arguments);\n  return 0;\n}}\n",
                   c_text(path), app.app_on_disk ? "0, 0" : "ax_app_begin, ax_app_end");
}

std::string system_file(const Application& app) {
  const Os& os = *app.os;
  const Target* program = app.program();
  const std::string name = program != nullptr ? program->name : app.app ? app.app->filename().string() : "app";
  std::string list;
  for (const std::string& part : parts_of(app)) list += fmt::format("    &ax_service_{},\n", part);
  return fmt::format(
             "/* Made by `xtask app`, which overwrites it. */\n"
             "#include \"unikernel/core/system.h\"\n\n"
             "static const struct ax_service *const services[] = {{\n{}}};\n"
             "const struct ax_system ax_system = {{\n"
             "    .name = {},\n    .cpus = {},\n    .log_level = {},\n    .services = services,\n"
             "    .service_count = sizeof services / sizeof *services,\n}};\n",
             list, c_text(name), os.smp, log_level(os.log)) +
         (app.app ? app_file(app) : "");
}

// ---- tools

/// What both the program and its libraries are compiled with, whatever the description says.
Words target_options(Arch arch) {
  switch (arch) {
    case Arch::Aarch64: return {"-fPIE", "-mno-outline-atomics"};
    case Arch::X86_64: return {"-fno-pie", "-mno-red-zone"};
    case Arch::Riscv64: return {"-fno-pie"};
  }
  return {};
}

Words link_options(Arch arch) {
  Words words{"-nostdlib", "-Bstatic", "--gc-sections", "--eh-frame-hdr", "--build-id=sha1", "-zmax-page-size=4096", "-zseparate-code", "-znorelro",
              "--orphan-handling=error"};
  if (arch == Arch::Aarch64) {
    words.insert(words.end(), {"-pie", "--no-dynamic-linker", "-ztext", "-zrodynamic", "--pack-dyn-relocs=relr", "--hash-style=sysv"});
  } else {
    words.emplace_back("-no-pie");
  }
  // Relaxation leaves a label at every address that is taken; they would stand in for the functions in reports.
  if (arch == Arch::Riscv64) words.emplace_back("--discard-locals");
  return words;
}

/// The library of arithmetic that the CPU has no instructions for; it comes with the cross compilers.
fs::path builtins(Arch arch) {
  return fs::path(arch == Arch::X86_64 ? "/usr/lib/gcc/x86_64-linux-gnu/12" : fmt::format("/usr/lib/gcc-cross/{}-linux-gnu/12", arch_name(arch))) /
         "libgcc.a";
}

/// libc++ is made only where a program has use for it.
void add_cxx(const Os& os, const fs::path& runtime, OsProvider& provider, OsStep& system) {
  const fs::path library = runtime / "cxx/lib/libc++.a";
  // Our linker removes tables of exceptions with their functions, if they say whose they are; old ones of GNU could not.
  provider.cxx.insert(provider.cxx.end(),
                      {"-fbinutils-version=none", "-nostdinc++", "-isystem", (runtime / "cxx/include").string()});
  // The library's own exit() runs destructors of thread_local variables first: unikernel/cxx/thread_atexit.c.
  provider.link_options.insert(provider.link_options.end(), {"-L" + (runtime / "cxx/lib").string(), "--wrap=exit"});
  if (!has_service(os, "multitask"))
    provider.link_options.emplace_back("--defsym=ax_no_threads=1");  // the linker script asks for it
  provider.libraries.push_back(library);
  system.command.emplace_back("unikernel_cxx");
  system.more_outputs.push_back(library);
}

OsStep configure_step(const Os& os, const UnikernelPlaces& places) {
  Words command{"cmake", "--no-warn-unused-cli", "-G", "Ninja", "-S", places.source.string(), "-B", places.runtime.string(),
                "-DAXVISOR_UNIKERNEL=" + os.platform, fmt::format("-DCMAKE_BUILD_TYPE={}", os.release ? "RelWithDebInfo" : "Debug")};
  if (!places.xtask.empty()) command.push_back("-DAXVISOR_XTASK=" + places.xtask.string());
  return {OsStep::Kind::Once, std::move(command), {}, places.runtime / "build.ninja", places.runtime};
}

Words system_command(const Os& os, const fs::path& runtime) {
  Words command{"ninja", "-C", runtime.string()};
  if (os.verbosity != 1) command.emplace_back(os.verbosity == 0 ? "--quiet" : "--verbose");
  command.emplace_back("unikernel");
  return command;
}

}  // namespace

OsProvider unikernel_provider(const Application& app, const UnikernelPlaces& places) {
  const Os& os = *app.os;
  const fs::path& runtime = places.runtime;
  const auto compiler = [&](std::string_view driver) {
    return Words{std::string(driver), fmt::format("--target={}-linux-musl", arch_name(os.arch)),
                 fmt::format("--sysroot={}", (runtime / "sysroot").string())};
  };
  OsProvider provider;
  provider.name = "the unikernel";
  provider.c = compiler("clang-19");
  provider.cxx = compiler("clang++-19");
  provider.other_tools = true;
  provider.linker = {"ld.lld-19"};
  provider.archiver = {"llvm-ar-19"};
  provider.objcopy = {"llvm-objcopy-19", "--strip-all", "-O", "binary"};
  provider.options = {"-nostdlibinc", "-isystem", (runtime / "sysroot/include").string(), "-Wall", "-g",
                      "-ffunction-sections", "-fdata-sections", "-fno-omit-frame-pointer"};
  const Words target = target_options(os.arch);
  provider.options.insert(provider.options.end(), target.begin(), target.end());
  if (!os.musl) {
    for (const std::string& service : os.services) provider.options.push_back("-DRUX_CONFIG_" + upper_case(service));
    provider.options.push_back("-DRUX_CONFIG_" + upper_case(os.log));
  }
  const Words machine = machine_options(os);
  provider.options.insert(provider.options.end(), machine.begin(), machine.end());
  provider.link_options = link_options(os.arch);
  provider.link_options.push_back("-L" + (runtime / "sysroot/lib").string());
  provider.linker_script = runtime / "linker.ld";

  const fs::path system_source = places.build / "system.c", system_object = places.build / "objects/system.o";
  const fs::path kernel = runtime / "lib/unikernel.o", library = runtime / "sysroot/lib/libc.a";
  provider.files = {{system_source, system_file(app)}};
  provider.system = {configure_step(os, places),
                     {OsStep::Kind::System,
                      system_command(os, runtime),
                      {runtime / "build.ninja"},
                      kernel,
                      runtime,
                      {},
                      {library, provider.linker_script},
                      true}};
  Words compile = provider.c;
  compile.insert(compile.end(), provider.options.begin(), provider.options.end());
  compile.insert(compile.end(), {"-I" + places.source.string(), "-o", system_object.string(), "-c", system_source.string()});
  OsStep compilation{OsStep::Kind::Compile, std::move(compile), {system_source}, system_object};
  if (app.app && !app.app_on_disk) compilation.inputs.push_back(*app.app);
  provider.system.push_back(std::move(compilation));
  provider.libraries = {kernel, system_object, library, builtins(os.arch)};
  if (app.app) {
    provider.loader = library;  // nothing else is linked
    // Programs for x86-64 are linked to 4 MiB: the image lies above them.
    if (os.arch == Arch::X86_64) provider.link_options.emplace_back("--defsym=AXVISOR_LOAD_ADDRESS=0x2000000");
  }
  if (app.uses_cxx()) add_cxx(os, runtime, provider, provider.system[1]);
  return provider;
}

void check_ready_made(const Application& app, Diagnostics& diagnostics) {
  if (!app.app || app.app_on_disk) return;
  std::ifstream file(*app.app, std::ios::binary);
  std::array<char, 4096> head{};
  file.read(head.data(), head.size());
  const std::span<const u8> begin(reinterpret_cast<const u8*>(head.data()), static_cast<usize>(file.gcount()));
  constexpr uni::ElfMachine kMachines[] = {uni::ElfMachine::X86_64, uni::ElfMachine::Aarch64, uni::ElfMachine::Riscv64};
  uni::ElfProgram program;
  const uni::ElfProblem problem =
      uni::read_elf_program(begin, fs::file_size(*app.app), kMachines[static_cast<usize>(app.os->arch)], program);
  const std::string name = app.app->filename().string();
  switch (problem) {
    case uni::ElfProblem::None: return;
    case uni::ElfProblem::WrongMachine: {
      config::Diagnostic& error =
          diagnostics.error(app.app_where, fmt::format("{} is a program for {}, and the platform is {}", name,
                                                       uni::machine_name(program.machine), app.os->platform));
      for (const auto& [platform, machine] : {std::pair{"x86_64-qemu-q35", uni::ElfMachine::X86_64},
                                              {"aarch64-qemu-virt", uni::ElfMachine::Aarch64},
                                              {"riscv64-qemu-virt", uni::ElfMachine::Riscv64}}) {
        if (program.machine == static_cast<u16>(machine))
          error.fix(fmt::format("name = \"{}\" in [os.platform], or another program", platform));
      }
      return;
    }
    case uni::ElfProblem::NeedsLinker:
      diagnostics
          .error(app.app_where, fmt::format("{} needs a dynamic linker and libraries, which the unikernel does not have", name))
          .fix("link it with -static, or name a RuxOS source tree in RUXOS_DIR");
      return;
    default:
      diagnostics.error(app.app_where, fmt::format("{} {}", name, uni::describe(problem)))
          .fix("'app' names a static program for Linux");
  }
}

std::vector<MissingService> missing_services(const Application& app) {
  std::vector<MissingService> missing;
  for (const std::string& service : app.os->services) {
    for (const auto& [name, what] : kMissing) {
      if (name == service) missing.push_back({service, std::string(what)});
    }
  }
  return missing;
}

std::vector<MissingService> missing_for_cxx(const Application& app) {
  std::vector<MissingService> missing;
  for (const auto& [name, why] : kNeededForCxx) {
    if (app.uses_cxx() && !has_service(*app.os, name)) missing.push_back({std::string(name), std::string(why)});
  }
  return missing;
}

// ---- the console

namespace {
constexpr std::string_view kStart = "\033_unikernel-start\033\\";
constexpr std::string_view kStatusBegin = "\033_unikernel-exit=";
constexpr std::string_view kStatusEnd = "\033\\";
}  // namespace

std::string UnikernelOutput::take(std::string_view text) {
  for (const char c : text) {
    if (c != '\r') pending_ += c;
  }
  if (!begun_) {
    const usize start = pending_.find(kStart);
    if (start == std::string::npos) return {};
    pending_.erase(0, start + kStart.size());
    begun_ = true;
  }
  std::string out;
  while (!pending_.empty()) {
    const usize at = pending_.find('\033');
    out += pending_.substr(0, at);
    pending_.erase(0, at);
    if (pending_.empty()) break;
    const std::string_view begin = std::string_view(pending_).substr(0, kStatusBegin.size());
    if (begin != kStatusBegin.substr(0, begin.size())) {  // another sequence: not ours
      out += pending_.front();
      pending_.erase(0, 1);
      continue;
    }
    const usize end = pending_.find(kStatusEnd, 1);
    if (end == std::string::npos) break;  // the rest is still to come
    int status = 0;
    const char* digits = pending_.data() + kStatusBegin.size();
    if (std::from_chars(digits, pending_.data() + end, status).ptr == pending_.data() + end) status_ = status;
    pending_.erase(0, end + kStatusEnd.size());
  }
  return out;
}

std::string UnikernelOutput::finish() { return std::exchange(pending_, {}); }

std::optional<BackTraceAddress> back_trace_address(std::string_view line) {
  if (!line.starts_with("  #") && !line.starts_with("  called from ")) return std::nullopt;
  const usize at = line.find("0x");
  if (at == std::string_view::npos) return std::nullopt;
  u64 address = 0;
  const auto result = std::from_chars(line.data() + at + 2, line.data() + line.size(), address, 16);
  if (result.ec != std::errc()) return std::nullopt;
  return BackTraceAddress{address, line.substr(0, at).ends_with("program ")};
}

}  // namespace ax::app
