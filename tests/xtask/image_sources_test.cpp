// `xtask image download` of what a registry does not keep in an archive: Debian packages from the mirror, OCI image layouts.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/xtask/archives.hpp"
#include "tests/xtask/deb.hpp"
#include "tests/xtask/oci.hpp"
#include "tests/xtask/support.hpp"
#include "tools/xtask/image/registry.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::DebCompression;
using test::make_deb;
using test::make_tar;
using test::OciLayout;
using test::ProgramResult;
using ::testing::HasSubstr;
using ::testing::Not;

class ImageSourcesTest : public ::testing::Test {
 protected:
  ImageSourcesTest() { test::write_fake_apt(tree_.programs()); }

  /// A registry in a file with one image.
  void offer(const std::string& url, const std::string& content, const std::string& arch = "aarch64") {
    fs::remove(storage() / "images.toml");  // of another offer
    write_file(tree_.path("registry.toml"), format_registry({{"guest", "", "", "A guest", sha256_hex(content), arch, url}}, "test"));
  }
  /// Puts a package on the mirror, as the current version.
  void publish(const std::string& name, const std::string& version, const std::string& deb) {
    write_file(mirror() / fmt::format("{}={}.deb", name, version), deb);
    write_file(mirror() / fmt::format("{}={}.record", name, version), test::package_record(name, version, "", sha256_hex(deb)));
    write_file(mirror() / (name + ".candidate"), name + "=" + version);
  }
  ProgramResult image(std::vector<std::string> arguments, const EnvironmentChanges& more = {}) const {
    arguments.insert(arguments.begin(), "image");
    arguments.insert(arguments.end(), {"-S", storage().string(), "-R", tree_.path("registry.toml").string()});
    EnvironmentChanges all{{"PATH", tree_.programs().string() + ":/usr/bin:/bin"},
                           {"MIRROR", mirror().string()},
                           {"AXVISOR_CACHE", tree_.path("cache").string()},
                           {"AXVISOR_OFFLINE", std::nullopt}};
    for (const auto& [name, value] : more) {
      all[name] = value;
    }
    return tree_.xtask(arguments, all);
  }
  ProgramResult download(const EnvironmentChanges& more = {}) const { return image({"download", "guest"}, more); }
  void expect_refused(const ProgramResult& result, int status, const std::string& reason) const {
    EXPECT_EQ(result.status, status) << result.output;
    EXPECT_THAT(result.output, HasSubstr(reason));
    EXPECT_FALSE(fs::exists(storage() / "guest"));
    EXPECT_FALSE(fs::exists(storage() / ".guest.unpacking"));
    EXPECT_FALSE(fs::exists(storage() / ".guest.unpacking.layout"));
  }
  fs::path storage() const { return tree_.path("storage"); }
  fs::path mirror() const { return tree_.path("mirror"); }
  std::string asked_for() const { return read_file(mirror() / "log"); }

  test::ScratchTree tree_;
};

using DebSourceTest = ImageSourcesTest;

TEST_F(DebSourceTest, ComesThroughTheMirrorForTheImagesArchitecture) {
  const std::string deb = make_deb({{"./boot/vmlinuz", "kernel"}}, DebCompression::Xz);
  publish("guest-kernel", "1.2-3", deb);
  offer("deb:guest-kernel", deb);
  const ProgramResult result = download();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(storage() / "guest/boot/vmlinuz"), "kernel");
  EXPECT_TRUE(fs::exists(tree_.path("cache/apt/arm64")));
  EXPECT_EQ(download().status, 0);
  EXPECT_EQ(asked_for(), "update\nguest-kernel=1.2-3\n") << "what is there is not fetched again";
  EXPECT_EQ(image({"check"}).status, 0);
}

TEST_F(DebSourceTest, TakesTheVersionAndTheArchitectureOfTheAddress) {
  const std::string old = make_deb({{"./f", "old"}}, DebCompression::Gzip);
  publish("tool", "1.0", old);
  publish("tool", "2.0", make_deb({{"./f", "new"}}, DebCompression::Gzip));
  offer("deb:tool=1.0/riscv64", old);
  const ProgramResult result = download();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(storage() / "guest/f"), "old");
  EXPECT_TRUE(fs::exists(tree_.path("cache/apt/riscv64")));
}

