#include "tools/xtask/vmconfig/explain.hpp"

#include <fmt/format.h>

#include <array>
#include <map>

#include "tools/config/document.hpp"
#include "tools/config/schema.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/core/toml_file.hpp"

namespace ax::xtask {
namespace {

using config::Key;
using config::Type;

constexpr std::array<std::string_view, 7> kTypeNames{
    "integer", "true or false", "string", "list of strings", "list of integers", "list of rows", "list of lists of paths"};
constexpr std::array<std::string_view, 7> kUnitNames{"", "bytes", "address", "hertz", "mask of CPUs", "CPU id", "flags"};
constexpr std::array<std::string_view, 3> kOriginNames{"AxVisor", "newer AxVisor", "this project"};

std::string path_of(const config::Section& section, const Key& key) {
  return section.name.empty() ? std::string(key.name) : fmt::format("{}.{}", section.name, key.name);
}

std::string choice_lines(std::span<const config::Choice> choices, bool numbers, config::Unit unit) {
  std::string text;
  for (const config::Choice& choice : choices) {
    const std::string value = numbers ? fmt::format("{} ({})", config::format_number(choice.number, unit), choice.text)
                                      : fmt::format("\"{}\"", choice.text);
    text += fmt::format("    {:<34} {}{}\n", value, choice.doc,
                        choice.not_built.empty() ? "" : fmt::format(" Not available: {}.", choice.not_built));
  }
  return text;
}

std::string column_lines(const Key& key) {
  std::string text;
  for (const config::Column& column : key.columns) {
    text += fmt::format("    {:<14} {}{}\n", column.name, column.doc, column.required ? "" : " Optional.");
    text += choice_lines(column.choices, true, column.unit);
  }
  return text;
}

std::string paragraph(const config::FileSchema& file, const config::Section& section, const Key& key) {
  std::string text = fmt::format("{}  in {}\n  {}\n", path_of(section, key), file.where, key.doc);
  const std::string_view unit = kUnitNames[static_cast<size_t>(key.unit)];
  text += fmt::format("  type      {}{}{}\n", kTypeNames[static_cast<size_t>(key.type)], unit.empty() ? "" : ", ", unit);
  const std::string fallback = !key.default_value.empty() ? std::string(key.default_value) : std::string(key.default_doc);
  text += key.required ? "  required\n" : fallback.empty() ? "" : fmt::format("  default   {}\n", fallback);
  if (key.type == Type::Integer && key.choices.empty()) {
    text +=
        fmt::format("  range     {} to {}\n", config::format_number(key.min, key.unit), config::format_number(key.max, key.unit));
  }
  if (!key.choices.empty()) {
    text += "  values\n" + choice_lines(key.choices, key.type == Type::Integer, key.unit);
  }
  if (!key.columns.empty()) {
    text += "  columns of a row\n" + column_lines(key);
  }
  if (!key.not_built.empty()) {
    text += fmt::format("  not available: {}\n", key.not_built);
  }
  return text + fmt::format("  known to  {}\n", kOriginNames[static_cast<size_t>(key.origin)]);
}

/// In TOML, with addresses and sizes as people write them.
std::string value_text(const TomlValue& value) {
  constexpr std::int64_t kLeastHexadecimal = 0x1000;
  if (const auto* number = std::get_if<std::int64_t>(&value.data); number != nullptr && *number >= kLeastHexadecimal) {
    return config::format_number(static_cast<std::uint64_t>(*number), config::Unit::Address);
  }
  if (const auto* array = std::get_if<TomlArray>(&value.data)) {
    std::string text;
    for (const TomlValue& item : *array) {
      text += (text.empty() ? "" : ", ") + value_text(item);
    }
    return "[" + text + "]";
  }
  TomlTable one;
  one.emplace("v", value);
  const std::string line = format_toml(one);
  return line.substr(4, line.size() - 5);  // of "v = VALUE\n"
}

void flatten(const TomlTable& table, const std::string& prefix, std::map<std::string, std::string>& values) {
  for (const auto& [key, value] : table) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    if (const auto* inner = std::get_if<TomlTable>(&value.data)) {
      flatten(*inner, path, values);
    } else {
      values[path] = value_text(value);
    }
  }
}

}  // namespace

std::string explain_key(const std::string& wanted) {
  std::string text;
  std::vector<std::string> known;
  for (const config::FileSchema* file : config::all_schemas()) {
    for (const config::Section& section : file->sections) {
      for (const Key& key : section.keys) {
        const std::string path = path_of(section, key);
        if (path == wanted || key.name == wanted) {
          text += (text.empty() ? "" : "\n") + paragraph(*file, section, key);
        }
        known.push_back(path);
        known.emplace_back(key.name);
      }
    }
  }
  if (text.empty()) {
    throw Failure(ExitCode::Usage, fmt::format("no file has a key '{}'{}", wanted, did_you_mean(wanted, known)),
                  "docs/configuration.md lists them all");
  }
  return text;
}

std::vector<KeyDifference> compare_files(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::map<std::string, std::string> before;
  std::map<std::string, std::string> after;
  flatten(load_toml(a), "", before);
  flatten(load_toml(b), "", after);
  std::map<std::string, KeyDifference> all;
  for (const auto& [path, value] : before) {
    all[path] = {path, value, ""};
  }
  for (const auto& [path, value] : after) {
    all[path].path = path;
    all[path].after = value;
  }
  std::vector<KeyDifference> differences;
  for (const auto& [path, difference] : all) {
    if (difference.before != difference.after) {
      differences.push_back(difference);
    }
  }
  return differences;
}

}  // namespace ax::xtask
