// What is linked with what, and how.
#include "tests/app/app_tree.hpp"

namespace ax::app::testing {
namespace {

class Links : public AppTree {
 protected:
  std::string dynamic_section(const std::string& name) { return run("readelf -d " + product(name).string()).output; }
};

TEST_F(Links, SourcesOfTheSameNameDoNotCollide) {
  describe(target("p", "exe", "./"));
  write("main.cpp",
        "extern \"C\" int a(); extern \"C\" int b(); int c(); int x(); int main() { return a() + b() + c() + x(); }\n");
  write("one/util.c", "int a(void) { return 1; }\n");
  write("two/util.c", "int b(void) { return 2; }\n");
  write("two/util.cpp", "int c() { return 4; }\n");
  write("t wo/util.cpp", "int x() { return 8; }\n");
  EXPECT_EQ(program().status, 15);
}

TEST_F(Links, EveryKindOfSourceIsCompiledWithItsDriver) {
  describe(target("p", "exe", "./"));
  write("main.c",
        "int cc(void); int cpp(void); int cxx(void); int S(void); int s(void);\nint class = 0;\nint main(void) { "
        "return cc() + cpp() + cxx() + S() + s() + class; }\n");
  write("a.cc", "extern \"C\" int cc() { return 1; }\n");
  write("b.cpp", "#include <string>\nextern \"C\" int cpp() { return std::string(\"ab\").size(); }\n");
  write("c.cxx", "extern \"C\" int cxx() { return 4; }\n");
  write("d.S", "#define VALUE $8\n.globl S\nS: mov VALUE, %eax\nret\n.section .note.GNU-stack\n");
  write("e.s", "# no preprocessor\n.globl s\ns: mov $16, %eax\nret\n.section .note.GNU-stack\n");
  EXPECT_EQ(program().status, 31);
}

TEST_F(Links, TheCompilerOfCxxLinksWhatUsesCxxInALibrary) {
  describe(target("libl", "static", "lib") + target("p", "exe", "main.c", "deps = [\"libl\"]\n"));
  write("main.c", "int value(void);\nint main(void) { return value(); }\n");
  write(
      "lib/l.cpp",
      "#include <vector>\nextern \"C\" int value() { std::vector<int> v(5, 1); return static_cast<int>(v.size()); }\n");
  EXPECT_EQ(program().status, 5);
}

TEST_F(Links, LibrariesBringWhatTheyUseThemselves) {
  describe(target("p", "exe", "main.c", "deps = [\"liba\"]\n") +
           target("liba", "static", "a.c", "deps = [\"libb\", \"libo\"]\n") +
           target("libb", "static", "b.c", "deps = [\"libd\"]\n") +
           target("libd", "dll", "d.c", "deps = [\"libe\"]\n") + target("libe", "dll", "e.c") +
           target("libo", "object", "o.c"));
  write("main.c", "int a(void);\nint main(void) { return a(); }\n");
  write("a.c", "int b(void); int o(void);\nint a(void) { return b() + o(); }\n");
  write("b.c", "int d(void);\nint b(void) { return 1 + d(); }\n");
  write("d.c", "int e(void);\nint d(void) { return 2 + e(); }\n");
  write("e.c", "int e(void) { return 4; }\n");
  write("o.c", "int o(void) { return 8; }\n");
  EXPECT_EQ(program().status, 15);
}

TEST_F(Links, LibrariesAreInTheOrderInWhichTheyAreNeeded) {
  describe(target("p", "exe", "main.c", "deps = [\"libb\", \"liba\"]\n") + target("libb", "static", "b.c") +
           target("liba", "static", "a.c", "deps = [\"libb\"]\n"));
  write("main.c", "int a(void);\nint main(void) { return a(); }\n");
  write("a.c", "int b(void);\nint a(void) { return b(); }\n");
  write("b.c", "int b(void) { return 6; }\n");
  EXPECT_EQ(program().status, 6);
}

TEST_F(Links, OneLibraryReachedOnTwoWaysIsThereOnce) {
  describe(target("p", "exe", "main.c", "deps = [\"liba\", \"libb\"]\n") +
           target("liba", "static", "a.c", "deps = [\"libo\"]\n") +
           target("libb", "static", "b.c", "deps = [\"libo\"]\n") + target("libo", "object", "o.c"));
  write("main.c", "int a(void); int b(void);\nint main(void) { return a() + b(); }\n");
  write("a.c", "int o(void);\nint a(void) { return o(); }\n");
  write("b.c", "int o(void);\nint b(void) { return o(); }\n");
  write("o.c", "int o(void) { return 2; }\n");
  EXPECT_EQ(program().status, 4);
}

TEST_F(Links, ADllHasItsNameAndIsFoundBesideTheProgram) {
  describe(target("libcalib", "dll", "l.c") + target("p", "exe", "main.c", "deps = [\"libcalib\"]\n"));
  write("main.c", "int value(void);\nint main(void) { return value(); }\n");
  write("l.c", "int value(void) { return 9; }\n");
  EXPECT_EQ(program().status, 9);
  EXPECT_THAT(dynamic_section("libcalib.so"), HasSubstr("Library soname: [libcalib.so]"));
  EXPECT_THAT(dynamic_section("p"), HasSubstr("[libcalib.so]"));
  EXPECT_THAT(dynamic_section("p"), HasSubstr("runpath: [$ORIGIN]"));
  // Anywhere else too, with its library.
  fs::create_directories(path("else where"));
  fs::copy(product("p"), path("else where/p"));
  fs::copy(product("libcalib.so"), path("else where/libcalib.so"));
  fs::remove_all(path("app_build"));
  EXPECT_EQ(run(config::testing::quoted(path("else where/p"))).status, 9);
}

TEST_F(Links, WhatGoesIntoADllIsPositionIndependent) {
  write("config_linux.toml", "[build]\ncompiler = \"gcc -fno-pie -no-pie\"\n" + target("libs", "static", "s.c") +
                                 target("libo", "object", "o.c", "deps = [\"libs\"]\n") +
                                 target("libd", "dll", "d.c", "deps = [\"libo\"]\n") +
                                 target("p", "exe", "main.c", "deps = [\"libd\"]\n"));
  write("main.c", "int d(void);\nint main(void) { return d(); }\n");
  write("d.c", "int o(void);\nint d(void) { return o(); }\n");
  write("o.c", "int s(void);\nint global = 1;\nint o(void) { return s() + global; }\n");
  write("s.c", "int other = 2;\nint s(void) { return other; }\n");
  EXPECT_EQ(program().status, 3);
}

TEST_F(Links, AnObjectIsOneRelocatableFile) {
  describe(target("part", "object", "parts") + target("p", "exe", "main.c", "deps = [\"part\"]\n"));
  write("parts/a.c", "int a(void) { return 1; }\n");
  write("parts/b.c", "int a(void);\nint b(void) { return a() + 1; }\n");
  write("main.c", "int b(void);\nint main(void) { return b(); }\n");
  EXPECT_EQ(program().status, 2);
  EXPECT_THAT(run("readelf -h " + product("part.o").string()).output, HasSubstr("REL (Relocatable file)"));
}

TEST_F(Links, HeadersOfAllLibrariesAreFound) {
  describe(target("p", "exe", "main.c", "deps = [\"liba\"]\n") +
           target("liba", "static", "a", "include_dir = \"a/include\"\ndeps = [\"libb\"]\n") +
           target("libb", "static", "b", "include_dir = \"b/include\"\n"));
  write("main.c", "#include <a.h>\nint main(void) { return A + B; }\n");
  write("a/include/a.h", "#include <b.h>\n#define A 1\n");
  write("b/include/b.h", "#define B 2\n");
  write("a/a.c", "#include <b.h>\nint a = B;\n");
  write("b/b.c", "#include <b.h>\nint b = B;\n");
  EXPECT_EQ(program().status, 3);
}

TEST_F(Links, PathsMayHaveBlanksAndWordsMayHaveAnything) {
  describe(target("p", "exe", "my sources",
                  "include_dir = \"my headers\"\ncflags = '''-DTEXT='\"a $b \\\"c\\\" d`e`f #g %h é\"' '-DEMPTY=' "
                  "-DHEADER=\\\"the\\ header.h\\\"'''\n"
                  "ldflags = \"'-Wl,-rpath,/some where/$ORIGIN'\"\n"));
  write("my headers/the header.h", "#define VALUE 1\n");
  write("my sources/the main.c",
        "#include <stdio.h>\n#include HEADER\nint main(void) { puts(TEXT); return VALUE EMPTY; }\n");
  const Finished result = program();
  EXPECT_EQ(result.status, 1) << result.errors;
  EXPECT_EQ(result.output, "a $b \"c\" d`e`f #g %h é\n");
  EXPECT_THAT(dynamic_section("p"), HasSubstr("[/some where/$ORIGIN]"));
}

TEST_F(Links, OptionsAreNeitherSortedNorMerged) {
  describe(target("p", "exe", "main.c", "cflags = \"-DA=1 -UA -DA=2 -UA -DA=1 -UA -DA=3\"\n"));
  write("main.c", "int main(void) { return A; }\n");
  EXPECT_EQ(program().status, 3);
}

TEST_F(Links, LinkerOptionsComeLast) {
  describe(target("libl", "static", "l.c") +
           target("p", "exe", "main.c", "ldflags = \"-Wl,--as-needed -lm\"\ndeps = [\"libl\"]\n"));
  write("main.c", "double value(double);\nint main(int argc, char** argv) { (void)argv; return (int)value(argc); }\n");
  write("l.c", "#include <math.h>\ndouble value(double x) { return cos(x - 1) + floor(x + 0.5); }\n");
  EXPECT_EQ(program().status, 2);
}

TEST_F(Links, ArchiverLinkerAndRelativePathsAreUsedAsWritten) {
  write("tools/my-ar", "#!/bin/sh\necho \"ar $1\" >>\"$(dirname \"$0\")/log\"\nexec ar \"$@\"\n");
  write("tools/my-ld", "#!/bin/sh\necho \"ld $1\" >>\"$(dirname \"$0\")/log\"\nexec gcc \"$@\"\n");
  for (const char* tool : {"tools/my-ar", "tools/my-ld"}) ::chmod(path(tool).c_str(), 0755);
  describe(target("libl", "static", "l.c", "archive = \"tools/my-ar\"\nldflags = \"rc\"\n") +
           target("p", "exe", "main.c",
                  "linker = \"tools/my-ld -g\"\ncflags = \"-Iinc -include force.h\"\nldflags = \"-Lextra -lx\"\ndeps = "
                  "[\"libl\"]\n"));
  write("inc/value.h", "#define VALUE 3\n");
  write("force.h", "#define FORCED 4\n");
  write("main.c",
        "#include \"value.h\"\nint x(void); int l(void);\nint main(void) { return VALUE + FORCED + x() + l(); }\n");
  write("l.c", "int l(void) { return 8; }\n");
  write("x.c.txt", "int x(void) { return 16; }\n");
  fs::create_directories(path("extra"));
  ASSERT_EQ(run("cd " + path("").string() + " && gcc -x c -c x.c.txt -o x.o && ar rcs extra/libx.a x.o").status, 0);
  EXPECT_EQ(program().status, 31);
  EXPECT_EQ(read_file(path("tools/log")), "ar rc\nld -g\n");
}

TEST_F(Links, PkgConfigInBackTicksIsRun) {
  write("found.pc", "Name: found\nDescription: a library\nVersion: 1\nCflags: -DFOUND=5\nLibs: -lm\n");
  describe(target("p", "exe", "main.c",
                  "cflags = \"`pkg-config --cflags found` -O1\"\nldflags = \"$(pkg-config --libs found)\"\n"));
  write("main.c", "int main(void) { return FOUND; }\n");
  ::setenv("PKG_CONFIG_PATH", path("").c_str(), 1);
  EXPECT_EQ(program().status, 5);
  write("found.pc", "Name: found\nDescription: a library\nVersion: 2\nCflags: -DFOUND=6\nLibs: -lm\n");
  EXPECT_EQ(program().status, 6) << "another version of the library is compiled with";
  ::unsetenv("PKG_CONFIG_PATH");
  const Finished result = xtask("build");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.errors, HasSubstr("config_linux.toml:7:10: error: 'cflags': pkg-config --cflags found failed"));
}

TEST_F(Links, NamesThatCMakeKeepsForItselfAreNamesLikeOthers) {
  describe(target("test", "exe", "main.c", "deps = [\"all\"]\n") + target("all", "static", "l.c"));
  write("main.c", "int l(void);\nint main(void) { return l(); }\n");
  write("l.c", "int l(void) { return 4; }\n");
  EXPECT_EQ(program().status, 4);
}

TEST_F(Links, TheProjectIsUsableByItself) {
  describe(target("libl", "dll", "l.c") + target("p", "exe", "main.c", "deps = [\"libl\"]\n"));
  write("main.c", "int l(void);\nint main(void) { return l(); }\n");
  write("l.c", "int l(void) { return 4; }\n");
  build();
  const TemporaryFolder moved;
  fs::copy(path(""), moved / "moved", fs::copy_options::recursive);
  fs::remove_all(path("app_build"));
  fs::remove(path("l.c"));
  const std::string commands =
      "cd " + (moved / "moved").string() +
      " && cmake -G Ninja -S app_build/host-release/project -B out && cmake --build out && out/bin/p";
  EXPECT_EQ(run(commands).status, 4);
}

}  // namespace
}  // namespace ax::app::testing
