#include "tools/xtask/build/cmake_build.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// A path list whose relative entries are seen from the user's folder, as CMake, run in the source tree, sees it.
std::string absolute_list(const Context& context, const std::string& list) {
  std::string result;
  std::istringstream entries(list);
  for (std::string entry; std::getline(entries, entry, ':');) {
    if (!entry.empty()) {
      result += (result.empty() ? "" : ":") + context.resolve(entry).string();
    }
  }
  return result;
}

std::string vm_config_list(const Context& context, const BuildRequest& request) {
  if (request.vm_configs.empty()) {
    return absolute_list(context, environment("AXVISOR_VM_CONFIGS"));
  }
  std::string list;
  for (const fs::path& path : request.vm_configs) {
    if (!fs::is_regular_file(path)) {
      throw no_such_file("--vmconfigs", path);
    }
    list += (list.empty() ? "" : ":") + path.string();
  }
  return list;
}

bool has_preset(const Context& context, const std::string& name) {
  const std::vector<std::string> names = preset_names(context);
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Whether the folder was configured under another name, of its own or of the checkout: CMake refuses it then.
bool was_moved(const BuildFolder& build) {
  const std::map<std::string, std::string> cache = read_cmake_cache(build.folder);
  const auto folder = cache.find("CMAKE_CACHEFILE_DIR"), home = cache.find("CMAKE_HOME_DIRECTORY");
  return (folder != cache.end() && fs::weakly_canonical(folder->second) != fs::weakly_canonical(build.folder)) ||
         (home != cache.end() && !fs::exists(home->second));
}

Argv configure_command(const Context& context, const BuildFolder& build) {
  Argv command{"cmake"};
  if (was_moved(build)) {
    command.push_back("--fresh");
  }
  if (has_preset(context, build.preset)) {
    command.insert(command.end(), {"--preset", build.preset});
  } else {
    command.insert(command.end(), {"-S", context.root.string(), "-G", "Ninja", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
                                   build.preset.ends_with("-debug") ? "-DCMAKE_BUILD_TYPE=Debug"
                                                                    : "-DCMAKE_BUILD_TYPE=RelWithDebInfo"});
  }
  command.insert(command.end(), {"-B", build.folder.string()});
  for (const auto& [name, value] : build.cache) {
    command.push_back(fmt::format("-D{}={}", name, value));
  }
  return command;
}

bool is_current(const BuildFolder& build) {
  if (!fs::exists(build.folder / "build.ninja")) {
    return false;
  }
  const std::map<std::string, std::string> cache = read_cmake_cache(build.folder);
  return std::all_of(build.cache.begin(), build.cache.end(), [&](const auto& wanted) {
    const auto found = cache.find(wanted.first);
    return found != cache.end() && found->second == wanted.second;
  });
}

}  // namespace

EnvironmentChanges clean_build_environment() {
  EnvironmentChanges changes;
  for (const char* name : {"CC", "CXX", "ASM", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "ASMFLAGS", "LDFLAGS",
                           "CMAKE_TOOLCHAIN_FILE", "CMAKE_GENERATOR", "CMAKE_BUILD_TYPE"}) {
    if (std::getenv(name) != nullptr) {
      changes[name] = std::nullopt;
    }
  }
  return changes;
}

std::vector<std::string> preset_names(const Context& context) {
  static const RE2 kName("\"name\":\\s*\"([^\"]+)\"");
  const std::string presets = read_file(context.root / "CMakePresets.json");
  re2::StringPiece rest(presets);
  std::vector<std::string> names;
  for (std::string name; RE2::FindAndConsume(&rest, kName, &name);) {
    names.push_back(name);
  }
  return names;
}

// A message of CMake's is indented, but for its first line and the head of the call stack.
void ConfigureMessages::take(std::string_view line) {
  constexpr std::string_view kBegins = "CMake Error at ", kStack = "Call Stack";
  const bool goes_on = !message_.empty() && (line.starts_with(' ') || line == "\n" || line.starts_with(kStack));
  if (!goes_on) {
    end();
  }
  if (goes_on || line.starts_with(kBegins)) {
    message_ += line;
  } else {
    show_(line);
  }
}

