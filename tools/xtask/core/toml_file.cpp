#include "tools/xtask/core/toml_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <toml++/toml.h>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace {

TomlTable convert(const toml::table& table, const std::string& name, TomlDates dates);

std::string date_text(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_date<decltype(value)> || toml::is_time<decltype(value)> || toml::is_date_time<decltype(value)>) {
      text << value.get();
    }
  });
  return text.str();
}

TomlValue convert(const toml::node& node, const std::string& name, TomlDates dates) {
  const unsigned line = node.source().begin.line;
  switch (node.type()) {
    case toml::node_type::string: return {node.as_string()->get(), line};
    case toml::node_type::integer: return {node.as_integer()->get(), line};
    case toml::node_type::floating_point: return {node.as_floating_point()->get(), line};
    case toml::node_type::boolean: return {node.as_boolean()->get(), line};
    case toml::node_type::table: return {convert(*node.as_table(), name, dates), line};
    case toml::node_type::array: {
      TomlArray array;
      for (const toml::node& item : *node.as_array()) {
        array.push_back(convert(item, name, dates));
      }
      return {std::move(array), line};
    }
    default:
      if (dates == TomlDates::AsText) {
        return {date_text(node), line};
      }
      throw Failure(ExitCode::Usage, fmt::format("{}:{}: dates and times are not used here", name, line));
  }
}

TomlTable convert(const toml::table& table, const std::string& name, TomlDates dates) {
  TomlTable result;
  for (const auto& [key, node] : table) {
    result.emplace(std::string(key.str()), convert(node, name, dates));
  }
  return result;
}

}  // namespace

namespace {

// What stands for the line of a value that is in no file.
constexpr unsigned kCommandLine = std::numeric_limits<unsigned>::max();
// Far above any real configuration; below what would make a mistaken path (an image, a device) exhaust memory.
constexpr std::uintmax_t kLargestFile = 4 << 20;

/// The line and a mark below the place; nothing where the line is too long to be read.
std::string excerpt(std::string_view text, const toml::source_position& where) {
  constexpr size_t kWidest = 160;
  for (toml::source_index line = 1; line < where.line; ++line) {
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  }
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  if (line.size() > kWidest || where.column == 0) {
    return {};
  }
  std::string blank(line.substr(0, where.column - 1));
  std::replace_if(blank.begin(), blank.end(), [](char c) { return c != '\t'; }, ' ');
  return fmt::format("\n{:5} | {}\n      | {}^", where.line, line, blank);
}

}  // namespace

TomlTable parse_toml(std::string_view text, const std::string& name, TomlDates dates) {
  try {
    return convert(toml::parse(text, name), name, dates);
  } catch (const toml::parse_error& error) {
    const toml::source_position where = error.source().begin;
    throw Failure(ExitCode::Usage, fmt::format("{}:{}:{}: {}{}", name, where.line, where.column, error.description(), excerpt(text, where)));
  }
}

TomlTable load_toml(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error) && std::filesystem::file_size(path, error) > kLargestFile) {
    throw Failure(ExitCode::Usage, fmt::format("{} is larger than {} MiB: this is no configuration file", path.string(), kLargestFile >> 20));
  }
  return parse_toml(read_file(path), path.string());
}

TomlValue parse_toml_value(const std::string& text) {
  try {
    return {parse_toml("value = " + text, "value").at("value").data, kCommandLine};
  } catch (const Failure&) {
    return {text, kCommandLine};
  }
}

