#include "tools/app/os_provider.hpp"

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

}  // namespace ax::app
