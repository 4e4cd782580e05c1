// Runs llvm-mc, the independent judge of encodings.
#pragma once

#include <string>
#include <vector>

#include "hypervisor/vcpu/x86_64/decoder.hpp"

namespace hv::test {

using Bytes = std::vector<u8>;

/// Whether the build found the program; tests that need it are skipped without.
bool have_llvm_mc();

/// Assembles lines of Intel syntax; the bytes of each line. Empty bytes: llvm-mc did not take the line.
std::vector<Bytes> assemble(const std::vector<std::string>& lines, CpuMode mode);

/// Disassembles items of at most 2^16, each followed by HLT. Per item the texts (Intel syntax) before its HLT: one if
/// the bytes are exactly one instruction, more for prefixes without effect. An empty list: llvm-mc did not arrive at
/// HLT.
std::vector<std::vector<std::string>> disassemble(const std::vector<Bytes>& items, CpuMode mode);

}  // namespace hv::test
