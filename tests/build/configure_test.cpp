// What the build says about settings and machines that it cannot work with, and where its libraries come from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/build/source_tree.hpp"

namespace ax::build_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// Fresh build folders in one copy of the tree.
class TreeTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { shared_ = std::make_unique<Shared>(); }
  static void TearDownTestSuite() { shared_.reset(); }

  static const SourceTree& tree() { return shared_->tree; }
  static fs::path scratch() { return shared_->scratch.path(); }
  static BuildFolder folder(const std::string& name) { return {tree(), tree().path("build/" + name)}; }
  static Result configure(const std::string& name, Argv arguments, const EnvironmentChanges& environment = {}) {
    arguments.push_back("-DAXVISOR_VM_CONFIGS=" + tree().path("tests/boot/vms/tiny.toml").string());
    Result result = folder(name).configure("qemu-aarch64", arguments, environment);
    // CMake folds its messages into lines of 80 columns.
    result.output = std::regex_replace(result.output, std::regex("[ \n]+"), " ");
    return result;
  }

 private:
  struct Shared {
    xtask::TemporaryFolder scratch;
    SourceTree tree{scratch.path() / "tree"};
  };
  static std::unique_ptr<Shared> shared_;
};

std::unique_ptr<TreeTest::Shared> TreeTest::shared_;

class Configure : public TreeTest {};

TEST_F(Configure, UnknownCompilerFamilyNamesTheChoices) {
  const Result result = configure("compiler", {"-DAXVISOR_COMPILER=icc"});
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr(R"(AXVISOR_COMPILER is "icc": use "llvm" or "gnu".)"));
}

TEST_F(Configure, RunsTheCommandsOfTheBoard) {
  tree().write("configs/board/commands.toml",
               "target = \"aarch64-unknown-none-softfloat\"\nto_bin = true\n"
               "pre_build_cmds = [\"printf '%s;' one >${workspaceFolder}/made.txt\", \"printf '%s;' two >>made.txt\"]\n"
               "pre_build_outputs = [\"made.txt\"]\npost_build_cmds = [\"sha1sum $KERNEL_ELF >sum.txt\"]\npost_build_outputs = "
               "[\"sum.txt\"]\n");
  const Result configured = configure("commands", {"-DAXVISOR_BOARD=commands"});
  ASSERT_EQ(configured.status, 0) << configured.output;
  EXPECT_EQ(folder("commands").build({"pre-build"}).status, 0);
  EXPECT_EQ(tree().read("made.txt"), "one;two;");
  EXPECT_TRUE(folder("commands").build({"pre-build"}).nothing_to_do());
  const std::string steps = xtask::read_file(folder("commands").path() / "build.ninja");
  EXPECT_THAT(steps, HasSubstr("KERNEL_ELF=" + folder("commands").path().string() + "/axvisor sh -c \"sha1sum "));
  EXPECT_THAT(steps, HasSubstr(tree().path("sum.txt").string()));
}

TEST_F(Configure, ACommandOfTheBoardThatFailedCanBeMended) {
  const std::string board = "target = \"aarch64-unknown-none-softfloat\"\nto_bin = true\npre_build_cmds = ";
  tree().write("configs/board/mended.toml", board + "[\"false\"]\n");
  ASSERT_EQ(configure("mended", {"-DAXVISOR_BOARD=mended"}).status, 0);
  // All that is compiled waits for the commands.
  EXPECT_NE(folder("mended").build({"kernel/base/libkernel_base.a"}).status, 0);
  tree().write("configs/board/mended.toml", board + "[\"echo made >mended.txt\"]\n");
  EXPECT_EQ(folder("mended").build({"pre-build"}).status, 0);
  EXPECT_EQ(tree().read("mended.txt"), "made\n");
}

/// A folder with links to all programs of PATH but those whose name has `missing` in it.
fs::path programs_without(const fs::path& folder, const std::string& missing) {
  fs::create_directories(folder);
  for (const char* from : {"/usr/local/bin", "/usr/bin", "/bin"}) {
    if (!fs::exists(from)) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
      const fs::path link = folder / entry.path().filename();
      if (link.filename().string().find(missing) == std::string::npos && !fs::exists(fs::symlink_status(link))) {
        fs::create_symlink(entry.path(), link);
      }
    }
  }
  return folder;
}

