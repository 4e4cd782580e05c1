// The file commands on a real file system, as a person uses them.
#include "hypervisor/shell/file_commands.hpp"

#include "kernel/fs/ext4.hpp"
#include "kernel/fs/fat.hpp"
#include "tests/unit/fs/images.hpp"

namespace hv {
namespace {

using namespace ax::fs::test;

class FileCommands : public testing::Test, public FileShellEnvironment, private Sink {
 protected:
  FileCommands() { EXPECT_TRUE(tree.mount(fat, "", "vda")); }

  std::string run(std::string_view line) {
    answer.clear();
    run_command(kFileCommands, line, *this);
    return answer;
  }
  void expect_sound() {
    ASSERT_TRUE(fat.sync());
    const Outcome outcome = check_fat(image);
    EXPECT_EQ(outcome.status, 0) << outcome.output;
  }

  Sink& out() override { return *this; }
  FileSession& files() override { return session; }
  void write(std::string_view text) override { answer += text; }

  std::vector<std::byte> image = make_fat(16, 4'096);
  block::RamDisk disk{image};
  fs::Fat fat = *fs::Fat::mount(disk, heap);
  fs::Tree tree;
  FileSession session{tree, heap};
  std::string answer;
};

TEST_F(FileCommands, WriteAndShowText) {
  EXPECT_EQ(run("echo hello world"), "hello world\n");
  EXPECT_EQ(run("echo hello > a"), "");
  EXPECT_EQ(run("echo more >> a"), "");
  EXPECT_EQ(run("echo -n end >>a"), "");
  EXPECT_EQ(run("cat a"), "hello\nmore\nend\n");
  EXPECT_EQ(run("echo new >a"), "");
  EXPECT_EQ(run("cat a"), "new\n");
  EXPECT_EQ(run("echo x >"), "usage: echo [-n] [TEXT...] [> FILE | >> FILE]\n");
  EXPECT_EQ(run("echo x > a b"), "usage: echo [-n] [TEXT...] [> FILE | >> FILE]\n");
  EXPECT_EQ(run("cat nothing a"), "cat: nothing: not found\nnew\n");
  EXPECT_EQ(run("echo x > nowhere/a"), "echo: nowhere/a: not found\n");
  EXPECT_EQ(run("cat"), "usage: cat FILE...\n");
  expect_sound();
}

TEST_F(FileCommands, MakeAndListDirectories) {
  EXPECT_EQ(run("mkdir a"), "");
  EXPECT_EQ(run("mkdir a"), "mkdir: a: already exists\n");
  EXPECT_EQ(run("mkdir x/y/z"), "mkdir: x/y/z: not found\n");
  EXPECT_EQ(run("mkdir -p x/y/z a"), "");
  EXPECT_EQ(run("echo 12345 > x/file"), "");
  EXPECT_EQ(run("echo . > .hidden"), "");
  EXPECT_EQ(run("ls"), "a/\nx/\n");
  EXPECT_EQ(run("ls -a"), "a/\nx/\n.hidden\n");
  EXPECT_EQ(run("ls -l x"), "d           0 1980-01-01 00:00 y/\n-           6 1980-01-01 00:00 file\n");
  EXPECT_EQ(run("ls -la x/file"), "-           6 1980-01-01 00:00 x/file\n");
  EXPECT_EQ(run("ls a x"), "a:\nx:\ny/\nfile\n");
  EXPECT_EQ(run("ls -z"), "usage: ls [-l] [-a] [PATH...]\n");
  EXPECT_EQ(run("ls nothing"), "ls: nothing: not found\n");
  EXPECT_EQ(run("mkdir -p x/file/d"), "mkdir: x/file/d: already exists\n");
  expect_sound();
}

TEST_F(FileCommands, GoIntoDirectories) {
  EXPECT_EQ(run("pwd"), "/\n");
  run("mkdir -p a/b");
  EXPECT_EQ(run("cd a/b"), "");
  EXPECT_EQ(run("pwd"), "/a/b\n");
  run("echo here > f");
  EXPECT_EQ(run("cat ../b/./f"), "here\n");
  EXPECT_EQ(run("cd f"), "cd: f: not a directory\n");
  EXPECT_EQ(run("cd ../nothing"), "cd: ../nothing: not found\n");
  EXPECT_EQ(run("cd"), "");
  EXPECT_EQ(run("pwd"), "/\n");
}

TEST_F(FileCommands, RemoveFilesAndDirectories) {
  run("mkdir -p d/e/f");
  run("echo x > d/e/file");
  run("echo x > file");
  EXPECT_EQ(run("rm d"), "rm: d: is a directory\n");
  EXPECT_EQ(run("rm -d d"), "rm: d: not empty\n");
  EXPECT_EQ(run("rm -d d/e/f"), "");
  EXPECT_EQ(run("rm file nothing"), "rm: nothing: not found\n");
  EXPECT_EQ(run("rm -f nothing"), "");
  EXPECT_EQ(run("rm -r /"), "rm: /: busy\n");
  EXPECT_EQ(run("rm -rf d"), "");
  EXPECT_EQ(run("rm"), "usage: rm [-r] [-f] [-d] PATH...\n");
  EXPECT_EQ(run("ls -a"), "");
  expect_sound();
}

TEST_F(FileCommands, CopyFilesAndDirectories) {
  run("mkdir -p from/inner");
  run("echo one > from/a");
  run("echo two > from/inner/b");
  EXPECT_EQ(run("cp from to"), "cp: from: is a directory\n");
  EXPECT_EQ(run("cp -r from to"), "");
  EXPECT_EQ(run("cat to/a to/inner/b"), "one\ntwo\n");
  EXPECT_EQ(run("cp to/a to/inner/b /"), "");
  EXPECT_EQ(run("cat a b"), "one\ntwo\n");
  EXPECT_EQ(run("cp a b"), "");
  EXPECT_EQ(run("cat b"), "one\n");
  EXPECT_EQ(run("cp a a"), "cp: a: cannot go onto or into itself\n");
  EXPECT_EQ(run("cp -r from from/inner/x"), "cp: from: cannot go onto or into itself\n");
  EXPECT_EQ(run("cp nothing x"), "cp: nothing: not found\n");
  EXPECT_EQ(run("cp a b nowhere"), "cp: nowhere: not a directory\n");
  EXPECT_EQ(run("cp a"), "usage: cp [-r] FROM... TO\n");
  expect_sound();
}

TEST_F(FileCommands, MoveFilesAndDirectories) {
  run("mkdir -p d/e other");
  run("echo x > file");
  run("echo y > d/e/deep");
  EXPECT_EQ(run("mv file renamed"), "");
  EXPECT_EQ(run("mv renamed other"), "");
  EXPECT_EQ(run("cat other/renamed"), "x\n");
  EXPECT_EQ(run("mv d other"), "");
  EXPECT_EQ(run("cat other/d/e/deep"), "y\n");
  EXPECT_EQ(run("mv other other/d/x"), "mv: other: cannot go onto or into itself\n");
  EXPECT_EQ(run("mv nothing x"), "mv: nothing: not found\n");
  EXPECT_EQ(run("ls"), "other/\n");
  expect_sound();
}

TEST_F(FileCommands, LoseNothingWhenTheDiskIsFull) {
  run("echo kept > kept");
  const std::string large = pattern(static_cast<usize>(fat.usage()->free) * 2 / 3, 1);
  ASSERT_TRUE(tree.write_file(*fs::Path::make(fs::Path(), "/large"), std::as_bytes(std::span(large))));
  EXPECT_EQ(run("cp large kept"), "cp: large: no space left\n");
  EXPECT_EQ(run("cp large new"), "cp: large: no space left\n");
  EXPECT_EQ(run("cat kept"), "kept\n");
  EXPECT_EQ(run("ls"), "kept\nlarge\n");
  expect_sound();
}

TEST_F(FileCommands, ChangeNothingOnADiskWithoutAFreeCluster) {
  run("mkdir d");
  run("echo kept > kept");
  run("echo other > d/other");
  // Larger and larger files until not even one byte has room.
  for (usize size = static_cast<usize>(fat.usage()->free); size != 0; size /= 2) {
    const std::string contents = pattern(size, 1);
    static_cast<void>(tree.write_file(*fs::Path::make(fs::Path(), "/fill" + std::to_string(size)), std::as_bytes(std::span(contents))));
  }
  ASSERT_EQ(fat.usage()->free, 0u);
  const std::string before = run("ls -l / d");
  EXPECT_EQ(run("echo new > kept"), "echo: kept: no space left\n");
  EXPECT_EQ(run("echo " + std::string(200, 'x') + " > new"), "echo: new: no space left\n");
  EXPECT_EQ(run("mkdir new"), "mkdir: new: no space left\n");
  EXPECT_EQ(run("mkdir -p d/new/deeper"), "mkdir: d/new/deeper: no space left\n");
  EXPECT_EQ(run("cp kept d"), "cp: kept: no space left\n");
  EXPECT_EQ(run("cp -r d new"), "cp: d: no space left\n");
  EXPECT_EQ(run("mv kept d/other"), "mv: kept: no space left\n");
  EXPECT_EQ(run("cat kept d/other"), "kept\nother\n");
  EXPECT_EQ(run("ls -l / d"), before);
  EXPECT_EQ(run("mv kept renamed"), "") << "a name in the same directory needs no room";
  EXPECT_EQ(run("rm d/other"), "");
  EXPECT_EQ(run("cp renamed d"), "") << "and what was removed leaves some";
  expect_sound();
}

TEST_F(FileCommands, SayHowTheyAreUsed) {
  run("touch file");
  const struct {
    std::string_view line, usage;
  } kWrong[] = {
      {"ls -l -x", "usage: ls [-l] [-a] [PATH...]\n"},
      {"cat", "usage: cat FILE...\n"},
      {"echo > a > b", "usage: echo [-n] [TEXT...] [> FILE | >> FILE]\n"},
      {"mkdir -p", "usage: mkdir [-p] DIRECTORY...\n"},
      {"mkdir -q d", "usage: mkdir [-p] DIRECTORY...\n"},
      {"rm -r -f", "usage: rm [-r] [-f] [-d] PATH...\n"},
      {"rm -x file", "usage: rm [-r] [-f] [-d] PATH...\n"},
      {"cd a b", "usage: cd [DIRECTORY]\n"},
      {"pwd x", "usage: pwd\n"},
      {"touch", "usage: touch FILE...\n"},
      {"cp -r file", "usage: cp [-r] FROM... TO\n"},
      {"cp -f file b", "usage: cp [-r] FROM... TO\n"},
      {"mv file", "usage: mv FROM... TO\n"},
      {"df x", "usage: df\n"},
      {"mount x", "usage: mount\n"},
  };
  for (const auto& [line, usage] : kWrong) EXPECT_EQ(run(line), usage) << line;
  EXPECT_EQ(run("ls -a"), "file\n") << "nothing has changed";
}

TEST_F(FileCommands, SayWhatIsMissingAndGoOn) {
  run("mkdir d");
  run("echo x > file");
  EXPECT_EQ(run("ls no file"), "ls: no: not found\nfile\n");
  EXPECT_EQ(run("cat no d file"), "cat: no: not found\ncat: d: is a directory\nx\n");
  EXPECT_EQ(run("cat file/x"), "cat: file/x: not a directory\n");
  EXPECT_EQ(run("touch no/x new"), "touch: no/x: not found\n");
  EXPECT_EQ(run("touch d"), "touch: d: is a directory\n");
  EXPECT_EQ(run("rm no new"), "rm: no: not found\n");
  EXPECT_EQ(run("cp no file d"), "cp: no: not found\n");
  EXPECT_EQ(run("mv d/no file d/moved"), "mv: d/moved: not a directory\n");
  EXPECT_EQ(run("mv no d"), "mv: no: not found\n");
  EXPECT_EQ(run("mkdir file/d"), "mkdir: file/d: not a directory\n");
  EXPECT_EQ(run("echo x > d"), "echo: d: is a directory\n");
  EXPECT_EQ(run("cd file"), "cd: file: not a directory\n");
  EXPECT_EQ(run("ls -a / d"), "/:\nd/\nfile\nd:\nfile\n");
  expect_sound();
}

TEST_F(FileCommands, TouchAndTellOfFileSystems) {
  EXPECT_EQ(run("touch new"), "");
  EXPECT_EQ(run("ls -l new"), "-           0 1980-01-01 00:00 new\n");
  EXPECT_EQ(run("mount"), "vda on /: FAT16, read and write\n");
  EXPECT_NE(run("df").find("vda      FAT16"), std::string::npos) << answer;
  EXPECT_EQ(run("touch"), "usage: touch FILE...\n");
  expect_sound();
}

TEST_F(FileCommands, ChangeNothingWhereThatIsNotPossible) {
  const Folder folder;
  stdfs::create_directories(folder / "root");
  save(folder / "root/file", "text\n");
  ASSERT_EQ(ax::fs::test::run("mke2fs -q -t ext4 -d " + (folder / "root").string() + " " + (folder / "image").string() + " 4M").status, 0);
  std::vector<std::byte> other = load(folder / "image");
  block::RamDisk device(other);
  fs::Ext4 ext4 = *fs::Ext4::mount(device, heap);
  ASSERT_TRUE(tree.mount(ext4, "vdb", "vdb"));
  EXPECT_EQ(run("cat /vdb/file"), "text\n");
  EXPECT_EQ(run("echo x > /vdb/file"), "echo: /vdb/file: read-only\n");
  EXPECT_EQ(run("touch /vdb/file"), "touch: /vdb/file: read-only\n");
  EXPECT_EQ(run("rm /vdb/file"), "rm: /vdb/file: read-only\n");
  EXPECT_EQ(run("mv /vdb/file /x"), "mv: /vdb/file: read-only\n");
  EXPECT_EQ(run("rm -r /vdb"), "rm: /vdb: busy\n");
  EXPECT_EQ(run("cp /vdb/file /copy"), "");
  EXPECT_EQ(run("cat /copy"), "text\n");
  EXPECT_EQ(run("mount"), "vda on /: FAT16, read and write\nvdb on /vdb: ext4, read only; ext4 is read-only here\n");
}

TEST_F(FileCommands, ShowFilesThatAreNoText) {
  run("touch large");
  ASSERT_TRUE(tree.write_file(*fs::Path::make(fs::Path(), "/odd"), std::as_bytes(std::span("a\x1b[2J\0b\r\nc", 10))));
  EXPECT_EQ(run("cat odd"), "a?[2J?b\nc\n");
  const std::string large = pattern(100'000, 1);
  ASSERT_TRUE(tree.write_file(*fs::Path::make(fs::Path(), "/large"), std::as_bytes(std::span(large))));
  EXPECT_NE(run("cat large").find("... 34464 bytes more\n"), std::string::npos);
}

}  // namespace
}  // namespace hv
