// Where the system of an application with [os] comes from. A provider says which tools, options and libraries a build uses;
// the build itself (os_build.hpp) is the same for all of them.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tools/app/application.hpp"

namespace ax::app {

struct OsStep {
  enum class Kind : u8 {
    System,  ///< makes a part of the system itself; its tool knows what is stale
    Once,    ///< makes a part of the system that never changes
    Compile,
    Archive,
    LinkObject,
    Link,
    Strip,
  };
  Kind kind;
  Words command;
  std::vector<std::filesystem::path> inputs;  ///< of a compilation: the source
  std::filesystem::path output;
  std::filesystem::path folder{};  ///< where it runs; empty: in the application's
  std::vector<std::pair<std::string, std::string>> environment{};
  std::vector<std::filesystem::path> more_outputs{};
  bool before_compiling = false;  ///< makes headers, besides those of Kind::Once
};

/// A name in the description, and the program that does its work here.
struct StandIn {
  std::string named;
  std::string used;
};

struct OsProvider {
  std::string name;  ///< for people: "the unikernel", "RuxOS 0.0.3"
  Words c;           ///< the compiler of C and assembly
  Words cxx;
  bool other_tools = false;  ///< linker and archiver of ours do the work of those that the description names
  Words linker;
  Words archiver;              ///< empty: that of the description
  Words objcopy;               ///< before the ELF file
  Words objcopy_options;       ///< between the ELF file and the binary
  Words options;               ///< of every compilation, before those of its target
  std::vector<OsStep> system;  ///< makes what is named below, in an order in which it can run
  Words link_options{"-nostdlib", "-static", "-no-pie", "--gc-sections"};  ///< of the program's link, before the script
  std::filesystem::path linker_script;
  std::vector<std::filesystem::path> libraries;                      ///< of every program
  std::filesystem::path loader;                                      ///< object of the program that starts a ready-made one
  std::vector<std::pair<std::filesystem::path, std::string>> files;  ///< sources that the build writes: path, text
  /// What a ready-made program needs beside it: a product of `system`, and its path in the shared folder.
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> shared;
};

/// Options that depend on the architecture, the mode and the services alone.
Words machine_options(const Os& os);
/// "FP_SIMD" of "fp_simd"
std::string upper_case(std::string text);

}  // namespace ax::app
