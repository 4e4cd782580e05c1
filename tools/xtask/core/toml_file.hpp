// Reading TOML strictly: a small value tree, and a reader that knows which keys were asked for, so that every other key is
// an error with a suggestion. The TOML parser itself is compiled in one translation unit only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ax::xtask {

struct TomlValue;
using TomlArray = std::vector<TomlValue>;
using TomlTable = std::map<std::string, TomlValue, std::less<>>;

struct TomlValue {
  std::variant<std::string, std::int64_t, double, bool, TomlArray, TomlTable> data;
  unsigned line = 0;  ///< 1-based, in the file it came from
};

enum class TomlDates {
  Refuse,
  AsText,  ///< a date or time becomes a string, spelt as in the file
};

/// Parses `text`; `name` appears in messages. Throws Failure(Usage) `name:line:column: reason`.
TomlTable parse_toml(std::string_view text, const std::string& name, TomlDates dates = TomlDates::Refuse);
TomlTable load_toml(const std::filesystem::path& path);

/// A single value as after `key =`; text that is no TOML value is taken as a string.
TomlValue parse_toml_value(const std::string& text);

/// `"text"` with everything escaped that TOML wants escaped.
std::string toml_quote(std::string_view text);

/// The table as TOML text: plain values first, then its tables under [headings].
std::string format_toml(const TomlTable& table);

/// Sets `path` - "smp", or "env.NAME" - to what `value` is as TOML (see parse_toml_value), making tables on the way.
/// Throws Failure(Usage) where a part of the path is no table.
void set_toml_value(TomlTable& table, const std::string& path, const std::string& value);

/// Takes keys out of one table. Wrong types and, in finish(), unknown keys throw Failure(Usage) with file and line.
class TomlReader {
 public:
  TomlReader(const TomlTable& table, std::string file) : table_(table), file_(std::move(file)) {}

  std::optional<std::string> string(std::string_view key);
  std::optional<std::int64_t> integer(std::string_view key);
  std::optional<double> number(std::string_view key);  ///< an integer or a float
  std::optional<bool> boolean(std::string_view key);
  std::vector<std::string> strings(std::string_view key);  ///< empty when absent
  std::vector<const TomlTable*> tables(std::string_view key);  ///< `[[key]]`
  std::string required_string(std::string_view key);

  /// Counts a key as asked for that somebody else reads.
  void know(std::string_view key) { known_.emplace_back(key); }
  /// Every key must have been asked for by now.
  void finish() const;
  [[noreturn]] void fail(std::string_view key, const std::string& message) const;

 private:
  const TomlValue* take(std::string_view key);
  template <class T>
  std::optional<T> scalar(std::string_view key, std::string_view expected);

  const TomlTable& table_;
  std::string file_;
  std::vector<std::string> known_;
};

}  // namespace ax::xtask
