#include "tools/xtask/core/packages.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"

namespace ax::xtask {
namespace {

const EnvironmentChanges kUnattended{{"DEBIAN_FRONTEND", "noninteractive"}};

Argv as_root(Argv command) {
  if (::geteuid() != 0) {
    command.insert(command.begin(), {"sudo", "-n", "DEBIAN_FRONTEND=noninteractive"});
  }
  return command;
}

Argv install_command(const std::vector<std::string>& names) {
  Argv command{"apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"};
  command.insert(command.end(), names.begin(), names.end());
  return command;
}

/// Throws unless the user wants it.
void ask(const Context& context, const std::vector<std::string>& names, const std::string& by_hand) {
  const auto refuse = [&](std::string_view reason) {
    throw Failure(ExitCode::Environment,
                  fmt::format("missing packages: {} ({})", fmt::join(names, " "), reason), by_hand);
  };
  if (context.no_install) {
    refuse("--no-install");
  }
  if (!find_program("apt-get")) {
    refuse("there is no apt-get here: install their equivalents");
  }
  context.console.step(fmt::format("to be installed: {}", fmt::join(names, " ")));
  if (!context.yes && context.console.interactive() && !context.console.confirm("Install these packages?")) {
    refuse("not installed");
  }
  if (::geteuid() != 0) {
    if (!find_program("sudo") ||
        run_command({.argv = {"sudo", "-n", "true"}, .console = ChildProcess::Console::Null}) != 0) {
      refuse("installing needs root, and sudo wants a password");
    }
  }
}

}  // namespace

bool Package::present() const {
  return probe.starts_with('/') ? std::filesystem::exists(probe) : find_program(probe).has_value();
}

std::vector<Package> parse_packages(std::string_view text, const std::string& name) {
  std::vector<Package> packages;
  std::istringstream lines{std::string(text)};
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    Package package;
    if (!(words >> package.group)) {
      continue;
    }
    std::string surplus;
    if (!(words >> package.name >> package.probe) || words >> surplus) {
      throw Failure(ExitCode::Usage, fmt::format("{}:{}: expected 'group package probe'", name, number));
    }
    packages.push_back(std::move(package));
  }
  return packages;
}

std::vector<Package> load_packages(const Context& context) {
  const std::filesystem::path path = context.root / "cmake/packages.txt";
  return parse_packages(read_file(path), path.string());
}

std::vector<Package> missing_packages(const std::vector<Package>& all, std::span<const std::string_view> groups) {
  std::vector<Package> missing;
  std::copy_if(all.begin(), all.end(), std::back_inserter(missing), [&](const Package& package) {
    const bool wanted = groups.empty() || std::find(groups.begin(), groups.end(), package.group) != groups.end();
    return wanted && !package.present();
  });
  return missing;
}

void ensure_packages(const Context& context, std::span<const std::string_view> groups) {
  std::vector<std::string> names;
  for (const Package& package : missing_packages(load_packages(context), groups)) {
    names.push_back(package.name);
  }
  if (names.empty()) {
    return;
  }
  const Argv install = as_root(install_command(names));
  const std::string by_hand = "run: " + format_command(install);
  if (context.dry_run) {
    print_out(format_command(install) + "\n");
    return;
  }
  ask(context, names, by_hand);
  if (run_command({.argv = as_root({"apt-get", "update", "-q"}), .environment = kUnattended}) != 0) {
    context.console.warn("apt-get update failed; trying with the package lists that are there");
  }
  if (run_command({.argv = install, .environment = kUnattended}) != 0) {
    throw Failure(ExitCode::Environment, "apt-get could not install: " + fmt::format("{}", fmt::join(names, " ")), by_hand);
  }
}

}  // namespace ax::xtask
