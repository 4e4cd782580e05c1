// Builds an application: reads its description, writes the CMake project, runs it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tools/app/application.hpp"
#include "tools/xtask/core/context.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {

/// What the commands of `app` are told.
struct AppOptions {
  std::filesystem::path folder = ".";
  std::filesystem::path file;
  std::filesystem::path build_dir;
  std::vector<std::string> program_args;
  std::string accel;
  std::string junit;
  std::string test_regex;
  std::string name;
  int jobs = 0;
  bool keep_going = false;
  bool hypervisor = false;
  bool debug = false;
  bool gen_cc = false;
  bool gen_vsc = false;
  bool build = false;
  bool run = false;
  bool clean = false;
  bool c = false;
  bool cpp = false;
};

/// A description that was read and found right.
class LoadedApp {
 public:
  /// Prints every mistake. Throws Failure(Usage) where there is no description, or an error in it.
  LoadedApp(const Context& context, const AppOptions& options);

  const app::Application& application() const { return app_; }
  /// One folder per platform and mode.
  const std::filesystem::path& build_folder() const { return build_folder_; }
  /// All of them.
  const std::filesystem::path& build_root() const { return build_root_; }
  /// Where what this tree provides for [os] is made.
  const std::filesystem::path& unikernel_folder() const { return unikernel_folder_; }
  /// The program for this machine, built or ready made. Throws Failure(Usage) when there is none.
  std::filesystem::path program() const;

 private:
  config::SourceStore sources_;
  app::Application app_;
  std::filesystem::path build_root_;
  std::filesystem::path build_folder_;
  std::filesystem::path unikernel_folder_;
};

/// Makes everything of an application for this machine, and the files for editors that were asked for. Throws Failure
/// when a tool is missing or the build fails.
void build_for_host(const Context& context, const LoadedApp& loaded, const AppOptions& options);

/// Writes compile_commands.json and .vscode/c_cpp_properties.json, as asked for.
void write_editor_files(const Context& context, const LoadedApp& loaded, const AppOptions& options);

/// Makes the folder of everything that is built. Throws Failure(Environment) where nothing can be written.
void make_build_root(const std::filesystem::path& folder);

/// Removes what the build in `folder` made and does not make any more: products and objects of targets that are gone.
void remove_old_products(const std::filesystem::path& folder);

/// Runs Ninja in the build folder. Throws Failure when the build fails.
void run_ninja(const Context& context, const LoadedApp& loaded, const AppOptions& options);

/// Becomes the program: its terminal, signals and exit status are those of xtask. Returns only by throwing Failure.
[[noreturn]] void become_program(const Argv& command, const std::filesystem::path& folder);

}  // namespace ax::xtask
