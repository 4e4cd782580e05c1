// [os]: QEMU's arguments word by word, what a real QEMU says to them, and the commands of the build.
#include <fmt/format.h>
#include <sys/wait.h>

#include "tests/app/support.hpp"
#include "tools/app/disk_image.hpp"
#include "tools/app/os_build.hpp"
#include "tools/app/qemu.hpp"
#include "tools/app/unikernel.hpp"

namespace ax::app::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string description(std::string_view platform, std::string_view qemu, std::string_view services = "\"alloc\"") {
  return fmt::format(
      "[build]\ncompiler = \"gcc\"\n[os]\nservices = [{}]\nulib = \"ruxlibc\"\n[os.platform]\nname = "
      "\"{}\"\n[os.platform.qemu]\n{}\n{}",
      services, platform, qemu, kProgram);
}

Words command_of(std::string_view platform, std::string_view qemu, const QemuRequest& request = {"p.elf", "p.bin"}) {
  const Described app(description(platform, qemu, "\"alloc\",\"fs\",\"blkfs\",\"net\",\"virtio-9p\""));
  std::string unexpected;
  for (const config::Diagnostic& d : app.diagnostics.all()) {
    const bool no_device = d.text.find("has no device") != std::string::npos;  // these services are for all the cases
    if (d.severity == config::Severity::Error && !no_device) unexpected += d.text;
  }
  EXPECT_EQ(unexpected, "");
  return qemu_command(*app.application.os, request);
}

std::string text_of(std::string_view platform, std::string_view qemu, const QemuRequest& request = {"p.elf", "p.bin"}) {
  return join_words(command_of(platform, qemu, request));
}

constexpr std::string_view kX86 = "x86_64-qemu-q35", kArm = "aarch64-qemu-virt", kRiscv = "riscv64-qemu-virt";

TEST(QemuTest, HasABaseForEachPlatform) {
  EXPECT_EQ(text_of(kX86, ""), "qemu-system-x86_64 -m 128M -smp 1 -machine q35 -kernel p.elf -append ';;' -nographic");
  EXPECT_EQ(text_of(kArm, ""),
            "qemu-system-aarch64 -m 128M -smp 1 -cpu cortex-a72 -machine virt -kernel p.bin -append ';;' -nographic");
  EXPECT_EQ(text_of(kRiscv, ""),
            "qemu-system-riscv64 -m 128M -smp 1 -machine virt -bios default -kernel p.bin -append ';;' -nographic");
}

TEST(QemuTest, HasEachDeviceOnTheBusOfThePlatform) {
  constexpr std::string_view kAll = "blk = \"y\"\nnet = \"y\"\nv9p = \"y\"\ngraphic = \"y\"";
  const std::string x86 = text_of(kX86, kAll);
  EXPECT_THAT(
      x86,
      HasSubstr(
          " -device virtio-blk-pci,drive=disk0 -drive id=disk0,if=none,format=raw,file=./disk_img"
          " -fsdev local,id=myid,path=./,security_model=none -device virtio-9p-pci,fsdev=myid,mount_tag=rootfs"
          " -device virtio-net-pci,netdev=net0 -netdev user,id=net0,hostfwd=tcp::5555-:5555,hostfwd=udp::5555-:5555"
          " -device virtio-gpu-pci -vga none -serial mon:stdio"));
  EXPECT_THAT(x86, Not(HasSubstr("-nographic")));
  for (const std::string_view platform : {kArm, kRiscv}) {
    const std::string text = text_of(platform, kAll);
    for (const char* device : {"virtio-blk-device,", "virtio-9p-device,", "virtio-net-device,", "virtio-gpu-device "})
      EXPECT_THAT(text, HasSubstr(device));
    EXPECT_THAT(text, Not(HasSubstr("-pci")));
  }
}

