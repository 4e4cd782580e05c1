#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <memory>

#include "tools/xtask/app/app_machine.hpp"
#include "tools/xtask/app/app_template.hpp"
#include "tools/xtask/app/app_test.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/image/apt_source.hpp"
#include "tools/xtask/image/image_store.hpp"
#include "tools/xtask/command/values.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

using Options = std::shared_ptr<AppOptions>;

// ---- options

constexpr int kMostJobs = 1024;

/// A folder, or the description in it.
CLI::Validator existing_place(const CLI::App& app) {
  return CLI::Validator(
      [folder = existing_folder(&app)](std::string& text) { return fs::is_regular_file(text) ? std::string() : folder(text); },
      "");
}

void add_place(CLI::App& app, AppOptions& options) {
  app.add_option("DIR", options.folder, "Folder with config_linux.toml or app.toml, or such a file (default: the current folder)")
      ->type_name("")
      ->check(existing_place(app));
  app.add_option("-f,--file", options.file, "The description itself")->type_name("FILE")->check(existing_file());
  app.add_option("--build-dir", options.build_dir,
                 "Where everything is made (default: app_build beside the description)")
      ->type_name("FOLDER");
  app.add_flag("--debug", options.debug, "Unoptimised, with debug information; in a folder of its own");
}

void add_build_options(CLI::App& app, AppOptions& options) {
  app.add_option("-j,--jobs", options.jobs, "Commands at a time (default: one per CPU, and some)")
      ->check(CLI::Range(1, kMostJobs));
  app.add_flag("-k,--keep-going", options.keep_going, "Go on after an error with what does not depend on it");
  app.add_flag("--gen-cc", options.gen_cc, "Write compile_commands.json beside the description");
  app.add_flag("--gen-vsc", options.gen_vsc, "Write .vscode/c_cpp_properties.json beside the description");
}

void add_run_options(CLI::App& app, AppOptions& options) {
  app.add_option("--bin-args", options.program_args, "Arguments of the program, or of QEMU with [os] (also: after --)")
      ->type_name("A,B,...")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--accel", options.accel, "What executes an [os] machine, instead of the description's `accel`")
      ->check(CLI::IsMember({"auto", "kvm", "tcg"}));
  app.add_flag("--hypervisor", options.hypervisor, "Run an [os] program as a guest of the hypervisor, which is built with it");
}

// ---- actions

AppOptions with_rest(const Context& context, AppOptions options) {
  options.program_args.insert(options.program_args.end(), context.rest.begin(), context.rest.end());
  return options;
}

void clean(const Context& context, const AppOptions& options) {
  fs::path folder = options.build_dir.empty() ? fs::path() : context.resolve(options.build_dir);
  if (folder.empty()) {
    const fs::path place = context.resolve(options.file.empty() ? options.folder : options.file);
    const fs::path beside = fs::is_directory(place) ? place : place.parent_path();
    if (!fs::is_directory(beside)) {
      throw Failure(ExitCode::Usage, fmt::format("no such folder: {}", beside.string()));
    }
    folder = beside / app::kBuildFolder;
  }
  if (context.dry_run) {
    print_out(format_command({"rm", "-rf", folder}) + "\n");
    return;
  }
  // Only what a build has made: a folder that a user names by mistake is not emptied.
  if (fs::exists(folder) && !fs::exists(folder / app::kBuildMark) && !fs::exists(folder / ".lock")) {
    throw Failure(ExitCode::Usage, fmt::format("{} is no build folder of an application", folder.string()),
                  "remove it by hand");
  }
  fs::remove_all(folder);
  context.console.step("removed " + folder.string());
}

void build(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  if (!loaded.application().os) {
    build_for_host(context, loaded, options);
    return;
  }
  write_editor_files(context, loaded, options);
  if (context.dry_run) {
    show_os_build(context, loaded);
    return;
  }
  build_os(context, loaded, options);
}

Argv program_command(const LoadedApp& loaded, const AppOptions& options) {
  Argv command{loaded.program().string()};
  command.insert(command.end(), options.program_args.begin(), options.program_args.end());
  return command;
}

void run(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  if (loaded.application().os) {
    run_machine(context, loaded, options, false);
    return;
  }
  const Argv command = program_command(loaded, options);
  if (context.dry_run) {
    print_out(format_command(command) + "\n");
    return;
  }
  if (!fs::is_regular_file(command.front())) {
    throw Failure(ExitCode::Usage, fmt::format("could not find binary: {}", command.front()),
                  "build the application first");
  }
  become_program(command, loaded.application().folder);
}

