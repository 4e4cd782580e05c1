// vmconfig, inspect, devspace and report, as a user calls them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/xtask/support.hpp"
#include "tools/xtask/build/board.hpp"
#include "tools/xtask/inspect/elf_file.hpp"
#include "tools/xtask/vmconfig/generate.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::failure_of;
using test::ProgramResult;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ToolsTest : public ::testing::Test {
 protected:
  ToolsTest() {
    tree_.write("platforms/aarch64-dyn/CMakeLists.txt", "");
    tree_.write("configs/defconfig.toml", "");
  }
  test::ScratchTree tree_;
};

// ---- vmconfig

TEST_F(ToolsTest, WritesTheSchemaForEditors) {
  EXPECT_EQ(tree_.xtask({"vmconfig"}).status, 0);
  EXPECT_THAT(read_file(tree_.root() / ".vmconfig-schema.json"), HasSubstr("\"kernel_path\""));
  EXPECT_EQ(tree_.xtask({"vmconfig", "schema"}).output, read_file(tree_.root() / ".vmconfig-schema.json"));
}

TEST_F(ToolsTest, GeneratesRightFilesForEveryKindOfGuest) {
  for (const GuestKind& kind : guest_kinds()) {
    const std::string file = fmt::format("{}-{}.toml", kind.arch, kind.name);
    const ProgramResult made =
        tree_.xtask({"vmconfig", "generate", "-a", std::string(kind.arch), "-g", std::string(kind.name), "-O", file});
    EXPECT_EQ(made.status, 0) << made.output;
    write_file(tree_.root() / fs::path(kind.kernel), "image");
    const ProgramResult checked = tree_.xtask({"vmconfig", "check", file});
    EXPECT_EQ(checked.status, 0) << checked.output << read_file(tree_.root() / file);
  }
}

TEST_F(ToolsTest, GeneratesForEveryBoard) {
  const fs::path source = XTASK_SOURCE_DIR;
  const EnvironmentChanges real{{"AXVISOR_ROOT", source.string()}};
  size_t files = 0;
  for (const std::string& board : board_names(source)) {
    const std::string arch = current_board(source, {.board = board}).arch();
    for (const GuestKind& kind : guest_kinds()) {
      if (kind.arch == arch) {
        const std::string file = fmt::format("{}-{}.toml", board, kind.name);
        const ProgramResult made = test::run_program(
            {XTASK_PROGRAM, "vmconfig", "generate", "-b", board, "-g", std::string(kind.name), "-O", file}, real, tree_.root());
        EXPECT_EQ(made.status, 0) << made.output;
        write_file(tree_.root() / fs::path(kind.kernel), "image");
        const ProgramResult checked = test::run_program({XTASK_PROGRAM, "vmconfig", "check", file}, real, tree_.root());
        EXPECT_EQ(checked.status, 0) << checked.output;
        ++files;
      }
    }
  }
  EXPECT_GE(files, 10U);
}

TEST_F(ToolsTest, GeneratesWhatItsFlagsSay) {
  const std::string text = tree_
                               .xtask({"vmconfig",
                                       "generate",
                                       "-i",
                                       "7",
                                       "-n",
                                       "box",
                                       "-t",
                                       "1",
                                       "-c",
                                       "2",
                                       "-e",
                                       "0x80300000",
                                       "-k",
                                       "a.bin",
                                       "-l",
                                       "0x80300000",
                                       "--image-location",
                                       "memory",
                                       "--cmdline",
                                       "x=\"y\"",
                                       "--memory",
                                       "32"})
                               .output;
  EXPECT_THAT(text, HasSubstr("id = 7\nname = \"box\"\nvm_type = 1\ncpu_num = 2\nphys_cpu_ids = [0, 1]\n"));
  EXPECT_THAT(
      text,
      HasSubstr(
          "entry_point = 0x8030_0000\nimage_location = \"memory\"\nkernel_path = \"a.bin\"\nkernel_load_addr = 0x8030_0000\n"));
  EXPECT_THAT(text, HasSubstr("cmdline = \"x=\\\"y\\\"\"\n"));
  EXPECT_THAT(text, HasSubstr("[0x8000_0000, 0x200_0000, 0x7, 0],  # 32 MiB"));
}

