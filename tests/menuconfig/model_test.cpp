#include "tools/menuconfig/model.hpp"

#include "tests/menuconfig/tree.hpp"
#include "tools/config/run_schema.hpp"
#include "tools/xtask/core/failure.hpp"
#include "tools/xtask/run/run_config.hpp"

namespace ax::menuconfig::testing {
namespace {

class ModelTest : public Tree {
 protected:
  ModelTest() : model_(places()) { EXPECT_TRUE(model_.open(FileKind::Board, path(".build.toml"))); }
  Row row(std::string_view name, usize file = 0) { return row_of(model_, file, name); }
  std::string set(std::string_view name, std::string_view input, usize file = 0) {
    const auto result = model_.set(file, row(name, file), input);
    return result ? "" : result.error();
  }
  std::string toggle(std::string_view name, std::string_view option, usize file = 0) {
    const auto result = model_.toggle(file, row(name, file), option);
    return result ? "" : result.error();
  }
  const std::string& text(usize file = 0) { return model_.files()[file].text; }
  const Option& option(const std::vector<Option>& all, std::string_view value) {
    const auto it = std::ranges::find(all, value, &Option::value);
    EXPECT_NE(it, all.end()) << value;
    return *it;
  }

  Model model_;
};

TEST_F(ModelTest, OpensTheVmsOfTheBoard) {
  ASSERT_EQ(model_.files().size(), 2U);
  EXPECT_EQ(model_.files()[1].title, "VM small");
  EXPECT_EQ(model_.files()[1].shown, "configs/vms/small.toml");
  EXPECT_EQ(toggle("default_vms", "other"), "");
  ASSERT_EQ(model_.files().size(), 3U);
  EXPECT_EQ(model_.files()[2].title, "VM other");
}

TEST_F(ModelTest, ChangesOneValueAndNothingElse) {
  EXPECT_EQ(set("log", "Debug"), "");
  std::string expected(kBoardText);
  expected.replace(expected.find("\"Info\""), 6, "\"Debug\"");
  EXPECT_EQ(text(), expected);
  ASSERT_EQ(model_.changes(0).size(), 1U);
  EXPECT_EQ(model_.changes(0)[0].path, "log");
  EXPECT_EQ(model_.changes(0)[0].before, "\"Info\"");
  EXPECT_EQ(model_.changes(0)[0].after, "\"Debug\"");
}

TEST_F(ModelTest, TakesOnlyValidValues) {
  EXPECT_EQ(set("log", "Loud"), "'log' has no value 'Loud': use one of: Error, Warn, Info, Debug, Trace");
  EXPECT_EQ(set("smp", "0"), "'smp' is 0, outside its range: 1 to 64");
  EXPECT_EQ(set("smp", "four"), "'four' is no number: write a number, 1 to 64");
  EXPECT_EQ(set("smp", "1\n[evil]"), "a value is one line");
  EXPECT_EQ(set("to_bin", "yes"), "write true or false");
  EXPECT_EQ(set("base.name", "", 1), "'name' is empty: remove the key, or give it a value");
  const auto no_row = model_.set_items(1, row("kernel.memory_regions", 1), {"[1, 2]"});
  ASSERT_FALSE(no_row);
  EXPECT_EQ(no_row.error(), "'memory_regions[0]' has 2 values, fewer than it takes: write base, size, flags, map_type, [shared]");
  const auto several = model_.set_items(1, row("kernel.memory_regions", 1), {"[1, 2, 7, 0], [3, 4, 7, 0]"});
  ASSERT_FALSE(several);
  EXPECT_THAT(several.error(), HasSubstr("is no element"));
  EXPECT_FALSE(model_.changed());
  EXPECT_FALSE(model_.can_undo());
}

TEST_F(ModelTest, AMistakeThatWasThereDoesNotStopOthersFromBeingMended) {
  write("broken.toml", "[base]\nname = \"\"\ncpu_num = 0\n[kernel]\nkernel_path = \"k\"\nmemory_regions = []\n");
  const usize file = *model_.open(FileKind::Vm, path("broken.toml"));
  EXPECT_EQ(model_.problems(file).size(), 2U);
  EXPECT_EQ(set("base.cpu_num", "2", file), "");
  EXPECT_EQ(model_.problems(file).size(), 1U);
}

TEST_F(ModelTest, FeaturesHaveDescriptionsAndDependencies) {
  const std::vector<Option> features = model_.options(0, row("features"));
  EXPECT_TRUE(option(features, "ept-level-4").selected);
  EXPECT_FALSE(option(features, "sdmmc").selected);
  EXPECT_THAT(option(features, "sdmmc").doc, HasSubstr("Needs fs, which comes with it."));
  EXPECT_EQ(option(features, "irq").note, "always on");
  EXPECT_EQ(option(features, "axstd/myplat").forbidden, "not on aarch64-dyn");
  EXPECT_EQ(toggle("features", "fs"), "");
  EXPECT_EQ(toggle("features", "sdmmc"), "");
  EXPECT_EQ(option(model_.options(0, row("features")), "fs").note, "comes with sdmmc");
  EXPECT_EQ(toggle("features", "axstd/myplat"), "axstd/myplat: not on aarch64-dyn");
  EXPECT_THAT(text(), HasSubstr("features = [\n  \"ept-level-4\",  # needed by the big guest\n  \"sdmmc\",\n]\n"));
}

TEST_F(ModelTest, ASpellingOfAFeatureIsTheFeature) {
  EXPECT_EQ(toggle("features", "driver/sdmmc"), "");
  EXPECT_TRUE(option(model_.options(0, row("features")), "sdmmc").selected);
  EXPECT_EQ(toggle("features", "sdmmc"), "");
  EXPECT_EQ(text(), kBoardText);
}

TEST_F(ModelTest, OffersTheVmFilesThatThereAre) {
  EXPECT_FALSE(option(model_.options(0, row("default_vms")), "other").selected);
  EXPECT_TRUE(option(model_.options(0, row("default_vms")), "small").selected);
  EXPECT_FALSE(option(model_.options(0, row("vm_configs")), "configs/vms/other.toml").selected);
}

TEST_F(ModelTest, OtherTargetsAreCheckedAgainstTheWholeBoard) {
  EXPECT_TRUE(model_.problems(0).empty());
  EXPECT_EQ(set("platform", "x86-qemu-q35"), "");
  ASSERT_FALSE(model_.problems(0).empty());
  EXPECT_THAT(model_.problems(0).front(), HasSubstr("x86-qemu-q35"));
  EXPECT_EQ(set("target", "x86_64-unknown-none"), "");
  EXPECT_TRUE(model_.problems(0).empty());
}

TEST_F(ModelTest, UndoesAndRedoesInOrderOverAllFiles) {
  const std::string vm = text(1);
  set("smp", "4");
  set("base.cpu_num", "2", 1);
  set("smp", "8");
  EXPECT_TRUE(model_.undo());
  EXPECT_THAT(text(), HasSubstr("smp = 4\n"));
  EXPECT_TRUE(model_.undo());
  EXPECT_EQ(text(1), vm);
  EXPECT_TRUE(model_.undo());
  EXPECT_EQ(text(), kBoardText);
  EXPECT_FALSE(model_.undo());
  EXPECT_TRUE(model_.redo());
  EXPECT_THAT(text(), HasSubstr("smp = 4\n"));
  set("smp", "2");
  EXPECT_FALSE(model_.redo()) << "a new change ends what could be redone";
}

TEST_F(ModelTest, TheDefaultHoldsWhereTheFileSaysNothing) {
  EXPECT_EQ(model_.shown_value(0, row("to_bin")), "[false]");
  EXPECT_EQ(model_.shown_value(0, row("log")), "Info");
  EXPECT_TRUE(model_.unset(0, row("log")));
  EXPECT_EQ(model_.shown_value(0, row("log")), "[Info]");
  EXPECT_FALSE(model_.unset(1, row("base.name", 1))) << "it is required";
  EXPECT_TRUE(model_.toggle(0, row("to_bin")));
  EXPECT_THAT(text(), HasSubstr("to_bin = true\n"));
}

TEST_F(ModelTest, SearchesNamesValuesAndDescriptions) {
  const auto first = [&](std::string_view query) {
    const auto hits = model_.search(query);
    return hits.empty() ? "" : model_.rows(hits[0].file)[hits[0].row].path;
  };
  EXPECT_EQ(first("TO_BIN"), "to_bin");
  EXPECT_EQ(first("detailed log"), "log");
  EXPECT_EQ(first("k.bin"), "kernel.kernel_path");
  EXPECT_EQ(first("no such thing anywhere"), "");
  EXPECT_TRUE(model_.search(" ").empty());
}

TEST_F(ModelTest, EveryKeyHasHelp) {
  ASSERT_TRUE(model_.open(FileKind::Qemu, path(".qemu-aarch64.toml")));
  ASSERT_TRUE(model_.open(FileKind::Uboot, path(".uboot.toml")));
  for (usize file = 0; file < model_.files().size(); ++file) {
    for (const Row& r : model_.rows(file)) {
      EXPECT_THAT(model_.help(r), HasSubstr("Value: "));
      EXPECT_GT(r.key->doc.size(), 10U) << r.path;
    }
  }
}

TEST_F(ModelTest, SavesWithABackupBesideIt) {
  set("smp", "4");
  const auto written = model_.save(true);
  ASSERT_TRUE(written) << written.error();
  EXPECT_EQ(*written, std::vector<std::string>{".build.toml"});
  EXPECT_EQ(read(".build.toml"), text());
  EXPECT_FALSE(model_.changed());
  std::vector<std::string> backups;
  for (const auto& entry : fs::directory_iterator(path(""))) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".build.toml.")) backups.push_back(name);
  }
  ASSERT_EQ(backups.size(), 1U);
  EXPECT_THAT(backups[0], ::testing::MatchesRegex("\\.build\\.toml\\.backup_[0-9]{8}_[0-9]{6}"));
  EXPECT_EQ(read(backups[0]), kBoardText);
}

