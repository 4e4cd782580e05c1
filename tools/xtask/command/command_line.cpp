#include <fmt/format.h>
#include <re2/re2.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 timeout of an emulator run, 4 missing tool, package or network,\n"
    "130 interrupted.";

std::string footer(const Command& command) {
  std::string text(command.description);
  text += text.empty() ? "" : "\n\n";
  text += command.examples.empty() ? "" : "Examples:\n";
  for (const Example& example : command.examples) {
    text += fmt::format("  ./xtask {:<44} {}\n", example.command, example.effect);
  }
  return text + "\nOptions of every command: -v, -q, --dry-run, -y/--yes, --no-install (./xtask --help).";
}

/// The CLI11 side of the table.
class CommandLine {
 public:
  CommandLine() : app_("AxVisor: configure, build, run and test the hypervisor.", "./xtask") {
    app_.footer(kExitCodes);
    // At most one: a later word that happens to be a command's name is an argument (`help qemu`).
    app_.require_subcommand(0, 1);
    app_.add_flag("-v,--verbose", verbose_, "Say every command that is run");
    app_.add_flag("-q,--quiet", quiet_, "Only warnings and errors");
    app_.add_flag("--dry-run", context_.dry_run, "Print the exact commands instead of running them");
    app_.add_flag("-y,--yes", context_.yes, "Install missing packages without asking");
    app_.add_flag("--no-install", context_.no_install, "Never install packages");
    app_.set_version_flag("--version", "axvisor " XTASK_VERSION, "Say which version this is");
    add(app_, command_table());
  }

  int run(std::span<const std::string> arguments) {
    const auto separator = std::find(arguments.begin(), arguments.end(), "--");
    const std::span<const std::string> own(arguments.begin(), separator);
    if (separator != arguments.end()) {
      context_.rest.assign(separator + 1, arguments.end());
    }
    try {
      // CLI11 takes its arguments last one first.
      app_.parse(std::vector<std::string>(own.rbegin(), own.rend()));
    } catch (const CLI::ParseError& error) {
      return parse_error(error);
    }
    const CLI::App* chosen = deepest();
    const auto handler = handlers_.find(chosen);
    if (handler == handlers_.end()) {
      print_out(full_help(*chosen));
      return static_cast<int>(chosen == &app_ ? ExitCode::Success : ExitCode::Usage);
    }
    if (!context_.rest.empty() && !takes_rest_.contains(chosen)) {
      throw Failure(ExitCode::Usage, fmt::format("{} takes no arguments after --", chosen == &app_ ? "xtask" : path_of(*chosen)));
    }
    set_context();
    return static_cast<int>(handler->second(context_));
  }

  const Console& console() const { return context_.console; }

 private:
  void add(CLI::App& parent, std::span<const Command> commands) {
    for (const Command& command : commands) {
      CLI::App* sub = parent.add_subcommand(std::string(command.name), std::string(command.summary));
      sub->fallthrough();
      sub->footer(footer(command));
      if (Handler handler = command.declare != nullptr ? command.declare(*sub) : nullptr) {
        handlers_[sub] = std::move(handler);
      }
      if (command.takes_rest) {
        takes_rest_.insert(sub);
      }
      add(*sub, command.children);
    }
  }

  const CLI::App* deepest() const {
    const CLI::App* app = &app_;
    while (!app->get_subcommands().empty()) {
      app = app->get_subcommands().front();
    }
    return app;
  }

  int parse_error(const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return app_.exit(error);  // --help
    }
    std::string message = with_choice(error.what());
    const CLI::App* app = deepest();
    const std::string hint =
        app == &app_ ? "./xtask --help lists the commands" : fmt::format("./xtask {} --help explains the command", path_of(*app));
    const std::vector<std::string> extras = app_.remaining(true);
    if (!extras.empty()) {
      const bool option = extras.front().starts_with('-');
      const std::vector<std::string> known = option ? option_names(*app) : command_names(*app);
      message = fmt::format("unknown {} '{}'{}", option ? "option" : known.empty() ? "argument" : "command",
                            extras.front(), did_you_mean(extras.front(), known));
    }
    context_.console.error(message, hint);
    return static_cast<int>(ExitCode::Usage);
  }

  /// "--accel: kmv not in {auto,kvm,tcg}", with the choice that was probably meant.
  static std::string with_choice(const std::string& message) {
    static const RE2 kChoice(R"(: (.*) not in \{(.*)\}$)");
    std::string value;
    std::string list;
    if (!RE2::PartialMatch(message, kChoice, &value, &list)) {
      return message;
    }
    std::vector<std::string> choices;
    std::istringstream words(list);
    for (std::string word; std::getline(words, word, ',');) {
      choices.push_back(word);
    }
    return message + did_you_mean(value, choices);
  }

  /// "vmconfig plot".
  static std::string path_of(const CLI::App& app) {
    const CLI::App* parent = app.get_parent();
    return (parent->get_parent() == nullptr ? "" : path_of(*parent) + " ") + app.get_name();
  }

  static std::vector<std::string> command_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(sub->get_name());
    }
    return names;
  }

  static std::vector<std::string> option_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
      for (const CLI::Option* option : level->get_options()) {
        for (const std::string& name : option->get_lnames()) {
          names.push_back("--" + name);
        }
        for (const std::string& name : option->get_snames()) {
          names.push_back("-" + name);
        }
      }
    }
    return names;
  }

  void set_context() {
    context_.console.set_verbosity(quiet_ ? Verbosity::Quiet : verbose_ ? Verbosity::Verbose : Verbosity::Normal);
    context_.current = fs::current_path();
    context_.root = find_root(context_.current);
  }

  static bool is_root(const fs::path& folder) {
    return fs::exists(folder / "CMakePresets.json") && fs::is_directory(folder / "configs");
  }

  /// $AXVISOR_ROOT (set by the root script), else the tree around the current folder, else the one this program was built in.
  static fs::path find_root(const fs::path& current) {
    if (const char* root = std::getenv("AXVISOR_ROOT"); root != nullptr && *root != '\0') {
      return fs::canonical(root);
    }
    for (const fs::path& start : {current, fs::read_symlink("/proc/self/exe")}) {
      for (fs::path folder = start; folder != folder.root_path(); folder = folder.parent_path()) {
        if (is_root(folder)) {
          return folder;
        }
      }
    }
    throw Failure(ExitCode::Usage, "no source tree here: run this inside a checkout, or set AXVISOR_ROOT");
  }

  CLI::App app_;
  Context context_;
  bool verbose_ = false;
  bool quiet_ = false;
  std::map<const CLI::App*, Handler> handlers_;
  std::set<const CLI::App*> takes_rest_;
};

}  // namespace

std::string full_help(const CLI::App& app) {
  std::string parents;
  for (const CLI::App* parent = app.get_parent(); parent != nullptr; parent = parent->get_parent()) {
    parents = parent->get_name() + (parents.empty() ? "" : " ") + parents;
  }
  return app.help(parents);
}

int run_command_line(std::span<const std::string> arguments) {
  Console console;
  try {
    const int status = CommandLine().run(arguments);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      throw Failure(ExitCode::Failure, fmt::format("cannot write the output: {}", std::strerror(errno)));
    }
    return status;
  } catch (const Failure& failure) {
    if (failure.code() == ExitCode::Skipped) {
      print_out(std::string(failure.what()) + "\n");
    } else {
      console.error(failure.what(), failure.hint());
    }
    return static_cast<int>(failure.code());
  } catch (const std::exception& error) {
    console.error(error.what());
    return static_cast<int>(ExitCode::Failure);
  }
}

}  // namespace ax::xtask
