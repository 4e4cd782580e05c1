#include "tools/app/section.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>

#include "tools/config/suggest.hpp"

namespace ax::app {
namespace {

using config::Value;
using Kind = Value::Kind;

std::optional<u64> parse_number(std::string_view text) {
  u64 number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::vector<std::string> choice_texts(const Key& key) {
  std::vector<std::string> out;
  for (const Choice& c : key.choices) out.emplace_back(c.text);
  return out;
}

/// Checks one value against its key; messages name it by `what`.
class Checker {
 public:
  Checker(const Key& key, Diagnostics& diagnostics) : key_(key), diagnostics_(diagnostics) {}

  bool check(const Value& value) {
    switch (key_.form) {
      case Form::Text:
      case Form::Lines: return text(value, std::string(key_.name));
      case Form::Size: return value.kind == Kind::Integer || text(value, std::string(key_.name), " or a number");
      case Form::Flag: return flag(value);
      case Form::Number: return number(value);
      case Form::TextOrList:
        return value.kind == Kind::Array ? list(value) : text(value, std::string(key_.name), " or a list");
      default:
        return value.kind == Kind::Array ? list(value) : wrong_kind(value, std::string(key_.name), "a list of strings");
    }
  }

 private:
  bool wrong_kind(const Value& value, const std::string& what, std::string_view wanted) {
    const bool wants_list = key_.form == Form::List && value.kind != Kind::Array;
    const std::string text = value.kind == Kind::Integer   ? std::to_string(value.integer)
                             : value.kind == Kind::Boolean ? (value.boolean ? "true" : "false")
                                                           : value.text;
    diagnostics_.error(value.where, fmt::format("'{}' must be {}, not {}", what, wanted, config::describe(value.kind)))
        .fix(wants_list ? fmt::format("write {} = [\"{}\"]", key_.name, text.empty() ? "..." : text)
                        : fmt::format("write it in quotes: \"{}\"", text.empty() ? "..." : text));
    return false;
  }

  bool text(const Value& value, const std::string& what, std::string_view alternative = "") {
    if (value.kind == Kind::Integer && !key_.choices.empty()) return choice(value, std::to_string(value.integer));
    if (value.kind != Kind::String) return wrong_kind(value, what, fmt::format("a string{}", alternative));
    const bool control = std::ranges::any_of(value.text, [this](unsigned char c) {
      const bool blank = c == '\t' || (c == '\n' && key_.form == Form::Lines);
      return (c < ' ' && !blank) || c == 0x7f;
    });
    if (control) {
      diagnostics_.error(value.where, fmt::format("'{}' contains a line break or another control character", what))
          .fix("remove it");
      return false;
    }
    return key_.choices.empty() || choice(value, value.text);
  }

  bool choice(const Value& value, const std::string& given) {
    const std::vector<std::string> known = choice_texts(key_);
    if (std::ranges::find(known, given) != known.end()) return true;
    std::vector<std::string> named = known;
    std::erase(named, "");
    diagnostics_.error(value.where, fmt::format("'{}' has no value '{}'", key_.name, given))
        .fix(config::did_you_mean(given, named, fmt::format("use one of: {}", config::join(named))));
    return false;
  }

  bool flag(const Value& value) {
    if (value.kind == Kind::Boolean || (value.kind == Kind::String && (value.text == "y" || value.text == "n")))
      return true;
    const std::string given =
        value.kind == Kind::String ? fmt::format("'{}'", value.text) : std::string(describe(value.kind));
    diagnostics_.error(value.where, fmt::format("'{}' must be \"y\" or \"n\" (or true or false), not {}", key_.name, given))
        .fix(fmt::format("write {0} = \"y\", or {0} = \"n\"", key_.name));
    return false;
  }

  bool number(const Value& value) {
    std::optional<u64> number;
    if (value.kind == Kind::String) number = parse_number(value.text);
    if (value.kind == Kind::Integer && value.integer >= 0) number = static_cast<u64>(value.integer);
    if (!number) {
      const std::string given = value.kind == Kind::String    ? fmt::format("'{}'", value.text)
                                : value.kind == Kind::Integer ? std::to_string(value.integer)
                                                              : std::string(describe(value.kind));
      diagnostics_.error(value.where, fmt::format("'{}' must be a number, not {}", key_.name, given)).fix(range());
      return false;
    }
    if (*number >= key_.min && *number <= key_.max) return true;
    diagnostics_.error(value.where, fmt::format("'{}' cannot be {}", key_.name, *number)).fix(range());
    return false;
  }

  std::string range() const { return fmt::format("write a number from {} to {}", key_.min, key_.max); }

  bool list(const Value& value) {
    bool ok = true;
    for (usize i = 0; i < value.items.size(); ++i) {
      const std::string what = fmt::format("{}[{}]", key_.name, i);
      if (!text(value.items[i], what)) {
        ok = false;
      } else if (value.items[i].text.empty() && !key_.empty_elements) {
        diagnostics_.error(value.items[i].where, fmt::format("'{}' is empty", what)).fix("remove it");
        ok = false;
      }
    }
    return ok;
  }

  const Key& key_;
  Diagnostics& diagnostics_;
};

bool is_inner_table(const Table& table, std::string_view key) {
  const std::string name = fmt::format("{}.{}", table.name, key);
  return std::ranges::find(all_tables(), name, &Table::name) != all_tables().end();
}

void report_unknown(const Table& table, const Value::Member& member, Diagnostics& diagnostics) {
  std::vector<std::string> known;
  for (const Key& key : table.keys) known.emplace_back(key.name);
  std::string fix;
  const std::optional<std::string> near = config::nearest(member.key, known);
  for (const Table& other : all_tables()) {
    if (!near && other.find(member.key) != nullptr) fix = fmt::format("move it to {}", title_of(other));
    if (other.name.ends_with("." + member.key)) fix = fmt::format("write {}", title_of(other));
  }
  if (near) fix = fmt::format("did you mean '{}'?", *near);
  if (fix.empty()) fix = fmt::format("known here: {}", config::join(known));
  diagnostics
      .error(member.key_where, fmt::format("unknown {} '{}' in {}", member.value.kind == Kind::Table ? "table" : "key",
                                           member.key, title_of(table)))
      .fix(fix);
}

}  // namespace

std::string title_of(const Table& table) {
  return table.repeated ? fmt::format("[[{}]]", table.name) : fmt::format("[{}]", table.name);
}

Section::Section(const Table& table, const Value* value, Position header, Diagnostics& diagnostics)
    : table_(&table), header_(header) {
  std::set<std::string> meant;
  std::vector<std::string> known;
  for (const Key& key : table.keys) known.emplace_back(key.name);
  for (const Value::Member& member : value == nullptr ? std::vector<Value::Member>() : value->members) {
    if (is_inner_table(table, member.key)) continue;
    const Key* key = table.find(member.key);
    if (key == nullptr) {
      report_unknown(table, member, diagnostics);
      meant.insert(config::nearest(member.key, known).value_or(""));
    }
  }
  if (value == nullptr) return;
  for (const Key& key : table.keys) {
    const Value::Member* member = value->find(key.name);
    if (member != nullptr) {
      check(key, member->value, diagnostics);
    } else if (key.required && !meant.contains(std::string(key.name))) {
      diagnostics.error(header, fmt::format("the key '{}' is missing in {}", key.name, title_of(table)))
          .fix(fmt::format("add {} = \"...\"  # {}", key.name, key.doc.substr(0, key.doc.find_first_of(".:;"))));
    }
  }
}

void Section::check(const Key& key, const Value& value, Diagnostics& diagnostics) {
  values_[std::string(key.name)] = &value;
  if (!Checker(key, diagnostics).check(value)) wrong_.emplace(key.name);
}

const Key& Section::key_of(std::string_view key) const {
  const Key* found = table_->find(key);
  if (found == nullptr) throw std::logic_error(fmt::format("{} has no key '{}'", title_of(*table_), key));
  return *found;
}

const Value* Section::good(std::string_view key) const {
  const auto it = values_.find(key_of(key).name);
  return it == values_.end() || wrong_.contains(key) ? nullptr : it->second;
}

bool Section::has(std::string_view key) const { return values_.contains(key_of(key).name); }
bool Section::usable(std::string_view key) const { return good(key) != nullptr; }

Position Section::where(std::string_view key) const {
  const auto it = values_.find(key_of(key).name);
  return it == values_.end() ? header_ : it->second->where;
}

std::string Section::text(std::string_view key) const {
  const Value* value = good(key);
  if (value == nullptr) return std::string(key_of(key).default_value);
  return value->kind == Kind::Integer ? std::to_string(value->integer) : value->text;
}

bool Section::flag(std::string_view key) const {
  const Value* value = good(key);
  if (value == nullptr) return key_of(key).default_value == "y";
  return value->kind == Kind::Boolean ? value->boolean : value->text == "y";
}

u64 Section::number(std::string_view key) const {
  const Value* value = good(key);
  if (value == nullptr) return parse_number(key_of(key).default_value).value_or(0);
  return value->kind == Kind::Integer ? static_cast<u64>(value->integer) : parse_number(value->text).value_or(0);
}

std::vector<Located> Section::list(std::string_view key) const {
  const Value* value = good(key);
  std::vector<Located> out;
  if (value == nullptr) {
    const std::string_view fallback = key_of(key).default_value;
    if (!fallback.empty() && !has(key)) out.push_back({std::string(fallback), header_});
    return out;
  }
  if (value->kind == Kind::String) return {{value->text, value->where}};
  for (const Value& item : value->items) out.push_back({item.text, item.where});
  return out;
}

}  // namespace ax::app
