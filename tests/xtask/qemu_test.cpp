#include <gtest/gtest.h>

#include "tests/xtask/support.hpp"
#include "tools/xtask/run/target.hpp"

namespace ax::xtask {
namespace {

namespace fs = std::filesystem;
using test::failure_of;

class QemuCommandTest : public ::testing::Test {
 protected:
  QemuCommandTest() {
    write_file(files_.elf, elf_header('\xb7'));
    write_file(files_.bin, "code");
  }
  /// Just enough of an ELF header to tell the machine.
  static std::string elf_header(char machine) {
    std::string header("\x7f" "ELF");
    header.resize(64);
    header[18] = machine;
    return header;
  }
  std::string command(Debugger debugger = Debugger::None) {
    return format_command(qemu_command(machine_, files_, debugger));
  }

  TemporaryFolder folder_;
  BootFiles files_{folder_.path() / "axvisor", folder_.path() / "axvisor.bin", {}};
  MachineSettings machine_;
};

TEST_F(QemuCommandTest, TakesTheProgramAndMachineFromTheElfFile) {
  EXPECT_EQ(command(), "qemu-system-aarch64 -machine virt -accel tcg -kernel " + files_.elf.string());
  write_file(files_.elf, elf_header(62));
  EXPECT_EQ(command(), "qemu-system-x86_64 -machine q35 -accel tcg -kernel " + files_.elf.string());
}

TEST_F(QemuCommandTest, LetsKeysWinOverArguments) {
  machine_.args = {"-M", "virt,virtualization=on,gic-version=3", "-smp", "4", "-accel", "tcg,thread=single"};
  machine_.cpu = "max";
  machine_.memory = "1G";
  machine_.smp = 2;
  machine_.gic_version = 2;
  machine_.kernel = KernelSource::Bin;
  EXPECT_EQ(command(),
            "qemu-system-aarch64 -M virt,virtualization=on,gic-version=3 -smp 4 -accel tcg,thread=single"
            " -machine gic-version=2 -cpu max -m 1G -smp 2 -kernel " + files_.bin.string());
}

TEST_F(QemuCommandTest, LoadsAnywhereWithTheGenericLoader) {
  machine_.machine = "virt,virtualization=on";
  machine_.kernel = KernelSource::Loader;
  machine_.load_address = 0x5000'0000;
  EXPECT_EQ(command(), "qemu-system-aarch64 -machine virt,virtualization=on -accel tcg -device loader,file=" +
                           files_.bin.string() +
                           ",addr=0x50000000,force-raw=on -device loader,addr=0x50000000,cpu-num=0");
}

TEST_F(QemuCommandTest, BootsACdThroughBiosOrUefi) {
  write_file(files_.elf, elf_header(62));
  files_.iso = folder_.path() / "axvisor.iso";
  write_file(files_.iso, "CD");
  machine_.kernel = KernelSource::Iso;
  EXPECT_EQ(command(), "qemu-system-x86_64 -machine q35 -accel tcg -cdrom " + files_.iso.string());
  machine_.uefi = true;
  EXPECT_EQ(command(), "qemu-system-x86_64 -machine q35 -accel tcg -cdrom " + files_.iso.string() + " -bios /usr/share/ovmf/OVMF.fd");
}

TEST_F(QemuCommandTest, WaitsForADebugger) {
  EXPECT_NE(command(Debugger::Wait).find(" -s -S "), std::string::npos);
}

TEST_F(QemuCommandTest, NamesAMissingImage) {
  fs::remove(files_.bin);
  machine_.kernel = KernelSource::Bin;
  EXPECT_EQ(failure_of([&] { command(); }).what(), "no image to boot: " + files_.bin.string() + " does not exist");
  files_.bin.clear();
  EXPECT_STREQ(failure_of([&] { command(); }).what(), "no image to boot: --bin is not given");
}

TEST_F(QemuCommandTest, RefusesWhatIsNoElfFile) {
  write_file(files_.elf, "#!/bin/sh");
  EXPECT_EQ(failure_of([&] { command(); }).what(),
            files_.elf.string() + ": not an ELF file for aarch64, x86_64 or riscv64");
}

}  // namespace
}  // namespace ax::xtask
