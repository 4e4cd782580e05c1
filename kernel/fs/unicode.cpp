#include "kernel/fs/unicode.hpp"

namespace ax::fs {
namespace {

constexpr char32_t kHigh = 0xd800, kLow = 0xdc00, kSurrogatesEnd = 0xe000, kSupplement = 0x1'0000, kEnd = 0x11'0000;

bool append_utf8(char32_t code, Name& out) {
  const auto put = [&](char32_t byte) { return out.push_back(static_cast<char>(byte)).has_value(); };
  const auto tail = [&](unsigned shift) { return put(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) return put(0xc0 | code >> 6) && tail(0);
  if (code < kSupplement) return put(0xe0 | code >> 12) && tail(6) && tail(0);
  return put(0xf0 | code >> 18) && tail(12) && tail(6) && tail(0);
}

/// Takes one character off the front; kEnd if there is none.
char32_t take_utf8(std::string_view& text) {
  const u8 lead = static_cast<u8>(text.front());
  const unsigned more = lead < 0x80 ? 0 : lead >> 5 == 6 ? 1 : lead >> 4 == 14 ? 2 : lead >> 3 == 30 ? 3 : 4;
  if (more == 4 || text.size() <= more) return kEnd;
  char32_t code = more == 0 ? lead : lead & (0x3fu >> more);
  for (unsigned i = 1; i <= more; ++i) {
    const u8 byte = static_cast<u8>(text[i]);
    if (byte >> 6 != 2) return kEnd;
    code = code << 6 | (byte & 0x3f);
  }
  constexpr char32_t kShortest[] = {0, 0x80, 0x800, kSupplement};
  text.remove_prefix(more + 1);
  return code < kShortest[more] || (code >= kHigh && code < kSurrogatesEnd) ? kEnd : code;
}

}  // namespace

bool utf16_to_utf8(std::span<const char16_t> units, Name& out) {
  out.clear();
  for (usize i = 0; i < units.size(); ++i) {
    char32_t code = units[i];
    if (code < ' ' || code == '/') return false;
    if (code >= kHigh && code < kSurrogatesEnd) {
      if (code >= kLow || i + 1 == units.size() || units[i + 1] < kLow || units[i + 1] >= kSurrogatesEnd) return false;
      code = kSupplement + ((code - kHigh) << 10) + (units[++i] - kLow);
    }
    if (!append_utf8(code, out)) return false;
  }
  return !out.empty() && text(out) != "." && text(out) != "..";
}

bool utf8_to_utf16(std::string_view text, StaticVector<char16_t, kMaxName>& out) {
  while (!text.empty()) {
    const char32_t code = take_utf8(text);
    if (code >= kEnd) return false;
    if (code >= kSupplement) {
      if (!out.push_back(static_cast<char16_t>(kHigh + ((code - kSupplement) >> 10)))) return false;
      if (!out.push_back(static_cast<char16_t>(kLow + ((code - kSupplement) & 0x3ff)))) return false;
    } else if (!out.push_back(static_cast<char16_t>(code))) {
      return false;
    }
  }
  return true;
}

}  // namespace ax::fs