TEST_F(ToolsTest, AsksOnATerminalOnly) {
  EXPECT_THAT(tree_.xtask({"vmconfig", "generate"}).output, Not(HasSubstr("Which")));
  test::TerminalProgram program({XTASK_PROGRAM, "vmconfig", "generate"},
                                {{"AXVISOR_ROOT", tree_.root().string()}, {"TERM", "dumb"}});
  for (const auto& [question, answer] : {std::pair{"Which [linux]: ", "tiny\n"},
                                         {"Name [tiny]: ", "mine\n"},
                                         {"vCPUs [1]: ", "many\n"},
                                         {"'many' is no number from 1 to 64", "2\n"},
                                         {"Memory in MiB [16]: ", "\n"},
                                         {"Kernel [image:tiny]: ", "\n"}}) {
    ASSERT_TRUE(program.wait_for(question)) << program.output();
    program.type(answer);
  }
  EXPECT_EQ(program.finish(), 0);
  EXPECT_THAT(program.output(), HasSubstr("name = \"mine\""));
  EXPECT_THAT(program.output(), HasSubstr("cpu_num = 2"));
}

TEST_F(ToolsTest, NeverOverwritesAFile) {
  tree_.write("vm.toml", "precious");
  EXPECT_EQ(tree_.xtask({"vmconfig", "generate", "-g", "tiny", "-O", "vm.toml"}).status, 2);
  EXPECT_EQ(read_file(tree_.root() / "vm.toml"), "precious");
}

TEST_F(ToolsTest, SuggestsKindsOfGuests) {
  EXPECT_THAT(tree_.xtask({"vmconfig", "generate", "-g", "linx"}).output,
              HasSubstr("unknown kind of guest 'linx'; did you mean 'linux'?"));
}

TEST_F(ToolsTest, ChecksFiles) {
  tree_.write("wrong.toml", "[base]\nnmae = \"x\"\n");
  const ProgramResult text = tree_.xtask({"vmconfig", "check", "wrong.toml"});
  EXPECT_EQ(text.status, 1);
  EXPECT_THAT(text.output, HasSubstr("wrong.toml:2:1: error: "));
  EXPECT_THAT(text.output, HasSubstr("did you mean 'name'?"));
  const ProgramResult json = tree_.xtask({"vmconfig", "check", "--json", "-q", "wrong.toml"});
  EXPECT_EQ(json.status, 1);
  EXPECT_THAT(json.output, HasSubstr("{\"file\": \"wrong.toml\", \"line\": 2, \"column\": 1, \"severity\": \"error\""));
  EXPECT_THAT(tree_.xtask({"vmconfig", "check", "worng.toml"}).output, HasSubstr("did you mean 'wrong.toml'?"));
  EXPECT_EQ(tree_.xtask({"vmconfig", "check"}).status, 2);
}

TEST_F(ToolsTest, ChecksVirtualMachinesTogether) {
  for (const std::string name : {"a", "b"}) {
    const ProgramResult made = tree_.xtask({"vmconfig", "generate", "-a", "aarch64", "-k", "k.bin", "-l", "0x80000000", "-n",
                                            "same", "-i", name == "a" ? "1" : "2", "-O", name + ".toml"});
    ASSERT_EQ(made.status, 0) << made.output;
  }
  write_file(tree_.root() / "k.bin", "image");
  EXPECT_EQ(tree_.xtask({"vmconfig", "check", "a.toml", "b.toml"}).status, 0);
  const ProgramResult together = tree_.xtask({"vmconfig", "check", "-b", "qemu-aarch64", "a.toml", "b.toml"});
  EXPECT_EQ(together.status, 1) << together.output;
  EXPECT_THAT(together.output, HasSubstr("same"));
}