TEST_F(Configure, MissingToolNamesItsPackage) {
  struct Case {
    const char* compiler;
    const char* program;
    const char* package;
  };
  for (const auto& [compiler, program, package] :
       {Case{"llvm", "clang++-19", "clang-19"}, Case{"llvm", "ld.lld-19", "lld-19"}, Case{"llvm", "llvm-objcopy-19", "llvm-19"},
        Case{"gnu", "aarch64-linux-gnu-gcc", "g++-aarch64-linux-gnu"}}) {
    const fs::path path = programs_without(scratch() / ("without-" + std::string(program)), program);
    const Result result = configure("without-" + std::string(program), {"-DAXVISOR_COMPILER=" + std::string(compiler)}, {{"PATH", path.string()}});
    EXPECT_NE(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr(std::string(program) + " was not found in PATH: install it with 'apt-get install " + package + "'"));
  }
}

TEST_F(Configure, FolderOfAnotherTargetIsNamedWithTheFolderToUse) {
  const std::string name = "qemu-aarch64";
  const Result result = configure(name, {"-DAXVISOR_CONFIGURED_TARGET=x86_64-unknown-none"});
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr(tree().path("build/qemu-aarch64").string() + " was configured for x86_64-unknown-none"));
  EXPECT_THAT(result.output, HasSubstr("cmake -B " + tree().path("build/qemu-aarch64-aarch64-unknown-none-softfloat").string()));
}

TEST_F(Configure, FolderOfAnotherBoardsTargetNamesTheBoardsOwn) {
  const Result result = configure("shared", {"-DAXVISOR_CONFIGURED_TARGET=x86_64-unknown-none"});
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("cmake -B " + tree().path("build/qemu-aarch64").string() + ")"));
}

TEST_F(Configure, ConfigurationErrorIsTheLastWord) {
  tree().write("../bad.toml", "[base]\nname = \"bad\"\ncpu_nun = 1\n");
  const Result result =
      folder("bad").configure("qemu-aarch64", {}, {{"AXVISOR_VM_CONFIGS", tree().path("../bad.toml").lexically_normal().string()}});
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("did you mean"));
  EXPECT_THAT(result.output, HasSubstr("Nothing was built."));
  EXPECT_THAT(result.output, Not(HasSubstr("Detecting CXX compiler")));
}

TEST_F(Configure, XtaskShowsTheGeneratorsErrorsAlone) {
  tree().write("../bad.toml", "[base]\nname = \"bad\"\ncpu_nun = 1\n");
  const Result result = build_test::run({AXVISOR_HOST_BUILD_DIR "/bin/xtask", "build", "--vmconfigs", "../bad.toml"},
                                        {{"AXVISOR_ROOT", tree().root().string()}}, tree().root());
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("did you mean"));
  EXPECT_THAT(result.output, HasSubstr("error: configuring qemu-aarch64 failed"));
  EXPECT_THAT(result.output, Not(HasSubstr("CMake Error")));
  EXPECT_THAT(result.output, Not(HasSubstr("Call Stack")));
}

/// The command of the first entry for `file` in the merged database: the one that clangd takes.
std::string first_command(const SourceTree& tree, const std::string& file) {
  for (const auto& entry : nlohmann::json::parse(tree.read("compile_commands.json"))) {
    if (entry.at("file") == tree.path(file).string()) {
      return entry.at("command");
    }
  }
  return "no entry";
}

TEST_F(Configure, LastConfiguredBoardOwnsTheCompileCommandsOfTargetFiles) {
  for (const std::string board : {"qemu-aarch64", "phytiumpi", "qemu-aarch64"}) {
    const Result result = configure("owner-" + board, {"-DAXVISOR_BOARD=" + board});
    ASSERT_EQ(result.status, 0) << result.output;
    ASSERT_EQ(folder("owner-" + board).build({"compile-commands"}).status, 0);
    EXPECT_THAT(first_command(tree(), "kernel/log/log.cpp"), HasSubstr("build/owner-" + board + "/generated"));
  }
}

