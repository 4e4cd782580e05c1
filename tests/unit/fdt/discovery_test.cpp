#include "platforms/aarch64-dyn/discovery.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/fdt/trees.hpp"

namespace ax::platform {
namespace {

using test::Blob;
using test::build_tree;
using test::VirtOptions;
using test::virt_tree;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Hpa kFdtAddress(0x4800'0000);

/// A discovery with everything that has to outlive it.
struct Found {
  explicit Found(Blob bytes, u64 boot_cpu = 0) : blob(std::move(bytes)), tree(fdt::Fdt::parse(blob).value()) {
    result = discover(tree, {kFdtAddress, boot_cpu}, machine, names, findings);
  }
  std::vector<u64> cpus() const {
    std::vector<u64> ids;
    for (const CpuInfo& cpu : machine.cpus) ids.push_back(cpu.hardware_id);
    return ids;
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

HpaRange range(u64 base, u64 size) { return {Hpa(base), size}; }

/// A root with two address and size cells, and what `body` adds to it.
Blob small_tree(const std::function<void(fdt::Writer&)>& body, const std::function<void(fdt::Writer&)>& before = [](fdt::Writer&) {}) {
  return build_tree(
      [&](fdt::Writer& w) {
        w.property("#address-cells", 2u);
        w.property("#size-cells", 2u);
        w.property("interrupt-parent", test::kGicPhandle);
        test::add_virt_gic(w, 3);
        body(w);
      },
      before);
}

void add_memory(fdt::Writer& w, u64 base, u64 size) {
  char name[40];
  std::snprintf(name, sizeof name, "memory@%llx", static_cast<unsigned long long>(base));
  w.begin_node(name);
  w.string("device_type", "memory");
  w.cells("reg", fdt::Cells().number(base, 2).number(size, 2));
  w.end_node();
}

TEST(Discovery, ReadsAGicV3Machine) {
  const Found found(virt_tree());
  ASSERT_TRUE(found.result) << found.findings.reason;
  EXPECT_THAT(found.warnings(), IsEmpty());
  const MachineInfo& m = found.machine;
  EXPECT_EQ(m.model, "linux,dummy-virt");
  EXPECT_THAT(found.cpus(), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(m.ram, ElementsAre(range(0x4000'0000, 5_GiB)));
  EXPECT_THAT(m.reserved, ElementsAre(range(kFdtAddress.value(), align_up(found.blob.size(), kPageSize))));
  EXPECT_EQ(m.fdt.size(), found.blob.size());
  EXPECT_EQ(m.psci, PsciConduit::Smc);

  EXPECT_EQ(m.gic.version, 3);
  EXPECT_EQ(m.gic.distributor, range(0x800'0000, 0x10000));
  EXPECT_THAT(m.gic.redistributors, ElementsAre(range(0x80a'0000, 0xf60000)));
  EXPECT_EQ(m.gic.redistributor_stride, 0u);
  EXPECT_EQ(m.gic.maintenance_interrupt, 25u);
  EXPECT_EQ(m.gic.fdt_path, "/intc@8000000");

  EXPECT_EQ(m.timer.secure_physical_interrupt, 29u);
  EXPECT_EQ(m.timer.physical_interrupt, 30u);
  EXPECT_EQ(m.timer.virtual_interrupt, 27u);
  EXPECT_EQ(m.timer.hypervisor_interrupt, 26u);

  EXPECT_EQ(m.console.kind, ConsoleInfo::Kind::Pl011);
  EXPECT_EQ(m.console.registers, range(0x900'0000, 0x1000));
  EXPECT_EQ(m.console.interrupt, 33u);
  EXPECT_EQ(m.console.fdt_path, "/pl011@9000000");
}

TEST(Discovery, ReadsAGicV2Machine) {
  VirtOptions options;
  options.gic_version = 2;
  const Found found(virt_tree(options));
  ASSERT_TRUE(found.result) << found.findings.reason;
  const GicInfo& gic = found.machine.gic;
  EXPECT_EQ(gic.version, 2);
  EXPECT_EQ(gic.distributor, range(0x800'0000, 0x10000));
  EXPECT_EQ(gic.cpu_interface, range(0x801'0000, 0x10000));
  EXPECT_EQ(gic.hypervisor_interface, range(0x803'0000, 0x10000));
  EXPECT_EQ(gic.virtual_cpu_interface, range(0x804'0000, 0x10000));
}

TEST(Discovery, ReadsWhatQemuSays) {
  for (const char* version : {"2", "3"}) {
    auto blob = test::qemu_tree(std::string("virtualization=on,gic-version=") + version, "-smp 3 -m 6G");
    if (!blob) GTEST_SKIP() << "qemu-system-aarch64 is not installed";
    const Found found(std::move(*blob));
    ASSERT_TRUE(found.result) << found.findings.reason;
    EXPECT_THAT(found.warnings(), IsEmpty());
    EXPECT_THAT(found.cpus(), ElementsAre(0, 1, 2));
    EXPECT_THAT(found.machine.ram, ElementsAre(range(0x4000'0000, 6_GiB)));
    EXPECT_EQ(found.machine.gic.version, version[0] - '0');
    EXPECT_EQ(found.machine.gic.maintenance_interrupt, 25u);
    EXPECT_EQ(found.machine.console.registers.base, Hpa(0x900'0000));
    EXPECT_EQ(found.machine.psci, PsciConduit::Smc);
    EXPECT_EQ(found.machine.timer.virtual_interrupt, 27u);
  }
}

TEST(Discovery, PutsTheBootCpuFirst) {
  const Found found(virt_tree(), 0x8000'0002);  // bit 31 of MPIDR_EL1 is RES1
  EXPECT_THAT(found.cpus(), ElementsAre(2, 0, 1, 3));
}

TEST(Discovery, LeavesOutCpusThatCannotBeStarted) {
  const auto cpu = [](fdt::Writer& w, const char* name, u64 id, const char* method, const char* status) {
    w.begin_node(name);
    w.string("device_type", "cpu");
    w.cells("reg", fdt::Cells().number(id, 2));
    if (*method) w.string("enable-method", method);
    if (*status) w.string("status", status);
    w.end_node();
  };
  const Found found(small_tree([&](fdt::Writer& w) {
    add_memory(w, 0x4000'0000, 1_GiB);
    w.begin_node("firmware-calls");
    w.string("compatible", "arm,psci-1.0");
    w.string("method", "hvc");
    w.end_node();
    w.begin_node("cpus");
    w.property("#address-cells", 2u);
    w.property("#size-cells", 0u);
    cpu(w, "cpu@0", 0, "", "");
    cpu(w, "cpu@100000000", 0x1'0000'0000, "psci", "");
    cpu(w, "cpu@200", 0x200, "psci", "disabled");
    cpu(w, "cpu@300", 0x300, "spin-table", "");
    cpu(w, "cpu@100", 0x100, "psci", "okay");
    w.begin_node("cpu-map");
    w.end_node();
    w.end_node();
  }));
  ASSERT_TRUE(found.result);
  EXPECT_THAT(found.cpus(), ElementsAre(0, 0x1'0000'0000, 0x100));
  EXPECT_EQ(found.machine.psci, PsciConduit::Hvc);
  EXPECT_THAT(found.warnings(), Contains(HasSubstr("PSCI cannot start")));
}

TEST(Discovery, JoinsSortsAndTrimsMemory) {
  const Found found(small_tree([](fdt::Writer& w) {
    add_memory(w, 0x80'0000'0000, 4_GiB);
    add_memory(w, 0x4000'0800, 0x3000);
    add_memory(w, 0x5000'0000, 0x1000);
    add_memory(w, 0x5000'1000, 0x1000);
    add_memory(w, 0x6000'0000, 0x800);
  }));
  ASSERT_TRUE(found.result);
  EXPECT_THAT(found.machine.ram, ElementsAre(range(0x4000'1000, 0x2000), range(0x5000'0000, 0x2000), range(0x80'0000'0000, 4_GiB)));
}

TEST(Discovery, ReservesWhatTheTreeReserves) {
  const Found found(small_tree(
      [](fdt::Writer& w) {
        add_memory(w, 0x4000'0000, 1_GiB);
        w.begin_node("reserved-memory");
        w.property("#address-cells", 1u);
        w.property("#size-cells", 1u);
        w.flag("ranges");
        w.begin_node("secure@50000000");
        w.flag("no-map");
        w.cells("reg", {0x5000'0100, 0x100, 0x5800'0000, 0x2000});
        w.end_node();
        w.begin_node("pool");
        w.cells("size", {0x100000});
        w.end_node();
        w.begin_node("off@51000000");
        w.string("status", "disabled");
        w.cells("reg", {0x5100'0000, 0x1000});
        w.end_node();
        w.end_node();
        w.begin_node("chosen");
        w.property("linux,initrd-start", 0x4900'0000u);
        w.property("linux,initrd-end", u64{0x4912'3456});
        w.string("bootargs", "quiet");
        w.end_node();
      },
      [](fdt::Writer& w) { w.reserve(0x4100'0000, 0x1000); }));
  ASSERT_TRUE(found.result);
  EXPECT_THAT(found.machine.reserved,
              ElementsAre(range(0x4100'0000, 0x1000), range(kFdtAddress.value(), 0x1000), range(0x4900'0000, 0x124000),
                          range(0x5000'0000, 0x1000), range(0x5800'0000, 0x2000)));
  ASSERT_EQ(found.machine.modules.size(), 1u);
  EXPECT_EQ(found.machine.modules[0].data, range(0x4900'0000, 0x123456));
  EXPECT_EQ(found.machine.command_line, "quiet");
}

TEST(Discovery, FailsRatherThanForgetAReservedRange) {
  const auto tree = [](unsigned ranges) {
    return small_tree([](fdt::Writer& w) { add_memory(w, 0x4000'0000, 1_GiB); },
                      [&](fdt::Writer& w) {
                        for (unsigned i = 0; i < ranges; ++i) w.reserve(0x1'0000'0000 + 0x2000 * u64{i}, 0x1000);
                      });
  };
  EXPECT_TRUE(Found(tree(kMaxReservedRanges - 1)).result);
  const Found found(tree(kMaxReservedRanges));
  EXPECT_EQ(found.result.error(), Error::OutOfMemory);
  EXPECT_THAT(std::string(found.findings.reason), HasSubstr("reserved"));
}

/// A DesignWare UART on a bus that shifts addresses, as SoCs have it.
void add_soc_uart(fdt::Writer& w, const char* status) {
  w.begin_node("soc");
  w.property("#address-cells", 1u);
  w.property("#size-cells", 1u);
  w.cells("ranges", {0, 0, 0xfe00'0000, 0x100'0000});
  w.begin_node("serial@660000");
  w.strings("compatible", {"rockchip,rk3568-uart", "snps,dw-apb-uart"});
  w.cells("reg", {0x660000, 0x100});
  w.cells("interrupts", {0, 118, 4});
  w.property("reg-shift", 2u);
  w.property("reg-io-width", 4u);
  w.string("status", status);
  w.end_node();
  w.end_node();
}

TEST(Discovery, FollowsStdoutPathThroughAliasAndOptions) {
  VirtOptions options;
  options.more = [](fdt::Writer& w) {
    add_soc_uart(w, "okay");
    w.begin_node("aliases");
    w.string("serial2", "/soc/serial@660000");
    w.end_node();
  };
  options.chosen = [](fdt::Writer& w) { w.string("stdout-path", "serial2:1500000n8"); };
  const Found found(virt_tree(options));
  ASSERT_TRUE(found.result);
  const ConsoleInfo& console = found.machine.console;
  EXPECT_EQ(console.kind, ConsoleInfo::Kind::Uart16550);
  EXPECT_EQ(console.registers, range(0xfe66'0000, 0x100));
  EXPECT_EQ(console.register_shift, 2);
  EXPECT_EQ(console.register_width, 4);
  EXPECT_EQ(console.interrupt, 150u);
  EXPECT_EQ(console.fdt_path, "/soc/serial@660000");
  EXPECT_THAT(found.warnings(), IsEmpty());
}

TEST(Discovery, FallsBackToAnyUsableUart) {
  VirtOptions options;
  options.more = [](fdt::Writer& w) { add_soc_uart(w, "disabled"); };
  options.chosen = [](fdt::Writer& w) { w.string("stdout-path", "/soc/serial@660000"); };
  const Found found(virt_tree(options));
  EXPECT_EQ(found.machine.console.kind, ConsoleInfo::Kind::Pl011);
  EXPECT_THAT(found.warnings(), ElementsAre(HasSubstr("another one is used")));

  options.chosen = [](fdt::Writer&) {};
  EXPECT_EQ(Found(virt_tree(options)).machine.console.kind, ConsoleInfo::Kind::Pl011);
}

TEST(Discovery, LivesWithoutAConsole) {
  const Found found(small_tree([](fdt::Writer& w) { add_memory(w, 0x4000'0000, 1_GiB); }));
  EXPECT_TRUE(found.result);
  EXPECT_EQ(found.machine.console.kind, ConsoleInfo::Kind::None);
  EXPECT_THAT(found.warnings(), Contains(HasSubstr("no console")));
}

TEST(Discovery, AppliesRegOffset) {
  const Found found(small_tree([](fdt::Writer& w) {
    add_memory(w, 0x4000'0000, 1_GiB);
    w.begin_node("serial@1000");
    w.string("compatible", "ns16550a");
    w.cells("reg", {0, 0x1000, 0, 0x200});
    w.property("reg-offset", 0x100u);
    w.end_node();
  }));
  EXPECT_EQ(found.machine.console.registers, range(0x1100, 0x100));
  EXPECT_EQ(found.machine.console.register_width, 1);
}

TEST(Discovery, ReadsSeveralRedistributorRegionsAndTheStride) {
  const Found found(build_tree([](fdt::Writer& w) {
    w.property("#address-cells", 2u);
    w.property("#size-cells", 2u);
    add_memory(w, 0x4000'0000, 1_GiB);
    w.begin_node("gic");
    w.string("compatible", "arm,gic-v3");
    w.flag("interrupt-controller");
    w.property("#interrupt-cells", 3u);
    w.property("#redistributor-regions", 2u);
    w.property("redistributor-stride", u64{0x40000});
    w.cells("reg", {0, 0x1000'0000, 0, 0x10000, 0, 0x2000'0000, 0, 0x80000, 1, 0, 0, 0x80000});
    w.end_node();
  }));
  ASSERT_TRUE(found.result) << found.findings.reason;
  EXPECT_THAT(found.machine.gic.redistributors, ElementsAre(range(0x2000'0000, 0x80000), range(0x1'0000'0000, 0x80000)));
  EXPECT_EQ(found.machine.gic.redistributor_stride, 0x40000u);
}

TEST(Discovery, TakesTimerInterruptsByNameWhereTheyHaveNames) {
  const Found found(small_tree([](fdt::Writer& w) {
    add_memory(w, 0x4000'0000, 1_GiB);
    w.begin_node("timer");
    w.string("compatible", "arm,armv8-timer");
    w.cells("interrupts", {1, 1, 4, 1, 2, 4, 1, 3, 4});
    w.strings("interrupt-names", {"virt", "hyp-phys", "phys"});
    w.property("clock-frequency", 24'000'000u);
    w.end_node();
  }));
  EXPECT_EQ(found.machine.timer.virtual_interrupt, 17u);
  EXPECT_EQ(found.machine.timer.hypervisor_interrupt, 18u);
  EXPECT_EQ(found.machine.timer.physical_interrupt, 19u);
  EXPECT_EQ(found.machine.timer.secure_physical_interrupt, 29u) << "the architecture's usual one";
  EXPECT_EQ(found.machine.timer.frequency_hz, 24'000'000u);
}

TEST(Discovery, NamesWhatIsMissing) {
  const auto reason_of = [](const Blob& blob) { return std::string(Found(blob).findings.reason); };
  const auto gic = [](std::string_view model, fdt::Cells reg) {
    return build_tree([&](fdt::Writer& w) {
      w.property("#address-cells", 2u);
      w.property("#size-cells", 2u);
      add_memory(w, 0x4000'0000, 1_GiB);
      w.begin_node("gic");
      w.string("compatible", model);
      w.flag("interrupt-controller");
      w.cells("reg", reg);
      w.end_node();
    });
  };
  EXPECT_THAT(reason_of(build_tree([](fdt::Writer&) {})), HasSubstr("no RAM"));
  EXPECT_THAT(reason_of(gic("vendor,other", {})), HasSubstr("no GIC"));
  EXPECT_THAT(reason_of(gic("arm,gic-v3", {})), HasSubstr("distributor"));
  EXPECT_THAT(reason_of(gic("arm,gic-v3", {0, 0x1000, 0, 0x1000})), HasSubstr("redistributor"));
  EXPECT_THAT(reason_of(gic("arm,gic-400", {0, 0x1000, 0, 0x1000})), HasSubstr("CPU interface"));
  EXPECT_THAT(reason_of(gic("arm,gic-400", {0, 0x1000, 0, 0x1000, 0, 0x2000, 0, 0x1000})), HasSubstr("GICH"));
}

TEST(Discovery, GivesAGicV2CpuInterfaceItsTwoPages) {
  const Found found(build_tree([](fdt::Writer& w) {
    w.property("#address-cells", 1u);
    w.property("#size-cells", 1u);
    w.begin_node("memory");
    w.string("device_type", "memory");
    w.cells("reg", {0x8000'0000, 0x1000'0000});
    w.end_node();
    w.begin_node("gic");
    w.string("compatible", "arm,cortex-a9-gic");
    w.flag("interrupt-controller");
    w.cells("reg", {0x1000, 0x1000, 0x2000, 0x100, 0x4000, 0x2000, 0x6000, 0x1000});
    w.end_node();
  }));
  ASSERT_TRUE(found.result) << found.findings.reason;
  EXPECT_EQ(found.machine.gic.cpu_interface.size, 8_KiB);
  EXPECT_EQ(found.machine.gic.virtual_cpu_interface.size, 8_KiB);
}

}  // namespace
}  // namespace ax::platform