TEST(QemuTest, HasWhatEachKeySays) {
  EXPECT_THAT(text_of(kX86, "memory = \"2g\""), HasSubstr(" -m 2g "));
  EXPECT_THAT(text_of(kX86, "net = true\nnet_dev = \"tap\""),
              HasSubstr(" -netdev tap,id=net0,ifname=tap0,script=no,downscript=no "));
  EXPECT_THAT(text_of(kX86, "net = true\nnet_dump = true"),
              HasSubstr(" -object filter-dump,id=dump0,netdev=net0,file=netdump.pcap "));
  EXPECT_THAT(text_of(kX86, "net_dump = \"y\""), Not(HasSubstr("filter-dump")));
  EXPECT_THAT(text_of(kX86, "net = \"y\"\nports = [\"8080:80/tcp\", \"0:53/udp\"]"),
              HasSubstr("user,id=net0,hostfwd=tcp::8080-:80,hostfwd=udp::0-:53 "));
  EXPECT_THAT(text_of(kX86, "qemu_log = \"y\""),
              HasSubstr(" -D qemu.log -d in_asm,int,mmu,pcall,cpu_reset,guest_errors"));
  EXPECT_THAT(text_of(kX86, "blk = \"y\"\ndisk_img = \"a,b.img\""), HasSubstr("file=a,,b.img"));
  EXPECT_THAT(text_of(kX86, "args = \"./redis-server,/v9fs/redis.conf\"\nenvs = \"A=1,B=2\""),
              HasSubstr("-append ';./redis-server,/v9fs/redis.conf;A=1,B=2'"));
  EXPECT_THAT(text_of(kX86, "args = [\"./p\", \"x y\"]"), HasSubstr("-append ';./p,x y;'"));
  EXPECT_EQ(text_of(kX86, "ip = \"10.0.2.16\"\ngw = \"10.0.2.3\""), text_of(kX86, ""))
      << "they are built into the system";
}

TEST(QemuTest, IsAcceleratedOnlyOnX86AndNotForDebuggers) {
  const QemuRequest kvm{"p.elf", "p.bin", Accelerator::Kvm};
  EXPECT_THAT(text_of(kX86, "", kvm), HasSubstr("-nographic -cpu host -accel kvm"));
  EXPECT_THAT(text_of(kArm, "", kvm), Not(HasSubstr("kvm")));
  EXPECT_THAT(text_of(kX86, "debug = \"y\"", kvm), HasSubstr("-nographic -s -S"));
  EXPECT_THAT(text_of(kX86, "debug = \"y\"", kvm), Not(HasSubstr("kvm")));
  const QemuRequest gdb{"p.elf", "p.bin", Accelerator::Kvm, true, {"-d", "int"}};
  EXPECT_THAT(text_of(kX86, "", gdb), HasSubstr("-nographic -s -S -d int"));
}

/// Runs QEMU with our arguments, stopped before its first instruction, and its monitor told to quit.
Finished accepted(Words command, const fs::path& folder) {
  command.insert(command.end(), {"-S", "-display", "none", "-monitor", "none", "-qmp", "stdio"});
  for (std::string& word : command) {
    if (word == "mon:stdio") word = "none";  // the test talks to QEMU over stdio itself
  }
  std::erase(command, "-nographic");
  const std::string say = "{\"execute\":\"qmp_capabilities\"}\\n{\"execute\":\"quit\"}\\n";
  return run("cd " + folder.string() + " && printf '" + say + "' | timeout 30 " + join_words(command));
}

class RealQemu : public ::testing::TestWithParam<std::string_view> {};

