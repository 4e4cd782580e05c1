#include "kernel/fdt/reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/fdt/format.hpp"
#include "tests/unit/fdt/trees.hpp"

namespace ax::fdt {
namespace {

using test::Blob;
using test::build_tree;
using ::testing::ElementsAre;

void set_cell(Blob& blob, usize offset, u32 value) {
  for (usize i = 0; i < 4; ++i) blob[offset + i] = static_cast<std::byte>(value >> (24 - 8 * i));
}

/// A bus within a bus: 32-bit addresses inside, 64-bit outside, a window and an identity.
Blob nested_buses() {
  return build_tree([](Writer& w) {
    w.property("#address-cells", 2u);
    w.property("#size-cells", 2u);
    w.property("interrupt-parent", 1u);
    w.begin_node("aliases");
    w.string("serial0", "/soc/bus@100000/uart@200");
    w.string("loop", "loop");
    w.end_node();
    w.begin_node("gic");
    w.flag("interrupt-controller");
    w.property("#interrupt-cells", 3u);
    w.property("phandle", 1u);
    w.end_node();
    w.begin_node("soc");
    w.property("#address-cells", 1u);
    w.property("#size-cells", 1u);
    w.cells("ranges", {0, 0x8, 0, 0x1000000, 0xf0000000, 0x0, 0xf0000000, 0x1000});
    w.begin_node("bus@100000");
    w.property("#address-cells", 1u);
    w.property("#size-cells", 1u);
    w.cells("ranges", {0, 0x100000, 0x1000});
    w.begin_node("uart@200");
    w.strings("compatible", {"vendor,uart", "ns16550a"});
    w.cells("reg", {0x200, 0x100, 0x0, 0x2000, 0x3000, 0x10});
    w.cells("interrupts", {0, 5, 4, 1, 9, 1});
    w.end_node();
    w.end_node();
    w.begin_node("gpio@f0000000");
    w.cells("reg", {0xf0000000, 0x800});
    w.flag("interrupt-controller");
    w.property("#interrupt-cells", 2u);
    w.property("phandle", 2u);
    w.end_node();
    w.begin_node("key");
    w.cells("interrupts-extended", {2, 7, 8, 1, 0, 9, 4});
    w.end_node();
    w.begin_node("dark-bus");
    w.begin_node("device@0");
    w.cells("reg", {0, 0, 4});
    w.end_node();
    w.end_node();
    w.end_node();
  });
}

TEST(FdtReader, FindsNodesByPathAliasPhandleAndCompatible) {
  const Blob blob = nested_buses();
  const Fdt tree = Fdt::parse(blob).value();
  const auto uart = tree.find("/soc/bus@100000/uart@200");
  ASSERT_TRUE(uart);
  EXPECT_EQ(tree.find("/soc/bus/uart"), uart);
  EXPECT_EQ(tree.find("serial0"), uart);
  EXPECT_EQ(tree.find_compatible("ns16550a"), uart);
  EXPECT_EQ(tree.find_compatible("ns16550a", uart), std::nullopt);
  EXPECT_EQ(tree.find_phandle(2), tree.find("/soc/gpio"));
  EXPECT_EQ(tree.find("/"), tree.root());
  for (const char* absent : {"", "loop", "serial1", "/soc/bus@0/uart", "/soc/uart", "/soc/bus@100000/uart@200/x"}) {
    EXPECT_FALSE(tree.find(absent)) << absent;
  }
}

TEST(FdtReader, TellsPathAndParent) {
  const Blob blob = nested_buses();
  const Fdt tree = Fdt::parse(blob).value();
  const Node uart = *tree.find("serial0");
  char buffer[64];
  EXPECT_EQ(tree.path(uart, buffer).value(), "/soc/bus@100000/uart@200");
  EXPECT_EQ(tree.path(tree.root(), buffer).value(), "/");
  EXPECT_EQ(tree.path(uart, std::span(buffer).first(10)).error(), Error::OutOfMemory);
  EXPECT_EQ(tree.parent(uart), tree.find("/soc/bus"));
  EXPECT_FALSE(tree.parent(tree.root()));
}

TEST(FdtReader, TranslatesRegThroughAllBuses) {
  const Blob blob = nested_buses();
  const Fdt tree = Fdt::parse(blob).value();
  const Node uart = *tree.find("serial0");
  EXPECT_EQ(tree.reg_count(uart), 3u);
  EXPECT_EQ(tree.reg(uart, 0).value(), (Region{0x8'0010'0200, 0x100}));
  EXPECT_EQ(tree.reg(uart, 1).error(), Error::OutOfRange) << "larger than the window of the bus";
  EXPECT_EQ(tree.reg(uart, 2).error(), Error::OutOfRange) << "outside the window of the bus";
  EXPECT_EQ(tree.reg(uart, 3).error(), Error::NotFound);
  EXPECT_EQ(tree.reg(*tree.find("/soc/gpio")).value(), (Region{0xf000'0000, 0x800})) << "second entry of ranges";
  EXPECT_EQ(tree.reg(*tree.find("/soc/dark-bus/device")).error(), Error::NotSupported) << "a bus without ranges";
}

TEST(FdtReader, ResolvesInterrupts) {
  const Blob blob = nested_buses();
  const Fdt tree = Fdt::parse(blob).value();
  const Node uart = *tree.find("serial0");
  const GicInterrupt first = decode_gic_interrupt(tree.interrupt(uart, 0).value()).value();
  EXPECT_EQ(first.intid, 37u);
  EXPECT_FALSE(first.edge);
  const GicInterrupt second = decode_gic_interrupt(tree.interrupt(uart, 1).value()).value();
  EXPECT_EQ(second.intid, 25u);
  EXPECT_TRUE(second.edge);
  EXPECT_EQ(tree.interrupt(uart, 2).error(), Error::NotFound);

  const Node key = *tree.find("/soc/key");
  const Interrupt line = tree.interrupt(key, 0).value();
  EXPECT_EQ(line.controller, tree.find("/soc/gpio"));
  EXPECT_EQ(line.cell_count, 2u);
  EXPECT_EQ(decode_gic_interrupt(line).error(), Error::NotSupported);
  EXPECT_EQ(decode_gic_interrupt(tree.interrupt(key, 1).value()).value().intid, 41u);
  EXPECT_EQ(tree.interrupt(key, 2).error(), Error::NotFound);
}

TEST(FdtReader, ReadsPropertiesWithTheirSizes) {
  const Blob blob = build_tree([](Writer& w) {
    w.property("small", 7u);
    w.property("large", u64{1} << 40);
    w.strings("list", {"a", "", "bc"});
    w.bytes("unterminated", std::as_bytes(std::span("abc", 3)));
    w.flag("flag");
  });
  const Fdt tree = Fdt::parse(blob).value();
  const Node root = tree.root();
  EXPECT_EQ(root.property("small")->as_u32().value(), 7u);
  EXPECT_EQ(root.property("small")->as_u64().value(), 7u);
  EXPECT_EQ(root.property("large")->as_u64().value(), u64{1} << 40);
  EXPECT_EQ(root.property("large")->as_u32().error(), Error::Malformed);
  EXPECT_EQ(root.property("large")->cell(2).error(), Error::OutOfRange);
  std::vector<std::string> texts;
  for (std::string_view s : root.property("list")->strings()) texts.emplace_back(s);
  EXPECT_THAT(texts, ElementsAre("a", "", "bc"));
  EXPECT_EQ(root.property("unterminated")->as_string().error(), Error::Malformed);
  EXPECT_FALSE(root.property("unterminated")->strings().contains("abc"));
  EXPECT_TRUE(root.has("flag"));
  EXPECT_FALSE(root.has("fla"));
}

TEST(FdtReader, ListsReservations) {
  const Blob blob = build_tree([](Writer&) {}, [](Writer& w) {
    w.reserve(0x1000, 0x2000);
    w.reserve(u64{1} << 40, 1);
  });
  const Fdt tree = Fdt::parse(blob).value();
  ASSERT_EQ(tree.reservation_count(), 2u);
  EXPECT_EQ(tree.reservation(0), (Region{0x1000, 0x2000}));
  EXPECT_EQ(tree.reservation(1), (Region{u64{1} << 40, 1}));
  EXPECT_EQ(tree.reservation(2), Region{});
}

TEST(FdtReader, AnEmptyTreeHasNothing) {
  const Fdt tree;
  EXPECT_TRUE(tree.root().name().empty());
  EXPECT_TRUE(tree.root().children().begin() == tree.root().children().end());
  EXPECT_FALSE(Node().has("compatible"));
  EXPECT_FALSE(tree.find("/chosen"));
}

TEST(FdtReader, RefusesEveryTruncation) {
  const Blob blob = nested_buses();
  for (usize size = 0; size < blob.size(); ++size) {
    const Blob cut(blob.begin(), blob.begin() + static_cast<std::ptrdiff_t>(size));  // a copy, so that ASan sees overreads
    EXPECT_EQ(Fdt::parse(cut).error(), Error::Truncated) << size;
  }
}

TEST(FdtReader, RefusesAWrongHeader) {
  struct Case {
    HeaderField field;
    u32 value;
    Error error;
  };
  const Case cases[] = {
      {kHeaderMagic, 0xedfe0dd0, Error::Malformed},          {kHeaderVersion, 16, Error::NotSupported},
      {kHeaderLastCompatibleVersion, 18, Error::NotSupported}, {kHeaderTotalSize, 39, Error::Malformed},
      {kHeaderTotalSize, 0xffffffff, Error::Truncated},      {kHeaderStructureOffset, 0xfffffffc, Error::Truncated},
      {kHeaderStructureOffset, 57, Error::Malformed},        {kHeaderStructureSize, 0xfffffff0, Error::Truncated},
      {kHeaderStringsOffset, 0xffffffff, Error::Truncated},  {kHeaderStringsSize, 0xffffffff, Error::Truncated},
      {kHeaderReservationsOffset, 44, Error::Malformed},     {kHeaderReservationsOffset, 0xfffffff8, Error::Truncated},
  };
  for (const Case& c : cases) {
    Blob blob = nested_buses();
    set_cell(blob, c.field, c.value);
    const auto tree = Fdt::parse(blob);
    ASSERT_FALSE(tree) << c.field << " = " << c.value;
    EXPECT_EQ(tree.error(), c.error) << c.field << " = " << c.value;
  }
}

TEST(FdtReader, BoundsTheDepth) {
  const auto nested = [](usize depth) {
    // The writer refuses more than the reader takes, so the deepest level is put in by hand.
    Blob blob = build_tree([&](Writer& w) {
      for (usize i = 1; i < depth; ++i) w.begin_node("n");
      w.bytes("pad", Blob(16));
      for (usize i = 1; i < depth; ++i) w.end_node();
    });
    return blob;
  };
  Blob blob = nested(kMaxDepth);
  const Fdt tree = Fdt::parse(blob).value();
  usize nodes = 0;
  for (Node node : tree.nodes()) nodes += !node.name().empty();
  EXPECT_EQ(nodes, kMaxDepth - 1);

  const Property pad = [&] {
    Property found;
    for (Node node : tree.nodes()) {
      if (const auto p = node.property("pad")) found = *p;
    }
    return found;
  }();
  const usize at = static_cast<usize>(pad.data.data() - blob.data()) - kPropertyHeaderSize;
  const u32 deeper[] = {kTokenBeginNode, 'n' << 24, kTokenEndNode, kTokenNop, kTokenNop, kTokenNop, kTokenNop};
  for (usize i = 0; i < std::size(deeper); ++i) set_cell(blob, at + 4 * i, deeper[i]);
  EXPECT_EQ(Fdt::parse(blob).error(), Error::NotSupported);
}

TEST(FdtReader, ReadsWhatQemuWrites) {
  for (const char* version : {"2", "3"}) {
    const auto blob = test::qemu_tree(std::string("virtualization=on,gic-version=") + version, "-smp 3 -m 5G");
    if (!blob) GTEST_SKIP() << "qemu-system-aarch64 is not installed";
    const Fdt tree = Fdt::parse(*blob).value();
    EXPECT_EQ(tree.reg(*tree.find("/memory")).value(), (Region{0x4000'0000, 5_GiB}));
    const Node uart = *tree.find_compatible("arm,pl011");
    EXPECT_EQ(tree.reg(uart).value(), (Region{0x900'0000, 0x1000}));
    EXPECT_EQ(decode_gic_interrupt(tree.interrupt(uart).value()).value().intid, 33u);
  }
}

TEST(FdtReader, ReadsWhatDtcWrites) {
  const auto blob = test::compile(R"(/dts-v1/;
/memreserve/ 0x10000000 0x4000;
/ { #address-cells = <1>; #size-cells = <1>;
    a: node@10 { reg = <0x10 4>; text = "x", "y"; link = <&b>; };
    b: other { }; };)");
  if (!blob) GTEST_SKIP() << "dtc is not installed";
  const Fdt tree = Fdt::parse(*blob).value();
  EXPECT_EQ(tree.reservation(0), (Region{0x1000'0000, 0x4000}));
  const Node node = *tree.find("/node");
  EXPECT_EQ(tree.reg(node).value(), (Region{0x10, 4}));
  EXPECT_EQ(tree.find_phandle(node.cell_or("link", 0)), tree.find("/other"));
}

}  // namespace
}  // namespace ax::fdt
