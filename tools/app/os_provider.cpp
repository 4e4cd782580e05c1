#include "tools/app/os_provider.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "tools/app/qemu.hpp"

namespace ax::app {
namespace fs = std::filesystem;

std::string upper_case(std::string text) {
  for (char& c : text) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

Words machine_options(const Os& os) {
  const bool fp_simd = std::ranges::find(os.services, "fp_simd") != os.services.end();
  Words words;
  if (os.release) words.push_back("-O3");
  if (os.arch == Arch::Riscv64) words.insert(words.end(), {"-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany"});
  if (!fp_simd && os.arch == Arch::X86_64) words.push_back("-mno-sse");
  if (!fp_simd && os.arch == Arch::Aarch64) words.push_back("-mgeneral-regs-only");
  return words;
}

OsProvider unikernel_provider(const Application& app, const fs::path& folder) {
  const Os& os = *app.os;
  const auto compiler = [&](std::string_view driver) {
    return Words{std::string(driver), fmt::format("--target={}-linux-musl", arch_name(os.arch)),
                 fmt::format("--sysroot={}", (folder / "sysroot").string())};
  };
  OsProvider provider;
  provider.name = "the unikernel";
  provider.c = compiler("clang-19");
  provider.cxx = compiler("clang++-19");
  provider.other_tools = true;
  provider.linker = {"ld.lld-19"};
  provider.archiver = {"llvm-ar-19"};
  provider.objcopy = {"llvm-objcopy-19", "--strip-all", "-O", "binary"};
  provider.options = {"-nostdinc", "-fno-builtin", "-ffreestanding", "-Wall", "-isystem", (folder / "include").string()};
  if (!os.musl) {
    for (const std::string& service : os.services) provider.options.push_back("-DRUX_CONFIG_" + upper_case(service));
    provider.options.push_back("-DRUX_CONFIG_" + upper_case(os.log));
  }
  const Words machine = machine_options(os);
  provider.options.insert(provider.options.end(), machine.begin(), machine.end());
  provider.linker_script = folder / "linker.lds";
  provider.libraries = {folder / "lib/libc.a", folder / (os.musl ? "lib/libruxmusl.a" : "lib/libruxlibc.a")};
  provider.loader = folder / "lib/loader.o";
  return provider;
}

}  // namespace ax::app
