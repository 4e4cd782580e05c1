#include "tools/app/ide.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/app/project.hpp"
#include "tools/app/qemu.hpp"

namespace ax::app {
namespace {

using Json = nlohmann::ordered_json;

std::string relative(const Application& app, const std::filesystem::path& folder) {
  const std::string text = folder.lexically_relative(app.folder).string();
  return text.starts_with("..") ? folder.string() : text == "." ? "${workspaceFolder}" : "${workspaceFolder}/" + text;
}

}  // namespace

std::vector<CompileCommand> host_compile_commands(const Application& app, const std::filesystem::path& build) {
  std::vector<CompileCommand> out;
  for (const usize index : app.order) {
    const Target& target = app.targets[index];
    for (const Source& source : target.sources) {
      Words command = app.compiler.command(source.language == Language::Cxx);
      for (const auto& folder : include_folders(app, target)) command.push_back("-I" + folder.string());
      command.insert(command.end(), target.cflags.begin(), target.cflags.end());
      const std::filesystem::path object =
          std::filesystem::path("objects") / target.name / (source.path.lexically_relative(app.folder).string() + ".o");
      command.insert(command.end(), {"-o", object.string(), "-c", source.path.string()});
      out.push_back({build, std::move(command), source.path, object});
    }
  }
  return out;
}

std::vector<CompileCommand> os_compile_commands(const Application& app, const OsBuild& plan) {
  std::vector<CompileCommand> out;
  for (const OsStep& step : plan.steps) {
    if (step.kind == OsStep::Kind::Compile) out.push_back({app.folder, step.command, step.inputs.front(), step.output});
  }
  return out;
}

std::string compile_commands_json(const std::vector<CompileCommand>& commands) {
  Json out = Json::array();
  for (const CompileCommand& c : commands) {
    out.push_back({{"directory", c.folder.string()},
                   {"arguments", c.command},
                   {"file", c.source.string()},
                   {"output", c.object.string()}});
  }
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string vscode_properties(const Application& app) {
  std::vector<std::string> folders;
  for (const Target& target : app.targets) {
    for (const auto& folder : include_folders(app, target)) {
      const std::string text = relative(app, folder);
      if (std::ranges::find(folders, text) == folders.end()) folders.push_back(text);
    }
  }
  const bool clang = app.compiler.c.find("clang") != std::string::npos || app.os.has_value();
  const std::string arch = app.os && app.os->arch == Arch::Aarch64 ? "arm64" : "x64";
  Json configuration{{"name", app.os ? app.os->platform : "host"},
                     {"includePath", folders},
                     {"compilerPath", app.os ? "clang-19" : app.compiler.c},
                     {"intelliSenseMode", (clang ? "linux-clang-" : "linux-gcc-") + arch},
                     {"compileCommands", "${workspaceFolder}/compile_commands.json"}};
  return Json{{"configurations", Json::array({configuration})}, {"version", 4}}.dump(2, ' ', false,
                                                                                     Json::error_handler_t::replace) +
         "\n";
}

}  // namespace ax::app
