#include "tools/xtask/image/image_store.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/xtask/deb.hpp"
#include "tests/xtask/support.hpp"
#include "tools/xtask/image/apt_root.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kRecipe = R"(kind = "debian-kernel"
summary = "A kernel"
architecture = "arm64"
package = "linux-image-arm64"
file = "boot/vmlinuz-"
)";

/// The log of the mirror counts downloads.
class ImageTest : public ::testing::Test {
 protected:
  ImageTest() {
    tree_.write("configs/images/kernel.toml", kRecipe);
    tree_.write(".image.toml", "local_storage = \"" + tree_.path("storage").string() + "\"\nauto_sync = false\n");
    test::write_fake_apt(tree_.programs());
    publish("6.1.0-1", "kernel one");
  }

  /// Makes this the mirror's current kernel; what it had before is gone.
  void publish(const std::string& version, const std::string& content) {
    fs::remove_all(mirror());
    const std::string name = "linux-image-" + version + "-arm64";
    const std::string deb = test::make_deb({{"./boot/vmlinuz-" + version, content}}, test::DebCompression::Xz);
    write_file(mirror() / (name + "=" + version + ".deb"), deb);
    write_file(mirror() / (name + "=" + version + ".record"), test::package_record(name, version, "libc6", sha256_hex(deb)));
    write_file(mirror() / "linux-image-arm64.candidate", "linux-image-arm64=" + version);
    write_file(mirror() / ("linux-image-arm64=" + version + ".record"),
               test::package_record("linux-image-arm64", version, name + " (= " + version + ")", sha256_hex("meta")));
  }
  fs::path mirror() const { return tree_.path("mirror"); }
  int downloads() const {
    const std::string log = fs::exists(mirror() / "log") ? read_file(mirror() / "log") : "";
    int count = 0;
    for (size_t at = 0; (at = log.find("=", at)) != std::string::npos; ++at) {
      ++count;
    }
    return count;
  }
  EnvironmentChanges environment() const {
    return {{"PATH", tree_.programs().string() + ":/usr/bin:/bin"},
            {"MIRROR", mirror().string()},
            {"AXVISOR_CACHE", tree_.path("cache").string()},
            {"AXVISOR_OFFLINE", std::nullopt}};
  }
  ProgramResult image(std::vector<std::string> arguments, const EnvironmentChanges& more = {}) const {
    arguments.insert(arguments.begin(), "image");
    EnvironmentChanges all = environment();
    for (const auto& [name, value] : more) {
      all[name] = value;
    }
    return tree_.xtask(arguments, all);
  }
  ProgramResult fetch(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"fetch", "kernel", "--output", output().string()});
    return image(more);
  }
  void lock() const { ASSERT_EQ(image({"lock", "--update"}).status, 0); }
  fs::path output() const { return tree_.path("out/kernel"); }

  test::ScratchTree tree_;
};

TEST_F(ImageTest, FetchesTheLockedVersionOnce) {
  lock();
  EXPECT_THAT(read_file(tree_.root() / "configs/images/lock.toml"),
              HasSubstr("[kernel]\npackage = \"linux-image-6.1.0-1-arm64\"\nversion = \"6.1.0-1\"\n"));
  const int before = downloads();
  EXPECT_EQ(fetch().status, 0);
  EXPECT_EQ(read_file(output()), "kernel one");
  fs::remove_all(tree_.path("cache"));
  EXPECT_EQ(fetch().output, "xtask: reading the arm64 package index of the configured mirror\n"
                            "xtask: fetching linux-image-6.1.0-1-arm64 6.1.0-1 (0.0 MiB)\n");
  EXPECT_EQ(fetch({"--offline"}).output, "");
  EXPECT_EQ(downloads(), before + 1);
}

TEST_F(ImageTest, LeavesAnEqualOutputAlone) {
  lock();
  fetch();
  const fs::file_time_type long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(output(), long_ago);
  EXPECT_EQ(fetch().status, 0);
  EXPECT_EQ(fs::last_write_time(output()), long_ago);
}

