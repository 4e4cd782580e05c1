#include <fmt/format.h>
#include <re2/re2.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <memory>
#include <sstream>

#include "tools/config/configuration.hpp"
#include "tools/config/emit.hpp"
#include "tools/xtask/build/board.hpp"
#include "tools/xtask/command/board_options.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/json.hpp"
#include "tools/xtask/vmconfig/explain.hpp"
#include "tools/xtask/vmconfig/generate.hpp"
#include "tools/xtask/vmconfig/plot.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr unsigned kMostCpus = 64;

struct VmConfigOptions {
  std::vector<fs::path> files;
  fs::path output;
  std::string board;
  std::string arch;
  std::string guest;
  std::string key;
  GuestRequest request;
  std::optional<std::uint64_t> memory_mib;
  bool json = false;
};

using Options = std::shared_ptr<VmConfigOptions>;

void write_or_print(const Context& context, const fs::path& output, const std::string& text) {
  if (output.empty() || output == "-") {
    print_out(text);
  } else if (context.dry_run) {
    print_out(fmt::format("# writes {}\n", context.resolve(output).string()));
  } else {
    write_file(context.resolve(output), text);
    context.console.step("wrote " + context.resolve(output).string());
  }
}

// ---- schema

ExitCode schema(const Context& context, const VmConfigOptions& options) {
  write_or_print(context, options.output, config::json_schema(config::kVmSchema));
  return ExitCode::Success;
}

// ---- check

std::string position_json(const config::Position& where) {
  return fmt::format("\"file\": {}, \"line\": {}, \"column\": {}",
                     where.file == nullptr ? "null" : json_quote(where.file->display()), where.line, where.column);
}

std::string diagnostics_json(const config::Diagnostics& diagnostics) {
  std::string items;
  for (const config::Diagnostic& diagnostic : diagnostics.all()) {
    items += fmt::format("{}  {{{}, \"severity\": \"{}\", \"message\": {}, \"fix\": {}}}", items.empty() ? "" : ",\n",
                         position_json(diagnostic.where), diagnostic.severity == config::Severity::Error ? "error" : "warning",
                         json_quote(diagnostic.text), json_quote(diagnostic.remedy));
  }
  return items.empty() ? "[]\n" : "[\n" + items + "\n]\n";
}

std::string joined_paths(const Context& context, const std::vector<fs::path>& files) {
  std::string list;
  for (const fs::path& file : files) {
    const fs::path path = vm_file(context, file);
    if (!fs::is_regular_file(path)) {
      throw no_such_file("FILE", path);
    }
    list += (list.empty() ? "" : ":") + path.string();
  }
  return list;
}

/// The guests that a board build makes itself: no recipe names them.
std::vector<std::string> built_guests(const Context& context) {
  static const RE2 kList(R"(set\(AXVISOR_BUILT_GUESTS ([^)]+)\))");
  const fs::path file = context.root / "cmake/AxvisorBoard.cmake";
  std::string list;
  if (fs::exists(file)) {
    RE2::PartialMatch(read_file(file), kList, &list);
  }
  std::vector<std::string> names;
  std::istringstream words(list);
  for (std::string word; words >> word;) {
    names.push_back(word);
  }
  return names;
}

std::unique_ptr<config::Configuration> load_together(const Context& context, const VmConfigOptions& options,
                                                     config::SourceStore& sources, config::Diagnostics& diagnostics,
                                                     bool among_others = false) {
  if (options.board.find('/') == std::string::npos) {
    current_board(context.root, {.board = options.board});  // a misspelt name is a wrong use, not a wrong file
  }
  config::Options load;
  load.root = context.root;
  load.board = options.board;
  load.vm_configs = joined_paths(context, options.files);
  load.among_others = among_others;
  load.image_dir = context.root / "build/images";
  for (const std::string& name : built_guests(context)) {
    load.images[name] = context.root / "build" / fs::path(options.board).stem() / "tests/guests" / (name + ".bin");
  }
  return config::Configuration::load(load, sources, diagnostics);
}

/// With a board all files together, as a build would check them; without one each by itself.
ExitCode check(const Context& context, const VmConfigOptions& options) {
  config::SourceStore sources;
  config::Diagnostics diagnostics;
  if (!options.board.empty()) {
    load_together(context, options, sources, diagnostics);
  } else {
    joined_paths(context, options.files);
    const config::PlatformFolders platforms({context.root / "configs", context.root});
    for (const fs::path& file : options.files) {
      config::check_file(vm_file(context, file), file.string(), platforms, sources, diagnostics);
    }
  }
  if (options.json) {
    print_out(diagnostics_json(diagnostics));
  } else {
    const bool colour = ::isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
    fmt::print(stderr, "{}", diagnostics.render(colour));
    if (diagnostics.ok()) {
      context.console.step(fmt::format("{} file{} right", options.files.size(), options.files.size() == 1 ? " is" : "s are"));
    }
  }
  return diagnostics.ok() ? ExitCode::Success : ExitCode::Failure;
}

