#include "tools/xtask/app/app_build.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <sstream>

#include "tools/app/ide.hpp"
#include "tools/app/project.hpp"
#include "tools/app/sources.hpp"
#include "tools/xtask/app/app_machine.hpp"
#include "tools/xtask/app/app_package.hpp"
#include "tools/xtask/build/cmake_build.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

std::expected<std::string, std::string> run_pkg_config(const app::Words& command) {
  try {
    const CapturedOutput result = capture_command({.argv = command, .console = ChildProcess::Console::Capture});
    if (result.status == 0) {
      return result.output;
    }
    return std::unexpected(fmt::format("{} failed (status {})", format_command(command), result.status));
  } catch (const Failure& failure) {
    if (failure.code() == ExitCode::Interrupted) {
      throw;
    }
    return std::unexpected(std::string(failure.what()));
  }
}

/// The path as a user in `current` would write it.
std::string display_of(const fs::path& path, const fs::path& current) {
  const std::string relative = path.lexically_relative(current).string();
  return relative.empty() || relative.starts_with("..") ? path.string() : relative;
}

fs::path description_of(const Context& context, const AppOptions& options) {
  if (!options.file.empty()) {
    return context.resolve(options.file);
  }
  const fs::path folder = context.resolve(options.folder);
  if (fs::is_regular_file(folder)) {
    return folder;
  }
  if (!fs::is_directory(folder)) {
    throw Failure(ExitCode::Usage, fmt::format("no such folder: {}", folder.string()));
  }
  auto file = app::find_description(folder);
  if (!file) {
    throw Failure(ExitCode::Usage, file.error(), "./xtask app init NAME makes a new application");
  }
  return *std::move(file);
}

/// Everything that the build runs must be there before it begins.
void require_programs(const app::Application& application) {
  std::set<std::string> programs;
  const app::Compiler& compiler = application.compiler;
  if (!compiler.launcher.empty()) {
    programs.insert(compiler.launcher.front());
  }
  for (const app::Target& target : application.targets) {
    const auto uses = [&](app::Language language) {
      return std::ranges::find(target.sources, language, &app::Source::language) != target.sources.end();
    };
    programs.insert(uses(app::Language::Cxx) ? compiler.cxx : compiler.c);
    if (!target.archiver.empty()) {
      programs.insert(target.archiver.front());
    }
    if (!target.linker.empty()) {
      programs.insert(target.linker.front());
    }
  }
  for (const std::string& program : programs) {
    if (!find_program(program)) {
      throw Failure(ExitCode::Environment, fmt::format("the program '{}' is not installed", program),
                    "install it, or name another one in the description");
    }
  }
}

struct ProjectChange {
  bool any = false;
  bool compiler = false;  ///< CMake has to forget what it knows
};

/// Writes what changed and removes targets that are gone.
ProjectChange write_project(const fs::path& folder, const app::Application& application) {
  ProjectChange change;
  std::set<fs::path> targets;
  for (const app::GeneratedFile& file : app::cmake_project(application, folder)) {
    const bool changed = write_file_if_changed(folder / file.path, file.text);
    change.any |= changed;
    change.compiler |= changed && file.path == app::kCompilerFile;
    targets.insert((folder / file.path).parent_path());
  }
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "targets", none)) {
    if (!targets.contains(entry.path())) {
      fs::remove_all(entry.path());
    }
  }
  return change;
}

Argv configure_command(const LoadedApp& loaded, const AppOptions& options, bool fresh) {
  Argv command{"cmake"};
  if (fresh) {
    command.emplace_back("--fresh");
  }
  command.insert(command.end(), {"-G", "Ninja", "-S", (loaded.build_folder() / "project").string(), "-B",
                                 loaded.build_folder().string(),
                                 options.debug ? "-DCMAKE_BUILD_TYPE=Debug" : "-DCMAKE_BUILD_TYPE=Release"});
  return command;
}

