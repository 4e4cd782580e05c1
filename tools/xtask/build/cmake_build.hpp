// Configuring and building through CMake presets, exactly as a person would without xtask.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/xtask/build/board.hpp"
#include "tools/xtask/core/context.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {

/// What the user's environment must not leak into a build: CMake takes compilers and flags from these.
EnvironmentChanges clean_build_environment();

/// What a person sees of CMake's messages: not its own report, with a call stack, of a generator that has just said itself what is
/// wrong with a configuration.
class ConfigureMessages {
 public:
  /// Gives `show` what is to be seen, now or when it is clear what a message is about.
  explicit ConfigureMessages(std::function<void(std::string_view)> show) : show_(std::move(show)) {}
  /// With its end of line.
  void take(std::string_view line);
  void end();

 private:
  std::function<void(std::string_view)> show_;
  std::string message_;  ///< of CMake's own, whose end has not come
};

/// Runs a command in the source tree, or prints it with --dry-run. Throws Failure(Failure, `what` failed) when it fails.
void run_step(const Context& context, const Argv& argv, const std::string& what);

/// One build folder and the cache values it must have.
struct BuildFolder {
  std::string preset;
  std::filesystem::path folder;
  std::map<std::string, std::string> cache;
  /// Text of the board file that AXVISOR_BOARD names and that is written before configuring; empty: it exists.
  std::string board_file{};
};

/// What a board build may be told on the command line.
struct BuildRequest {
  bool debug = false;
  std::filesystem::path build_dir;              ///< empty: build/<preset>
  std::vector<std::filesystem::path> vm_configs;  ///< absolute; empty: AXVISOR_VM_CONFIGS, then the board's own
  std::optional<std::int64_t> smp;              ///< none: AXVISOR_SMP, then the board's own
};

BuildFolder board_build(const Context& context, const Board& board, const BuildRequest& request);
/// Of a preset that is no board.
BuildFolder host_build(const Context& context, const std::string& preset);

/// Every name in CMakePresets.json.
std::vector<std::string> preset_names(const Context& context);

/// Configures where the folder is new or one of its values differs, then builds `targets` (none: everything).
void configure_and_build(const Context& context, const BuildFolder& build, const Argv& targets = {});

/// KEY:TYPE=VALUE lines of a CMakeCache.txt; empty if there is none.
std::map<std::string, std::string> read_cmake_cache(const std::filesystem::path& folder);

}  // namespace ax::xtask
