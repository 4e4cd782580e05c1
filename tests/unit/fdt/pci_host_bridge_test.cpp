#include "hypervisor/vm/pci_host_bridge.hpp"

#include <gtest/gtest.h>

#include "tests/unit/fdt/trees.hpp"

namespace hv {
namespace {

using fdt::Fdt;
using test::Blob;
using test::kGicPhandle;

class PciHostBridgeTest : public ::testing::Test {
 protected:
  void use(Blob blob) {
    blob_ = std::move(blob);
    tree_ = Fdt::parse(blob_).value();
  }
  /// A tree with a GIC and what `more` adds.
  void use_with(std::function<void(fdt::Writer&)> more) {
    test::VirtOptions options;
    options.more = std::move(more);
    use(test::virt_tree(options));
  }
  Result<fdt::GicInterrupt> interrupt(u8 device, u8 pin) {
    return find_pci_interrupt(tree_, find_pci_host_bridge(tree_, 0).value(), device, pin);
  }
  Blob blob_;
  Fdt tree_;
};

TEST_F(PciHostBridgeTest, FindsConfigurationSpaceAndWindowsOfMemory) {
  use(test::virt_tree());
  const auto bridge = find_pci_host_bridge(tree_, 0);
  ASSERT_TRUE(bridge);
  EXPECT_EQ(bridge->segment.registers, (HpaRange{Hpa(0x40'1000'0000), 256_MiB}));
  EXPECT_EQ(bridge->segment.first_bus, 0);
  EXPECT_EQ(bridge->segment.last_bus, 0xff);
  ASSERT_EQ(bridge->windows.size(), 2U);
  EXPECT_EQ(bridge->windows[0].bus, 0x1000'0000U);
  EXPECT_EQ(bridge->windows[0].base, 0x1000'0000U);
  EXPECT_EQ(bridge->windows[0].size, 0x2eff'0000U);
  EXPECT_FALSE(bridge->windows[0].is_64bit());
  EXPECT_EQ(bridge->windows[1].base, 0x80'0000'0000U);
  EXPECT_TRUE(bridge->windows[1].is_64bit());
  EXPECT_EQ(find_pci_host_bridge(tree_, 1).error(), Error::NotFound);
}

TEST_F(PciHostBridgeTest, TurnsPinsAsTheMachineIsWired) {
  use(test::virt_tree());
  EXPECT_EQ(interrupt(3, 1)->intid, 32U + 3 + 3);
  EXPECT_EQ(interrupt(4, 1)->intid, 32U + 3 + 0) << "the mask leaves two bits of the device";
  EXPECT_EQ(interrupt(4, 4)->intid, 32U + 3 + 3);
  EXPECT_FALSE(interrupt(3, 1)->edge);
  EXPECT_EQ(interrupt(3, 0).error(), Error::NotFound);
  EXPECT_EQ(interrupt(3, 5).error(), Error::NotFound);
}

TEST_F(PciHostBridgeTest, KnowsItsConfigurationSpace) {
  use(test::virt_tree());
  EXPECT_TRUE(is_pci_configuration_space(tree_, {Hpa(0x40'1fff'f000), kPageSize}));
  EXPECT_FALSE(is_pci_configuration_space(tree_, {Hpa(0x1000'0000), kPageSize}));
}

TEST_F(PciHostBridgeTest, AnotherSegmentWithOtherAddressesOnItsBus) {
  use_with([](fdt::Writer& w) {
    w.begin_node("pcie@50000000");
    w.string("compatible", "pci-host-ecam-generic");
    w.property("#address-cells", 3u);
    w.property("#size-cells", 2u);
    w.property("linux,pci-domain", 7u);
    w.cells("reg", {0, 0x50000000, 0, 0x200000});
    w.cells("bus-range", {0x20, 0xff});
    w.cells("ranges", {0x42000000, 0, 0xc0000000, 6, 0, 0, 0x10000000});
    w.end_node();
  });
  const auto bridge = find_pci_host_bridge(tree_, 7);
  ASSERT_TRUE(bridge);
  EXPECT_EQ(bridge->segment.first_bus, 0x20);
  EXPECT_EQ(bridge->segment.last_bus, 0x21) << "as many as there are registers for";
  ASSERT_EQ(bridge->windows.size(), 1U);
  EXPECT_EQ(bridge->windows[0].bus, 0xc000'0000U);
  EXPECT_EQ(bridge->windows[0].base, 0x6'0000'0000U);
  EXPECT_TRUE(bridge->windows[0].prefetchable);
  EXPECT_EQ(find_pci_interrupt(tree_, *bridge, 0, 1).error(), Error::NotFound);
}

TEST_F(PciHostBridgeTest, LeavesAWindowOutThatGoesRoundTheEnd) {
  use_with([](fdt::Writer& w) {
    w.begin_node("pcie@50000000");
    w.string("compatible", "pci-host-ecam-generic");
    w.property("linux,pci-domain", 1u);
    w.cells("reg", {0, 0x50000000, 0, 0x100000});
    w.cells("ranges", {0x02000000, 0, 0, ~0u, ~0u, 1, 0, 0x02000000, 0});
    w.cells("interrupt-map", {0, 0, 0, 1, 0x7777, 0, 0, 0, 3, 4});
    w.end_node();
  });
  const auto bridge = find_pci_host_bridge(tree_, 1);
  ASSERT_TRUE(bridge);
  EXPECT_TRUE(bridge->windows.empty());
  EXPECT_EQ(find_pci_interrupt(tree_, *bridge, 0, 1).error(), Error::NotFound) << "no such controller";
}

TEST_F(PciHostBridgeTest, RefusesOneWithoutRegisters) {
  use_with([](fdt::Writer& w) {
    w.begin_node("pcie");
    w.string("compatible", "pci-host-ecam-generic");
    w.property("linux,pci-domain", 1u);
    w.end_node();
  });
  EXPECT_EQ(find_pci_host_bridge(tree_, 1).error(), Error::Malformed);
}

}  // namespace
}  // namespace hv
