// What the build says about settings and machines that it cannot work with, and where its libraries come from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
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
    const char* program;
    const char* package;
  };
  for (const auto& [program, package] : {Case{"clang++-19", "clang-19"}, Case{"ld.lld-19", "lld-19"}, Case{"llvm-objcopy-19", "llvm-19"}}) {
    const fs::path path = programs_without(scratch() / ("without-" + std::string(program)), program);
    const Result result = configure("without-" + std::string(program), {}, {{"PATH", path.string()}});
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
