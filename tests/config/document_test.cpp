// Values, defaults, aliases and positions of one file; and the schema tables themselves.
#include <gmock/gmock.h>

#include "tests/config/support.hpp"
#include "tools/config/suggest.hpp"

namespace ax::config::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string vm_with(std::string_view from, std::string_view to) { return replaced(Repository::kVm, from, to); }

TEST(Document, ReadsNumbersInEveryNotation) {
  const Parsed p(kVmSchema, vm_with("0x8000_0000\n", "0o20_000000000\n"));
  EXPECT_EQ(p.messages(), "");
  EXPECT_EQ(p.document->integer("kernel.kernel_load_addr"), 0x8000'0000U);
}

TEST(Document, GivesDefaultsForAbsentKeys) {
  const Parsed p(kVmSchema, std::string(Repository::kVm));
  EXPECT_EQ(p.document->integer("base.vm_type"), 1U);
  EXPECT_EQ(p.document->text("kernel.image_location"), "memory");
  EXPECT_FALSE(p.document->boolean("kernel.strict"));
  EXPECT_TRUE(p.document->rows("devices.emu_devices").empty());
}

TEST(Document, ReadsAliasesOfChoices) {
  struct Case {
    std::string_view written;
    u64 mode;
  };
  for (const Case& c :
       {Case{"no", 0}, {"none", 0}, {"no_irq", 0}, {"emu", 1}, {"emulated", 1}, {"pt", 2}, {"passthrough", 2}}) {
    const Parsed p(kVmSchema,
                   std::string(Repository::kVm) + "[devices]\ninterrupt_mode = \"" + std::string(c.written) + "\"\n");
    EXPECT_EQ(p.messages(), "");
    EXPECT_EQ(p.document->choice("devices.interrupt_mode").number, c.mode) << c.written;
  }
}

TEST(Document, ReadsRowsWithoutTheirTail) {
  const Parsed p(kVmSchema, std::string(Repository::kVm) +
                                "[devices]\npassthrough_devices = [[\"/a\"], [\"b\", 1, 2, 3, 4]]\n"
                                "emu_devices = [[\"c\", 1, 2, 3, 0x20, [1, 2]], [\"d\", 1, 2, 3, 2]]\n");
  EXPECT_EQ(p.messages(), "");
  const std::vector<Row> passthrough = p.document->rows("devices.passthrough_devices");
  EXPECT_EQ(passthrough[0].integer("length"), 0U);
  EXPECT_EQ(passthrough[1].integer("irq"), 4U);
  const std::vector<Row> emulated = p.document->rows("devices.emu_devices");
  EXPECT_THAT(emulated[0].integers("config"), ElementsAre(1, 2));
  EXPECT_THAT(emulated[1].integers("config"), ElementsAre());
}

TEST(Document, KnowsWhereValuesStand) {
  const Parsed p(kVmSchema, std::string(Repository::kVm));
  EXPECT_EQ(p.document->where("base.cpu_num").line, 3U);
  EXPECT_EQ(p.document->where("base.cpu_num").column, 11U);
  EXPECT_EQ(p.document->where("kernel.memory_regions", 0).line, 7U);
  EXPECT_EQ(p.document->where("kernel.strict").line, 4U) << "an absent key is wrong in its table";
}

TEST(Document, RefusesToReadAKeyThatNoSchemaHas) {
  const Parsed p(kVmSchema, std::string(Repository::kVm));
  EXPECT_THROW(p.document->integer("kernel.colour"), std::logic_error);
}

TEST(Document, CountsColumnsInCharacters) {
  const Parsed p(kVmSchema, "[base]\nname = \"\xe5\xae\xa2\xe6\x88\xb7\"  # \xe5\xae\xa2\ncpu_nun = 1\n");
  EXPECT_THAT(p.messages(), HasSubstr("test.toml:3:1: error: unknown key 'cpu_nun'"));
}

TEST(Schema, EveryKeyOfAVmIsRead) {
  Repository repository;
  const Loaded c(repository.options());
  ASSERT_EQ(c.messages(), "");
  const auto& reads = c->vms()[0]->document().reads();
  for (const Section& section : kVmSchema.sections) {
    for (const Key& key : section.keys) {
      if (key.name == "schema") continue;  // its check is its meaning
      const std::string path = std::string(section.name) + "." + std::string(key.name);
      EXPECT_TRUE(reads.contains(path)) << path << " is parsed, but nobody uses it";
    }
  }
}

TEST(Schema, EveryKeyOfABoardIsRead) {
  Repository repository;
  const Loaded c(repository.options());
  for (const Key& key : kBoardSchema.find("")->keys) {
    if (key.name == "schema") continue;
    EXPECT_TRUE(c->board().document->reads().contains(key.name)) << key.name << " is parsed, but nobody uses it";
  }
}

TEST(Schema, TablesAreConsistent) {
  for (const FileSchema* schema : all_schemas()) {
    ASSERT_NE(schema->find(""), nullptr) << schema->id;
    for (const Section& section : schema->sections) {
      for (const Key& key : section.keys) {
        EXPECT_FALSE(key.doc.empty()) << key.name;
        EXPECT_FALSE(key.required && !key.default_value.empty()) << key.name << " is required, its default never used";
        EXPECT_EQ(key.type == Type::Rows, !key.columns.empty()) << key.name;
        EXPECT_TRUE(std::ranges::is_partitioned(key.columns, [](const Column& c) { return c.required; })) << key.name;
        EXPECT_LE(key.min, key.max) << key.name;
      }
    }
  }
}

TEST(Features, NamesAndAliasesAreUnique) {
  std::set<std::string_view> seen;
  for (const Feature& f : all_features()) {
    EXPECT_TRUE(seen.insert(f.name).second) << f.name;
    for (const std::string_view alias : f.aliases) EXPECT_TRUE(seen.insert(alias).second) << alias;
    for (const std::string_view need : f.needs) EXPECT_NE(find_feature(need), nullptr) << need;
  }
}

TEST(Features, IncludeAllOfAxVisor) {
  for (const std::string_view name :
       {"ept-level-4", "dyn-plat", "axstd/myplat", "axstd/bus-mmio", "fs", "sdmmc", "driver/sdmmc", "phytium-blk",
        "driver/phytium-blk", "rk3568-clk", "driver/rk3568-clk", "rk3588-clk", "driver/rk3588-clk", "irq", "smp", "hv",
        "reboot-on-system-off"}) {
    EXPECT_NE(find_feature(name), nullptr) << name;
  }
}

TEST(Suggest, CountsEdits) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kernel_path", "kernel-path"), 0U);
  EXPECT_EQ(edit_distance("smp", "spm"), 1U);
  EXPECT_EQ(edit_distance("cpu_num", "cpu_nmu"), 1U);
}

