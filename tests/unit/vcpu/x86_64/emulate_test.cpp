#include "hypervisor/vcpu/x86_64/emulate.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace hv {
namespace {

constexpr u64 kMemory = 0x10000;
constexpr u64 kSize = 0x1000;
constexpr u64 kReadOnly = kMemory + 0x800;  ///< from here on
constexpr u64 kArithmetic = 0x8d5;

/// A page of memory, ports that count, and the faults of everything else.
class FakeHost final : public EmulationHost {
 public:
  Value read(u64 linear, u32 size) override {
    if (linear < kMemory || linear + size > kMemory + kSize) return std::unexpected(EmulationFault{14, 0, linear});
    u64 value = 0;
    std::memcpy(&value, &memory[linear - kMemory], size);
    log += "r";
    return value;
  }
  Status write(u64 linear, u32 size, u64 value) override {
    if (auto status = check_write(linear, size); !status) return status;
    EXPECT_EQ(size == 8 ? 0 : value >> 8 * size, 0u) << "bits above the size";
    std::memcpy(&memory[linear - kMemory], &value, size);
    log += "w";
    return {};
  }
  Status check_write(u64 linear, u32 size) override {
    if (linear < kMemory || linear + size > kReadOnly) return std::unexpected(EmulationFault{14, 2, linear});
    return {};
  }
  u32 port_in(u16 port, u32 size) override {
    log += "i";
    ports.push_back(port);
    return static_cast<u32>((next_input++) & ((u64{1} << 8 * size) - 1));
  }
  void port_out(u16 port, u32, u32 value) override {
    ports.push_back(port);
    outputs.push_back(value);
  }
  SegmentState segment(SegmentRegister which) override { return segments[static_cast<usize>(which)]; }

  template <class T>
  T at(u64 address) const {
    T value;
    std::memcpy(&value, &memory[address - kMemory], sizeof value);
    return value;
  }
  template <class T>
  void put(u64 address, T value) {
    std::memcpy(&memory[address - kMemory], &value, sizeof value);
  }

