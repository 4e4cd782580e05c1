#include <fmt/format.h>

#include <re2/re2.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <sstream>

#include "tools/config/platform.hpp"
#include "tools/xtask/build/cmake_build.hpp"
#include "tools/xtask/build/test_report.hpp"
#include "tools/xtask/command/commands.hpp"
#include "tools/xtask/command/values.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/packages.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

const std::vector<std::string> kDefaultPresets{"host",         "host-asan",       "qemu-aarch64", "qemu-x86_64",
                                               "qemu-riscv64", "orangepi-5-plus", "phytiumpi", "roc-rk3568-pc"};
constexpr int kMostJobs = 1024;
constexpr std::array<std::string_view, 5> kVersionCommands{"clang-19", "g++", "qemu-system-aarch64", "qemu-system-x86_64",
                                                          "qemu-system-riscv64"};

struct TestOptions {
  std::vector<std::string> presets;
  std::string name_regex;
  std::string exclude_regex;
  std::string label_regex;
  std::string label_exclude_regex;
  int jobs = 0;
  bool no_skip = false;
  bool retry = false;
  std::string shard;
  fs::path junit;
};

struct Shard {
  unsigned index = 1;
  unsigned count = 1;
};

/// "2/5": the second of five machines.
Shard parse_shard(const std::string& text) {
  Shard shard;
  if (!text.empty() &&
      (!RE2::FullMatch(text, "(\\d+)/(\\d+)", &shard.index, &shard.count) || shard.index < 1 || shard.index > shard.count)) {
    throw Failure(ExitCode::Usage, fmt::format("--shard {}: expected I/N with 1 <= I <= N", text), "the first of three is 1/3");
  }
  return shard;
}

void show_versions(const Context& context) {
  for (const std::string_view program : kVersionCommands) {
    if (find_program(std::string(program))) {
      const CapturedOutput version =
          capture_command({.argv = {std::string(program), "--version"}, .console = ChildProcess::Console::Quiet});
      context.console.step(version.output.substr(0, version.output.find('\n')));
    }
  }
}

bool is_host(const std::string& preset) { return preset == "host" || preset.starts_with("host-"); }

BuildFolder folder_of(const Context& context, const std::string& preset) {
  if (is_host(preset)) {
    return host_build(context, preset);
  }
  constexpr std::string_view kDebug = "-debug";
  BuildRequest request;
  request.debug = preset.ends_with(kDebug);
  Board board;
  board.name = board.cmake_value = request.debug ? preset.substr(0, preset.size() - kDebug.size()) : preset;
  if (!config::instead_of_hypervisor(board.name).empty()) {
    return host_build(context, preset);  // the preset says it all
  }
  return board_build(context, board, request);
}

Argv ctest_command(const std::string& preset, const fs::path& report, const TestOptions& options) {
  Argv command{"ctest", "--preset", preset, "--output-junit", report.string()};
  const std::array<std::pair<const char*, const std::string&>, 4> filters{
      {{"-R", options.name_regex},
       {"-E", options.exclude_regex},
       {"-L", options.label_regex},
       {"-LE", options.label_exclude_regex}}};
  for (const auto& [option, value] : filters) {
    if (!value.empty()) {
      command.insert(command.end(), {option, value});
    }
  }
  const Shard shard = parse_shard(options.shard);
  if (shard.count > 1) {
    command.insert(command.end(), {"-I", fmt::format("{},,{}", shard.index, shard.count)});
  }
  const bool filtered =
      shard.count > 1 || std::any_of(filters.begin(), filters.end(), [](const auto& f) { return !f.second.empty(); });
  if (filtered) {
    // The presets take an empty selection for a mistake; a filter may well select from one of them only.
    command.push_back("--no-tests=ignore");
  }
  if (options.jobs > 0) {
    command.insert(command.end(), {"-j", std::to_string(options.jobs)});
  }
  return command;
}

/// A test that failed, with the preset it belongs to.
struct Failed {
  std::string preset;
  FailedTest test;
  bool unsteady = false;  ///< it passed when it was tried again
};

void print_failures(const std::vector<Failed>& failures) {
  constexpr unsigned kLines = 12;
  for (const Failed& failed : failures) {
    print_out(fmt::format("{}: {} ({})\n{}", failed.unsteady ? "unsteady, passed when tried again" : "failed", failed.test.name,
                          failed.preset, last_lines(failed.test.output, kLines)));
  }
}

/// Runs what has failed once more, alone. What passes then is counted as passed, and stays among the failures as unsteady.
void try_again(const Context& context, const std::string& preset, const fs::path& report, TestCounts& counts, std::span<Failed> failures) {
  context.console.step(fmt::format("testing {} again: {} failed", preset, counts.failed));
  fs::remove(report);
  run_command({.argv = {"ctest", "--preset", preset, "--output-junit", report.string(), "--rerun-failed", "-j", "1"}, .folder = context.root});
  const std::string results = read_if_there(report);
  const std::vector<std::string> passed = passed_tests(results);
  for (Failed& failed : failures) {
    if (std::find(passed.begin(), passed.end(), failed.test.name) != passed.end()) {
      failed.unsteady = true;
      --counts.failed;
      ++counts.passed;
    }
  }
}