TEST_F(DebSourceTest, IsRefusedWhereTheMirrorHasAnotherOne) {
  publish("tool", "2.0", make_deb({{"./f", "new"}}, DebCompression::Gzip));
  offer("deb:tool", "what the registry knows");
  const ProgramResult result = download();
  expect_refused(result, 1, "error: image guest: tool 2.0 has SHA-256 ");
  EXPECT_THAT(result.output, HasSubstr("in the mirror's index, not " + sha256_hex("what the registry knows")));
  EXPECT_THAT(result.output, HasSubstr("hint: the mirror has moved on"));
}

TEST_F(DebSourceTest, IsRefusedWhereTheMirrorSendsSomethingElse) {
  const std::string deb = make_deb({{"./f", "good"}}, DebCompression::Gzip);
  publish("tool", "1.0", deb);
  write_file(mirror() / "tool=1.0.deb", deb.substr(0, deb.size() / 2));
  offer("deb:tool", deb);
  expect_refused(download(), 1, "tool 1.0: the download is not what the signed index describes");
  EXPECT_FALSE(fs::exists(storage() / "guest.tar.gz"));
}

TEST_F(DebSourceTest, SaysThatTheMirrorDoesNotHaveIt) {
  write_file(mirror() / "log", "");
  offer("deb:nowhere=1/amd64", "x");
  expect_refused(download(), 4, "image guest: the configured Debian mirror does not offer deb:nowhere=1/amd64");
  expect_refused(download({{"UPDATE_STATUS", "100"}}), 4, "image guest: the configured Debian mirror cannot be reached for deb:nowhere=1/amd64");
}

TEST_F(DebSourceTest, IsNotFetchedOffline) {
  offer("deb:tool", "x");
  expect_refused(download({{"AXVISOR_OFFLINE", "1"}}), 4, "guest: not here yet, and offline deb:tool cannot be fetched");
  EXPECT_FALSE(fs::exists(mirror() / "log"));
}

TEST_F(DebSourceTest, HasAnAddressOfThisForm) {
  for (const char* address : {"deb:", "deb:../x", "deb:-oDir=/", "deb:tool=", "deb:tool/arm64/x", "deb:tool/../x", "deb:Tool"}) {
    offer(address, "x");
    expect_refused(download(), 2, fmt::format("image guest: '{}' is not deb:PACKAGE[=VERSION][/ARCHITECTURE]", address));
  }
}

TEST_F(DebSourceTest, IsRefusedWhereThePackageIsDamagedOrLeadsOut) {
  const std::string good = make_deb({{"./f", std::string(10000, 'f')}}, DebCompression::None);
  const std::string bad = good.substr(0, good.size() - 5000);
  publish("bad", "1", bad);
  offer("deb:bad", bad);
  expect_refused(download(), 1, "cannot unpack ");
  const std::string evil = make_deb({{"../../outside", "x"}}, DebCompression::Gzip);
  publish("evil", "1", evil);
  offer("deb:evil", evil);
  expect_refused(download(), 1, "'../../outside' leads out of the folder");
}

/// Recipes that take a file out of a registry's image: what image:NAME of a VM file may name.
class RegistryRecipeTest : public ImageSourcesTest {
 protected:
  RegistryRecipeTest() {
    tree_.write("configs/images/guest-kernel.toml", recipe("boot/Image"));
    tree_.write(".image.toml", fmt::format("local_storage = \"{}\"\nregistry = \"{}\"\n", storage().string(), tree_.path("registry.toml").string()));
    publish({{"v1", archive_}});
  }
  static std::string recipe(const std::string& file) {
    return "kind = \"registry\"\nsummary = \"s\"\narchitecture = \"arm64\"\nimage = \"guest\"\nfile = \"" + file + "\"\n";
  }
  /// The registry has these versions of the image.
  void publish(const std::vector<std::pair<std::string, std::string>>& versions) {
    std::vector<RegistryImage> images;
    for (const auto& [version, content] : versions) {
      const std::string file = tree_.path(version + ".tar.gz").string();
      write_file(file, content);
      images.push_back({"guest", version, "", "A guest", sha256_hex(content), "aarch64", "file://" + file});
    }
    write_file(tree_.path("registry.toml"), format_registry(images, "test"));
  }
  ProgramResult run(std::vector<std::string> words, const EnvironmentChanges& more = {}) const {
    words.insert(words.begin(), "image");
    EnvironmentChanges all = more;
    all.insert({{"AXVISOR_CACHE", tree_.path("cache").string()}, {"AXVISOR_OFFLINE", std::nullopt}});
    return tree_.xtask(words, all);
  }
  ProgramResult fetch() const { return run({"fetch", "guest-kernel", "--output", output().string()}); }
  fs::path output() const { return tree_.path("out/kernel"); }

