// Random numbers for guests, as firmware gives them: TRNG 1.0 (Arm DEN 0098), as plain logic.
#pragma once

#include <array>
#include <span>

#include "kernel/base/types.hpp"

namespace hv {

using namespace ax;

/// Where the bits come from.
class EntropySource {
 public:
  /// Whether there is anything behind it at all.
  virtual bool present() = 0;
  /// False: it has nothing at the moment.
  virtual bool fill(std::span<u64> words) = 0;

 protected:
  ~EntropySource() = default;
};

/// Whether `function` belongs to this interface.
constexpr bool is_trng_call(u32 function) {
  constexpr u32 kFunction64 = 1u << 30, kFirst = 0x8400'0050, kLast = 0x8400'005f;
  return (function & ~kFunction64) >= kFirst && (function & ~kFunction64) <= kLast;
}

/// Answers a call with the caller's x0 and x1; what its x0 to x3 become. Without a source nothing is supported.
std::array<u64, 4> trng_call(EntropySource& source, u32 function, u64 x1);

/// ChaCha20 (RFC 8439) as a generator whose key is replaced by part of every block: what it has given out cannot be computed from
/// its state afterwards. Not locked: the owner serialises calls.
class RandomGenerator {
 public:
  static constexpr usize kSeedSize = 32;  ///< bytes

  /// Adds a seed, which is at least as long as the key. Fewer bytes are ignored.
  void seed(std::span<const std::byte> bytes);
  bool seeded() const { return seeded_; }
  /// Only when seeded.
  u64 next();

  /// One block of the cipher: `state` is constants, key, counter and nonce. RFC 8439 2.3.
  static std::array<u32, 16> block(const std::array<u32, 16>& state);

 private:
  static constexpr usize kKeyWords = 8;
  static constexpr usize kBlockWords = 16;

  void refill();

  std::array<u32, kKeyWords> key_{};
  std::array<u32, kBlockWords> block_{};
  usize used_ = kBlockWords;  ///< words of the block
  bool seeded_ = false;
};

}  // namespace hv
