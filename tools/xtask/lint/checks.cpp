#include "tools/xtask/lint/checks.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/job_pool.hpp"
#include "tools/xtask/core/suggest.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::array kCheckers{
    CheckerInfo{Checker::Format, "format", "clang-format", "clang-format-19", false, true},
    CheckerInfo{Checker::Tidy, "tidy", "clang-tidy", "clang-tidy-19", true, true},
    CheckerInfo{Checker::Cppcheck, "cppcheck", "cppcheck", "cppcheck", true, false},
    CheckerInfo{Checker::Shellcheck, "shellcheck", "shellcheck", "shellcheck", false, false},
};

constexpr size_t kTidyFilesPerCommand = 6;

bool is_cpp(const std::string& file) { return file.ends_with(".cpp") || file.ends_with(".hpp"); }

CapturedOutput git(const fs::path& root, Argv arguments) {
  arguments.insert(arguments.begin(), {"git", "-c", "core.quotePath=off"});
  return capture_command({.argv = arguments, .folder = root, .console = ChildProcess::Console::Quiet});
}

/// Where this branch left the line of development; HEAD where there is none.
std::string default_base(const fs::path& root) {
  for (const char* line : {"origin/main", "main", "origin/master", "master"}) {
    const CapturedOutput base = git(root, {"merge-base", "HEAD", line});
    if (base.status == 0) {
      return base.output.substr(0, base.output.find('\n'));
    }
  }
  return "HEAD";
}

bool is_product(const fs::path& folder) {
  const std::string name = folder.filename().string();
  return name == "build" || name == "app_build" || name == ".git" || name == ".cache";
}

template <class Visit>
void walk(const fs::path& folder, const Visit& visit) {
  std::error_code none;
  for (fs::recursive_directory_iterator at(folder, none), end; at != end; ++at) {
    if (at->is_directory() && is_product(at->path())) {
      at.disable_recursion_pending();
    } else if (at->is_regular_file() && !at->is_symlink()) {
      visit(at->path());
    }
  }
}

bool is_shell_script(const fs::path& file) {
  static const RE2 kInterpreter("#!\\s*(/usr)?/bin/(env )?(ba|da)?sh\\b.*");
  std::string first(64, '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(first.data(), static_cast<std::streamsize>(first.size()));
  first.resize(static_cast<size_t>(stream.gcount()));
  return RE2::FullMatch(first.substr(0, first.find('\n')), kInterpreter);
}

}  // namespace

std::span<const CheckerInfo> all_checkers() { return kCheckers; }

const CheckerInfo& info(Checker checker) { return kCheckers[static_cast<size_t>(checker)]; }

ChangedLines parse_diff(std::string_view diff) {
  static const RE2 kHunk("@@ -\\d+(?:,\\d+)? \\+(\\d+)(?:,(\\d+))? @@.*");
  ChangedLines changed;
  std::string file;
  std::istringstream lines{std::string(diff)};
  for (std::string line; std::getline(lines, line);) {
    unsigned first = 0;
    std::string count;
    if (line.starts_with("+++ ")) {
      file = line.starts_with("+++ b/") ? line.substr(6) : "";
    } else if (!file.empty() && is_cpp(file) && RE2::FullMatch(line, kHunk, &first, &count)) {
      const unsigned length = count.empty() ? 1 : static_cast<unsigned>(std::stoul(count));
      if (length != 0) {
        changed[file].emplace_back(first, first + length - 1);
      }
    }
  }
  return changed;
}

bool is_git_checkout(const fs::path& root) {
  return fs::exists(root / ".git") && find_program("git") && git(root, {"rev-parse", "--git-dir"}).status == 0;
}

