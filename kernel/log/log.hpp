// Log lines with a level: compiled out above the board's level, adjustable below it.
#pragma once

#include <board_config.hpp>

#include "kernel/base/format.hpp"

namespace ax::log {

enum class Level : u8 { Error, Warn, Info, Debug, Trace };
constexpr std::string_view name(Level level) {
  constexpr std::string_view names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
  return names[static_cast<u8>(level)];
}

/// The most detailed level that is compiled in: the board's `log` key.
inline constexpr Level kCompiledLevel = static_cast<Level>(board::kLogLevel);

/// Lowers or raises what is printed, within `kCompiledLevel`. Any context.
void set_level(Level level);
Level level();

/// The console all lines go to, besides the ring. Before the first call lines are kept in the ring only and are printed
/// when the console comes. The sink must be callable from any context, interrupts masked included.
void set_console(Sink& console);

/// Prints a line unconditionally and without a level: the banner, verdicts, reports. Any context, also before the MMU.
void write_line(std::string_view text, const ax::detail::FormatArgument* arguments, usize count);

/// Puts the console into a state where a panic can print: no lock is waited for any more.
void enter_panic();

/// Raw access for a panic report and for consoles that print unfinished lines; takes the console lock.
Sink& console();

namespace detail {
void line(Level level, std::string_view text, const ax::detail::FormatArgument* arguments, usize count);

template <Level L, class... Args>
inline void at(FormatString<std::type_identity_t<Args>...> format, const Args&... args) {
  if constexpr (L <= kCompiledLevel) {
    const ax::detail::FormatArgument arguments[] = {ax::detail::FormatArgument::of(args)..., {}};
    line(L, format.text(), arguments, sizeof...(Args));
  }
}
}  // namespace detail

template <class... Args>
void error(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Error, Args...>(f, a...); }
template <class... Args>
void warn(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Warn, Args...>(f, a...); }
template <class... Args>
void info(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Info, Args...>(f, a...); }
template <class... Args>
void debug(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Debug, Args...>(f, a...); }
template <class... Args>
void trace(FormatString<std::type_identity_t<Args>...> f, const Args&... a) { detail::at<Level::Trace, Args...>(f, a...); }

/// Like the level functions, for lines that belong to no level (the banner and the verdict of a run).
template <class... Args>
void print_line(FormatString<std::type_identity_t<Args>...> f, const Args&... args) {
  const ax::detail::FormatArgument arguments[] = {ax::detail::FormatArgument::of(args)..., {}};
  write_line(f.text(), arguments, sizeof...(Args));
}

}  // namespace ax::log
