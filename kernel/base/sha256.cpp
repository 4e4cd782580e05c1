#include "kernel/base/sha256.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace ax {
namespace {

constexpr u32 kRounds[64] = {
    0x428a'2f98, 0x7137'4491, 0xb5c0'fbcf, 0xe9b5'dba5, 0x3956'c25b, 0x59f1'11f1, 0x923f'82a4, 0xab1c'5ed5, 0xd807'aa98, 0x1283'5b01, 0x2431'85be,
    0x550c'7dc3, 0x72be'5d74, 0x80de'b1fe, 0x9bdc'06a7, 0xc19b'f174, 0xe49b'69c1, 0xefbe'4786, 0x0fc1'9dc6, 0x240c'a1cc, 0x2de9'2c6f, 0x4a74'84aa,
    0x5cb0'a9dc, 0x76f9'88da, 0x983e'5152, 0xa831'c66d, 0xb003'27c8, 0xbf59'7fc7, 0xc6e0'0bf3, 0xd5a7'9147, 0x06ca'6351, 0x1429'2967, 0x27b7'0a85,
    0x2e1b'2138, 0x4d2c'6dfc, 0x5338'0d13, 0x650a'7354, 0x766a'0abb, 0x81c2'c92e, 0x9272'2c85, 0xa2bf'e8a1, 0xa81a'664b, 0xc24b'8b70, 0xc76c'51a3,
    0xd192'e819, 0xd699'0624, 0xf40e'3585, 0x106a'a070, 0x19a4'c116, 0x1e37'6c08, 0x2748'774c, 0x34b0'bcb5, 0x391c'0cb3, 0x4ed8'aa4a, 0x5b9c'ca4f,
    0x682e'6ff3, 0x748f'82ee, 0x78a5'636f, 0x84c8'7814, 0x8cc7'0208, 0x90be'fffa, 0xa450'6ceb, 0xbef9'a3f7, 0xc671'78f2,
};

}  // namespace

void Sha256::process(const std::byte* block) {
  u32 w[64];
  for (usize i = 0; i < 16; ++i) {
    std::memcpy(&w[i], block + 4 * i, sizeof w[i]);
    w[i] = __builtin_bswap32(w[i]);
  }
  for (usize i = 16; i < 64; ++i) {
    const u32 a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
  }
  auto s = state_;
  for (usize i = 0; i < 64; ++i) {
    const u32 e = s[4], a = s[0];
    const u32 t1 = s[7] + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + kRounds[i] + w[i];
    const u32 t2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
    s = {t1 + t2, s[0], s[1], s[2], s[3] + t1, s[4], s[5], s[6]};
  }
  for (usize i = 0; i < s.size(); ++i) state_[i] += s[i];
}

void Sha256::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const usize used = size_ % kBlock, step = std::min(bytes.size(), kBlock - used);
    if (step == kBlock) {
      process(bytes.data());
    } else {
      std::memcpy(pending_.data() + used, bytes.data(), step);
      if (used + step == kBlock) process(pending_.data());
    }
    size_ += step;
    bytes = bytes.subspan(step);
  }
}

Sha256::Digest Sha256::finish() {
  const u64 bits = __builtin_bswap64(size_ * 8);
  constexpr std::byte kFirst[] = {std::byte{0x80}}, kZero[] = {std::byte{}};
  add(kFirst);
  while (size_ % kBlock != kBlock - sizeof bits) add(kZero);
  add(std::as_bytes(std::span(&bits, 1)));
  Digest digest;
  for (usize i = 0; i < digest.size(); ++i) digest[i] = static_cast<u8>(state_[i / 4] >> (24 - i % 4 * 8));
  return digest;
}

bool Sha256::finish_is(std::string_view digits) {
  const Digest digest = finish();
  if (digits.size() != 2 * digest.size()) return false;
  for (usize i = 0; i < digits.size(); ++i) {
    const char digit = "0123456789abcdef"[digest[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    if ((digits[i] >= 'A' && digits[i] <= 'F' ? static_cast<char>(digits[i] | 0x20) : digits[i]) != digit) return false;
  }
  return true;
}

}  // namespace ax
