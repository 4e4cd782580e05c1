#include "kernel/fs/tree.hpp"

#include "kernel/fs/mount.hpp"
#include "kernel/fs/unicode.hpp"
#include "tests/unit/fs/images.hpp"

namespace ax::fs {
namespace {

using namespace test;

std::string made(std::string_view directory, std::string_view text) {
  const auto path = Path::make(*Path::make(Path(), directory), text);
  return path ? std::string(path->text()) : std::string(describe(path.error()));
}

TEST(Path, IsMadeFromWhatIsTyped) {
  EXPECT_EQ(made("/", ""), "/");
  EXPECT_EQ(made("/a/b", "c"), "/a/b/c");
  EXPECT_EQ(made("/a/b", "/c//d/"), "/c/d");
  EXPECT_EQ(made("/a/b", "../.././../x"), "/x");
  EXPECT_EQ(made("/", std::string(300, 'n')), "out of range");
  std::string deep;
  for (unsigned i = 0; i < 300; ++i) deep += "/xy";
  EXPECT_EQ(made("/", deep), "out of range");
}

TEST(Path, KnowsWhatIsBelowIt) {
  const Path a = *Path::make(Path(), "/a"), ab = *Path::make(Path(), "/a/b"), ax = *Path::make(Path(), "/ax");
  EXPECT_TRUE(a.contains(ab));
  EXPECT_TRUE(a.contains(a));
  EXPECT_FALSE(a.contains(ax));
  EXPECT_TRUE(Path().contains(ax));
  EXPECT_EQ(ab.name(), "b");
  EXPECT_EQ(ab.parent().text(), "/a");
  EXPECT_TRUE(a.parent().is_root());
}

TEST(Tree, ShowsOtherDisksAsDirectories) {
  std::vector<std::byte> first = make_fat(16, 8192), second = make_fat(32, 36'000);
  block::RamDisk one(first), two(second);
  AnyFileSystem a = *AnyFileSystem::mount(one, heap), b = *AnyFileSystem::mount(two, heap);
  Tree tree;
  EXPECT_EQ(tree.find(Path()).error(), Error::NotFound) << "nothing is mounted";
  ASSERT_TRUE(tree.mount(a.get(), "", "vda"));
  ASSERT_TRUE(tree.mount(b.get(), "vdb", "vdb"));
  EXPECT_EQ(tree.mount(b.get(), "vdb", "vdb").error(), Error::AlreadyExists);
  const Path file = *Path::make(Path(), "/vdb/d/file");
  ASSERT_TRUE(tree.make_directory(file.parent()));
  ASSERT_TRUE(tree.write_file(file, std::as_bytes(std::span("x", 1))));
  EXPECT_EQ(tree.find(file)->system, &b.get());
  EXPECT_EQ(tree.find(*Path::make(Path(), "/d/file")).error(), Error::NotFound);
  EXPECT_EQ(tree.remove(*Path::make(Path(), "/vdb")).error(), Error::Busy);
  struct First final : DirectoryVisitor {
    std::string name;
    bool visit(std::string_view entry, const Node&) override {
      name = entry;
      return false;
    }
  } shown;
  ASSERT_TRUE(tree.list(Path(), shown));
  EXPECT_EQ(shown.name, "vdb");
}

TEST(Unicode, GoesThereAndBack) {
  for (const std::string_view text : {"plain", "größe", "文件", "\xf0\x9f\x90\xa7"}) {
    StaticVector<char16_t, kMaxName> units;
    Name name;
    ASSERT_TRUE(utf8_to_utf16(text, units));
    ASSERT_TRUE(utf16_to_utf8(units, name));
    EXPECT_EQ(fs::text(name), text);
  }
}

TEST(Unicode, RefusesWhatIsNone) {
  StaticVector<char16_t, kMaxName> units;
  for (const std::string_view text : {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf8\x88\x80\x80", "\xc3", "\xf4\x90\x80\x80"}) {
    units.clear();
    EXPECT_FALSE(utf8_to_utf16(text, units));
  }
  Name name;
  for (const std::u16string& bad : {std::u16string{char16_t{0xd800}}, std::u16string{char16_t{0xdc00}, u'a'}, std::u16string(u"a/b"), std::u16string(u".."), std::u16string()})
    EXPECT_FALSE(utf16_to_utf8(bad, name));
}

}  // namespace
}  // namespace ax::fs