std::string toml_quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < ' ') {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

namespace {

std::string format_key(const std::string& key) {
  const bool bare =
      !key.empty() && std::ranges::all_of(key, [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
  return bare ? key : toml_quote(key);
}

std::string format_value(const TomlValue& value);

struct ValueWriter {
  std::string operator()(const std::string& text) const { return toml_quote(text); }
  std::string operator()(std::int64_t number) const { return std::to_string(number); }
  std::string operator()(double number) const { return fmt::format("{:#}", number); }
  std::string operator()(bool flag) const { return flag ? "true" : "false"; }
  std::string operator()(const TomlArray& array) const {
    std::string text;
    for (const TomlValue& item : array) {
      text += (text.empty() ? "" : ", ") + format_value(item);
    }
    return "[" + text + "]";
  }
  std::string operator()(const TomlTable& table) const {
    std::string text;
    for (const auto& [key, value] : table) {
      text += (text.empty() ? "" : ", ") + format_key(key) + " = " + format_value(value);
    }
    return "{ " + text + " }";
  }
};

std::string format_value(const TomlValue& value) { return std::visit(ValueWriter{}, value.data); }

void format_table(const TomlTable& table, const std::string& heading, std::string& text) {
  for (const auto& [key, value] : table) {
    if (!std::holds_alternative<TomlTable>(value.data)) {
      text += format_key(key) + " = " + format_value(value) + "\n";
    }
  }
  for (const auto& [key, value] : table) {
    if (const auto* inner = std::get_if<TomlTable>(&value.data)) {
      const std::string name = heading.empty() ? format_key(key) : heading + "." + format_key(key);
      text += "\n[" + name + "]\n";
      format_table(*inner, name, text);
    }
  }
}

}  // namespace

std::string format_toml(const TomlTable& table) {
  std::string text;
  format_table(table, "", text);
  return text;
}

void set_toml_value(TomlTable& table, const std::string& path, const std::string& value) {
  TomlTable* inner = &table;
  size_t start = 0;
  for (size_t dot; (dot = path.find('.', start)) != std::string::npos; start = dot + 1) {
    TomlValue& next = inner->try_emplace(path.substr(start, dot - start), TomlValue{TomlTable{}}).first->second;
    inner = std::get_if<TomlTable>(&next.data);
    if (inner == nullptr) {
      throw Failure(ExitCode::Usage, fmt::format("--set {}: '{}' is no table", path, path.substr(0, dot)));
    }
  }
  inner->insert_or_assign(path.substr(start), parse_toml_value(value));
}

const TomlValue* TomlReader::take(std::string_view key) {
  known_.emplace_back(key);
  const auto found = table_.find(key);
  return found == table_.end() ? nullptr : &found->second;
}

void TomlReader::fail(std::string_view key, const std::string& message) const {
  const auto found = table_.find(key);
  const unsigned line = found == table_.end() ? 0 : found->second.line;
  const std::string where = line == kCommandLine ? "--set" : line == 0 ? file_ : fmt::format("{}:{}", file_, line);
  throw Failure(ExitCode::Usage, fmt::format("{}: '{}': {}", where, key, message));
}

template <class T>
std::optional<T> TomlReader::scalar(std::string_view key, std::string_view expected) {
  const TomlValue* value = take(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (const T* typed = std::get_if<T>(&value->data)) {
    return *typed;
  }
  fail(key, fmt::format("must be {}", expected));
}

std::optional<std::string> TomlReader::string(std::string_view key) { return scalar<std::string>(key, "a string"); }
std::optional<std::int64_t> TomlReader::integer(std::string_view key) {
  return scalar<std::int64_t>(key, "an integer");
}
std::optional<bool> TomlReader::boolean(std::string_view key) { return scalar<bool>(key, "true or false"); }

std::optional<double> TomlReader::number(std::string_view key) {
  const TomlValue* value = take(key);
  if (value == nullptr) {
    return std::nullopt;
  }
  if (const auto* whole = std::get_if<std::int64_t>(&value->data)) {
    return static_cast<double>(*whole);
  }
  if (const auto* real = std::get_if<double>(&value->data)) {
    return *real;
  }
  fail(key, "must be a number");
}

std::vector<std::string> TomlReader::strings(std::string_view key) {
  const TomlValue* value = take(key);
  std::vector<std::string> result;
  if (value == nullptr) {
    return result;
  }
  const auto* array = std::get_if<TomlArray>(&value->data);
  if (array == nullptr) {
    fail(key, "must be an array of strings");
  }
  for (const TomlValue& item : *array) {
    const auto* text = std::get_if<std::string>(&item.data);
    if (text == nullptr) {
      fail(key, "must be an array of strings");
    }
    result.push_back(*text);
  }
  return result;
}

std::vector<const TomlTable*> TomlReader::tables(std::string_view key) {
  const TomlValue* value = take(key);
  std::vector<const TomlTable*> result;
  if (value == nullptr) {
    return result;
  }
  const auto* array = std::get_if<TomlArray>(&value->data);
  if (array == nullptr) {
    fail(key, fmt::format("must be an array of tables: [[{}]]", key));
  }
  for (const TomlValue& item : *array) {
    const auto* table = std::get_if<TomlTable>(&item.data);
    if (table == nullptr) {
      fail(key, fmt::format("must be an array of tables: [[{}]]", key));
    }
    result.push_back(table);
  }
  return result;
}

std::string TomlReader::required_string(std::string_view key) {
  std::optional<std::string> value = string(key);
  if (!value) {
    throw Failure(ExitCode::Usage, fmt::format("{}: '{}' is missing", file_, key));
  }
  return *std::move(value);
}

void TomlReader::finish() const {
  for (const auto& [key, value] : table_) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
      fail(key, "unknown key" + did_you_mean(key, known_));
    }
  }
}

}  // namespace ax::xtask
