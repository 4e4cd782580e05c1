// A bounded, repeatable stand-in for a fuzzer: every opcode with every ModRM, and random bytes behind prefixes.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

TEST(DecoderRandom, EveryOpcodeAndModRm) {
  for (bool escape : {false, true}) {
    for (unsigned opcode_and_modrm = 0; opcode_and_modrm < 0x10000; ++opcode_and_modrm) {
      Bytes bytes;
      if (escape) bytes.push_back(0x0f);
      bytes.push_back(opcode_and_modrm >> 8);
      bytes.push_back(opcode_and_modrm & 0xff);
      bytes.resize(16, 0x25);  // as SIB: no index
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
  }
}

TEST(DecoderRandom, RandomBytesDoNoHarm) {
  constexpr std::uint8_t kPrefixes[] = {0x26, 0x2e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x40, 0x48, 0x4f};
  std::mt19937 random(1);
  for (unsigned round = 0; round < 100'000; ++round) {
    Bytes bytes;
    for (unsigned n = random() % 14; n > 0 && random() % 4 != 0; --n) bytes.push_back(kPrefixes[random() % std::size(kPrefixes)]);
    if (random() % 3 == 0) bytes.push_back(0x0f);
    const std::size_t size = bytes.size() + random() % 12;
    while (bytes.size() < size) bytes.push_back(static_cast<std::uint8_t>(random()));
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
}

}  // namespace
