// A bounded, repeatable stand-in for a fuzzer: good trees, damaged in many small ways.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/unit/fdt/trees.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace ax {
namespace {

using test::Blob;

constexpr u32 kInteresting[] = {0, 1, 2, 3, 4, 8, 9, 0xff, 0x7fff'ffff, 0x8000'0000, 0xffff'fff0, 0xffff'fffc, 0xffff'ffff};

void store(Blob& blob, usize offset, u32 value) {
  for (usize i = 0; i < 4 && offset + i < blob.size(); ++i) blob[offset + i] = static_cast<std::byte>(value >> (24 - 8 * i));
}

class Mutator {
 public:
  explicit Mutator(u32 seed) : random_(seed) {}

  Blob damage(Blob blob) {
    for (usize hits = 1 + below(4); hits > 0 && !blob.empty(); --hits) {
      switch (below(6)) {
        case 0: blob[below(blob.size())] = static_cast<std::byte>(below(256)); break;
        case 1: store(blob, align_down(below(blob.size()), 4), kInteresting[below(std::size(kInteresting))]); break;
        case 2: store(blob, align_down(below(blob.size()), 4), static_cast<u32>(below(blob.size()))); break;
        case 3: store(blob, 4 * below(10), static_cast<u32>(below(blob.size() + 8))); break;  // a header field
        case 4: copy_piece(blob); break;
        case 5: if (below(8) == 0) blob.resize(below(blob.size())); break;
      }
    }
    return blob;
  }

 private:
  // std::uniform_int_distribution differs between libraries; this does not.
  usize below(usize n) { return n == 0 ? 0 : random_() % n; }
  void copy_piece(Blob& blob) {
    const usize length = 4 * (1 + below(32));
    if (blob.size() <= length) return;
    const usize from = align_down(below(blob.size() - length), 4);
    const usize to = align_down(below(blob.size() - length), 4);
    std::memmove(blob.data() + to, blob.data() + from, length);
  }
  std::mt19937 random_;
};

void feed(const Blob& blob) { LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(blob.data()), blob.size()); }

class FdtMutation : public ::testing::TestWithParam<unsigned> {};

TEST_P(FdtMutation, DoesNoHarm) {
  constexpr unsigned kRounds = 400;
  test::VirtOptions options;
  options.gic_version = GetParam();
  options.ram = 1_GiB;
  const Blob seed = test::virt_tree(options);
  feed(seed);
  Mutator mutator(GetParam());
  for (unsigned round = 0; round < kRounds; ++round) feed(mutator.damage(seed));
}
INSTANTIATE_TEST_SUITE_P(Gic, FdtMutation, ::testing::Values(2u, 3u));

// A third of the cells for each value, so that it ends in seconds under the sanitizers too.
TEST(FdtMutation, ASingleCellCanBeAnything) {
  constexpr u32 kValues[] = {0, 2, 0xffff'ffff};
  const Blob seed = test::virt_tree({.gic_version = 3, .cpus = 1, .ram = 1_GiB});
  for (usize cell = 0; cell < seed.size() / 4; ++cell) {
    Blob blob = seed;
    store(blob, 4 * cell, kValues[cell % std::size(kValues)]);
    feed(blob);
  }
}

}  // namespace
}  // namespace ax
