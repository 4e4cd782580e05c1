#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platforms/riscv64-qemu-virt/discovery.hpp"
#include "tests/unit/fdt/trees.hpp"

namespace ax::platform {
namespace {

using test::Blob;
using test::build_tree;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Hpa kFdtAddress(0x9fe0'0000);
constexpr u32 kPlicPhandle = 20, kFirstCpuController = 30;
constexpr u32 kMachineExternal = 11, kSupervisorExternal = 9;

struct Options {
  unsigned harts = 3;
  u64 first_hart = 0;
  bool has_frequency = true;
  bool has_plic = true;
  std::string serial = "ns16550a";
  std::string mmu = "riscv,sv48";
  u64 memory = 512_MiB;
};

void add_cpus(fdt::Writer& w, const Options& options) {
  w.begin_node("cpus");
  w.property("#address-cells", 1u);
  w.property("#size-cells", 0u);
  if (options.has_frequency) w.property("timebase-frequency", 10'000'000u);
  for (unsigned i = 0; i < options.harts; ++i) {
    w.begin_node("cpu@" + std::to_string(options.first_hart + i));
    w.string("device_type", "cpu");
    w.property("reg", static_cast<u32>(options.first_hart + i));
    if (!options.mmu.empty()) w.string("mmu-type", options.mmu);
    w.begin_node("interrupt-controller");
    w.property("#interrupt-cells", 1u);
    w.flag("interrupt-controller");
    w.property("phandle", kFirstCpuController + i);
    w.end_node();
    w.end_node();
  }
  w.end_node();
}

void add_devices(fdt::Writer& w, const Options& options) {
  w.begin_node("soc");
  w.property("#address-cells", 2u);
  w.property("#size-cells", 2u);
  w.string("compatible", "simple-bus");
  w.flag("ranges");
  if (options.has_plic) {
    w.begin_node("plic@c000000");
    w.string("compatible", "riscv,plic0");
    w.property("phandle", kPlicPhandle);
    w.property("riscv,ndev", 96u);
    w.property("#interrupt-cells", 1u);
    w.property("#address-cells", 0u);
    w.flag("interrupt-controller");
    w.cells("reg", fdt::Cells().number(0xc00'0000, 2).number(0x60'0000, 2));
    fdt::Cells targets;
    for (unsigned i = 0; i < options.harts; ++i) {
      targets.number(kFirstCpuController + i, 1).number(kMachineExternal, 1);
      targets.number(kFirstCpuController + i, 1).number(kSupervisorExternal, 1);
    }
    w.cells("interrupts-extended", targets);
    w.end_node();
  }
  w.begin_node("serial@10000000");
  w.string("compatible", options.serial);
  w.property("interrupt-parent", kPlicPhandle);
  w.property("interrupts", 10u);
  w.cells("reg", fdt::Cells().number(0x1000'0000, 2).number(0x100, 2));
  w.end_node();
  w.end_node();
}

Blob machine_tree(const Options& options) {
  return build_tree([&](fdt::Writer& w) {
    w.property("#address-cells", 2u);
    w.property("#size-cells", 2u);
    w.string("model", "riscv-virtio,qemu");
    w.begin_node("chosen");
    w.string("bootargs", "one two");
    w.string("stdout-path", "/soc/serial@10000000");
    w.end_node();
    w.begin_node("memory@80000000");
    w.string("device_type", "memory");
    w.cells("reg", fdt::Cells().number(0x8000'0000, 2).number(options.memory, 2));
    w.end_node();
    add_cpus(w, options);
    add_devices(w, options);
  });
}

/// A discovery with everything that has to outlive it.
struct Found {
  explicit Found(const Options& options = {}, BootFacts facts = {.fdt_address = kFdtAddress})
      : blob(machine_tree(options)), tree(fdt::Fdt::parse(blob).value()) {
    result = discover(tree, facts, machine, names, findings);
  }
  std::vector<std::string> warnings() const {
    std::vector<std::string> texts;
    for (std::string_view text : findings.warnings) texts.emplace_back(text);
    return texts;
  }
  Blob blob;
  fdt::Fdt tree;
  MachineInfo machine;
  std::array<char, kDiscoveryNamesSize> names{};
  DiscoveryFindings findings;
  Result<void> result;
};

TEST(RiscvDiscovery, ReadsQemusMachine) {
  const Found found;
  ASSERT_TRUE(found.result) << found.findings.reason;
  EXPECT_THAT(found.warnings(), IsEmpty());
  const MachineInfo& m = found.machine;
  EXPECT_EQ(m.model, "riscv-virtio,qemu");
  EXPECT_EQ(m.command_line, "one two");
  EXPECT_THAT(m.ram, ElementsAre(HpaRange{Hpa(0x8000'0000), 512_MiB}));
  EXPECT_EQ(m.timer.frequency_hz, 10'000'000u);
  EXPECT_EQ(m.plic.registers, (HpaRange{Hpa(0xc00'0000), 0x60'0000}));
  EXPECT_EQ(m.plic.sources, 96u);
  EXPECT_EQ(m.plic.fdt_path, "/soc/plic@c000000");
  EXPECT_EQ(m.console.kind, ConsoleInfo::Kind::Uart16550);
  EXPECT_EQ(m.console.registers.base, Hpa(0x1000'0000));
  EXPECT_EQ(m.console.interrupt, 10u);
}

TEST(RiscvDiscovery, PutsTheBootHartFirstAndGivesEachItsContext) {
  const Found found({.first_hart = 4}, {.fdt_address = kFdtAddress, .boot_hart = 5});
  ASSERT_TRUE(found.result);
  std::vector<std::pair<u64, u32>> cpus;
  for (const CpuInfo& cpu : found.machine.cpus) cpus.emplace_back(cpu.hardware_id, cpu.plic_context);
  EXPECT_THAT(cpus, ElementsAre(std::pair(5, 3), std::pair(4, 1), std::pair(6, 5)));
}

TEST(RiscvDiscovery, LeavesOutHartsThatCannotBeUsed) {
  const Found no_firmware({}, {.fdt_address = kFdtAddress, .starts_harts = false});
  EXPECT_EQ(no_firmware.machine.cpus.size(), 1u);
  EXPECT_THAT(no_firmware.warnings(), ElementsAre(HasSubstr("firmware cannot start"), HasSubstr("firmware cannot start")));
  EXPECT_EQ(Found({.mmu = "riscv,none"}).machine.cpus.size(), 1u);
  EXPECT_EQ(Found({.mmu = ""}).machine.cpus.size(), 1u);
}

TEST(RiscvDiscovery, TakesTheFirmwaresConsoleWhereNoPortIsKnown) {
  const Found found({.serial = "acme,port"});
  ASSERT_TRUE(found.result);
  EXPECT_EQ(found.machine.console.kind, ConsoleInfo::Kind::Sbi);
  EXPECT_TRUE(found.machine.console.registers.empty());
}

TEST(RiscvDiscovery, DoesWithoutAPlicAndSaysSo) {
  const Found found({.has_plic = false});
  ASSERT_TRUE(found.result);
  EXPECT_EQ(found.machine.plic.sources, 0u);
  EXPECT_THAT(found.warnings(), ElementsAre(HasSubstr("no usable PLIC")));
}

TEST(RiscvDiscovery, LeavesOutMemoryBeyondThePageTables) {
  const Found found({.memory = 8_GiB}, {.fdt_address = kFdtAddress, .end_of_memory = Hpa(4_GiB)});
  ASSERT_TRUE(found.result);
  EXPECT_THAT(found.machine.ram, ElementsAre(HpaRange{Hpa(0x8000'0000), 2_GiB}));
  EXPECT_THAT(found.warnings(), ElementsAre(HasSubstr("beyond what the page tables reach")));
  EXPECT_EQ(Found({}, {.fdt_address = kFdtAddress, .end_of_memory = Hpa(1_GiB)}).result.error(), Error::NotFound);
}

TEST(RiscvDiscovery, NeedsATimer) {
  const Found found({.has_frequency = false});
  EXPECT_EQ(found.result.error(), Error::NotFound);
  EXPECT_THAT(std::string(found.findings.reason), HasSubstr("timebase-frequency"));
}

}  // namespace
}  // namespace ax::platform