// ---- compile

constexpr std::string_view kCompiled = ".vm";

/// Only what is on a disk, or comes from the boot loader, can be had by a hypervisor that runs.
void refuse_built_in_images(const config::Vm& vm, config::Diagnostics& diagnostics) {
  for (const config::ImageReference& image : vm.images()) {
    if (image.embedded()) {
      diagnostics
          .error(image.where,
                 fmt::format("'{}' would have to be built into the hypervisor (image_location = \"memory\")", image.text))
          .note(vm.document().where("kernel.image_location"), "image_location is here")
          .fix("put the file on the machine's disk and write image_location = \"fs\" and its path there");
    }
  }
}

/// Beside its TOML file, where --output says, or in the folder that it names.
fs::path compiled_name(const Context& context, const VmConfigOptions& options, const fs::path& file) {
  const fs::path own = vm_file(context, file).replace_extension(kCompiled);
  if (options.output.empty()) {
    return own;
  }
  const fs::path output = context.resolve(options.output);
  return fs::is_directory(output) ? output / own.filename() : output;
}

ExitCode compile(const Context& context, const VmConfigOptions& given) {
  VmConfigOptions options = given;
  if (options.board.empty()) {
    options.board = current_board(context.root).cmake_value;
  }
  if (options.files.size() > 1 && !options.output.empty() && !fs::is_directory(context.resolve(options.output))) {
    throw Failure(ExitCode::Usage, fmt::format("--output: {} is no folder, and there are several FILEs", options.output.string()),
                  "name a folder that exists, or compile one file");
  }
  config::SourceStore sources;
  config::Diagnostics diagnostics;
  const auto configuration = load_together(context, options, sources, diagnostics, true);
  for (const auto& vm : configuration->vms()) {
    refuse_built_in_images(*vm, diagnostics);
  }
  const bool colour = ::isatty(STDERR_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  fmt::print(stderr, "{}", diagnostics.render(colour));
  if (!diagnostics.ok()) {
    return ExitCode::Failure;
  }
  for (std::size_t i = 0; i < options.files.size(); ++i) {
    const config::Vm& vm = *configuration->vms()[i];
    const auto bytes = config::vm_description(vm.config(), vm.has_id(), configuration->board().target->arch);
    if (!bytes) {
      throw Failure(ExitCode::Failure,
                    fmt::format("{}: there is more in it than a description can have", options.files[i].string()));
    }
    const fs::path output = compiled_name(context, options, options.files[i]);
    write_or_print(context, output, std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()));
  }
  return ExitCode::Success;
}

// ---- generate

std::string ask(std::string_view question, const std::string& fallback) {
  fmt::print(stderr, "{} [{}]: ", question, fallback);
  std::fflush(stderr);
  std::string answer;
  for (int c; (c = std::getchar()) != EOF && c != '\n';) {
    answer += static_cast<char>(c);
  }
  return answer.empty() ? fallback : answer;
}

unsigned ask_number(const Context& context, std::string_view question, unsigned fallback, unsigned most) {
  for (;;) {
    const std::string answer = ask(question, std::to_string(fallback));
    unsigned value = 0;
    const auto [end, error] = std::from_chars(answer.data(), answer.data() + answer.size(), value);
    if (error == std::errc() && end == answer.data() + answer.size() && value >= 1 && value <= most) {
      return value;
    }
    context.console.warn(fmt::format("'{}' is no number from 1 to {}", answer, most));
  }
}

/// What was not said on the command line and there is somebody to ask.
void interview(const Context& context, VmConfigOptions& options, const std::string& arch) {
  std::string kinds;
  for (const GuestKind& kind : guest_kinds()) {
    if (kind.arch == arch) {
      kinds += fmt::format("  {:<18} {}\n", kind.name, kind.doc);
    }
  }
  fmt::print(stderr, "Kinds of guests for {}:\n{}", arch, kinds);
  options.guest = ask("Which", "linux");
  const GuestKind& kind = guest_kind(arch, options.guest);
  options.request.name = ask("Name", std::string(kind.name));
  constexpr unsigned kMostMib = 1 << 24;
  options.request.cpus = ask_number(context, "vCPUs", 1, kMostCpus);
  options.memory_mib = ask_number(context, "Memory in MiB", static_cast<unsigned>(kind.memory_size / kMiB), kMostMib);
  const std::string kernel = ask("Kernel", std::string(kind.kernel));
  if (kernel != kind.kernel) {
    options.request.kernel = kernel;
  }
}

