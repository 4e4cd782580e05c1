// axconfig: turns board and VM files into what the build reads, and checks them.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>

#include "tools/app/reference.hpp"
#include "tools/config/emit.hpp"

namespace ax::config {
namespace {

namespace fs = std::filesystem;

enum ExitCode : int { kDone = 0, kConfigurationError = 1, kUsageError = 2 };

/// What the commands have in common: diagnostics go to standard error, and decide the exit code.
class Session {
 public:
  SourceStore& sources() { return sources_; }
  Diagnostics& diagnostics() { return diagnostics_; }

  void write(const fs::path& path, std::string_view content) {
    if (const auto written = write_if_changed(path, content); !written) diagnostics_.error({}, written.error());
  }

  /// With `errors_only` warnings are shown beside errors, not alone.
  int finish(bool errors_only = false) {
    const bool color = isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
    if (!errors_only || !diagnostics_.ok()) fmt::print(stderr, "{}", diagnostics_.render(color));
    return diagnostics_.ok() ? kDone : kConfigurationError;
  }

 private:
  SourceStore sources_;
  Diagnostics diagnostics_;
};

/// Values of the command line, as CLI11 fills them in.
struct Arguments {
  Options options;
  std::string root = ".";
  std::string output;
  std::string origin;
  std::string image_dir;
  std::vector<std::string> images;
  std::vector<std::string> files;
  u32 smp = 0;
  bool json = false;
  bool errors_only = false;