TEST_P(RealQemu, AcceptsEveryCombinationOfDevices) {
  const std::string program = "qemu-system-" + std::string(GetParam().substr(0, GetParam().find('-')));
  if (!config::testing::has_program(program)) GTEST_SKIP() << program << " is not installed";
  const TemporaryFolder folder;
  ASSERT_TRUE(make_disk_image(folder / "disk_img"));
  // A kernel that is never executed: an ELF file with a Multiboot header for x86, bytes for the others.
  write_file(folder / "k.S", ".section .text\n.long 0x1badb002, 0, -0x1badb002\n.globl _start\n_start: hlt\n");
  ASSERT_EQ(
      run("cd " + folder.path().string() + " && gcc -m32 -c k.S -o k.o && ld -m elf_i386 -Ttext=0x100000 -o p.elf k.o")
          .status,
      0);
  write_file(folder / "p.bin", std::string(4096, '\0'));
  constexpr std::string_view kCases[] = {
      "",
      "blk = \"y\"",
      "net = \"y\"\nports = [\"0:80/tcp\"]",
      "graphic = \"y\"",
      "v9p = \"y\"",
      "qemu_log = \"y\"",
      "net = \"y\"\nnet_dump = \"y\"\nports = []",
      "blk = \"y\"\nnet = \"y\"\nports = []\nv9p = \"y\"\ngraphic = \"y\"\nmemory = \"256M\"\nargs = \"a,b\"\nenvs = "
      "\"A=1\"",
  };
  for (const std::string_view qemu : kCases) {
    const Finished result = accepted(command_of(GetParam(), qemu), folder.path());
    EXPECT_EQ(result.status, 0) << qemu << "\n" << result.errors << result.output;
    EXPECT_THAT(result.output, HasSubstr("\"SHUTDOWN\"")) << qemu;
  }
}

INSTANTIATE_TEST_SUITE_P(Platforms, RealQemu, ::testing::Values(kX86, kArm, kRiscv), [](const auto& platform) {
  return std::string(platform.param.substr(0, platform.param.find('-')));
});

const UnikernelPlaces kPlaces{.source = "/s", .runtime = "/u", .build = "/b"};

TEST(OsBuildTest, ShowsWhatStandsForRuxgosToolsAndEveryCommand) {
  const Described app(
      "[build]\ncompiler = \"gcc\"\n[os]\nservices = [\"alloc\"]\nulib = \"ruxlibc\"\n[os.platform]\nlog = \"info\"\n"
      "[[targets]]\nname = \"p\"\nsrc = \"./\"\ntype = \"exe\"\ncflags = \"-DX\"\nlinker = \"rust-lld -flavor gnu\"\n");
  ASSERT_TRUE(app.diagnostics.ok()) << app.messages();
  const OsBuild plan = plan_os_build(app.application, unikernel_provider(app.application, kPlaces), "/b");
  ASSERT_EQ(plan.stand_ins.size(), 2U);
  EXPECT_EQ(plan.stand_ins[0].named, "x86_64-linux-musl-gcc");
  EXPECT_EQ(plan.stand_ins[0].used, "clang-19 --target=x86_64-linux-musl --sysroot=/u/sysroot");
  EXPECT_EQ(plan.stand_ins[1].named, "rust-lld -flavor gnu");
  EXPECT_EQ(plan.stand_ins[1].used, "ld.lld-19");
  const std::string folder = app.folder().string();
  ASSERT_EQ(plan.steps.size(), 6U);
  EXPECT_EQ(join_words(plan.steps[0].command),
            "cmake --no-warn-unused-cli -G Ninja -S /s -B /u -DAXVISOR_UNIKERNEL=x86_64-qemu-q35 -DCMAKE_BUILD_TYPE=RelWithDebInfo");
  EXPECT_EQ(join_words(plan.steps[1].command), "ninja -C /u --quiet unikernel");
  EXPECT_THAT(join_words(plan.steps[2].command), AllOf(HasSubstr(" -I/s "), HasSubstr(" -c /b/system.c")));
  EXPECT_EQ(join_words(plan.steps[3].command),
            "clang-19 --target=x86_64-linux-musl --sysroot=/u/sysroot -nostdlibinc -isystem /u/sysroot/include -Wall -g "
            "-ffunction-sections -fdata-sections -fno-omit-frame-pointer -fno-pie -mno-red-zone"
            " -DRUX_CONFIG_ALLOC -DRUX_CONFIG_INFO -O3 -mno-sse -DX -I" +
                folder + "/ -o /b/objects/p/main.c.o -c " + folder + "/main.c");
  EXPECT_THAT(join_words(plan.steps[4].command),
              AllOf(HasSubstr("ld.lld-19 "), HasSubstr(" -no-pie -L/u/sysroot/lib -T/u/linker.ld --no-relax "),
                    HasSubstr(" /u/lib/unikernel.o /b/objects/system.o /u/sysroot/lib/libc.a "),
                    HasSubstr("libgcc.a /b/objects/p/main.c.o -o /b/bin/p.elf")));
  EXPECT_EQ(join_words(plan.steps[5].command), "llvm-objcopy-19 --strip-all -O binary /b/bin/p.elf /b/bin/p.bin");
}