/// Ninja itself: asking CMake to start it would cost more than finding out that nothing is to be done.
Argv build_command(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  Argv command{"ninja", "-C", loaded.build_folder().string()};
  if (options.jobs > 0) {
    command.insert(command.end(), {"-j", std::to_string(options.jobs)});
  }
  if (options.keep_going) {
    command.insert(command.end(), {"-k", "0"});
  }
  const auto& os = loaded.application().os;
  const unsigned wanted = os ? os->verbosity : 0;  // by the description
  const Verbosity verbosity = context.console.verbosity();
  if (verbosity == Verbosity::Quiet) {
    command.emplace_back("--quiet");
  } else if (verbosity == Verbosity::Verbose || wanted > 0) {
    command.emplace_back("--verbose");
  }
  if (verbosity != Verbosity::Quiet && wanted > 1) {
    command.insert(command.end(), {"-d", "explain"});
  }
  return command;
}

std::string why_not_configured(const fs::path& folder) {
  constexpr std::uintmax_t kLittle = 1 << 20;
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  return !error && space.available < kLittle
             ? "the disk is full: --build-dir FOLDER builds elsewhere"
             : "is the compiler able to compile? " + (folder / "CMakeFiles/CMakeError.log").string();
}

/// CMake and Ninja know absolute paths: what was moved or copied would be built where it was before.
void leave_other_place(const fs::path& folder) {
  const fs::path mark = folder / ".place";
  const std::string here = fs::weakly_canonical(folder).string() + "\n";
  if (fs::exists(mark) && read_file(mark) == here) {
    return;
  }
  if (fs::exists(mark) || fs::exists(folder / "CMakeCache.txt")) {
    fs::remove_all(folder);
  }
  write_file(mark, here);
}

void configure(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  const fs::path& folder = loaded.build_folder();
  leave_other_place(folder);
  const fs::path ninja_file = folder / "build.ninja";
  const ProjectChange change = write_project(folder / "project", loaded.application());
  if (change.any) {
    fs::remove(ninja_file);  // an unfinished configuration must not be taken for one
  }
  if (fs::exists(ninja_file)) {
    return;
  }
  context.console.step("configuring " + folder.string());
  const fs::path unfinished = folder / ".unfinished";
  const bool fresh = (change.compiler || fs::exists(unfinished)) && fs::exists(folder / "CMakeCache.txt");
  write_file(unfinished, "");
  const Argv command = configure_command(loaded, options, fresh);
  context.console.detail(format_command(command));
  const CapturedOutput result = capture_command({.argv = command, .environment = clean_build_environment()});
  if (result.status != 0) {
    fs::remove(ninja_file);
    fmt::print(stderr, "{}", result.output);
    throw Failure(ExitCode::Failure, "CMake cannot configure the application", why_not_configured(folder));
  }
  remove_old_products(folder);
  fs::remove(unfinished);
}

}  // namespace

LoadedApp::LoadedApp(const Context& context, const AppOptions& options) {
  const fs::path path = description_of(context, options);
  const auto file = sources_.open(path, display_of(path, context.current));
  if (!file) {
    throw Failure(ExitCode::Usage, fmt::format("{}: {}", path.string(), file.error()));
  }
  for (const app::Package& package : app::load_packages(**file)) {
    have_package(context, package);
  }
  config::Diagnostics diagnostics;
  app_ = app::load_application(**file, run_pkg_config, diagnostics);
  if (!options.accel.empty() && app_.os) {
    app_.os->qemu.accel = options.accel;
  }
  const bool quiet = context.console.verbosity() == Verbosity::Quiet && diagnostics.ok();
  if (!quiet) {
    const bool color = ::isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
    fmt::print(stderr, "{}", diagnostics.render(color));
  }
  if (!diagnostics.ok()) {
    throw Failure(ExitCode::Usage, fmt::format("{} is wrong", display_of(path, context.current)));
  }
  const bool release = app_.os ? app_.os->release && !options.debug : !options.debug;
  build_root_ = options.build_dir.empty() ? app_.folder / app::kBuildFolder : context.resolve(options.build_dir);
  const std::string name = fmt::format("{}-{}", app_.os ? app_.os->platform : "host", release ? "release" : "debug");
  build_folder_ = build_root_ / name;
  unikernel_folder_ = context.root / "build/unikernel" / name;
  if (app_.os) {
    app_.os->release = release;
  }
}

