#include "tools/app/reference.hpp"

#include <fmt/format.h>

#include "tools/app/schema.hpp"
#include "tools/app/section.hpp"
#include "tools/app/services.hpp"
#include "tools/config/suggest.hpp"

namespace ax::app {
namespace {

std::string form_text(const Key& key) {
  constexpr std::string_view texts[] = {"string",          "\"y\" or \"n\"", "number",          "string or list of strings",
                                        "list of strings", "string",         "string or number"};
  std::string out(texts[static_cast<usize>(key.form)]);
  if (key.form == Form::Number) out += fmt::format(", {} to {}", key.min, key.max);
  return out;
}

std::string absence_text(const Key& key) {
  if (key.required) return "required";
  if (!key.default_doc.empty()) return fmt::format("default: {}", key.default_doc);
  return fmt::format("default: `{}`", key.default_value);
}

std::string key_text(const Key& key) {
  std::string out = fmt::format("- **`{}`** ({}; {}{})  \n  {}\n", key.name, form_text(key), absence_text(key),
                                key.origin == Origin::Ours ? "; not in Ruxgo" : "", key.doc);
  for (const Choice& choice : key.choices) out += fmt::format("  - `\"{}\"`: {}\n", choice.text, choice.doc);
  return out;
}

std::string services_text() {
  constexpr std::string_view devices[] = {"", "`blk`", "`net`", "`graphic`", "`v9p`"};
  std::string out =
      "## Services\n\nNames for `services` of [os].\n\n| name | brings | device | what it is |\n|---|---|---|---|\n";
  for (const Service& service : all_services()) {
    const std::vector<std::string> needs(service.needs.begin(), service.needs.end());
    out += fmt::format("| `{}` | {} | {} | {} |\n", service.name, config::join(needs),
                       devices[static_cast<usize>(service.device)], service.doc);
  }
  return out;
}

}  // namespace

std::string reference_page() {
  std::string out =
      "# Application description reference\n\n"
      "Generated from the schema by `axconfig app-reference`; do not edit. A description is called `config_linux.toml` "
      "or\n"
      "`app.toml`. What Ruxgo writes as a string may have its own type too: `smp = 4`, `blk = true`.\n";
  for (const Table& table : all_tables()) {
    out += fmt::format("\n## {}\n\n{}\n\n", title_of(table), table.doc);
    for (const Key& key : table.keys) out += key_text(key);
  }
  return out + "\n" + services_text();
}

}  // namespace ax::app
