// The generated files: what is in them, what changes them, and that the tools they are for accept them.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "tests/config/process.hpp"
#include "tests/config/support.hpp"

namespace ax::config::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Every kind of value, and characters that mean something in C++, CMake or assembler.
constexpr std::string_view kFullVm = R"([base]
id = 5
name = "gu\"est\\ 客"
vm_type = 2
cpu_num = 2
phys_cpu_ids = [0x100, 0x201]
phys_cpu_sets = [1, 6]
exclusive = true
priority = 6
time_slice_us = 2500
budget_us = 4000
period_us = 10_000
on_crash = "restart"
start = "manual"
watchdog_ms = 1500
start_after = ["v"]

[kernel]
kernel_path = "ker nel\"$.bin"
kernel_load_addr = 0x8020_0000
entry_point = 0x8020_0000
dtb_path = "guest.dtb"
dtb_load_addr = 0x8000_0000
ramdisk_path = "guest.dtb"
cmdline = "root=/dev/vda \"quoted\" $HOME \\"
strict = true
memory_regions = [
  [0x8000_0000, 0x100_0000, 0x7, 0],
  [0x9000_0000, 0x100_0000, 0x3, 1],
  [0xa000_0000, 0x1000, 0x13, 2],
]

[devices]
interrupt_mode = "passthrough"
passthrough_devices = [["/soc/uart@1000"], ["timer", 0x100_0000, 0x200_0000, 0x1000, 40]]
passthrough_addresses = [[0x300_0000, 0x2000]]
excluded_devices = [["/a", "/b"], ["/c"]]
emu_devices = [["gicr", 0x80a_0000, 0x2_0000, 0, 0x20, [1, 0x2_0000, 0]], ["gicd", 0x800_0000, 0x1_0000, 0, 0x21, []]]
)";

class Emitted : public ::testing::Test {
 protected:
  Emitted() {
    repository_.vm("full", kFullVm);
    write_file(repository_.root() / "configs/vms/ker nel\"$.bin", "a kernel");
    write_file(repository_.root() / "configs/vms/guest.dtb", "a device tree");
    repository_.board(
        "b", std::string(Repository::kBoard) + "vm_configs = [\"full\", \"v\"]\nbuild_args = [\"--\", \"-DX=a;b\", \"$Y\"]\n");
  }

  Repository repository_;
};

/// Type and name of every constant that a header defines.
std::vector<std::string> constants(const std::string& header) {
  std::vector<std::string> out;
  std::istringstream lines(header);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("inline constexpr ")) out.push_back(line.substr(0, line.find(" =")));
  }
  return out;
}

usize count(std::string_view text, std::string_view word) {
  usize n = 0;
  for (usize at = text.find(word); at != std::string_view::npos; at = text.find(word, at + word.size())) ++n;
  return n;
}

TEST_F(Emitted, DoesNotDependOnWhereTheRepositoryIs) {
  TemporaryFolder copy;
  fs::create_directories(copy / "somewhere/deep");
  fs::copy(repository_.root(), copy / "somewhere/deep/down", fs::copy_options::recursive);
  Options moved = repository_.options();
  moved.root = copy / "somewhere/deep/down";
  const Loaded a(repository_.options()), b(moved);
  EXPECT_EQ(a.messages(), "");
  EXPECT_EQ(config_cmake(*a), config_cmake(*b));
  EXPECT_EQ(board_config_header(*a), board_config_header(*b));
  EXPECT_EQ(vm_configs_header(*a), vm_configs_header(*b));
  EXPECT_EQ(report(*a, a.diagnostics), report(*b, b.diagnostics));
}

TEST_F(Emitted, IsTheSameTwice) {
  const Loaded a(repository_.options()), b(repository_.options());
  EXPECT_EQ(vm_configs_header(*a), vm_configs_header(*b));
  EXPECT_EQ(vm_images_assembly(*a), vm_images_assembly(*b));
  EXPECT_THAT(vm_configs_header(*a), Not(HasSubstr(repository_.root().string())));
}

