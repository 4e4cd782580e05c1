#include "hypervisor/vcpu/x86_64/emulate.hpp"

#include <bit>

#include "hypervisor/vcpu/x86_64/architecture.hpp"

namespace hv {
namespace {

constexpr u64 kCarry = 1 << 0, kParity = 1 << 2, kAdjust = 1 << 4, kZero = 1 << 6, kSign = 1 << 7, kOverflow = 1 << 11;
constexpr u64 kArithmeticFlags = kCarry | kParity | kAdjust | kZero | kSign | kOverflow;

constexpr u64 mask_of(unsigned size) { return size == sizeof(u64) ? ~u64{0} : (u64{1} << 8 * size) - 1; }
constexpr u64 sign_of(unsigned size) { return u64{1} << (8 * size - 1); }

constexpr u64 sign_extend(u64 value, unsigned size) {
  const unsigned unused = 64 - 8 * size;
  return static_cast<u64>(static_cast<i64>(value << unused) >> unused);
}

// ---- arithmetic ------------------------------------------------------------------------------------------------------

/// A result and the flags that come with it.
struct Outcome {
  u64 value;
  u64 flags;
};

/// What every arithmetic result says about itself. `carries` has a bit set where one was carried (or borrowed) out of
/// that position.
[[gnu::noinline]] Outcome with_flags(u64 value, u64 carries, u64 overflow, unsigned size) {
  const u64 sign = sign_of(size);
  value &= mask_of(size);
  constexpr u64 kNibbleCarry = 1 << 3;
  u64 flags = 0;
  if ((carries & sign) != 0) flags |= kCarry;
  if ((carries & kNibbleCarry) != 0) flags |= kAdjust;
  if ((overflow & sign) != 0) flags |= kOverflow;
  if (value == 0) flags |= kZero;
  if ((value & sign) != 0) flags |= kSign;
  if (std::popcount(value & 0xff) % 2 == 0) flags |= kParity;
  return {value, flags};
}

Outcome add(u64 a, u64 b, u64 carry, unsigned size) {
  const u64 sum = a + b + carry;
  return with_flags(sum, (a & b) | ((a | b) & ~sum), (a ^ sum) & (b ^ sum), size);
}

Outcome subtract(u64 a, u64 b, u64 borrow, unsigned size) {
  const u64 difference = a - b - borrow;
  return with_flags(difference, (~a & b) | ((~a | b) & difference), (a ^ b) & (a ^ difference), size);
}

/// `flags` are those before. Operations without flags return them unchanged.
[[gnu::noinline]] Outcome compute(Operation op, u64 a, u64 b, unsigned size, u64 flags) {
  const u64 carry = flags & kCarry;
  switch (op) {
    case Operation::Add:
    case Operation::Xadd: return add(a, b, 0, size);
    case Operation::Adc: return add(a, b, carry, size);
    case Operation::Sbb: return subtract(a, b, carry, size);
    case Operation::Sub:
    case Operation::Cmp: return subtract(a, b, 0, size);
    case Operation::Or: return with_flags(a | b, 0, 0, size);
    case Operation::And:
    case Operation::Test: return with_flags(a & b, 0, 0, size);
    case Operation::Xor: return with_flags(a ^ b, 0, 0, size);
    case Operation::Neg: return subtract(0, a, 0, size);
    case Operation::Not: return {~a & mask_of(size), flags};
    case Operation::Inc:
    case Operation::Dec: {
      const Outcome result = op == Operation::Inc ? add(a, 1, 0, size) : subtract(a, 1, 0, size);
      return {result.value, (result.flags & ~kCarry) | carry};
    }
    default: return {b, flags};  // Mov, Xchg
  }
}

/// BT and its relatives: `b` is the bit's number.
Outcome compute_bit(Operation op, u64 a, u64 b, u64 flags) {
  const u64 bit = u64{1} << b;
  flags = (flags & ~kCarry) | ((a & bit) != 0 ? kCarry : 0);
  if (op == Operation::Bts) return {a | bit, flags};
  if (op == Operation::Btr) return {a & ~bit, flags};
  return {op == Operation::Btc ? a ^ bit : a, flags};
}

bool is_bit_operation(Operation op) { return op >= Operation::Bt && op <= Operation::Btc; }
constexpr u64 bit(Operation op) { return u64{1} << static_cast<unsigned>(op); }
constexpr u64 kSourceOnlyStrings = bit(Operation::Lods) | bit(Operation::Outs);
constexpr u64 kSourceStrings = kSourceOnlyStrings | bit(Operation::Movs) | bit(Operation::Cmps);
constexpr u64 kStoringStrings = bit(Operation::Movs) | bit(Operation::Stos) | bit(Operation::Ins);

bool only_compares(Operation op) { return op == Operation::Cmp || op == Operation::Test || op == Operation::Bt; }
/// Whether the old value of the memory operand matters.
bool reads_destination(Operation op) { return op != Operation::Mov; }

// ---- one instruction -------------------------------------------------------------------------------------------------

/// Steps return false after they have put the reason into `fault_`.
class Execution {
 public:
  Execution(const Instruction& instruction, CpuMode mode, GuestRegisters& registers, EmulationHost& host)
      : i_(instruction), mode_(mode), r_(registers), host_(host) {}

