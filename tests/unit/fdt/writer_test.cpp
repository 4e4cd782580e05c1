#include "kernel/fdt/writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/fdt/trees.hpp"

namespace ax::fdt {
namespace {

using test::Blob;
using ::testing::HasSubstr;

void write_sample(Writer& w) {
  w.reserve(0x8000'0000, 0x1000);
  w.begin_node("");
  w.property("#address-cells", 2u);
  w.string("model", "sample");
  w.begin_node("child@1");
  w.cells("reg", Cells().number(0x1'0000'0000, 2).number(0x1000, 1));
  w.property("phandle", 3u);
  w.flag("on");
  w.end_node();
  w.begin_node("empty");
  w.end_node();
  w.end_node();
}

/// Copies a node with everything in it.
void copy_node(Writer& w, Node node) {
  w.begin_node(node.name());
  for (Property p : node.properties()) w.copy(p);
  for (Node child : node.children()) copy_node(w, child);
  w.end_node();
}

TEST(FdtWriter, WritesWhatTheReaderReads) {
  Blob buffer(4096);
  Writer w(buffer);
  write_sample(w);
  const usize size = w.finish(1).value();
  const Fdt tree = Fdt::parse(std::span(buffer).first(size)).value();
  EXPECT_EQ(tree.blob().size(), size);
  EXPECT_EQ(tree.boot_cpu(), 1u);
  EXPECT_EQ(tree.reservation(0), (Region{0x8000'0000, 0x1000}));
  EXPECT_EQ(tree.root().string("model"), "sample");
  const Node child = *tree.find_phandle(3);
  EXPECT_EQ(child.name(), "child@1");
  EXPECT_EQ(tree.reg(child).value(), (Region{0x1'0000'0000, 0x1000}));
  EXPECT_TRUE(child.has("on"));
  EXPECT_TRUE(tree.find("/empty"));
}

TEST(FdtWriter, FailsWithOutOfMemoryInEverySmallerBuffer) {
  Blob buffer(4096);
  Writer whole(buffer);
  write_sample(whole);
  const usize size = whole.finish().value();
  for (usize capacity = 0; capacity < size; ++capacity) {
    Blob small(capacity);  // of exactly that size, so that ASan sees overruns
    Writer w(small);
    write_sample(w);
    EXPECT_EQ(w.finish().error(), Error::OutOfMemory) << capacity;
  }
}

TEST(FdtWriter, RefusesCallsInTheWrongOrder) {
  const auto error_of = [](auto&& calls) {
    Blob buffer(1024);
    Writer w(buffer);
    calls(w);
    const auto size = w.finish();
    return size ? std::optional<Error>() : std::optional<Error>(size.error());
  };
  EXPECT_EQ(error_of([](Writer&) {}), Error::BadState);
  EXPECT_EQ(error_of([](Writer& w) { w.begin_node(""); }), Error::BadState);
  EXPECT_EQ(error_of([](Writer& w) { w.end_node(); }), Error::BadState);
  EXPECT_EQ(error_of([](Writer& w) { w.flag("early"); }), Error::BadState);
  EXPECT_EQ(error_of([](Writer& w) { w.begin_node(""), w.end_node(), w.begin_node(""), w.end_node(); }), Error::BadState);
  EXPECT_EQ(error_of([](Writer& w) { w.begin_node(""), w.begin_node("a"), w.end_node(), w.flag("late"), w.end_node(); }),
            Error::BadState);
  EXPECT_EQ(error_of([](Writer& w) { w.begin_node("name"), w.end_node(); }), Error::InvalidArgument);
  EXPECT_EQ(error_of([](Writer& w) { w.begin_node(""), w.begin_node("a/b"), w.end_node(), w.end_node(); }), Error::InvalidArgument);
  EXPECT_EQ(error_of([](Writer& w) { w.begin_node(""), w.flag(""), w.end_node(); }), Error::InvalidArgument);
  EXPECT_EQ(error_of([](Writer& w) { w.begin_node(""), w.reserve(1, 1), w.end_node(); }), Error::BadState);
  EXPECT_EQ(error_of([](Writer& w) { w.abort(Error::Busy), w.begin_node(""), w.end_node(); }), Error::Busy);
}

TEST(FdtWriter, StoresANameOnceHoweverOftenItIsUsed) {
  const auto size_with = [](unsigned nodes) {
    return test::build_tree([&](Writer& w) {
      for (unsigned i = 0; i < nodes; ++i) {
        w.begin_node("n" + std::to_string(i));
        w.flag("a-rather-long-property-name");
        w.end_node();
      }
    }).size();
  };
  // begin + "nX\0" padded + property header + end
  EXPECT_EQ(size_with(9) - size_with(8), 4u + 4u + 12u + 4u);
}

TEST(FdtWriter, KeepsMoreNamesThanItRemembers) {
  const Blob blob = test::build_tree([](Writer& w) {
    for (unsigned i = 0; i < 2000; ++i) w.property("name-" + std::to_string(i), i);
  });
  const Fdt tree = Fdt::parse(blob).value();
  for (u32 i = 0; i < 2000; ++i) ASSERT_EQ(tree.root().cell_or("name-" + std::to_string(i), ~0u), i);
}

TEST(FdtWriter, CopiesQemusTreeUnchanged) {
  const auto original = test::qemu_tree("virtualization=on,gic-version=3,dtb-randomness=off", "-smp 4");
  const auto expected = original ? test::decompile(*original) : std::nullopt;
  if (!expected) GTEST_SKIP() << "qemu-system-aarch64 or dtc is not installed";
  const Fdt tree = Fdt::parse(*original).value();
  Blob copy(original->size() + 4096);
  Writer w(copy);
  copy_node(w, tree.root());
  copy.resize(w.finish().value());
  EXPECT_EQ(test::decompile(copy), expected);
}

TEST(FdtWriter, SatisfiesDtc) {
  Blob buffer(4096);
  Writer w(buffer);
  write_sample(w);
  buffer.resize(w.finish().value());
  const auto source = test::decompile(buffer);
  if (!source) GTEST_SKIP() << "dtc is not installed";
  EXPECT_THAT(*source, HasSubstr("reg = <0x01 0x00 0x1000>;"));
  EXPECT_THAT(*source, HasSubstr("/memreserve/\t0x0000000080000000 0x0000000000001000;"));
}

}  // namespace
}  // namespace ax::fdt
