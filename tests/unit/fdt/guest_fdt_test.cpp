#include "hypervisor/vm/guest_fdt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hypervisor/vm/pci_host_bridge.hpp"
#include "platforms/aarch64-dyn/discovery.hpp"
#include "tests/unit/fdt/trees.hpp"

namespace hv {
namespace {

using fdt::Fdt;
using fdt::Node;
using test::Blob;
using test::VirtOptions;
using test::virt_tree;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr GpaRange kRam[] = {{Gpa(0x8000'0000), 256_MiB}, {Gpa(0x1'0000'0000), 1_GiB}};
constexpr GuestCpu kCpus[] = {{0, 1}, {1, 2}};

GuestMachine guest_machine() {
  GuestMachine guest;
  guest.ram = kRam;
  guest.cpus = kCpus;
  guest.gic_version = 3;
  guest.distributor = {Gpa(0x800'0000), 0x10000};
  guest.redistributors = {Gpa(0x80a'0000), 0x40000};
  guest.console = {Gpa(0x900'0000), 0x1000};
  guest.console_interrupt = 33;
  guest.initrd = {Gpa(0x8f00'0000), 0x123456};
  guest.command_line = "console=ttyAMA0 quiet";
  return guest;
}

/// A host, discovered, and what a VM with certain devices gets of it.
class Host {
 public:
  explicit Host(Blob bytes) : blob_(std::move(bytes)), tree_(Fdt::parse(blob_).value()) {
    EXPECT_TRUE(platform::discover(tree_, {Hpa(0x4800'0000), 0}, machine_, names_, findings_)) << findings_.reason;
  }
  const DeviceSelection& select(std::vector<std::string_view> paths, std::vector<std::string_view> excluded = {},
                                std::vector<std::string_view> taken = {}, std::vector<HpaRange> pages = {}) {
    devices_.clear();
    for (std::string_view path : paths) devices_.push_back({.name = path, .by_path = true});
    config_.passthrough_devices = devices_;
    excluded_ = std::move(excluded);
    config_.excluded_devices = excluded_;
    selection_ = {};
    config_.allow_unprotected_dma = dma_;
    result_ = select_devices(tree_, machine_, config_, {.paths = taken, .pages = pages}, records_, selection_);
    EXPECT_TRUE(result_ || !dma_);
    return selection_;
  }
  /// From now on devices that do DMA are not allowed.
  Host& without_dma() {
    dma_ = false;
    return *this;
  }
  const Result<void>& result() const { return result_; }
  std::vector<std::string> notes() const {
    std::vector<std::string> texts;
    for (const SelectionNote& note : selection_.notes) texts.push_back(std::string(note.what) + ": " + std::string(note.path));
    return texts;
  }
  std::vector<u64> interrupts() const {
    std::vector<u64> intids;
    const auto& set = selection_.resources.interrupts;
    for (auto i = set.first_set(); i; i = set.first_set(*i + 1)) intids.push_back(*i);
    return intids;
  }
  const Fdt& tree() const { return tree_; }
  const MachineInfo& machine() const { return machine_; }
  const DeviceSelection& selection() const { return selection_; }

 private:
  Blob blob_;
  Fdt tree_;
  MachineInfo machine_;
  std::array<char, platform::kDiscoveryNamesSize> names_{};
  platform::DiscoveryFindings findings_;
  std::vector<PassthroughDevice> devices_;
  std::vector<std::string_view> excluded_;
  VmConfig config_;
  std::vector<NodeRecord> records_{4096};
  DeviceSelection selection_;
  Result<void> result_{};
  bool dma_ = true;
};

/// A finished tree, parsed back.
struct Guest {
  Guest(const DeviceSelection& selection, const GuestMachine& machine) : blob(64 * 1024) {
    blob.resize(write_guest_fdt(selection, machine, blob).value());
    tree = Fdt::parse(blob).value();
  }
  Guest(const Blob& supplied, const GuestMachine& machine) : blob(supplied.size() + 64 * 1024) {
    blob.resize(adapt_guest_fdt(Fdt::parse(supplied).value(), machine, blob).value());
    tree = Fdt::parse(blob).value();
  }
  std::vector<std::string> children(std::string_view path) const {
    std::vector<std::string> names;
    if (const auto node = tree.find(path)) {
      for (Node child : node->children()) names.emplace_back(child.name());
    }
    return names;
  }
  Blob blob;
  Fdt tree;
};

HpaRange range(u64 base, u64 size) { return {Hpa(base), size}; }

// ---- a guest without devices of its own --------------------------------------------------------------------------------

TEST(GuestFdt, HasExactlyTheEmulatedMachine) {
  Host host(virt_tree());
  const Guest guest(host.select({}), guest_machine());
  EXPECT_THAT(guest.children("/"), ElementsAre("chosen", "aliases", "memory@80000000", "cpus", "psci", "interrupt-controller@8000000",
                                               "timer", "console-clock", "serial@9000000"));
  EXPECT_EQ(guest.tree.root().string("compatible"), "linux,dummy-virt");
  EXPECT_EQ(guest.tree.root().string("model"), "linux,dummy-virt");
  EXPECT_THAT(host.interrupts(), IsEmpty());
  EXPECT_THAT(host.selection().resources.mmio, IsEmpty());
}

TEST(GuestFdt, NamesTheWatchdogsControlFrameFirst) {
  Host host(virt_tree());
  GuestMachine machine = guest_machine();
  machine.watchdog = {Gpa(0x0901'0000), 8_KiB};
  machine.watchdog_interrupt = 255;
  const Guest guest(host.select({}), machine);
  const auto node = guest.tree.find("/watchdog@9010000");
  ASSERT_TRUE(node);
  EXPECT_EQ(node->string("compatible"), "arm,sbsa-gwdt");
  const auto reg = node->property("reg");
  ASSERT_TRUE(reg && reg->cell_count() == 8);
  EXPECT_EQ(reg->number(0, 2), 0x0901'1000u);
  EXPECT_EQ(reg->number(4, 2), 0x0901'0000u);
  const auto interrupt = node->property("interrupts");
  ASSERT_TRUE(interrupt && interrupt->cell_count() == 3);
  EXPECT_EQ(interrupt->number(1, 1), 255u - 32);
}

TEST(GuestFdt, TellsTheGuestItsMemoryInitrdAndCommandLine) {
  Host host(virt_tree());
  const Guest guest(host.select({}), guest_machine());
  const Node memory = *guest.tree.find("/memory");
  ASSERT_EQ(guest.tree.reg_count(memory), 2u);
  EXPECT_EQ(guest.tree.reg(memory, 0).value(), (fdt::Region{0x8000'0000, 256_MiB}));
  EXPECT_EQ(guest.tree.reg(memory, 1).value(), (fdt::Region{0x1'0000'0000, 1_GiB}));
  const Node chosen = *guest.tree.find("/chosen");
  EXPECT_EQ(chosen.string("bootargs"), "console=ttyAMA0 quiet");
  EXPECT_EQ(chosen.property("linux,initrd-start")->as_u64().value(), 0x8f00'0000u);
  EXPECT_EQ(chosen.property("linux,initrd-end")->as_u64().value(), 0x8f12'3456u);
  EXPECT_EQ(guest.tree.find(chosen.string("stdout-path")), guest.tree.find_compatible("arm,pl011"));
  EXPECT_EQ(guest.tree.find("serial0"), guest.tree.find_compatible("arm,pl011"));
}

TEST(GuestFdt, IsAMachineThatTheHypervisorItselfCouldDiscover) {
  Host host(virt_tree());
  const Guest guest(host.select({}), guest_machine());
  MachineInfo machine;
  std::array<char, platform::kDiscoveryNamesSize> names;
  platform::DiscoveryFindings findings;
  ASSERT_TRUE(platform::discover(guest.tree, {Hpa(0x8fe0'0000), 0}, machine, names, findings)) << findings.reason;
  EXPECT_THAT(findings.warnings, IsEmpty());
  EXPECT_EQ(machine.cpus.size(), 2u);
  EXPECT_EQ(machine.psci, PsciConduit::Hvc);
  EXPECT_EQ(machine.gic.version, 3);
  EXPECT_EQ(machine.gic.distributor, range(0x800'0000, 0x10000));
  EXPECT_THAT(machine.gic.redistributors, ElementsAre(range(0x80a'0000, 0x40000)));
  EXPECT_EQ(machine.console.interrupt, 33u);
  EXPECT_EQ(machine.timer.virtual_interrupt, 27u);
  EXPECT_EQ(machine.timer.physical_interrupt, 30u);
  EXPECT_FALSE(guest.tree.find_compatible("arm,gic-v3-its")) << "the guest has no ITS";
}

TEST(GuestFdt, DescribesAGicV2AndItsCpuMask) {
  VirtOptions options;
  options.gic_version = 2;
  Host host(virt_tree(options));
  GuestMachine machine = guest_machine();
  machine.gic_version = 2;
  machine.cpu_interface = {Gpa(0x801'0000), 0x2000};
  const Guest guest(host.select({}), machine);
  const Node gic = *guest.tree.find_compatible("arm,cortex-a15-gic");
  ASSERT_EQ(guest.tree.reg_count(gic), 2u) << "GICH and GICV are the host's";
  EXPECT_EQ(guest.tree.reg(gic, 1).value(), (fdt::Region{0x801'0000, 0x2000}));
  EXPECT_EQ(guest.tree.find("/timer")->property("interrupts")->cell(2).value(), 0x304u);
}

TEST(GuestFdt, CopiesWhatItsCpusResemble) {
  Host host(virt_tree());
  const Guest guest(host.select({}), guest_machine());
  EXPECT_THAT(guest.children("/cpus"), ElementsAre("cpu@0", "cpu@1"));
  const Node cpu = *guest.tree.find("/cpus/cpu@1");
  EXPECT_EQ(cpu.string("compatible"), "arm,cortex-a72");
  EXPECT_EQ(cpu.cell_or("capacity-dmips-mhz", 0), 1022u) << "of host CPU 2";
  EXPECT_EQ(cpu.string("enable-method"), "psci");
}

TEST(GuestFdt, WritesWideCpuNumbers) {
  Host host(virt_tree());
  const GuestCpu cpus[] = {{0x1'0000'0002, 0}};
  GuestMachine machine = guest_machine();
  machine.cpus = cpus;
  const Guest guest(host.select({}), machine);
  EXPECT_EQ(guest.tree.find("/cpus/cpu@100000002")->property("reg")->as_u64().value(), 0x1'0000'0002u);
}

TEST(GuestFdt, RefusesWhatItCannotExpress) {
  Host host(virt_tree());
  const DeviceSelection& selection = host.select({});
  Blob small(200);
  EXPECT_EQ(write_guest_fdt(selection, guest_machine(), small).error(), Error::OutOfMemory);
  GuestMachine machine = guest_machine();
  machine.console_interrupt = 20;
  Blob room(8192);
  EXPECT_EQ(write_guest_fdt(selection, machine, room).error(), Error::InvalidArgument);
  EXPECT_EQ(write_guest_fdt(DeviceSelection{}, guest_machine(), room).error(), Error::InvalidArgument);
}

// ---- devices of the host's ---------------------------------------------------------------------------------------------

TEST(GuestFdt, PassesANamedDeviceWithWhatItRefersTo) {
  Host host(virt_tree());
  const Guest guest(host.select({"/pl031@9010000"}), guest_machine());
  EXPECT_TRUE(guest.tree.find("/pl031@9010000"));
  EXPECT_TRUE(guest.tree.find("/apb-pclk")) << "its clock";
  EXPECT_FALSE(guest.tree.find("/pl061@9030000"));
  EXPECT_FALSE(guest.tree.find("/virtio_mmio@a000000"));
  EXPECT_THAT(host.selection().resources.mmio, ElementsAre(range(0x901'0000, 0x1000)));
  EXPECT_THAT(host.interrupts(), ElementsAre(34));
  EXPECT_EQ(host.selection().resources.edge_triggered.count(), 0u);
  // The interrupt arrives at the guest's controller.
  const auto interrupt = guest.tree.interrupt(*guest.tree.find("/pl031@9010000"));
  EXPECT_EQ(interrupt->controller, guest.tree.find_compatible("arm,gic-v3"));
}

TEST(GuestFdt, TheWildcardGivesEverythingThatIsNotTheHosts) {
  Host host(virt_tree());
  const Guest guest(host.select({"/"}), guest_machine());
  for (const char* path : {"/virtio_mmio@a000000", "/gpio-keys/poweroff", "/pl061@9030000", "/pl031@9010000", "/apb-pclk"}) {
    EXPECT_TRUE(guest.tree.find(path)) << path;
  }
  for (const char* path : {"/pl011@9000000", "/intc@8000000", "/pcie@10000000", "/memory@40000000"}) {
    EXPECT_FALSE(guest.tree.find(path)) << path;
  }
  EXPECT_THAT(host.selection().resources.mmio,
              ElementsAre(range(0x901'0000, 0x1000), range(0x903'0000, 0x1000), range(0xa00'0000, 0x200)));
  EXPECT_THAT(host.interrupts(), ElementsAre(34, 39, 48));
  EXPECT_TRUE(host.selection().resources.edge_triggered.test(48));
  EXPECT_THAT(host.notes(), IsEmpty());
}

TEST(GuestFdt, TheWildcardLeavesOutWhatDoesDmaUnlessAllowed) {
  Host host(virt_tree());
  const Guest guest(host.without_dma().select({"/"}), guest_machine());
  EXPECT_TRUE(host.result());
  EXPECT_FALSE(guest.tree.find("/virtio_mmio@a000000"));
  EXPECT_TRUE(guest.tree.find("/pl061@9030000"));
  EXPECT_THAT(host.interrupts(), ElementsAre(34, 39));
  EXPECT_THAT(host.notes(), ElementsAre("devices that do DMA are left out: allow_unprotected_dma is not set: /"));
}

TEST(GuestFdt, ToNameADeviceThatDoesDmaNeedsPermission) {
  Host host(virt_tree());
  host.without_dma().select({"/virtio_mmio@a000000"});
  EXPECT_EQ(host.result().error(), Error::PermissionDenied);
  EXPECT_THAT(host.notes(), ElementsAre(
      "device does DMA, which no IOMMU confines, and allow_unprotected_dma is not set: /virtio_mmio@a000000"));
}

TEST(GuestFdt, NoPageOfADeviceThatDoesDmaComesWithAnother) {
  VirtOptions options;
  options.more = [](fdt::Writer& w) {
    w.begin_node("led@a000800");
    w.cells("reg", {0, 0xa00'0800, 0, 0x10});
    w.end_node();
  };
  Host host(virt_tree(options));
  host.without_dma().select({"/led@a000800"});
  EXPECT_EQ(host.result().error(), Error::PermissionDenied);
}

// As on i.MX8 and Amlogic SoCs: the bus's own range covers the console, which is the host's, and a device that does DMA.
TEST(GuestFdt, ABusIsNoDeviceThoughItHasARange) {
  VirtOptions options;
  options.more = [](fdt::Writer& w) {
    w.begin_node("bus@9000000");
    w.string("compatible", "simple-bus");
    w.cells("reg", {0, 0x900'0000, 0, 0x200'0000});
    w.property("#address-cells", 2u);
    w.property("#size-cells", 2u);
    w.flag("ranges");
    for (const char* name : {"led@9200000", "mmc@9201000"}) {
      w.begin_node(name);
      w.cells("reg", {0, name[0] == 'l' ? 0x920'0000u : 0x920'1000u, 0, 0x1000});
      w.end_node();
    }
    w.end_node();
  };
  Host host(virt_tree(options));
  const Guest guest(host.without_dma().select({"/"}), guest_machine());
  ASSERT_TRUE(host.result());
  EXPECT_TRUE(guest.tree.find("/bus@9000000/led@9200000"));
  EXPECT_FALSE(guest.tree.find("/bus@9000000/mmc@9201000"));
  EXPECT_THAT(host.selection().resources.mmio, Contains(range(0x920'0000, 0x1000)));
  for (const HpaRange& given : host.selection().resources.mmio) EXPECT_LE(given.size, 0x1000U) << "not the whole bus";
}

TEST(GuestFdt, APropertyTellsThatADeviceDoesDma) {
  for (const char* property : {"iommus", "dma-coherent", "#dma-cells"}) {
    VirtOptions options;
    options.more = [&](fdt::Writer& w) {
      w.begin_node("thing@b000000");
      w.cells("reg", {0, 0xb00'0000, 0, 0x1000});
      w.property(property, 1u);
      w.end_node();
    };
    Host host(virt_tree(options));
    host.without_dma().select({"/thing@b000000"});
    EXPECT_FALSE(host.result()) << property;
  }
}

TEST(GuestFdt, TheWildcardLeavesWhatOthersOwnAndWhatIsExcluded) {
  Host host(virt_tree());
  const Guest guest(host.select({"/"}, {"/virtio_mmio@a000000"}, {"/pl061@9030000"}), guest_machine());
  EXPECT_FALSE(guest.tree.find("/virtio_mmio@a000000"));
  EXPECT_FALSE(guest.tree.find("/pl061@9030000"));
  EXPECT_TRUE(guest.tree.find("/gpio-keys/poweroff"));
  EXPECT_FALSE(guest.tree.find("/gpio-keys/poweroff")->has("gpios")) << "a reference to what is gone";
  EXPECT_THAT(host.interrupts(), ElementsAre(34));
}

TEST(GuestFdt, AVmGetsNoDeviceOnAPageOfAnother) {
  VirtOptions options;
  options.more = [](fdt::Writer& w) {
    for (const u32 address : {0xb00'0000u, 0xb00'0200u, 0xb00'1000u}) {
      w.begin_node(address == 0xb00'0000 ? "slot@b000000" : address == 0xb00'0200 ? "slot@b000200" : "slot@b001000");
      w.cells("reg", {0, address, 0, 0x200});
      w.end_node();
    }
  };
  Host host(virt_tree(options));
  const Guest wildcard(host.select({"/"}, {}, {"/slot@b000000"}), guest_machine());
  EXPECT_FALSE(wildcard.tree.find("/slot@b000200")) << "would come with the page of what another VM names";
  EXPECT_TRUE(wildcard.tree.find("/slot@b001000"));
  const Guest second(host.select({"/slot@b000200", "/pl031@9010000"}, {}, {}, {range(0xb00'0000, 0x1000)}), guest_machine());
  EXPECT_FALSE(second.tree.find("/slot@b000200")) << "another VM has its page";
  EXPECT_TRUE(second.tree.find("/pl031@9010000"));
  EXPECT_THAT(host.notes(), ElementsAre("device is excluded, or belongs to another VM: /slot@b000200"));
}

TEST(GuestFdt, SaysWhichNamesItCouldNotServe) {
  Host host(virt_tree());
  host.select({"/nonsense", "/pl011@9000000", "/pl031@9010000"}, {"/absent", "/pl031@9010000"});
  EXPECT_THAT(host.notes(),
              ElementsAre("excluded device is not in the device tree: /absent", "passthrough device is not in the device tree: /nonsense",
                          "device belongs to the hypervisor and is not passed through: /pl011@9000000",
                          "device is excluded, or belongs to another VM: /pl031@9010000"));
  EXPECT_THAT(host.selection().resources.mmio, IsEmpty());
}

TEST(GuestFdt, FailsWhenTheTreeHasMoreNodesThanRecords) {
  Host host(virt_tree());
  std::vector<NodeRecord> few(5);
  DeviceSelection selection;
  EXPECT_EQ(select_devices(host.tree(), host.machine(), VmConfig{}, {}, few, selection).error(), Error::OutOfMemory);
}

/// What an SoC adds: devices behind a bus, with clocks, pins, supplies, DMA through an IOMMU, and reserved memory.
void add_soc(fdt::Writer& w) {
  const auto device = [&](const char* name, fdt::Cells reg, u32 phandle) {
    w.begin_node(name);
    if (reg.values().size() != 0) w.cells("reg", reg);
    if (phandle != 0) w.property("phandle", phandle);
  };
  w.begin_node("reserved-memory");
  w.property("#address-cells", 2u);
  w.property("#size-cells", 2u);
  w.flag("ranges");
  device("vpu@50000000", {0, 0x5000'0000, 0, 0x100000}, 0x20), w.flag("no-map"), w.end_node();
  device("other@51000000", {0, 0x5100'0000, 0, 0x100000}, 0x21), w.end_node();
  w.end_node();
  w.begin_node("soc");
  w.string("compatible", "simple-bus");
  w.property("#address-cells", 1u);
  w.property("#size-cells", 1u);
  w.cells("ranges", {0, 0, 0xfe00'0000, 0x100'0000});
  device("clocks@1000", {0x1000, 0x1000}, 0x10), w.property("#clock-cells", 1u), w.cells("rockchip,grf", {0x16, 4}), w.end_node();
  device("syscon@2000", {0x2000, 0x1000}, 0x16), w.end_node();
  device("iommu@3000", {0x3000, 0x1000}, 0x11), w.property("#iommu-cells", 1u), w.end_node();
  device("pinctrl@4000", {0x4000, 0x1000}, 0x12);
  device("uart-pins", {}, 0x13), w.end_node();
  device("spi-pins", {}, 0x14), w.end_node();
  w.end_node();
  device("i2c@5000", {0x5000, 0x1000}, 0);
  w.property("#address-cells", 1u), w.property("#size-cells", 0u), w.cells("interrupts", {0, 50, 4});
  device("pmic@20", {0x20}, 0);
  device("regulator", {}, 0x15), w.end_node();
  w.end_node();
  w.end_node();
  device("gpio@6000", {0x6000, 0x1000}, 0x17);
  w.flag("interrupt-controller"), w.property("#interrupt-cells", 2u), w.cells("interrupts", {0, 51, 4}), w.end_node();
  device("vpu@7000", {0x7000, 0x1000}, 0);
  w.cells("clocks", {0x10, 3, 0x10, 4}), w.cells("iommus", {0x11, 0}), w.property("vdd-supply", 0x15u), w.property("pinctrl-0", 0x13u);
  w.property("memory-region", 0x20u), w.cells("interrupts", {0, 52, 1}), w.end_node();
  device("button@8000", {0x8000, 0x1000}, 0);
  w.property("interrupt-parent", 0x17u), w.cells("interrupts", {5, 4}), w.end_node();
  device("pmu@9000", {0x9000, 0x1000}, 0), w.cells("interrupts", {1, 7, 4}), w.end_node();
  device("off@a000", {0xa000, 0x1000}, 0), w.string("status", "disabled"), w.end_node();
  device("neighbour@b000", {0xb000, 0x1000, 0x02ff'f800, 0x100}, 0), w.end_node();
  w.end_node();
}

Blob soc_tree() {
  VirtOptions options;
  options.ram = 1_GiB;
  options.more = add_soc;
  return virt_tree(options);
}

TEST(GuestFdt, AProviderThatAnotherVmHasDoesNotComeAlong) {
  Host host(soc_tree());
  const Guest guest(host.select({"/soc/vpu@7000"}, {}, {}, {range(0xfe00'1000, 0x1000)}), guest_machine());
  EXPECT_FALSE(guest.tree.find("/soc/clocks@1000"));
  EXPECT_FALSE(guest.tree.find("/soc/vpu@7000")->has("clocks"));
  EXPECT_THAT(host.selection().resources.mmio, ElementsAre(range(0xfe00'4000, 0x2000), range(0xfe00'7000, 0x1000)));
}

TEST(GuestFdt, FollowsReferencesToTheEnd) {
  Host host(soc_tree());
  const Guest guest(host.select({"/soc/vpu@7000"}), guest_machine());
  EXPECT_THAT(guest.children("/soc"), ElementsAre("clocks@1000", "syscon@2000", "pinctrl@4000", "i2c@5000", "vpu@7000"));
  EXPECT_THAT(guest.children("/soc/pinctrl"), ElementsAre("uart-pins"));
  EXPECT_TRUE(guest.tree.find("/soc/i2c/pmic/regulator"));
  EXPECT_THAT(guest.children("/reserved-memory"), ElementsAre("vpu@50000000"));
  const Node vpu = *guest.tree.find("/soc/vpu");
  EXPECT_FALSE(vpu.has("iommus")) << "the IOMMU is the host's";
  EXPECT_TRUE(vpu.has("clocks"));
  EXPECT_EQ(guest.tree.reg(vpu).value(), (fdt::Region{0xfe00'7000, 0x1000}));

  const PassthroughResources& resources = host.selection().resources;
  EXPECT_THAT(resources.mmio,
              ElementsAre(range(0xfe00'1000, 0x2000), range(0xfe00'4000, 0x2000), range(0xfe00'7000, 0x1000)));
  EXPECT_THAT(resources.memory, ElementsAre(range(0x5000'0000, 0x100000)));
  EXPECT_THAT(host.interrupts(), ElementsAre(82, 84));
  EXPECT_TRUE(resources.edge_triggered.test(84));
}

TEST(GuestFdt, NeverGivesPerCpuInterruptsOrDisabledDevicesByWildcard) {
  Host host(soc_tree());
  const Guest guest(host.select({"/"}), guest_machine());
  for (const char* path : {"/soc/pmu@9000", "/soc/off@a000", "/soc/iommu@3000", "/reserved-memory/other"}) {
    EXPECT_FALSE(guest.tree.find(path)) << path;
  }
  EXPECT_TRUE(guest.tree.find("/soc/button@8000"));
  EXPECT_THAT(host.interrupts(), ElementsAre(34, 39, 48, 82, 83, 84)) << "a line of the GPIO controller is not the GIC's";
}

TEST(GuestFdt, DropsInterruptsOfAnAbsentController) {
  Host host(soc_tree());
  const Guest guest(host.select({"/soc/button@8000"}, {"/soc/gpio@6000"}), guest_machine());
  const Node button = *guest.tree.find("/soc/button@8000");
  EXPECT_FALSE(button.has("interrupt-parent"));
  EXPECT_FALSE(button.has("interrupts")) << "they would be taken for the GIC's";
}

TEST(GuestFdt, KeepsDevicesThatShareAPageWithTheHostsToTheHost) {
  VirtOptions options;
  options.more = [](fdt::Writer& w) {
    w.begin_node("neighbour@9000f00");  // inside the page of the console
    w.cells("reg", {0, 0x900'0f00, 0, 0x10});
    w.end_node();
    w.begin_node("frame-buffer@48000000");
    w.cells("reg", {0, 0x4800'0000, 0, 0x1000});
    w.end_node();
  };
  Host host(virt_tree(options));
  const Guest guest(host.select({"/"}), guest_machine());
  EXPECT_FALSE(guest.tree.find("/neighbour"));
  EXPECT_FALSE(guest.tree.find("/frame-buffer"));
}

TEST(GuestFdt, ExcludesDescendants) {
  Host host(soc_tree());
  const Guest guest(host.select({"/soc"}, {"/soc/i2c@5000"}), guest_machine());
  EXPECT_FALSE(guest.tree.find("/soc/i2c"));
  EXPECT_FALSE(guest.tree.find("/soc/vpu")->has("vdd-supply"));
  EXPECT_THAT(host.interrupts(), ElementsAre(83, 84));
}

TEST(GuestFdt, EveryReferenceInTheGuestsTreeResolves) {
  Host host(soc_tree());
  for (const std::vector<std::string_view>& paths : std::vector<std::vector<std::string_view>>{{"/"}, {"/soc"}, {"/soc/vpu"}}) {
    const Guest guest(host.select(paths), guest_machine());
    for (Node node : guest.tree.nodes()) {
      for (std::string_view name : {"interrupt-parent", "clocks", "vdd-supply", "pinctrl-0", "memory-region", "gpios"}) {
        const auto p = node.property(name);
        if (!p) continue;
        EXPECT_TRUE(guest.tree.find_phandle(p->cell(0).value())) << node.name() << " " << name;
      }
    }
  }
}

TEST(GuestFdt, WorksOnQemusTrees) {
  for (const char* version : {"2", "3"}) {
    auto blob = test::qemu_tree(std::string("virtualization=on,gic-version=") + version, "-cpu cortex-a72 -smp 2");
    if (!blob) GTEST_SKIP() << "qemu-system-aarch64 is not installed";
    Host host(std::move(*blob));
    GuestMachine machine = guest_machine();
    machine.gic_version = static_cast<u8>(version[0] - '0');
    machine.cpu_interface = {Gpa(0x801'0000), 0x2000};
    const Guest guest(host.select({"/"}), machine);
    EXPECT_TRUE(guest.tree.find("/virtio_mmio@a000000"));
    EXPECT_FALSE(guest.tree.find("/pcie"));
    EXPECT_FALSE(guest.tree.find("/pmu"));
    EXPECT_FALSE(guest.tree.find("/pl011@9000000"));
    const auto& set = host.selection().resources.interrupts;
    EXPECT_TRUE(set.test(48));
    EXPECT_FALSE(set.test(33)) << "the console's";
    const auto source = test::decompile(guest.blob);
    if (!source) continue;
    EXPECT_THAT(*source, HasSubstr("method = \"hvc\";"));
  }
}

TEST(GuestFdt, SatisfiesDtc) {
  Host host(soc_tree());
  const Guest guest(host.select({"/"}), guest_machine());
  const auto source = test::decompile(guest.blob);
  if (!source) GTEST_SKIP() << "dtc is not installed";
  EXPECT_THAT(*source, HasSubstr("linux,initrd-start"));
}

// ---- supplied trees ----------------------------------------------------------------------------------------------------

TEST(SuppliedFdt, GetsTheRealMemoryCpusInitrdAndCommandLine) {
  VirtOptions options;
  options.chosen = [](fdt::Writer& w) {
    w.string("bootargs", "its own");
    w.string("stdout-path", "/pl011@9000000");
    w.property("linux,initrd-start", 1u);
  };
  const Blob supplied = virt_tree(options);
  const Guest guest(supplied, guest_machine());
  EXPECT_THAT(guest.children("/cpus"), ElementsAre("cpu@0", "cpu@1"));
  EXPECT_EQ(guest.tree.find("/cpus/cpu@1")->cell_or("capacity-dmips-mhz", 0), 1023u) << "the supplied node";
  unsigned memories = 0;
  for (Node node : guest.tree.root().children()) memories += node.string("device_type") == "memory";
  EXPECT_EQ(memories, 1u);
  EXPECT_EQ(guest.tree.reg(*guest.tree.find("/memory@80000000"), 1).value(), (fdt::Region{0x1'0000'0000, 1_GiB}));
  const Node chosen = *guest.tree.find("/chosen");
  EXPECT_EQ(chosen.string("bootargs"), "console=ttyAMA0 quiet");
  EXPECT_EQ(chosen.string("stdout-path"), "/pl011@9000000");
  EXPECT_EQ(chosen.property("linux,initrd-start")->as_u64().value(), 0x8f00'0000u);
}

TEST(SuppliedFdt, KeepsEverythingElse) {
  const Blob supplied = virt_tree();
  const Guest guest(supplied, guest_machine());
  const Fdt original = Fdt::parse(supplied).value();
  for (Node node : original.root().children()) {
    if (node.name() == "memory@40000000") continue;
    const auto copy = guest.tree.root().child(node.name());
    ASSERT_TRUE(copy) << node.name();
    if (node.name() == "chosen" || node.name() == "cpus") continue;
    for (fdt::Property p : node.properties()) {
      const auto q = copy->property(p.name);
      ASSERT_TRUE(q) << node.name() << " " << p.name;
      EXPECT_TRUE(std::ranges::equal(p.data, q->data)) << node.name() << " " << p.name;
    }
  }
}

TEST(SuppliedFdt, KeepsItsCommandLineWhenNoneIsConfiguredAndLosesAnInitrdThatIsNotThere) {
  VirtOptions options;
  options.chosen = [](fdt::Writer& w) {
    w.string("bootargs", "its own");
    w.property("linux,initrd-start", 1u);
    w.property("linux,initrd-end", 2u);
  };
  GuestMachine machine = guest_machine();
  machine.command_line = {};
  machine.initrd = {};
  const Guest guest(virt_tree(options), machine);
  EXPECT_EQ(guest.tree.find("/chosen")->string("bootargs"), "its own");
  EXPECT_FALSE(guest.tree.find("/chosen")->has("linux,initrd-start"));
  EXPECT_FALSE(guest.tree.find("/chosen")->has("linux,initrd-end"));
}

TEST(SuppliedFdt, AddsWhatIsMissing) {
  const Blob supplied = test::build_tree([](fdt::Writer& w) {
    w.property("#address-cells", 2u);
    w.property("#size-cells", 2u);
    w.begin_node("cpus");
    w.property("#address-cells", 1u);
    w.property("#size-cells", 0u);
    w.begin_node("cpu-map");
    w.end_node();
    w.begin_node("cpu@0");
    w.string("device_type", "cpu");
    w.property("reg", 0u);
    w.end_node();
    w.begin_node("cpu@7");
    w.string("device_type", "cpu");
    w.property("reg", 7u);
    w.end_node();
    w.end_node();
  });
  const Guest guest(supplied, guest_machine());
  EXPECT_THAT(guest.children("/"), ElementsAre("memory@80000000", "chosen", "cpus"));
  EXPECT_THAT(guest.children("/cpus"), ElementsAre("cpu@0", "cpu@1")) << "a topology with an absent CPU goes too";
}

TEST(SuppliedFdt, RefusesAbsurdCellCountsAtOnce) {
  for (const char* name : {"#address-cells", "#size-cells"}) {
    const Blob supplied = test::build_tree([&](fdt::Writer& w) { w.property(name, 0xffff'ffffu); });
    Blob room(65536);
    EXPECT_EQ(adapt_guest_fdt(Fdt::parse(supplied).value(), guest_machine(), room).error(), Error::OutOfRange) << name;
  }
}

TEST(GuestFdt, ReservesWhatTheGuestMustLeaveAlone) {
  GuestMachine machine = guest_machine();
  machine.reserved = {Gpa(0x8100'0000), 4_KiB};
  Host host(virt_tree());
  const Guest generated(host.select({}), machine);
  const Guest supplied(test::build_tree([](fdt::Writer& w) {
                         w.property("#address-cells", 2u);
                         w.property("#size-cells", 2u);
                       }),
                       machine);
  for (const Guest* guest : {&generated, &supplied}) {
    ASSERT_EQ(guest->tree.reservation_count(), 1u);
    EXPECT_EQ(guest->tree.reservation(0).address, 0x8100'0000u);
    EXPECT_EQ(guest->tree.reservation(0).size, 4_KiB);
  }
}

TEST(SuppliedFdt, RefusesMemoryThatItsCellsCannotExpress) {
  const Blob supplied = test::build_tree([](fdt::Writer& w) {
    w.property("#address-cells", 1u);
    w.property("#size-cells", 1u);
  });
  Blob room(65536);
  EXPECT_EQ(adapt_guest_fdt(Fdt::parse(supplied).value(), guest_machine(), room).error(), Error::OutOfRange);
}

Blob tree_with_topology() {
  VirtOptions options;
  options.topology = true;
  return virt_tree(options);
}

TEST(GuestFdt, CpusKeepTheirPlaceInTheMachine) {
  Host host(tree_with_topology());
  GuestMachine machine = guest_machine();
  constexpr GuestCpu kSome[] = {{0, 3}, {1, 2}, {2, 3}, {3, 1}};
  machine.cpus = kSome;
  const Guest guest(host.select({}), machine);
  const auto at = [&](const char* path) {
    const auto node = guest.tree.find(path);
    const auto cpu = node ? guest.tree.find_phandle(node->cell_or("cpu", 0)) : std::nullopt;
    return cpu ? std::string(cpu->name()) : "nobody";
  };
  EXPECT_THAT(guest.children("/cpus/cpu-map"), ElementsAre("socket0"));
  EXPECT_THAT(guest.children("/cpus/cpu-map/socket0"), ElementsAre("cluster0", "cluster1"));
  EXPECT_THAT(guest.children("/cpus/cpu-map/socket0/cluster1"), ElementsAre("core0", "core1", "core2"));
  EXPECT_EQ(at("/cpus/cpu-map/socket0/cluster0/core0"), "cpu@3") << "numbers begin at 0";
  EXPECT_EQ(at("/cpus/cpu-map/socket0/cluster1/core0"), "cpu@1");
  EXPECT_EQ(at("/cpus/cpu-map/socket0/cluster1/core1"), "cpu@0") << "two on one CPU are two cores";
  EXPECT_EQ(at("/cpus/cpu-map/socket0/cluster1/core2"), "cpu@2");
}

TEST(GuestFdt, HasATopologyIfTheMachineHas) {
  Host host(tree_with_topology());
  GuestMachine machine = guest_machine();
  constexpr GuestCpu kSome[] = {{0, 0}, {1, 9}};
  machine.cpus = kSome;
  EXPECT_TRUE(Guest(host.select({}), machine).tree.find("/cpus/cpu-map")) << "an unknown CPU is like any other";
  Host without(virt_tree());
  EXPECT_FALSE(Guest(without.select({}), machine).tree.find("/cpus/cpu-map"));
}

TEST(GuestFdt, HasABridgeOfItsOwnForPciFunctions) {
  Host host(virt_tree());
  const auto bridge = find_pci_host_bridge(host.tree(), 0).value();
  constexpr GuestPciLine kLines[] = {{.device = 1, .pin = 1, .line = 38}, {.device = 2, .pin = 3, .line = 35}};
  GuestMachine machine = guest_machine();
  machine.pci = {.ecam = {Gpa(0x40'1000'0000), 1_MiB}, .windows = bridge.windows, .lines = kLines, .like = bridge.node};
  const Guest guest(host.select({"/"}), machine);
  const auto node = guest.tree.find("/pcie@4010000000");
  ASSERT_TRUE(node);
  EXPECT_FALSE(guest.tree.find("/pcie@10000000")) << "the machine's is not the guest's";
  const auto cells = [&](std::string_view name) {
    std::vector<u32> values;
    const auto p = node->property(name);
    for (usize i = 0; p && i < p->cell_count(); ++i) values.push_back(*p->cell(i));
    return values;
  };
  EXPECT_THAT(cells("reg"), ElementsAre(0x40, 0x1000'0000, 0, 0x10'0000));
  EXPECT_THAT(cells("bus-range"), ElementsAre(0, 0));
  EXPECT_THAT(cells("ranges"), ElementsAre(0x0200'0000, 0, 0x1000'0000, 0, 0x1000'0000, 0, 0x2eff'0000,  //
                                           0x0300'0000, 0x80, 0, 0x80, 0, 0x80, 0));
  const u32 gic = host.selection().gic_phandle;
  EXPECT_THAT(cells("interrupt-map"), ElementsAre(1 << 11, 0, 0, 1, gic, 0, 0, 0, 6, 4, 2 << 11, 0, 0, 3, gic, 0, 0, 0, 3, 4));
  EXPECT_TRUE(node->has("dma-coherent"));
  EXPECT_FALSE(node->has("msi-map"));
  // And it reads as one.
  const auto again = find_pci_host_bridge(guest.tree, 0);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->segment.last_bus, 0);
  EXPECT_EQ(find_pci_interrupt(guest.tree, *again, 2, 3)->intid, 35U);
}

}  // namespace
}  // namespace hv