fs::path LoadedApp::program() const {
  if (app_.app) {
    return *app_.app;
  }
  const app::Target* target = app_.program();
  if (target == nullptr) {
    throw Failure(ExitCode::Usage, "there is no program to run: no target has type = \"exe\"");
  }
  return build_folder_ / "bin" / app::product_name(*target);
}

void write_editor_files(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  const app::Application& application = loaded.application();
  std::vector<app::CompileCommand> commands;
  if (options.gen_cc && application.os) {
    commands = app::os_compile_commands(application, os_plan(context, loaded));
  } else if (options.gen_cc) {
    commands = app::host_compile_commands(application, loaded.build_folder());
  }
  const auto write = [&](const fs::path& path, const std::string& text) {
    if (context.dry_run) {
      print_out(fmt::format("# writes {}\n", path.string()));
    } else if (write_file_if_changed(path, text)) {
      context.console.step("wrote " + path.string());
    }
  };
  if (options.gen_cc) {
    write(application.folder / "compile_commands.json", app::compile_commands_json(commands));
  }
  if (options.gen_vsc) {
    write(application.folder / ".vscode/c_cpp_properties.json", app::vscode_properties(application));
  }
}

void build_for_host(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  const app::Application& application = loaded.application();
  write_editor_files(context, loaded, options);
  if (application.targets.empty()) {
    context.console.step(fmt::format("nothing to build: {} is ready made", application.app->string()));
    return;
  }
  if (context.dry_run) {
    print_out(format_command(configure_command(loaded, options, false)) + "\n");
    print_out(format_command(build_command(context, loaded, options)) + "\n");
    return;
  }
  require_programs(application);
  make_build_root(loaded.build_root());
  const FileLock lock(loaded.build_root() / ".lock",
                      [&] { context.console.step("waiting for another build of this application"); });
  configure(context, loaded, options);
  run_ninja(context, loaded, options);
}

void make_build_root(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw Failure(ExitCode::Environment, fmt::format("cannot make the folder {}: {}", folder.string(), error.message()),
                  "--build-dir FOLDER builds elsewhere");
  }
  write_file_if_changed(folder / ".gitignore", "*\n");
  write_file_if_changed(folder / app::kBuildMark, "");
}

namespace {

/// Ninja says that it had nothing to do even where it was told to be quiet.
int run_quietly(const ChildProcess::Options& options) {
  const CapturedOutput result = capture_command(options);
  std::istringstream lines(result.output);
  for (std::string line; std::getline(lines, line);) {
    if (line != "ninja: no work to do.") {
      fmt::print(stderr, "{}\n", line);
    }
  }
  return result.status;
}

}  // namespace

void remove_old_products(const fs::path& folder) {
  if (fs::exists(folder / ".ninja_log")) {
    static_cast<void>(capture_command({.argv = {"ninja", "-C", folder.string(), "-t", "cleandead"}}));
  }
}

void run_ninja(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  const Argv command = build_command(context, loaded, options);
  context.console.detail(format_command(command));
  const bool quiet = context.console.verbosity() == Verbosity::Quiet;
  // Standard output is the program's, where it is run next.
  const ChildProcess::Options child{
      .argv = command, .environment = clean_build_environment(), .console = ChildProcess::Console::Stderr};
  if ((quiet ? run_quietly(child) : run_command(child)) != 0) {
    throw Failure(ExitCode::Failure, "the application was not built");
  }
}

void become_program(const Argv& command, const fs::path& folder) {
  std::fflush(nullptr);
  if (::chdir(folder.c_str()) != 0) {
    throw Failure(ExitCode::Environment, fmt::format("cannot enter {}: {}", folder.string(), std::strerror(errno)));
  }
  std::vector<char*> words;
  for (const std::string& word : command) {
    words.push_back(const_cast<char*>(word.c_str()));
  }
  words.push_back(nullptr);
  ::execvp(words[0], words.data());
  throw Failure(ExitCode::Environment, fmt::format("cannot run {}: {}", command.front(), std::strerror(errno)));
}

}  // namespace ax::xtask
