#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <array>
#include <chrono>
#include <memory>

#include "tools/xtask/build/cmake_build.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/inspect/elf_file.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct ReportOptions {
  fs::path output;
  fs::path build_dir;
  std::vector<fs::path> add;
};

constexpr std::array<std::string_view, 9> kPrograms{
    "cmake", "ninja", "g++", "clang-19", "ld.lld-19", "qemu-system-aarch64", "qemu-system-x86_64", "bochs", "gdb-multiarch"};
/// Files of the root folder that decide what is built and run.
constexpr std::array<std::string_view, 7> kUserFiles{
    ".build.toml", ".qemu-aarch64.toml", ".qemu-x86_64.toml",        ".qemu-riscv64.toml",
    ".uboot.toml", ".image.toml",        ".devspace/overrides.cmake"};
/// What the build and the last run left in the build folder.
constexpr std::array<std::string_view, 8> kBuildFiles{
    "generated/report.txt", "generated/config.cmake", "generated/vm_configs.hpp",       "generated/include/board_config.hpp",
    "last-run.command",     "last-run.log",           "Testing/Temporary/LastTest.log", "axvisor.map"};

std::string output_of(const Argv& argv, const fs::path& folder) {
  const CapturedOutput output = capture_command({.argv = argv, .folder = folder, .console = ChildProcess::Console::Quiet});
  return output.status == 0 ? output.output : "";
}

std::string versions(const Context& context) {
  std::string text = output_of({"uname", "-srmo"}, context.root);
  for (const std::string_view program : kPrograms) {
    std::string line = "not installed";
    if (find_program(std::string(program))) {
      line = output_of({std::string(program), "--version"}, context.root);
      line = line.substr(0, line.find('\n'));
    }
    text += fmt::format("{}: {}\n", program, line);
  }
  return text;
}

std::string source_state(const Context& context) {
  if (!find_program("git")) {
    return "git is not installed\n";
  }
  return "commit " + output_of({"git", "rev-parse", "HEAD"}, context.root) +
         output_of({"git", "status", "--short"}, context.root);
}

/// What was chosen when the folder was configured: nothing of the user's environment beyond that.
std::string choices(const fs::path& folder) {
  std::string text;
  for (const auto& [name, value] : read_cmake_cache(folder)) {
    if (name.starts_with("AXVISOR_") || name == "CMAKE_BUILD_TYPE") {
      text += fmt::format("{} = {}\n", name, value);
    }
  }
  return text;
}

std::string image_facts(const fs::path& folder) {
  const fs::path elf = folder / "axvisor";
  if (!fs::is_regular_file(elf)) {
    return "no image was built\n";
  }
  const std::string bytes = read_file(elf);
  const ElfFile file = parse_elf(bytes, elf.string());
  return fmt::format("machine {}\nbuild id {}\nsha256 {}\n", elf_machine_name(file.machine), file.build_id, sha256_hex(bytes));
}

void collect(const fs::path& from, const fs::path& to) {
  if (fs::is_regular_file(from)) {
    write_file(to, read_file(from));
  }
}

ExitCode make_report(const Context& context, const ReportOptions& options) {
  const Board board = current_board(context.root);
  const fs::path folder = options.build_dir.empty() ? context.root / "build" / board.name : context.resolve(options.build_dir);
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string name = fmt::format("axvisor-report-{:%Y%m%d_%H%M%S}", fmt::gmtime(now));
  const fs::path archive = context.resolve(options.output.empty() ? fs::path(name + ".tar.gz") : options.output);
  const TemporaryFolder temporary;
  const fs::path into = temporary.path() / name;
  if (context.dry_run) {
    print_out(format_command({"tar", "-C", temporary.path(), "-czf", archive, name}) + "\n");
    return ExitCode::Success;
  }
  write_file(archive, "");  // where it cannot be written, that is said before anything is collected
  write_file(into / "versions.txt", versions(context));
  write_file(into / "source.txt", source_state(context));
  write_file(into / "board.txt", fmt::format("{}, {}\n", board.name, board.target));
  write_file(into / "choices.txt", choices(folder));
  write_file(into / "image.txt", image_facts(folder));
  for (const std::string_view file : kUserFiles) {
    collect(context.root / file, into / "config" / fs::path(file).filename());
  }
  for (const std::string_view file : kBuildFiles) {
    collect(folder / file, into / "build" / fs::path(file).filename());
  }
  for (const fs::path& file : options.add) {
    collect(context.resolve(file), into / "added" / file.filename());
  }
  run_step(context, {"tar", "-C", temporary.path(), "-czf", archive, name}, "packing the report");
  print_out(archive.string() + "\n");
  return ExitCode::Success;
}

}  // namespace

Handler declare_report(CLI::App& app) {
  const auto options = std::make_shared<ReportOptions>();
  app.add_option("-o,--output", options->output, "The archive (default: axvisor-report-DATE.tar.gz here)")->type_name("FILE");
  app.add_option("--build-dir", options->build_dir, "Of this build folder instead of build/<board>")
      ->type_name("FOLDER")
      ->check(existing_folder());
  app.add_option("--add", options->add, "Another file for the archive: a log, a VM file (repeatable)")
      ->type_name("FILE")
      ->check(existing_file())
      ->allow_extra_args(false);
  return [options](Context& context) { return make_report(context, *options); };
}

}  // namespace ax::xtask
