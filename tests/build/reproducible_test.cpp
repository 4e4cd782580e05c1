// The same sources give the same bytes: wherever, whoever, whenever and however parallel.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "tests/build/source_tree.hpp"

namespace ax::build_test {
namespace {

namespace fs = std::filesystem;

/// What must not matter.
struct Circumstances {
  std::string tree;
  std::string folder;  ///< of the build, in the tree
  std::string home;
  std::string umask;
  std::string time_zone;
  std::string jobs;
  std::chrono::hours age;  ///< of the source files
};

const Circumstances kHere{"tree", "build/qemu-aarch64", "home", "022", "UTC", "3", std::chrono::hours(0)};
const Circumstances kElsewhere{"a/deeper/place/with/a long name", "build/other/folder", "another/home", "077", "JST-9", "2",
                               std::chrono::hours(24 * 4000)};

EnvironmentChanges environment(const fs::path& scratch, const Circumstances& c) {
  return {{"HOME", (scratch / c.home).string()},
          {"TZ", c.time_zone},
          {"AXVISOR_VM_CONFIGS", (scratch / c.tree / "tests/boot/vms/tiny.toml").string()}};
}

Result run_under(const fs::path& scratch, const Circumstances& c, Argv argv, const fs::path& folder) {
  fs::create_directories(scratch / c.home);
  argv.insert(argv.begin(), {"/bin/sh", "-c", "umask " + c.umask + "; exec \"$@\"", "sh"});
  return run(argv, environment(scratch, c), folder);
}

void set_age(const fs::path& tree, std::chrono::hours age) {
  const auto time = fs::file_time_type::clock::now() - age;
  for (auto it = fs::recursive_directory_iterator(tree); it != fs::recursive_directory_iterator(); ++it) {
    if (it->is_regular_file() && !it->is_symlink()) {
      fs::last_write_time(it->path(), time);
    }
  }
}

/// Builds the image; returns the build folder.
fs::path build_image(const fs::path& scratch, const Circumstances& c) {
  const SourceTree tree(scratch / c.tree);
  set_age(tree.root(), c.age);
  const fs::path folder = tree.path(c.folder);
  const Result configured =
      run_under(scratch, c, {AXVISOR_CMAKE, "--preset", "qemu-aarch64", "-B", folder.string()}, tree.root());
  EXPECT_EQ(configured.status, 0) << configured.output;
  const Result built = run_under(scratch, c, {"ninja", "-C", folder.string(), "-j" + c.jobs, "axvisor"}, tree.root());
  EXPECT_EQ(built.status, 0) << built.output;
  return folder;
}

/// Compares without printing megabytes.
void expect_same(const fs::path& one, const fs::path& other) {
  const std::string a = xtask::read_file(one), b = xtask::read_file(other);
  const auto [at, end] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  EXPECT_FALSE(a.empty());
  EXPECT_TRUE(a == b) << one.filename() << ": " << a.size() << " and " << b.size() << " bytes, first difference at "
                      << at - a.begin();
}

TEST(Reproducible, ImageIsTheSameEverywhere) {
  const xtask::TemporaryFolder scratch;
  const fs::path here = build_image(scratch.path(), kHere);
  const fs::path elsewhere = build_image(scratch.path(), kElsewhere);
  expect_same(here / "axvisor", elsewhere / "axvisor");
  expect_same(here / "axvisor.bin", elsewhere / "axvisor.bin");
}

/// The cache that this machine's user has; tests do not use the network.
fs::path image_cache() {
  if (const char* own = std::getenv("AXVISOR_CACHE")) return own;
  if (const char* base = std::getenv("XDG_CACHE_HOME")) return fs::path(base) / "axvisor";
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : "/nonexistent") / ".cache/axvisor";
}

TEST(Reproducible, InitramfsIsTheSameEverywhere) {
  const xtask::TemporaryFolder scratch;
  std::vector<fs::path> outputs;
  for (const Circumstances& c : {kHere, kElsewhere}) {
    const SourceTree tree(scratch.path() / c.tree);
    set_age(tree.root(), c.age);
    outputs.push_back(scratch.path() / c.home / "initramfs");
    const Result fetched = run_under(scratch.path(), c,
        {AXVISOR_HOST_BUILD_DIR "/bin/xtask", "image", "fetch", "debian-arm64-initramfs", "--offline", "--cache",
         image_cache().string(), "--output", outputs.back().string()}, tree.root());
    if (fetched.status != 0) GTEST_SKIP() << "debian-arm64-initramfs is not in the cache: " << fetched.output;
  }
  expect_same(outputs[0], outputs[1]);
}

}  // namespace
}  // namespace ax::build_test
