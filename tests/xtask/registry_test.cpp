// The registry as a list: reading, including, choosing.
#include "tools/xtask/image/registry.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/xtask/support.hpp"
#include "tools/xtask/image/image_settings.hpp"

namespace ax::xtask {
namespace {

using test::failure_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kHash(64, 'a');

std::string image_text(const std::string& name, const std::string& more) {
  return "[[images]]\nname = \"" + name + "\"\ndescription = \"d\"\nsha256 = \"" + kHash + "\"\narch = \"aarch64\"\nurl = \"http://h/i.tar.gz\"\n" +
         more + "\n";
}

TEST(Registry, IsReadAsAxVisorWritesIt) {
  const RegistryFile file = parse_registry(
      "[[includes]]\nurl = \"https://h/v1.toml\"\n\n" + image_text("linux", "version = \"v0.0.22\"\nreleased_at = \"2026-01-15T08:00:00Z\"\nnewer_key = 1"),
      "r");
  ASSERT_EQ(file.images.size(), 1u);
  EXPECT_THAT(file.includes, ElementsAre("https://h/v1.toml"));
  EXPECT_EQ(file.images[0].title(), "linux:v0.0.22");
  EXPECT_EQ(file.images[0].arch, "aarch64");
}

TEST(Registry, TakesADateThatIsNoString) {
  const RegistryFile file = parse_registry(image_text("a", "released_at = 2026-01-15T08:00:00Z"), "r");
  EXPECT_EQ(parse_rfc3339(file.images[0].released_at), parse_rfc3339("2026-01-15T08:00:00Z"));
}

TEST(Registry, SaysWhatIsWrongAndWhere) {
  EXPECT_STREQ(failure_of([] { parse_registry("[[images]]\nname = \"../x\"\nsha256 = \"" + kHash + "\"\nurl = \"u\"\n", "r.toml"); }).what(),
               "r.toml:2: 'name': '../x' cannot be the name of a file: use letters, digits and . _ + -");
  EXPECT_THAT(failure_of([] { parse_registry(image_text("a", "version = \"a/b\""), "r"); }).what(), HasSubstr("'version': 'a/b' cannot"));
  EXPECT_STREQ(failure_of([] { parse_registry("[[images]]\nname = \"x\"\nsha256 = \"12\"\nurl = \"u\"\n", "r"); }).what(),
               "r:3: 'sha256': must be a SHA-256 in 64 hexadecimal digits");
  EXPECT_THAT(failure_of([] { parse_registry(image_text("a", "released_at = \"yesterday\""), "r"); }).what(),
              HasSubstr("'yesterday' is not a time as in 2026-01-31T12:00:00Z"));
  EXPECT_THAT(failure_of([] { parse_registry("[[images]\n", "http://h/r.toml"); }).what(), HasSubstr("http://h/r.toml:1:"));
}

TEST(Registry, SurvivesBeingWrittenAndRead) {
  const std::vector<RegistryImage> images = parse_registry(image_text("a", "version = \"1\"") + image_text("b", ""), "r").images;
  const std::vector<RegistryImage> again = parse_registry(format_registry(images, "x"), "r").images;
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].title(), "a:1");
  EXPECT_EQ(again[1].title(), "b");
  EXPECT_EQ(again[1].url, images[1].url);
}

TEST(Registry, UnderstandsTimes) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:01Z"), 1);
  EXPECT_EQ(parse_rfc3339("1970-01-01T01:00:00+01:00"), 0);
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.5-00:30"), 1800);
  EXPECT_EQ(parse_rfc3339("2026-02-30T00:00:00Z"), std::nullopt);
  EXPECT_EQ(parse_rfc3339("2026-01-01"), std::nullopt);
}

class RegistryFiles : public ::testing::Test {
 protected:
  std::vector<RegistryImage> collect(const std::string& address) {
    return collect_registry(
        address,
        [this](const std::string& file) {
          read_.push_back(file);
          return files_.at(file);
        },
        [this](const std::string& warning) { warnings_.push_back(warning); });
  }
  std::map<std::string, std::string> files_;
  std::vector<std::string> read_;
  std::vector<std::string> warnings_;
};

