// How an application with [os] is compiled and linked: the commands, for people, editors and the build.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tools/app/application.hpp"

namespace ax::app {

/// Where things are, all absolute.
struct OsFolders {
  std::filesystem::path build;      ///< of the application
  std::filesystem::path unikernel;  ///< what the system provides: include, lib, linker.lds
};

struct OsStep {
  enum class Kind : u8 { Compile, Archive, LinkObject, Link, Strip };
  Kind kind;
  Words command;
  std::filesystem::path input;  ///< of a compilation
  std::filesystem::path output;
};

/// A name in the description, and the program that does its work here.
struct StandIn {
  std::string named;
  std::string used;
};

struct OsBuild {
  std::vector<OsStep> steps;  ///< in an order in which they can run
  std::vector<StandIn> stand_ins;
  std::vector<std::pair<std::string, std::string>> settings;  ///< what is built into the system: NAME, value
  std::filesystem::path elf;
  std::filesystem::path bin;
};

OsBuild plan_os_build(const Application& app, const OsFolders& folders);

}  // namespace ax::app
