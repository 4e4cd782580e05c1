// Decoding of the instructions that reach emulation: accesses to devices as compilers emit them, string and port
// instructions, moves to and from control and debug registers. SDM vol. 2 chapter 2 and appendix A.
#pragma once

#include <array>
#include <expected>
#include <span>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// The longest instruction, in bytes.
inline constexpr usize kMaxInstructionLength = 15;

/// What the code segment says about default sizes. Real mode is Code16, compatibility mode Code16 or Code32.
enum class CpuMode : u8 { Code16, Code32, Code64 };

/// In the order of their encoding where opcodes number them.
enum class Operation : u8 {
  Add,
  Or,
  Adc,
  Sbb,
  And,
  Sub,
  Xor,
  Cmp,
  Test,
  Not,
  Neg,
  Inc,
  Dec,
  Mov,
  MovZeroExtend,
  MovSignExtend,
  Xchg,
  Xadd,
  Cmpxchg,
  Bt,
  Bts,
  Btr,
  Btc,
  Movs,
  Cmps,
  Stos,
  Lods,
  Scas,
  Ins,
  Outs,
  In,
  Out,
  MovFromControl,
  MovFromDebug,
  MovToControl,
  MovToDebug,
  Clts,
  InvalidateCaches,  ///< INVD, WBINVD, WBNOINVD
  Unsupported,
};

/// Where an instruction takes its operands from and puts the result.
enum class Operands : u8 {
  MemoryRegister,   ///< destination memory, source `reg` (BT with a register: bit offset)
  RegisterMemory,   ///< destination `reg`, source memory
  MemoryImmediate,  ///< destination memory, source `immediate`
  Memory,           ///< memory alone
  String,           ///< rSI in memory.segment, rDI in ES, as the operation says
  PortImmediate,    ///< port `immediate`, accumulator
  PortDx,           ///< port DX, accumulator
  Control,          ///< `reg` and control or debug register number `immediate`
  None,
};

/// Segment registers by their encoding.
enum class Segment : u8 { Es, Cs, Ss, Ds, Fs, Gs };

enum class Repeat : u8 { None, WhileEqual /*or plain REP*/, WhileNotEqual };

/// An effective address: base + (index << scale) + displacement, truncated to `address_size`, in `segment`.
struct MemoryOperand {
  static constexpr u8 kNoRegister = 0xff;
  static constexpr u8 kInstructionPointer = 0xfe;  ///< as base: the address of the next instruction

  i64 displacement = 0;
  u8 base = kNoRegister;
  u8 index = kNoRegister;
  u8 scale = 0;         ///< shift count
  u8 address_size = 0;  ///< bytes: 2, 4 or 8
  Segment segment = Segment::Ds;
  friend constexpr bool operator==(const MemoryOperand&, const MemoryOperand&) = default;
};

/// One instruction. Sizes are in bytes; registers by their encoding, 0 (RAX) to 15 (R15).
struct Instruction {
  Operation operation = Operation::Unsupported;
  Operands operands = Operands::None;
  u8 length = 0;
  u8 operand_size = 0;   ///< of the access to memory or port
  u8 register_size = 0;  ///< of the register operand; differs for MOVZX and MOVSX
  u8 reg = 0;
  bool high_byte = false;  ///< `reg` (0 to 3) means AH, CH, DH or BH
  bool lock = false;
  Repeat repeat = Repeat::None;
  MemoryOperand memory{};
  u64 immediate = 0;  ///< sign-extended
  friend constexpr bool operator==(const Instruction&, const Instruction&) = default;
};

enum class DecodeError : u8 {
  Truncated,    ///< `bytes` ends within the instruction
  TooLong,      ///< more than 15 bytes: #GP(0) on a processor
  Unsupported,  ///< another instruction, also those with only register operands
  Invalid,      ///< a LOCK prefix where it is #UD
};

/// Decodes the instruction at the start of `bytes`; what follows it is not looked at. Pure; any context.
std::expected<Instruction, DecodeError> decode(std::span<const u8> bytes, CpuMode mode);

/// Remembers what bytes mean: a driver's few accesses to its device are decoded once. An answer depends on nothing but
/// the bytes and the mode, so that it can never be out of date. One per vCPU.
class DecodeCache {
 public:
  /// As decode(); `address` only says where to look. Other than full-size `bytes` are decoded each time.
  std::expected<Instruction, DecodeError> decode(u64 address, std::span<const u8> bytes, CpuMode mode);

 private:
  struct Entry {
    std::array<u8, kMaxInstructionLength> bytes{};
    CpuMode mode = CpuMode::Code64;
    Instruction instruction{};  ///< length 0: empty
  };
  static constexpr usize kEntries = 8;
  std::array<Entry, kEntries> entries_{};
};

}  // namespace hv