ExitCode generate(const Context& context, const VmConfigOptions& given) {
  VmConfigOptions options = given;
  const Board board = current_board(context.root, {.board = options.board});
  const std::string arch = options.arch.empty() ? board.arch() : options.arch;
  if (options.guest.empty() && !options.request.kernel && context.console.interactive()) {
    interview(context, options, arch);
  }
  const std::string fallback = !options.request.kernel ? "linux" : arch == "aarch64" ? "flat" : "multiboot";
  const GuestKind& kind = guest_kind(arch, options.guest.empty() ? fallback : options.guest);
  if (options.memory_mib) {
    options.request.memory_size = *options.memory_mib * kMiB;
  }
  const fs::path file = context.resolve(options.output.empty() ? "vm.toml" : options.output);
  const fs::path schema = fs::relative(context.root / "docs/schema/vm.schema.json", file.parent_path());
  const std::string text = generate_vm(kind, options.request, board.name, schema.string());
  if (!options.output.empty() && options.output != "-" && fs::exists(file)) {
    throw Failure(ExitCode::Usage, file.string() + " exists already", "name another file with --output, or remove this one");
  }
  write_or_print(context, options.output, text);
  return ExitCode::Success;
}

// ---- explain, diff, plot

ExitCode explain(const Context&, const VmConfigOptions& options) {
  print_out(explain_key(options.key));
  return ExitCode::Success;
}

ExitCode diff(const Context& context, const VmConfigOptions& options) {
  joined_paths(context, options.files);
  const std::vector<KeyDifference> differences =
      compare_files(vm_file(context, options.files[0]), vm_file(context, options.files[1]));
  std::string text;
  for (const KeyDifference& difference : differences) {
    if (options.json) {
      text += fmt::format("{}  {{\"key\": {}, \"before\": {}, \"after\": {}}}", text.empty() ? "" : ",\n",
                          json_quote(difference.path), difference.before.empty() ? "null" : json_quote(difference.before),
                          difference.after.empty() ? "null" : json_quote(difference.after));
      continue;
    }
    text += difference.before.empty() ? "" : fmt::format("- {} = {}\n", difference.path, difference.before);
    text += difference.after.empty() ? "" : fmt::format("+ {} = {}\n", difference.path, difference.after);
  }
  print_out(!options.json ? text : text.empty() ? "[]\n" : "[\n" + text + "\n]\n");
  return differences.empty() ? ExitCode::Success : ExitCode::Failure;
}

ExitCode plot(const Context& context, const VmConfigOptions& given) {
  VmConfigOptions options = given;
  if (options.board.empty()) {
    options.board = current_board(context.root).cmake_value;
  }
  config::SourceStore sources;
  config::Diagnostics diagnostics;
  const auto configuration = load_together(context, options, sources, diagnostics);
  fmt::print(stderr, "{}", diagnostics.render(false));
  if (!diagnostics.ok()) {
    return ExitCode::Failure;
  }
  write_or_print(context, options.output,
                 options.output.extension() == ".html" ? plot_html(*configuration) : plot_svg(*configuration));
  return ExitCode::Success;
}

// ---- options

Handler handler(const Options& options, ExitCode (*action)(const Context&, const VmConfigOptions&)) {
  return [options, action](Context& context) { return action(context, *options); };
}

void add_output(CLI::App& app, VmConfigOptions& options, const std::string& what) {
  app.add_option("-O,-o,--output", options.output, what)->type_name("FILE");
}

void add_board(CLI::App& app, VmConfigOptions& options, const std::string& what) {
  app.add_option("-b,--board", options.board, what)->type_name("BOARD");
}

}  // namespace

Handler declare_vmconfig(CLI::App& app) {
  app.require_subcommand(0, 1);
  return [](Context& context) {
    return schema(context, {.files = {},
                            .output = context.root / ".vmconfig-schema.json",
                            .board = {},
                            .arch = {},
                            .guest = {},
                            .key = {},
                            .request = {},
                            .memory_mib = {}});
  };
}