TEST_F(ToolsTest, CompilesWhatAHypervisorThatRunsCanUse) {
  tree_.write("configs/board/arm.toml", "target = \"aarch64-unknown-none-softfloat\"\nfeatures = [\"fs\"]\n");
  const std::string kernel = "kernel_load_addr = 0x8000_0000\nmemory_regions = [[0x8000_0000, 0x100_0000, 0x7, 0]]\n";
  const std::string on_disk = "[kernel]\nimage_location = \"fs\"\nkernel_path = \"/guest/k\"\n" + kernel;
  tree_.write("one.toml", "[base]\nname = \"one\"\ncpu_num = 1\nstart_after = [\"elsewhere\"]\n" + on_disk);
  tree_.write("two.toml", "[base]\nname = \"two\"\ncpu_num = 1\n" + on_disk);
  tree_.write("built.toml", "[base]\nname = \"three\"\ncpu_num = 1\n[kernel]\nkernel_path = \"k.bin\"\n" + kernel);
  tree_.write("k.bin", "a kernel");
  fs::create_directories(tree_.root() / "out");
  const auto compile = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"vmconfig", "compile", "--board", "arm"});
    return tree_.xtask(more);
  };

  EXPECT_EQ(compile({"one.toml"}).status, 0);
  EXPECT_THAT(read_file(tree_.root() / "one.vm"), HasSubstr("elsewhere"));
  EXPECT_EQ(compile({"one.toml", "two.toml", "-o", "out"}).status, 0);
  EXPECT_EQ(read_file(tree_.root() / "out/one.vm"), read_file(tree_.root() / "one.vm"));
  EXPECT_TRUE(fs::exists(tree_.root() / "out/two.vm"));
  EXPECT_EQ(compile({"two.toml", "-o", "other.vm"}).status, 0);
  EXPECT_EQ(read_file(tree_.root() / "other.vm"), read_file(tree_.root() / "out/two.vm"));

  EXPECT_EQ(compile({"one.toml", "two.toml", "-o", "nowhere"}).status, static_cast<int>(ExitCode::Usage));
  const ProgramResult built = compile({"built.toml"});
  EXPECT_EQ(built.status, static_cast<int>(ExitCode::Failure));
  EXPECT_THAT(built.output, HasSubstr("built.toml:5:15: error: 'k.bin' would have to be built into the hypervisor"));
  EXPECT_THAT(built.output, HasSubstr("write image_location = \"fs\" and its path there"));
  EXPECT_FALSE(fs::exists(tree_.root() / "built.vm"));
  write_file(tree_.root() / "two.toml", "[base]\nname = \"one\"\ncpu_num = 1\n" + on_disk);
  EXPECT_THAT(compile({"one.toml", "two.toml"}).output, HasSubstr("another VM has the name 'one' already"));
}

