// What the schema becomes for people and editors: JSON Schemas, the reference page, the list of boards.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/config/emit.hpp"
#include "tools/config/suggest.hpp"

namespace ax::config {
namespace {

using Json = nlohmann::ordered_json;

// ---- JSON Schema

std::string_view origin_text(Origin origin) {
  constexpr std::string_view texts[] = {"AxVisor", "AxVisor (newer)", "ours"};
  return texts[static_cast<usize>(origin)];
}

std::string choices_text(std::span<const Choice> choices, bool numbers, Unit unit) {
  std::string out;
  for (const Choice& c : choices) {
    const std::string name =
        numbers ? fmt::format("{} ({})", format_number(c.number, unit), c.text) : std::string(c.text);
    const std::string state = c.not_built.empty() ? std::string(c.doc) : fmt::format("not available: {}", c.not_built);
    out += fmt::format("\n- {}: {}", name, state);
    if (!c.aliases.empty()) {
      std::vector<std::string> aliases(c.aliases.begin(), c.aliases.end());
      out += fmt::format(" (also: {})", join(aliases));
    }
  }
  return out;
}

Json string_schema(usize max_length, bool may_be_empty) {
  Json out{{"type", "string"}, {"maxLength", max_length}};
  if (!may_be_empty) out["minLength"] = 1;
  return out;
}

Json string_choices(std::span<const Choice> choices) {
  Json values = Json::array();
  for (const Choice& c : choices) {
    if (!c.not_built.empty()) continue;
    values.push_back(c.text);
    for (const std::string_view alias : c.aliases) values.push_back(alias);
  }
  return {{"type", "string"}, {"enum", values}};
}

Json integer_schema(u64 min, u64 max, std::span<const Choice> choices, bool open) {
  if (choices.empty() || open) return {{"type", "integer"}, {"minimum", min}, {"maximum", max}};
  Json values = Json::array();
  for (const Choice& c : choices) {
    if (c.not_built.empty()) values.push_back(c.number);
  }
  return {{"type", "integer"}, {"enum", values}};
}

Json row_schema(const Key& key) {
  Json cells = Json::array();
  for (const Column& c : key.columns) {
    Json cell =
        c.type == Type::String ? string_schema(key.max_length, false) : integer_schema(0, c.max, c.choices, false);
    if (c.type == Type::IntegerList) cell = {{"type", "array"}, {"items", cell}};
    cell["description"] = fmt::format("{}: {}{}", c.name, c.doc, choices_text(c.choices, true, c.unit));
    cells.push_back(cell);
  }
  const auto required = std::ranges::count(key.columns, true, &Column::required);
  return {{"type", "array"}, {"items", cells}, {"minItems", required}, {"additionalItems", false}};
}

Json type_schema(const Key& key) {
  switch (key.type) {
    case Type::Integer: return integer_schema(key.min, key.max, key.choices, key.open_choices);
    case Type::Boolean: return {{"type", "boolean"}};
    case Type::String:
      return key.choices.empty() || key.open_choices ? string_schema(key.max_length, key.may_be_empty) : string_choices(key.choices);
    case Type::StringList: return {{"type", "array"}, {"items", string_schema(key.max_length, false)}};
    case Type::IntegerList: return {{"type", "array"}, {"items", integer_schema(key.min, key.max, {}, false)}};
    case Type::PathLists:
      return {{"type", "array"}, {"items", {{"type", "array"}, {"items", string_schema(key.max_length, false)}}}};
    default: return {{"type", "array"}, {"items", row_schema(key)}};
  }
}

Json default_json(const Key& key) {
  if (key.type == Type::Boolean) return key.default_value == "true";
  if (key.type == Type::String) return key.default_value;
  if (key.type != Type::Integer) return Json::array();
  std::string digits;
  std::ranges::copy_if(key.default_value, std::back_inserter(digits), [](char c) { return c != '_'; });
  return std::stoull(digits, nullptr, 0);
}

Json key_schema(const Key& key) {
  // A key that is not available matches no value at all, as the generator refuses it.
  Json out = key.not_built.empty() ? type_schema(key) : Json{{"not", Json::object()}};
  std::string doc(key.doc);
  if (!key.not_built.empty()) doc += fmt::format(" Not available: {}.", key.not_built);
  if (!key.default_doc.empty()) doc += fmt::format(" Default: {}.", key.default_doc);
  out["description"] = doc + choices_text(key.choices, key.type == Type::Integer, key.unit);
  if (!key.default_value.empty()) out["default"] = default_json(key);
  return out;
}

Json feature_items() {
  Json names = Json::array();
  for (const Feature& f : all_features()) {
    names.push_back(f.name);
    for (const std::string_view alias : f.aliases) names.push_back(alias);
  }
  return {{"type", "string"}, {"enum", names}};
}

Json section_schema(const Section& section) {
  if (section.free_form)
    return {{"type", "object"}, {"description", section.doc}, {"additionalProperties", {{"type", "string"}}}};
  Json out{{"type", "object"},
           {"description", section.doc},
           {"properties", Json::object()},
           {"additionalProperties", false}};
  Json required = Json::array();
  for (const Key& key : section.keys) {
    out["properties"][std::string(key.name)] = key_schema(key);
    if (key.name == "features") out["properties"]["features"]["items"] = feature_items();
    if (key.required) required.push_back(key.name);
  }
  if (!required.empty()) out["required"] = required;
  return out;
}

// ---- Markdown

std::string type_text(const Key& key) {
  constexpr std::string_view texts[] = {
      "integer", "boolean", "string", "list of strings", "list of integers", "list of rows", "list of lists of paths"};
  return std::string(texts[static_cast<usize>(key.type)]);
}

std::string range_text(const Key& key) {
  const bool open_end = key.max == std::numeric_limits<i64>::max();
  if (key.type != Type::Integer || (key.min == 0 && open_end)) return {};
  if (key.min == key.max) return fmt::format(", always {}", format_number(key.min, key.unit));
  return fmt::format(", {} to {}", format_number(key.min, key.unit), format_number(key.max, key.unit));
}

std::string absence_text(const Key& key) {
  if (key.required) return "required";
  if (!key.default_doc.empty()) return fmt::format("default: {}", key.default_doc);
  if (key.default_value.empty()) return key.type == Type::String && key.may_be_empty ? "default: empty" : "optional";
  return fmt::format("default: `{}`", key.default_value);
}

std::string columns_text(const Key& key) {
  std::string out = "\n  Each row is:\n";
  for (const Column& c : key.columns) {
    out += fmt::format("  1. `{}`{}: {}\n", c.name, c.required ? "" : " (may be left out)", c.doc);
    for (const Choice& choice : c.choices) {
      const std::string state =
          choice.not_built.empty() ? std::string(choice.doc) : fmt::format("not available: {}", choice.not_built);
      out += fmt::format("     - {} {}: {}\n", format_number(choice.number, c.unit), choice.text, state);
    }
  }
  return out;
}

std::string key_text(const Key& key) {
  std::string out = fmt::format("- **`{}`** ({}{}; {}; {}, since {})  \n  {}\n", key.name, type_text(key),
                                range_text(key), absence_text(key), origin_text(key.origin), key.since, key.doc);
  if (!key.not_built.empty()) out += fmt::format("  **Not available**: {}.\n", key.not_built);
  for (const Choice& c : key.choices) {
    const std::string name = key.type == Type::Integer ? fmt::format("{} ({})", c.number, c.text) : std::string(c.text);
    std::vector<std::string> aliases(c.aliases.begin(), c.aliases.end());
    out += fmt::format("  - `{}`{}: {}\n", name, aliases.empty() ? "" : fmt::format(" (also {})", join(aliases)),
                       c.not_built.empty() ? std::string(c.doc) : fmt::format("not available: {}", c.not_built));
  }
  if (!key.columns.empty()) out += columns_text(key);
  return out;
}

std::string features_text() {
  std::string out =
      "## Features\n\nNames for `features` of a board.\n\n| name | also | platforms | brings | built | what it does "
      "|\n|---|---|---|---|---|---|\n";
  const auto words = [](std::span<const std::string_view> list, std::string_view empty) {
    const std::string text = join(std::vector<std::string>(list.begin(), list.end()));
    return text.empty() ? std::string(empty) : text;
  };
  for (const Feature& f : all_features()) {
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", f.name, words(f.aliases, ""), words(f.platforms, "all"),
                       words(f.needs, ""), f.built ? (f.always ? "yes, always on" : "yes") : "not yet", f.doc);
  }
  return out;
}

}  // namespace

