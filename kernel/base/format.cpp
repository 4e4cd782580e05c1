#include "kernel/base/format.hpp"

namespace ax {

void BufferSink::write(std::string_view text) {
  for (char c : text) {
    if (size_ == capacity_) {
      truncated_ = true;
      return;
    }
    buffer_[size_++] = c;
  }
}

namespace detail {
namespace {

struct Specification {
  bool hexadecimal = false;
  bool prefix = false;
  bool zeros = false;
  usize width = 0;
};

void pad(Sink& sink, char fill, usize width, usize used) {
  for (; used < width; ++used) sink.write({&fill, 1});
}

void format_number(Sink& sink, const Specification& spec, u64 magnitude, bool negative) {
  char digits[20];
  usize n = 0;
  const u64 base = spec.hexadecimal ? 16 : 10;
  do {
    digits[sizeof digits - ++n] = "0123456789abcdef"[magnitude % base];
    magnitude /= base;
  } while (magnitude != 0);

  const std::string_view sign = negative ? "-" : "";
  const std::string_view prefix = spec.prefix ? "0x" : "";
  const usize used = sign.size() + prefix.size() + n;
  if (!spec.zeros) pad(sink, ' ', spec.width, used);
  sink.write(sign);
  sink.write(prefix);
  if (spec.zeros) pad(sink, '0', spec.width, used);
  sink.write({digits + sizeof digits - n, n});
}

void format_text(Sink& sink, const Specification& spec, std::string_view text) {
  sink.write(text);
  pad(sink, ' ', spec.width, text.size());
}

void format_one(Sink& sink, Specification spec, const FormatArgument& a) {
  using Kind = FormatArgument::Kind;
  switch (a.kind) {
    case Kind::Text: return format_text(sink, spec, {reinterpret_cast<const char*>(a.bits), a.length});
    case Kind::Bool: return format_text(sink, spec, a.bits ? "true" : "false");
    case Kind::Char: {
      const char c = static_cast<char>(a.bits);
      return format_text(sink, spec, {&c, 1});
    }
    case Kind::Pointer:
      spec.hexadecimal = spec.prefix = true;
      return format_number(sink, spec, a.bits, false);
    case Kind::Unsigned: return format_number(sink, spec, a.bits, false);
    case Kind::Signed: {
      const bool negative = static_cast<i64>(a.bits) < 0;
      return format_number(sink, spec, negative ? 0 - a.bits : a.bits, negative);
    }
  }
}

// The format string has been checked at compile time, so this parser trusts it.
usize parse_specification(std::string_view text, usize i, Specification& spec) {
  if (text[i] == ':') {
    ++i;
    if (text[i] == '#') spec.prefix = true, ++i;
    if (text[i] == '0') spec.zeros = true;
    for (; text[i] >= '0' && text[i] <= '9'; ++i) spec.width = spec.width * 10 + static_cast<usize>(text[i] - '0');
    if (text[i] == 'x') spec.hexadecimal = true, ++i;
  }
  return i;  // at the closing brace
}

}  // namespace

void format(Sink& sink, std::string_view text, const FormatArgument* arguments, usize count) {
  usize next = 0;
  usize literal = 0;
  for (usize i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '{' && c != '}') continue;
    sink.write(text.substr(literal, i - literal));
    ++i;
    if (text[i] == c) {
      literal = i;  // a doubled brace: the second one is printed with the text that follows
      continue;
    }
    Specification spec;
    i = parse_specification(text, i, spec);
    if (next < count) format_one(sink, spec, arguments[next++]);
    literal = i + 1;
  }
  sink.write(text.substr(literal));
}

}  // namespace detail
}  // namespace ax
