// Type-safe text formatting into a sink, without allocation: print(sink, "at {:#x}", address).
#pragma once

#include <concepts>
#include <cstdarg>
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

/// What one argument is. A call passes the kinds of all its arguments in one word, four bits each and the first lowest, and
/// the arguments themselves as C variadic ones, so that they travel in registers: there are many calls, and one formatter.
enum class ArgumentKind : u8 { None, Unsigned, Signed, Char, Bool, Text, Pointer, Failure };
inline constexpr unsigned kBitsPerKind = 4;
inline constexpr usize kMaxArguments = 64 / kBitsPerKind - 1;  ///< the lowest place is left for the caller's own use

template <class T>
constexpr ArgumentKind kind_of() {
  using enum ArgumentKind;
  if constexpr (std::same_as<T, bool>) return Bool;
  else if constexpr (std::same_as<T, char>) return Char;
  else if constexpr (std::same_as<T, Error>) return Failure;
  else if constexpr (std::is_enum_v<T>) return kind_of<std::underlying_type_t<T>>();
  else if constexpr (std::signed_integral<T>) return Signed;
  else if constexpr (std::unsigned_integral<T>) return Unsigned;
  else if constexpr (std::convertible_to<const T&, std::string_view>) return Text;
  else if constexpr (requires(const T& v) { { v.value() } -> std::same_as<u64>; } || std::is_pointer_v<T>) return Pointer;
  else static_assert(!sizeof(T), "this type cannot be formatted");
}

/// The kinds of `Args`, above the caller's own `lowest`.
template <class... Args>
constexpr u64 kinds_of(u64 lowest = 0) {
  static_assert(sizeof...(Args) <= kMaxArguments);
  u64 kinds = lowest;
  unsigned shift = 0;
  ((kinds |= static_cast<u64>(kind_of<Args>()) << (shift += kBitsPerKind)), ...);
  return kinds;
}

/// Text on its way through variadic arguments, which take plain structures only.
struct PassedText {
  const char* data;
  usize size;
};

/// The form in which an argument is passed: text as PassedText, all else as one word.
template <class T>
[[gnu::always_inline]] inline auto passed(const T& v) {
  if constexpr (kind_of<T>() == ArgumentKind::Text) {
    const std::string_view text = v;
    return PassedText{text.data(), text.size()};
  } else if constexpr (kind_of<T>() == ArgumentKind::Signed) return static_cast<u64>(static_cast<i64>(v));
  else if constexpr (std::is_pointer_v<T>) return reinterpret_cast<u64>(v);
  else if constexpr (requires { v.value(); }) return static_cast<u64>(v.value());
  else return static_cast<u64>(v);
}

/// Formats `text`, whose arguments follow in `arguments` as `kinds` says.
void format(Sink& sink, const char* text, u64 kinds, std::va_list arguments);
[[gnu::cold]] void print(Sink& sink, const char* text, u64 kinds, ...);

// Declared only: a call in a constant expression is the compile-time error message.
void format_string_has_wrong_number_of_placeholders();
void format_string_has_unknown_specification();

}  // namespace detail

/// A format string checked at compile time against its arguments. `{}` prints the natural form, `{:x}` hexadecimal,
/// `{:#x}` with 0x, `{:N}` pads to N columns (text left, numbers right), `{:0N}`/`{:0Nx}` with zeros; `{{` and `}}` print braces.
template <class... Args>
class FormatString {
 public:
  consteval FormatString(const char* s) : text_(s) {
    const std::string_view text = s;
    usize placeholders = 0;
    for (usize i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c != '{' && c != '}') continue;
      if (i + 1 < text.size() && text[i + 1] == c) { ++i; continue; }
      if (c == '}') detail::format_string_has_unknown_specification();
      ++placeholders;
      ++i;
      if (i < text.size() && text[i] == ':') {
        ++i;
        if (i < text.size() && text[i] == '#') ++i;
        while (i < text.size() && text[i] >= '0' && text[i] <= '9') ++i;
        if (i < text.size() && text[i] == 'x') ++i;
      }
      if (i >= text.size() || text[i] != '}') detail::format_string_has_unknown_specification();
    }
    if (placeholders != sizeof...(Args)) detail::format_string_has_wrong_number_of_placeholders();
  }
  constexpr const char* text() const { return text_; }

 private:
  const char* text_;
};

template <class... Args>
[[gnu::always_inline]] inline void print(Sink& sink, FormatString<std::type_identity_t<Args>...> format, const Args&... args) {
  detail::print(sink, format.text(), detail::kinds_of<Args...>(), detail::passed(args)...);
}

}  // namespace ax
