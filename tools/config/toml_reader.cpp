// The only translation unit that includes toml++: it takes many seconds to compile.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "tools/config/value.hpp"

namespace ax::config {
namespace {

// The parser and the destructor of its tree recurse once per part of a dotted key; no sane line is this long.
constexpr usize kMaxLineLength = 4096;

Position position_of(const SourceFile& file, const toml::source_region& region) {
  const bool one_line = region.end.line == region.begin.line && region.end.column > region.begin.column;
  const u32 length = one_line ? static_cast<u32>(region.end.column - region.begin.column) : 1;
  return {&file, static_cast<u32>(region.begin.line), static_cast<u32>(region.begin.column), length};
}

bool comes_first(const Value::Member& a, const Value::Member& b) {
  return std::pair(a.key_where.line, a.key_where.column) < std::pair(b.key_where.line, b.key_where.column);
}

Value convert(const SourceFile& file, const toml::node& node) {
  Value out;
  out.where = position_of(file, node.source());
  switch (node.type()) {
    case toml::node_type::integer:
      out.kind = Value::Kind::Integer;
      out.integer = node.as_integer()->get();
      break;
    case toml::node_type::boolean:
      out.kind = Value::Kind::Boolean;
      out.boolean = node.as_boolean()->get();
      break;
    case toml::node_type::string:
      out.kind = Value::Kind::String;
      out.text = node.as_string()->get();
      break;
    case toml::node_type::floating_point: out.kind = Value::Kind::Float; break;
    case toml::node_type::array:
      out.kind = Value::Kind::Array;
      for (const toml::node& item : *node.as_array()) out.items.push_back(convert(file, item));
      break;
    case toml::node_type::table:
      out.kind = Value::Kind::Table;
      for (const auto& [key, value] : *node.as_table()) {
        out.members.push_back({std::string(key.str()), position_of(file, key.source()), convert(file, value)});
      }
      std::ranges::stable_sort(out.members, comes_first);
      break;
    default: out.kind = Value::Kind::DateTime; break;
  }
  return out;
}

/// Refuses what the parser cannot digest safely.
bool check_line_lengths(const SourceFile& file, Diagnostics& diagnostics) {
  u32 number = 1;
  usize start = 0;
  const std::string& text = file.text();
  while (start < text.size()) {
    const usize end = std::min(text.find('\n', start), text.size());
    if (end - start > kMaxLineLength) {
      diagnostics
          .error({&file, number, 1, 1}, fmt::format("the line has {} bytes, more than {}", end - start, kMaxLineLength))
          .fix("break the value over several lines");
      return false;
    }
    start = end + 1;
    ++number;
  }
  return true;
}

/// What repairs the mistakes that people make most, by words of the parser.
std::string syntax_remedy(std::string_view description) {
  constexpr std::pair<std::string_view, std::string_view> kRemedies[] = {
      {"could not determine value type", "a text stands in quotes: \"...\"; true, false and numbers do not"},
      {"cannot redefine existing", "keep one of the two"},
      {"saw '\\'", "write \\\" for a quotation mark in a text, or put the text between '...'"},
      {"expected ']'", "close the bracket"},
      {"control characters", "a text ends with a quotation mark on its own line"},
  };
  for (const auto& [words, remedy] : kRemedies) {
    if (description.find(words) != std::string_view::npos) return std::string(remedy);
  }
  return {};
}

}  // namespace

const Value::Member* Value::find(std::string_view key) const {
  const auto it = std::ranges::find(members, key, &Member::key);
  return it == members.end() ? nullptr : &*it;
}

std::string_view describe(Value::Kind kind) {
  constexpr std::string_view names[] = {"an integer",     "a fraction", "a boolean", "a string",
                                        "a date or time", "a list",     "a table"};
  return names[static_cast<usize>(kind)];
}

std::optional<Value> parse_toml(const SourceFile& file, Diagnostics& diagnostics) {
  if (!check_line_lengths(file, diagnostics)) return std::nullopt;
  try {
    const toml::table table = toml::parse(std::string_view(file.text()), std::string_view(file.display()));
    return convert(file, table);
  } catch (const toml::parse_error& error) {
    Position where = position_of(file, error.source());
    where.length = 1;
    diagnostics.error(where, fmt::format("TOML syntax: {}", error.description())).fix(syntax_remedy(error.description()));
    return std::nullopt;
  }
}

}  // namespace ax::config
