#include "kernel/base/sha256.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ax {
namespace {

std::string digest_of(std::string_view text, usize piece) {
  Sha256 hash;
  for (usize at = 0; at < text.size(); at += piece) hash.add(std::as_bytes(std::span(text.substr(at, piece))));
  std::string out;
  for (const u8 byte : hash.finish()) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    out += digits;
  }
  return out;
}

// The examples that NIST publishes for FIPS 180-4.
TEST(Sha256, AgreesWithTheStandardsExamples) {
  EXPECT_EQ(digest_of("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest_of("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(digest_of(std::string(1'000'000, 'a'), 1'000'000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotMindInWhichPiecesItIsFed) {
  const std::string text(1'000, 'x');
  for (const usize piece : {1u, 7u, 63u, 64u, 65u, 128u}) EXPECT_EQ(digest_of(text, piece), digest_of(text, text.size())) << piece;
}

TEST(Sha256, ComparesWithDigits) {
  const auto is = [](std::string_view digits) { return Sha256().finish_is(digits); };
  EXPECT_TRUE(is("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
  EXPECT_TRUE(is("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"));
  EXPECT_FALSE(is("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b854"));
  EXPECT_FALSE(is("e3b0"));
}

}  // namespace
}  // namespace ax
