#include "hypervisor/vcpu/x86_64/instruction_emulation.hpp"

#include <algorithm>
#include <array>

#include "hypervisor/vcpu/x86_64/arch_vcpu.hpp"
#include "hypervisor/vcpu/x86_64/architecture.hpp"
#include "hypervisor/vcpu/x86_64/exits.hpp"
#include "hypervisor/vcpu/x86_64/guest_access.hpp"
#include "hypervisor/vm/vm.hpp"

namespace hv {

using namespace x86;

namespace {

/// The world of one emulated instruction: the guest's linear addresses, its devices, its ports.
class Emulation final : public EmulationHost, private GuestBus {
 public:
  explicit Emulation(ArchVcpu& vcpu)
      : vcpu_(vcpu),
        code_(vcpu.backend().segment(SegmentRegister::Cs)),
        paging_(paging_state(vcpu)),
        access_(vcpu.owner().vm.memory(), *this, paging_) {}

  CpuMode mode() const {
    if (is_long() && (code_.attributes & SegmentState::kLong) != 0) return CpuMode::Code64;
    return (code_.attributes & SegmentState::kBig) != 0 ? CpuMode::Code32 : CpuMode::Code16;
  }

  /// The instruction at RIP; nothing after a fault, which the guest then takes, or a crash.
  std::optional<Instruction> decode_next();
  GuestAccess& access() { return access_; }
  u64 linear_rip() const {
    const u64 rip = vcpu_.registers.rip;
    return mode() == CpuMode::Code64 ? rip : static_cast<u32>(code_.base + rip);
  }

  Value read(u64 linear, u32 size) override { return access_.read(linear, size); }
  Status write(u64 linear, u32 size, u64 value) override { return access_.write(linear, size, value); }
  Status check_write(u64 linear, u32 size) override { return access_.check_write(linear, size); }
  u32 port_in(u16 port, u32 size) override { return vcpu_.vm().port_in(port, size); }
  void port_out(u16 port, u32 size, u32 value) override { vcpu_.vm().port_out(port, size, value); }
  SegmentState segment(SegmentRegister which) override { return vcpu_.backend().segment(which); }

 private:
  static PagingState paging_state(ArchVcpu& vcpu) {
    PagingState state = vcpu.backend().code().paging;
    state.rflags = vcpu.registers.rflags;
    state.physical_address_bits = vcpu.physical_address_bits();
    return state;
  }

  bool is_long() const { return (paging_.efer & Efer::kLma) != 0; }

  // Addresses that nobody answers at read as all ones, as on a bus without a device there.
  u64 mmio_read(Gpa address, u32 size) override {
    constexpr u64 kAllOnes = ~u64{0};
    return vcpu_.vm().mmio_read(vcpu_.owner(), address, size).value_or(kAllOnes >> (8 * (sizeof(u64) - size)));
  }
  void mmio_write(Gpa address, u32 size, u64 value) override {
    vcpu_.vm().mmio_write(vcpu_.owner(), address, size, value);
  }

