#include "tools/config/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "tools/config/suggest.hpp"

namespace ax::config {
namespace {

using Kind = Value::Kind;

std::string path_of(const Section& section, std::string_view key) {
  return section.name.empty() ? std::string(key) : fmt::format("{}.{}", section.name, key);
}

std::string section_title(const Section& section) {
  return section.name.empty() ? "at the top of the file" : fmt::format("in [{}]", section.name);
}

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_number(std::string_view text) {
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  return !text.empty() && std::ranges::all_of(text, [hex](unsigned char c) {
    return c == '_' || (hex ? std::isxdigit(c) : std::isdigit(c)) != 0;
  });
}

std::vector<std::string> choice_texts(std::span<const Choice> choices) {
  std::vector<std::string> out;
  for (const Choice& c : choices) out.emplace_back(c.text);
  return out;
}

const Choice* find_choice(std::span<const Choice> choices, std::string_view text) {
  for (const Choice& c : choices) {
    if (c.text == text || std::ranges::find(c.aliases, text) != c.aliases.end()) return &c;
  }
  return nullptr;
}

const Choice* find_choice(std::span<const Choice> choices, u64 number) {
  const auto it = std::ranges::find(choices, number, &Choice::number);
  return it == choices.end() ? nullptr : &*it;
}

/// What an integer must satisfy, from a key or a column.
struct IntegerRule {
  Unit unit;
  u64 min;
  u64 max;
  std::span<const Choice> choices;
  bool open_choices;
};
IntegerRule rule_of(const Key& k) { return {k.unit, k.min, k.max, k.choices, k.open_choices}; }
IntegerRule rule_of(const Column& c) { return {c.unit, 0, c.max, c.choices, false}; }

/// Checks single values; `what` names the value in messages: "cpu_num", "memory_regions[0].flags".
class ValueChecker {
 public:
  explicit ValueChecker(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  bool kind(const Value& value, Kind wanted, const std::string& what) {
    if (value.kind == wanted) return true;
    Diagnostic& d = diagnostics_.error(
        value.where, fmt::format("'{}' must be {}, not {}", what, describe(wanted), describe(value.kind)));
    const bool quoted_number = wanted == Kind::Integer && value.kind == Kind::String && is_number(value.text);
    if (quoted_number) d.fix(fmt::format("write {} without quotes", value.text));
    return false;
  }

  bool integer(const Value& value, const IntegerRule& rule, const std::string& what) {
    if (!kind(value, Kind::Integer, what)) return false;
    if (value.integer < 0) {
      diagnostics_.error(value.where, fmt::format("'{}' must not be negative", what));
      return false;
    }
    const u64 number = static_cast<u64>(value.integer);
    if (!rule.choices.empty() && !rule.open_choices) return integer_choice(value, number, rule, what);
    if (number >= rule.min && number <= rule.max) return true;
    const std::string given = format_number(number, rule.unit);
    const std::string low = format_number(rule.min, rule.unit);
    diagnostics_.error(value.where, rule.min == rule.max ? fmt::format("'{}' must be {}, not {}", what, low, given)
                                                         : fmt::format("'{}' is {}, outside its range: {} to {}", what,
                                                                       given, low, format_number(rule.max, rule.unit)));
    return false;
  }

  bool string(const Value& value, usize max_length, bool may_be_empty, const std::string& what) {
    if (!kind(value, Kind::String, what)) return false;
    if (value.text.empty() && !may_be_empty) {
      diagnostics_.error(value.where, fmt::format("'{}' is empty", what)).fix("remove the key, or give it a value");
      return false;
    }
    if (has_control_character(value.text)) {
      diagnostics_.error(value.where, fmt::format("'{}' contains a control character", what));
      return false;
    }
    if (value.text.size() > max_length) {
      diagnostics_.error(value.where,
                         fmt::format("'{}' has {} bytes, more than {}", what, value.text.size(), max_length));
      return false;
    }
    return true;
  }

  bool string_choice(const Value& value, const Key& key, const std::string& what) {
    if (!string(value, key.max_length, key.may_be_empty, what)) return false;
    const Choice* found = find_choice(key.choices, value.text);
    if (found == nullptr && key.open_choices) return true;
    if (found == nullptr) {
      const std::vector<std::string> known = choice_texts(key.choices);
      const std::string all = fmt::format("use one of: {}", join(known));
      diagnostics_.error(value.where, fmt::format("'{}' has no value '{}'", what, value.text))
          .fix(did_you_mean(value.text, known, all));
      return false;
    }
    return built(value, *found, what);
  }

 private:
  bool integer_choice(const Value& value, u64 number, const IntegerRule& rule, const std::string& what) {
    if (const Choice* found = find_choice(rule.choices, number)) return built(value, *found, what);
    std::vector<std::string> known;
    for (const Choice& c : rule.choices)
      known.push_back(fmt::format("{} ({})", format_number(c.number, rule.unit), c.text));
    diagnostics_.error(value.where, fmt::format("'{}' has no value {}", what, format_number(number, rule.unit)))
        .fix(fmt::format("use one of: {}", join(known)));
    return false;
  }

  bool built(const Value& value, const Choice& choice, const std::string& what) {
    if (choice.not_built.empty()) return true;
    diagnostics_.error(value.where, fmt::format("'{}' = {} is not available: {}", what, choice.text, choice.not_built));
    return false;
  }

  Diagnostics& diagnostics_;
};

/// Checks the elements of lists; returns the indices of the wrong ones.
class ListChecker {
 public:
  explicit ListChecker(Diagnostics& diagnostics) : diagnostics_(diagnostics), values_(diagnostics) {}

