#include <fmt/format.h>
#include <re2/re2.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <memory>

#include "tools/xtask/build/cmake_build.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct DevspaceOptions {
  std::vector<std::string> names;
  fs::path path;
  bool force = false;
};

/// A library that the build fetches or takes from the system, as cmake/AxvisorDependencies.cmake declares it.
struct Dependency {
  std::string repository;
  std::string tag;
};

std::map<std::string, Dependency> dependencies(const Context& context) {
  static const RE2 kDeclaration(R"(axvisor_dependency\((\w+)\s+TARGET [^\n]*\s+URL (https://[^/]+/[^/]+/[^/]+)/(\S+))");
  static const RE2 kTag(R"((?:tags|download)/([^/]+?)(?:\.tar\.\w+|/.*)$)");
  const std::string text = read_file(context.root / "cmake/AxvisorDependencies.cmake");
  re2::StringPiece rest(text);
  std::map<std::string, Dependency> all;
  for (std::string name, repository, archive; RE2::FindAndConsume(&rest, kDeclaration, &name, &repository, &archive);) {
    std::string tag;
    RE2::PartialMatch(archive, kTag, &tag);
    all[name] = {repository, tag};
  }
  return all;
}

// ---- the state: one line of CMake per override, which the build includes

fs::path state_file(const Context& context) { return context.root / ".devspace/overrides.cmake"; }

std::map<std::string, fs::path> overrides(const Context& context) {
  static const RE2 kLine(R"re(set\(FETCHCONTENT_SOURCE_DIR_\w+ "([^"]+)"\)  # (\w+))re");
  std::map<std::string, fs::path> all;
  if (!fs::exists(state_file(context))) {
    return all;
  }
  const std::string text = read_file(state_file(context));
  re2::StringPiece rest(text);
  for (std::string path, name; RE2::FindAndConsume(&rest, kLine, &path, &name);) {
    all[name] = path;
  }
  return all;
}

void write_overrides(const Context& context, const std::map<std::string, fs::path>& all) {
  std::string text = "# Written by ./xtask devspace: these source trees are built instead of the released libraries.\n";
  for (const auto& [name, path] : all) {
    std::string upper = name;
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
    text += fmt::format("set(FETCHCONTENT_SOURCE_DIR_{} \"{}\")  # {}\n", upper, path.string(), name);
  }
  if (context.dry_run) {
    print_out(fmt::format("# writes {}\n", state_file(context).string()));
  } else if (all.empty()) {
    fs::remove_all(state_file(context).parent_path());
  } else {
    write_file(state_file(context), text);
  }
}

template <class Map>
void require_known(const Map& known, const std::string& name, std::string_view what) {
  if (!known.contains(name)) {
    std::vector<std::string> names;
    for (const auto& [each, value] : known) {
      names.push_back(each);
    }
    throw Failure(ExitCode::Usage, fmt::format("{} '{}'{}", what, name, did_you_mean(name, names)),
                  names.empty() ? "" : fmt::format("there are: {}", fmt::join(names, ", ")));
  }
}

// ---- start

fs::path checkout_of(const Context& context, const std::string& name) { return context.root / "modules" / name; }

void clone(const Context& context, const std::string& name, const Dependency& dependency) {
  if (fs::exists(checkout_of(context, name))) {
    context.console.step(fmt::format("{} is checked out already", checkout_of(context, name).string()));
    return;
  }
  run_step(context,
           {"git", "clone", "--branch", dependency.tag, "--depth", "1", dependency.repository, checkout_of(context, name)},
           "cloning " + name);
}

ExitCode start(const Context& context, const DevspaceOptions& options) {
  const std::map<std::string, Dependency> known = dependencies(context);
  std::map<std::string, fs::path> all = overrides(context);
  if (options.names.empty()) {
    for (const auto& [name, dependency] : known) {
      const auto local = all.find(name);
      print_out(fmt::format("{:<14} {} {}\n", name, dependency.tag, local == all.end() ? "" : "-> " + local->second.string()));
    }
    return ExitCode::Success;
  }
  if (!options.path.empty() && options.names.size() != 1) {
    throw Failure(ExitCode::Usage, "--path is the source tree of one library", "name one library");
  }
  for (const std::string& name : options.names) {
    require_known(known, name, "the build uses no library");
  }
  for (const std::string& name : options.names) {
    if (options.path.empty()) {
      clone(context, name, known.at(name));
    } else if (!fs::exists(context.resolve(options.path) / "CMakeLists.txt")) {
      throw Failure(ExitCode::Usage, fmt::format("--path: {} has no CMakeLists.txt", context.resolve(options.path).string()));
    }
    all[name] = options.path.empty() ? checkout_of(context, name) : context.resolve(options.path);
    context.console.step(fmt::format("{} is built from {}", name, all[name].string()));
  }
  write_overrides(context, all);
  return ExitCode::Success;
}

// ---- stop

/// Work that only this checkout holds: changes that are not committed, commits that are on no remote.
bool holds_work(const fs::path& checkout) {
  const auto says_something = [&](const Argv& git) {
    const CapturedOutput output = capture_command({.argv = git, .folder = checkout, .console = ChildProcess::Console::Quiet});
    return output.status != 0 || !output.output.empty();
  };
  return says_something({"git", "status", "--porcelain"}) ||
         says_something({"git", "log", "--branches", "--not", "--remotes", "--tags", "--oneline"});
}

void remove_checkout(const Context& context, const std::string& name, const fs::path& path, bool force) {
  if (path != checkout_of(context, name) || !fs::exists(path)) {
    return;  // the user's own folder, or nothing
  }
  if (!force && holds_work(path)) {
    throw Failure(ExitCode::Failure, fmt::format("{} holds work that is nowhere else", path.string()),
                  "push it, or say --force to throw it away");
  }
  run_step(context, {"rm", "-rf", path}, "removing " + path.string());
}

ExitCode stop(const Context& context, const DevspaceOptions& options) {
  std::map<std::string, fs::path> all = overrides(context);
  std::vector<std::string> names = options.names;
  if (names.empty()) {
    for (const auto& [name, path] : all) {
      names.push_back(name);
    }
  }
  for (const std::string& name : names) {
    require_known(all, name, "there is no local checkout of");
    remove_checkout(context, name, all.at(name), options.force);
    all.erase(name);
    context.console.step(name + " is the released library again");
    write_overrides(context, all);
  }
  return ExitCode::Success;
}

}  // namespace

Handler declare_devspace_start(CLI::App& app) {
  const auto options = std::make_shared<DevspaceOptions>();
  app.add_option("LIBRARY", options->names, "Libraries of cmake/AxvisorDependencies.cmake (none: list them)")->type_name("");
  app.add_option("--path", options->path, "A source tree that is there already, instead of a clone in modules/")
      ->type_name("FOLDER")
      ->check(existing_folder());
  return [options](Context& context) { return start(context, *options); };
}

Handler declare_devspace_stop(CLI::App& app) {
  const auto options = std::make_shared<DevspaceOptions>();
  app.add_option("LIBRARY", options->names, "Only these (default: all)")->type_name("");
  app.add_flag("--force", options->force, "Throw away work that is only in the checkout");
  return [options](Context& context) { return stop(context, *options); };
}

}  // namespace ax::xtask
