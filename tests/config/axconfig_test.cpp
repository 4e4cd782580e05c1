// The program: exit status, files, streams.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/config/process.hpp"
#include "tests/config/support.hpp"

namespace ax::config::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Finished axconfig(const std::string& arguments) { return run(std::string(AXCONFIG_PROGRAM) + " " + arguments); }

class Program : public ::testing::Test {
 protected:
  std::string build(const std::string& command, const std::string& more = "") const {
    return fmt::format("{} --root {} --board b --output {} {}", command, quoted(repository_.root()),
                       quoted(out_.path()), more);
  }

  Repository repository_;
  TemporaryFolder out_;
};

TEST_F(Program, GeneratesAllFiles) {
  const Finished done = axconfig(build("generate"));
  EXPECT_EQ(done.status, 0) << done.errors;
  EXPECT_EQ(done.output + done.errors, "");
  for (const char* name : {"config.cmake", "include/board_config.hpp", "vm_configs.hpp", "report.txt", "generate.d"}) {
    EXPECT_TRUE(fs::exists(out_ / name)) << name;
  }
  EXPECT_THAT(read_file(out_ / "generate.d"), ::testing::StartsWith((out_ / "vm_configs.hpp").string() + ":"));
  EXPECT_THAT(read_file(out_ / "generate.d"), HasSubstr("configs/vms/v.toml"));
}

TEST_F(Program, TouchesNothingTheSecondTime) {
  axconfig(build("generate"));
  const auto before = fs::last_write_time(out_ / "vm_configs.hpp");
  axconfig(build("generate"));
  EXPECT_EQ(fs::last_write_time(out_ / "vm_configs.hpp"), before);
}

TEST_F(Program, WritesImagesWithTheirDependencies) {
  const Finished done = axconfig(build("images"));
  EXPECT_EQ(done.status, 0) << done.errors;
  EXPECT_THAT(read_file(out_ / "vm_images.S"), HasSubstr(".incbin"));
  EXPECT_THAT(read_file(out_ / "images.d"), HasSubstr("configs/vms/kernel.bin"));
  EXPECT_THAT(read_file(out_ / "images.d"), HasSubstr("configs/vms/v.toml"));
}

TEST_F(Program, FailsWithoutWritingWhenTheConfigurationIsWrong) {
  repository_.vm("v", replaced(Repository::kVm, "cpu_num", "cpu_nmu"));
  const Finished done = axconfig(build("generate"));
  EXPECT_EQ(done.status, 1);
  EXPECT_EQ(done.output, "");
  EXPECT_THAT(done.errors, HasSubstr("v.toml:3:1: error: unknown key 'cpu_nmu' in [base]"));
  EXPECT_THAT(done.errors, Not(HasSubstr("\x1b")));
  EXPECT_TRUE(fs::is_empty(out_.path()));
}

TEST_F(Program, WarningsDoNotFail) {
  repository_.board("b", std::string(Repository::kBoard) + "features = [\"phytium-blk\"]\n");
  const Finished done = axconfig(build("generate"));
  EXPECT_EQ(done.status, 0);
  EXPECT_THAT(done.errors, HasSubstr("warning: feature 'phytium-blk'"));
}

TEST_F(Program, TakesSmpAndImagesFromTheCommandLine) {
  repository_.vm("v", replaced(Repository::kVm, "kernel.bin", "image:k"));
  const std::string image = "--image k=" + quoted(repository_.root() / "configs/vms/kernel.bin");
  EXPECT_EQ(axconfig(build("generate", "--smp 3 " + image)).status, 0);
  EXPECT_THAT(read_file(out_ / "config.cmake"), HasSubstr("set(AXVISOR_SMP \"3\")"));
  EXPECT_THAT(read_file(out_ / "config.cmake"), HasSubstr("set(AXVISOR_IMAGE_PRODUCTS\n  \"k\")"));
  EXPECT_EQ(axconfig(build("images", image)).status, 0);
}