  std::array<u8, kSize> memory{};
  std::array<SegmentState, 8> segments{};
  std::vector<u16> ports;
  std::vector<u32> outputs;
  u32 next_input = 0x1122'3344;
  std::string log;
};

class Emulate : public ::testing::Test {
 protected:
  Emulate() {
    for (SegmentState& segment : host.segments)
      segment = {0, SegmentState::kBig | SegmentState::kPresent | 3, 0xffff'ffff, 0};
    r[Gpr::Rbx] = kMemory;
    r.rip = 0xffff'8000'0000'1000;
  }

  std::expected<EmulationProgress, EmulationFault> run(std::initializer_list<u8> bytes,
                                                       CpuMode mode = CpuMode::Code64) {
    const auto instruction = decode(std::span(bytes.begin(), bytes.size()), mode);
    if (!instruction) {
      ADD_FAILURE() << "undecodable";
      return std::unexpected(EmulationFault{});
    }
    EXPECT_EQ(instruction->length, bytes.size());
    return emulate(*instruction, mode, r, host);
  }
  void complete(std::initializer_list<u8> bytes, CpuMode mode = CpuMode::Code64) {
    EXPECT_EQ(run(bytes, mode), EmulationProgress::Complete);
  }

  FakeHost host;
  GuestRegisters r;
};

TEST_F(Emulate, LoadsKeepOrClearTheRestOfTheRegister) {
  host.put<u64>(kMemory, 0x1122'3344'5566'7788);
  r[Gpr::Rax] = ~u64{0};
  complete({0x8a, 0x03});  // mov al, [rbx]
  EXPECT_EQ(r[Gpr::Rax], 0xffff'ffff'ffff'ff88u);
  complete({0x8a, 0x23});  // mov ah, [rbx]
  EXPECT_EQ(r[Gpr::Rax], 0xffff'ffff'ffff'8888u);
  complete({0x66, 0x8b, 0x03});
  EXPECT_EQ(r[Gpr::Rax], 0xffff'ffff'ffff'7788u);
  complete({0x8b, 0x03});
  EXPECT_EQ(r[Gpr::Rax], 0x5566'7788u);
  complete({0x48, 0x8b, 0x03});
  EXPECT_EQ(r[Gpr::Rax], 0x1122'3344'5566'7788u);
}

TEST_F(Emulate, StoresWriteOnceAndDoNotRead) {
  r[Gpr::Rcx] = 0xffff'ffff'dead'beef;
  complete({0x89, 0x4b, 0x10});  // mov [rbx + 16], ecx
  EXPECT_EQ(host.at<u64>(kMemory + 16), 0xdead'beefu);
  complete({0x88, 0x6b, 0x20});  // mov [rbx + 32], ch
  EXPECT_EQ(host.at<u64>(kMemory + 32), 0xbeu);
  complete({0x48, 0xc7, 0x43, 0x30, 0xfe, 0xff, 0xff, 0xff});
  EXPECT_EQ(host.at<u64>(kMemory + 48), ~u64{1});
  EXPECT_EQ(host.log, "www");
}

TEST_F(Emulate, ExtendsWithZeroAndSign) {
  host.put<u32>(kMemory, 0x8000'80f0);
  complete({0x0f, 0xb6, 0x03});
  EXPECT_EQ(r[Gpr::Rax], 0xf0u);
  complete({0x48, 0x0f, 0xbe, 0x03});
  EXPECT_EQ(r[Gpr::Rax], ~u64{0xf});
  complete({0x0f, 0xbf, 0x03});
  EXPECT_EQ(r[Gpr::Rax], 0xffff'80f0u);
  complete({0x48, 0x63, 0x03});
  EXPECT_EQ(r[Gpr::Rax], 0xffff'ffff'8000'80f0u);
  r[Gpr::Rax] = ~u64{0};
  complete({0x66, 0x0f, 0xb6, 0x03});
  EXPECT_EQ(r[Gpr::Rax], 0xffff'ffff'ffff'00f0u);
}

TEST_F(Emulate, AddressesAreComputedInTheAddressSize) {
  host.put<u32>(kMemory + 0x24, 7);
  r[Gpr::Rcx] = 4;
  complete({0x8b, 0x44, 0x8b, 0x14});  // [rbx + 4*rcx + 20]
  EXPECT_EQ(r[Gpr::Rax], 7u);
  r[Gpr::Rbx] |= u64{0xdead} << 32;
  complete({0x67, 0x8b, 0x54, 0x8b, 0x14});
  EXPECT_EQ(r[Gpr::Rdx], 7u);
  r.rip = kMemory;
  complete({0x8b, 0x35, 0x1e, 0, 0, 0});  // [rip + 30]: after six bytes
  EXPECT_EQ(r[Gpr::Rsi], 7u);
}

TEST_F(Emulate, FsAndGsHaveABaseInLongMode) {
  host.segments[5].base = kMemory;
  host.segments[3].base = 0x5000;
  host.put<u32>(kMemory + 8, 9);
  complete({0x65, 0x8b, 0x04, 0x25, 8, 0, 0, 0});
  EXPECT_EQ(r[Gpr::Rax], 9u);
}

TEST_F(Emulate, NonCanonicalAddressesFault) {
  r[Gpr::Rbx] = u64{1} << 47;
  EXPECT_EQ(run({0x8b, 0x03}).error(), (EmulationFault{13, 0, 0}));
  r[Gpr::Rbx] = (u64{1} << 47) - 2;  // the last two bytes
  EXPECT_EQ(run({0x8b, 0x03}).error(), (EmulationFault{13, 0, 0}));
  r[Gpr::Rbp] = u64{1} << 47;
  EXPECT_EQ(run({0x8b, 0x45, 0x00}).error(), (EmulationFault{12, 0, 0}));  // through SS
}

TEST_F(Emulate, SegmentsHaveLimitsOutsideLongMode) {
  host.segments[3] = {0, SegmentState::kBig | 3, 0xfff, kMemory};
  host.put<u32>(kMemory + 0xffc, 5);
  complete({0x8b, 0x05, 0xfc, 0x0f, 0, 0}, CpuMode::Code32);
  EXPECT_EQ(r[Gpr::Rax], 5u);
  EXPECT_EQ(run({0x8b, 0x05, 0xfd, 0x0f, 0, 0}, CpuMode::Code32).error(), (EmulationFault{13, 0, 0}));
  host.segments[3].attributes |= 4;  // expands down: above the limit
  EXPECT_EQ(run({0x8b, 0x05, 0xfc, 0x0f, 0, 0}, CpuMode::Code32).error(), (EmulationFault{13, 0, 0}));
  host.segments[3].base = kMemory - 0x1000;
  complete({0x8b, 0x05, 0xfc, 0x1f, 0, 0}, CpuMode::Code32);
}

TEST_F(Emulate, RealModeAddressesWrapIn16Bits) {
  host.segments[3] = {0x1000, 3, 0xffff, kMemory};
  host.put<u16>(kMemory + 0x10, 0x55);
  r[Gpr::Rbx] = 0xffff'fff0;
  r[Gpr::Rsi] = 0x20;
  complete({0x8b, 0x00}, CpuMode::Code16);  // mov ax, [bx + si]
  EXPECT_EQ(r[Gpr::Rax], 0x55u);
}

TEST_F(Emulate, FaultsLeaveEverythingAsItWas) {
  const GuestRegisters before = r;
  r[Gpr::Rbx] = kReadOnly;
  host.put<u32>(kReadOnly, 1);
  for (std::initializer_list<u8> bytes :
       {std::initializer_list<u8>{0x01, 0x03}, {0x87, 0x03}, {0x0f, 0xb1, 0x0b}, {0x0f, 0xc1, 0x03}, {0xff, 0x03}}) {
    EXPECT_EQ(run(bytes).error(), (EmulationFault{14, 2, kReadOnly}));
  }
  EXPECT_EQ(host.log, "");  // not even read
  r[Gpr::Rbx] = before[Gpr::Rbx];
  EXPECT_EQ(r.gpr, before.gpr);
  EXPECT_EQ(r.rflags, before.rflags);
}

TEST_F(Emulate, ComparingDoesNotWrite) {
  r[Gpr::Rbx] = kReadOnly;
  complete({0x39, 0x03});
  complete({0x85, 0x03});
  complete({0xf7, 0x03, 1, 0, 0, 0});
  complete({0x0f, 0xa3, 0x03});
  EXPECT_EQ(host.log, "rrrr");
}

TEST_F(Emulate, ExchangesAndCompareExchanges) {
  host.put<u32>(kMemory, 10);
  r[Gpr::Rax] = 0xffff'ffff'0000'0014;
  complete({0x87, 0x03});
  EXPECT_EQ(host.at<u32>(kMemory), 20u);
  EXPECT_EQ(r[Gpr::Rax], 10u);
  r[Gpr::Rcx] = 30;
  complete({0xf0, 0x0f, 0xb1, 0x0b});  // eax = 10, memory = 20
  EXPECT_EQ(host.at<u32>(kMemory), 20u);
  EXPECT_EQ(r[Gpr::Rax], 20u);
  EXPECT_EQ(r.rflags & 0x40, 0u);
  complete({0xf0, 0x0f, 0xb1, 0x0b});
  EXPECT_EQ(host.at<u32>(kMemory), 30u);
  EXPECT_EQ(r[Gpr::Rax], 20u);
  EXPECT_EQ(r.rflags & 0x40, 0x40u);
  complete({0x0f, 0xc1, 0x03});  // xadd [rbx], eax
  EXPECT_EQ(host.at<u32>(kMemory), 50u);
  EXPECT_EQ(r[Gpr::Rax], 30u);
}

TEST_F(Emulate, BitStringsReachBeyondTheOperand) {
  r[Gpr::Rbx] = kMemory + 0x100;
  r[Gpr::Rax] = 37;
  complete({0x0f, 0xab, 0x03});  // bts [rbx], eax
  EXPECT_EQ(host.at<u32>(kMemory + 0x104), 1u << 5);
  r[Gpr::Rax] = 0xffff'ffff;  // -1
  complete({0x0f, 0xab, 0x03});
  EXPECT_EQ(host.at<u32>(kMemory + 0xfc), 1u << 31);
  EXPECT_EQ(r.rflags & 1, 0u);
  complete({0x0f, 0xb3, 0x03});  // btr
  EXPECT_EQ(host.at<u32>(kMemory + 0xfc), 0u);
  EXPECT_EQ(r.rflags & 1, 1u);
  complete({0x0f, 0xba, 0x7b, 0x04, 0x25});  // btc [rbx + 4], 37: modulo 32
  EXPECT_EQ(host.at<u32>(kMemory + 0x104), 0u);
}

TEST_F(Emulate, CopiesStringsBothWays) {
  r[Gpr::Rsi] = kMemory;
  r[Gpr::Rdi] = kMemory + 0x100;
  r[Gpr::Rcx] = 4;
  for (u32 i = 0; i < 4; ++i) host.put<u32>(kMemory + 4 * i, i + 1);
  complete({0xf3, 0xa5});
  for (u32 i = 0; i < 4; ++i) EXPECT_EQ(host.at<u32>(kMemory + 0x100 + 4 * i), i + 1);
  EXPECT_EQ(r[Gpr::Rcx], 0u);
  EXPECT_EQ(r[Gpr::Rsi], kMemory + 16);
  r.rflags |= 1 << 10;
  complete({0xa4});
  EXPECT_EQ(r[Gpr::Rsi], kMemory + 15);
  EXPECT_EQ(r[Gpr::Rdi], kMemory + 0x10f);
}

TEST_F(Emulate, RepeatsAreBoundedAndGoOn) {
  r[Gpr::Rdi] = kMemory;
  r[Gpr::Rax] = 0xab;
  r[Gpr::Rcx] = kMaxRepeatSteps + 3;
  EXPECT_EQ(run({0xf3, 0xaa}), EmulationProgress::Again);
  EXPECT_EQ(r[Gpr::Rcx], 3u);
  EXPECT_EQ(r[Gpr::Rdi], kMemory + kMaxRepeatSteps);
  EXPECT_EQ(run({0xf3, 0xaa}), EmulationProgress::Complete);
  EXPECT_EQ(host.at<u8>(kMemory + kMaxRepeatSteps + 2), 0xab);
  EXPECT_EQ(host.at<u8>(kMemory + kMaxRepeatSteps + 3), 0);
  r[Gpr::Rcx] = kMaxRepeatSteps;
  EXPECT_EQ(run({0xf3, 0xaa}), EmulationProgress::Complete);
}

TEST_F(Emulate, ARepeatTakesOneStepWhileTheGuestSteps) {
  r[Gpr::Rdi] = kMemory;
  r[Gpr::Rcx] = 2;
  constexpr u64 kTrap = 1 << 8;
  r.rflags |= kTrap;
  EXPECT_EQ(run({0xf3, 0xaa}), EmulationProgress::Again);
  EXPECT_EQ(r[Gpr::Rcx], 1u);
  EXPECT_EQ(run({0xf3, 0xaa}), EmulationProgress::Complete);
}

TEST_F(Emulate, ARepeatOfNothingDoesNothing) {
  r[Gpr::Rdi] = 0xdead;
  r[Gpr::Rcx] = u64{1} << 32;
  complete({0x67, 0xf3, 0xab});  // counts in ECX
  EXPECT_EQ(r[Gpr::Rdi], 0xdeadu);
}

TEST_F(Emulate, AFaultInARepeatKeepsWhatIsDone) {
  r[Gpr::Rdi] = kReadOnly - 6;
  r[Gpr::Rcx] = 5;
  EXPECT_EQ(run({0xf3, 0xab}).error(), (EmulationFault{14, 2, kReadOnly - 2}));
  EXPECT_EQ(r[Gpr::Rcx], 4u);
  EXPECT_EQ(r[Gpr::Rdi], kReadOnly - 2);
}

TEST_F(Emulate, ComparesStringsUntilTheyDiffer) {
  std::memcpy(&host.memory[0], "abcdeX", 6);
  std::memcpy(&host.memory[0x100], "abcdeY", 6);
  r[Gpr::Rsi] = kMemory;
  r[Gpr::Rdi] = kMemory + 0x100;
  r[Gpr::Rcx] = 10;
  complete({0xf3, 0xa6});
  EXPECT_EQ(r[Gpr::Rcx], 4u);
  EXPECT_EQ(r.rflags & 0x41, 1u);  // X is below Y
  r[Gpr::Rdi] = kMemory;
  r[Gpr::Rcx] = 10;
  r[Gpr::Rax] = 'd';
  complete({0xf2, 0xae});
  EXPECT_EQ(r[Gpr::Rcx], 6u);
  EXPECT_EQ(r.rflags & 0x40, 0x40u);
}

TEST_F(Emulate, LoadsStrings) {
  host.put<u16>(kMemory + 2, 0x7766);
  r[Gpr::Rsi] = kMemory + 2;
  r[Gpr::Rax] = ~u64{0};
  complete({0x66, 0xad});
  EXPECT_EQ(r[Gpr::Rax], 0xffff'ffff'ffff'7766u);
  EXPECT_EQ(r[Gpr::Rsi], kMemory + 4);
}

TEST_F(Emulate, PortsMoveTheAccumulatorAndStrings) {
  r[Gpr::Rdx] = 0xdead'03f8;
  r[Gpr::Rax] = ~u64{0};
  complete({0xec});
  EXPECT_EQ(r[Gpr::Rax], 0xffff'ffff'ffff'ff44u);
  complete({0xe5, 0x70});
  EXPECT_EQ(r[Gpr::Rax], 0x1122'3345u);
  complete({0x66, 0xef});
  EXPECT_EQ(host.outputs, std::vector<u32>{0x3345});
  EXPECT_EQ(host.ports, (std::vector<u16>{0x3f8, 0x70, 0x3f8}));
  r[Gpr::Rdi] = kMemory;
  r[Gpr::Rcx] = 2;
  complete({0xf3, 0x6d});
  EXPECT_EQ(host.at<u64>(kMemory), 0x1122'3347'1122'3346u);
  host.outputs.clear();
  r[Gpr::Rsi] = kMemory;
  r[Gpr::Rcx] = 2;
  complete({0xf3, 0x6f});
  EXPECT_EQ(host.outputs, (std::vector<u32>{0x1122'3346, 0x1122'3347}));
}

TEST_F(Emulate, NoInputIsLostInAFault) {
  r[Gpr::Rdi] = kReadOnly;
  EXPECT_EQ(run({0x6d}).error(), (EmulationFault{14, 2, kReadOnly}));
  EXPECT_TRUE(host.ports.empty());
}

TEST_F(Emulate, ControlRegistersAreNotForIt) { EXPECT_EQ(run({0x0f, 0x22, 0xc0}).error().vector, 6); }

#if defined(__x86_64__)

// ---- against the processor that runs the test ------------------------------------------------------------------------

/// One operation in all four sizes: memory operand a, other operand b. Flags go in and out.
struct Native {
  const char* name;
  Operation operation;
  u64 undefined;  ///< flags that the manual leaves undefined
  void (*run[4])(u64& a, u64& b, u64& flags);
};

// Below the stack pointer may be locals: the red zone.
#define AX_NATIVE(size_type, text)                                                                    \
  [](u64& a, u64& b, u64& flags) {                                                                    \
    size_type x = static_cast<size_type>(a), y = static_cast<size_type>(b);                           \
    asm("lea -128(%%rsp), %%rsp\n push %2\n popf\n " text "\n pushf\n pop %2\n lea 128(%%rsp), %%rsp" \
        : "+q"(x), "+q"(y), "+r"(flags)                                                               \
        :                                                                                             \
        : "cc", "memory");                                                                            \
    a = x;                                                                                            \
    b = y;                                                                                            \
  }
#define AX_SIZES(name, operands)                                                                              \
  {AX_NATIVE(u8, name "b " operands), AX_NATIVE(u16, name "w " operands), AX_NATIVE(u32, name "l " operands), \
   AX_NATIVE(u64, name "q " operands)}

const Native kNatives[] = {
    {"add", Operation::Add, 0, AX_SIZES("add", "%1, %0")},
    {"or", Operation::Or, 0x10, AX_SIZES("or", "%1, %0")},
    {"adc", Operation::Adc, 0, AX_SIZES("adc", "%1, %0")},
    {"sbb", Operation::Sbb, 0, AX_SIZES("sbb", "%1, %0")},
    {"and", Operation::And, 0x10, AX_SIZES("and", "%1, %0")},
    {"sub", Operation::Sub, 0, AX_SIZES("sub", "%1, %0")},
    {"xor", Operation::Xor, 0x10, AX_SIZES("xor", "%1, %0")},
    {"cmp", Operation::Cmp, 0, AX_SIZES("cmp", "%1, %0")},
    {"test", Operation::Test, 0x10, AX_SIZES("test", "%1, %0")},
    {"not", Operation::Not, 0, AX_SIZES("not", "%0")},
    {"neg", Operation::Neg, 0, AX_SIZES("neg", "%0")},
    {"inc", Operation::Inc, 0, AX_SIZES("inc", "%0")},
    {"dec", Operation::Dec, 0, AX_SIZES("dec", "%0")},
    {"xadd", Operation::Xadd, 0, AX_SIZES("xadd", "%1, %0")},
    {"xchg", Operation::Xchg, 0, AX_SIZES("xchg", "%1, %0")},
};

/// Values around every boundary, and random ones.
u64 interesting(std::mt19937_64& random) {
  constexpr u64 kEdges[] = {0,      1,           0x7f,        0x80,        0xff,         0x7fff,       0x8000,
                            0xffff, 0x7fff'ffff, 0x8000'0000, 0xffff'ffff, ~u64{0} >> 1, u64{1} << 63, ~u64{0}};
  return random() % 2 == 0 ? kEdges[random() % std::size(kEdges)] : random();
}

TEST_F(Emulate, ArithmeticAgreesWithThisProcessor) {
  std::mt19937_64 random(3);
  for (const Native& native : kNatives) {
    for (unsigned size_log = 0; size_log < 4; ++size_log) {
      const u8 size = static_cast<u8>(1 << size_log);
      for (unsigned round = 0; round < 200; ++round) {
        u64 a = interesting(random), b = interesting(random), flags = (random() & kArithmetic) | 2;
        Instruction instruction;
        instruction.operation = native.operation;
        const bool unary = native.operation >= Operation::Not && native.operation <= Operation::Dec;
        instruction.operands = unary ? Operands::Memory : Operands::MemoryRegister;
        instruction.operand_size = instruction.register_size = size;
        instruction.memory = {.base = 3, .address_size = 8};
        host.put<u64>(kMemory, a);
        r[Gpr::Rax] = b;
        r.rflags = flags;
        const u64 mask = size == 8 ? ~u64{0} : (u64{1} << 8 * size) - 1;
        ASSERT_TRUE(emulate(instruction, CpuMode::Code64, r, host));
        native.run[size_log](a, b, flags);
        ASSERT_EQ(host.at<u64>(kMemory) & mask, a & mask) << native.name << " " << int(size);
        ASSERT_EQ(r[Gpr::Rax] & mask, b & mask) << native.name << " " << int(size);
        ASSERT_EQ(r.rflags & kArithmetic & ~native.undefined, flags & kArithmetic & ~native.undefined)
            << native.name << " " << int(size);
      }
    }
  }
}
#endif

}  // namespace
}  // namespace hv