TEST_F(ImageTest, TakesTheCurrentVersionWithAWarningWhenTheMirrorMovedOn) {
  lock();
  fs::remove_all(tree_.path("cache"));
  publish("6.1.0-2", "kernel two");
  const ProgramResult result = fetch();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output,
              HasSubstr("warning: image kernel: the mirror no longer has linux-image-6.1.0-1-arm64 6.1.0-1; taking "
                        "linux-image-6.1.0-2-arm64 6.1.0-2 (./xtask image lock --update pins what the mirror has now)"));
  EXPECT_EQ(read_file(output()), "kernel two");
  const ProgramResult again = fetch({"--offline"});
  EXPECT_EQ(again.status, 0) << "what stood in is kept";
  EXPECT_THAT(again.output, HasSubstr("warning: image kernel: the mirror no longer has"));
  EXPECT_EQ(downloads(), 1);
}

TEST_F(ImageTest, RefusesAPackageThatIsNotTheLockedOne) {
  lock();
  fs::remove_all(tree_.path("cache"));
  publish("6.1.0-1", "kernel one, but different");
  const ProgramResult result = fetch();
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("error: linux-image-6.1.0-1-arm64 6.1.0-1 has SHA-256 "));
  EXPECT_FALSE(fs::exists(output()));
}

TEST_F(ImageTest, RefusesAFileThatIsNotTheLockedOne) {
  lock();
  fs::remove_all(tree_.path("cache"));
  const fs::path file = tree_.root() / "configs/images/lock.toml";
  std::string text = read_file(file);
  const std::string good = sha256_hex("kernel one");
  text.replace(text.find(good), good.size(), sha256_hex("another"));
  write_file(file, text);
  const ProgramResult result = fetch();
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("boot/vmlinuz- of linux-image-6.1.0-1-arm64 6.1.0-1 has SHA-256 " + good));
}

TEST_F(ImageTest, RefusesADownloadThatTheIndexDoesNotDescribe) {
  lock();
  fs::remove_all(tree_.path("cache"));
  write_file(mirror() / "linux-image-6.1.0-1-arm64=6.1.0-1.deb", "garbage");
  const ProgramResult result = fetch();
  EXPECT_EQ(result.status, static_cast<int>(ExitCode::Failure));
  EXPECT_THAT(result.output, HasSubstr("the download is not what the signed index describes"));
}

TEST_F(ImageTest, FetchesAgainWhatIsDamagedInTheCache) {
  lock();
  write_file(tree_.path("cache") / "sha256" / sha256_hex("kernel one"), "kernel on");
  const ProgramResult result = fetch();
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("is damaged and will be fetched again"));
  EXPECT_EQ(read_file(output()), "kernel one");
}

TEST_F(ImageTest, SaysSoWhenItIsOfflineAndUncached) {
  lock();
  fs::remove_all(tree_.path("cache"));
  for (const ProgramResult& result : {fetch({"--offline"}), image({"fetch", "kernel"}, {{"AXVISOR_OFFLINE", "1"}})}) {
    EXPECT_EQ(result.status, static_cast<int>(ExitCode::Environment));
    EXPECT_THAT(result.output, HasSubstr("error: image kernel is not in the cache ("));
  }
}

TEST_F(ImageTest, SaysSoWhenTheMirrorCannotBeReached) {
  const ProgramResult result = image({"fetch", "kernel"}, {{"UPDATE_STATUS", "100"}});
  EXPECT_EQ(result.status, static_cast<int>(ExitCode::Environment));
  EXPECT_THAT(result.output, HasSubstr("error: image kernel: the mirror cannot be reached"));
}

/// `image fetch` as a build calls it, with what stands in.
class StandInTest : public ImageTest {
 protected:
  StandInTest() {
    lock();
    fs::remove_all(tree_.path("cache"));
    write_file(guest(), "tiny guest");
    tree_.write("configs/images/root.toml", "kind = 'initramfs'\nsummary = 'x'\narchitecture = 'arm64'\npackage = 'busybox-static'\n"
                                            "file = 'bin/busybox'\ninit = 'init'\napplets = ['sh']\n");
    tree_.write("configs/images/init", "#!/bin/sh\n");
  }
  ProgramResult build(const std::string& name, const std::string& together, const EnvironmentChanges& more = {}) {
    return image({"fetch", name, "--output", tree_.path("out/" + name).string(), "--depfile", tree_.path("d").string(),
                  "--stand-in", guest().string(), "--together", together},
                 more);
  }
  void lose_mirror() {
    fs::remove_all(mirror());
    fs::create_directories(mirror());
  }
  fs::path guest() const { return tree_.path("tiny.bin"); }
  const EnvironmentChanges unreachable_{{"UPDATE_STATUS", "100"}};
};

