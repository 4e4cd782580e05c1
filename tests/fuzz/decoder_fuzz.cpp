// Feeds bytes, whatever they are, to the x86 instruction decoder, and executes what they mean. Entry point of libFuzzer and of
// the bounded test.
#include <cstdlib>
#include <memory>

#include "hypervisor/vcpu/x86_64/emulate.hpp"

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

/// Memory that reads as its address and faults now and then; counts accesses.
class FuzzHost final : public hv::EmulationHost {
 public:
  Value read(u64 linear, u32 size) override {
    if (Status status = access(linear, size); !status) return std::unexpected(status.error());
    return size == 8 ? linear : linear & ((u64{1} << 8 * size) - 1);
  }
  Status write(u64 linear, u32 size, u64 value) override {
    require(size == 8 || value >> 8 * size == 0);
    return access(linear, size);
  }
  Status check_write(u64 linear, u32 size) override { return access(linear, size); }
  u32 port_in(u16 port, u32 size) override {
    require(size <= 4);
    return size == 4 ? port : port & ((1u << 8 * size) - 1);
  }
  void port_out(u16, u32 size, u32 value) override { require(size <= 4 && (size == 4 || value >> 8 * size == 0)); }
  hv::SegmentState segment(hv::SegmentRegister which) override {
    require(which <= hv::SegmentRegister::Gs);
    return {0, static_cast<u16>(0x400 * (static_cast<u16>(which) & 1) | 0x3), 0xffff'ff00, 0x1000};
  }
  unsigned accesses = 0;

 private:
  Status access(u64 linear, u32 size) {
    require(is_power_of_two(size) && size <= 8);
    require(static_cast<u64>(static_cast<i64>(linear << 16) >> 16) == linear);
    if (++accesses % 7 == 0) return std::unexpected(hv::EmulationFault{14, 2, linear});
    return {};
  }
};

void execute(const hv::Instruction& instruction, hv::CpuMode mode, const u8* seed) {
  hv::GuestRegisters registers;
  for (usize i = 0; i < registers.gpr.size(); ++i)
    registers.gpr[i] = u64{seed[0]} << (4 * i) ^ u64 { 0x0123'4567'89ab'cdef } * (i + 1);
  registers.rip = 0x1000;
  FuzzHost host;
  const auto progress = hv::emulate(instruction, mode, registers, host);
  require(registers.rip == 0x1000);
  require(host.accesses <= 3 * hv::kMaxRepeatSteps);
  if (progress == hv::EmulationProgress::Again) require(instruction.repeat != hv::Repeat::None);
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
  execute(i, mode, data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (hv::CpuMode mode : {hv::CpuMode::Code16, hv::CpuMode::Code32, hv::CpuMode::Code64}) check(data, size, mode);
  return 0;
}