  std::set<usize> check(const Value& list, const Key& key) {
    std::set<usize> wrong;
    for (usize i = 0; i < list.items.size(); ++i) {
      if (!element(list.items[i], key, fmt::format("{}[{}]", key.name, i))) wrong.insert(i);
    }
    return wrong;
  }

 private:
  bool element(const Value& item, const Key& key, const std::string& what) {
    switch (key.type) {
      case Type::StringList: return values_.string(item, key.max_length, false, what);
      case Type::IntegerList: return values_.integer(item, rule_of(key), what);
      case Type::PathLists: return path_list(item, key, what);
      default: return row(item, key, what);
    }
  }

  bool path_list(const Value& item, const Key& key, const std::string& what) {
    if (!values_.kind(item, Kind::Array, what)) return false;
    bool ok = true;
    for (usize i = 0; i < item.items.size(); ++i) {
      ok &= values_.string(item.items[i], key.max_length, false, fmt::format("{}[{}]", what, i));
    }
    return ok;
  }

  bool row(const Value& item, const Key& key, const std::string& what) {
    if (!values_.kind(item, Kind::Array, what)) return false;
    const auto required = static_cast<usize>(std::ranges::count(key.columns, true, &Column::required));
    const usize cells = item.items.size();
    if (cells < required || cells > key.columns.size()) {
      std::vector<std::string> names;
      for (const Column& c : key.columns)
        names.push_back(c.required ? std::string(c.name) : fmt::format("[{}]", c.name));
      diagnostics_
          .error(item.where, fmt::format("'{}' has {} value{}, {} than it takes", what, cells, cells == 1 ? "" : "s",
                                         cells < required ? "fewer" : "more"))
          .fix(fmt::format("write {}", join(names)));
      return false;
    }
    bool ok = true;
    for (usize i = 0; i < cells; ++i) {
      ok &= cell(item.items[i], key.columns[i], key.max_length, fmt::format("{}.{}", what, key.columns[i].name));
    }
    return ok;
  }

  bool cell(const Value& value, const Column& column, usize max_length, const std::string& what) {
    if (column.type == Type::String) return values_.string(value, max_length, false, what);
    if (column.type == Type::Integer) return values_.integer(value, rule_of(column), what);
    if (!values_.kind(value, Kind::Array, what)) return false;
    bool ok = true;
    for (usize i = 0; i < value.items.size(); ++i) {
      ok &= values_.integer(value.items[i], rule_of(column), fmt::format("{}[{}]", what, i));
    }
    return ok;
  }

  Diagnostics& diagnostics_;
  ValueChecker values_;
};

bool check_scalar(const Value& value, const Key& key, Diagnostics& diagnostics) {
  ValueChecker checker(diagnostics);
  const std::string what(key.name);
  switch (key.type) {
    case Type::Integer: return checker.integer(value, rule_of(key), what);
    case Type::Boolean: return checker.kind(value, Kind::Boolean, what);
    case Type::String:
      return key.choices.empty() ? checker.string(value, key.max_length, key.may_be_empty, what)
                                 : checker.string_choice(value, key, what);
    default: return checker.kind(value, Kind::Array, what);
  }
}

u64 parse_default(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != '_') digits += c;
  }
  const bool hex = digits.starts_with("0x");
  u64 value = 0;
  std::from_chars(digits.data() + (hex ? 2 : 0), digits.data() + digits.size(), value, hex ? 16 : 10);
  return value;
}

}  // namespace

std::string format_number(u64 value, Unit unit) {
  if (unit == Unit::None || unit == Unit::Hertz) return fmt::format("{}", value);
  std::string digits = fmt::format("{:x}", value);
  for (usize i = digits.size(); i > 4; i -= 4) digits.insert(i - 4, 1, '_');
  return "0x" + digits;
}