TEST_F(ModelTest, MakesAFileThatWasNotThere) {
  const usize file = *model_.open(FileKind::Qemu, path(".qemu-aarch64.toml"), "# ours\nargs = []\n");
  EXPECT_FALSE(model_.changed());
  EXPECT_EQ(set("timeout", "60", file), "");
  ASSERT_TRUE(model_.save(true));
  EXPECT_EQ(read(".qemu-aarch64.toml"), "# ours\nargs = []\ntimeout = 60\n");
}

TEST_F(ModelTest, NeverOverwritesWhatSomebodyElseWrote) {
  set("smp", "4");
  set("base.cpu_num", "2", 1);
  write("configs/vms/small.toml", "# theirs\n");
  const auto written = model_.save(false);
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error(), HasSubstr("configs/vms/small.toml was changed by somebody else"));
  EXPECT_EQ(read(".build.toml"), kBoardText) << "all or nothing";
  EXPECT_EQ(read("configs/vms/small.toml"), "# theirs\n");
}

TEST_F(ModelTest, KeepsWhatItDoesNotKnow) {
  write("strange.toml", "args = [\"-a\"]\nunknown = 1 # kept\n[[steps]]\nexpect = \"x\"\n");
  const usize file = *model_.open(FileKind::Qemu, path("strange.toml"));
  EXPECT_EQ(set("uefi", "true", file), "");
  EXPECT_EQ(text(file), "args = [\"-a\"]\nunknown = 1 # kept\nuefi = true\n[[steps]]\nexpect = \"x\"\n");
}

/// The schema of QEMU's file and the program that reads the file must know the same keys.
TEST_F(ModelTest, TheRunnerKnowsEveryKeyOfItsFile) {
  write("run.toml", "");
  for (const config::Key& key : config::kQemuSchema.sections[0].keys) {
    constexpr std::string_view values[] = {"2", "false", "\"\"", "[]"};
    const std::string value(values[static_cast<usize>(key.type)]);
    try {
      xtask::load_run_config(path("run.toml"), {{std::string(key.name), value}}, xtask::Variables(12345));
    } catch (const xtask::Failure& failure) {
      EXPECT_THAT(failure.what(), Not(HasSubstr("unknown key"))) << key.name;
      EXPECT_THAT(failure.what(), Not(HasSubstr("must be a"))) << key.name;
    }
  }
}

TEST_F(ModelTest, RefusesWhatIsNoToml) {
  write("no.toml", "a = = 1\n");
  const auto opened = model_.open(FileKind::Vm, path("no.toml"));
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error(), HasSubstr("no.toml:1"));
}

}  // namespace
}  // namespace ax::menuconfig::testing