TEST_F(Emitted, AVmEditOnlyChangesTheVmHeader) {
  const Loaded before(repository_.options());
  repository_.vm("full", replaced(kFullVm, "[0x8000_0000, 0x100_0000", "[0x8000_0000, 0x200_0000"));
  const Loaded after(repository_.options());
  EXPECT_EQ(config_cmake(*before), config_cmake(*after));
  EXPECT_EQ(board_config_header(*before), board_config_header(*after));
  EXPECT_NE(vm_configs_header(*before), vm_configs_header(*after));
}

TEST_F(Emitted, ACommentInAVmFileChangesNothing) {
  const Loaded before(repository_.options());
  repository_.vm("full", "# a comment\n" + std::string(kFullVm));
  EXPECT_EQ(vm_configs_header(*before), vm_configs_header(*Loaded(repository_.options())));
}

TEST_F(Emitted, BoardHeaderHasTheConstantsOfTheHostBuild) {
  const Loaded c(repository_.options());
  EXPECT_EQ(constants(board_config_header(*c)), constants(read_file(source_folder() / "cmake/host/board_config.hpp")));
}

TEST_F(Emitted, BoardHeaderTellsBuiltFeaturesFromOthers) {
  repository_.board("b", std::string(Repository::kBoard) + "features = [\"phytium-blk\", \"ept-level-4\"]\n");
  const std::string header = board_config_header(*Loaded(repository_.options()));
  EXPECT_THAT(header, HasSubstr("kFeatures = \"axstd/bus-mmio dyn-plat ept-level-4 fs hv irq smp\""));
  EXPECT_THAT(header, HasSubstr("kFeaturesNotBuilt = \"phytium-blk\""));
  EXPECT_THAT(header, HasSubstr("kFeatureFs = true"));
  EXPECT_THAT(header, HasSubstr("kFeaturePhytiumBlk = true"));
}

class Compiled : public Emitted, public ::testing::WithParamInterface<const char*> {};

