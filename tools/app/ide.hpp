// Files for editors.
#pragma once

#include <string>
#include <vector>

#include "tools/app/application.hpp"
#include "tools/app/os_build.hpp"

namespace ax::app {

/// One compilation of compile_commands.json.
struct CompileCommand {
  std::filesystem::path folder;
  Words command;
  std::filesystem::path source;
  std::filesystem::path object;
};

/// Compilations of a program for this machine, as the build in `build` runs them.
std::vector<CompileCommand> host_compile_commands(const Application& app, const std::filesystem::path& build);
std::vector<CompileCommand> os_compile_commands(const Application& app, const OsBuild& plan);

/// The text of compile_commands.json.
std::string compile_commands_json(const std::vector<CompileCommand>& commands);
/// The text of .vscode/c_cpp_properties.json.
std::string vscode_properties(const Application& app);

}  // namespace ax::app