  std::expected<EmulationProgress, EmulationFault> run() {
    if (!execute()) return std::unexpected(fault_);
    return again_ ? EmulationProgress::Again : EmulationProgress::Complete;
  }

 private:
  bool execute() {
    switch (i_.operands) {
      case Operands::MemoryRegister:
      case Operands::MemoryImmediate:
      case Operands::Memory: return i_.operation == Operation::Cmpxchg ? compare_exchange() : modify_memory();
      case Operands::RegisterMemory: return modify_register();
      case Operands::String: return repeat_string();
      case Operands::PortImmediate:
      case Operands::PortDx: access_port(); return true;
      case Operands::None:
        // The guest's memory is coherent with whatever its devices do: there is nothing to write back, and nothing may be
        // thrown away.
        if (i_.operation == Operation::InvalidateCaches) return true;
        [[fallthrough]];
      default: return fail({x86::Vector::kInvalidOpcode, 0, 0});
    }
  }

  bool fail(const EmulationFault& fault) {
    fault_ = fault;
    return false;
  }

  bool read(u64 address, u64& value) {
    const EmulationHost::Value result = host_.read(address, i_.operand_size);
    if (!result) return fail(result.error());
    value = *result;
    return true;
  }
  bool write(u64 address, u64 value) {
    const EmulationHost::Status result = host_.write(address, i_.operand_size, value & mask_of(i_.operand_size));
    return result || fail(result.error());
  }
  bool check_write(u64 address) {
    const EmulationHost::Status result = host_.check_write(address, i_.operand_size);
    return result || fail(result.error());
  }

  /// A register as an operand of `size`; AH to BH with `high`.
  u64 read_register(unsigned which, unsigned size, bool high = false) const {
    return r_.gpr[which] >> (high ? 8 : 0) & mask_of(size);
  }

  /// Four bytes clear the upper half, one or two leave the rest alone. SDM vol. 1 3.4.1.1.
  void write_register(unsigned which, unsigned size, u64 value, bool high = false) {
    const unsigned shift = high ? 8 : 0;
    const u64 kept = size >= sizeof(u32) ? 0 : ~(mask_of(size) << shift);
    r_.gpr[which] = (r_.gpr[which] & kept) | (value & mask_of(size)) << shift;
  }

  u64 source_register() const { return read_register(i_.reg, i_.register_size, i_.high_byte); }
  void set_flags(u64 flags) { r_.rflags = (r_.rflags & ~kArithmeticFlags) | (flags & kArithmeticFlags); }
  u64 flags() const { return r_.rflags & kArithmeticFlags; }

