#include "hypervisor/vcpu/aarch64/trng.hpp"

#include <bit>

namespace hv {
namespace {

using Registers = std::array<u64, 4>;

// DEN 0098 2.1, 2.2.
constexpr u32 kFunction64 = 1u << 30;
constexpr u32 kVersion = 0x8400'0050, kFeatures = 0x8400'0051, kUuid = 0x8400'0052, kRandom = 0x8400'0053;
constexpr u64 kVersionValue = 0x1'0000;
constexpr i64 kNotSupported = -1, kInvalidParameters = -2, kNoEntropy = -3;

constexpr Registers error(i64 status) { return {static_cast<u64>(status), 0, 0, 0}; }

bool is_implemented(u32 function) {
  return (function >= kVersion && function <= kRandom) || function == (kRandom | kFunction64);
}

// The answer lies in x1 to x3, the least significant bits in x3; in each 32 bits of them for the 32-bit call.
Registers random(EntropySource& source, bool wide, u64 bits) {
  constexpr unsigned kWords = 3;
  const unsigned width = wide ? 64 : 32;
  if (bits == 0 || bits > kWords * width) return error(kInvalidParameters);
  std::array<u64, kWords> words{};
  if (!source.fill(words)) return error(kNoEntropy);
  Registers result{};
  for (unsigned i = 0; i < kWords && bits != 0; ++i) {
    const u64 taken = bits < width ? bits : width;
    result[kWords - i] = words[i] & ~u64{0} >> (64 - taken);
    bits -= taken;
  }
  return result;
}

void quarter_round(std::array<u32, 16>& x, usize a, usize b, usize c, usize d) {
  constexpr int rotations[] = {16, 12, 8, 7};
  for (unsigned half = 0; half < 4; half += 2) {
    x[a] += x[b];
    x[d] = std::rotl(x[d] ^ x[a], rotations[half]);
    x[c] += x[d];
    x[b] = std::rotl(x[b] ^ x[c], rotations[half + 1]);
  }
}

}  // namespace

std::array<u64, 4> trng_call(EntropySource& source, u32 function, u64 x1) {
  if (!is_implemented(function) || !source.present()) return error(kNotSupported);
  switch (function & ~kFunction64) {
    case kVersion: return {kVersionValue};
    case kFeatures: return error(is_implemented(static_cast<u32>(x1)) ? 0 : kNotSupported);
    case kUuid: return {0x6a1c'9e47, 0x4d02'83b5, 0x5f0e'71a8, 0x2c96'd3e4};  // of this implementation
    default: return random(source, (function & kFunction64) != 0, (function & kFunction64) != 0 ? x1 : static_cast<u32>(x1));
  }
}

// RFC 8439 2.3.1: each pair of lines is a column round and a diagonal round.
std::array<u32, 16> RandomGenerator::block(const std::array<u32, 16>& state) {
  constexpr unsigned kDoubleRounds = 10;
  std::array<u32, 16> x = state;
  for (unsigned round = 0; round < kDoubleRounds; ++round) {
    for (usize i = 0; i < 4; ++i) quarter_round(x, i, 4 + i, 8 + i, 12 + i);
    for (usize i = 0; i < 4; ++i) quarter_round(x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
  }
  for (usize i = 0; i < x.size(); ++i) x[i] += state[i];
  return x;
}

void RandomGenerator::seed(std::span<const std::byte> bytes) {
  if (bytes.size() < kSeedSize) return;
  for (usize i = 0; i < bytes.size(); ++i) {
    const usize at = i % kSeedSize;
    key_[at / sizeof(u32)] ^= std::to_integer<u32>(bytes[i]) << at % sizeof(u32) * 8;
    if (at == kSeedSize - 1) refill();
  }
  seeded_ = true;
  used_ = kBlockWords;
}

void RandomGenerator::refill() {
  std::array<u32, kBlockWords> state = {0x6170'7865, 0x3320'646e, 0x7962'2d32, 0x6b20'6574};  // "expand 32-byte k"
  for (usize i = 0; i < kKeyWords; ++i) state[4 + i] = key_[i];
  block_ = block(state);
  for (usize i = 0; i < kKeyWords; ++i) key_[i] = block_[i];
  used_ = kKeyWords;
}

u64 RandomGenerator::next() {
  if (used_ == kBlockWords) refill();
  const u64 value = u64{block_[used_]} << 32 | block_[used_ + 1];
  block_[used_] = block_[used_ + 1] = 0;
  used_ += 2;
  return value;
}

}  // namespace hv