TEST(OsBuildTest, BringsTheCxxLibraryWithSourcesInCxxOnly) {
  const auto plan = [](std::string_view services, std::string_view more) {
    const Described app("[build]\ncompiler = \"gcc\"\n[os]\nservices = [" + std::string(services) +
                            "]\nulib = \"ruxmusl\"\n[os.platform]\nname = \"aarch64-qemu-virt\"\n" + std::string(kProgram) +
                            "cflags = \"-std=c++20 -std=c11 -DX\"\nlinker = \"rust-lld -flavor gnu\"\n",
                        more);
    EXPECT_TRUE(app.diagnostics.ok()) << app.messages();
    return plan_os_build(app.application, unikernel_provider(app.application, kPlaces), "/b");
  };
  const OsBuild c = plan("\"alloc\", \"fp_simd\"", "");
  EXPECT_EQ(join_words(c.steps[1].command), "ninja -C /u --quiet unikernel");
  for (const OsStep& step : c.steps) EXPECT_THAT(join_words(step.command), Not(HasSubstr("cxx")));
  const OsBuild mixed = plan("\"alloc\", \"fp_simd\"", "part.cc");
  EXPECT_EQ(join_words(mixed.steps[1].command), "ninja -C /u --quiet unikernel unikernel_cxx");
  EXPECT_THAT(mixed.steps[1].more_outputs, ::testing::Contains("/u/cxx/lib/libc++.a"));
  // Each language has its standard, and C nothing of the library.
  EXPECT_THAT(join_words(mixed.steps[3].command),
              AllOf(HasSubstr("clang-19 "), HasSubstr(" -std=c11 -DX "), Not(HasSubstr("-std=c++20")), Not(HasSubstr("cxx"))));
  EXPECT_THAT(
      join_words(mixed.steps[4].command),
      AllOf(HasSubstr("clang++-19 "), HasSubstr(" -nostdinc++ -isystem /u/cxx/include -nostdlibinc -isystem /u/sysroot/include "),
            HasSubstr(" -std=c++20 -DX "), Not(HasSubstr("-std=c11"))));
  EXPECT_THAT(join_words(mixed.steps[5].command), AllOf(HasSubstr(" -L/u/cxx/lib --wrap=exit --defsym=ax_no_threads=1 "),
                                                        HasSubstr("libgcc.a /u/cxx/lib/libc++.a ")));
  EXPECT_THAT(join_words(plan("\"multitask\", \"fp_simd\"", "part.cc").steps[5].command), Not(HasSubstr("ax_no_threads")));
}

TEST(UnikernelTest, SaysWhatServicesCxxNeeds) {
  const auto missing = [](std::string_view services, std::string_view more) {
    const Described app(description(kX86, "", services), more);
    std::vector<std::string> names;
    for (const MissingService& entry : missing_for_cxx(app.application)) names.push_back(entry.service);
    return names;
  };
  EXPECT_THAT(missing("", ""), IsEmpty());
  EXPECT_THAT(missing("", "part.cpp"), ElementsAre("alloc", "fp_simd"));
  EXPECT_THAT(missing("\"multitask\"", "part.cpp"), ElementsAre("fp_simd"));
  EXPECT_THAT(missing("\"fd\", \"fp_simd\"", "part.cpp"), IsEmpty());
}

