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

/// One argument. Its kind says how it was passed.
void format_one(Sink& sink, Specification spec, ArgumentKind kind, std::va_list& arguments) {
  if (kind == ArgumentKind::Text) {
    const PassedText text = va_arg(arguments, PassedText);
    return format_text(sink, spec, {text.data, text.size});
  }
  const u64 bits = va_arg(arguments, u64);
  switch (kind) {
    case ArgumentKind::Bool: return format_text(sink, spec, bits ? "true" : "false");
    case ArgumentKind::Failure: return format_text(sink, spec, describe(static_cast<Error>(bits)));
    case ArgumentKind::Char: {
      const char c = static_cast<char>(bits);
      return format_text(sink, spec, {&c, 1});
    }
    case ArgumentKind::Signed: {
      const bool negative = static_cast<i64>(bits) < 0;
      return format_number(sink, spec, negative ? 0 - bits : bits, negative);
    }
    case ArgumentKind::Pointer: spec.hexadecimal = spec.prefix = true; [[fallthrough]];
    default: return format_number(sink, spec, bits, false);
  }
}

// The format string has been checked at compile time, so this parser trusts it.
const char* parse_specification(const char* text, Specification& spec) {
  if (*text == ':') {
    ++text;
    if (*text == '#') spec.prefix = true, ++text;
    if (*text == '0') spec.zeros = true;
    for (; *text >= '0' && *text <= '9'; ++text) spec.width = spec.width * 10 + static_cast<usize>(*text - '0');
    if (*text == 'x') spec.hexadecimal = true, ++text;
  }
  return text;  // at the closing brace
}

}  // namespace

void format(Sink& sink, const char* text, u64 kinds, std::va_list passed) {
  std::va_list arguments;
  va_copy(arguments, passed);
  const char* literal = text;
  const auto write_literal = [&](const char* end) { sink.write({literal, static_cast<usize>(end - literal)}); };
  for (; *text != '\0'; ++text) {
    const char c = *text;
    if (c != '{' && c != '}') continue;
    write_literal(text);
    ++text;
    if (*text == c) {
      literal = text;  // a doubled brace: the second one is printed with the text that follows
      continue;
    }
    Specification spec;
    text = parse_specification(text, spec);
    kinds >>= kBitsPerKind;
    format_one(sink, spec, static_cast<ArgumentKind>(kinds & ((1u << kBitsPerKind) - 1)), arguments);
    literal = text + 1;
  }
  write_literal(text);
  va_end(arguments);
}

void print(Sink& sink, const char* text, u64 kinds, ...) {
  std::va_list arguments;
  va_start(arguments, kinds);
  format(sink, text, kinds, arguments);
  va_end(arguments);
}

}  // namespace detail
}  // namespace ax
