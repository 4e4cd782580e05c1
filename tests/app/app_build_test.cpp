// What an edit rebuilds. Each case is one that a build system for these files is known to have got wrong.
#include "tests/app/app_tree.hpp"

namespace ax::app::testing {
namespace {

class StaleBuild : public AppTree {
 protected:
  /// A program that prints a number out of a header that is included by a header.
  void SetUp() override {
    describe(target("p", "exe", "src", "include_dir = \"inc\"\ncflags = \"-DOFFSET=0\"\n"));
    write("inc/outer.h", "#include \"inner.h\"\n");
    write("inc/inner.h", "#define VALUE 1\n");
    write("src/main.c",
          "#include <stdio.h>\n#include \"outer.h\"\nint other(void);\nint main(void) { printf(\"%d\\n\", VALUE + "
          "OFFSET + other()); }\n");
    write("src/other.c", "int other(void) { return 0; }\n");
    build();
  }
  std::string output() { return program().output; }
};

TEST_F(StaleBuild, NothingIsDoneWhenNothingChanged) {
  EXPECT_THAT(build(), HasSubstr("no work to do"));
  EXPECT_EQ(build("-q"), "");
}

TEST_F(StaleBuild, AHeaderIncludedByAHeaderIsTracked) {
  write("inc/inner.h", "#define VALUE 7\n");
  const std::string steps = build();
  EXPECT_THAT(steps, HasSubstr("main.c.o"));
  EXPECT_THAT(steps, Not(HasSubstr("other.c.o"))) << "only its users";
  EXPECT_EQ(output(), "7\n");
}

TEST_F(StaleBuild, HeadersAreTrackedHoweverTheyAreIncluded) {
  write("beside/near.h", "#define NEAR 1\n");
  write("inc/angle.h", "#define ANGLE 1\n");
  write("src/local.h", "#define LOCAL 1\n");
  write("src/main.c",
        "#include <stdio.h>\n  #  include <angle.h>\n#include \"../beside/near.h\"\n\t#include \"local.h\"\n"
        "/* \xff\xfe */\nint other(void);\nint main(void) { printf(\"%d\\n\", NEAR + ANGLE + LOCAL); }\n");
  EXPECT_EQ(output(), "3\n");
  for (const auto& [file, expected] :
       {std::pair("beside/near.h", "12\n"), {"inc/angle.h", "21\n"}, {"src/local.h", "30\n"}}) {
    const std::string name = file == std::string("beside/near.h") ? "NEAR"
                             : file == std::string("inc/angle.h") ? "ANGLE"
                                                                  : "LOCAL";
    write(file, "#define " + name + " 10\n");
    EXPECT_EQ(output(), expected) << file;
  }
}

TEST_F(StaleBuild, ADeletedHeaderThatNobodyIncludesAnyMoreIsNoError) {
  write("inc/outer.h", "#define VALUE 5\n");
  fs::remove(path("inc/inner.h"));
  EXPECT_EQ(output(), "5\n");
}

TEST_F(StaleBuild, ChangedCompilerOptionsAreCompiledWith) {
  describe(target("p", "exe", "src", "include_dir = \"inc\"\ncflags = \"-DOFFSET=10\"\n"));
  EXPECT_EQ(output(), "11\n");
}

TEST_F(StaleBuild, ChangedIncludeFoldersAreSearched) {
  write("inc2/outer.h", "#define VALUE 3\n");
  describe(target("p", "exe", "src", "include_dir = [\"inc2\", \"inc\"]\ncflags = \"-DOFFSET=0\"\n"));
  EXPECT_EQ(output(), "3\n");
}

TEST_F(StaleBuild, ChangedLinkerOptionsLinkAgainAndCompileNothing) {
  describe(
      target("p", "exe", "src",
             "include_dir = \"inc\"\ncflags = \"-DOFFSET=0\"\nldflags = \"-Wl,--defsym=marker_of_this_test=1\"\n"));
  const std::string steps = build();
  EXPECT_THAT(steps, HasSubstr("Linking"));
  EXPECT_THAT(steps, Not(HasSubstr("Building")));
  EXPECT_THAT(run("nm " + product("p").string()).output, HasSubstr("marker_of_this_test"));
}

TEST_F(StaleBuild, AnotherCompilerCompilesEverything) {
  write("config_linux.toml", "[build]\ncompiler = \"clang\"\n" +
                                 target("p", "exe", "src", "include_dir = \"inc\"\ncflags = \"-DOFFSET=0\"\n"));
  const std::string steps = build();
  EXPECT_THAT(steps, HasSubstr("main.c.o"));
  EXPECT_THAT(steps, HasSubstr("other.c.o"));
  EXPECT_THAT(run("readelf -p .comment " + product("p").string()).output, HasSubstr("clang"));
}

TEST_F(StaleBuild, AnotherTypeMakesAnotherProduct) {
  write("lib/l.c", "int other(void) { return 40; }\n");
  fs::remove(path("src/other.c"));
  const std::string rest = "include_dir = \"inc\"\ncflags = \"-DOFFSET=0\"\ndeps = [\"libl\"]\n";
  for (const char* type : {"static", "dll", "object"}) {
    describe(target("libl", type, "lib") + target("p", "exe", "src", rest));
    EXPECT_EQ(output(), "41\n") << type;
  }
}

/// Who copies the folder of products takes what is there.
TEST_F(StaleBuild, ProductsOfBeforeAreGone) {
  write("lib/l.c", "int other(void) { return 40; }\n");
  fs::remove(path("src/other.c"));
  const std::string rest = "include_dir = \"inc\"\ncflags = \"-DOFFSET=0\"\n";
  describe(target("libl", "dll", "lib") + target("p", "exe", "src", rest + "deps = [\"libl\"]\n"));
  build();
  describe(target("libl", "static", "lib") + target("q", "exe", "src", rest + "deps = [\"libl\"]\n"));
  EXPECT_EQ(build("-q"), "");
  std::vector<std::string> products;
  for (const auto& entry : fs::directory_iterator(path("app_build/host-release/bin")))
    products.push_back(entry.path().filename().string());
  EXPECT_THAT(products, ::testing::UnorderedElementsAre("libl.a", "q"));
}

TEST_F(StaleBuild, AnUnfinishedConfigurationIsStartedAnew) {
  fs::remove(path("app_build/host-release/build.ninja"));
  write("app_build/host-release/.unfinished", "");
  for (const auto& entry : fs::recursive_directory_iterator(path("app_build/host-release/CMakeFiles"))) {
    // As a disk that was full leaves it.
    if (entry.path().filename() == "CMakeCCompiler.cmake") fs::resize_file(entry.path(), 100);
  }
  EXPECT_EQ(output(), "1\n");
}

/// The copy would go on to build, and to be, the original.
TEST_F(StaleBuild, ACopyIsBuiltOfItsOwnSources) {
  write("one/app.toml", std::string(kBuild) + target("p", "exe", "main.c"));
  write("one/main.c", "int main(void) { return 1; }\n");
  EXPECT_EQ(xtask("run -q one").status, 1);
  fs::copy(path("one"), path("two"), fs::copy_options::recursive);
  write("two/main.c", "int main(void) { return 2; }\n");
  EXPECT_EQ(xtask("run -q two").status, 2);
  fs::rename(path("one"), path("three"));
  EXPECT_EQ(xtask("run -q three").status, 1);
  EXPECT_THAT(build("three"), HasSubstr("no work to do"));
}

/// CMake leaves C files in its folders, and a build for [os] too.
TEST_F(StaleBuild, ABuildBelowTheSourcesIsNotTakenForSources) {
  write("sub/app.toml", std::string(kBuild) + target("p", "exe", "./"));
  write("sub/main.c", "int main(void) { return 3; }\n");
  EXPECT_EQ(xtask("run -q sub --build-dir sub/out").status, 3);
  EXPECT_EQ(run("cmake -G Ninja -S " + path("sub/out/host-release/project").string() + " -B " + path("sub/mine").string()).status,
            0);
  write("sub/out/host-release/made.c", "int main(void) { return 4; }\n");
  EXPECT_THAT(build("sub --build-dir sub/out"), HasSubstr("no work to do"));
}

TEST_F(StaleBuild, ADeletedObjectIsMadeAgain) {
  for (const auto& entry : fs::recursive_directory_iterator(path("app_build"))) {
    if (entry.path().filename() == "other.c.o") fs::remove(entry.path());
  }
  EXPECT_THAT(build(), HasSubstr("other.c.o"));
}

TEST_F(StaleBuild, ANewAndARemovedSourceAreNoticed) {
  write("src/added.c", "int other(void) { return 30; }\n");
  fs::remove(path("src/other.c"));
  EXPECT_EQ(output(), "31\n");
}

TEST_F(StaleBuild, AFailedLinkIsNotTakenForDone) {
  write("src/other.c", "int missing(void);\nint other(void) { return missing(); }\n");
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Finished result = xtask("build");
    EXPECT_EQ(result.status, 1) << attempt;
    EXPECT_THAT(result.errors, HasSubstr("undefined reference to `missing'")) << attempt;
  }
  write("src/other.c", "int other(void) { return 1; }\n");
  EXPECT_EQ(output(), "2\n");
}

TEST_F(StaleBuild, AFailedCompilationRepeatsOnlyWhatFailed) {
  write("src/other.c", "int other(void) { return 1 }\n");
  EXPECT_EQ(xtask("build").status, 1);
  const Finished again = xtask("build");
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.errors,
              Not(HasSubstr("Building C object targets/p/CMakeFiles/p.dir" + path("src/main.c.o").string())));
}

