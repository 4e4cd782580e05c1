#include "tools/xtask/image/apt_source.hpp"

#include <fmt/format.h>

#include <sstream>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"
#include "tools/xtask/image/apt_root.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Read by apt after the system's own configuration. Hooks of the system would touch its own caches.
constexpr std::string_view kConfiguration = R"(#clear APT::Update;
#clear DPkg;
APT::Sandbox::User "";
Dir::State "{folder}/state";
Dir::State::status "{folder}/state/status";
Dir::Cache "{folder}/cache";
Dir::Log "{folder}/log";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Acquire::Languages "none";
Acquire::Retries "3";
)";

/// The places that the system takes its packages from, as places of their sources.
std::string source_list() {
  const CapturedOutput targets = capture_command(
      {.argv = {"apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"},
       .console = ChildProcess::Console::Quiet});
  const std::string key = fs::exists(kKeyring) ? fmt::format("[signed-by={}] ", kKeyring) : "";
  std::string list;
  std::istringstream lines(targets.output);
  for (std::string line; std::getline(lines, line);) {
    const std::string entry = fmt::format("deb-src {}{}\n", key, line);
    if (list.find(entry) == std::string::npos) {
      list += entry;
    }
  }
  return list;
}

bool is_archive(const fs::path& path, const std::string& sha256) {
  return fs::is_regular_file(path) && sha256_hex(read_file(path)) == sha256;
}

/// What apt brought, in `folder`.
fs::path find_original(const fs::path& folder, const std::string& package, const std::string& version) {
  const std::string wanted = fmt::format("{}_{}.orig.tar.", package, version);
  std::string other;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(wanted) && !name.ends_with(".asc")) {
      return entry.path();
    }
    other = name.find(".orig.tar.") != std::string::npos ? name : other;
  }
  throw Failure(ExitCode::Environment,
                fmt::format("the configured mirror has {}, not version {} of {}", other.empty() ? "something else" : other,
                            version, package),
                "correct 'version' and 'sha256', or put the sources into the folder by hand");
}

}  // namespace

fs::path original_archive(const Console& console, const fs::path& cache, const std::string& package, const std::string& version,
                          const std::string& sha256, bool offline) {
  const fs::path kept = cache / "sha256" / sha256;
  if (is_archive(kept, sha256)) {
    return kept;
  }
  const std::string by_hand = "with a network the next build fetches it";
  if (offline) {
    throw Unreachable(
        fmt::format("{} {} is not in the cache ({}), and offline it cannot be fetched", package, version, cache.string()),
        by_hand);
  }
  if (!find_program("apt-get")) {
    throw Unreachable("fetching Debian packages needs apt-get, which is not here", "put the sources into the folder by hand");
  }
  const FileLock held(cache / "lock", [&] { console.step("waiting for another fetch into " + cache.string()); });
  if (is_archive(kept, sha256)) {
    return kept;
  }
  const fs::path folder = cache / "apt/source";
  for (const char* part : {"state/lists/partial", "cache/archives/partial", "log"}) {
    fs::create_directories(folder / part);
  }
  fs::remove_all(folder / "download");
  fs::create_directories(folder / "download");
  write_file_if_changed(folder / "state/status", "");
  write_file_if_changed(folder / "sources.list", source_list());
  write_file_if_changed(folder / "apt.conf", fmt::format(kConfiguration, fmt::arg("folder", folder.string())));
  const std::string configuration = (folder / "apt.conf").string();
  console.step(fmt::format("fetching the sources of {} {}", package, version));
  // An index that is only partly there may have the package all the same.
  console.detail(capture_command({.argv = {"apt-get", "-c", configuration, "-q", "update"}}).output);
  const Argv fetch{"apt-get", "-c", configuration, "-q", "source", "--download-only", "--tar-only", package};
  console.detail(format_command(fetch));
  if (run_command({.argv = fetch, .folder = folder / "download", .console = ChildProcess::Console::Stderr}) != 0) {
    throw Unreachable(fmt::format("apt-get could not download the sources of {}", package), by_hand);
  }
  const std::string content = read_file(find_original(folder / "download", package, version));
  fs::remove_all(folder / "download");
  if (sha256_hex(content) != sha256) {
    throw Failure(ExitCode::Environment,
                  fmt::format("the archive of {} {} has SHA-256 {}, not {}", package, version, sha256_hex(content), sha256),
                  "correct 'sha256' if you trust it");
  }
  write_file(kept, content);
  return kept;
}

}  // namespace ax::xtask
