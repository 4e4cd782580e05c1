#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <set>

#include "tools/xtask/build/cmake_build.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct CleanOptions {
  std::string target;
  bool all = false;
};

/// The CMake build folders of build/.
std::vector<fs::path> build_folders(const fs::path& root) {
  std::vector<fs::path> folders;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(root / "build", none)) {
    if (fs::exists(entry.path() / "CMakeCache.txt")) {
      folders.push_back(entry.path());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

/// The target triple that the folder was configured for; empty for host builds.
std::string target_of(const fs::path& folder) {
  const std::map<std::string, std::string> cache = read_cmake_cache(folder);
  const auto toolchain = cache.find("CMAKE_TOOLCHAIN_FILE");
  return toolchain == cache.end() ? "" : fs::path(toolchain->second).stem().string();
}

bool builds_for(const fs::path& folder, const std::string& target) {
  const std::string name = folder.filename().string();
  return name == target || name == target + "-debug" || target_of(folder) == target;
}

/// Each once; host folders have no target.
std::set<std::string> present(const std::vector<std::string>& names) {
  std::set<std::string> result(names.begin(), names.end());
  result.erase("");
  return result;
}

std::vector<fs::path> selected(const Context& context, const CleanOptions& options) {
  std::vector<fs::path> folders = build_folders(context.root);
  if (options.all) {
    return {context.root / "build"};
  }
  const std::string target = options.target.empty() ? current_board(context.root).name : options.target;
  std::vector<std::string> names;
  for (const fs::path& folder : folders) {
    names.push_back(folder.filename().string());
    names.push_back(target_of(folder));
  }
  std::erase_if(folders, [&](const fs::path& folder) { return !builds_for(folder, target); });
  if (folders.empty() && !options.target.empty()) {
    throw Failure(ExitCode::Usage, fmt::format("no build folder for '{}'{}", target, did_you_mean(target, names)),
                  names.empty() ? "nothing was built here yet" : fmt::format("there are: {}", fmt::join(present(names), ", ")));
  }
  return folders;
}

}  // namespace

Handler declare_clean(CLI::App& app) {
  const auto options = std::make_shared<CleanOptions>();
  CLI::Option* target = app.add_option("--target", options->target, "A target triple, board or preset instead of the chosen board")
                            ->type_name("TARGET");
  app.add_flag("--all", options->all, "The whole build folder")->excludes(target);
  return [options](Context& context) {
    for (const fs::path& folder : selected(context, *options)) {
      if (context.dry_run) {
        print_out(format_command({"rm", "-rf", folder}) + "\n");
        continue;
      }
      fs::remove_all(folder);
      context.console.step("removed " + folder.string());
    }
    return ExitCode::Success;
  };
}

}  // namespace ax::xtask
