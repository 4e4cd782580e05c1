// The commands as a user calls them: build and qemu with every way to choose, and the table's own page.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <set>
#include <sstream>

#include "tests/xtask/support.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::ProgramResult;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class CommandsTest : public ::testing::Test {
 protected:
  std::string dry_run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--dry-run", "-q"});
    return tree_.xtask(arguments).output;
  }
  EnvironmentChanges fakes() const { return {{"PATH", tree_.programs().string() + ":/usr/bin:/bin"}}; }

  test::ScratchTree tree_;
};

// ---- build

TEST_F(CommandsTest, BuildsWithKeysReplaced) {
  const std::string output = dry_run({"build", "--set", "log=Debug"});
  const std::string file = (tree_.root() / "build/qemu-aarch64/board/qemu-aarch64.toml").string();
  EXPECT_THAT(output, StartsWith("# writes " + file + "\n"));
  EXPECT_THAT(output, HasSubstr("-DAXVISOR_BOARD=" + file));
  test::write_script(tree_.programs() / "cmake", "exit 0\n");
  EXPECT_EQ(tree_.xtask({"build", "-q", "--set", "log=Debug"}, fakes()).status, 0);
  EXPECT_THAT(read_file(file), HasSubstr("log = \"Debug\""));
}

TEST_F(CommandsTest, BuildsFromANamedFile) {
  tree_.write("mine.toml", "target = \"aarch64-unknown-none-softfloat\"\n");
  EXPECT_THAT(dry_run({"build", "--build-config", "mine.toml"}),
              HasSubstr("-DAXVISOR_BOARD=" + (tree_.root() / "mine.toml").string()));
  const ProgramResult missing = tree_.xtask({"build", "--build-config", "mime.toml"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.output, HasSubstr("did you mean 'mine.toml'?"));
}

TEST_F(CommandsTest, BuildsEveryBoardAndGoesOnAfterAFailure) {
  tree_.write("configs/board/broken.toml", "log = \"Info\"\n");
  tree_.write("configs/board/zebra.toml", "target = \"x86_64-unknown-none\"\n");
  test::write_script(tree_.programs() / "cmake", "exit 0\n");
  const ProgramResult result = tree_.xtask({"build", "--all-boards", "-q"}, fakes());
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("error: broken: "));
  EXPECT_THAT(result.output, ::testing::EndsWith("2 boards built, 1 failed: broken\n"));
}

TEST_F(CommandsTest, GivesEveryBoardFoldersOfItsOwn) {
  tree_.write("configs/board/zebra.toml", "target = \"x86_64-unknown-none\"\n");
  const std::string output = dry_run({"build", "--all-boards", "--build-dir", "b", "--bin-dir", "o"});
  for (const std::string board : {"qemu-aarch64", "zebra"}) {
    EXPECT_THAT(output, HasSubstr(fmt::format("-B {}/b/{} ", tree_.root().string(), board)));
    EXPECT_THAT(output, HasSubstr(fmt::format("{}/o/{}/axvisor\n", tree_.root().string(), board)));
  }
}

TEST_F(CommandsTest, TakesTheNameOfAVmFile) {
  tree_.write("configs/vms/small.toml", "");
  EXPECT_THAT(dry_run({"build", "--vmconfigs", "small"}), HasSubstr((tree_.root() / "configs/vms/small.toml").string()));
  tree_.write("mine.toml", "");
  EXPECT_THAT(tree_.xtask({"build", "--vmconfigs", "mien.toml"}).output, HasSubstr("did you mean 'mine.toml'?"));
}

TEST_F(CommandsTest, RunsTheCustomBuildOfOstool) {
  tree_.write(".build.toml",
              "[system.Custom]\nbuild_cmd = \"mkdir -p out && printf elf >out/kernel.elf\"\nelf_path = "
              "\"out/kernel.elf\"\nto_bin = true\n");
  test::write_script(tree_.programs() / "llvm-objcopy-19", "cp \"$4\" \"$5\"\n");
  const ProgramResult result = tree_.xtask({"build", "-q", "--bin-dir", "copies"}, fakes());
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(tree_.root() / "copies/kernel.bin"), "elf");
}