  ArchVcpu& vcpu_;
  const SegmentState code_;
  const PagingState paging_;
  GuestAccess access_;
};

void raise(ArchVcpu& vcpu, const EmulationFault& fault) {
  constexpr u32 kWithErrorCode = 1 << Vector::kDoubleFault | 1 << 10 | 1 << 11 | 1 << 12 |
                                 1 << Vector::kGeneralProtection | 1 << Vector::kPageFault |
                                 1 << Vector::kAlignmentCheck;
  if (fault.vector == Vector::kPageFault) vcpu.backend().write(GuestRegister::Cr2, fault.address);
  const bool coded = (kWithErrorCode >> fault.vector & 1) != 0;
  vcpu.inject(fault.vector, coded ? std::optional(fault.error_code) : std::nullopt);
}

std::optional<Instruction> Emulation::decode_next() {
  std::array<u8, kMaxInstructionLength> buffer;
  std::span<const u8> bytes = vcpu_.backend().instruction_bytes();
  const u64 linear = linear_rip();
  if (bytes.empty()) {
    const auto fetched = access_.fetch(linear, buffer);
    if (!fetched) {
      raise(vcpu_, fetched.error());
      return std::nullopt;
    }
    bytes = std::span(buffer).first(*fetched);
  }
  const auto instruction = vcpu_.decoded.decode(linear, bytes, mode());
  if (instruction) {
    if (mode() == CpuMode::Code64) vcpu_.known.remember(paging_, linear, access_.fetched(), bytes, *instruction);
    return *instruction;
  }
  switch (instruction.error()) {
    case DecodeError::TooLong: vcpu_.inject(Vector::kGeneralProtection, 0); break;
    case DecodeError::Invalid: vcpu_.inject(Vector::kInvalidOpcode); break;
    case DecodeError::Truncated:
      // It goes on in a page that cannot be fetched.
      if (const auto rest = access_.fetch(linear + bytes.size(), std::span(buffer).first(1)); !rest) {
        raise(vcpu_, rest.error());
        break;
      }
      crash(vcpu_, "it executes outside its memory");
      break;
    case DecodeError::Unsupported: crash(vcpu_, "an access by an instruction that is not emulated"); break;
  }
  return std::nullopt;
}

// ---- what drivers do most --------------------------------------------------------------------------------------------

/// The low bits of the operand's address, which translation does not change; nothing with a segment that has a base.
std::optional<u64> operand_offset(const Instruction& instruction, const GuestRegisters& r) {
  const MemoryOperand& m = instruction.memory;
  if (m.segment >= Segment::Fs) return std::nullopt;
  u64 address = static_cast<u64>(m.displacement);
  if (m.base == MemoryOperand::kInstructionPointer)
    address += r.rip + instruction.length;
  else if (m.base != MemoryOperand::kNoRegister)
    address += r.gpr[m.base];
  if (m.index != MemoryOperand::kNoRegister) address += r.gpr[m.index] << m.scale;
  return address & (kPageSize - 1);
}

/// A MOV of 4 or 8 bytes between a device and a register or constant, at a place where it was seen before. The
/// processor has checked the access and translated its address; an access across pages has another offset than the
/// fault.
bool move_at_known_place(ArchVcpu& vcpu, const NestedFault& fault) {
  const CodeState code = vcpu.backend().code();
  if (!code.is_64bit) return false;
  GuestRegisters& r = vcpu.registers;
  const Instruction* known = vcpu.known.find(vcpu.owner().vm.memory(), code.paging, r.rip);
  if (known == nullptr || known->operation != Operation::Mov || known->operand_size < sizeof(u32)) return false;
  const u64 offset = fault.address.value() & (kPageSize - 1);
  if (operand_offset(*known, r) != offset || offset + known->operand_size > kPageSize) return false;
  const u32 size = known->operand_size;
  const u64 mask = size == sizeof(u64) ? ~u64{0} : u64{0xffff'ffff};
  if (known->operands == Operands::RegisterMemory && !fault.write) {
    r.gpr[known->reg] = vcpu.vm().mmio_read(vcpu.owner(), fault.address, size).value_or(mask);
  } else if (known->operands == Operands::MemoryRegister && fault.write) {
    vcpu.vm().mmio_write(vcpu.owner(), fault.address, size, r.gpr[known->reg] & mask);
  } else if (known->operands == Operands::MemoryImmediate && fault.write) {
    vcpu.vm().mmio_write(vcpu.owner(), fault.address, size, known->immediate & mask);
  } else {
    return false;
  }
  vcpu.complete(known->length);
  return true;
}

}  // namespace

bool stands_at_halt(ArchVcpu& vcpu) {
  constexpr u8 kHalt = 0xf4;
  Emulation emulation(vcpu);
  std::array<u8, 1> opcode{};
  return emulation.access().fetch(emulation.linear_rip(), opcode) && opcode[0] == kHalt;
}

[[gnu::noinline]] void emulate_any_instruction(ArchVcpu& vcpu, const VmExit& exit) {
  Emulation emulation(vcpu);
  const std::optional<Instruction> instruction = emulation.decode_next();
  if (!instruction) return;
  if (exit.reason == ExitReason::NestedFault && instruction->operands != Operands::String) {
    emulation.access().know_operand(exit.fault.address, exit.fault.write);
  }
  const auto progress = emulate(*instruction, emulation.mode(), vcpu.registers, emulation);
  if (!progress) return raise(vcpu, progress.error());
  const bool ended = *progress == EmulationProgress::Complete, traps = (vcpu.registers.rflags & Rflags::kTf) != 0;
  if (ended || traps) vcpu.complete(ended ? instruction->length : 0);
}

void emulate_instruction(ArchVcpu& vcpu, const VmExit& exit) {
  if (exit.reason != ExitReason::NestedFault || !move_at_known_place(vcpu, exit.fault))
    emulate_any_instruction(vcpu, exit);
}

std::optional<DecodedControlMove> control_move(ArchVcpu& vcpu, const VmExit& exit) {
  const ControlMove& known = exit.control_move;
  if (known.which && exit.instruction_length != 0)
    return DecodedControlMove{known.write, *known.which, exit.instruction_length};
  const std::optional<Instruction> instruction = Emulation(vcpu).decode_next();
  if (!instruction) return std::nullopt;
  constexpr u64 kCr4 = 4, kTaskPriority = 8;
  const bool write = instruction->operation == Operation::MovToControl;
  const u64 number = exit.reason == ExitReason::Cr4Write ? kCr4 : kTaskPriority;
  if ((!write && instruction->operation != Operation::MovFromControl) || instruction->immediate != number)
    return std::nullopt;
  return DecodedControlMove{write, static_cast<Gpr>(instruction->reg), instruction->length};
}

}  // namespace hv