TEST_F(RegistryFiles, AreReadOnceEachBreadthFirst) {
  files_["http://h/r/a.toml"] = "[[includes]]\nurl = \"b.toml\"\n[[includes]]\nurl = \"http://h/r/c.toml\"\n";
  files_["http://h/r/b.toml"] = "[[includes]]\nurl = \"d.toml\"\n[[includes]]\nurl = \"a.toml\"\n" + image_text("b", "");
  files_["http://h/r/c.toml"] = image_text("c", "");
  files_["http://h/r/d.toml"] = "[[includes]]\nurl = \"c.toml\"\n";
  EXPECT_EQ(collect("http://h/r/a.toml").size(), 2u);
  EXPECT_THAT(read_, ElementsAre("http://h/r/a.toml", "http://h/r/b.toml", "http://h/r/c.toml", "http://h/r/d.toml"));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(RegistryFiles, GiveTheFirstOfTwoEqualImagesAndAWarning) {
  files_["/r/a.toml"] = "[[includes]]\nurl = \"b.toml\"\n" + image_text("x", "version = \"1\"\narch2 = 1");
  files_["/r/b.toml"] = image_text("x", "version = \"1\"") + image_text("x", "version = \"2\"");
  const std::vector<RegistryImage> images = collect("/r/a.toml");
  ASSERT_EQ(images.size(), 2u);
  EXPECT_THAT(warnings_, ElementsAre("/r/b.toml: image x:1 is there already, this one is left out"));
}

TEST_F(RegistryFiles, FromTheNetworkNameNothingOfThisMachine) {
  files_["http://h/a.toml"] = "[[includes]]\nurl = \"file:///etc/passwd\"\n";
  EXPECT_STREQ(failure_of([&] { collect("http://h/a.toml"); }).what(),
               "http://h/a.toml: a registry from the network cannot include file:///etc/passwd");
  files_["http://h/a.toml"] = "[[images]]\nname = \"a\"\nsha256 = \"" + kHash + "\"\nurl = \"/etc/passwd\"\n";
  EXPECT_STREQ(failure_of([&] { collect("http://h/a.toml"); }).what(),
               "http://h/a.toml: image a: a registry from the network cannot name /etc/passwd");
}

TEST_F(RegistryFiles, AreNotEndless) {
  for (int i = 0; i < 200; ++i) {
    files_["/r/" + std::to_string(i) + ".toml"] = "[[includes]]\nurl = \"" + std::to_string(i + 1) + ".toml\"\n";
  }
  EXPECT_THAT(failure_of([&] { collect("/r/0.toml"); }).what(), HasSubstr("the registry /r/0.toml includes more than 100 files"));
}

TEST(ImageChoice, TakesTheNewest) {
  const std::vector<RegistryImage> images =
      parse_registry(image_text("a", "version = \"v3\"\nreleased_at = \"2026-01-01T00:00:00Z\"") +
                         image_text("a", "version = \"v1\"\nreleased_at = \"2026-03-01T00:00:00Z\"") + image_text("a", "version = \"v9\"") +
                         image_text("b", "version = \"v0.0.9\"") + image_text("b", "version = \"v0.0.22\""),
                     "r")
          .images;
  EXPECT_EQ(find_image(images, {"a", ""}).version, "v1") << "released last";
  EXPECT_EQ(find_image(images, {"a", "v3"}).version, "v3");
  EXPECT_EQ(find_image(images, {"b", ""}).version, "v0.0.22") << "without dates the highest version";
  EXPECT_STREQ(failure_of([&] { find_image(images, {"a", "v2"}); }).what(), "image 'a' has no version 'v2'; it has: v3, v1, v9");
}

TEST(ImageChoice, SuggestsAName) {
  const std::vector<RegistryImage> images = parse_registry(image_text("qemu_aarch64_linux", ""), "r").images;
  EXPECT_STREQ(failure_of([&] { find_image(images, {"qemu_arch64_linux", ""}); }).what(),
               "unknown image 'qemu_arch64_linux'; did you mean 'qemu_aarch64_linux'?");
  EXPECT_EQ(failure_of([] { parse_image_name("a/b"); }).code(), ExitCode::Usage);
  EXPECT_EQ(failure_of([] { parse_image_name("a:"); }).code(), ExitCode::Usage);
  EXPECT_EQ(parse_image_name("a:v1").stem(), "a-v1");
}

TEST(ImageChoice, TakesAPatternOrAPartOfTheName) {
  EXPECT_TRUE(matches_pattern("qemu_x86_64_linux", "qemu_.*linux$"));
  EXPECT_FALSE(matches_pattern("qemu_x86_64_linux", "^linux"));
  EXPECT_TRUE(matches_pattern("a[b", "a[")) << "no regular expression, so a part of the name";
}

TEST(ImageSettings, AreReadStrictly) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / ".image.toml";
  EXPECT_EQ(load_image_settings(file).auto_sync_threshold.count(), 604800);
  write_file(file, "local_storage = \"images\"\nregistry = \"http://h/r.toml\"\nauto_sync = false\nauto_sync_threshold = 0\n");
  const ImageSettings settings = load_image_settings(file);
  EXPECT_EQ(settings.local_storage, folder.path() / "images");
  EXPECT_FALSE(settings.auto_sync);
  write_file(file, "local_storge = \"x\"\n");
  EXPECT_STREQ(failure_of([&] { load_image_settings(file); }).what(),
               (file.string() + ":1: 'local_storge': unknown key; did you mean 'local_storage'?").c_str());
  write_file(file, "timeout = 0\n");
  EXPECT_THAT(failure_of([&] { load_image_settings(file); }).what(), HasSubstr("'timeout': 0 is not in 1 to 3600"));
}

TEST(ImageSettings, AreWrittenSoThatTheyCanBeRead) {
  const TemporaryFolder folder;
  ImageSettings settings = default_image_settings();
  settings.public_key = "abc";
  settings.jobs = 7;
  write_file(folder.path() / ".image.toml", format_image_settings(settings));
  const ImageSettings again = load_image_settings(folder.path() / ".image.toml");
  EXPECT_EQ(again.local_storage, settings.local_storage);
  EXPECT_EQ(again.registry, settings.registry);
  EXPECT_EQ(again.public_key, "abc");
  EXPECT_EQ(again.jobs, 7);
}

}  // namespace
}  // namespace ax::xtask