void debug(const Context& context, const LoadedApp& loaded, const AppOptions& options) {
  if (loaded.application().os) {
    run_machine(context, loaded, options, true);
    return;
  }
  Argv command{find_program("gdb") ? "gdb" : "gdb-multiarch", "--args"};
  const Argv program = program_command(loaded, options);
  command.insert(command.end(), program.begin(), program.end());
  if (context.dry_run) {
    print_out(format_command(command) + "\n");
    return;
  }
  if (!find_program(command.front())) {
    throw Failure(ExitCode::Environment, "there is no debugger: neither gdb nor gdb-multiarch is installed",
                  "install the package gdb");
  }
  become_program(command, loaded.application().folder);
}

ExitCode instead(std::string_view what, std::string_view use) {
  throw Failure(ExitCode::Usage, fmt::format("there is no 'app {}'", what), std::string(use));
}

/// Ruxgo's flags belong to `app` itself: beside a command they would be without effect.
void refuse_flags(const CLI::App& app) {
  for (const char* flag : {"-b", "-r", "-c"}) {
    if (app.get_parent()->count(flag) != 0) {
      throw Failure(ExitCode::Usage,
                    fmt::format("{} stands for a command, and '{}' is one already", flag, app.get_name()));
    }
  }
}

using Action = void (*)(const Context&, const LoadedApp&, const AppOptions&);

Handler handler(const CLI::App& app, const Options& options, std::initializer_list<Action> actions) {
  return [&app, options, steps = std::vector<Action>(actions)](Context& context) {
    refuse_flags(app);
    const AppOptions complete = with_rest(context, *options);
    const LoadedApp loaded(context, complete);
    for (const Action step : steps) {
      step(context, loaded, complete);
    }
    return ExitCode::Success;
  };
}

Options declared(CLI::App& app, std::initializer_list<void (*)(CLI::App&, AppOptions&)> groups) {
  const Options options = std::make_shared<AppOptions>();
  for (const auto group : groups) {
    group(app, *options);
  }
  return options;
}

}  // namespace

Handler declare_app(CLI::App& app) {
  const Options options = declared(app, {add_place, add_build_options, add_run_options});
  app.require_subcommand(0, 1);
  app.add_flag("-b,--build", options->build, "Build, as Ruxgo spells it");
  app.add_flag("-r,--run", options->run, "Run what was built, as Ruxgo spells it");
  app.add_flag("-c,--clean", options->clean, "Clean, as Ruxgo spells it; before -b and -r");
  app.add_option("--path", options->folder, "DIR, as Ruxgo spells it")->type_name("DIR")->check(existing_folder());
  return [options, &app](Context& context) {
    const AppOptions complete = with_rest(context, *options);
    const bool for_editors = complete.gen_cc || complete.gen_vsc;
    if (!complete.build && !complete.run && !complete.clean && !for_editors) {
      print_out(full_help(app));
      return ExitCode::Usage;
    }
    if (complete.clean) {
      clean(context, complete);
    }
    if (complete.build || complete.run || for_editors) {
      const LoadedApp loaded(context, complete);
      if (complete.build) {
        build(context, loaded, complete);
      } else {
        write_editor_files(context, loaded, complete);
      }
      if (complete.run) {
        run(context, loaded, complete);
      }
    }
    return ExitCode::Success;
  };
}

Handler declare_app_build(CLI::App& app) {
  return handler(app, declared(app, {add_place, add_build_options}), {build});
}

Handler declare_app_run(CLI::App& app) {
  return handler(app, declared(app, {add_place, add_build_options, add_run_options}), {build, run});
}

Handler declare_app_gdb(CLI::App& app) {
  const Options options = declared(app, {add_place, add_build_options, add_run_options});
  return [&app, options](Context& context) {
    refuse_flags(app);
    AppOptions complete = with_rest(context, *options);
    complete.debug = true;
    const LoadedApp loaded(context, complete);
    build(context, loaded, complete);
    debug(context, loaded, complete);
    return ExitCode::Success;
  };
}

