// `xtask image` with a registry on a real server, which is good or bad in many ways.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/xtask/archives.hpp"
#include "tests/xtask/deb.hpp"
#include "tests/xtask/http_server.hpp"
#include "tests/xtask/support.hpp"
#include "tools/xtask/image/registry.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::ArchiveMember;
using test::HttpAnswer;
using test::make_tar;
using test::ProgramResult;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ImageRegistryTest : public ::testing::Test {
 protected:
  ImageRegistryTest() {
    settings("");
    kernel_ = make_tar({{.path = "qemu-aarch64", .content = "kernel one"}, {.path = "rootfs.img", .content = std::string(300000, 'r')}});
    offer("linux", "v1", kernel_);
    publish();
  }

  void settings(const std::string& more) {
    tree_.write(".image.toml", fmt::format("local_storage = \"{}\"\nregistry = \"{}\"\ntimeout = 1\n{}", storage().string(),
                                           server_.url("default.toml"), more));
  }
  /// Puts an image on the server and into the registry.
  void offer(const std::string& name, const std::string& version, const std::string& archive, const std::string& released = "") {
    const std::string path = name + version + ".tar.gz";
    server_.serve(path, {.content = archive});
    add({name, version, released, "An image", sha256_hex(archive), "aarch64", server_.url(path)});
  }
  void add(const RegistryImage& image) { images_.push_back(image); }
  void publish() { server_.serve("default.toml", {.content = format_registry(images_, "test")}); }

  EnvironmentChanges environment() const {
    return {{"AXVISOR_CACHE", tree_.path("cache").string()}, {"AXVISOR_OFFLINE", std::nullopt}, {"http_proxy", std::nullopt},
            {"HTTP_PROXY", std::nullopt},                    {"all_proxy", std::nullopt},       {"ALL_PROXY", std::nullopt}};
  }
  ProgramResult image(std::vector<std::string> arguments, const EnvironmentChanges& more = {}) const {
    arguments.insert(arguments.begin(), "image");
    EnvironmentChanges all = environment();
    for (const auto& [name, value] : more) {
      all[name] = value;
    }
    return tree_.xtask(arguments, all);
  }
  fs::path storage() const { return tree_.path("storage"); }
  std::vector<std::string> content_of(const fs::path& folder) const {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(folder).string());
    }
    return names;
  }
  void expect_nothing_of(const std::string& name) const {
    EXPECT_FALSE(fs::exists(storage() / name));
    EXPECT_FALSE(fs::exists(storage() / (name + ".tar.gz")));
    EXPECT_FALSE(fs::exists(storage() / ("." + name + ".unpacking")));
  }

  test::HttpServer server_;
  test::ScratchTree tree_;
  std::vector<RegistryImage> images_;
  std::string kernel_;
};