TEST_F(Program, ReportsAnUnwritableOutput) {
  write_file(out_ / "file", "");
  const Finished done = axconfig(
      fmt::format("generate --root {} --board b --output {}", quoted(repository_.root()), quoted(out_ / "file")));
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.errors, HasSubstr("cannot be written"));
}

TEST_F(Program, AnswersAWrongCommandLineWithTwo) {
  for (const char* arguments : {"", "generat", "generate", "generate --root . --board b --output x --smp 0", "check",
                                "list-boards --jsn", "images --root . --board b --output x --image nothing"}) {
    EXPECT_EQ(axconfig(arguments).status, 2) << arguments;
  }
}

TEST_F(Program, HelpsWithExamples) {
  const Finished help = axconfig("--help");
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.output, HasSubstr("axconfig generate --root . --board qemu-aarch64"));
  EXPECT_EQ(axconfig("generate --help").status, 0);
}

TEST_F(Program, ChecksFilesByTheirKind) {
  const fs::path configs = repository_.root() / "configs";
  const Finished good = axconfig(fmt::format("check {} {} {}", quoted(configs / "defconfig.toml"),
                                             quoted(configs / "board/b.toml"), quoted(configs / "vms/v.toml")));
  EXPECT_EQ(good.status, 0) << good.errors;
  write_file(out_ / "bad.toml", "[base]\nnam = 3\n");
  EXPECT_EQ(axconfig("check " + quoted(out_ / "bad.toml")).status, 1);
  EXPECT_EQ(axconfig("check " + quoted(out_ / "none.toml")).status, 1);
}

TEST_F(Program, ListsBoards) {
  EXPECT_EQ(axconfig("list-boards --root " + quoted(repository_.root())).output,
            "b                    aarch64-unknown-none-softfloat\n");
  const std::string json = axconfig("list-boards --json --root " + quoted(repository_.root())).output;
  EXPECT_THAT(json, HasSubstr("\"name\": \"b\""));
  EXPECT_THAT(json, HasSubstr("\"platform\": \"aarch64-dyn\""));
}

TEST_F(Program, GeneratesOurOwnBoards) {
  // Any files of the right format will do for built images.
  write_file(repository_.root() / "bzimage", bzimage());
  write_file(repository_.root() / "elf", elf_kernel(0x40'0000, 0x1000));
  const std::string images = fmt::format(
      "--image debian-arm64={0} --image debian-arm64-initramfs={0} --image tiny={0} --image tiny-flat={0} --image "
      "tiny-bios={0} "
      "--image debian-amd64-initramfs={0} --image debian-amd64-cloud={1} --image tiny-multiboot={2}",
      quoted(repository_.root() / "configs/vms/kernel.bin"), quoted(repository_.root() / "bzimage"),
      quoted(repository_.root() / "elf"));
  for (const char* board : {"qemu-aarch64", "qemu-x86_64", "orangepi-5-plus", "phytiumpi", "roc-rk3568-pc"}) {
    const Finished done = axconfig(fmt::format("generate --root {} --board {} --output {} {}", quoted(source_folder()),
                                               board, quoted(out_ / board), images));
    EXPECT_EQ(done.status, 0) << board << "\n" << done.errors;
  }
  for (const std::string vm :
       {"linux-aarch64-qemu-smp1", "linux-aarch64-qemu-smp2", "linux-aarch64-qemu-pci", "tiny-aarch64-qemu", "linux-x86_64-qemu-smp1",
        "linux-x86_64-qemu-smp2", "tiny-x86_64-multiboot", "tiny-x86_64-bios"}) {
    const bool pc = vm.find("x86_64") != std::string::npos;
    const Finished done =
        axconfig(fmt::format("generate --root {} --board {} --vm-configs {} --output {} {}", quoted(source_folder()),
                             pc ? "qemu-x86_64" : "qemu-aarch64", vm, quoted(out_ / vm), images));
    EXPECT_EQ(done.status, 0) << vm << "\n" << done.errors;
    EXPECT_EQ(done.errors, "") << vm;
  }
}

}  // namespace
}  // namespace ax::config::testing
