#include "tools/xtask/command/values.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

fs::path resolve(const std::string& text) { return (fs::current_path() / text).lexically_normal(); }

}  // namespace

CLI::Validator existing_file() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        const fs::path path = resolve(text);
        if (fs::is_directory(path)) {
          return fmt::format("{} is a folder, not a file", path.string());
        }
        return fs::exists(path) ? "" : missing_path(path);  // not only regular files: the shell's <(...) is a pipe
      },
      "");
}

CLI::Validator existing_folder(const CLI::App* parent) {
  return CLI::Validator(
      [parent](std::string& text) -> std::string {
        const fs::path path = resolve(text);
        if (fs::is_directory(path)) {
          return "";
        }
        std::vector<std::string> commands;
        if (parent != nullptr) {
          for (const CLI::App* command : parent->get_subcommands([](const CLI::App*) { return true; })) {
            commands.push_back(command->get_name());
          }
        }
        const std::string other = did_you_mean(text, commands);
        if (fs::exists(path)) {
          return fmt::format("{} is no folder", path.string());
        }
        // missing_path() speaks of files.
        return other.empty() ? "no such folder" + missing_path(path).substr(std::string_view("no such file").size())
                             : fmt::format("no such folder: {}{}", path.string(), other);
      },
      "");
}

CLI::Validator address() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        static const RE2 kNumber("0[xX][0-9a-fA-F_]+|[0-9][0-9_]*");
        if (!RE2::FullMatch(text, kNumber)) {
          return fmt::format("'{}' is no address: write it as 0x8020_0000", text);
        }
        std::erase(text, '_');
        return "";
      },
      "");
}

CLI::Validator expression() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        const RE2 compiled(text, RE2::Quiet);
        return compiled.ok() ? "" : fmt::format("'{}' is not a regular expression: {}", text, compiled.error());
      },
      "");
}

}  // namespace ax::xtask