  Options resolved() const {
    Options out = options;
    out.root = root;
    out.vm_configs_origin = origin;
    out.image_dir = image_dir;
    if (smp != 0) out.smp = smp;
    for (const std::string& image : images)
      out.images[image.substr(0, image.find('='))] = image.substr(image.find('=') + 1);
    return out;
  }
};

int generate(const Arguments& args) {
  Session session;
  const auto c = Configuration::load(args.resolved(), session.sources(), session.diagnostics());
  require_built_platform(*c, session.diagnostics());
  if (!session.diagnostics().ok()) return session.finish(args.errors_only);
  const fs::path out = args.output;
  const std::string header = vm_configs_header(*c);
  session.write(out / "config.cmake", config_cmake(*c));
  session.write(out / "include" / "board_config.hpp", board_config_header(*c));
  session.write(out / "vm_configs.hpp", header);
  session.write(out / "report.txt", report(*c, session.diagnostics()));
  session.write(out / "generate.d", depfile((out / "vm_configs.hpp").string(), configuration_inputs(*c)));
  return session.finish(args.errors_only);
}

int images(const Arguments& args) {
  Session session;
  const auto c = Configuration::load(args.resolved(), session.sources(), session.diagnostics());
  if (session.diagnostics().ok()) require_image_files(*c, session.diagnostics());
  if (!session.diagnostics().ok()) return session.finish(args.errors_only);
  const auto assembly = vm_images_assembly(*c);
  if (!assembly) {
    session.diagnostics().error({}, assembly.error());
    return session.finish(args.errors_only);
  }
  const fs::path out = args.output;
  std::vector<fs::path> inputs = configuration_inputs(*c);
  const std::vector<fs::path> files = image_inputs(*c);
  inputs.insert(inputs.end(), files.begin(), files.end());
  session.write(out / "vm_images.S", *assembly);
  session.write(out / "images.d", depfile((out / "vm_images.S").string(), inputs));
  return session.finish(args.errors_only);
}

int check(const Arguments& args) {
  Session session;
  std::vector<fs::path> folders;
  for (const std::string& folder : split_paths(args.options.config_path)) folders.emplace_back(folder);
  const PlatformFolders platforms(std::move(folders));
  for (const std::string& file : args.files) check_file(file, file, platforms, session.sources(), session.diagnostics());
  return session.finish();
}

int schema(const Arguments& args) {
  Session session;
  for (const FileSchema* s : all_schemas())
    session.write(fs::path(args.output) / fmt::format("{}.schema.json", s->id), json_schema(*s));
  return session.finish();
}

int reference(const Arguments& args) {
  Session session;
  session.write(args.output, reference_page());
  return session.finish();
}

int app_reference(const Arguments& args) {
  Session session;
  session.write(args.output, app::reference_page());
  return session.finish();
}

int list_boards(const Arguments& args) {
  Session session;
  const std::string json = boards_json(args.resolved(), session.sources(), session.diagnostics());
  if (!session.diagnostics().ok()) return session.finish();  // warnings about boards belong to their builds
  fmt::print("{}", args.json ? json : boards_text(json));
  return kDone;
}

// ---- command line

void add_build_options(CLI::App& command, Arguments& args) {
  command.add_option("--root", args.root, "the repository")->required()->type_name("DIR");
  command.add_option("--board", args.options.board, "a board's name, or the path of its file")
      ->required()
      ->type_name("NAME|FILE");
  command.add_option("--output", args.output, "folder for the generated files")->required()->type_name("DIR");
  command
      .add_option("--vm-configs", args.options.vm_configs, "VM files or names separated by ':', instead of the board's")
      ->type_name("PATHS");
  command
      .add_option("--vm-configs-origin", args.origin,
                  "folder that --vm-configs is relative to (default: the current one)")
      ->type_name("DIR");
  command.add_option("--smp", args.smp, "most CPUs that are brought up, instead of the board's")
      ->check(CLI::Range(1U, 64U));
  command
      .add_option("--config-path", args.options.config_path,
                  "more folders with board/, vms/, images/ and platforms/, separated by ':'")
      ->type_name("PATHS");
  command.add_option("--image", args.images, "file of the built image NAME (repeatable)")
      ->type_name("NAME=PATH")
      ->take_all()
      ->check([](const std::string& text) {
        const usize equals = text.find('=');
        const bool ok = equals != std::string::npos && equals != 0 && equals + 1 < text.size();
        return ok ? std::string() : fmt::format("'{}' is not NAME=PATH", text);
      });
  command.add_flag("--errors-only", args.errors_only, "say nothing where there are only warnings; report.txt has them");
  command.add_option("--image-dir", args.image_dir, "folder of the built images that --image does not name")
      ->type_name("DIR");
}

struct Command {
  std::string_view name;
  std::string_view doc;
  void (*add_options)(CLI::App&, Arguments&);
  int (*run)(const Arguments&);
};

constexpr Command kCommands[] = {
    {"generate", "write config.cmake, board_config.hpp, vm_configs.hpp, report.txt and generate.d", add_build_options,
     generate},
    {"images", "write vm_images.S, which embeds the guest images, and images.d", add_build_options, images},
    {"check", "check board, VM and defconfig files, each by itself",
     [](CLI::App& command, Arguments& args) {
       command.add_option("FILE", args.files, "TOML files")->required();
       command.add_option("--config-path", args.options.config_path, "folders with platforms/, separated by ':'")
           ->type_name("PATHS");
     },
     check},
    {"schema", "write a JSON Schema per kind of file, for editors",
     [](CLI::App& command, Arguments& args) {
       command.add_option("--output", args.output, "folder")->required()->type_name("DIR");
     },
     schema},
    {"reference", "write the reference page of all keys and features",
     [](CLI::App& command, Arguments& args) {
       command.add_option("--output", args.output, "Markdown file")->required()->type_name("FILE");
     },
     reference},
    {"app-reference", "write the reference page of application descriptions",
     [](CLI::App& command, Arguments& args) {
       command.add_option("--output", args.output, "Markdown file")->required()->type_name("FILE");
     },
     app_reference},
    {"list-boards", "list the boards",
     [](CLI::App& command, Arguments& args) {
       command.add_option("--root", args.root, "the repository (default: the current folder)")->type_name("DIR");
       command.add_option("--config-path", args.options.config_path, "more folders with board/, separated by ':'")
           ->type_name("PATHS");
       command.add_flag("--json", args.json, "print everything about them, as JSON");
     },
     list_boards},
};

constexpr std::string_view kExamples = R"(Examples:
  axconfig generate --root . --board qemu-aarch64 --output build/generated
  axconfig generate --root . --board qemu-aarch64 --output out --vm-configs my-vm.toml:configs/vms/tiny-aarch64-qemu.toml
  axconfig images --root . --board qemu-aarch64 --output build/generated --image-dir build/images
  axconfig check configs/board/*.toml configs/vms/*.toml
  axconfig list-boards --json

Exit status: 0 done, 1 the configuration is wrong, 2 the command line is wrong.)";

int run(int argc, char** argv) {
  CLI::App app("Turns the TOML files of boards and virtual machines into what the build reads.", "axconfig");
  app.footer(std::string(kExamples));
  app.require_subcommand(1);
  Arguments args;
  std::vector<std::pair<CLI::App*, const Command*>> commands;
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.doc));
    command.add_options(*sub, args);
    commands.emplace_back(sub, &command);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsageError;
  }
  for (const auto& [sub, command] : commands) {
    if (sub->parsed()) return command->run(args);
  }
  return kUsageError;
}

}  // namespace
}  // namespace ax::config

int main(int argc, char** argv) {
  try {
    return ax::config::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "axconfig: internal error: {}\n", error.what());
    return ax::config::kConfigurationError;
  }
}