  u64 effective_address() const {
    const MemoryOperand& m = i_.memory;
    u64 address = static_cast<u64>(m.displacement);
    if (m.base == MemoryOperand::kInstructionPointer)
      address += r_.rip + i_.length;
    else if (m.base != MemoryOperand::kNoRegister)
      address += r_.gpr[m.base];
    if (m.index != MemoryOperand::kNoRegister) address += r_.gpr[m.index] << m.scale;
    return address & mask_of(m.address_size);
  }

  /// The linear address of the operand at `offset` in a segment. SDM vol. 3 5.3, vol. 1 3.3.7.1.
  [[gnu::noinline]] bool linear(Segment segment, u64 offset, u64& address) {
    const EmulationFault fault{segment == Segment::Ss ? x86::Vector::kStackFault : x86::Vector::kGeneralProtection, 0,
                               0};
    const unsigned size = i_.operand_size;
    if (mode_ == CpuMode::Code64) {
      address = offset + (segment >= Segment::Fs ? host_.segment(static_cast<SegmentRegister>(segment)).base : 0);
      return (x86::is_canonical(address) && x86::is_canonical(address + size - 1)) || fail(fault);
    }
    const SegmentState state = host_.segment(static_cast<SegmentRegister>(segment));
    const u64 last = offset + size - 1;
    const u64 top = (state.attributes & SegmentState::kBig) != 0 ? mask_of(4) : mask_of(2);
    const bool expands_down = (state.attributes & SegmentState::kCode) == 0 && (state.attributes & kExpandDown) != 0;
    const bool inside = expands_down ? offset > state.limit && last <= top : last <= state.limit;
    address = (state.base + offset) & mask_of(4);
    return inside || fail(fault);
  }

  bool operand_address(u64& address) {
    u64 offset = effective_address();
    if (is_bit_operation(i_.operation) && i_.operands == Operands::MemoryRegister) offset += bit_string_offset();
    return linear(i_.memory.segment, offset & mask_of(i_.memory.address_size), address);
  }

  /// A bit number in a register may lie outside the operand, on either side.
  u64 bit_string_offset() const {
    const i64 bit = static_cast<i64>(sign_extend(source_register(), i_.register_size));
    const unsigned shift = static_cast<unsigned>(std::countr_zero(8u * i_.operand_size));
    return static_cast<u64>(bit >> shift) * i_.operand_size;
  }

  u64 second_operand() const {
    return i_.operands == Operands::MemoryRegister ? source_register() : i_.immediate & mask_of(i_.operand_size);
  }

  bool modify_memory() {
    const unsigned size = i_.operand_size;
    const bool writes = !only_compares(i_.operation);
    u64 address, old = 0;
    if (!operand_address(address)) return false;
    if (reads_destination(i_.operation)) {
      if (writes && !check_write(address)) return false;
      if (!read(address, old)) return false;
    }
    const u64 other = second_operand();
    const Outcome result = is_bit_operation(i_.operation)
                               ? compute_bit(i_.operation, old, other & (8 * size - 1), flags())
                               : compute(i_.operation, old, other, size, flags());
    if (writes && !write(address, result.value)) return false;
    if (i_.operation == Operation::Xchg || i_.operation == Operation::Xadd)
      write_register(i_.reg, size, old, i_.high_byte);
    set_flags(result.flags);
    return true;
  }

  /// The processor writes in either case: the new value, or what was there.
  bool compare_exchange() {
    const unsigned size = i_.operand_size;
    u64 address, old;
    if (!operand_address(address) || !check_write(address) || !read(address, old)) return false;
    const Outcome comparison = compute(Operation::Cmp, read_register(kAccumulator, size), old, size, 0);
    const bool equal = comparison.value == 0;
    if (!write(address, equal ? source_register() : old)) return false;
    if (!equal) write_register(kAccumulator, size, old);
    set_flags(comparison.flags);
    return true;
  }

  bool modify_register() {
    u64 address, value;
    if (!operand_address(address) || !read(address, value)) return false;
    if (i_.operation == Operation::MovSignExtend) value = sign_extend(value, i_.operand_size);
    if (i_.operation > Operation::Test) {
      write_register(i_.reg, i_.register_size, value, i_.high_byte);
      return true;
    }
    const Outcome result = compute(i_.operation, source_register(), value, i_.operand_size, flags());
    if (!only_compares(i_.operation)) write_register(i_.reg, i_.register_size, result.value, i_.high_byte);
    set_flags(result.flags);
    return true;
  }