  const std::string archive_ = make_tar({{.path = "boot/Image", .content = "kernel one"}, {.path = "rootfs.img", .content = "r"}});
};

TEST_F(RegistryRecipeTest, IsPinnedAndFetchedOnce) {
  const ProgramResult lock = run({"lock", "--update"});
  ASSERT_EQ(lock.status, 0) << lock.output;
  EXPECT_THAT(lock.output, HasSubstr("guest-kernel: (not locked) -> v1\n"));
  const ProgramResult first = fetch();
  EXPECT_EQ(first.status, 0) << first.output;
  EXPECT_EQ(read_file(output()), "kernel one");
  fs::remove(output());
  fs::remove_all(storage());
  EXPECT_EQ(run({"fetch", "guest-kernel", "--output", output().string()}, {{"AXVISOR_OFFLINE", "1"}}).status, 0) << "from the cache";
  EXPECT_EQ(read_file(output()), "kernel one");
  EXPECT_THAT(run({"ls"}).output, HasSubstr("guest-kernel  v1       aarch64       recipe    yes"));
}

TEST_F(RegistryRecipeTest, StaysAtTheLockedVersion) {
  ASSERT_EQ(run({"lock", "--update"}).status, 0);
  fs::remove_all(tree_.path("cache"));
  publish({{"v2", make_tar({{.path = "boot/Image", .content = "kernel two"}})}, {"v1", archive_}});
  EXPECT_THAT(run({"lock"}).output, HasSubstr("guest-kernel: locked v1, the registry has v2\n"));
  EXPECT_EQ(fetch().status, 0);
  EXPECT_EQ(read_file(output()), "kernel one");
}

TEST_F(RegistryRecipeTest, TakesTheCurrentVersionWithAWarningWhereTheLockedOneIsGone) {
  ASSERT_EQ(run({"lock", "--update"}).status, 0);
  fs::remove_all(tree_.path("cache"));
  publish({{"v2", make_tar({{.path = "boot/Image", .content = "kernel two"}})}});
  const ProgramResult result = fetch();
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("warning: image guest-kernel: the registry no longer has guest v1; taking guest v2 (./xtask image lock --update"));
  EXPECT_EQ(read_file(output()), "kernel two");
}

TEST_F(RegistryRecipeTest, RefusesAnotherContentOfTheLockedVersion) {
  ASSERT_EQ(run({"lock", "--update"}).status, 0);
  fs::remove_all(tree_.path("cache"));
  publish({{"v1", make_tar({{.path = "boot/Image", .content = "changed"}})}});
  const ProgramResult result = fetch();
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("guest v1 has SHA-256 "));
  EXPECT_THAT(result.output, HasSubstr("the lock file says " + sha256_hex(archive_)));
  EXPECT_FALSE(fs::exists(output()));
}

TEST_F(RegistryRecipeTest, SuggestsAFileAndAnImage) {
  tree_.write("configs/images/guest-kernel.toml", recipe("boot/Imgae"));
  const ProgramResult file = fetch();
  EXPECT_EQ(file.status, 2);
  EXPECT_THAT(file.output, HasSubstr("file = \"boot/Imgae\": image guest has no such file; did you mean 'boot/Image'?\nhint: it has: boot/Image, rootfs.img"));
  std::string text = recipe("f");
  tree_.write("configs/images/guest-kernel.toml", text.replace(text.find("\"guest\""), 7, "\"guset\""));
  const ProgramResult image = fetch();
  EXPECT_EQ(image.status, 2);
  EXPECT_THAT(image.output, HasSubstr("unknown image 'guset'; did you mean 'guest'?"));
}