const Value* Row::cell(std::string_view column) const {
  const auto it = std::ranges::find(key_->columns, column, &Column::name);
  if (it == key_->columns.end()) throw std::logic_error(fmt::format("{} has no column {}", key_->name, column));
  const auto index = static_cast<usize>(it - key_->columns.begin());
  return value_->kind == Kind::Array && index < value_->items.size() ? &value_->items[index] : nullptr;
}

u64 Row::integer(std::string_view column) const {
  const Value* value = cell(column);
  return value == nullptr || value->kind != Kind::Integer || value->integer < 0 ? 0 : static_cast<u64>(value->integer);
}

std::string Row::text(std::string_view column) const {
  const Value* value = cell(column);
  return value == nullptr || value->kind != Kind::String ? std::string() : value->text;
}

std::vector<u64> Row::integers(std::string_view column) const {
  std::vector<u64> out;
  const Value* value = cell(column);
  if (value == nullptr) return out;
  for (const Value& item : value->items) out.push_back(item.integer < 0 ? 0 : static_cast<u64>(item.integer));
  return out;
}

Document::Document(const SourceFile& file, const FileSchema& schema, Value root, Diagnostics& diagnostics)
    : file_(&file), schema_(&schema), root_(std::move(root)) {
  const Section* top = schema.find("");
  for (const Value::Member& member : root_.members) {
    const Section* section = schema.find(member.key);
    if (section == nullptr || member.key.empty()) continue;
    sections_[member.key] = member.key_where;
    if (member.value.kind != Kind::Table) {
      diagnostics
          .error(member.value.where,
                 fmt::format("'{}' must be a table, not {}", member.key, describe(member.value.kind)))
          .fix(fmt::format("start it with a line [{}]", member.key));
      for (const Key& key : section->keys) fields_[path_of(*section, key.name)] = {&key, nullptr, false, {}};
    } else if (section->free_form) {
      check_free_form(member.value, diagnostics);
    } else {
      check_section(*section, member.value, member.key_where, diagnostics);
    }
  }
  const std::set<std::string> meant = check_section(*top, root_, {&file}, diagnostics);
  for (const Section& section : schema.sections) {
    if (!section.required || sections_.contains(section.name)) continue;
    if (!meant.contains(std::string(section.name))) {
      diagnostics.error({&file}, fmt::format("the table [{}] is missing", section.name))
          .fix(fmt::format("add it: {}", section.doc));
    }
    for (const Key& key : section.keys) fields_[path_of(section, key.name)] = {&key, nullptr, false, {}};
  }
}

void Document::check_free_form(const Value& table, Diagnostics& diagnostics) {
  ValueChecker checker(diagnostics);
  for (const Value::Member& member : table.members) checker.string(member.value, 4096, true, member.key);
}

std::set<std::string> Document::check_section(const Section& section, const Value& table, Position where,
                                              Diagnostics& diagnostics) {
  std::set<std::string> meant;
  for (const Value::Member& member : table.members) {
    if (section.name.empty() && !member.key.empty() && schema_->find(member.key) != nullptr) continue;
    const auto it = std::ranges::find(section.keys, member.key, &Key::name);
    if (it == section.keys.end()) {
      meant.insert(unknown_key(section, member, diagnostics));
      continue;
    }
    Field field{&*it, &member.value};
    if (!it->not_built.empty()) {
      diagnostics.error(member.key_where, fmt::format("'{}' is not available: {}", it->name, it->not_built))
          .fix("remove the key");
      field.valid = false;
    } else {
      field.valid = check_scalar(member.value, *it, diagnostics);
      if (field.valid && member.value.kind == Kind::Array) {
        field.invalid_items = ListChecker(diagnostics).check(member.value, *it);
        field.valid = field.invalid_items.empty();
      }
    }
    fields_[path_of(section, it->name)] = std::move(field);
  }
  for (const Key& key : section.keys) {
    if (!key.required || fields_.contains(path_of(section, key.name))) continue;
    if (!meant.contains(std::string(key.name))) {  // a misspelt key was reported already
      diagnostics.error(where, fmt::format("the key '{}' is missing {}", key.name, section_title(section)))
          .fix(fmt::format("add {} = ...  # {}", key.name, key.doc));
    }
    fields_[path_of(section, key.name)] = {&key, nullptr, false, {}};
  }
  return meant;
}

std::string Document::unknown_key(const Section& section, const Value::Member& member, Diagnostics& diagnostics) {
  std::vector<std::string> known;
  for (const Key& key : section.keys) known.emplace_back(key.name);
  if (section.name.empty()) {
    for (const Section& s : schema_->sections) {
      if (!s.name.empty()) known.emplace_back(s.name);
    }
  }
  std::string fix = did_you_mean(member.key, known);
  for (const Section& other : schema_->sections) {
    const bool there = std::ranges::find(other.keys, member.key, &Key::name) != other.keys.end();
    if (there) fix = other.name.empty() ? "move it to the top of the file" : fmt::format("move it to [{}]", other.name);
  }
  if (fix.empty()) fix = fmt::format("known here: {}", join(known));
  const std::string_view what = member.value.kind == Kind::Table ? "table" : "key";
  diagnostics.error(member.key_where, fmt::format("unknown {} '{}' {}", what, member.key, section_title(section)))
      .fix(fix);
  return nearest(member.key, known).value_or("");
}

