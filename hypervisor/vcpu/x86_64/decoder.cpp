#include "hypervisor/vcpu/x86_64/decoder.hpp"

#include <algorithm>
#include <array>

namespace hv {
namespace {

// ---- opcode tables ---------------------------------------------------------------------------------------------------

enum RowFlag : u8 {
  kWidthBit = 1 << 0,      ///< bit 0 of the opcode: 0 is a byte, 1 the operand size
  kDirectionBit = 1 << 1,  ///< bit 1 of the opcode: the register is the destination
  kGroup = 1 << 2,         ///< ModRM.reg selects the operation: `operation` is a Group
  kImmediate = 1 << 3,     ///< of the operand size, at most four bytes
  kImmediate8 = 1 << 4,
  kOffset = 1 << 5,  ///< no ModRM: a plain address follows
  kLong = 1 << 6,    ///< exists in 64-bit mode only
  kDouble = 1 << 7,  ///< operands of four bytes, or eight with REX.W
};

enum Group : u8 { kGroup1, kGroup3, kGroup4, kGroup8, kGroup11 };

struct Row {
  u8 first;
  u8 last;
  u8 operation;  ///< an Operation or a Group
  Operands operands;
  u8 flags;
};

constexpr u8 code(Operation operation) { return static_cast<u8>(operation); }
constexpr Row two_way(u8 first, Operation op) {
  return {first, static_cast<u8>(first + 3), code(op), Operands::MemoryRegister, kWidthBit | kDirectionBit};
}
constexpr Row string(u8 first, Operation op) {
  return {first, static_cast<u8>(first + 1), code(op), Operands::String, kWidthBit};
}
constexpr Row port(u8 first, Operation op, Operands operands) {
  const u8 immediate = operands == Operands::PortImmediate ? kImmediate8 : 0;
  return {first, static_cast<u8>(first + 1), code(op), operands, static_cast<u8>(kWidthBit | immediate)};
}

/// One-byte opcodes, sorted.
constexpr Row kOneByte[] = {
    two_way(0x00, Operation::Add),
    two_way(0x08, Operation::Or),
    two_way(0x10, Operation::Adc),
    two_way(0x18, Operation::Sbb),
    two_way(0x20, Operation::And),
    two_way(0x28, Operation::Sub),
    two_way(0x30, Operation::Xor),
    two_way(0x38, Operation::Cmp),
    {0x63, 0x63, code(Operation::MovSignExtend), Operands::RegisterMemory, kLong},
    string(0x6c, Operation::Ins),
    string(0x6e, Operation::Outs),
    {0x80, 0x81, kGroup1, Operands::MemoryImmediate, kGroup | kWidthBit | kImmediate},
    {0x83, 0x83, kGroup1, Operands::MemoryImmediate, kGroup | kImmediate8},
    {0x84, 0x85, code(Operation::Test), Operands::MemoryRegister, kWidthBit},
    {0x86, 0x87, code(Operation::Xchg), Operands::MemoryRegister, kWidthBit},
    two_way(0x88, Operation::Mov),
    {0xa0, 0xa1, code(Operation::Mov), Operands::RegisterMemory, kWidthBit | kOffset},
    {0xa2, 0xa3, code(Operation::Mov), Operands::MemoryRegister, kWidthBit | kOffset},
    string(0xa4, Operation::Movs),
    string(0xa6, Operation::Cmps),
    string(0xaa, Operation::Stos),
    string(0xac, Operation::Lods),
    string(0xae, Operation::Scas),
    {0xc6, 0xc7, kGroup11, Operands::MemoryImmediate, kGroup | kWidthBit | kImmediate},
    port(0xe4, Operation::In, Operands::PortImmediate),
    port(0xe6, Operation::Out, Operands::PortImmediate),
    port(0xec, Operation::In, Operands::PortDx),
    port(0xee, Operation::Out, Operands::PortDx),
    {0xf6, 0xf7, kGroup3, Operands::Memory, kGroup | kWidthBit},
    {0xfe, 0xff, kGroup4, Operands::Memory, kGroup | kWidthBit},
};

/// Opcodes after 0F, sorted.
constexpr Row kTwoByte[] = {
    {0x06, 0x06, code(Operation::Clts), Operands::None, 0},
    {0x08, 0x09, code(Operation::InvalidateCaches), Operands::None, 0},
    {0x20, 0x20, code(Operation::MovFromControl), Operands::Control, 0},
    {0x21, 0x21, code(Operation::MovFromDebug), Operands::Control, 0},
    {0x22, 0x22, code(Operation::MovToControl), Operands::Control, 0},
    {0x23, 0x23, code(Operation::MovToDebug), Operands::Control, 0},
    {0xa3, 0xa3, code(Operation::Bt), Operands::MemoryRegister, 0},
    {0xab, 0xab, code(Operation::Bts), Operands::MemoryRegister, 0},
    {0xb0, 0xb1, code(Operation::Cmpxchg), Operands::MemoryRegister, kWidthBit},
    {0xb3, 0xb3, code(Operation::Btr), Operands::MemoryRegister, 0},
    {0xb6, 0xb7, code(Operation::MovZeroExtend), Operands::RegisterMemory, kWidthBit},
    {0xba, 0xba, kGroup8, Operands::MemoryImmediate, kGroup | kImmediate8},
    {0xbb, 0xbb, code(Operation::Btc), Operands::MemoryRegister, 0},
    {0xbe, 0xbf, code(Operation::MovSignExtend), Operands::RegisterMemory, kWidthBit},
    {0xc0, 0xc1, code(Operation::Xadd), Operands::MemoryRegister, kWidthBit},
    {0xc3, 0xc3, code(Operation::Mov), Operands::MemoryRegister, kDouble},  // MOVNTI
};
static_assert(std::ranges::is_sorted(kOneByte, {}, &Row::first) && std::ranges::is_sorted(kTwoByte, {}, &Row::first));

constexpr auto kNot = Operation::Unsupported;
constexpr Operation kGroups[][8] = {
    {Operation::Add, Operation::Or, Operation::Adc, Operation::Sbb, Operation::And, Operation::Sub, Operation::Xor,
     Operation::Cmp},
    {Operation::Test, Operation::Test, Operation::Not, Operation::Neg, kNot, kNot, kNot, kNot},
    {Operation::Inc, Operation::Dec, kNot, kNot, kNot, kNot, kNot, kNot},
    {kNot, kNot, kNot, kNot, Operation::Bt, Operation::Bts, Operation::Btr, Operation::Btc},
    {Operation::Mov, kNot, kNot, kNot, kNot, kNot, kNot, kNot},
};

/// For each opcode the number of its row; behind the last row for those that have none.
template <usize kRows>
constexpr std::array<u8, 256> index_of(const Row (&rows)[kRows]) {
  std::array<u8, 256> index{};
  index.fill(kRows);
  for (usize i = 0; i < kRows; ++i)
    for (unsigned opcode = rows[i].first; opcode <= rows[i].last; ++opcode) index[opcode] = static_cast<u8>(i);
  return index;
}

constexpr std::array<u8, 256> kOneByteIndex = index_of(kOneByte), kTwoByteIndex = index_of(kTwoByte);

template <usize kRows>
const Row* find(const Row (&rows)[kRows], const std::array<u8, 256>& index, u8 opcode) {
  return index[opcode] < kRows ? &rows[index[opcode]] : nullptr;
}

constexpr u64 bit(Operation operation) { return u64{1} << code(operation); }
/// Read-modify-write operations, which LOCK makes atomic when memory is the destination.
constexpr u64 kLockable = bit(Operation::Add) | bit(Operation::Or) | bit(Operation::Adc) | bit(Operation::Sbb) |
                          bit(Operation::And) | bit(Operation::Sub) | bit(Operation::Xor) | bit(Operation::Not) |
                          bit(Operation::Neg) | bit(Operation::Inc) | bit(Operation::Dec) | bit(Operation::Xchg) |
                          bit(Operation::Xadd) | bit(Operation::Cmpxchg) | bit(Operation::Bts) | bit(Operation::Btr) |
                          bit(Operation::Btc);

// ---- one instruction -------------------------------------------------------------------------------------------------

enum Rex : u8 { kRexB = 1 << 0, kRexX = 1 << 1, kRexR = 1 << 2, kRexW = 1 << 3 };
constexpr u8 kRsp = 4, kRbp = 5, kRbx = 3, kRsi = 6, kRdi = 7;

class Decoder {
 public:
  Decoder(std::span<const u8> bytes, CpuMode mode)
      : bytes_(bytes.first(std::min(bytes.size(), kMaxInstructionLength))), mode_(mode) {}