std::string json_schema(const FileSchema& schema) {
  Json out = section_schema(*schema.find(""));
  Json head{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", schema.title}};
  out["description"] = schema.doc;
  for (const Section& section : schema.sections) {
    if (section.name.empty()) continue;
    out["properties"][std::string(section.name)] = section_schema(section);
    if (section.required) out["required"].push_back(section.name);
  }
  head.update(out);
  return head.dump(2) + "\n";
}

std::string reference_page() {
  std::string out =
      "# Configuration reference\n\n"
      "Generated from the schema by `axconfig reference`; do not edit. Numbers may be written in hexadecimal and with "
      "`_` between digits.\n";
  for (const FileSchema* schema : all_schemas()) {
    out += fmt::format("\n## {}: `{}`\n\n{}\n", schema->title, schema->where, schema->doc);
    for (const Section& section : schema->sections) {
      out += section.name.empty() ? "\n" : fmt::format("\n### [{}]\n\n{}\n\n", section.name, section.doc);
      for (const Key& key : section.keys) out += key_text(key);
    }
  }
  return out + "\n" + features_text();
}

std::string boards_json(const Options& options, SourceStore& sources, Diagnostics& diagnostics) {
  Json out = Json::array();
  std::vector<std::filesystem::path> folders;
  for (const std::string& folder : split_paths(options.config_path)) folders.emplace_back(folder);
  folders.push_back(options.root / "configs");
  std::vector<std::filesystem::path> homes = folders;
  homes.push_back(options.root);
  const PlatformFolders platforms(std::move(homes));
  std::vector<std::string> seen;
  for (const std::filesystem::path& folder : folders) {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "board", error)) {
      if (entry.path().extension() == ".toml") files.push_back(entry.path());
    }
    std::ranges::sort(files);
    for (const std::filesystem::path& path : files) {
      const std::string name = path.stem().string();
      if (std::ranges::find(seen, name) != seen.end()) continue;
      seen.push_back(name);
      const auto file = sources.open(path, path.string());
      if (!file) {
        diagnostics.error({}, fmt::format("{}: {}", path.string(), file.error()));
        continue;
      }
      const std::optional<Document> doc = load_document(**file, kBoardSchema, diagnostics);
      if (!doc) continue;
      const Board board = decode_board(*doc, platforms, sources, diagnostics);
      Json features = Json::array();
      for (const Feature* f : board.features) features.push_back(f->name);
      out.push_back({{"name", name},
                     {"file", path.string()},
                     {"target", board.target->triple},
                     {"platform", board.platform.name},
                     {"arch", board.target->arch},
                     {"features", features},
                     {"to_bin", board.to_bin},
                     {"built", board.target->built}});
    }
  }
  return out.dump(2) + "\n";
}

std::string boards_text(const std::string& json) {
  std::string out;
  for (const Json& board : Json::parse(json)) {
    const std::string_view state = board.at("built").get<bool>() ? "" : "  (not for the hypervisor)";
    out +=
        fmt::format("{:20} {}{}\n", board.at("name").get<std::string>(), board.at("target").get<std::string>(), state);
  }
  return out;
}

}  // namespace ax::config