const Key& Document::key_of(std::string_view path) const {
  const Key* key = schema_->find_key(path);
  if (key == nullptr) throw std::logic_error(fmt::format("schema '{}' has no key '{}'", schema_->id, path));
  reads_.emplace(path);
  return *key;
}

const Value* Document::usable(std::string_view path, Kind kind) const {
  key_of(path);
  const auto it = fields_.find(path);
  if (it == fields_.end() || it->second.value == nullptr || it->second.value->kind != kind) return nullptr;
  return kind == Kind::Array || it->second.valid ? it->second.value : nullptr;
}

bool Document::has(std::string_view path) const {
  key_of(path);
  const auto it = fields_.find(path);
  return it != fields_.end() && it->second.value != nullptr;
}

bool Document::valid(std::string_view path) const {
  const auto it = fields_.find(path);
  return it == fields_.end() || it->second.valid;
}

bool Document::valid(std::string_view path, usize index) const {
  const auto it = fields_.find(path);
  if (it == fields_.end() || it->second.valid) return true;
  return !it->second.invalid_items.empty() && !it->second.invalid_items.contains(index);
}

u64 Document::integer(std::string_view path) const {
  const Value* value = usable(path, Kind::Integer);
  return value != nullptr ? static_cast<u64>(value->integer) : parse_default(key_of(path).default_value);
}

bool Document::boolean(std::string_view path) const {
  const Value* value = usable(path, Kind::Boolean);
  return value != nullptr ? value->boolean : key_of(path).default_value == "true";
}

std::string Document::text(std::string_view path) const {
  const Value* value = usable(path, Kind::String);
  return value != nullptr ? value->text : std::string(key_of(path).default_value);
}

const Choice& Document::choice(std::string_view path) const {
  static constexpr Choice kNone{};
  const Choice* found = find_choice(key_of(path).choices, text(path));
  return found != nullptr ? *found : kNone;
}

std::vector<std::string> Document::strings(std::string_view path) const {
  std::vector<std::string> out;
  const Value* value = usable(path, Kind::Array);
  if (value == nullptr) return out;
  for (const Value& item : value->items) out.push_back(item.text);
  return out;
}

std::vector<u64> Document::integers(std::string_view path) const {
  std::vector<u64> out;
  const Value* value = usable(path, Kind::Array);
  if (value == nullptr) return out;
  for (const Value& item : value->items) out.push_back(item.integer < 0 ? 0 : static_cast<u64>(item.integer));
  return out;
}

std::vector<Row> Document::rows(std::string_view path) const {
  std::vector<Row> out;
  const Value* value = usable(path, Kind::Array);
  if (value == nullptr) return out;
  for (const Value& item : value->items) out.emplace_back(item, key_of(path));
  return out;
}

std::vector<std::pair<std::string, Position>> Document::paths(std::string_view path) const {
  std::vector<std::pair<std::string, Position>> out;
  const Value* value = usable(path, Kind::Array);
  if (value == nullptr) return out;
  for (const Value& list : value->items) {
    for (const Value& item : list.items) out.emplace_back(item.text, item.where);
  }
  return out;
}

std::vector<Document::FreeMember> Document::free_form(std::string_view section) const {
  std::vector<FreeMember> out;
  const Value::Member* member = root_.find(section);
  if (member == nullptr) return out;
  for (const Value::Member& m : member->value.members) out.push_back({m.key, m.value.text, m.value.where});
  return out;
}

Position Document::where(std::string_view path) const {
  key_of(path);
  const auto it = fields_.find(path);
  if (it != fields_.end() && it->second.value != nullptr) return it->second.value->where;
  const auto section = sections_.find(path.substr(0, path.find('.')));
  return section != sections_.end() ? section->second : Position{file_};
}

Position Document::where(std::string_view path, usize index) const {
  const Value* value = usable(path, Kind::Array);
  if (value == nullptr || index >= value->items.size()) return where(path);
  return value->items[index].where;
}

std::optional<Document> load_document(const SourceFile& file, const FileSchema& schema, Diagnostics& diagnostics) {
  std::optional<Value> root = parse_toml(file, diagnostics);
  if (!root) return std::nullopt;
  return Document(file, schema, std::move(*root), diagnostics);
}

}  // namespace ax::config
