// What is found out about real boards, by the device trees that Debian's kernel package has for them. AXVISOR_DEVICE_TREES names
// the image debian-arm64-device-trees: those trees, one behind the other.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include "platforms/aarch64-dyn/discovery.hpp"
#include "tests/unit/fdt/trees.hpp"

namespace ax::platform {
namespace {

using test::Blob;

constexpr Hpa kFdtAddress(0x4800'0000);
constexpr u64 kLoaderMemorySize = 0x4000'0000;

struct Board {
  const char* compatible;
  u8 gic_version;
  u64 distributor;
  ConsoleInfo::Kind console;
  u64 console_address;
  u32 console_interrupt;
  usize cpus;          ///< with those that PSCI starts
  u64 memory;          ///< where RAM begins
  bool loader_memory;  ///< its boot loader says how much RAM there is
  usize reserved;      ///< ranges of its own
};

constexpr Board kBoards[] = {
    {"rockchip,rk3568-odroid-m1", 3, 0xfd40'0000, ConsoleInfo::Kind::Uart16550, 0xfe66'0000, 150, 4, 0x20'0000, true, 0},
    {"radxa,rock3a", 3, 0xfd40'0000, ConsoleInfo::Kind::Uart16550, 0xfe66'0000, 150, 4, 0x20'0000, true, 0},
    {"rockchip,rk3568-evb1-v10", 3, 0xfd40'0000, ConsoleInfo::Kind::Uart16550, 0xfe66'0000, 150, 4, 0x20'0000, true, 0},
    {"firefly,rk3566-roc-pc", 3, 0xfd40'0000, ConsoleInfo::Kind::Uart16550, 0xfe66'0000, 150, 4, 0x20'0000, true, 0},
    {"firefly,roc-rk3399-pc", 3, 0xfee0'0000, ConsoleInfo::Kind::Uart16550, 0xff1a'0000, 132, 6, 0x20'0000, true, 0},
    // Its CPUs wait in a loop of the firmware, which PSCI knows nothing of.
    {"raspberrypi,4-model-b", 2, 0xff84'1000, ConsoleInfo::Kind::Uart16550, 0xfe21'5040, 125, 1, 0x20'0000, true, 1},
    {"fsl,imx8mm-evk", 3, 0x3880'0000, ConsoleInfo::Kind::Imx, 0x3089'0000, 59, 4, 0x4000'0000, false, 0},
    {"fsl,imx8mq-evk", 3, 0x3880'0000, ConsoleInfo::Kind::Imx, 0x3086'0000, 58, 4, 0x4000'0000, false, 0},
    {"xlnx,zynqmp-zcu102-rev1.0", 2, 0xf901'0000, ConsoleInfo::Kind::Cadence, 0xff00'0000, 53, 4, 0, false, 0},
    {"xlnx,zynqmp-zcu104-revA", 2, 0xf901'0000, ConsoleInfo::Kind::Cadence, 0xff00'0000, 53, 4, 0, false, 0},
};

Blob read_trees() {
  const char* path = std::getenv("AXVISOR_DEVICE_TREES");
  std::ifstream file(path != nullptr ? path : "", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  Blob trees(text.size());
  std::memcpy(trees.data(), text.data(), text.size());
  return trees;
}

/// The tree of a board out of those of all; nothing if it is not there.
std::optional<Blob> find_board(std::span<const std::byte> trees, std::string_view compatible) {
  while (const auto tree = fdt::Fdt::parse(trees)) {
    if (tree->root().is_compatible(compatible)) return Blob(trees.begin(), trees.begin() + tree->blob().size());
    trees = trees.subspan(tree->blob().size());
  }
  return std::nullopt;
}

void copy_node(fdt::Writer& writer, fdt::Node node, bool replace_memory) {
  for (const fdt::Property& property : node.properties()) writer.copy(property);
  for (fdt::Node child : node.children()) {
    if (replace_memory && child.string("device_type") == "memory") continue;
    writer.begin_node(child.name());
    copy_node(writer, child, false);
    writer.end_node();
  }
}

/// What a boot loader makes of a tree: it has counted the RAM.
Blob with_memory(const Blob& blob, u64 base, u64 size) {
  const fdt::Fdt tree = fdt::Fdt::parse(blob).value();
  Blob bigger(blob.size() * 2);
  fdt::Writer writer(bigger);
  for (usize i = 0; i < tree.reservation_count(); ++i) writer.reserve(tree.reservation(i).address, tree.reservation(i).size);
  writer.begin_node("");
  copy_node(writer, tree.root(), true);
  writer.begin_node("memory");
  writer.string("device_type", "memory");
  fdt::Cells reg;
  reg.number(base, tree.root().cell_or("#address-cells", 2)).number(size, tree.root().cell_or("#size-cells", 1));
  writer.cells("reg", reg);
  writer.end_node();
  writer.end_node();
  bigger.resize(writer.finish().value());
  return bigger;
}

class BoardTrees : public ::testing::TestWithParam<Board> {};

TEST_P(BoardTrees, TellWhatTheMachineHas) {
  const Board& board = GetParam();
  const Blob trees = read_trees();
  if (trees.empty()) GTEST_SKIP() << "the image debian-arm64-device-trees was not fetched";
  std::optional<Blob> blob = find_board(trees, board.compatible);
  ASSERT_TRUE(blob.has_value());
  MachineInfo machine;
  std::array<char, kDiscoveryNamesSize> names{};
  DiscoveryFindings findings;
  if (board.loader_memory) {
    EXPECT_FALSE(discover(fdt::Fdt::parse(*blob).value(), {kFdtAddress, 0}, machine, names, findings));
    EXPECT_EQ(findings.reason, "no RAM: no /memory node with a reg");
    blob = with_memory(*blob, board.memory, kLoaderMemorySize);
    machine = {};
    findings = {};
  }
  const fdt::Fdt tree = fdt::Fdt::parse(*blob).value();
  ASSERT_TRUE(discover(tree, {kFdtAddress, 0}, machine, names, findings)) << findings.reason;

  EXPECT_EQ(machine.gic.version, board.gic_version);
  EXPECT_EQ(machine.gic.distributor.base.value(), board.distributor);
  EXPECT_EQ(machine.gic.version == 2, !machine.gic.hypervisor_interface.empty());
  EXPECT_EQ(machine.gic.version == 3, !machine.gic.redistributors.empty());
  EXPECT_EQ(machine.gic.maintenance_interrupt, 25u);
  EXPECT_EQ(machine.console.kind, board.console);
  EXPECT_EQ(machine.console.registers.base.value(), board.console_address);
  EXPECT_EQ(machine.console.interrupt, board.console_interrupt);
  if (board.console == ConsoleInfo::Kind::Uart16550) {
    EXPECT_EQ(machine.console.register_shift, 2);
    EXPECT_EQ(machine.console.register_width, 4);
  }
  EXPECT_EQ(machine.cpus.size(), board.cpus);
  EXPECT_EQ(machine.psci == PsciConduit::Smc, board.cpus > 1);
  EXPECT_EQ(machine.timer.virtual_interrupt, 27u);
  EXPECT_EQ(machine.timer.hypervisor_interrupt, 26u);
  EXPECT_EQ(machine.ram[0].base.value(), board.memory);
  EXPECT_EQ(machine.reserved.size(), board.reserved + 1) << "with the tree itself";
}

INSTANTIATE_TEST_SUITE_P(Debian, BoardTrees, ::testing::ValuesIn(kBoards), [](const auto& test) {
  std::string name = test.param.compatible;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

}  // namespace
}  // namespace ax::platform