Handler declare_app_check(CLI::App& app) {
  const Options options = declared(app, {add_place});
  return handler(app, options, {[](const Context& context, const LoadedApp& loaded, const AppOptions&) {
                   const app::Application& application = loaded.application();
                   if (application.app && !application.app_on_disk && !fs::is_regular_file(*application.app)) {
                     context.console.warn(fmt::format("there is no program {}", application.app->string()));
                   }
                   const auto& os = application.os;
                   const std::string name = os && !os->name.empty() ? fmt::format("{} on ", os->name) : "";
                   context.console.step(fmt::format("{} is right: {} target{}{}", application.file.string(),
                                                    application.targets.size(), application.targets.size() == 1 ? "" : "s",
                                                    os ? ", for " + name + os->platform : ""));
                 }});
}

Handler declare_app_clean(CLI::App& app) {
  const Options options = declared(app, {});
  app.add_option("DIR", options->folder, "Folder of the application, or its description (default: the current folder)")
      ->type_name("")
      ->check(existing_place(app));
  app.add_option("-f,--file", options->file, "The description itself")->type_name("FILE")->check(existing_file());
  app.add_option("--build-dir", options->build_dir, "Where everything was made")->type_name("FOLDER");
  return [&app, options](Context& context) {
    refuse_flags(app);
    clean(context, *options);
    return ExitCode::Success;
  };
}

Handler declare_app_init(CLI::App& app) {
  const Options options = declared(app, {});
  app.add_option("NAME", options->name, "Folder to be made; its last part is the program's name")
      ->required()
      ->type_name("");
  CLI::Option* c = app.add_flag("--c", options->c, "A program in C (default)");
  app.add_flag("--cpp", options->cpp, "A program in C++")->excludes(c);
  return [&app, options](Context& context) {
    refuse_flags(app);
    const fs::path named = context.resolve(options->name);
    const fs::path folder = named.has_filename() ? named : named.parent_path();
    if (context.dry_run) {
      print_out(fmt::format("# makes {}\n", folder.string()));
      return ExitCode::Success;
    }
    make_application(folder, options->cpp ? AppLanguage::Cxx : AppLanguage::C);
    context.console.step(fmt::format("made {}: try ./xtask app run {}", folder.string(), options->name));
    return ExitCode::Success;
  };
}

Handler declare_app_test(CLI::App& app) {
  const Options options = declared(app, {add_place, add_build_options});
  app.add_option("-R,--tests-regex", options->test_regex, "Only tests whose name matches")
      ->type_name("REGEX")
      ->check(expression());
  app.add_flag("--hypervisor", options->hypervisor, "Run an [os] program as a guest of the hypervisor, which is built with it");
  app.add_option("--junit", options->junit, "Write the results here too")->type_name("FILE");
  return [&app, options](Context& context) {
    refuse_flags(app);
    const LoadedApp loaded(context, *options);
    build(context, loaded, *options);
    return run_app_tests(context, loaded, *options);
  };
}

Handler declare_app_pkg(CLI::App& app) {
  app.fallthrough(false)->prefix_command();
  return [](Context&) {
    return instead("pkg",
                   "there is no index of packages: name a Debian source package in [[packages]], or put sources below the application");
  };
}

Handler declare_app_source(CLI::App& app) {
  struct Source {
    std::string package, version, sha256;
  };
  const auto source = std::make_shared<Source>();
  app.add_option("PACKAGE", source->package, "Name of the source package")->required()->type_name("");
  app.add_option("VERSION", source->version, "The upstream version")->required()->type_name("");
  app.add_option("SHA256", source->sha256, "Of the original archive")->required()->type_name("")->check([](const std::string& text) {
    const bool good = text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
    return good ? std::string() : fmt::format("'{}' is no SHA-256: 64 lower-case hexadecimal digits are expected", text);
  });
  return [&app, source](Context& context) {
    refuse_flags(app);
    const char* offline = std::getenv("AXVISOR_OFFLINE");
    print_out(original_archive(context.console, default_cache(), source->package, source->version, source->sha256,
                               offline != nullptr && std::string_view(offline) == "1")
                  .string() +
              "\n");
    return ExitCode::Success;
  };
}

Handler declare_app_config(CLI::App& app) {
  app.fallthrough(false)->prefix_command();
  return [](Context&) {
    return instead(
        "config",
        "there are no personal defaults: name the compiler in [build], the language with app init --c or --cpp");
  };
}

}  // namespace ax::xtask