  std::expected<Instruction, DecodeError> run() {
    const bool supported = decode_all();
    // Beyond the end everything reads as zero, so that only here the end matters.
    if (at_ > bytes_.size()) {
      return std::unexpected(bytes_.size() == kMaxInstructionLength ? DecodeError::TooLong : DecodeError::Truncated);
    }
    if (!supported) return std::unexpected(DecodeError::Unsupported);
    const bool lockable = (kLockable >> code(out_.operation) & 1) != 0 && out_.operands != Operands::RegisterMemory;
    if (out_.lock && !lockable) return std::unexpected(DecodeError::Invalid);
    out_.length = static_cast<u8>(at_);
    return out_;
  }

 private:
  bool decode_all() {
    u8 opcode = read_prefixes();
    const Row* row;
    if (opcode == kEscape) {
      opcode = next();
      row = find(kTwoByte, kTwoByteIndex, opcode);
    } else {
      row = find(kOneByte, kOneByteIndex, opcode);
    }
    if (row == nullptr || ((row->flags & kLong) != 0 && mode_ != CpuMode::Code64)) return false;
    out_.operation = static_cast<Operation>(row->operation);
    out_.operands = row->operands;
    if ((row->flags & kDirectionBit) != 0 && (opcode & 2) != 0) out_.operands = Operands::RegisterMemory;
    set_sizes(*row, opcode);
    return read_operands(*row);
  }

