#include "tools/xtask/image/signature.hpp"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace {

using Bytes = std::vector<unsigned char>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

// RFC 8032, 5.1.
constexpr size_t kKeySize = 32;
constexpr size_t kSignatureSize = 64;

std::string without_whitespace(std::string_view text) {
  std::string result(text);
  std::erase_if(result, [](unsigned char c) { return std::isspace(c) != 0; });
  return result;
}

/// Empty where it is no base64.
Bytes decode_base64(std::string_view text) {
  constexpr size_t kCharacters = 4;
  constexpr size_t kBytes = 3;
  const std::string plain = without_whitespace(text);
  if (plain.empty() || plain.size() % kCharacters != 0) {
    return {};
  }
  Bytes bytes(plain.size() / kCharacters * kBytes);
  const int size = EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(plain.data()), static_cast<int>(plain.size()));
  if (size < 0) {
    return {};
  }
  const auto padding = std::count(plain.end() - 2, plain.end(), '=');
  bytes.resize(static_cast<size_t>(size) - static_cast<size_t>(padding));
  return bytes;
}

std::string_view between_pem_lines(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN PUBLIC KEY-----";
  const size_t begin = text.find(kBegin);
  const size_t end = text.find("-----END");
  return begin == std::string_view::npos || end == std::string_view::npos
             ? text
             : text.substr(begin + kBegin.size(), end - begin - kBegin.size());
}

Key read_key(const std::string& text) {
  const Bytes bytes = decode_base64(between_pem_lines(text));
  Key key(nullptr, &EVP_PKEY_free);
  if (bytes.size() == kKeySize) {
    key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes.data(), bytes.size()));
  } else if (!bytes.empty()) {
    const unsigned char* at = bytes.data();
    key.reset(d2i_PUBKEY(nullptr, &at, static_cast<long>(bytes.size())));
  }
  if (key == nullptr || EVP_PKEY_base_id(key.get()) != EVP_PKEY_ED25519) {
    throw Failure(ExitCode::Usage, "public_key is no Ed25519 key: expected the line between BEGIN and END of a PEM file",
                  "openssl pkey -in registry-key.pem -pubout prints it");
  }
  return key;
}

}  // namespace

bool signature_fits(std::string_view content, std::string_view signature, const std::string& public_key) {
  const Key key = read_key(public_key);
  const Bytes raw = signature.size() == kSignatureSize ? Bytes(signature.begin(), signature.end()) : decode_base64(signature);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  return raw.size() == kSignatureSize && context != nullptr &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), raw.data(), raw.size(), reinterpret_cast<const unsigned char*>(content.data()),
                          content.size()) == 1;
}

}  // namespace ax::xtask
