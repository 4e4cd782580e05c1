#include "tools/xtask/image/apt_root.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

/// Read by apt after the system's own configuration. Hooks of the system would touch its own caches.
constexpr std::string_view kConfiguration = R"(#clear APT::Update;
#clear DPkg;
#clear APT::Architectures;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Log "{folder}/log";
Acquire::Languages "none";
Acquire::Retries "3";
)";

std::string field_value(const std::string& line) {
  const size_t colon = line.find(": ");
  return colon == std::string::npos ? "" : line.substr(colon + 2);
}

}  // namespace

std::vector<PackageRecord> parse_package_records(const std::string& text) {
  std::vector<PackageRecord> records;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Package: ")) {
      records.emplace_back().name = field_value(line);
    } else if (!records.empty() && line.starts_with("Version: ")) {
      records.back().version = field_value(line);
    } else if (!records.empty() && line.starts_with("SHA256: ")) {
      records.back().sha256 = field_value(line);
    } else if (!records.empty() && line.starts_with("Depends: ")) {
      records.back().depends = field_value(line);
    } else if (!records.empty() && line.starts_with("Size: ")) {
      records.back().size = std::strtoull(field_value(line).c_str(), nullptr, 10);
    }
  }
  return records;
}

AptRoot::AptRoot(const Console& console, fs::path folder, std::string architecture)
    : console_(console), folder_(std::move(folder)), architecture_(std::move(architecture)) {
  if (!find_program("apt-get")) {
    throw Unreachable("fetching Debian packages needs apt-get, which is not here");
  }
  for (const char* part : {"state/lists/partial", "cache/archives/partial", "log", "download"}) {
    fs::create_directories(folder_ / part);
  }
  write_file_if_changed(folder_ / "state/status", "");
  write_file_if_changed(folder_ / "apt.conf", fmt::format(kConfiguration, fmt::arg("architecture", architecture_),
                                                          fmt::arg("folder", folder_.string())));
}

Argv AptRoot::command(std::initializer_list<std::string> words) const {
  Argv argv(words);
  argv.insert(argv.begin() + 1, {"-c", (folder_ / "apt.conf").string()});
  return argv;
}

bool AptRoot::update() {
  console_.step(fmt::format("reading the {} package index of the configured mirror", architecture_));
  const Argv argv = command({"apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update"});
  console_.detail(format_command(argv));
  const CapturedOutput update = capture_command({.argv = argv});
  console_.detail(update.output);
  return update.status == 0;
}

std::optional<PackageRecord> AptRoot::find(const std::string& package, const std::string& version) const {
  const std::string wanted = version.empty() ? package : package + "=" + version;
  const CapturedOutput show =
      capture_command({.argv = command({"apt-cache", "show", "--no-all-versions", wanted}), .console = ChildProcess::Console::Quiet});
  const std::vector<PackageRecord> records = parse_package_records(show.output);
  if (show.status != 0 || records.empty() || records.front().sha256.empty()) {
    return std::nullopt;
  }
  return records.front();
}

std::string AptRoot::download(const PackageRecord& record) const {
  constexpr double kMiB = 1024.0 * 1024.0;
  console_.step(fmt::format("fetching {} {} ({:.1f} MiB)", record.name, record.version,
                            static_cast<double>(record.size) / kMiB));
  const fs::path folder = folder_ / "download";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const Argv argv = command({"apt-get", "-q", "download", record.name + "=" + record.version});
  console_.detail(format_command(argv));
  if (run_command({.argv = argv, .folder = folder, .console = ChildProcess::Console::Stderr}) != 0) {
    throw Unreachable(fmt::format("apt-get could not download {} {}", record.name, record.version));
  }
  std::string deb;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".deb") {
      deb = read_file(entry.path());
    }
  }
  fs::remove_all(folder);
  if (sha256_hex(deb) != record.sha256) {
    throw Failure(ExitCode::Failure,
                  fmt::format("{} {}: the download is not what the signed index describes", record.name, record.version),
                  "try again; if that does not help, the mirror or a proxy on the way damages it");
  }
  return deb;
}

}  // namespace ax::xtask