TEST_F(RegistryRecipeTest, HasAStandInWhereTheRegistryCannotBeReached) {
  tree_.write(".image.toml", fmt::format("local_storage = \"{}\"\nregistry = \"http://127.0.0.1:9/r.toml\"\n", storage().string()));
  write_file(tree_.path("tiny.bin"), "tiny");
  const ProgramResult result = run({"fetch", "guest-kernel", "--output", output().string(), "--stand-in", tree_.path("tiny.bin").string()},
                                   {{"http_proxy", std::nullopt}, {"all_proxy", std::nullopt}});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("image guest-kernel: the registry cannot be reached: the built-in tiny guest stands in for it"));
  EXPECT_EQ(read_file(output()), "tiny");
}

TEST_F(RegistryRecipeTest, MayLeadToThePackageOfAMirror) {
  const std::string deb = make_deb({{"./boot/Image", "packaged"}}, DebCompression::Gzip);
  ImageSourcesTest::publish("tool", "1", deb);
  offer("deb:tool", deb);
  const ProgramResult result = run({"fetch", "guest-kernel", "--output", output().string()},
                                   {{"PATH", tree_.programs().string() + ":/usr/bin:/bin"}, {"MIRROR", mirror().string()}});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(output()), "packaged");
}

TEST_F(RegistryRecipeTest, IsWhatAVmFileNames) {
  tree_.write("vm.toml", "[base]\nname = \"g\"\n[kernel]\nkernel_path = \"image:guest-kernel\"\n");
  const ProgramResult result = run({"build", "--config", (tree_.root() / "vm.toml").string(), "-o", tree_.path("out").string()});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(output()), "kernel one");
}

/// Layouts in a tar file of a registry.
class OciSourceTest : public ImageSourcesTest {
 protected:
  ProgramResult download_layout() {
    const std::string tar = oci_.tar();
    write_file(tree_.path("guest.tar.gz"), tar);
    offer("file://" + tree_.path("guest.tar.gz").string(), tar);
    return download();
  }
  /// As a tar file and as a folder.
  void expect_damaged(const std::string& reason) {
    const ProgramResult tar = download_layout();
    expect_refused(tar, 1, reason);
    EXPECT_THAT(tar.output, Not(HasSubstr(".unpacking"))) << "no place that is gone by now";
    oci_.write(tree_.path("layout").string());
    const ProgramResult folder = image({"import", tree_.path("layout").string(), "guest"});
    EXPECT_NE(folder.status, 0);
    EXPECT_THAT(folder.output, HasSubstr(reason));
    EXPECT_FALSE(fs::exists(storage() / "guest"));
    EXPECT_FALSE(fs::exists(tree_.path("outside")));
  }

  OciLayout oci_;
  const std::string layer_ = make_tar({{.path = "etc/motd", .content = "hello"}});
};

TEST_F(OciSourceTest, HasItsLayersApplied) {
  oci_.choose("{" + oci_.manifest({layer_, make_tar({{.path = "boot/Image", .content = "kernel"}, {.path = "etc/.wh.motd"}})}) + "}");
  const ProgramResult result = download_layout();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(storage() / "guest/boot/Image"), "kernel");
  EXPECT_FALSE(fs::exists(storage() / "guest/etc/motd"));
  EXPECT_FALSE(fs::exists(storage() / "guest/index.json"));
  EXPECT_FALSE(fs::exists(storage() / ".guest.unpacking.layout"));
}

TEST_F(OciSourceTest, MayHoldPlainFilesAndAnIndexInItsIndex) {
  oci_.choose("{" + oci_.index("{" + oci_.manifest_of_file("boot/Image", "kernel") + "}") + "}");
  const ProgramResult result = download_layout();
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(storage() / "guest/boot/Image"), "kernel");
}

TEST_F(OciSourceTest, IsRefusedWhereALayerIsNotWhatItsDigestSays) {
  oci_.choose("{" + oci_.manifest({layer_}) + "}");
  oci_.files[test::blob_path(layer_)] = make_tar({{.path = "etc/motd", .content = "another"}});
  expect_damaged(fmt::format("no sound OCI image layout: the blob sha256:{} has SHA-256 ", sha256_hex(layer_)));
}