TEST_F(StandInTest, TakesThePlaceOfAKernelWithOneWarning) {
  lose_mirror();
  const ProgramResult kernel = build("kernel", "kernel", unreachable_);
  EXPECT_EQ(kernel.status, 0) << kernel.output;
  EXPECT_THAT(kernel.output, HasSubstr("warning: image kernel: the mirror cannot be reached: the built-in tiny guest stands in "
                                       "for it, and tests that need it are skipped"));
  EXPECT_EQ(read_file(output()), "tiny guest");
  const ProgramResult root = build("root", "root", unreachable_);
  EXPECT_EQ(root.status, 0) << root.output;
  EXPECT_THAT(root.output, Not(HasSubstr("warning")));
  EXPECT_EQ(read_file(tree_.path("out/root")), std::string(512, '\0'));
}

TEST_F(StandInTest, TakesTheKernelsPlaceWhenItsRamDiskCannotBeHad) {
  ASSERT_EQ(image({"fetch", "kernel"}).status, 0);  // the kernel is in the cache
  const ProgramResult kernel = build("kernel", "root", {{"AXVISOR_OFFLINE", "1"}});
  EXPECT_EQ(kernel.status, 0) << kernel.output;
  EXPECT_THAT(kernel.output, HasSubstr("warning: image root is not in the cache"));
  EXPECT_EQ(read_file(output()), "tiny guest");
}

TEST_F(StandInTest, GivesWayAtTheNextBuildThatCanFetch) {
  build("kernel", "kernel", {{"AXVISOR_OFFLINE", "1"}});
  EXPECT_THAT(read_file(tree_.path("d")), HasSubstr("out/kernel.stand-in.never")) << "Ninja must run it again";
  fs::last_write_time(output().string() + ".stand-in", fs::file_time_type::clock::now() - std::chrono::hours(1));
  const ProgramResult result = build("kernel", "kernel");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(output()), "kernel one");
  EXPECT_FALSE(fs::exists(output().string() + ".stand-in"));
  EXPECT_THAT(read_file(tree_.path("d")), Not(HasSubstr("never")));
}

TEST_F(StandInTest, DoesNotAskAMirrorAgainThatFailedAMomentAgo) {
  lose_mirror();
  build("kernel", "kernel", unreachable_);
  const ProgramResult again = build("kernel", "kernel", unreachable_);
  EXPECT_EQ(again.status, 0);
  EXPECT_THAT(again.output, HasSubstr("warning: "));
  EXPECT_THAT(again.output, Not(HasSubstr("package index")));
}

TEST_F(StandInTest, IsNoRemedyForAPackageThatIsNotTheLockedOne) {
  publish("6.1.0-1", "kernel one, but different");
  EXPECT_EQ(build("kernel", "kernel").status, 1);
  EXPECT_FALSE(fs::exists(output()));
}

TEST_F(StandInTest, SkipsRunsAndChecksThatNeedTheImage) {
  build("kernel", "kernel", {{"AXVISOR_OFFLINE", "1"}});
  tree_.write("run.toml", "kernel = 'none'\nemulator = '/bin/true'\nexpect_exit = 0\n");
  const ProgramResult run = tree_.xtask({"run", "--config", (tree_.root() / "run.toml").string(), "--needs", output().string()},
                                        environment());
  EXPECT_EQ(run.status, 77);
  EXPECT_THAT(run.output, ::testing::StartsWith("skipped: kernel was not fetched: image kernel is not in the cache"));
  EXPECT_EQ(image({"verify", "kernel", output().string()}).status, 77);
  EXPECT_EQ(fetch().status, 0);
  EXPECT_EQ(tree_.xtask({"run", "--config", (tree_.root() / "run.toml").string(), "--needs", output().string()}, environment()).status, 0);
}

/// The real apt-get, and a mirror where nothing listens.
TEST_F(StandInTest, ServesWithAnUnreachableMirror) {
  tree_.write("sources.list", "deb [trusted=yes] http://127.0.0.1:9/debian bookworm main\n");
  tree_.write("apt.conf", "Dir::Etc::sourcelist \"" + (tree_.root() / "sources.list").string() +
                              "\";\nDir::Etc::sourceparts \"/dev/null\";\nAcquire::http::Proxy \"DIRECT\";\n");
  const ProgramResult kernel =
      build("kernel", "kernel", {{"PATH", "/usr/bin:/bin"}, {"APT_CONFIG", (tree_.root() / "apt.conf").string()}});
  EXPECT_EQ(kernel.status, 0) << kernel.output;
  EXPECT_THAT(kernel.output, HasSubstr("the mirror cannot be reached: the built-in tiny guest stands in"));
  EXPECT_EQ(read_file(output()), "tiny guest");
}