  u16 port() const { return static_cast<u16>(i_.operands == Operands::PortImmediate ? i_.immediate : r_[Gpr::Rdx]); }

  void access_port() {
    const unsigned size = i_.operand_size;
    if (i_.operation == Operation::In)
      write_register(kAccumulator, size, host_.port_in(port(), size));
    else
      host_.port_out(port(), size, static_cast<u32>(read_register(kAccumulator, size)));
  }

  // ---- strings ----

  bool repeat_string() {
    const unsigned width = i_.memory.address_size;
    if (i_.repeat == Repeat::None) return string_step();
    const bool compares = i_.operation == Operation::Cmps || i_.operation == Operation::Scas;
    const unsigned steps = (r_.rflags & x86::Rflags::kTf) != 0 ? 1 : kMaxRepeatSteps;
    for (unsigned step = 0; step < steps; ++step) {
      const u64 count = read_register(kCount, width);
      if (count == 0) return true;
      if (!string_step()) return false;
      write_register(kCount, width, count - 1);
      const bool equal = (r_.rflags & kZero) != 0;
      if (compares && equal != (i_.repeat == Repeat::WhileEqual)) return true;
    }
    again_ = read_register(kCount, width) != 0;
    return true;
  }

  bool destination_address(u64& address) {
    return linear(Segment::Es, read_register(kDestination, i_.memory.address_size), address);
  }
  bool read_source(u64& value) {
    u64 address;
    return linear(i_.memory.segment, read_register(kSource, i_.memory.address_size), address) && read(address, value);
  }

  void advance(unsigned which) {
    const unsigned width = i_.memory.address_size;
    const u64 size = i_.operand_size;
    write_register(which, width, read_register(which, width) + ((r_.rflags & x86::Rflags::kDf) != 0 ? 0 - size : size));
  }

  bool is_one_of(u64 operations) const { return (operations >> static_cast<unsigned>(i_.operation) & 1) != 0; }

  bool string_step() {
    const unsigned size = i_.operand_size;
    const bool stores = is_one_of(kStoringStrings), sources = is_one_of(kSourceStrings),
               has_destination = !is_one_of(kSourceOnlyStrings);
    u64 to = 0, value = read_register(kAccumulator, size);
    if (has_destination && !destination_address(to)) return false;
    if (stores && !check_write(to)) return false;
    if (sources && !read_source(value)) return false;
    if (i_.operation == Operation::Ins) value = host_.port_in(port(), size);
    if (i_.operation == Operation::Outs) host_.port_out(port(), size, static_cast<u32>(value));
    if (i_.operation == Operation::Lods) write_register(kAccumulator, size, value);
    if (stores && !write(to, value)) return false;
    if (has_destination && !stores) {
      u64 right;
      if (!read(to, right)) return false;
      set_flags(compute(Operation::Cmp, value, right, size, 0).flags);
    }
    if (sources) advance(kSource);
    if (has_destination) advance(kDestination);
    return true;
  }

  static constexpr u16 kExpandDown = 1 << 2;
  static constexpr unsigned kAccumulator = static_cast<unsigned>(Gpr::Rax), kCount = static_cast<unsigned>(Gpr::Rcx),
                            kSource = static_cast<unsigned>(Gpr::Rsi), kDestination = static_cast<unsigned>(Gpr::Rdi);

  const Instruction& i_;
  CpuMode mode_;
  GuestRegisters& r_;
  EmulationHost& host_;
  EmulationFault fault_{};
  bool again_ = false;
};

}  // namespace

std::expected<EmulationProgress, EmulationFault> emulate(const Instruction& instruction, CpuMode mode,
                                                         GuestRegisters& registers, EmulationHost& host) {
  return Execution(instruction, mode, registers, host).run();
}

}  // namespace hv