  u8 next() {
    const usize at = at_++;
    return at < bytes_.size() ? bytes_[at] : 0;
  }

  u64 little_endian(unsigned size) {
    u64 value = 0;
    if (at_ + size <= bytes_.size()) {
      const u8* from = bytes_.data() + at_;
      switch (size) {
        case 1: value = *from; break;
        case 2: value = load<u16>(from); break;
        case 4: value = load<u32>(from); break;
        default: value = load<u64>(from);
      }
    }
    at_ += size;
    return value;
  }
  template <class T>
  static T load(const u8* from) {
    T value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
  }

  i64 sign_extended(unsigned size) {
    const unsigned unused = 64 - 8 * size;
    return static_cast<i64>(little_endian(size) << unused) >> unused;
  }

  /// Reads prefixes; returns the byte after them.
  u8 read_prefixes() {
    for (;;) {
      const u8 byte = next();
      if (!is_prefix(byte)) return byte;
      switch (byte) {
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
          // 64-bit mode ignores them.
          if (mode_ != CpuMode::Code64) override_segment(static_cast<Segment>(byte >> 3 & 3));
          break;
        case 0x64:
        case 0x65: override_segment(static_cast<Segment>(byte & 7)); break;
        case 0x66: operand_prefix_ = true; break;
        case 0x67: address_prefix_ = true; break;
        case 0xf0: out_.lock = true; break;
        case 0xf2: out_.repeat = Repeat::WhileNotEqual; break;
        case 0xf3: out_.repeat = Repeat::WhileEqual; break;
        default:
          // REX counts only right before the opcode.
          rex_ = byte;
          const u8 after = next();
          if (!is_prefix(after)) return after;
          rex_ = 0;
          --at_;
      }
      if (at_ > bytes_.size()) return 0;
    }
  }