void ConfigureMessages::end() {
  if (!message_.empty() && message_.find("The configuration has errors: see above.") == std::string::npos) {
    show_(message_);
  }
  message_.clear();
}

namespace {

template <class Run>
void run_as_step(const Context& context, const Argv& argv, const std::string& what, Run run) {
  const EnvironmentChanges environment_changes = clean_build_environment();
  if (context.dry_run) {
    print_out(format_command(argv, environment_changes) + "\n");
    return;
  }
  context.console.detail(format_command(argv, environment_changes));
  const int status = run(ChildProcess::Options{.argv = argv, .folder = context.root, .environment = environment_changes});
  if (status != 0) {
    throw Failure(ExitCode::Failure, fmt::format("{} failed (status {})", what, status));
  }
}

void run_configure(const Context& context, const BuildFolder& build) {
  run_as_step(context, configure_command(context, build), "configuring " + build.preset, [](const ChildProcess::Options& options) {
    ConfigureMessages messages([](std::string_view text) { fmt::print(stderr, "{}", text); });
    const int status = run_command(options, [&](std::string_view line) { messages.take(line); });
    messages.end();
    return status;
  });
}

}  // namespace

void run_step(const Context& context, const Argv& argv, const std::string& what) {
  run_as_step(context, argv, what, [](const ChildProcess::Options& options) { return run_command(options); });
}

BuildFolder board_build(const Context& context, const Board& board, const BuildRequest& request) {
  BuildFolder build;
  build.preset = board.name + (request.debug ? "-debug" : "");
  build.folder = request.build_dir.empty() ? context.root / "build" / build.preset : request.build_dir;
  build.cache["AXVISOR_BOARD"] = board.cmake_value;
  if (!board.derived.empty()) {
    build.board_file = board.derived;
    build.cache["AXVISOR_BOARD"] = (build.folder / "board" / (board.name + ".toml")).string();
  }
  build.cache["AXVISOR_VM_CONFIGS"] = vm_config_list(context, request);
  build.cache["AXVISOR_SMP"] = request.smp ? std::to_string(*request.smp) : environment("AXVISOR_SMP");
  build.cache["AXVISOR_CONFIG_PATH"] = absolute_list(context, environment("AXVISOR_CONFIG_PATH"));
  return build;
}

BuildFolder host_build(const Context& context, const std::string& preset) {
  return {preset, context.root / "build" / preset, {{"AXVISOR_BOARD", ""}}};
}

void configure_and_build(const Context& context, const BuildFolder& build, const Argv& targets) {
  if (!build.board_file.empty()) {
    const fs::path& file = build.cache.at("AXVISOR_BOARD");
    if (context.dry_run) {
      print_out(fmt::format("# writes {}\n", file.string()));
    } else {
      write_file_if_changed(file, build.board_file);
    }
  }
  if (was_moved(build) || !is_current(build)) {
    context.console.step(fmt::format("configuring {} in {}", build.preset, build.folder.string()));
    run_configure(context, build);
  }
  context.console.step("building " + build.preset);
  Argv command{"cmake", "--build", build.folder.string()};
  if (context.console.verbosity() == Verbosity::Quiet) {
    command.insert(command.end(), {"--", "--quiet"});
  }
  if (!targets.empty()) {
    command.insert(command.begin() + 3, targets.begin(), targets.end());
    command.insert(command.begin() + 3, "--target");
  }
  run_step(context, command, "building " + build.preset);
}

std::map<std::string, std::string> read_cmake_cache(const fs::path& folder) {
  std::map<std::string, std::string> cache;
  const fs::path file = folder / "CMakeCache.txt";
  if (!fs::exists(file)) {
    return cache;
  }
  static const RE2 kEntry("([^#/:=][^:=]*):[A-Z]+=(.*)");
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    std::string name;
    std::string value;
    if (RE2::FullMatch(line, kEntry, &name, &value)) {
      cache[name] = value;
    }
  }
  return cache;
}

}  // namespace ax::xtask
