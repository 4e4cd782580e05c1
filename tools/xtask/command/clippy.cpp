// xtask clippy, also called lint: every checker over every package, target and feature set.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <memory>

#include "tools/xtask/build/cmake_build.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/job_pool.hpp"
#include "tools/xtask/core/packages.hpp"
#include "tools/xtask/core/suggest.hpp"
#include "tools/xtask/lint/checks.hpp"
#include "tools/xtask/lint/finding.hpp"
#include "tools/xtask/lint/matrix.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

struct LintOptions {
  std::vector<std::string> packages;
  std::vector<std::string> targets;
  std::vector<std::string> checks;
  std::string since;
  fs::path sarif;
  bool fix = false;
  bool allow_dirty = false;
  bool continue_on_error = false;
  bool all_lines = false;
};

enum class CellState : std::uint8_t { Passed, Failed, NotRun };

/// One row of the summary: one checker on one package, built for one target with one set of features.
struct Cell {
  Checker checker;
  std::string package;
  const LintBuild* build = nullptr;  ///< null where the answer does not depend on it
  CellState state = CellState::NotRun;
  size_t findings = 0;
  double seconds = 0;
};

std::vector<Checker> wanted_checkers(const LintOptions& options) {
  std::vector<Checker> wanted;
  std::vector<std::string> names;
  for (const CheckerInfo& checker : all_checkers()) {
    names.emplace_back(checker.name);
    if (options.checks.empty() || std::find(options.checks.begin(), options.checks.end(), checker.name) != options.checks.end()) {
      wanted.push_back(checker.checker);
    }
  }
  for (const std::string& name : options.checks) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw Failure(ExitCode::Usage, fmt::format("--checks: unknown check '{}'{}", name, did_you_mean(name, names)),
                    fmt::format("checks: {}", fmt::join(names, ", ")));
    }
  }
  return wanted;
}

class Lint {
 public:
  Lint(const Context& context, const LintOptions& options) : context_(context), options_(options) {}

  ExitCode run() {
    const std::vector<Checker> checkers = wanted_checkers(options_);
    const std::vector<std::string> packages = resolve_packages(options_.packages);
    const std::vector<std::string> targets = resolve_targets(context_.root, options_.targets);
    if (!options_.since.empty()) {
      changed_ = changed_lines(context_.root, options_.since);  // a slip in it is said first
    }
    if (options_.fix && !options_.allow_dirty && !context_.dry_run) {
      require_clean_tree();
    }
    constexpr std::array<std::string_view, 1> kGroups{"lint"};
    ensure_packages(context_, kGroups);
    lay_out(checkers, packages, targets);
    for (Cell& cell : cells_) {
      check(cell);
      if (cell.state == CellState::Failed && !options_.continue_on_error) {
        break;
      }
    }
    return finish(checkers);
  }

 private:
  void require_clean_tree() const {
    if (!is_git_checkout(context_.root)) {
      throw Failure(ExitCode::Usage, "--fix would change files that no git checkout keeps a copy of", "--allow-dirty does it all the same");
    }
    if (has_uncommitted_changes(context_.root)) {
      throw Failure(ExitCode::Usage, "--fix would mix its changes with yours: there are uncommitted ones",
                    "commit or stash them, or say --allow-dirty");
    }
  }

  void lay_out(const std::vector<Checker>& checkers, const std::vector<std::string>& packages, const std::vector<std::string>& targets) {
    for (const std::string& target : targets) {
      for (LintBuild& build : lint_builds(context_, target)) {
        builds_.push_back(std::make_unique<LintBuild>(std::move(build)));
      }
    }
    for (const Checker checker : checkers) {
      for (const std::string& package : packages) {
        const bool scripts = package == "scripts";
        if (scripts != (checker == Checker::Shellcheck)) {
          continue;
        }
        if (!info(checker).per_build) {
          cells_.push_back({checker, package});
          continue;
        }
        for (const auto& build : builds_) {
          if (build->target == kHostTarget || (package != "tools" && package != "tests")) {
            cells_.push_back({checker, package, build.get()});
          }
        }
      }
    }
  }