/// Builds and tests one preset. What keeps its tests from running at all counts as one failure.
TestCounts test_preset(const Context& context, const std::string& preset, const TestOptions& options, std::vector<Failed>& failures) {
  const BuildFolder build = folder_of(context, preset);
  const fs::path report = build.folder / "Testing/junit.xml";
  if (context.dry_run) {
    configure_and_build(context, build);
    print_out(format_command(ctest_command(preset, report, options)) + "\n");
    return {};
  }
  TestCounts counts;
  try {
    configure_and_build(context, build);
    context.console.step("testing " + preset);
    fs::remove(report);
    const int status = run_command({.argv = ctest_command(preset, report, options), .folder = context.root});
    const std::string results = read_if_there(report);
    counts = count_tests(results);
    const size_t before = failures.size();
    for (FailedTest& test : failed_tests(results)) {
      failures.push_back({preset, std::move(test)});
    }
    if (status != 0 && counts.failed == 0) {
      throw Failure(ExitCode::Failure, fmt::format("ctest of {} failed (status {})", preset, status));
    }
    if (options.retry && counts.failed != 0) {
      try_again(context, preset, build.folder / "Testing/junit-again.xml", counts, std::span(failures).subspan(before));
    }
  } catch (const Failure& failure) {
    if (failure.code() == ExitCode::Interrupted) {
      throw;
    }
    context.console.error(failure.what(), failure.hint());
    ++counts.failed;
  }
  return counts;
}

/// The presets' reports as one file.
void write_junit(const Context& context, const std::vector<std::string>& presets, const fs::path& file) {
  std::vector<std::string> reports;
  for (const std::string& preset : presets) {
    const fs::path report = folder_of(context, preset).folder / "Testing/junit.xml";
    if (fs::exists(report)) {
      reports.push_back(read_file(report));
    }
  }
  write_file(file, join_junit(reports));
}

void check_presets(const Context& context, const std::vector<std::string>& presets) {
  const std::vector<std::string> known = preset_names(context);
  for (const std::string& preset : presets) {
    if (std::find(known.begin(), known.end(), preset) == known.end()) {
      throw Failure(ExitCode::Usage, fmt::format("unknown preset '{}'{}", preset, did_you_mean(preset, known)),
                    "cmake --list-presets shows the presets");
    }
  }
}

/// What may be meant by a filter that selects nothing.
Failure nothing_selected(const Context& context, const std::vector<std::string>& presets, const TestOptions& options) {
  std::set<std::string> labels;
  for (const std::string& preset : presets) {
    std::istringstream lines(capture_command({.argv = {"ctest", "--preset", preset, "--print-labels"}, .folder = context.root}).output);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("  ")) {
        labels.insert(line.substr(2));
      }
    }
  }
  const std::string other = did_you_mean(options.label_regex, std::vector(labels.begin(), labels.end()));
  return {ExitCode::Failure, "no test was selected" + (options.label_regex.empty() ? "" : other),
          labels.empty() ? "" : fmt::format("labels: {}", fmt::join(labels, ", "))};
}

ExitCode run_tests(const Context& context, const TestOptions& options) {
  check_presets(context, options.presets);
  parse_shard(options.shard);  // before anything is built
  ensure_packages(context, {});
  if (!context.dry_run) {
    show_versions(context);
  }
  TestCounts total;
  std::vector<Failed> failures;
  const std::vector<std::string>& presets = options.presets.empty() ? kDefaultPresets : options.presets;
  for (const std::string& preset : presets) {
    total += test_preset(context, preset, options, failures);
  }
  if (context.dry_run) {
    return ExitCode::Success;
  }
  if (!options.junit.empty()) {
    write_junit(context, presets, context.resolve(options.junit));
  }
  if (total.passed + total.failed + total.skipped == 0) {
    const Failure nothing = nothing_selected(context, presets, options);
    context.console.error(nothing.what(), nothing.hint());
    ++total.failed;
  }
  print_failures(failures);
  print_out(fmt::format("{} passed, {} failed{}\n", total.passed, total.failed,
                        total.skipped == 0 ? "" : fmt::format(", {} skipped", total.skipped)));
  if (options.no_skip && total.skipped != 0) {
    context.console.error("tests were skipped", "--no-skip takes that for a failure");
    return ExitCode::Failure;
  }
  return total.failed == 0 ? ExitCode::Success : ExitCode::Failure;
}

}  // namespace

Handler declare_test(CLI::App& app) {
  const auto options = std::make_shared<TestOptions>();
  app.add_option("--preset", options->presets, "Only these presets (repeatable; default: host, host-asan and every board)")
      ->type_name("PRESET")
      ->allow_extra_args(false);
  app.add_option("-R,--tests-regex", options->name_regex, "Only tests whose name matches")
      ->type_name("REGEX")
      ->check(expression());
  app.add_option("-E,--exclude-regex", options->exclude_regex, "No tests whose name matches")
      ->type_name("REGEX")
      ->check(expression());
  app.add_option("-L,--label-regex", options->label_regex, "Only tests with a matching label")
      ->type_name("REGEX")
      ->check(expression());
  app.add_option("--label-exclude", options->label_exclude_regex, "No tests with a matching label")
      ->type_name("REGEX")
      ->check(expression());
  app.add_option("--shard", options->shard, "Only every Nth test, beginning with the Ith: one of N machines that share the work")
      ->type_name("I/N");
  app.add_option("--junit", options->junit, "Write the results of all presets here too")->type_name("FILE");
  app.add_flag("--retry", options->retry, "Try what fails once more, by itself; what passes then is named as unsteady, and counts as passed");
  app.add_flag("--no-skip", options->no_skip, "Fail when a test was skipped");
  app.add_option("-j,--jobs", options->jobs, "Tests at a time (default: as the preset says)")->check(CLI::Range(1, kMostJobs));
  return [options](Context& context) { return run_tests(context, *options); };
}

}  // namespace ax::xtask