  bool is_prefix(u8 byte) const {
    // One bit for each opcode, in words of 64; the second word's first 16 are REX.
    constexpr u64 kBits[] = {u64{1} << 0x26 | u64{1} << 0x2e | u64{1} << 0x36 | u64{1} << 0x3e,
                             0xffff | u64{0xf} << 0x24, 0, u64{1} << 0x30 | u64{1} << 0x32 | u64{1} << 0x33};
    if ((byte & 0xf0) == kRexPrefix && mode_ != CpuMode::Code64) return false;
    return (kBits[byte >> 6] >> (byte & 63) & 1) != 0;
  }

  void override_segment(Segment segment) {
    out_.memory.segment = segment;
    segment_override_ = true;
  }

  void set_sizes(const Row& row, u8 opcode) {
    u8 operand = mode_ == CpuMode::Code16 ? 2 : 4;
    if (operand_prefix_) operand ^= 6;  // 2 and 4 change places
    if ((row.flags & kDouble) != 0) operand = 4;
    if ((rex_ & kRexW) != 0) operand = 8;
    u8 address = static_cast<u8>(2 << static_cast<u8>(mode_));
    if (address_prefix_) address = mode_ == CpuMode::Code32 ? 2 : 4;
    out_.memory.address_size = address;

    const bool port = out_.operation >= Operation::Ins && out_.operation <= Operation::Out;
    if (port) operand = std::min<u8>(operand, 4);
    const bool byte = (row.flags & kWidthBit) != 0 && (opcode & 1) == 0;
    out_.operand_size = out_.register_size = byte ? 1 : operand;
    if (out_.operation == Operation::MovZeroExtend || out_.operation == Operation::MovSignExtend) {
      constexpr u8 kWord = 2, kDoubleWord = 4;
      out_.register_size = operand;
      if (!byte) out_.operand_size = (row.flags & kWidthBit) != 0 ? kWord : std::min(operand, kDoubleWord);
    }
    if (row.operands == Operands::Control) out_.operand_size = out_.register_size = mode_ == CpuMode::Code64 ? 8 : 4;
  }

  bool read_operands(const Row& row) {
    switch (row.operands) {
      case Operands::String:
      case Operands::PortDx:
      case Operands::None: return true;
      case Operands::PortImmediate: out_.immediate = next(); return true;
      case Operands::Control: read_control(); return true;
      default: break;
    }
    if ((row.flags & kOffset) != 0) {
      out_.memory.displacement = static_cast<i64>(little_endian(out_.memory.address_size));
      return true;
    }
    const u8 modrm = next();
    const u8 reg = modrm >> 3 & 7;
    if (modrm >> 6 == kRegisterForm) return false;
    if (!read_register(row, reg)) return false;
    if (out_.memory.address_size == 2)
      read_address16(modrm);
    else
      read_address(modrm);
    read_immediate(row);
    return true;
  }

  /// ModRM.reg: an operation or a register.
  bool read_register(const Row& row, u8 reg) {
    if ((row.flags & kGroup) != 0) {
      out_.operation = kGroups[row.operation][reg];
      if (out_.operation == Operation::Test) out_.operands = Operands::MemoryImmediate;
      return out_.operation != Operation::Unsupported;
    }
    out_.reg = static_cast<u8>(reg | ((rex_ & kRexR) != 0 ? 8 : 0));
    constexpr u8 kFirstHighByte = 4;
    if (out_.register_size == 1 && rex_ == 0 && reg >= kFirstHighByte) {
      out_.reg = reg - kFirstHighByte;
      out_.high_byte = true;
    }
    return true;
  }

  void read_control() {
    const u8 modrm = next();  // mod is ignored
    out_.immediate = (modrm >> 3 & 7) | ((rex_ & kRexR) != 0 ? 8 : 0);
    out_.reg = static_cast<u8>((modrm & 7) | ((rex_ & kRexB) != 0 ? 8 : 0));
  }

