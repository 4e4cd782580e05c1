// SHA-256 (FIPS 180-4, 6.2).
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "kernel/base/types.hpp"

namespace ax {

class Sha256 {
 public:
  using Digest = std::array<u8, 32>;

  void add(std::span<const std::byte> bytes);
  /// Of all that was added. Nothing may be added afterwards.
  Digest finish();
  /// Whether that is what 64 hexadecimal digits say.
  bool finish_is(std::string_view digits);

 private:
  static constexpr usize kBlock = 64;

  void process(const std::byte* block);

  std::array<u32, 8> state_{0x6a09'e667, 0xbb67'ae85, 0x3c6e'f372, 0xa54f'f53a, 0x510e'527f, 0x9b05'688c, 0x1f83'd9ab, 0x5be0'cd19};
  std::array<std::byte, kBlock> pending_{};
  u64 size_ = 0;  ///< bytes
};

}  // namespace ax
