#include "hypervisor/vcpu/aarch64/trng.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace hv {
namespace {

constexpr u64 kNotSupported = ~u64{0}, kInvalidParameters = ~u64{1}, kNoEntropy = ~u64{2};
constexpr u32 kVersion = 0x8400'0050, kFeatures = 0x8400'0051, kUuid = 0x8400'0052, kRandom32 = 0x8400'0053, kRandom64 = 0xc400'0053;

class AllOnes final : public EntropySource {
 public:
  bool present() override { return exists; }
  bool fill(std::span<u64> words) override {
    std::ranges::fill(words, ~u64{0});
    return !empty;
  }
  bool exists = true;
  bool empty = false;
};

using Registers = std::array<u64, 4>;

TEST(Trng, NamesItsCalls) {
  for (const u32 function : {kVersion, kFeatures, kUuid, kRandom32, kRandom64}) EXPECT_TRUE(is_trng_call(function));
  for (const u32 function : {0x8400'004fu, 0x8400'0060u, 0x8400'0000u, 0xc400'0003u}) EXPECT_FALSE(is_trng_call(function));
}

TEST(Trng, IsVersionOne) {
  AllOnes source;
  EXPECT_EQ(trng_call(source, kVersion, 0)[0], 0x1'0000u);
  EXPECT_NE(trng_call(source, kUuid, 0)[0], 0xffff'ffffu);
  for (const u32 function : {kVersion, kFeatures, kUuid, kRandom32, kRandom64})
    EXPECT_EQ(trng_call(source, kFeatures, function)[0], 0u) << std::hex << function;
  EXPECT_EQ(trng_call(source, kFeatures, 0x8400'0054)[0], kNotSupported);
  EXPECT_EQ(trng_call(source, 0xc400'0050, 0)[0], kNotSupported) << "the version has no 64-bit form";
}

TEST(Trng, GivesAsManyBitsAsAskedForAndZeros) {
  AllOnes source;
  constexpr u64 kAll = ~u64{0};
  EXPECT_EQ(trng_call(source, kRandom64, 192), (Registers{0, kAll, kAll, kAll}));
  EXPECT_EQ(trng_call(source, kRandom64, 65), (Registers{0, 0, 1, kAll}));
  EXPECT_EQ(trng_call(source, kRandom64, 1), (Registers{0, 0, 0, 1}));
  EXPECT_EQ(trng_call(source, kRandom32, 96), (Registers{0, 0xffff'ffff, 0xffff'ffff, 0xffff'ffff}));
  EXPECT_EQ(trng_call(source, kRandom32, 40), (Registers{0, 0, 0xff, 0xffff'ffff}));
}

TEST(Trng, RefusesImpossibleNumbersOfBits) {
  AllOnes source;
  EXPECT_EQ(trng_call(source, kRandom64, 0)[0], kInvalidParameters);
  EXPECT_EQ(trng_call(source, kRandom64, 193)[0], kInvalidParameters);
  EXPECT_EQ(trng_call(source, kRandom32, 97)[0], kInvalidParameters);
  EXPECT_EQ(trng_call(source, kRandom32, 0x1'0000'0001)[0], 0u) << "only 32 bits of the parameter count";
}

TEST(Trng, SaysWhenThereIsNothing) {
  AllOnes source;
  source.empty = true;
  EXPECT_EQ(trng_call(source, kRandom64, 64), (Registers{kNoEntropy, 0, 0, 0}));
  source.exists = false;
  for (const u32 function : {kVersion, kFeatures, kUuid, kRandom32, kRandom64}) EXPECT_EQ(trng_call(source, function, 1)[0], kNotSupported);
}

// RFC 8439 2.3.2.
TEST(RandomGenerator, IsChaCha20) {
  const std::array<u32, 16> state = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c,
                                     0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c, 0x00000001, 0x09000000, 0x4a000000, 0x00000000};
  const std::array<u32, 16> block = {0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
                                     0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9, 0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
  EXPECT_EQ(RandomGenerator::block(state), block);
}

std::vector<std::byte> seed_of(u8 value) { return std::vector<std::byte>(RandomGenerator::kSeedSize, std::byte{value}); }

TEST(RandomGenerator, DependsOnItsWholeSeed) {
  RandomGenerator a, b, c;
  a.seed(seed_of(1));
  b.seed(seed_of(1));
  auto other = seed_of(1);
  other.back() = std::byte{2};
  c.seed(other);
  std::set<u64> seen;
  for (int i = 0; i < 100; ++i) {
    const u64 value = a.next();
    EXPECT_EQ(value, b.next());
    EXPECT_NE(value, c.next());
    EXPECT_TRUE(seen.insert(value).second);
  }
}

TEST(RandomGenerator, IgnoresASeedThatIsTooShort) {
  RandomGenerator generator;
  const auto seed = seed_of(1);
  generator.seed(std::span(seed).first(RandomGenerator::kSeedSize - 1));
  EXPECT_FALSE(generator.seeded());
}

}  // namespace
}  // namespace hv