  void read_immediate(const Row& row) {
    if ((row.flags & kImmediate8) != 0)
      out_.immediate = static_cast<u64>(sign_extended(1));
    else if (out_.operands == Operands::MemoryImmediate)
      out_.immediate = static_cast<u64>(sign_extended(std::min<u8>(out_.operand_size, 4)));
  }

  void read_address16(u8 modrm) {
    constexpr u8 kNone = MemoryOperand::kNoRegister;
    constexpr u8 kBase[] = {kRbx, kRbx, kRbp, kRbp, kRsi, kRdi, kRbp, kRbx};
    constexpr u8 kIndex[] = {kRsi, kRdi, kRsi, kRdi, kNone, kNone, kNone, kNone};
    const u8 mod = modrm >> 6, rm = modrm & 7;
    out_.memory.base = kBase[rm];
    out_.memory.index = kIndex[rm];
    constexpr u8 kPlainAddress = 6;
    if (mod == 0 && rm == kPlainAddress) {
      out_.memory.base = kNone;
      out_.memory.displacement = sign_extended(2);
    } else if (mod != 0) {
      out_.memory.displacement = sign_extended(mod);
    }
    use_stack_segment(kRbp);
  }

  void read_address(u8 modrm) {
    const u8 mod = modrm >> 6;
    u8 base = modrm & 7;
    bool no_base = mod == 0 && base == kRbp;
    if (base == kRsp) {
      const u8 sib = next();
      const u8 index = static_cast<u8>((sib >> 3 & 7) | ((rex_ & kRexX) != 0 ? 8 : 0));
      if (index != kRsp) {
        out_.memory.index = index;
        out_.memory.scale = sib >> 6;
      }
      base = sib & 7;
      no_base = mod == 0 && base == kRbp;
    } else if (no_base && mode_ == CpuMode::Code64) {
      out_.memory.base = MemoryOperand::kInstructionPointer;
    }
    if (!no_base) {
      out_.memory.base = static_cast<u8>(base | ((rex_ & kRexB) != 0 ? 8 : 0));
      use_stack_segment(kRsp);
      use_stack_segment(kRbp);
    }
    if (mod == 1)
      out_.memory.displacement = sign_extended(1);
    else if (mod == 2 || no_base)
      out_.memory.displacement = sign_extended(4);
  }

  void use_stack_segment(u8 base) {
    if (out_.memory.base == base && !segment_override_) out_.memory.segment = Segment::Ss;
  }

  static constexpr u8 kEscape = 0x0f, kRexPrefix = 0x40, kRegisterForm = 3;

  std::span<const u8> bytes_;
  usize at_ = 0;
  CpuMode mode_;
  u8 rex_ = 0;
  bool operand_prefix_ = false;
  bool address_prefix_ = false;
  bool segment_override_ = false;
  Instruction out_{};
};

}  // namespace

std::expected<Instruction, DecodeError> decode(std::span<const u8> bytes, CpuMode mode) {
  return Decoder(bytes, mode).run();
}

std::expected<Instruction, DecodeError> DecodeCache::decode(u64 address, std::span<const u8> bytes, CpuMode mode) {
  if (bytes.size() != kMaxInstructionLength) return hv::decode(bytes, mode);
  Entry& entry = entries_[(address ^ address >> 3 ^ address >> 7) % kEntries];
  const bool same = __builtin_memcmp(entry.bytes.data(), bytes.data(), kMaxInstructionLength) == 0;
  if (same && entry.mode == mode && entry.instruction.length != 0) return entry.instruction;
  const auto result = hv::decode(bytes, mode);
  if (result) {
    std::ranges::copy(bytes, entry.bytes.begin());
    entry.mode = mode;
    entry.instruction = *result;
  }
  return result;
}

}  // namespace hv