TEST_F(ImageRegistryTest, DownloadsAndUnpacksWhereAxVisorDoes) {
  const ProgramResult result = image({"download", "linux"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr((storage() / "linux").string() + "\n"));
  EXPECT_EQ(read_file(storage() / "linux/qemu-aarch64"), "kernel one");
  EXPECT_EQ(read_file(storage() / "linux.tar.gz"), kernel_);
  EXPECT_TRUE(fs::exists(storage() / "images.toml"));
  EXPECT_GT(std::stoll(read_file(storage() / ".last_sync")), 1'600'000'000);
  EXPECT_EQ(image({"pull", "linux:v1"}).status, 0);
  EXPECT_EQ(read_file(storage() / "linux-v1/qemu-aarch64"), "kernel one");
  EXPECT_EQ(server_.requests_for("linuxv1.tar.gz"), 1u) << "the same content under another name is not fetched again";
}

TEST_F(ImageRegistryTest, LeavesAloneWhatIsThere) {
  ASSERT_EQ(image({"download", "linux"}).status, 0);
  write_file(storage() / "linux/rootfs.img", "written by a guest");
  const ProgramResult again = image({"download", "linux", "--offline"});
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(read_file(storage() / "linux/rootfs.img"), "written by a guest");
  EXPECT_EQ(server_.requests_for("linuxv1.tar.gz"), 1u);
}

TEST_F(ImageRegistryTest, FetchesAgainWhatWasDamaged) {
  ASSERT_EQ(image({"download", "linux"}).status, 0);
  write_file(storage() / "linux.tar.gz", "damaged");
  EXPECT_EQ(image({"check"}).status, 1);
  EXPECT_EQ(image({"download", "linux"}).status, 0);
  EXPECT_EQ(read_file(storage() / "linux.tar.gz"), kernel_);
  EXPECT_EQ(image({"check"}).status, 0);
}

TEST_F(ImageRegistryTest, PutsImagesIntoAnotherFolder) {
  const ProgramResult result = image({"download", "linux", "-o", tree_.path("out").string(), "--no-extract"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(content_of(tree_.path("out")), ::testing::ElementsAre("linux.tar.gz"));
}

TEST_F(ImageRegistryTest, ReplacesAnOlderVersionOfTheSameName) {
  ASSERT_EQ(image({"download", "linux"}).status, 0);
  offer("linux", "v2", make_tar({{.path = "other", .content = "kernel two"}}), "2026-01-01T00:00:00Z");
  publish();
  ASSERT_EQ(image({"sync"}).status, 0);
  ASSERT_EQ(image({"download", "linux"}).status, 0);
  EXPECT_EQ(read_file(storage() / "linux/other"), "kernel two");
  EXPECT_FALSE(fs::exists(storage() / "linux/qemu-aarch64"));
}

TEST_F(ImageRegistryTest, SuggestsANameAndTellsVersions) {
  const ProgramResult name = image({"download", "linx"});
  EXPECT_EQ(name.status, 2);
  EXPECT_THAT(name.output, HasSubstr("error: unknown image 'linx'; did you mean 'linux'?\nhint: ./xtask image ls shows the images"));
  const ProgramResult version = image({"download", "linux:v7"});
  EXPECT_EQ(version.status, 2);
  EXPECT_THAT(version.output, HasSubstr("image 'linux' has no version 'v7'; it has: v1"));
}

TEST_F(ImageRegistryTest, ListsVersionsMergedOrOneByOne) {
  offer("linux", "v2", kernel_);
  publish();
  const ProgramResult merged = image({"ls", "lin.x"});
  EXPECT_EQ(merged.status, 0);
  EXPECT_THAT(merged.output, HasSubstr("linux  2 versions  aarch64       registry  no    An image\n"));
  EXPECT_THAT(image({"ls", "lin.x", "-v"}).output, HasSubstr("linux  v2       aarch64       registry  no    An image\n"));
  ASSERT_EQ(image({"download", "linux:v2"}).status, 0);
  const ProgramResult json = image({"ls", "linux", "--json", "-q"});
  const auto list = nlohmann::json::parse(json.output);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["name"], "linux");
  EXPECT_EQ(list[0]["here"], false);
  EXPECT_EQ(list[1]["version"], "v2");
  EXPECT_EQ(list[1]["here"], true);
}

TEST_F(ImageRegistryTest, RemovesWhatWasDownloaded) {
  ASSERT_EQ(image({"download", "linux", "linux:v1"}).status, 0);
  EXPECT_EQ(image({"rm", "linux"}).status, 0);
  expect_nothing_of("linux");
  EXPECT_TRUE(fs::exists(storage() / "linux-v1"));
  EXPECT_EQ(image({"rm", "linux", "--all"}).status, 0);
  expect_nothing_of("linux-v1");
  const ProgramResult nothing = image({"rm", "linux"});
  EXPECT_EQ(nothing.status, 2);
  EXPECT_THAT(nothing.output, HasSubstr("error: nothing of image linux is in "));
  EXPECT_EQ(image({"rm", "../linux"}).status, 2);
}

TEST_F(ImageRegistryTest, ShowsWhatItWouldDo) {
  ASSERT_EQ(image({"sync"}).status, 0);
  const ProgramResult plan = image({"download", "linux", "--dry-run"});
  EXPECT_THAT(plan.output, HasSubstr("# " + server_.url("linuxv1.tar.gz") + " -> " + (storage() / "linux.tar.gz").string()));
  expect_nothing_of("linux");
}

TEST_F(ImageRegistryTest, TakesOptionsBeforeAndAfterTheSubcommand) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"-S", tree_.path("s2").string(), "sync"},
                                                std::vector<std::string>{"sync", "-S", tree_.path("s2").string()}}) {
    EXPECT_EQ(image(words).status, 0);
    EXPECT_TRUE(fs::exists(tree_.path("s2/images.toml")));
    fs::remove_all(tree_.path("s2"));
  }
  EXPECT_FALSE(fs::exists(storage()));
}

