#include "tools/xtask/image/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>

#include "tests/xtask/deb.hpp"
#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

using test::failure_of;
using test::make_deb;

class DebTest : public ::testing::TestWithParam<test::DebCompression> {};

TEST_P(DebTest, GivesTheFileAskedFor) {
  const std::string deb = make_deb({{"./usr/share/doc", "text"}, {"./boot/vmlinuz-6.1", "kernel"}}, GetParam());
  const ExtractedFile file = extract_from_deb(deb, "tiny", "boot/vmlinuz-", PathMatch::Prefix);
  EXPECT_EQ(file.path, "boot/vmlinuz-6.1");
  EXPECT_EQ(file.content, "kernel");
  EXPECT_EQ(extract_from_deb(deb, "tiny", "usr/share/doc", PathMatch::Exact).content, "text");
}

INSTANTIATE_TEST_SUITE_P(Compressions, DebTest,
                         ::testing::Values(test::DebCompression::None, test::DebCompression::Xz,
                                           test::DebCompression::Zstd, test::DebCompression::Gzip));

TEST(Deb, NamesAMissingFile) {
  const std::string deb = make_deb({{"./boot/config", "x"}}, test::DebCompression::Xz);
  EXPECT_STREQ(failure_of([&] { extract_from_deb(deb, "tiny", "boot/vmlinuz-", PathMatch::Prefix); }).what(),
               "tiny: has no file boot/vmlinuz-");
  EXPECT_STREQ(failure_of([&] { extract_from_deb(deb, "tiny", "boot/con", PathMatch::Exact); }).what(),
               "tiny: has no file boot/con");
}

TEST(Deb, RefusesDamage) {
  EXPECT_EQ(failure_of([] { extract_from_deb("no package", "tiny", "x", PathMatch::Exact); }).code(), ExitCode::Failure);
  const std::string deb = make_deb({{"./boot/vmlinuz-6.1", std::string(100'000, 'k')}}, test::DebCompression::Xz);
  const std::string cut = deb.substr(0, deb.size() / 2);
  EXPECT_EQ(failure_of([&] { extract_from_deb(cut, "tiny", "boot/vmlinuz-", PathMatch::Prefix); }).code(),
            ExitCode::Failure);
}

struct Entry {
  mode_t mode;
  std::string content;
};

/// What a reader of the archive sees; checks that all of it is root's and dated 1970.
std::map<std::string, Entry> entries_of(const std::string& cpio) {
  std::map<std::string, Entry> entries;
  archive* reader = archive_read_new();
  archive_read_support_format_cpio(reader);
  archive_read_support_filter_gzip(reader);
  archive_read_open_memory(reader, cpio.data(), cpio.size());
  for (archive_entry* entry = nullptr; archive_read_next_header(reader, &entry) == ARCHIVE_OK;) {
    EXPECT_EQ(archive_entry_uid(entry), 0);
    EXPECT_EQ(archive_entry_gid(entry), 0);
    EXPECT_EQ(archive_entry_mtime(entry), 0);
    Entry& found = entries[archive_entry_pathname(entry)];
    found.mode = archive_entry_mode(entry);
    if (S_ISCHR(found.mode)) {
      EXPECT_EQ(archive_entry_rdevmajor(entry), 5u);
      EXPECT_EQ(archive_entry_rdevminor(entry), 1u);
    }
    found.content = S_ISLNK(found.mode) ? archive_entry_symlink(entry) : std::string();
    if (S_ISREG(found.mode)) {
      found.content.resize(static_cast<size_t>(archive_entry_size(entry)));
      archive_read_data(reader, found.content.data(), found.content.size());
    }
  }
  archive_read_free(reader);
  return entries;
}

InitramfsContent sample() {
  return {std::string("code\0cat\0sh\0mount\0", 18), "#!/bin/sh\n", {"sh", "mount", "cat"}, false};
}

TEST(Initramfs, HoldsInitShellConsoleAndLinks) {
  std::map<std::string, Entry> entries = entries_of(build_initramfs(sample()));
  EXPECT_EQ(entries["init"].mode, mode_t{S_IFREG | 0755});
  EXPECT_EQ(entries["init"].content, "#!/bin/sh\n");
  EXPECT_EQ(entries["bin/busybox"].content, sample().busybox);
  EXPECT_EQ(entries["bin/mount"].mode, mode_t{S_IFLNK | 0777});
  EXPECT_EQ(entries["bin/mount"].content, "busybox");
  EXPECT_EQ(entries["dev/console"].mode, mode_t{S_IFCHR | 0600});
  EXPECT_EQ(entries["proc"].mode, mode_t{S_IFDIR | 0755});
}

TEST(Initramfs, IsTheSameWhereverItIsBuilt) {
  const std::string here = build_initramfs(sample());
  const TemporaryFolder other;
  const test::ScopedEnvironment folder("TMPDIR", other.path().string());
  const test::ScopedEnvironment zone("TZ", "Pacific/Kiritimati");
  const test::ScopedEnvironment epoch("SOURCE_DATE_EPOCH", "1");
  const mode_t mask = ::umask(077);
  EXPECT_EQ(build_initramfs(sample()), here);
  InitramfsContent reordered = sample();
  reordered.applets = {"cat", "sh", "mount"};
  EXPECT_EQ(build_initramfs(reordered), here);
  ::umask(mask);
}

TEST(Initramfs, HasNoTimeInItsGzipHeader) {
  InitramfsContent content = sample();
  content.gzip = true;
  const std::string packed = build_initramfs(content);
  ASSERT_GT(packed.size(), 10u);
  EXPECT_EQ(packed.substr(0, 2), "\x1f\x8b");
  EXPECT_EQ(packed.substr(4, 4), std::string(4, '\0'));
  EXPECT_EQ(entries_of(packed).size(), entries_of(build_initramfs(sample())).size());
}

TEST(Initramfs, RefusesAnAppletThatBusyboxLacks) {
  InitramfsContent content = sample();
  content.applets.push_back("emacs");
  EXPECT_STREQ(failure_of([&] { build_initramfs(content); }).what(), "this busybox has no applet 'emacs'");
}

}  // namespace
}  // namespace ax::xtask
