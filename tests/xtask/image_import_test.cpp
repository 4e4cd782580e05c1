// Images of the user's own: archives, folders, packages, OCI layouts.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/xtask/archives.hpp"
#include "tests/xtask/deb.hpp"
#include "tests/xtask/http_server.hpp"
#include "tests/xtask/oci.hpp"
#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::make_tar;
using test::OciLayout;
using test::ProgramResult;
using ::testing::HasSubstr;

class ImportTest : public ::testing::Test {
 protected:
  ImportTest() { tree_.write(".image.toml", fmt::format("local_storage = \"{}\"\nauto_sync = false\ntimeout = 2\n", storage().string())); }

  ProgramResult image(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "image");
    return tree_.xtask(arguments, {{"AXVISOR_CACHE", tree_.path("cache").string()}, {"AXVISOR_OFFLINE", std::nullopt}, {"http_proxy", std::nullopt}});
  }
  fs::path storage() const { return tree_.path("storage"); }
  fs::path layout() const { return tree_.path("layout"); }

  ProgramResult import_layout(std::vector<std::string> more = {}) const {
    oci_.write(layout().string());
    more.insert(more.begin(), {"import", layout().string(), "oci"});
    return image(more);
  }

  test::ScratchTree tree_;
  test::OciLayout oci_;
};

TEST_F(ImportTest, TakesAnArchiveAndTreatsItLikeOneOfTheRegistry) {
  write_file(tree_.path("guest.tar.gz"), make_tar({{.path = "kernel", .content = "mine"}}));
  const ProgramResult result = image({"import", tree_.path("guest.tar.gz").string(), "mine:v1", "--arch", "aarch64"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(storage() / "mine-v1/kernel"), "mine");
  EXPECT_THAT(image({"ls"}).output, HasSubstr("mine  v1       aarch64       imported  yes"));
  EXPECT_EQ(image({"check"}).status, 0);
  EXPECT_EQ(image({"download", "mine", "-o", tree_.path("out").string()}).status, 0);
  EXPECT_EQ(read_file(tree_.path("out/mine/kernel")), "mine");
  EXPECT_EQ(image({"rm", "mine:v1"}).status, 0);
  EXPECT_THAT(image({"ls"}).output, ::testing::Not(HasSubstr("mine")));
}

TEST_F(ImportTest, PacksAFolderTheSameWayEachTime) {
  write_file(tree_.path("folder/a/kernel"), "k");
  ASSERT_EQ(image({"import", tree_.path("folder").string(), "one"}).status, 0);
  fs::last_write_time(tree_.path("folder/a/kernel"), fs::file_time_type::clock::now() - std::chrono::hours(5));
  ASSERT_EQ(image({"import", tree_.path("folder").string(), "two"}).status, 0);
  EXPECT_EQ(read_file(storage() / "one.tar.gz"), read_file(storage() / "two.tar.gz"));
  EXPECT_EQ(read_file(storage() / "two/a/kernel"), "k");
}

TEST_F(ImportTest, TakesADebianPackageAndAnAddress) {
  test::HttpServer server;
  server.serve("p.deb", {.content = test::make_deb({{"./boot/vmlinuz", "kernel"}}, test::DebCompression::Zstd)});
  const ProgramResult result = image({"import", server.url("p.deb"), "deb"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(storage() / "deb/boot/vmlinuz"), "kernel");
  const ProgramResult gone = image({"import", server.url("gone"), "gone"});
  EXPECT_EQ(gone.status, 4);
  EXPECT_THAT(gone.output, HasSubstr("status 404"));
}

TEST_F(ImportTest, PutsTheLayersOfAnOciImageTogether) {
  oci_.choose("{" + oci_.manifest({make_tar({{.path = "bin/sh", .content = "old"}, {.path = "lib", .link = "/usr/lib"}, {.path = "usr/out", .link = "../../etc/x"}, {.path = "usr/lib/a", .content = "a"},
                                        {.path = "gone", .content = "x"}, {.path = "d/old", .content = "x"}}),
                              make_tar({{.path = "bin/sh", .content = "new"}, {.path = ".wh.gone"}, {.path = "d/.wh..wh..opq"},
                                        {.path = "d/new", .content = "n"}, {.path = "lib/b", .content = "b"}})}) +
              "}");
  const ProgramResult result = import_layout();
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(storage() / "oci/bin/sh"), "new");
  EXPECT_FALSE(fs::exists(storage() / "oci/gone"));
  EXPECT_FALSE(fs::exists(storage() / "oci/d/old"));
  EXPECT_EQ(read_file(storage() / "oci/d/new"), "n");
  EXPECT_EQ(read_file(storage() / "oci/usr/lib/b"), "b") << "through the link of the first layer";
  EXPECT_EQ(fs::read_symlink(storage() / "oci/lib"), "usr/lib") << "inside on this machine too";
  EXPECT_EQ(fs::read_symlink(storage() / "oci/usr/out"), "../etc/x") << "above the root is the root";
}

TEST_F(ImportTest, AsksWhichOfSeveralOciImages) {
  oci_.choose(OciLayout::tagged(oci_.manifest({make_tar({{.path = "f", .content = "one"}})}), "v1") + ", " +
              OciLayout::tagged(oci_.manifest({make_tar({{.path = "f", .content = "two"}})}), "v2"));
  const ProgramResult unclear = import_layout();
  EXPECT_EQ(unclear.status, 2);
  EXPECT_THAT(unclear.output, HasSubstr("holds several images: choose one of v1, v2\nhint: --tag TAG chooses one"));
  ASSERT_EQ(import_layout({"--tag", "v2"}).status, 0);
  EXPECT_EQ(read_file(storage() / "oci/f"), "two");
  EXPECT_THAT(import_layout({"--tag", "v3"}).output, HasSubstr("has no image 'v3'; it has v1, v2"));
}

TEST_F(ImportTest, SaysWhatIsNotThere) {
  const ProgramResult result = image({"import", tree_.path("nowhere").string(), "x"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("error: cannot import: no such file: " + tree_.path("nowhere").string()));
  EXPECT_EQ(image({"import", tree_.path("x").string(), "a/b"}).status, 2);
}

}  // namespace
}  // namespace ax::xtask
