#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <chrono>
#include <memory>

#include "tools/xtask/bench/bench_report.hpp"
#include "tools/xtask/build/cmake_build.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/packages.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

struct BenchOptions {
  std::vector<std::string> boards{"qemu-aarch64", "qemu-x86_64"};
  std::vector<fs::path> build_folders;
  fs::path plot;
  bool json = false;
  bool record = false;
};

/// From the limits of each suite that has some.
BenchBudgets load_budgets(const Context& context, const BenchResults& results) {
  BenchBudgets budgets;
  for (const auto& [suite, rows] : results) {
    const fs::path file = context.root / "tests/bench" / ("limits_" + suite + ".json");
    if (fs::is_regular_file(file)) {
      budgets[suite] = parse_bench_budgets(read_file(file), file.string());
    }
  }
  return budgets;
}

/// Builds what the benchmarks of one board need, and runs them. What they miss by their own limits counts too.
fs::path run_benchmarks(const Context& context, const std::string& name, bool& failed) {
  Board board;
  board.name = board.cmake_value = name;
  const BuildFolder build = board_build(context, board, {});
  const Argv ctest{"ctest", "--preset", build.preset, "-L", "^bench$", "--output-on-failure"};
  configure_and_build(context, build, {"bench_guest"});
  if (context.dry_run) {
    print_out(format_command(ctest) + "\n");
    return build.folder;
  }
  // One after the other: each is a whole machine, and its time is counted in instructions anyway.
  failed |= run_command({.argv = ctest, .folder = context.root, .console = ChildProcess::Console::Stderr}) != 0;
  return build.folder;
}

/// rows_<suite>.json of a build folder.
void add_results(const fs::path& folder, BenchResults& results) {
  constexpr std::string_view kPrefix = "rows_";
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "tests/bench", none)) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() == ".json" && stem.starts_with(kPrefix)) {
      results[stem.substr(kPrefix.size())] = parse_bench_rows(read_file(entry.path()), entry.path().string());
    }
  }
}

std::string current_commit(const Context& context) {
  if (!find_program("git")) {
    return "unknown";
  }
  const CapturedOutput git = capture_command(
      {.argv = {"git", "rev-parse", "--short=12", "HEAD"}, .folder = context.root, .console = ChildProcess::Console::Quiet});
  return git.status == 0 ? git.output.substr(0, git.output.find('\n')) : "unknown";
}

void record(const Context& context, const BenchResults& results, std::vector<BenchRecord> history, const BenchBudgets& budgets,
            const fs::path& history_file) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  history.push_back({fmt::format("{:%Y-%m-%d}", fmt::gmtime(now)), current_commit(context), results});
  write_file(history_file, format_bench_history(history));
  const fs::path page = context.root / "docs/performance.md";
  write_file(page, with_bench_table(read_file(page), format_bench_markdown(results, budgets)));
  write_file(context.root / "docs/performance.svg", bench_plot(results, history, budgets));
  context.console.step("recorded in " + history_file.string() + ", docs/performance.md and docs/performance.svg");
}

ExitCode report(const Context& context, const BenchOptions& options, const BenchResults& results, bool failed) {
  if (results.empty()) {
    throw Failure(ExitCode::Failure, "nothing was measured", "the lines above say why");
  }
  const BenchBudgets budgets = load_budgets(context, results);
  const fs::path history_file = context.root / "tests/bench/history.json";
  const std::vector<BenchRecord> history = parse_bench_history(read_if_there(history_file), history_file.string());
  print_out(options.json ? format_bench_json(results) : format_bench_table(results, history, budgets));
  if (!options.plot.empty()) {
    write_file(context.resolve(options.plot), bench_plot(results, history, budgets));
  }
  const std::vector<BenchRegression> worse = regressions(results, history);
  for (const BenchRegression& r : worse) {
    context.console.error(fmt::format("{}: {} costs {} instructions, {} when it was recorded last: more than 2% above", r.suite,
                                      r.row, r.after, r.before),
                          options.record ? "" : "--record takes the new values for right");
  }
  if (options.record) {
    record(context, results, history, budgets, history_file);
  }
  return failed || (!worse.empty() && !options.record) ? ExitCode::Failure : ExitCode::Success;
}

ExitCode bench(const Context& context, const BenchOptions& options) {
  BenchResults results;
  bool failed = false;
  if (options.build_folders.empty()) {
    ensure_packages(context, {});
  }
  for (const fs::path& folder : options.build_folders) {
    add_results(context.resolve(folder), results);
  }
  if (options.build_folders.empty()) {
    for (const std::string& board : options.boards) {
      add_results(run_benchmarks(context, board, failed), results);
    }
  }
  return context.dry_run ? ExitCode::Success : report(context, options, results, failed);
}

}  // namespace

Handler declare_bench(CLI::App& app) {
  const auto options = std::make_shared<BenchOptions>();
  app.add_option("--board", options->boards, "Only this board (repeatable; default: qemu-aarch64 and qemu-x86_64)")
      ->type_name("BOARD")
      ->check(CLI::IsMember({"qemu-aarch64", "qemu-x86_64"}))
      ->allow_extra_args(false);
  app.add_option("--measured", options->build_folders, "Run nothing: report what this build folder has measured (repeatable)")
      ->type_name("FOLDER")
      ->check(existing_folder())
      ->allow_extra_args(false);
  app.add_flag("--json", options->json, "Print the results as JSON");
  app.add_option("--plot", options->plot, "Draw the results too")->type_name("FILE.svg");
  app.add_flag("--record", options->record, "Add the results to the history and to docs/performance.md");
  return [options](Context& context) { return bench(context, *options); };
}

}  // namespace ax::xtask
