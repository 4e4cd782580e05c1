#include "tests/unit/vcpu/x86_64/llvm_mc.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace hv::test {
namespace {

std::string run(const std::string& input, CpuMode mode, const std::string& options) {
  char path[] = "/tmp/llvm_mc_XXXXXX";
  const int fd = mkstemp(path);
  if (fd < 0) return {};
  close(fd);
  std::ofstream(path) << input;
  const std::string output = std::string(path) + ".out";
  const char* triple = mode == CpuMode::Code64   ? "x86_64"
                       : mode == CpuMode::Code32 ? "i386"
                                                 : "i386-unknown-unknown-code16";
  const std::string command =
      fmt::format("{} --triple={} {} {} >{} 2>/dev/null", AXVISOR_LLVM_MC, triple, options, path, output);
  (void)!std::system(command.c_str());  // lines it refuses are missing from the output
  std::stringstream text;
  text << std::ifstream(output).rdbuf();
  unlink(path);
  unlink(output.c_str());
  return text.str();
}

Bytes parse_encoding(const std::string& line) {
  Bytes bytes;
  const auto at = line.find("encoding: [");
  if (at == std::string::npos) return bytes;
  std::stringstream list(line.substr(at + 11));
  for (std::string item; std::getline(list, item, ',');)
    bytes.push_back(static_cast<u8>(std::stoul(item, nullptr, 16)));
  return bytes;
}

}  // namespace

bool have_llvm_mc() { return std::string_view(AXVISOR_LLVM_MC) != ""; }

std::vector<Bytes> assemble(const std::vector<std::string>& lines, CpuMode mode) {
  std::string input = ".intel_syntax noprefix\n";
  if (mode == CpuMode::Code16) input += ".code16\n";
  // Labels keep the answers apart when a line is refused.
  for (usize i = 0; i < lines.size(); ++i) input += fmt::format("L{}:\n{}\n", i, lines[i]);
  std::vector<Bytes> result(lines.size());
  std::stringstream output(run(input, mode, "--show-encoding"));
  usize current = 0;
  for (std::string line; std::getline(output, line);) {
    if (line.starts_with("L")) current = std::stoul(line.substr(1));
    const Bytes bytes = parse_encoding(line);
    if (current < result.size()) result[current].insert(result[current].end(), bytes.begin(), bytes.end());
  }
  return result;
}

std::vector<std::vector<std::string>> disassemble(const std::vector<Bytes>& items, CpuMode mode) {
  constexpr u8 kHlt = 0xf4;
  constexpr u8 kMoveToEax = 0xb8;
  std::vector<std::vector<std::string>> result(items.size());
  // Bytes in brackets are a stream of their own. A MOV with the item's number follows each, so that the place is never
  // lost.
  std::string input;
  for (usize i = 0; i < items.size(); ++i) {
    input += "[";
    for (u8 byte : items[i]) input += fmt::format("0x{:02x} ", byte);
    input += fmt::format("0x{:02x}]\n[{} 0x{:02x} 0x{:02x} 0x{:02x} 0 0]\n", kHlt,
                         mode == CpuMode::Code16 ? "0x66" : "", kMoveToEax, i & 0xff, i >> 8);
  }
  std::stringstream output(run(input, mode, "--disassemble --output-asm-variant=1"));
  constexpr std::string_view kMark = "\tmov\teax, ";
  std::vector<std::string> texts;
  for (std::string line; std::getline(output, line);) {
    if (line.starts_with(kMark) && line.find_first_not_of("0123456789", kMark.size()) == std::string::npos) {
      const bool complete = !texts.empty() && texts.back().starts_with("hlt");
      if (complete) texts.pop_back();
      if (complete) result.at(std::stoul(line.substr(kMark.size()))) = texts;
      texts.clear();
    } else if (line.starts_with("\t") && !line.starts_with("\t.")) {
      texts.push_back(line.substr(1));
    }
  }
  return result;
}

}  // namespace hv::test
