// How an application with [os] is compiled and linked: the commands, for people, editors and the build.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/app/application.hpp"
#include "tools/app/os_provider.hpp"

namespace ax::app {

struct OsBuild {
  std::vector<OsStep> steps;  ///< in an order in which they can run
  std::vector<StandIn> stand_ins;
  std::vector<std::pair<std::string, std::string>> settings;  ///< what is built into the system: NAME, value
  std::filesystem::path elf;
  std::filesystem::path bin;
};

/// Everything is made in `folder` (absolute).
OsBuild plan_os_build(const Application& app, const OsProvider& provider, const std::filesystem::path& folder);

/// The plan as a file for Ninja: commands are compared, headers are found by the compiler.
std::string ninja_file(const OsBuild& plan, const Application& app);

}  // namespace ax::app