  /// Configures the build folder, once: its compile_commands.json is what the checkers read.
  void prepare(const LintBuild& build) {
    if (!configured_.insert(build.folder).second) {
      return;
    }
    if (!build.board.empty() && !context_.dry_run) {
      write_file_if_changed(build.board, build.board_text);
    }
    const EnvironmentChanges environment = clean_build_environment();
    // A folder that is there is brought up to date only where its inputs changed.
    const Argv command = fs::exists(build.folder / "build.ninja") ? Argv{"ninja", "-C", build.folder.string(), "build.ninja"} : build.configure;
    if (context_.dry_run) {
      print_out(format_command(command, environment) + "\n");
      return;
    }
    context_.console.detail(format_command(command, environment));
    const CapturedOutput result = capture_command({.argv = command, .folder = context_.root, .environment = environment});
    if (result.status != 0) {
      throw Failure(ExitCode::Failure, fmt::format("configuring {} failed:\n{}", build.folder.string(), result.output));
    }
  }

  ChangedLines format_files(const std::string& package) {
    ChangedLines files;
    if (!options_.all_lines && !changed_) {
      changed_ = changed_lines(context_.root, options_.since);
      if (!changed_) {
        context_.console.detail("no git checkout: formatting is not checked (--all-lines checks every file)");
        changed_.emplace();
      }
    }
    if (options_.all_lines) {
      for (const std::string& file : cpp_files(context_.root, package)) {
        files[file] = {};
      }
    } else {
      for (const auto& [file, lines] : *changed_) {
        if (file.starts_with(package + "/")) {
          files[file] = lines;
        }
      }
    }
    return files;
  }

  std::vector<Argv> commands(const Cell& cell) {
    switch (cell.checker) {
      case Checker::Format: return format_commands(format_files(cell.package), options_.fix);
      case Checker::Shellcheck: return shellcheck_commands(shell_scripts(context_.root));
      case Checker::Tidy:
      case Checker::Cppcheck: break;
    }
    prepare(*cell.build);
    if (cell.checker == Checker::Cppcheck) {
      return cppcheck_commands(context_.root, *cell.build, cell.package);
    }
    const bool there = fs::exists(cell.build->folder / "compile_commands.json");
    return there ? tidy_commands(*cell.build, compiled_sources(context_.root, *cell.build, cell.package), options_.fix)
                 : std::vector<Argv>{{std::string(info(Checker::Tidy).program), "-p", cell.build->folder.string(), "--quiet", cell.package + "/*.cpp"}};
  }

  void check(Cell& cell) {
    const std::vector<Argv> jobs = commands(cell);
    if (context_.dry_run) {
      for (const Argv& job : jobs) {
        print_out(format_command(job) + "\n");
      }
      return;
    }
    context_.console.step(fmt::format("{} {} {}", info(cell.checker).name, cell.package,
                                      cell.build == nullptr ? "" : fmt::format("({}, features: {})", cell.build->target, cell.build->features)));
    const Clock::time_point start = Clock::now();
    std::vector<Finding> found;
    // Two fixes of one header at a time would undo each other.
    const bool alone = options_.fix || cell.checker == Checker::Cppcheck;
    run_jobs(jobs, context_.root, alone ? 1 : default_jobs(), [&](size_t index, const CapturedOutput& result) {
      take(found, cell, jobs[index], result);
      return true;
    });
    cell.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    cell.findings = static_cast<size_t>(std::count_if(found.begin(), found.end(), [](const Finding& f) { return f.severity != Severity::Note; }));
    cell.state = cell.findings == 0 ? CellState::Passed : CellState::Failed;
    report(found);
    merge_findings(findings_, found);
  }

  void take(std::vector<Finding>& found, const Cell& cell, const Argv& job, const CapturedOutput& result) const {
    context_.console.detail(format_command(job));
    const std::vector<Finding> more = parse_findings(std::string(info(cell.checker).tool), result.output, context_.root);
    merge_findings(found, more);
    const bool repaired = options_.fix && info(cell.checker).fixes;
    if (result.status != 0 && more.empty() && !repaired) {
      throw Failure(ExitCode::Failure, fmt::format("{} failed (status {}):\n{}", job.front(), result.status, result.output));
    }
  }

