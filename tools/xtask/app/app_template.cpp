#include "tools/xtask/app/app_template.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"

namespace ax::xtask {
namespace {

constexpr std::string_view kDescription = R"([build]
compiler = "{compiler}"

[[targets]]
name = "{name}"
src = "./src/"
include_dir = "./src/include/"
type = "exe"
cflags = "-g -Wall -Wextra"
ldflags = ""
deps = []

[[tests]]
name = "says hello"
success_regex = '^Hello from {expression}!$'
)";

constexpr std::string_view kCMain = R"(#include <stdio.h>

#include "greeting.h"

int main(void) {
  printf("%s from {name}!\n", GREETING);
  return 0;
}
)";

constexpr std::string_view kCxxMain = R"(#include <iostream>

#include "greeting.h"

int main() {
  std::cout << GREETING << " from {name}!\n";
  return 0;
}
)";

constexpr std::string_view kHeader = "#pragma once\n\n#define GREETING \"Hello\"\n";
constexpr std::string_view kIgnored = "app_build/\ncompile_commands.json\n.cache/\n";
constexpr std::string_view kReadme =
    "# {name}\n\n    xtask app run    # build and run\n    xtask app test   # build and test\n";

std::string filled(std::string_view text, const std::string& name, std::string_view compiler) {
  std::string out(text);
  const std::string expression = RE2::QuoteMeta(name);
  for (const auto& [variable, value] : {std::pair<std::string_view, std::string_view>{"{name}", name},
                                        {"{compiler}", compiler},
                                        {"{expression}", expression}}) {
    for (size_t at = out.find(variable); at != std::string::npos; at = out.find(variable, at + value.size())) {
      out.replace(at, variable.size(), value);
    }
  }
  return out;
}

}  // namespace

void make_application(const std::filesystem::path& folder, AppLanguage language) {
  if (std::filesystem::exists(folder)) {
    throw Failure(ExitCode::Usage, fmt::format("{} already exists", folder.string()));
  }
  const std::string name = folder.filename().string();
  static constexpr std::string_view kCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+";
  if (name.empty() || name[0] == '-' || name[0] == '.' || name.find_first_not_of(kCharacters) != std::string::npos) {
    throw Failure(ExitCode::Usage, fmt::format("'{}' cannot be the name of an application", name),
                  "use letters, digits, '_', '-', '.' and '+'");
  }
  const bool cxx = language == AppLanguage::Cxx;
  const std::string_view compiler = cxx ? "g++" : "gcc";
  write_file(folder / "config_linux.toml", filled(kDescription, name, compiler));
  write_file(folder / (cxx ? "src/main.cpp" : "src/main.c"), filled(cxx ? kCxxMain : kCMain, name, compiler));
  write_file(folder / "src/include/greeting.h", kHeader);
  write_file(folder / ".gitignore", kIgnored);
  write_file(folder / "README.md", filled(kReadme, name, compiler));
}

}  // namespace ax::xtask
