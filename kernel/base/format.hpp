// Type-safe text formatting into a sink, without allocation: print(sink, "at {:#x}", address).
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>

#include "kernel/base/result.hpp"
#include "kernel/base/types.hpp"

namespace ax {

/// Where formatted text goes: a console, a ring, a buffer.
class Sink {
 public:
  virtual void write(std::string_view text) = 0;

 protected:
  ~Sink() = default;
};

/// A sink over a caller's buffer; text that does not fit is dropped and `truncated()` says so.
class BufferSink final : public Sink {
 public:
  constexpr BufferSink(char* buffer, usize size) : buffer_(buffer), capacity_(size) {}
  void write(std::string_view text) override;
  std::string_view view() const { return {buffer_, size_}; }
  bool truncated() const { return truncated_; }

 private:
  char* buffer_;
  usize capacity_;
  usize size_ = 0;
  bool truncated_ = false;
};

namespace detail {

struct FormatArgument {
  enum class Kind : u8 { Unsigned, Signed, Char, Bool, Text, Pointer };
  Kind kind;
  u64 bits;
  usize length;

  template <class T>
  static constexpr FormatArgument of(const T& v) {
    if constexpr (std::same_as<T, bool>) return {Kind::Bool, v, 0};
    else if constexpr (std::same_as<T, char>) return {Kind::Char, static_cast<u64>(v), 0};
    else if constexpr (std::same_as<T, Error>) return of(describe(v));
    else if constexpr (std::is_enum_v<T>) return of(static_cast<std::underlying_type_t<T>>(v));
    else if constexpr (std::signed_integral<T>) return {Kind::Signed, static_cast<u64>(static_cast<i64>(v)), 0};
    else if constexpr (std::unsigned_integral<T>) return {Kind::Unsigned, v, 0};
    else if constexpr (std::convertible_to<const T&, std::string_view>) {
      std::string_view s = v;
      return {Kind::Text, reinterpret_cast<u64>(s.data()), s.size()};
    } else if constexpr (requires { { v.value() } -> std::same_as<u64>; }) return {Kind::Pointer, v.value(), 0};
    else if constexpr (std::is_pointer_v<T>) return {Kind::Pointer, reinterpret_cast<u64>(v), 0};
    else static_assert(!sizeof(T), "this type cannot be formatted");
  }
};

void format(Sink& sink, std::string_view text, const FormatArgument* arguments, usize count);

// Declared only: a call in a constant expression is the compile-time error message.
void format_string_has_wrong_number_of_placeholders();
void format_string_has_unknown_specification();

}  // namespace detail

/// A format string checked at compile time against its arguments. `{}` prints the natural form, `{:x}` hexadecimal,
/// `{:#x}` with 0x, `{:N}` pads to N columns (text left, numbers right), `{:0N}`/`{:0Nx}` with zeros; `{{` and `}}` print braces.
template <class... Args>
class FormatString {
 public:
  template <class S>
    requires std::convertible_to<const S&, std::string_view>
  consteval FormatString(const S& s) : text_(s) {
    usize placeholders = 0;
    for (usize i = 0; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c != '{' && c != '}') continue;
      if (i + 1 < text_.size() && text_[i + 1] == c) { ++i; continue; }
      if (c == '}') detail::format_string_has_unknown_specification();
      ++placeholders;
      ++i;
      if (i < text_.size() && text_[i] == ':') {
        ++i;
        if (i < text_.size() && text_[i] == '#') ++i;
        while (i < text_.size() && text_[i] >= '0' && text_[i] <= '9') ++i;
        if (i < text_.size() && text_[i] == 'x') ++i;
      }
      if (i >= text_.size() || text_[i] != '}') detail::format_string_has_unknown_specification();
    }
    if (placeholders != sizeof...(Args)) detail::format_string_has_wrong_number_of_placeholders();
  }
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

template <class... Args>
void print(Sink& sink, FormatString<std::type_identity_t<Args>...> format, const Args&... args) {
  const detail::FormatArgument arguments[] = {detail::FormatArgument::of(args)..., {}};
  detail::format(sink, format.text(), arguments, sizeof...(Args));
}

}  // namespace ax