/// What `cmake --build` prints.
std::string build_output(const fs::path& folder, const Argv& arguments = {}) {
  Argv argv{AXVISOR_CMAKE, "--build", folder.string(), "--target", "axvisor-config"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  fs::remove(folder / "generated/vm_configs.hpp");  // something to do
  const Result result = run(argv);
  EXPECT_EQ(result.status, 0) << result.output;
  return result.output;
}

TEST_F(Configure, BoardsArgumentsAndEnvironmentHoldForEveryBuild) {
  const auto write_board = [](std::string_view keys) {
    tree().write("../board.toml", "target = \"aarch64-unknown-none-softfloat\"\nto_bin = true\n" + std::string(keys));
  };
  const std::string board = tree().path("../board.toml").lexically_normal().string();
  write_board("build_args = [\"-j1\", \"--verbose\", \"--\", \"-d\", \"stats\"]\n"
              "[env]\nNINJA_STATUS = \"it's the board's $HOME> \"\nMARK = \"a;b\"\n");
  const std::string lists = tree().read("tests/guests/CMakeLists.txt");
  tree().write("tests/guests/CMakeLists.txt", lists + "message(STATUS \"MARK is $ENV{MARK}\")\n");
  const Result configured = configure("own-ninja", {"-DAXVISOR_BOARD=" + board});
  tree().write("tests/guests/CMakeLists.txt", lists);
  ASSERT_EQ(configured.status, 0) << configured.output;
  EXPECT_THAT(configured.output, HasSubstr("MARK is a;b"));
  const std::string output = build_output(folder("own-ninja").path());
  EXPECT_THAT(output, HasSubstr("it's the board's $HOME> ")) << "env";
  EXPECT_THAT(output, HasSubstr("axconfig generate")) << "--verbose shows commands";
  EXPECT_THAT(output, HasSubstr("path->node hash load")) << "-d stats is Ninja's";
  EXPECT_THAT(tree().read("build/own-ninja/generated/ninja"), HasSubstr(" '-j1' '-v' '-d' 'stats' "));

  write_board("");
  ASSERT_EQ(configure("own-ninja", {}).status, 0);
  EXPECT_THAT(build_output(folder("own-ninja").path()), Not(HasSubstr("the board's"))) << "taken back";
}

class Compilers : public TreeTest {};

/// The other compiler family makes an image that passes the tiny guest's checks.
TEST_F(Compilers, GnuImageBoots) {
  const Result configured = configure("gnu", {"-DAXVISOR_COMPILER=gnu"});
  ASSERT_EQ(configured.status, 0) << configured.output;
  const Steps built = folder("gnu").build({"boot_tiny"});
  ASSERT_EQ(built.status, 0) << built.output;
  EXPECT_THAT(built.output, Not(HasSubstr("warning:")));
  const std::string elf = tree().path("build/gnu/images/boot_tiny").string();
  const Result run = build_test::run({AXVISOR_HOST_BUILD_DIR "/bin/xtask", "run", "--config", tree().path("tests/boot/tiny.toml").string(),
                                      "--elf", elf, "--bin", elf + ".bin"});
  EXPECT_EQ(run.status, 0) << run.output;
}

class Dependencies : public TreeTest {};

TEST_F(Dependencies, SourceDirectoryReplacesTheInstalledLibrary) {
  const fs::path library = scratch() / "my-fmt";
  xtask::write_file(library / "CMakeLists.txt", R"(cmake_minimum_required(VERSION 3.25)
project(my_fmt LANGUAGES CXX)
add_library(fmt INTERFACE)
add_library(fmt::fmt ALIAS fmt)
target_compile_definitions(fmt INTERFACE MY_FMT)
)");
  const BuildFolder host = folder("host-with-my-fmt");
  for (const Argv& skip : {Argv{}, Argv{"-DCMAKE_DISABLE_FIND_PACKAGE_fmt=ON"}}) {
    Argv arguments{"-DFETCHCONTENT_SOURCE_DIR_FMT=" + library.string()};
    arguments.insert(arguments.end(), skip.begin(), skip.end());
    const Result result = host.configure("host", arguments);
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("fmt: using " + library.string()));
    EXPECT_THAT(xtask::read_file(host.path() / "compile_commands.json"), HasSubstr("-DMY_FMT"));
    fs::remove_all(host.path());
  }
}

}  // namespace
}  // namespace ax::build_test
