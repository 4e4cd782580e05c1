// Feeds bytes, whatever they are, to the x86 instruction decoder. Entry point of libFuzzer and of the bounded test.
#include <cstdlib>
#include <memory>

#include "hypervisor/vcpu/x86_64/decoder.hpp"

namespace {

using namespace ax;

/// Ends the run: a broken promise of the code under test, which a sanitizer cannot see.
void require(bool condition) {
  if (!condition) std::abort();
}

/// Decodes a copy of exactly `size` bytes, so that a read beyond them is seen.
std::expected<hv::Instruction, hv::DecodeError> decode_copy(const u8* data, usize size, hv::CpuMode mode) {
  const auto copy = std::make_unique<u8[]>(size);
  for (usize i = 0; i < size; ++i) copy[i] = data[i];
  return hv::decode({copy.get(), size}, mode);
}

void check(const u8* data, usize size, hv::CpuMode mode) {
  const auto decoded = decode_copy(data, size, mode);
  if (!decoded) return;
  const hv::Instruction& i = *decoded;
  require(i.length > 0 && i.length <= hv::kMaxInstructionLength && i.length <= size);
  require(i.operation < hv::Operation::Unsupported);
  require(is_power_of_two(i.operand_size) && i.operand_size <= 8 && is_power_of_two(i.register_size) && i.register_size <= 8);
  require(i.reg < 16 && (!i.high_byte || (i.reg < 4 && i.register_size == 1)));
  require(i.memory.address_size == 2 || i.memory.address_size == 4 || i.memory.address_size == 8);
  require(i.memory.scale < 4 && i.memory.segment <= hv::Segment::Gs);
  require(i.memory.base < 16 || i.memory.base >= hv::MemoryOperand::kInstructionPointer);
  require(i.memory.index < 16 || i.memory.index == hv::MemoryOperand::kNoRegister);
  // What follows the instruction does not matter, and what is missing does.
  require(decode_copy(data, i.length, mode) == decoded);
  const auto cut = decode_copy(data, i.length - 1u, mode);
  require(!cut && cut.error() == hv::DecodeError::Truncated);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (hv::CpuMode mode : {hv::CpuMode::Code16, hv::CpuMode::Code32, hv::CpuMode::Code64}) check(data, size, mode);
  return 0;
}