TEST_F(OciSourceTest, IsRefusedWhereABlobIsMissing) {
  oci_.choose("{" + oci_.manifest({layer_}) + "}");
  oci_.files.erase(test::blob_path(layer_));
  expect_damaged(fmt::format("the blob sha256:{} is missing", sha256_hex(layer_)));
}

TEST_F(OciSourceTest, IsRefusedWhereADigestIsAPath) {
  oci_.choose(R"({"digest": "sha256:../../../../etc/passwd", "size": 1})");
  expect_damaged("'sha256:../../../../etc/passwd' is no SHA-256 digest");
}

TEST_F(OciSourceTest, IsRefusedWhereItsDocumentsAreNone) {
  for (const auto& [index, reason] : {std::pair{"[]", "index.json is no JSON object"},
                                      {"{", "index.json is no JSON object"},
                                      {"{}", "its index names no image"},
                                      {R"({"manifests": []})", "its index names no image"},
                                      {R"({"manifests": [1]})", "'' is no SHA-256 digest"}}) {
    oci_.files["index.json"] = index;
    expect_damaged(reason);
  }
  oci_.choose("{" + oci_.blob("not JSON") + "}");
  expect_damaged("is no JSON object");
  oci_.choose("{" + oci_.blob("{}") + "}");
  expect_damaged("its manifest names no layers");
  oci_.files["index.json"] = "{" + std::string(5 << 20, ' ') + "}";
  expect_damaged("index.json is too large");
}

TEST_F(OciSourceTest, IsRefusedWhereAnIndexIsInAnIndexAndSoOn) {
  std::string descriptor = oci_.manifest({layer_});
  for (int depth = 0; depth < 8; ++depth) {
    descriptor = oci_.index("{" + descriptor + "}");
  }
  oci_.choose("{" + descriptor + "}");
  expect_damaged("its index names no image");
}

TEST_F(OciSourceTest, IsRefusedWhereALayerLeadsOut) {
  oci_.choose("{" + oci_.manifest({make_tar({{.path = "../outside", .content = "x"}})}) + "}");
  expect_damaged("'../outside' leads out of the folder");
  oci_.choose("{" + oci_.manifest({layer_, make_tar({{.path = "a/.wh..."}})}) + "}");
  expect_damaged("leads out of the folder");
  oci_.choose("{" + oci_.manifest_of_file("../../outside", "x") + "}");
  expect_damaged("'../../outside' leads out of the folder");
}

TEST_F(OciSourceTest, RemovesNothingOutsideThroughItsLinks) {
  write_file(tree_.path("elsewhere/kept"), "kept");
  const std::string elsewhere = tree_.path("elsewhere").string();
  oci_.choose("{" + oci_.manifest({make_tar({{.path = "l", .link = elsewhere}}), make_tar({{.path = "l/.wh.kept"}, {.path = "l/new", .content = "n"}})}) +
              "}");
  download_layout();
  EXPECT_EQ(read_file(tree_.path("elsewhere/kept")), "kept");
  EXPECT_FALSE(fs::exists(tree_.path("elsewhere/new")));
}

TEST_F(OciSourceTest, IsRefusedWhereALayerIsNoArchiveOrHalfOfOne) {
  oci_.choose("{" + oci_.manifest({"no archive"}) + "}");
  expect_damaged("a layer that is no tar archive");
  const std::string large = make_tar({{.path = "f", .content = std::string(200'000, 'f')}});
  oci_.choose("{" + oci_.manifest({large.substr(0, large.size() / 2)}) + "}");
  expect_damaged("cannot unpack ");
}

TEST_F(OciSourceTest, IsRefusedWhereTheTarFileIsHalfOfOne) {
  oci_.choose("{" + oci_.manifest({layer_}) + "}");
  const std::string tar = oci_.tar();
  const std::string half = tar.substr(0, tar.size() / 2);
  write_file(tree_.path("guest.tar.gz"), half);
  offer("file://" + tree_.path("guest.tar.gz").string(), half);
  expect_refused(download(), 1, "cannot unpack ");
}

}  // namespace
}  // namespace ax::xtask