TEST_F(CommandsTest, SaysWhatOfOstoolsFileHasNoMeaning) {
  tree_.write(".build.toml", "[system.Cargo]\ntarget = \"aarch64-unknown-none-softfloat\"\npackage = \"axvisor\"\n");
  const ProgramResult result = tree_.xtask({"build", "--dry-run", "-q"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr(".build.toml:3: 'package' does not apply: there is one image, axvisor"));
  EXPECT_THAT(result.output, HasSubstr("build/custom-aarch64/board/custom-aarch64.toml"));
}

// ---- config, defconfig

TEST_F(CommandsTest, ListsWhatCanBeConfigured) {
  tree_.write("configs/vms/small.toml", "");
  const std::string text = tree_.xtask({"config", "ls"}).output;
  EXPECT_THAT(text, HasSubstr("* qemu-aarch64       aarch64-unknown-none-softfloat, with a flat image\n"));
  EXPECT_THAT(text, HasSubstr("  small\n"));
  EXPECT_THAT(tree_.xtask({"config", "ls", "--json"}).output,
              HasSubstr("{\"name\": \"qemu-aarch64\", \"target\": \"aarch64-unknown-none-softfloat\", \"to_bin\": true, "
                        "\"smp\": null, \"chosen\": true}"));
  EXPECT_EQ(tree_.xtask({"config", "ls", "--names"}).output, "qemu-aarch64\n");
}

// ---- qemu

TEST_F(CommandsTest, GivesKeysToTheBoardOrToTheMachine) {
  const std::string output = dry_run({"qemu", "--set", "smp=3", "--set", "memory=\"1G\"", "--set", "log=Warn"});
  EXPECT_THAT(output, HasSubstr("board/qemu-aarch64.toml"));
  EXPECT_THAT(output, HasSubstr("-m 1G -smp 3 "));
  const ProgramResult wrong = tree_.xtask({"qemu", "--set", "memoy=1G"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.output, HasSubstr("--set memoy: neither a board nor QEMU's file has such a key; did you mean 'memory'?"));
}

TEST_F(CommandsTest, FindsQemusFileUnderEveryNameOfItsPredecessors) {
  for (const std::string name : {".qemu.toml", "qemu.toml", ".qemu-aarch64.toml", "qemu-aarch64.toml"}) {
    tree_.write(name, fmt::format("args = ['-name', '{}']\n", name));
    EXPECT_THAT(dry_run({"qemu"}), HasSubstr("-name " + name + " ")) << name;
  }
  EXPECT_THAT(tree_.xtask({"qemu", "--dry-run", "--qemu-config", "qemu-arch64.toml"}).output,
              HasSubstr("did you mean 'qemu-aarch64.toml'?"));
}

TEST_F(CommandsTest, KnowsTheMachinesOfThreeArchitectures) {
  tree_.write("configs/qemu/qemu-x86_64.toml", "args = []\n");
  tree_.write("configs/qemu/qemu-riscv64.toml", "args = []\n");
  tree_.write("pc.toml", "target = \"x86_64-unknown-none\"\n");
  tree_.write("riscv.toml", "target = \"riscv64gc-unknown-none-elf\"\n");
  EXPECT_THAT(dry_run({"qemu", "--build-config", "pc.toml"}), HasSubstr("qemu-system-x86_64 -machine q35 -accel tcg -kernel "));
  EXPECT_THAT(dry_run({"qemu", "--build-config", "riscv.toml"}), HasSubstr("qemu-system-riscv64"));
}

TEST_F(CommandsTest, DumpsTheDeviceTreeOfTheMachine) {
  EXPECT_THAT(dry_run({"qemu", "--dtb-dump"}),
              HasSubstr("-machine dumpdtb=" + (tree_.root() / "build/qemu-aarch64/qemu.dtb").string()));
  tree_.write("configs/qemu/qemu-x86_64.toml", "args = []\n");
  tree_.write("pc.toml", "target = \"x86_64-unknown-none\"\n");
  EXPECT_THAT(dry_run({"qemu", "--build-config", "pc.toml", "--dtb-dump"}), HasSubstr("a PC has no device tree"));
}

TEST_F(CommandsTest, FallsBackToEmulationWhereKvmDoesNotWork) {
  test::write_script(tree_.programs() / "qemu-system-aarch64", "exit 1\n");
  tree_.write(".qemu-aarch64.toml",
              "args = ['-enable-kvm', '-cpu', 'host', '-M', 'virt,accel=kvm', '-accel', 'kvm']\nto_bin = true\n");
  const ProgramResult result = tree_.xtask({"qemu", "--dry-run", "-q"}, fakes());
  EXPECT_THAT(result.output, HasSubstr("warning: KVM does not work here"));
  EXPECT_THAT(result.output, HasSubstr("qemu-system-aarch64 -cpu max -M virt -accel tcg -kernel"));
  tree_.write(".qemu-aarch64.toml", "args = []\naccel = \"auto\"\nto_bin = true\n");
  const ProgramResult automatic = tree_.xtask({"qemu", "--dry-run", "-q"}, fakes());
  EXPECT_THAT(automatic.output, Not(HasSubstr("warning")));
  EXPECT_THAT(automatic.output, HasSubstr("-accel tcg -kernel"));
  tree_.write(".qemu-aarch64.toml", "args = []\naccel = \"kmv\"\n");
  EXPECT_THAT(dry_run({"qemu"}), HasSubstr("did you mean 'kvm'?"));
}

TEST_F(CommandsTest, BootsThroughUefiWhereAsked) {
  tree_.write(".qemu-aarch64.toml", "args = []\nuefi = true\nto_bin = true\n");
  const std::string arm = dry_run({"qemu"});
  EXPECT_THAT(arm, HasSubstr("-machine acpi=off -drive if=pflash,format=raw,readonly=on,file=/usr/share/AAVMF/AAVMF_CODE.fd"));
  EXPECT_THAT(arm, HasSubstr("file=fat:rw:"));
  tree_.write("configs/qemu/qemu-x86_64.toml", "args = []\nuefi = true\n");
  tree_.write("pc.toml", "target = \"x86_64-unknown-none\"\n");
  EXPECT_THAT(dry_run({"qemu", "--build-config", "pc.toml"}), HasSubstr("axvisor.iso -bios /usr/share/ovmf/OVMF.fd"));
}

/// Every command of AxVisor's build guide that is not about images, as it stands there.
TEST_F(CommandsTest, UnderstandsEveryCommandOfTheGuide) {
  tree_.write("configs/board/phytiumpi.toml", "target = \"aarch64-unknown-none-softfloat\"\nto_bin = true\n");
  tree_.write("configs/vms/a.toml", "");
  tree_.write("my/custom-qemu.toml", "args = []\n");
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"--help"},
                                             {"defconfig", "phytiumpi"},
                                             {"menuconfig"},
                                             {"build"},
                                             {"build", "--build-dir", "/path/to/build"},
                                             {"build", "--bin-dir", "/path/to/bin"},
                                             {"qemu"},
                                             {"qemu", "--vmconfigs", "configs/vms/a.toml", "--vmconfigs", "configs/vms/a.toml"},
                                             {"qemu", "--qemu-config", "my/custom-qemu.toml"},
                                             {"uboot"},
                                             {"clippy"},
                                             {"clippy", "--fix"},
                                             {"clippy", "--packages", "axvisor,axruntime"},
                                             {"clippy", "--continue-on-error"},
                                             {"vmconfig"},
                                             {"image", "--help"},
                                             {"clean"},
                                             {"clean", "--target", "aarch64-unknown-none-softfloat"}}) {
    tree_.write("build/phytiumpi/CMakeCache.txt", "CMAKE_TOOLCHAIN_FILE:FILEPATH=/t/aarch64-unknown-none-softfloat.cmake\n");
    std::vector<std::string> line = command;
    line.emplace_back("--dry-run");
    const ProgramResult result = tree_.xtask(line);
    EXPECT_EQ(result.status, 0) << fmt::format("{}\n{}", fmt::join(line, " "), result.output);
  }
}