TEST_F(ImageTest, VerifiesAFetchedKernel) {
  lock();
  fetch();
  EXPECT_EQ(image({"verify", "kernel", output().string()}).output, "kernel: " + sha256_hex("kernel one") + "\n");
  write_file(output(), "another");
  EXPECT_THAT(image({"verify", "kernel", output().string()}).output, HasSubstr("error: image kernel has SHA-256 "));
  fs::remove_all(tree_.path("cache"));
  publish("6.1.0-2", "kernel two");
  fetch();
  EXPECT_EQ(image({"verify", "kernel", output().string()}).status, 0) << "what a signed index offers in its place";
}

TEST_F(ImageTest, DownloadsOnceForTwoProcesses) {
  lock();
  fs::remove_all(tree_.path("cache"));
  const int before = downloads();
  EnvironmentChanges all = environment();
  all["AXVISOR_ROOT"] = tree_.root().string();
  const ProgramResult both = test::run_program(
      {"/bin/sh", "-c", "\"$0\" image fetch kernel & first=$!; \"$0\" image fetch kernel && wait $first", XTASK_PROGRAM}, all);
  EXPECT_EQ(both.status, 0) << both.output;
  EXPECT_EQ(downloads(), before + 1);
}

TEST_F(ImageTest, ListsWhatIsLockedAndCached) {
  EXPECT_THAT(image({"ls"}).output, HasSubstr("kernel  (not locked)  aarch64       recipe    no    A kernel\n"));
  lock();
  EXPECT_THAT(image({"ls"}).output, HasSubstr("kernel  6.1.0-1  aarch64       recipe    yes   A kernel\n"));
}

TEST_F(ImageTest, ComparesTheLockWithTheMirror) {
  lock();
  publish("6.1.0-2", "kernel two");
  EXPECT_THAT(image({"lock"}).output, HasSubstr("kernel: locked 6.1.0-1, the mirror has 6.1.0-2\n"));
  EXPECT_THAT(image({"lock", "--update"}).output, HasSubstr("kernel: 6.1.0-1 -> 6.1.0-2\n"));
}

TEST_F(ImageTest, SuggestsAnImage) {
  const ProgramResult result = image({"fetch", "kernal"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("unknown image 'kernal'; did you mean 'kernel'?"));
  EXPECT_EQ(image({"fetch", "lock"}).status, 2);
}

TEST_F(ImageTest, WritesWhatAnImageDependsOn) {
  lock();
  ASSERT_EQ(fetch({"--depfile", tree_.path("out/kernel.d").string()}).status, 0);
  EXPECT_EQ(read_file(tree_.path("out/kernel.d")),
            fmt::format("{0}: {1}/kernel.toml {1}/lock.toml\n", output().string(),
                        (tree_.root() / "configs/images").string()));
}

TEST(Recipes, OfTheProjectAreAllLocked) {
  const Lock lock = load_lock(lock_path(AXVISOR_SOURCE_DIR));
  for (const std::string& name : recipe_names(AXVISOR_SOURCE_DIR)) {
    EXPECT_EQ(load_recipe(AXVISOR_SOURCE_DIR, name).name, name);
    EXPECT_TRUE(lock.contains(name)) << name;
  }
  EXPECT_EQ(read_file(lock_path(AXVISOR_SOURCE_DIR)), format_lock(lock));
}

TEST(PackageRecords, TakesTheFieldsThatMatter) {
  const std::vector<PackageRecord> records = parse_package_records(
      "Package: a\nVersion: 1:2-3\nDepends: b (= 1), c\nSize: 42\nSHA256: ff\nDescription: x\n\nPackage: d\nVersion: 4\n");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].version, "1:2-3");
  EXPECT_EQ(records[0].depends, "b (= 1), c");
  EXPECT_EQ(records[0].size, 42u);
  EXPECT_EQ(records[1].name, "d");
}

}  // namespace
}  // namespace ax::xtask