std::optional<ChangedLines> changed_lines(const fs::path& root, const std::string& revision) {
  if (!is_git_checkout(root)) {
    if (!revision.empty()) {
      throw Failure(ExitCode::Usage, fmt::format("--since {}: {} is no git checkout", revision, root.string()));
    }
    return std::nullopt;
  }
  const std::string base = revision.empty() ? default_base(root) : revision;
  const CapturedOutput diff = git(root, {"diff", "-U0", "--no-color", "--no-ext-diff", "--src-prefix=a/", "--dst-prefix=b/", base, "--"});
  if (diff.status != 0) {
    std::vector<std::string> names;
    std::istringstream lines(git(root, {"for-each-ref", "--format=%(refname:short)"}).output);
    for (std::string name; std::getline(lines, name);) {
      names.push_back(name);
    }
    throw Failure(ExitCode::Usage, fmt::format("--since: git knows no revision '{}'{}", base, did_you_mean(base, names)));
  }
  ChangedLines changed = parse_diff(diff.output);
  std::istringstream untracked(git(root, {"ls-files", "--others", "--exclude-standard"}).output);
  for (std::string file; std::getline(untracked, file);) {
    if (is_cpp(file)) {
      changed[file] = {};
    }
  }
  return changed;
}

bool has_uncommitted_changes(const fs::path& root) {
  return is_git_checkout(root) && !git(root, {"status", "--porcelain"}).output.empty();
}

std::vector<Argv> format_commands(const ChangedLines& files, bool fix) {
  std::vector<Argv> commands;
  for (const auto& [file, ranges] : files) {
    Argv command{std::string(info(Checker::Format).program)};
    if (fix) {
      command.emplace_back("-i");
    } else {
      command.emplace_back("--dry-run");
    }
    for (const auto& [first, last] : ranges) {
      command.push_back(fmt::format("--lines={}:{}", first, last));
    }
    command.push_back(file);
    commands.push_back(std::move(command));
  }
  return commands;
}

std::vector<Argv> tidy_commands(const LintBuild& build, const std::vector<std::string>& sources, bool fix) {
  std::vector<Argv> commands;
  for (size_t first = 0; first < sources.size(); first += kTidyFilesPerCommand) {
    Argv command{std::string(info(Checker::Tidy).program), "-p", build.folder.string(), "--quiet"};
    if (fix) {
      command.emplace_back("--fix");
    }
    const size_t last = std::min(first + kTidyFilesPerCommand, sources.size());
    command.insert(command.end(), sources.begin() + static_cast<std::ptrdiff_t>(first), sources.begin() + static_cast<std::ptrdiff_t>(last));
    commands.push_back(std::move(command));
  }
  return commands;
}

std::vector<Argv> cppcheck_commands(const fs::path& root, const LintBuild& build, const std::string& package) {
  Argv command{std::string(info(Checker::Cppcheck).program),
               "--project=" + (build.folder / "compile_commands.json").string(),
               "--file-filter=" + (root / package / "*").string(),
               "--enable=warning,portability",
               "--std=c++20",  // of the versions that it knows, the newest
               "--inline-suppr",
               "--suppressions-list=" + (root / ".cppcheck-suppressions").string(),
               "--library=googletest",
               "--quiet",
               fmt::format("-j{}", default_jobs()),
               "--template={file}:{line}:{column}: {severity}: {message} [{id}]",
               "--template-location="};
  return {std::move(command)};
}

std::vector<Argv> shellcheck_commands(const std::vector<std::string>& scripts) {
  Argv command{std::string(info(Checker::Shellcheck).program), "-f", "gcc", "-S", "warning"};
  command.insert(command.end(), scripts.begin(), scripts.end());
  return scripts.empty() ? std::vector<Argv>{} : std::vector<Argv>{std::move(command)};
}

std::vector<std::string> cpp_files(const fs::path& root, const std::string& package) {
  std::vector<std::string> files;
  walk(root / package, [&](const fs::path& file) {
    if (is_cpp(file.string())) {
      files.push_back(file.lexically_relative(root).string());
    }
  });
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> shell_scripts(const fs::path& root) {
  std::vector<std::string> files;
  walk(root, [&](const fs::path& file) {
    if (is_shell_script(file)) {
      files.push_back(file.lexically_relative(root).string());
    }
  });
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace ax::xtask