Handler declare_vmconfig_schema(CLI::App& app) {
  const auto options = std::make_shared<VmConfigOptions>();
  add_output(app, *options, "Write it here instead of to stdout");
  return handler(options, schema);
}

Handler declare_vmconfig_check(CLI::App& app) {
  const auto options = std::make_shared<VmConfigOptions>();
  app.add_option("FILE", options->files, "Files of virtual machines, boards, platforms, or defconfig.toml")->type_name("");
  app.add_option("-c", options->files, "The same, as axvmconfig has it")->type_name("FILE")->allow_extra_args(false);
  add_board(app, *options, "Check virtual machines together, as a build for this board would");
  app.add_flag("--json", options->json, "For programs");
  return [options](Context& context) {
    if (options->files.empty()) {
      throw Failure(ExitCode::Usage, "no FILE is named", "./xtask vmconfig check configs/vms/*.toml");
    }
    return check(context, *options);
  };
}

Handler declare_vmconfig_compile(CLI::App& app) {
  const auto options = std::make_shared<VmConfigOptions>();
  app.add_option("FILE", options->files, "Files of virtual machines")->required()->type_name("");
  add_board(app, *options, "For the hypervisor of this board (default: the chosen one)");
  add_output(app, *options, "Write it here, or into this folder (default: FILE with .vm for .toml)");
  return handler(options, compile);
}

Handler declare_vmconfig_generate(CLI::App& app) {
  const auto options = std::make_shared<VmConfigOptions>();
  GuestRequest& request = options->request;
  std::vector<std::string> kinds;
  for (const GuestKind& kind : guest_kinds()) {
    if (std::ranges::find(kinds, kind.name) == kinds.end()) {
      kinds.emplace_back(kind.name);
    }
  }
  add_board(app, *options, "For this board (default: the chosen one)");
  app.add_option("-a,--arch", options->arch, "For this architecture (default: the board's)")->type_name("ARCH");
  app.add_option("-g,--guest", options->guest, fmt::format("Kind of guest: {}", fmt::join(kinds, ", ")))->type_name("KIND");
  app.add_option("-i,--id", request.id, "Its number (default: the next free one)");
  app.add_option("-n,--name", request.name, "Its name")->type_name("NAME");
  app.add_option("-t,--type", request.vm_type, "0 host, 1 RTOS, 2 Linux")->check(CLI::Range(0, 2));
  app.add_option("-c,--cpus", request.cpus, "vCPUs (default: 1)")->check(CLI::Range(1U, kMostCpus));
  app.add_option("-e,--entry", request.entry, "Entry point")->type_name("ADDRESS")->transform(address());
  app.add_option("-k,--kernel", request.kernel, "Its kernel: a file, or image:NAME")->type_name("FILE");
  app.add_option("-l,--load", request.load_address, "Where the kernel is loaded")->type_name("ADDRESS")->transform(address());
  app.add_option("--memory", options->memory_mib, "Its memory")->type_name("MIB")->check(CLI::Range(1, 1 << 24));
  app.add_option("--ramdisk", request.ramdisk, "Its initial RAM disk")->type_name("FILE");
  app.add_option("--dtb", request.dtb, "Its device tree")->type_name("FILE");
  app.add_option("--image-location", request.image_location, "memory (built in), fs or module")
      ->type_name("PLACE")
      ->check(CLI::IsMember({"memory", "fs", "module"}));
  app.add_option("--cmdline", request.cmdline, "Its command line")->type_name("TEXT");
  add_output(app, *options, "Write it here instead of to stdout");
  return handler(options, generate);
}

Handler declare_vmconfig_explain(CLI::App& app) {
  const auto options = std::make_shared<VmConfigOptions>();
  app.add_option("KEY", options->key, "A key, with or without its table: kernel.entry_point, smp")->required()->type_name("");
  return handler(options, explain);
}

Handler declare_vmconfig_diff(CLI::App& app) {
  const auto options = std::make_shared<VmConfigOptions>();
  app.add_option("FILES", options->files, "Two files")->required()->expected(2)->type_name("");
  app.add_flag("--json", options->json, "For programs");
  return handler(options, diff);
}

Handler declare_vmconfig_plot(CLI::App& app) {
  const auto options = std::make_shared<VmConfigOptions>();
  app.add_option("FILE", options->files, "Files of virtual machines (default: the board's)")->type_name("");
  add_board(app, *options, "On this board (default: the chosen one)");
  add_output(app, *options, "Write it here instead of to stdout; .html makes a page of it");
  return handler(options, plot);
}

}  // namespace ax::xtask