TEST(Suggest, KeepsQuietWhenNothingIsNear) {
  EXPECT_EQ(nearest("zzz", {"smp", "log"}), std::nullopt);
  EXPECT_EQ(nearest("lgo", {"smp", "log"}), "log");
  EXPECT_EQ(nearest("qemu", {"board", "qemu-aarch64"}), "qemu-aarch64");
  EXPECT_EQ(nearest("", {"a"}), std::nullopt);
}

TEST(DiagnosticsText, MarksTheMistakeBehindTabsAndLongLines) {
  SourceStore sources;
  const SourceFile& file = sources.add("t.toml", "\tkey = 1\n" + std::string(300, 'x') + " here\n");
  Diagnostics d;
  d.error({&file, 1, 2, 3}, "first");
  d.error({&file, 2, 302, 4}, "second");
  EXPECT_EQ(d.render(false),
            "t.toml:1:2: error: first\n    1 |  key = 1\n      |  ^~~\n"
            "t.toml:2:302: error: second\n    2 | " +
                std::string(79, 'x') + " here\n      | " + std::string(80, ' ') + "^~~~\n2 errors\n");
}

TEST(DiagnosticsText, IsColouredOnlyOnRequest) {
  Diagnostics d;
  d.warning({}, "careful").fix("do this");
  EXPECT_EQ(d.render(false), "axconfig: warning: careful\n  fix: do this\n1 warning\n");
  EXPECT_THAT(d.render(true), HasSubstr("\x1b[1;35mwarning"));
}

TEST(DiagnosticsText, NeverPassesControlCharactersOn) {
  SourceStore sources;
  Diagnostics d;
  d.error({&sources.add("t.toml", "a\x1b[2Jb\x80\n"), 1, 1, 1}, "x");
  EXPECT_THAT(d.render(false), HasSubstr("a?[2Jb\n"));
}

TEST(Source, RefusesWhatIsNoConfigurationFile) {
  TemporaryFolder folder;
  SourceStore sources;
  EXPECT_EQ(sources.open(folder / "none.toml", "x").error(), "no such file");
  EXPECT_EQ(sources.open(folder.path(), "x").error(), "not a regular file");
  write_file(folder / "big.toml", std::string(5 << 20, '#'));
  EXPECT_THAT(sources.open(folder / "big.toml", "x").error(), HasSubstr("larger than 4 MiB"));
}

}  // namespace
}  // namespace ax::config::testing