TEST(OsBuildTest, SpeaksAsMuchAsTheDescriptionWants) {
  const auto system = [](std::string_view value) {
    const Described app(fmt::format(
        "[build]\ncompiler = \"gcc\"\n[os]\nname = \"mine\"\nulib = \"ruxlibc\"\n[os.platform]\nv = {}\n{}", value, kProgram));
    const OsBuild plan = plan_os_build(app.application, unikernel_provider(app.application, kPlaces), "/b");
    EXPECT_EQ(plan.settings.front(), (std::pair<std::string, std::string>("name", "mine")));
    return join_words(plan.steps.at(1).command);
  };
  EXPECT_EQ(system("\"\""), "ninja -C /u --quiet unikernel");
  EXPECT_EQ(system("\"1\""), "ninja -C /u unikernel");
  EXPECT_EQ(system("2"), "ninja -C /u --verbose unikernel");
}

TEST(OsBuildTest, HasTheOptionsOfEachArchitecture) {
  const auto compile = [](std::string_view platform, std::string_view services) {
    const Described app(description(platform, "", services));
    return join_words(plan_os_build(app.application, unikernel_provider(app.application, kPlaces), "/b").steps.at(3).command);
  };
  EXPECT_THAT(compile(kRiscv, ""), HasSubstr("-march=rv64gc -mabi=lp64d -mcmodel=medany"));
  EXPECT_THAT(compile(kArm, ""), HasSubstr("-mgeneral-regs-only"));
  EXPECT_THAT(compile(kArm, "\"fp_simd\""), Not(HasSubstr("-mgeneral-regs-only")));
  EXPECT_THAT(compile(kX86, "\"fp_simd\""), Not(HasSubstr("-mno-sse")));
}

TEST(UnikernelTest, NamesTheServicesInTheImage) {
  const Described app(description(kX86, "", "\"alloc\", \"paging\""));
  const OsProvider provider = unikernel_provider(app.application, kPlaces);
  ASSERT_EQ(provider.files.size(), 1U);
  EXPECT_EQ(provider.files[0].first, "/b/system.c");
  EXPECT_THAT(provider.files[0].second, HasSubstr("{\n    &ax_service_console,\n    &ax_service_memory,\n}"));
}

TEST(UnikernelTest, SaysWhatIsMissingForServicesThatItHasNot) {
  const Described app(description(kX86, "net = true\nv9p = true\ngraphic = true", "\"net\", \"virtio-9p\", \"display\""));
  ASSERT_TRUE(app.diagnostics.ok()) << app.messages();
  std::vector<std::string> missing;
  for (const MissingService& entry : missing_services(app.application)) missing.push_back(entry.service + ": " + entry.what);
  EXPECT_THAT(missing, ::testing::IsSupersetOf({"net: a network stack and a driver for virtio-net",
                                                "virtio-9p: a driver for virtio-9p and a client for 9P",
                                                "display: a driver for virtio-gpu"}));
}

TEST(UnikernelTest, TakesTheExitStatusOutOfTheConsole) {
  UnikernelOutput console;
  EXPECT_EQ(console.take("one\r\ntwo\033[1mbold\033"), "one\ntwo\033[1mbold");
  EXPECT_EQ(console.take("_unikernel-exi"), "");
  EXPECT_FALSE(console.status());
  EXPECT_EQ(console.take("t=200\033\\rest"), "rest");
  EXPECT_EQ(console.status(), 200);
  EXPECT_EQ(console.take("\033_unikernel-"), "");
  EXPECT_EQ(console.finish(), "\033_unikernel-");
}