TEST_F(CommandsTest, SaysItsVersion) {
  EXPECT_THAT(tree_.xtask({"--version"}).output, ::testing::MatchesRegex("axvisor [0-9.]+\n"));
}

/// The guide's own command: two --vmconfigs, one board, one machine.
TEST_F(CommandsTest, TakesTheTwoVirtualMachinesOfTheGuide) {
  for (const char* name : {"arceos-aarch64-qemu-smp1.toml", "linux-aarch64-qemu-smp1.toml"}) {
    tree_.write(fmt::format("configs/vms/{}", name), "");
  }
  const std::string folder = (tree_.root() / "configs/vms").string();
  const std::string output = dry_run({"qemu", "--vmconfigs", "configs/vms/arceos-aarch64-qemu-smp1.toml", "--vmconfigs",
                                      "configs/vms/linux-aarch64-qemu-smp1.toml"});
  EXPECT_THAT(output, HasSubstr(fmt::format(
                          "-DAXVISOR_VM_CONFIGS={0}/arceos-aarch64-qemu-smp1.toml:{0}/linux-aarch64-qemu-smp1.toml", folder)));
  EXPECT_THAT(output, HasSubstr("qemu-system-aarch64 "));
}

TEST_F(CommandsTest, RecordsASession) {
  test::write_script(tree_.programs() / "fake-qemu", "printf 'gr\\303'; printf '\\274n \"x\"\\377\\n'\n");
  tree_.write("run.toml", "emulator = \"fake-qemu\"\nkernel = \"none\"\nexpect_exit = 0\n");
  const ProgramResult result = tree_.xtask({"run", "--config", "run.toml", "--record", "a.cast"}, fakes());
  EXPECT_EQ(result.status, 0) << result.output;
  const std::string cast = read_file(tree_.root() / "a.cast");
  EXPECT_THAT(cast, StartsWith("{\"version\": 2, "));
  EXPECT_THAT(cast, HasSubstr("\xc3\xbcn \\\"x\\\"\xef\xbf\xbd"));
  EXPECT_THAT(cast, HasSubstr(", \"o\", \"gr"));
}