TEST_F(StaleBuild, KeepGoingCompilesWhatItCan) {
  write("src/a_broken.c", "broken\n");
  write("src/z_good.c", "int good;\n");
  const Finished result = xtask("build -k -j 1");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.errors, HasSubstr("z_good.c.o"));
}

class StaleLibrary : public AppTree, public ::testing::WithParamInterface<const char*> {};

/// Old programs kept old code here: a library was made again and nobody linked it.
TEST_P(StaleLibrary, IsLinkedAgain) {
  describe(target("libl", GetParam(), "lib") + target("p", "exe", "main.c", "deps = [\"libl\"]\n"));
  write("main.c", "#include <stdio.h>\nint value(void);\nint main(void) { printf(\"%d\\n\", value()); }\n");
  write("lib/l.c", "int value(void) { return 1; }\n");
  EXPECT_EQ(program().output, "1\n");
  write("lib/l.c", "int value(void) { return 2; }\n");
  EXPECT_EQ(program().output, "2\n");
}

/// A member that is gone must not stay in an archive that is only added to.
TEST_P(StaleLibrary, ForgetsRemovedSources) {
  describe(target("libl", GetParam(), "lib") + target("p", "exe", "main.c", "deps = [\"libl\"]\n"));
  write("main.c", "int value(void);\nint main(void) { return value(); }\n");
  write("lib/l.c", "int value(void) { return 1; }\n");
  write("lib/m.c", "int extra(void) { return 1; }\n");
  build();
  write("lib/l.c", "int extra(void);\nint value(void) { return extra(); }\n");
  fs::remove(path("lib/m.c"));
  EXPECT_EQ(xtask("build").status, 1) << "extra() is not there any more";
}

INSTANTIATE_TEST_SUITE_P(Types, StaleLibrary, ::testing::Values("static", "dll", "object"),
                         [](const auto& type) { return std::string(type.param); });

using Modes = AppTree;

TEST_F(Modes, HaveFoldersOfTheirOwn) {
  describe(target("p", "exe", "main.c"));
  write("main.c", "int main(void) { return 3; }\n");
  build();
  build("--debug");
  EXPECT_TRUE(fs::exists(product("p")) && fs::exists(product("p", "host-debug")));
  EXPECT_THAT(run("readelf -S " + product("p", "host-debug").string()).output, HasSubstr(".debug_info"));
  EXPECT_THAT(run("readelf -S " + product("p").string()).output, Not(HasSubstr(".debug_info")));
  EXPECT_THAT(build(), HasSubstr("no work to do"));
}

}  // namespace
}  // namespace ax::app::testing