TEST(UnikernelTest, HidesWhatFirmwareSaysBeforeTheProgram) {
  UnikernelOutput console(firmware_speaks(Arch::Riscv64));
  EXPECT_EQ(console.take("OpenSBI\r\n\033_unikernel-"), "");
  EXPECT_EQ(console.take("start\033\\hello\r\n"), "hello\n");
  EXPECT_EQ(console.take("\033_unikernel-exit=3\033\\"), "");
  EXPECT_EQ(console.status(), 3);
  UnikernelOutput dead(true);
  EXPECT_EQ(dead.take("OpenSBI\r\nno device tree\r\n"), "");
  EXPECT_EQ(dead.finish(), "OpenSBI\nno device tree\n");
}

TEST(UnikernelTest, FindsAddressesInABackTraceOnly) {
  EXPECT_EQ(back_trace_address("  #12 0x40201234\n")->address, 0x40201234);
  EXPECT_FALSE(back_trace_address("  #12 0x40201234\n")->in_program);
  EXPECT_EQ(back_trace_address("  called from 0x1f8, if #0 calls nothing itself")->address, 0x1f8);
  EXPECT_TRUE(back_trace_address("  #0 program 0x401000")->in_program);
  EXPECT_EQ(back_trace_address("  #0 program 0x401000")->address, 0x401000);
  EXPECT_FALSE(back_trace_address("number #1 is 0x10"));
}

TEST(ServicesTest, BringWhatTheyNeed) {
  const Described app(description(kX86, "blk = true", "\"blkfs\", \"sched_rr\""));
  ASSERT_TRUE(app.diagnostics.ok()) << app.messages();
  EXPECT_EQ(app.application.os->services,
            (std::vector<std::string>{"alloc", "irq", "multitask", "sched_rr", "fd", "fs", "blkfs"}));
}

TEST(OsSectionTest, HasTheDocumentsDefaults) {
  const Described app(std::string("[build]\ncompiler = \"gcc\"\n[os]\nulib = \"ruxmusl\"\n") + std::string(kProgram));
  ASSERT_TRUE(app.diagnostics.ok()) << app.messages();
  const Os& os = *app.application.os;
  EXPECT_EQ(os.platform, "x86_64-qemu-q35");
  EXPECT_EQ(os.smp, 1U);
  EXPECT_TRUE(os.release);
  EXPECT_EQ(os.log, "warn");
  EXPECT_EQ(os.verbosity, 0U);
  EXPECT_TRUE(os.musl);
  EXPECT_EQ(os.qemu.memory, "128M");
  EXPECT_EQ(os.qemu.disk_img, "./disk_img");
  EXPECT_EQ(os.qemu.v9p_path, "./");
  EXPECT_EQ(os.qemu.ip, "10.0.2.15");
  EXPECT_EQ(os.qemu.gw, "10.0.2.2");
  EXPECT_FALSE(os.qemu.blk || os.qemu.net || os.qemu.graphic || os.qemu.debug || os.qemu.v9p || os.qemu.qemu_log ||
               os.qemu.net_dump || os.qemu.tap);
}

TEST(OsSectionTest, TakesTypedValues) {
  const Described app(
      "[build]\ncompiler = \"gcc\"\n[os]\nservices = [\"blkfs\"]\nulib = \"ruxlibc\"\ndevelop = "
      "true\n[os.platform]\nsmp = 4\nv = 2\n"
      "[os.platform.qemu]\nblk = true\nnet = false\n" +
      std::string(kProgram));
  ASSERT_TRUE(app.diagnostics.ok()) << app.messages();
  const Os& os = *app.application.os;
  EXPECT_EQ(os.smp, 4U);
  EXPECT_EQ(os.verbosity, 2U);
  EXPECT_TRUE(os.qemu.blk && os.develop);
  EXPECT_FALSE(os.qemu.net);
}

}  // namespace
}  // namespace ax::app::testing