// ---- test

TEST_F(CommandsTest, SharesTestsBetweenMachines) {
  EXPECT_THAT(dry_run({"test", "--preset", "host", "--shard", "2/3"}), HasSubstr(" -I 2,,3 --no-tests=ignore"));
  for (const std::string wrong : {"0/3", "4/3", "2", "a/b"}) {
    EXPECT_EQ(tree_.xtask({"test", "--shard", wrong}).status, 2) << wrong;
  }
}

TEST_F(CommandsTest, JoinsTheReportsOfAllPresets) {
  test::write_script(tree_.programs() / "cmake", "exit 0\n");
  test::write_script(tree_.programs() / "ctest", R"(
preset=$2
while [ "$1" != --output-junit ]; do shift; done
mkdir -p "${2%/*}"
printf '<?xml version="1.0"?>\n<testsuite name="%s">\n<testcase name="a" status="run"/>\n</testsuite>\n' "$preset" >"$2"
)");
  const ProgramResult result =
      tree_.xtask({"test", "-q", "--preset", "host", "--preset", "qemu-aarch64", "--junit", "out/all.xml"}, fakes());
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(read_file(tree_.root() / "out/all.xml"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
            "<testsuite name=\"host\">\n<testcase name=\"a\" status=\"run\"/>\n</testsuite>\n"
            "<testsuite name=\"qemu-aarch64\">\n<testcase name=\"a\" status=\"run\"/>\n</testsuite>\n</testsuites>\n");
}

// ---- help, completion

TEST_F(CommandsTest, SuggestsAValueFromAList) {
  const ProgramResult result = tree_.xtask({"vmconfig", "generate", "--image-location", "memry"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output, HasSubstr("--image-location: memry not in {memory,fs,module}; did you mean 'memory'?"));
}

TEST_F(CommandsTest, KnowsEveryPlaceOfImages) {
  for (const std::string place : {"memory", "fs", "module"})
    EXPECT_THAT(tree_.xtask({"vmconfig", "generate", "--image-location", place}).output, HasSubstr("image_location = \"" + place + "\"\n"));
  EXPECT_THAT(tree_.xtask({"vmconfig", "generate"}).output, Not(HasSubstr("image_location"))) << "memory is the default";
}

TEST_F(CommandsTest, HasACurrentReferencePage) {
  EXPECT_EQ(tree_.xtask({"help", "--markdown"}).output, read_file(fs::path(XTASK_SOURCE_DIR) / "docs/xtask.md"))
      << "./xtask help --markdown >docs/xtask.md";
}

/// All tests of this tree: "Suite.Name" of unit tests, "boot.name" and the like of ctest.
std::set<std::string> tests_of_the_tree() {
  static const RE2 kUnitTest(R"(TEST(?:_F|_P)?\((\w+),\s*(\w+)\))");
  static const RE2 kBootTest(R"(axvisor_boot_test\(([\w-]+))");
  static const RE2 kBuildSuites(R"(foreach\(suite ([\w. ]+)\))");
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(fs::path(XTASK_SOURCE_DIR) / "tests")) {
    const std::string extension = entry.path().extension().string();
    if (!entry.is_regular_file() || (extension != ".cpp" && extension != ".cmake" && extension != ".txt")) {
      continue;
    }
    const std::string text = read_file(entry.path());
    re2::StringPiece rest(text);
    std::string suite;
    for (std::string name; RE2::FindAndConsume(&rest, kUnitTest, &suite, &name);) {
      names.insert({suite + "." + name, suite + ".*"});
    }
    rest = text;
    for (std::string name; RE2::FindAndConsume(&rest, kBootTest, &name);) {
      names.insert({"boot." + name, "boot.*"});
    }
    rest = text;
    for (std::string list; RE2::FindAndConsume(&rest, kBuildSuites, &list);) {
      std::istringstream words(list);
      for (std::string word; words >> word;) {
        names.insert("build." + word);
      }
    }
  }
  return names;
}

TEST_F(CommandsTest, ThePageOfEquivalentsNamesTestsThatExist) {
  static const RE2 kTest(R"(`([A-Z]\w+\.[\w*]+|boot\.[\w*-]+|build\.[A-Z]\w+)`)");
  const std::set<std::string> known = tests_of_the_tree();
  const std::string page = read_file(fs::path(XTASK_SOURCE_DIR) / "docs/xtask-equivalents.md");
  re2::StringPiece rest(page);
  size_t named = 0;
  for (std::string name; RE2::FindAndConsume(&rest, kTest, &name); ++named) {
    EXPECT_TRUE(known.contains(name)) << name;
  }
  EXPECT_GT(named, 40U);
}

/// What bash would offer for `words`, the last of which is being typed.
std::string completed(const test::ScratchTree& tree, const std::string& words) {
  const std::string script = fmt::format(
      "source <('{}' completion bash); COMP_WORDS=({}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _xtask; echo ${{COMPREPLY[@]}}",
      XTASK_PROGRAM, words);
  return test::run_program({"bash", "-c", script}, {{"AXVISOR_ROOT", tree.root().string()}}, tree.root()).output;
}

TEST_F(CommandsTest, CompletesInBash) {
  EXPECT_EQ(completed(tree_, "./xtask defc"), "defconfig\n");
  EXPECT_EQ(completed(tree_, "./xtask qemu --qemu-c"), "--qemu-config\n");
  EXPECT_EQ(completed(tree_, "./xtask vmconfig ex"), "explain\n");
  EXPECT_EQ(completed(tree_, fmt::format("'{}' defconfig q", XTASK_PROGRAM)), "qemu-aarch64\n");
  EXPECT_EQ(completed(tree_, "./xtask qemu --vmconfigs CMakeP"), "CMakePresets.json\n");
}

TEST_F(CommandsTest, CompletesInOtherShells) {
  EXPECT_THAT(tree_.xtask({"completion", "zsh"}).output, HasSubstr("bashcompinit"));
  const std::string fish = tree_.xtask({"completion", "fish"}).output;
  EXPECT_THAT(fish, HasSubstr("complete -c xtask -n '__fish_use_subcommand' -a qemu -d "));
  EXPECT_THAT(fish, HasSubstr("complete -c xtask -n '__fish_seen_subcommand_from qemu' -l gdb -d "));
  EXPECT_THAT(tree_.xtask({"completion", "bsh"}).output, HasSubstr("did you mean 'bash'?"));
}

}  // namespace
}  // namespace ax::xtask