TEST_P(Compiled, HeadersHoldTheValues) {
  if (!has_program(GetParam())) GTEST_SKIP() << GetParam() << " is not installed";
  const Loaded c(repository_.options());
  TemporaryFolder out;
  write_file(out / "vm_configs.hpp", vm_configs_header(*c));
  write_file(out / "board_config.hpp", board_config_header(*c));
  write_file(out / "use.cpp", R"cpp(
#include <board_config.hpp>
#include <vm_configs.hpp>
    using namespace hv;
    constexpr const VmConfig& vm = generated::kVms[0];
    static_assert(generated::kVms.size() == 2 && vm.id == 5 && vm.name == "gu\"est\\ 客" &&
                  vm.source == "configs/vms/full.toml");
    static_assert(vm.cpu_count == 2 && vm.phys_cpu_ids[1] == 0x201 && vm.phys_cpu_sets[1] == 6 && vm.exclusive_cpus);
    static_assert(vm.watchdog_ms == 1500);
    static_assert(vm.start == StartPolicy::Manual && vm.start_after.size() == 1 && vm.start_after[0] == "v");
    static_assert(vm.priority == 6 && vm.time_slice_us == 2500 && vm.budget_us == 4000 && vm.period_us == 10'000);
    static_assert(vm.on_crash == CrashPolicy::Restart && vm.strict_addresses && vm.entry_point == Gpa(0x8020'0000));
    static_assert(vm.command_line == "root=/dev/vda \"quoted\" $HOME \\");
    static_assert(vm.kernel.begin == vm_image_0_begin && vm.dtb.begin == vm_image_1_begin &&
                  vm.ramdisk.end == vm_image_1_end);
    static_assert(vm.dtb.load_address == Gpa(0x8000'0000) && !vm.bios.present() &&
                  vm.kernel.location == ImageLocation::Memory);
    static_assert(vm.memory.size() == 3 && vm.memory[0].flags == MemoryFlags{true, true, true, false});
    static_assert(vm.memory[1].map == MapType::Identical && !vm.memory[1].flags.execute && vm.memory[2].flags.device);
    static_assert(vm.interrupt_mode == InterruptMode::Passthrough && vm.passthrough_devices[0].by_path);
    static_assert(!vm.passthrough_devices[1].by_path && vm.passthrough_devices[1].hpa == Hpa(0x200'0000) &&
                  vm.passthrough_devices[1].irq == 40);
    static_assert(vm.passthrough_ranges[0].size == 0x2000 && vm.passthrough_ports.empty() &&
                  vm.excluded_devices[2] == "/c");
    static_assert(vm.emulated_devices[0].arguments[1] == 0x2'0000 &&
                  vm.emulated_devices[1].type == EmulatedDeviceType::GicDistributor);
    static_assert(vm.emulated_devices[1].arguments.empty());
    static_assert(generated::kVms[1].id == 1 && generated::kVms[1].interrupt_mode == InterruptMode::None);
    static_assert(ax::board::kName == "b" && ax::board::kMaxCpus == 16 && ax::board::kTicksPerSecond == 1000 &&
                  ax::board::kLogLevel == 2);
    constinit const std::span<const VmConfig> hv::kStaticVmConfigs = generated::kVms;
  )cpp");
  const Finished compiler =
      run(fmt::format("{} -std=gnu++23 -Wall -Wextra -Wshadow -Werror -fsyntax-only -I{} -I{} {}", GetParam(),
                      quoted(out.path()), quoted(source_folder()), quoted(out / "use.cpp")));
  EXPECT_EQ(compiler.status, 0) << compiler.errors;
}

INSTANTIATE_TEST_SUITE_P(Compilers, Compiled, ::testing::Values("g++", "clang++-19"), [](const auto& parameter) {
  return std::string(parameter.param[0] == 'g' ? "Gnu" : "Clang");
});

TEST_F(Emitted, HeaderWithoutVmsCompiles) {
  repository_.board("b", "target = \"aarch64-unknown-none-softfloat\"\n");
  TemporaryFolder out;
  write_file(out / "use.cpp",
             vm_configs_header(*Loaded(repository_.options())) + "static_assert(hv::generated::kVms.empty());\n");
  const Finished compiler = run("g++ -std=gnu++23 -Wno-pragma-once-outside-header -fsyntax-only -I" +
                                quoted(source_folder()) + " " + quoted(out / "use.cpp"));
  EXPECT_EQ(compiler.status, 0) << compiler.errors;
}

TEST_F(Emitted, ImagesAreEmbeddedOnceAndAssembleForEveryTarget) {
  const Loaded c(repository_.options());
  TemporaryFolder out;
  const std::string assembly = vm_images_assembly(*c).value();
  write_file(out / "vm_images.S", assembly);
  EXPECT_EQ(count(assembly, ".incbin"), 3U)
      << "the kernel with the odd name, the device tree that is named twice, kernel.bin";
  std::vector<std::string> assemblers = {"gcc"};
  for (const char* triple : {"aarch64-none-elf", "x86_64-none-elf", "riscv64-none-elf"}) {
    if (has_program("clang-19")) assemblers.push_back(fmt::format("clang-19 --target={}", triple));
  }
  for (const std::string& assembler : assemblers) {
    const Finished made =
        run(fmt::format("{} -c {} -o {}", assembler, quoted(out / "vm_images.S"), quoted(out / "vm_images.o")));
    EXPECT_EQ(made.status, 0) << assembler << "\n" << made.errors;
    EXPECT_THAT(read_file(out / "vm_images.o"), HasSubstr("a device tree")) << assembler;
  }
}

TEST_F(Emitted, ImageAssemblyChangesWithTheImage) {
  const std::string before = vm_images_assembly(*Loaded(repository_.options())).value();
  write_file(repository_.root() / "configs/vms/kernel.bin", "b kernel");
  EXPECT_NE(before, vm_images_assembly(*Loaded(repository_.options())).value());
}

TEST_F(Emitted, CmakeReadsWhatWasWritten) {
  Options options = repository_.options();
  options.smp = 3;
  TemporaryFolder out;
  write_file(out / "config.cmake", config_cmake(*Loaded(options)));
  write_file(out / "read.cmake",
             "include(${CMAKE_CURRENT_LIST_DIR}/config.cmake)\nlist(LENGTH AXVISOR_BUILD_ARGS n)\nlist(GET "
             "AXVISOR_BUILD_ARGS 1 second)\n"
             "message(\"${AXVISOR_BOARD_NAME}|${AXVISOR_ARCH}|${AXVISOR_PLATFORM}|${AXVISOR_SMP}|${AXVISOR_LOAD_"
             "ADDRESS}|${n}|${second}|${AXVISOR_FEATURE_DYN_PLAT}\")\n");
  const Finished cmake = run("cmake -P " + quoted(out / "read.cmake"));
  EXPECT_EQ(cmake.status, 0) << cmake.errors;
  EXPECT_EQ(cmake.errors, "b|aarch64|aarch64-dyn|3|0x40200000|2|$Y|ON\n");
}

TEST_F(Emitted, ReportSaysWhoOwnsWhat) {
  const Loaded c(repository_.options());
  const std::string text = report(*c, c.diagnostics);
  for (const std::string_view line :
       {"CPU 0x100: gu\"est\\ 客 vCPU 0 (exclusive)", "0xa000_0000 - 0xa000_0fff", "/soc/uart@1000",
        "   40 timer (host)", "/c                                  hidden from", "any CPU: all vCPUs of v",
        "gu\"est\\ 客: priority 6, slices of 2500 us, each vCPU 4000 us of every 10000 us (40.0%)",
        "v: priority 3, slices of 1000 us, no budget",
        "16 MiB  rwx  alloc"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line)));
  }
}

TEST_F(Emitted, ReportNamesTheWinnerOfTheWildcard) {
  const std::string devices = "[devices]\npassthrough_devices = [[\"/\"]]\n";
  repository_.vm("first", replaced(Repository::kVm, "\"v\"", "\"first\"") + devices);
  repository_.vm("v", std::string(Repository::kVm) + devices);
  repository_.board("b", std::string(Repository::kBoard) + "vm_configs = [\"first\", \"v\"]\n");
  const Loaded c(repository_.options());
  EXPECT_THAT(report(*c, c.diagnostics), HasSubstr("first: everything that no VM names"));
  EXPECT_THAT(report(*c, c.diagnostics), HasSubstr("v: nothing, because first comes first"));
}

TEST(Depfile, EscapesWhatMakeWouldSplit) {
  EXPECT_EQ(depfile("out dir/x", {"a b", "c$d", "e#f"}), "out\\ dir/x: \\\n  a\\ b \\\n  c$$d \\\n  e\\#f\n");
}

TEST(WriteIfChanged, LeavesAnEqualFileAlone) {
  TemporaryFolder folder;
  const fs::path path = folder / "sub/file";
  ASSERT_TRUE(write_if_changed(path, "one"));
  const auto past = fs::last_write_time(path) - std::chrono::hours(1);
  fs::last_write_time(path, past);
  ASSERT_TRUE(write_if_changed(path, "one"));
  EXPECT_EQ(fs::last_write_time(path), past);
  ASSERT_TRUE(write_if_changed(path, "two"));
  EXPECT_NE(fs::last_write_time(path), past);
  EXPECT_EQ(read_file(path), "two");
}

TEST(WriteIfChanged, SaysWhyItCannot) {
  TemporaryFolder folder;
  write_file(folder / "file", "");
  const auto written = write_if_changed(folder / "file/below", "x");
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error(), HasSubstr("cannot be written"));
}

TEST(Docs, AreWhatTheSchemaSays) {
  for (const FileSchema* schema : all_schemas()) {
    const fs::path path = source_folder() / "docs/schema" / fmt::format("{}.schema.json", schema->id);
    EXPECT_EQ(json_schema(*schema), read_file(path)) << "run: axconfig schema --output docs/schema";
  }
  EXPECT_EQ(reference_page(), read_file(source_folder() / "docs/configuration.md"))
      << "run: axconfig reference --output docs/configuration.md";
}

}  // namespace
}  // namespace ax::config::testing
