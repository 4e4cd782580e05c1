#include "tools/xtask/app/app_package.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/core/files.hpp"
#include "tools/xtask/core/process.hpp"
#include "tools/xtask/image/apt_source.hpp"
#include "tools/xtask/image/image_store.hpp"

namespace ax::xtask {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMark = ".package";  // in the folder: what it was made of

std::string mark_of(const app::Package& package) {
  std::string text = fmt::format("{} {} {}\n", package.debian, package.version, package.sha256);
  for (const std::string& file : package.files) {
    text += file + "\n";
  }
  return text;
}

bool is_there(const app::Package& package) {
  if (!fs::is_directory(package.folder)) {
    return false;
  }
  const fs::path mark = package.folder / kMark;
  return !fs::exists(mark) || read_file(mark) == mark_of(package);
}

void run_quietly(const Context& context, const Argv& command, const fs::path& folder, const std::string& package) {
  context.console.detail(format_command(command));
  const CapturedOutput result = capture_command({.argv = command, .folder = folder});
  if (result.status != 0) {
    fmt::print(stderr, "{}", result.output);
    throw Failure(ExitCode::Failure, fmt::format("the files of {} cannot be made: {} failed", package, command.front()),
                  "the lines above say why; a tool that it needs may be missing (SQLite: the Debian package tcl)");
  }
}

/// The one folder in an unpacked archive, or the archive's own.
fs::path top_folder(const fs::path& unpacked) {
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(unpacked)) {
    entries.push_back(entry.path());
  }
  return entries.size() == 1 && fs::is_directory(entries.front()) ? entries.front() : unpacked;
}

void make_missing_files(const Context& context, const app::Package& package, const fs::path& sources) {
  Argv make{"make"};
  for (const std::string& file : package.files) {
    if (!fs::exists(sources / file)) {
      make.push_back(file);
    }
  }
  if (make.size() == 1) {
    return;
  }
  context.console.step(fmt::format("making the files of {} {}", package.debian, package.version));
  run_quietly(context, {"./configure"}, sources, package.debian);
  run_quietly(context, make, sources, package.debian);
}

/// Makes `folder` of the package's files in `from`: complete, or not there at all.
void copy_files(const app::Package& package, const fs::path& from, const fs::path& folder) {
  const fs::path fresh = folder.string() + ".new";
  fs::remove_all(fresh);
  for (const std::string& file : package.files) {
    const fs::path original = fs::exists(from / file) ? from / file : from / fs::path(file).filename();
    write_file(fresh / fs::path(file).filename(), read_file(original));
  }
  write_file(fresh / kMark, mark_of(package));
  write_file(fresh / ".gitignore", "*\n");
  fs::remove_all(folder);
  fs::rename(fresh, folder);
}

/// A folder with the package's files. To make them may take longer than to compile them, so that they are kept in the cache.
fs::path made_files(const Context& context, const app::Package& package) {
  const fs::path made = default_cache() / "made" / sha256_hex(mark_of(package));
  if (fs::is_directory(made)) {
    return made;
  }
  const char* offline = std::getenv("AXVISOR_OFFLINE");
  const fs::path archive = original_archive(context.console, default_cache(), package.debian, package.version, package.sha256,
                                            offline != nullptr && std::string_view(offline) == "1");
  const TemporaryFolder work;
  run_quietly(context, {"cmake", "-E", "tar", "xf", archive.string()}, work.path(), package.debian);
  const fs::path sources = top_folder(work.path());
  make_missing_files(context, package, sources);
  copy_files(package, sources, made);
  return made;
}

}  // namespace

void have_package(const Context& context, const app::Package& package) {
  if (is_there(package)) {
    return;
  }
  if (context.dry_run) {
    throw Failure(ExitCode::Environment,
                  fmt::format("the package {} {} is not in {} yet", package.debian, package.version, package.folder.string()),
                  "build without --dry-run: that fetches it");
  }
  const FileLock held(default_cache() / "packages.lock",
                      [&] { context.console.step("waiting for another build to fetch sources"); });
  if (is_there(package)) {
    return;  // another process has made it while this one waited
  }
  copy_files(package, made_files(context, package), package.folder);
}

}  // namespace ax::xtask
