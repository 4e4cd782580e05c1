#include "hypervisor/vcpu/x86_64/decoder.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace hv {
namespace {

std::expected<Instruction, DecodeError> decode64(std::initializer_list<u8> bytes) {
  return decode(std::span(bytes.begin(), bytes.size()), CpuMode::Code64);
}

TEST(Decoder, ReadsAnApicAccessOfLinux) {
  const auto i = decode64({0x8b, 0x04, 0x25, 0x20, 0xc0, 0x5f, 0xff, 0xcc});  // mov eax, [0xffffffffff5fc020]
  ASSERT_TRUE(i);
  EXPECT_EQ(i->operation, Operation::Mov);
  EXPECT_EQ(i->operands, Operands::RegisterMemory);
  EXPECT_EQ(i->length, 7);
  EXPECT_EQ(i->memory.displacement, static_cast<i64>(0xffff'ffff'ff5f'c020));
}

TEST(Decoder, OnlyTheRexBeforeTheOpcodeCounts) {
  EXPECT_EQ(decode64({0x48, 0x66, 0x89, 0x08})->operand_size, 2);
  EXPECT_EQ(decode64({0x48, 0x40, 0x89, 0x08})->operand_size, 4);
  EXPECT_EQ(decode64({0x66, 0x48, 0x89, 0x08})->operand_size, 8);
}

TEST(Decoder, LongModeIgnoresOldSegmentOverrides) {
  EXPECT_EQ(decode64({0x2e, 0x89, 0x08})->memory.segment, Segment::Ds);
  EXPECT_EQ(decode64({0x65, 0x2e, 0x89, 0x08})->memory.segment, Segment::Gs);
  EXPECT_EQ(decode64({0x64, 0x65, 0x89, 0x08})->memory.segment, Segment::Gs);
}

TEST(Decoder, LockNeedsAReadModifyWrite) {
  EXPECT_TRUE(decode64({0xf0, 0x01, 0x08})->lock);
  EXPECT_EQ(decode64({0xf0, 0x03, 0x08}).error(), DecodeError::Invalid);
  EXPECT_EQ(decode64({0xf0, 0x89, 0x08}).error(), DecodeError::Invalid);
  EXPECT_EQ(decode64({0xf0, 0x39, 0x08}).error(), DecodeError::Invalid);
  EXPECT_EQ(decode64({0xf0, 0x0f, 0xa3, 0x08}).error(), DecodeError::Invalid);
}

TEST(Decoder, RegisterFormsAreUnsupported) {
  EXPECT_EQ(decode64({0x89, 0xc8}).error(), DecodeError::Unsupported);
  EXPECT_EQ(decode64({0x0f, 0xb6, 0xc0}).error(), DecodeError::Unsupported);
}

TEST(Decoder, OtherInstructionsAreUnsupported) {
  EXPECT_EQ(decode64({0x90}).error(), DecodeError::Unsupported);
  EXPECT_EQ(decode64({0x0f, 0x01, 0xd9}).error(), DecodeError::Unsupported);
  EXPECT_EQ(decode64({0xff, 0x10}).error(), DecodeError::Unsupported);  // call [rax]
  EXPECT_EQ(decode64({0xc7, 0x08, 0, 0, 0, 0}).error(), DecodeError::Unsupported);
  const u8 arpl[] = {0x63, 0x08};
  EXPECT_EQ(decode(arpl, CpuMode::Code32).error(), DecodeError::Unsupported);
}

TEST(Decoder, FifteenBytesAreTheLimit) {
  std::vector<u8> bytes(13, 0x66);
  bytes.push_back(0x89);
  bytes.push_back(0x08);
  ASSERT_TRUE(decode(bytes, CpuMode::Code64));
  EXPECT_EQ(decode(bytes, CpuMode::Code64)->length, 15);
  bytes.insert(bytes.begin(), 0x66);
  EXPECT_EQ(decode(bytes, CpuMode::Code64).error(), DecodeError::TooLong);
  EXPECT_EQ(decode(std::vector<u8>(64, 0x66), CpuMode::Code64).error(), DecodeError::TooLong);
  EXPECT_EQ(decode(std::vector<u8>(14, 0x66), CpuMode::Code64).error(), DecodeError::Truncated);
  EXPECT_EQ(decode({}, CpuMode::Code64).error(), DecodeError::Truncated);
}

TEST(DecodeCache, AnswersAsTheDecoder) {
  DecodeCache cache;
  std::mt19937 random(6);
  unsigned decoded = 0;
  for (unsigned round = 0; round < 20'000; ++round) {
    std::array<u8, kMaxInstructionLength> bytes{};
    bytes[0] = static_cast<u8>(0x88 + random() % 4);  // MOV in many forms, so that entries are hit and replaced
    bytes[1] = static_cast<u8>(random() % 8);
    bytes[2] = static_cast<u8>(random() % 2);
    const CpuMode mode = static_cast<CpuMode>(random() % 3);
    const auto answer = cache.decode(random() % 16, bytes, mode);
    ASSERT_EQ(answer, decode(bytes, mode));
    decoded += answer.has_value();
  }
  EXPECT_GT(decoded, 10'000u);
}

TEST(DecodeCache, ShortBytesAreNotTakenForLongOnes) {
  DecodeCache cache;
  std::array<u8, kMaxInstructionLength> bytes{0x8b, 0x04, 0x25, 0x20, 0xc0, 0x5f, 0xff};
  ASSERT_TRUE(cache.decode(0, bytes, CpuMode::Code64));
  EXPECT_EQ(cache.decode(0, std::span(bytes).first(3), CpuMode::Code64).error(), DecodeError::Truncated);
  EXPECT_EQ(cache.decode(0, bytes, CpuMode::Code16)->length, 2);
}

TEST(Decoder, NamesControlRegisters) {
  const auto i = decode64({0x44, 0x0f, 0x22, 0xc3});  // mov cr8, rbx
  ASSERT_TRUE(i);
  EXPECT_EQ(i->operation, Operation::MovToControl);
  EXPECT_EQ(i->immediate, 8u);
  EXPECT_EQ(i->reg, 3);
  EXPECT_EQ(decode64({0x0f, 0x06})->operation, Operation::Clts);
  EXPECT_EQ(decode64({0x0f, 0x08})->operation, Operation::InvalidateCaches);
  EXPECT_EQ(decode64({0xf3, 0x0f, 0x09})->length, 3);
}

}  // namespace
}  // namespace hv
