// CRC-32 as Ethernet, GPT and gzip have it (ISO-HDLC), without a table: for headers.
#pragma once

#include <cstddef>
#include <span>

#include "kernel/base/types.hpp"

namespace ax {

class Crc32 {
 public:
  constexpr void add(std::span<const std::byte> bytes) {
    constexpr u32 kPolynomial = 0xedb8'8320;  // reflected
    for (const std::byte byte : bytes) {
      state_ ^= static_cast<u32>(byte);
      for (unsigned bit = 0; bit < 8; ++bit) state_ = state_ >> 1 ^ (kPolynomial & -(state_ & 1));
    }
  }
  constexpr u32 value() const { return ~state_; }

 private:
  u32 state_ = ~u32{0};
};

}  // namespace ax