TEST_F(ToolsTest, ExplainsKeys) {
  const std::string entry = tree_.xtask({"vmconfig", "explain", "kernel.entry_point"}).output;
  EXPECT_THAT(entry, StartsWith("kernel.entry_point  in configs/vms/"));
  EXPECT_THAT(entry, HasSubstr("type      integer, address"));
  const std::string smp = tree_.xtask({"vmconfig", "explain", "smp"}).output;
  EXPECT_THAT(smp, HasSubstr("configs/board/"));
  EXPECT_THAT(smp, HasSubstr("configs/defconfig.toml"));
  EXPECT_THAT(tree_.xtask({"vmconfig", "explain", "memory_regions"}).output, HasSubstr("columns of a row"));
  const ProgramResult wrong = tree_.xtask({"vmconfig", "explain", "entry_piont"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.output, HasSubstr("no file has a key 'entry_piont'; did you mean 'entry_point'?"));
}

TEST_F(ToolsTest, ComparesByValue) {
  tree_.write("a.toml", "[base]\nname = 'x'\ncpu_num = 0x2\n[kernel]\nentry_point = 0x10\n");
  tree_.write("b.toml", "# other\n[kernel]\nentry_point = 17\n[base]\ncpu_num = 2\nname = \"x\"\nid = 1\n");
  const ProgramResult result = tree_.xtask({"vmconfig", "diff", "a.toml", "b.toml"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output, "+ base.id = 1\n- kernel.entry_point = 16\n+ kernel.entry_point = 17\n");
  EXPECT_EQ(tree_.xtask({"vmconfig", "diff", "a.toml", "a.toml"}).status, 0);
  EXPECT_THAT(tree_.xtask({"vmconfig", "diff", "--json", "a.toml", "b.toml"}).output,
              HasSubstr("{\"key\": \"base.id\", \"before\": null, \"after\": \"1\"}"));
}

TEST_F(ToolsTest, DrawsWhoOwnsWhat) {
  write_file(tree_.root() / "images/arceos.bin", "image");
  ASSERT_EQ(tree_.xtask({"vmconfig", "generate", "-a", "aarch64", "-g", "arceos", "-n", "a<b", "-O", "vm.toml"}).status, 0);
  const ProgramResult result = tree_.xtask({"vmconfig", "plot", "-q", "vm.toml"});
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("<svg xmlns="));
  EXPECT_THAT(result.output, HasSubstr("a&lt;b: every device that no VM names"));
  EXPECT_THAT(result.output, HasSubstr("RAM: 0x8000_0000, 1 GiB, same host address"));
  EXPECT_THAT(result.output, Not(HasSubstr("a<b")));
  EXPECT_EQ(tree_.xtask({"vmconfig", "plot", "vm.toml", "-o", "p.html"}).status, 0);
  EXPECT_THAT(read_file(tree_.root() / "p.html"), StartsWith("<!DOCTYPE html>"));
}

// ---- inspect

TEST_F(ToolsTest, LooksIntoAnImage) {
  const std::string self = SAMPLE_PROGRAM;
  const std::string sections = tree_.xtask({"inspect", "sections", self}).output;
  EXPECT_THAT(sections, HasSubstr(" .text "));
  EXPECT_THAT(sections, HasSubstr("CONTENTS, ALLOC, LOAD, READONLY, CODE"));
  EXPECT_THAT(tree_.xtask({"inspect", "symbols", self, "--match", "^main$"}).output, HasSubstr(" T main\n"));
  EXPECT_THAT(tree_.xtask({"inspect", "symbols", self, "--match", "("}).output, HasSubstr("is not a regular expression"));
  EXPECT_THAT(tree_.xtask({"inspect", "size", self, "--json"}).output, StartsWith("{\"code\": "));
  EXPECT_THAT(tree_.xtask({"inspect", "map", self, "--top", "1"}).output, HasSubstr(".text"));
  EXPECT_THAT(tree_.xtask({"inspect", "sections", self, "--json"}).output, StartsWith("[\n  {\"name\": "));
}

TEST_F(ToolsTest, ShowsBytesAsHexdumpDoes) {
  tree_.write("data", std::string(64, '\0') + "end");
  EXPECT_EQ(tree_.xtask({"inspect", "hex", "data"}).output,
            "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n"
            "00000040  65 6e 64                                          |end|\n00000043\n");
  EXPECT_THAT(tree_.xtask({"inspect", "hex", "data", "--offset", "64", "--length", "1"}).output, StartsWith("00000040  65 "));
  EXPECT_EQ(tree_.xtask({"inspect", "hex"}).status, 2);
}

TEST_F(ToolsTest, RefusesDamagedImages) {
  const std::string good = read_file(SAMPLE_PROGRAM);
  EXPECT_THAT(failure_of([] { parse_elf("text", "x"); }).what(), HasSubstr("x: no 64-bit little-endian ELF file"));
  // Cut anywhere in the headers, the file is refused or read; never read past its end.
  std::string cut = good.substr(0, 4096);
  EXPECT_THAT(failure_of([&] { parse_elf(cut, "x"); }).what(), HasSubstr("damaged"));
  for (size_t size = 64; size < 128; ++size) {
    failure_of([&] { parse_elf(good.substr(0, size), "x"); });
  }
}

// ---- devspace

TEST_F(ToolsTest, BuildsALibraryFromALocalCheckout) {
  tree_.write("cmake/AxvisorDependencies.cmake",
              "axvisor_dependency(fmt\n  TARGET fmt::fmt PACKAGE libfmt-dev\n  URL "
              "https://github.com/fmtlib/fmt/archive/refs/tags/9.1.0.tar.gz\n"
              "  SHA256 x)\n");
  EXPECT_EQ(tree_.xtask({"devspace", "start"}).output, "fmt            9.1.0 \n");
  EXPECT_EQ(tree_.xtask({"devspace", "start", "fmt", "--dry-run", "-q"}).output,
            fmt::format("git clone --branch 9.1.0 --depth 1 https://github.com/fmtlib/fmt {0}/modules/fmt\n# writes "
                        "{0}/.devspace/overrides.cmake\n",
                        tree_.root().string()));
  EXPECT_THAT(tree_.xtask({"devspace", "start", "ftm"}).output,
              HasSubstr("the build uses no library 'ftm'; did you mean 'fmt'?"));
  tree_.write("mine/CMakeLists.txt", "");
  EXPECT_EQ(tree_.xtask({"devspace", "start", "fmt", "--path", "mine"}).status, 0);
  EXPECT_THAT(read_file(tree_.root() / ".devspace/overrides.cmake"),
              HasSubstr(fmt::format("set(FETCHCONTENT_SOURCE_DIR_FMT \"{}/mine\")  # fmt\n", tree_.root().string())));
  EXPECT_EQ(tree_.xtask({"devspace", "stop"}).status, 0);
  EXPECT_FALSE(fs::exists(tree_.root() / ".devspace"));
  EXPECT_TRUE(fs::exists(tree_.root() / "mine"));
}

TEST_F(ToolsTest, KeepsACheckoutThatHoldsWork) {
  tree_.write("cmake/AxvisorDependencies.cmake",
              "axvisor_dependency(fmt\n  TARGET fmt::fmt PACKAGE x\n  URL "
              "https://github.com/fmtlib/fmt/archive/refs/tags/9.1.0.tar.gz\n");
  const fs::path checkout = tree_.root() / "modules/fmt";
  fs::create_directories(checkout);
  ASSERT_EQ(test::run_program({"git", "init", "-q", checkout}).status, 0);
  write_file(checkout / "CMakeLists.txt", "");
  ASSERT_EQ(tree_.xtask({"devspace", "start", "fmt"}).status, 0);
  const ProgramResult kept = tree_.xtask({"devspace", "stop"});
  EXPECT_EQ(kept.status, 1);
  EXPECT_THAT(kept.output, HasSubstr("holds work that is nowhere else"));
  EXPECT_TRUE(fs::exists(checkout));
  EXPECT_EQ(tree_.xtask({"devspace", "stop", "--force"}).status, 0);
  EXPECT_FALSE(fs::exists(checkout));
}

// ---- report

TEST_F(ToolsTest, PacksAReport) {
  tree_.write("build/qemu-aarch64/last-run.log", "hello\n");
  tree_.write("build/qemu-aarch64/CMakeCache.txt", "AXVISOR_SMP:STRING=2\nSECRET:STRING=x\n");
  tree_.write("note.txt", "n");
  const ProgramResult result = tree_.xtask({"report", "-q", "-o", "r.tar.gz", "--add", "note.txt"});
  EXPECT_EQ(result.status, 0) << result.output;
  const std::string names = test::run_program({"tar", "-tzf", tree_.root() / "r.tar.gz"}).output;
  for (const char* name : {"versions.txt", "source.txt", "image.txt", "choices.txt", "build/last-run.log", "added/note.txt"}) {
    EXPECT_THAT(names, HasSubstr(name));
  }
  const std::string choices =
      test::run_program({"sh", "-c", "tar -xOzf " + (tree_.root() / "r.tar.gz").string() + " --wildcards '*/choices.txt'"})
          .output;
  EXPECT_EQ(choices, "AXVISOR_SMP = 2\n");
}

}  // namespace
}  // namespace ax::xtask