TEST_F(ImageRegistryTest, WritesTheDefaultSettingsAndKeepsTheOldOnes) {
  EXPECT_EQ(image({"defconfig"}).status, 0);
  EXPECT_THAT(read_file(tree_.root() / ".image.toml"), HasSubstr("auto_sync_threshold = 604800\n"));
  EXPECT_THAT(read_file(tree_.root() / ".image.toml"), HasSubstr("/.axvisor-images\"\n"));
  int backups = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(tree_.root())) {
    backups += entry.path().filename().string().starts_with(".image.toml.backup_") ? 1 : 0;
  }
  EXPECT_EQ(backups, 1);
}

TEST_F(ImageRegistryTest, ReadsIncludedFiles) {
  server_.serve("default.toml", {.content = "[[includes]]\nurl = \"more/v1.toml\"\n[[includes]]\nurl = \"more/v1.toml\"\n"});
  server_.serve("more/v1.toml", {.content = format_registry(images_, "test")});
  EXPECT_EQ(image({"sync"}).status, 0);
  EXPECT_EQ(server_.requests_for("more/v1.toml"), 1u);
  EXPECT_THAT(image({"ls"}).output, HasSubstr("linux"));
}

TEST_F(ImageRegistryTest, KeepsTheOldListWhenTheRegistryIsGoneOrWrong) {
  ASSERT_EQ(image({"sync"}).status, 0);
  const std::string before = read_file(storage() / "images.toml");
  server_.serve("default.toml", {.content = "[[includes]]\nurl = \"gone.toml\"\n"});
  const ProgramResult gone = image({"sync"});
  EXPECT_EQ(gone.status, 4);
  EXPECT_THAT(gone.output, HasSubstr("cannot fetch " + server_.url("gone.toml") + ": the server answered with status 404"));
  server_.serve("default.toml", {.content = "[[images]]\nname = 1\n"});
  const ProgramResult wrong = image({"sync"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.output, HasSubstr(server_.url("default.toml") + ":2: 'name': must be a string"));
  EXPECT_EQ(read_file(storage() / "images.toml"), before);
  const ProgramResult automatic = image({"ls", "--auto-sync-threshold", "1", "-S", storage().string()}, {});
  EXPECT_EQ(automatic.status, 0);
}

TEST_F(ImageRegistryTest, FetchesAnOldListAnewByItselfUnlessTold) {
  ASSERT_EQ(image({"sync"}).status, 0);
  write_file(storage() / ".last_sync", "1000000");
  EXPECT_EQ(image({"ls", "-N"}).status, 0);
  EXPECT_EQ(server_.requests_for("default.toml"), 1u);
  EXPECT_EQ(image({"ls", "--auto-sync-threshold", "0"}).status, 0);
  EXPECT_EQ(server_.requests_for("default.toml"), 1u);
  const ProgramResult automatic = image({"ls"});
  EXPECT_THAT(automatic.output, HasSubstr("the list of images is "));
  EXPECT_EQ(server_.requests_for("default.toml"), 2u);
  server_.serve("default.toml", {.status = 500});
  write_file(storage() / ".last_sync", "1000000");
  const ProgramResult kept = image({"ls"});
  EXPECT_EQ(kept.status, 0);
  EXPECT_THAT(kept.output, HasSubstr("status 500; the list of before is used\n"));
  EXPECT_THAT(kept.output, HasSubstr("linux "));
}

TEST_F(ImageRegistryTest, FetchesTheListOfAnotherRegistry) {
  ASSERT_EQ(image({"sync"}).status, 0);
  write_file(tree_.path("other.toml"), format_registry({{"other", "", "", "x", std::string(64, '0'), "", "http://h/x"}}, "mine"));
  const ProgramResult other = image({"ls", "-R", tree_.path("other.toml").string()});
  EXPECT_THAT(other.output, HasSubstr("the list of images is another registry's"));
  EXPECT_THAT(other.output, HasSubstr("other "));
}

TEST_F(ImageRegistryTest, WithoutAListAndWithoutFetchingSaysHowToGetOne) {
  const ProgramResult result = image({"download", "linux", "-N"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("has no list of images\nhint: ./xtask image sync fetches it"));
  const ProgramResult offline = image({"download", "linux"}, {{"AXVISOR_OFFLINE", "1"}});
  EXPECT_EQ(offline.status, 4);
  EXPECT_THAT(offline.output, HasSubstr("offline " + server_.url("default.toml") + " cannot be fetched"));
}

TEST_F(ImageRegistryTest, RefusesContentThatIsNotWhatTheRegistrySays) {
  server_.serve("linuxv1.tar.gz", {.content = make_tar({{.path = "x", .content = "another"}})});
  const ProgramResult result = image({"download", "linux"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("not " + sha256_hex(kernel_) + ": it was damaged or replaced\nhint: "));
  expect_nothing_of("linux");
  EXPECT_THAT(content_of(storage() / ".partial"), IsEmpty());
}

TEST_F(ImageRegistryTest, GoesOnWhereTheConnectionEnded) {
  server_.serve("linuxv1.tar.gz", {.content = kernel_, .cut_after = kernel_.size() / 2, .cut_times = 1});
  const ProgramResult result = image({"download", "linux"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(storage() / "linux.tar.gz"), kernel_);
  EXPECT_EQ(server_.requests().back().range, fmt::format("bytes={}-", kernel_.size() / 2));
}

TEST_F(ImageRegistryTest, GoesOnInTheNextRun) {
  server_.serve("linuxv1.tar.gz", {.content = kernel_, .cut_after = 50});
  const ProgramResult broken = image({"download", "linux"});
  EXPECT_EQ(broken.status, 4);
  EXPECT_THAT(broken.output, HasSubstr("the connection ended after "));
  expect_nothing_of("linux");
  const auto kept = fs::file_size(storage() / ".partial" / sha256_hex(kernel_));
  EXPECT_GT(kept, 0u);
  server_.serve("linuxv1.tar.gz", {.content = kernel_});
  const ProgramResult result = image({"download", "linux"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("(going on after "));
  EXPECT_EQ(server_.requests().back().range, fmt::format("bytes={}-", kept));
}

TEST_F(ImageRegistryTest, StartsOverWhereTheServerKnowsNoParts) {
  write_file(storage() / ".partial" / sha256_hex(kernel_), kernel_.substr(0, 100));
  server_.serve("linuxv1.tar.gz", {.content = kernel_, .ranges = false});
  EXPECT_EQ(image({"download", "linux"}).status, 0);
  EXPECT_EQ(read_file(storage() / "linux.tar.gz"), kernel_);
}

TEST_F(ImageRegistryTest, StartsOverWhenWhatWasContinuedIsNotWhole) {
  write_file(storage() / ".partial" / sha256_hex(kernel_), "not the beginning of it");
  const ProgramResult result = image({"download", "linux"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("warning: linux:v1: what was continued is not whole, fetching it from its beginning"));
  EXPECT_EQ(read_file(storage() / "linux.tar.gz"), kernel_);
}

TEST_F(ImageRegistryTest, TakesAWholeFileThatOnlyWasNotMovedYet) {
  write_file(storage() / ".partial" / sha256_hex(kernel_), kernel_);
  EXPECT_EQ(image({"download", "linux"}).status, 0);
  EXPECT_EQ(read_file(storage() / "linux.tar.gz"), kernel_);
  write_file(storage() / ".partial" / sha256_hex(kernel_), kernel_ + "and more");
  fs::remove(storage() / "linux.tar.gz");
  EXPECT_EQ(image({"download", "linux"}).status, 0);
  EXPECT_EQ(read_file(storage() / "linux.tar.gz"), kernel_);
}

TEST_F(ImageRegistryTest, RefusesAPartThatWasNotAskedFor) {
  write_file(storage() / ".partial" / sha256_hex(kernel_), kernel_.substr(0, 100));
  server_.serve("linuxv1.tar.gz", {.content = kernel_, .lie_about_range = true});
  const ProgramResult result = image({"download", "linux"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("sent a part that was not asked for"));
}

TEST_F(ImageRegistryTest, TriesAFailingServerAgain) {
  server_.serve("linuxv1.tar.gz", {.content = kernel_, .fail_times = 2});
  EXPECT_EQ(image({"download", "linux"}).status, 0);
  server_.serve("default.toml", {.status = 503});
  const ProgramResult result = image({"sync"});
  EXPECT_EQ(result.status, 4);
  EXPECT_EQ(server_.requests_for("default.toml"), 1u + 5u);
  EXPECT_THAT(result.output, HasSubstr("the server answered with status 503"));
}

TEST_F(ImageRegistryTest, GivesAStallingServerUp) {
  server_.serve("linuxv1.tar.gz", {.content = kernel_, .stall_after = 10, .stall_times = 1});
  const ProgramResult recovered = image({"download", "linux"});
  EXPECT_EQ(recovered.status, 0) << recovered.output;
  EXPECT_EQ(server_.requests().back().range, "bytes=10-");
}

TEST_F(ImageRegistryTest, FollowsRedirectionsButNotForEver) {
  server_.serve("linuxv1.tar.gz", {.status = 302, .location = server_.url("real")});
  server_.serve("real", {.content = kernel_});
  EXPECT_EQ(image({"download", "linux"}).status, 0);
  server_.serve("default.toml", {.status = 301, .location = server_.url("default.toml")});
  const ProgramResult loop = image({"sync"});
  EXPECT_EQ(loop.status, 4);
  EXPECT_THAT(loop.output, HasSubstr("more than 10 redirections"));
  server_.serve("default.toml", {.status = 302, .location = "file:///etc/passwd"});
  const ProgramResult local = image({"sync"});
  EXPECT_EQ(local.status, 4);
  EXPECT_THAT(local.output, Not(HasSubstr("root:")));
  EXPECT_THAT(local.output, HasSubstr("which is not allowed"));
}

TEST_F(ImageRegistryTest, SaysThatNoServerAnswers) {
  const ProgramResult result = image({"sync", "-R", "http://127.0.0.1:9/registry.toml"});
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.output, HasSubstr("error: registry: cannot fetch http://127.0.0.1:9/registry.toml: no connection to the server\n"
                                       "hint: check the network and the proxy"));
}

TEST_F(ImageRegistryTest, DownloadsSideBySide) {
  std::vector<std::string> words{"download", "--no-extract"};
  for (const char* name : {"a", "b", "c"}) {
    offer(name, "", make_tar({{.path = "f", .content = name}}));
    words.emplace_back(name);
  }
  publish();
  ASSERT_EQ(image({"sync"}).status, 0);
  server_.gather(4);  // the registry, and then all three before the first is answered
  EXPECT_EQ(image(words).status, 0);
  EXPECT_EQ(server_.most_at_once(), 3);
}

TEST_F(ImageRegistryTest, FetchesOnceForTwoProcesses) {
  ASSERT_EQ(image({"sync"}).status, 0);
  EnvironmentChanges all = environment();
  all["AXVISOR_ROOT"] = tree_.root().string();
  const ProgramResult both = test::run_program(
      {"/bin/sh", "-c", "\"$0\" image download linux & first=$!; \"$0\" image download linux && wait $first", XTASK_PROGRAM}, all);
  EXPECT_EQ(both.status, 0) << both.output;
  EXPECT_EQ(server_.requests_for("linuxv1.tar.gz"), 1u);
  EXPECT_EQ(read_file(storage() / "linux/qemu-aarch64"), "kernel one");
}

TEST_F(ImageRegistryTest, EndsAtOnceOnCtrlCAndGoesOnLater) {
  ASSERT_EQ(image({"sync"}).status, 0);
  settings("timeout = 3600\n");
  tree_.write(".image.toml", fmt::format("local_storage = \"{}\"\nregistry = \"{}\"\ntimeout = 3600\n", storage().string(),
                                         server_.url("default.toml")));
  server_.serve("linuxv1.tar.gz", {.content = kernel_, .stall_after = 100, .stall_times = 1});
  EnvironmentChanges all = environment();
  all["AXVISOR_ROOT"] = tree_.root().string();
  test::TerminalProgram program({XTASK_PROGRAM, "image", "download", "linux", "-o", tree_.path("out").string()}, all);
  ASSERT_TRUE(server_.wait_for_stall());
  program.type("\x03");
  EXPECT_EQ(program.finish(), 130);
  EXPECT_FALSE(fs::exists(tree_.path("out")));
  expect_nothing_of("linux");
  EXPECT_EQ(image({"download", "linux"}).status, 0);
}

TEST_F(ImageRegistryTest, ShowsProgressOnATerminalOnly) {
  ASSERT_EQ(image({"sync"}).status, 0);
  server_.serve("linuxv1.tar.gz", {.content = kernel_, .stall_after = kernel_.size() / 2, .stall_times = 1});
  EnvironmentChanges all = environment();
  all["AXVISOR_ROOT"] = tree_.root().string();
  test::TerminalProgram program({XTASK_PROGRAM, "image", "download", "linux"}, all);
  EXPECT_TRUE(program.wait_for("%)")) << program.output();
  EXPECT_THAT(program.output(), ::testing::AnyOf(HasSubstr("(49%)"), HasSubstr("(50%)")));
  EXPECT_EQ(program.finish(), 0);
  EXPECT_THAT(image({"sync"}).output, Not(HasSubstr("\r")));
}

TEST_F(ImageRegistryTest, RefusesAStorageThatSomebodyElseOwnsInAPublicFolder) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  fs::create_directories(tree_.path("public/images"));
  fs::permissions(tree_.path("public"), fs::perms::all | fs::perms::sticky_bit);
  ASSERT_EQ(::chown(tree_.path("public/images").c_str(), 12345, 12345), 0);
  const ProgramResult result = image({"sync", "-S", tree_.path("public/images").string()});
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.output, HasSubstr("belongs to another user"));
}

class SignedRegistryTest : public ImageRegistryTest {
 protected:
  SignedRegistryTest() {
    run({"genpkey", "-algorithm", "ed25519", "-out", tree_.path("key.pem").string()});
    const std::string pem = run({"pkey", "-in", tree_.path("key.pem").string(), "-pubout"});
    const size_t begin = pem.find('\n') + 1;
    settings("public_key = \"" + pem.substr(begin, pem.find('\n', begin) - begin) + "\"\n");
  }
  static std::string run(std::vector<std::string> words) {
    words.insert(words.begin(), "openssl");
    const CapturedOutput result = capture_command({.argv = words, .console = ChildProcess::Console::Quiet});
    EXPECT_EQ(result.status, 0);
    return result.output;
  }
  std::string sign(const std::string& content) {
    write_file(tree_.path("content"), content);
    run({"pkeyutl", "-sign", "-rawin", "-inkey", tree_.path("key.pem").string(), "-in", tree_.path("content").string(), "-out",
         tree_.path("signature").string()});
    return read_file(tree_.path("signature"));
  }
};

TEST_F(SignedRegistryTest, TakesWhatOpenSslSigned) {
  server_.serve("default.toml.sig", {.content = sign(format_registry(images_, "test"))});
  const ProgramResult result = image({"sync"});
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(SignedRegistryTest, RefusesAnUnsignedAChangedAndAHalfSignedRegistry) {
  const ProgramResult without = image({"sync"});
  EXPECT_EQ(without.status, 1);
  EXPECT_THAT(without.output, HasSubstr("default.toml has no signature, and .image.toml has a public_key"));
  server_.serve("default.toml.sig", {.content = sign("something else")});
  const ProgramResult changed = image({"sync"});
  EXPECT_EQ(changed.status, 1);
  EXPECT_THAT(changed.output, HasSubstr("default.toml is not signed by the key in .image.toml"));
  const std::string including = "[[includes]]\nurl = \"more.toml\"\n";
  server_.serve("default.toml", {.content = including});
  server_.serve("default.toml.sig", {.content = sign(including)});
  server_.serve("more.toml", {.content = format_registry(images_, "test")});
  const ProgramResult half = image({"sync"});
  EXPECT_EQ(half.status, 1);
  EXPECT_THAT(half.output, HasSubstr("more.toml has no signature"));
  EXPECT_FALSE(fs::exists(storage() / "images.toml"));
}

TEST_F(SignedRegistryTest, SaysWhatAKeyIs) {
  settings("public_key = \"AAAA\"\n");
  server_.serve("default.toml.sig", {.content = std::string(64, 's')});
  const ProgramResult result = image({"sync"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("public_key is no Ed25519 key: expected the line between BEGIN and END of a PEM file"));
}

/// What archives may not hold: each is refused, and nothing of it stays.
class HostileArchiveTest : public ImageRegistryTest, public ::testing::WithParamInterface<std::pair<const char*, std::vector<ArchiveMember>>> {};

TEST_P(HostileArchiveTest, IsRefused) {
  offer("evil", "", make_tar(GetParam().second));
  publish();
  write_file(tree_.path("outside"), "untouched");
  const ProgramResult result = image({"download", "evil"});
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr(GetParam().first));
  EXPECT_FALSE(fs::exists(storage() / "evil"));
  EXPECT_FALSE(fs::exists(storage() / ".evil.unpacking"));
  EXPECT_FALSE(fs::exists(storage() / "outside2"));
  EXPECT_FALSE(fs::exists("/tmp/axvisor-hostile"));
  EXPECT_EQ(read_file(tree_.path("outside")), "untouched");
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileArchiveTest,
    ::testing::Values(std::pair{"'../outside2' leads out of the folder", std::vector<ArchiveMember>{{.path = "../outside2", .content = "x"}}},
                      std::pair{"'a/../../outside2' leads out", std::vector<ArchiveMember>{{.path = "a/../../outside2", .content = "x"}}},
                      std::pair{"'/tmp/axvisor-hostile' is an absolute path",
                                std::vector<ArchiveMember>{{.path = "/tmp/axvisor-hostile", .content = "x"}}},
                      std::pair{"'l' is a link to ../../outside, which leads out", std::vector<ArchiveMember>{{.path = "l", .link = "../../outside"}}},
                      std::pair{"'l' is a link to /etc/passwd, which leads out", std::vector<ArchiveMember>{{.path = "l", .link = "/etc/passwd"}}},
                      std::pair{"'l/x' goes through l, which is no folder",
                                std::vector<ArchiveMember>{{.path = "d/y", .content = "y"}, {.path = "l", .link = "d"}, {.path = "l/x", .content = "x"}}},
                      std::pair{"'h' is a link to nothing, which is no file", std::vector<ArchiveMember>{{.path = "h", .hard_link = "nothing"}}},
                      std::pair{"leads out of the folder", std::vector<ArchiveMember>{{.path = "h", .hard_link = "../../outside"}}},
                      std::pair{"'n' is a device, a pipe or a socket", std::vector<ArchiveMember>{{.path = "n", .type = S_IFIFO}}},
                      std::pair{"'d' is there as a folder already",
                                std::vector<ArchiveMember>{{.path = "d/x", .content = "x"}, {.path = "d", .content = "y"}}}));

TEST_F(ImageRegistryTest, UnpacksWhatHonestArchivesHold) {
  offer("good", "",
        make_tar({{.path = "./bin/", .type = S_IFDIR},
                  {.path = "./bin/tool", .content = "tool", .mode = 04755},
                  {.path = "bin/link", .link = "../bin/tool"},
                  {.path = "again", .hard_link = "bin/tool"},
                  {.path = "bin/tool2", .content = "one"},
                  {.path = "bin/tool2", .content = "two"}}));
  publish();
  const ProgramResult result = image({"download", "good"});
  EXPECT_EQ(result.status, 0) << result.output;
  struct stat tool{};
  ASSERT_EQ(::stat((storage() / "good/bin/tool").c_str(), &tool), 0);
  EXPECT_EQ(tool.st_mode & 06700, 0700U) << "without set-id";
  EXPECT_EQ(fs::read_symlink(storage() / "good/bin/link"), "../bin/tool");
  EXPECT_EQ(fs::hard_link_count(storage() / "good/again"), 2u);
  EXPECT_EQ(read_file(storage() / "good/bin/tool2"), "two") << "the later one";
}

TEST_F(ImageRegistryTest, RefusesADamagedArchiveWithAReason) {
  offer("half", "", kernel_.substr(0, kernel_.size() - 40));
  publish();
  const ProgramResult result = image({"download", "half"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("error: cannot unpack " + (storage() / "half.tar.gz").string()));
  EXPECT_FALSE(fs::exists(storage() / "half"));
}

TEST_F(ImageRegistryTest, UnpacksADebianPackageAndAPlainFile) {
  offer("deb", "", test::make_deb({{"./boot/vmlinuz", "kernel"}}, test::DebCompression::Xz));
  offer("plain", "", "just a kernel");
  publish();
  EXPECT_EQ(image({"download", "deb", "plain"}).status, 0);
  EXPECT_EQ(read_file(storage() / "deb/boot/vmlinuz"), "kernel");
  EXPECT_EQ(read_file(storage() / "plain/plain.tar.gz"), "just a kernel");
}

}  // namespace
}  // namespace ax::xtask
