#include "tools/app/toolchain.hpp"

#include "tests/app/support.hpp"

namespace ax::app::testing {
namespace {

TEST(CompilerTest, HasADriverPerLanguage) {
  const std::pair<const char*, std::pair<const char*, const char*>> cases[] = {
      {"gcc", {"gcc", "g++"}},
      {"g++", {"gcc", "g++"}},
      {"clang", {"clang", "clang++"}},
      {"clang++-19", {"clang-19", "clang++-19"}},
      {"cc", {"cc", "c++"}},
      {"gcc-12", {"gcc-12", "g++-12"}},
      {"aarch64-linux-gnu-gcc-12.2", {"aarch64-linux-gnu-gcc-12.2", "aarch64-linux-gnu-g++-12.2"}},
      {"/opt/x-gcc/bin/gcc", {"/opt/x-gcc/bin/gcc", "/opt/x-gcc/bin/g++"}},
      {"tcc", {"tcc", "tcc"}},
      {"mygcc", {"mygcc", "mygcc"}},
  };
  for (const auto& [name, drivers] : cases) {
    const Compiler compiler = compiler_of({name});
    EXPECT_EQ(compiler.c, drivers.first) << name;
    EXPECT_EQ(compiler.cxx, drivers.second) << name;
  }
}

TEST(CompilerTest, MayHaveWordsAroundIt) {
  const Compiler compiler = compiler_of({"ccache", "gcc", "-m64"});
  EXPECT_EQ(compiler.launcher, Words{"ccache"});
  EXPECT_EQ(compiler.command(true), (Words{"g++", "-m64"}));
}

TEST(OptionsTest, HaveAbsolutePathsWhereTheyArePaths) {
  const TemporaryFolder folder;
  write_file(folder / "lib/a.o", "");
  write_file(folder / "config.h", "");
  const std::string base = folder.path().string();
  EXPECT_EQ(with_absolute_paths({"-I./inc", "-I", "inc", "-L../x", "-isystem", "s", "-O2"}, base),
            (Words{"-I" + base + "/inc", "-I", base + "/inc", "-L" + fs::path(base).parent_path().string() + "/x",
                   "-isystem", base + "/s", "-O2"}));
  EXPECT_EQ(with_absolute_paths({"-include", "config.h", "-include", "stdint.h", "lib/a.o", "lib/b.o", "-lm"}, base),
            (Words{"-include", base + "/config.h", "-include", "stdint.h", base + "/lib/a.o", "lib/b.o", "-lm"}));
  EXPECT_EQ(with_absolute_paths({"-I/abs", "-Ttext=0x1000", "-Bstatic", "-Wl,-T,x"}, base),
            (Words{"-I/abs", "-Ttext=0x1000", "-Bstatic", "-Wl,-T,x"}));
}

TEST(OptionsTest, LeaveDependencyFilesToTheBuild) {
  EXPECT_EQ(without_build_options({"-std=c99", "-c", "-MMD", "-MF", "x.d", "-O3"}), (Words{"-std=c99", "-O3"}));
}

}  // namespace
}  // namespace ax::app::testing