  /// What was not seen in an earlier cell.
  void report(const std::vector<Finding>& found) const {
    for (const Finding& finding : found) {
      if (finding.severity == Severity::Note || std::binary_search(findings_.begin(), findings_.end(), finding, by_place)) {
        continue;
      }
      print_out(fmt::format("{}:{}:{}: {}: {} [{}]\n", finding.file, finding.line, finding.column,
                            finding.severity == Severity::Error ? "error" : "warning", finding.message,
                            finding.rule.empty() ? finding.tool : finding.rule));
    }
  }

  static bool by_place(const Finding& a, const Finding& b) {
    return std::tie(a.file, a.line, a.column, a.tool, a.rule, a.message) < std::tie(b.file, b.line, b.column, b.tool, b.rule, b.message);
  }

  ExitCode finish(const std::vector<Checker>& checkers) const {
    if (context_.dry_run) {
      return ExitCode::Success;
    }
    if (!options_.sarif.empty()) {
      std::vector<std::string> tools;
      for (const Checker checker : checkers) {
        tools.emplace_back(info(checker).tool);
      }
      write_file(context_.resolve(options_.sarif), to_sarif(findings_, tools, context_.root));
    }
    size_t failed = 0;
    size_t not_run = 0;
    print_out(fmt::format("\n{:<11} {:<11} {:<30} {:<12} {:>8} {:>8}  {}\n", "CHECK", "PACKAGE", "TARGET", "FEATURES", "FINDINGS", "SECONDS", "RESULT"));
    for (const Cell& cell : cells_) {
      failed += cell.state == CellState::Failed ? 1 : 0;
      not_run += cell.state == CellState::NotRun ? 1 : 0;
      constexpr std::array<std::string_view, 3> kStates{"passed", "failed", "not run"};
      print_out(fmt::format("{:<11} {:<11} {:<30} {:<12} {:>8} {:>8.1f}  {}\n", info(cell.checker).name, cell.package,
                            cell.build == nullptr ? "-" : cell.build->target, cell.build == nullptr ? "-" : cell.build->features,
                            cell.findings, cell.seconds, kStates[static_cast<size_t>(cell.state)]));
    }
    print_out(fmt::format("{} passed, {} failed, {} not run\n", cells_.size() - failed - not_run, failed, not_run));
    return failed == 0 ? ExitCode::Success : ExitCode::Failure;
  }

  const Context& context_;
  const LintOptions& options_;
  std::vector<std::unique_ptr<LintBuild>> builds_;
  std::vector<Cell> cells_;
  std::set<fs::path> configured_;
  std::optional<ChangedLines> changed_;
  std::vector<Finding> findings_;  ///< sorted
};

}  // namespace

Handler declare_clippy(CLI::App& app) {
  const auto options = std::make_shared<LintOptions>();
  app.add_option("--packages", options->packages, "Only these: kernel, platforms, hypervisor, tools, tests, scripts (comma-separated)")
      ->type_name("LIST")->delimiter(',');
  app.add_option("--targets", options->targets, "Only these: host, or target triples of boards; an architecture is enough (comma-separated)")
      ->type_name("LIST")->delimiter(',');
  app.add_option("--checks", options->checks, "Only these: format, tidy, cppcheck, shellcheck (comma-separated)")
      ->type_name("LIST")->delimiter(',');
  app.add_option("--since", options->since, "Judge the format of lines that changed since this revision (default: where the branch left main)")
      ->type_name("REVISION");
  app.add_flag("--all-lines", options->all_lines, "Judge the format of every line");
  app.add_flag("--fix", options->fix, "Let clang-format and clang-tidy repair what they find");
  app.add_flag("--allow-dirty", options->allow_dirty, "With --fix: although there are uncommitted changes");
  app.add_flag("--continue-on-error", options->continue_on_error, "Check everything, whatever fails");
  app.add_option("--sarif", options->sarif, "Write the findings as SARIF 2.1.0")->type_name("FILE");
  return [options](Context& context) { return Lint(context, *options).run(); };
}

}  // namespace ax::xtask
