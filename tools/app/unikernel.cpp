#include "tools/app/unikernel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "tools/app/qemu.hpp"

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
    {"fs", "a file system service"},
    {"blkfs", "a file system service"},
    {"fatfs", "a file system service"},
    {"pipe", "pipes"},
    {"signal", "signals"},
    {"epoll", "epoll"},
};

/// In the order in which they start.
std::vector<std::string> parts_of(const Os& os) {
  std::vector<std::string> parts{"console"};
  for (const std::string& service : os.services) {
    for (const Part& part : kParts) {
      if (part.service == service && std::ranges::find(parts, part.part) == parts.end()) parts.emplace_back(part.part);
    }
  }
  return parts;
}

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

std::string system_file(const Application& app) {
  const Os& os = *app.os;
  const Target* program = app.program();
  std::string list;
  for (const std::string& part : parts_of(os)) list += fmt::format("    &ax_service_{},\n", part);
  return fmt::format(
      "/* Made by `xtask app`, which overwrites it. */\n"
      "#include \"unikernel/core/system.h\"\n\n"
      "static const struct ax_service *const services[] = {{\n{}}};\n"
      "const struct ax_system ax_system = {{\n"
      "    .name = {},\n    .cpus = {},\n    .log_level = {},\n    .services = services,\n"
      "    .service_count = sizeof services / sizeof *services,\n}};\n",
      list, c_text(program != nullptr ? program->name : "app"), os.smp, log_level(os.log));
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
    words.insert(words.end(), {"-pie", "--no-dynamic-linker", "-ztext", "-zrodynamic", "--hash-style=sysv"});
  } else {
    words.emplace_back("-no-pie");
  }
  return words;
}

/// The library of arithmetic that the CPU has no instructions for; it comes with the cross compilers.
fs::path builtins(Arch arch) {
  return fs::path(arch == Arch::X86_64 ? "/usr/lib/gcc/x86_64-linux-gnu/12" : fmt::format("/usr/lib/gcc-cross/{}-linux-gnu/12", arch_name(arch))) /
         "libgcc.a";
}

OsStep configure_step(const Os& os, const UnikernelPlaces& places) {
  Words command{"cmake", "-G", "Ninja", "-S", places.source.string(), "-B", places.runtime.string(),
                "-DAXVISOR_UNIKERNEL=" + os.platform, fmt::format("-DCMAKE_BUILD_TYPE={}", os.release ? "RelWithDebInfo" : "Debug")};
  if (!places.xtask.empty()) command.push_back("-DAXVISOR_XTASK=" + places.xtask.string());
  return {OsStep::Kind::Once, std::move(command), {}, places.runtime / "build.ninja", places.runtime};
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
  provider.linker_script = runtime / "linker.ld";

  const fs::path system_source = places.build / "system.c", system_object = places.build / "objects/system.o";
  const fs::path kernel = runtime / "lib/unikernel.o", library = runtime / "sysroot/lib/libc.a";
  provider.files = {{system_source, system_file(app)}};
  provider.system = {configure_step(os, places),
                     {OsStep::Kind::System, {"ninja", "-C", runtime.string(), "--quiet", "unikernel"}, {runtime / "build.ninja"}, kernel, runtime, {},
                      {library, provider.linker_script}, true}};
  Words compile = provider.c;
  compile.insert(compile.end(), provider.options.begin(), provider.options.end());
  compile.insert(compile.end(), {"-I" + places.source.string(), "-o", system_object.string(), "-c", system_source.string()});
  provider.system.push_back({OsStep::Kind::Compile, std::move(compile), {system_source}, system_object});
  provider.libraries = {kernel, system_object, library, builtins(os.arch)};
  return provider;
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

// ---- the console

namespace {
constexpr std::string_view kStatusBegin = "\033_unikernel-exit=";
constexpr std::string_view kStatusEnd = "\033\\";
}  // namespace

std::string UnikernelOutput::take(std::string_view text) {
  for (const char c : text) {
    if (c != '\r') pending_ += c;
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

std::optional<u64> back_trace_address(std::string_view line) {
  if (!line.starts_with("  #") && !line.starts_with("  called from ")) return std::nullopt;
  const usize at = line.find("0x");
  if (at == std::string_view::npos) return std::nullopt;
  u64 address = 0;
  const auto result = std::from_chars(line.data() + at + 2, line.data() + line.size(), address, 16);
  return result.ec == std::errc() ? std::optional(address) : std::nullopt;
}

}  // namespace ax::app
