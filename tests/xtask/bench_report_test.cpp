#include "tools/xtask/bench/bench_report.hpp"

#include <gmock/gmock.h>

#include "tests/xtask/support.hpp"

namespace ax::xtask::test {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kRows =
    "{\"name\": \"hypercall\", \"n\": 1000, \"exits\": 1000, \"instructions\": 100999, \"loop\": 4}\n"
    "{\"name\": \"wake\", \"n\": 10, \"exits\": 30, \"instructions\": 15000}\n";

BenchResults results(std::string_view rows = kRows) { return {{"exits", parse_bench_rows(rows, "rows.json")}}; }

BenchResults costing(std::uint64_t instructions, std::uint64_t n = 1000) {
  return {{"exits", {{"hypercall", {n, n, instructions}}}}};
}

TEST(BenchReportTest, ReadsWhatTheGuestsPrint) {
  const auto rows = results().at("exits");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows.at("hypercall"), (BenchRow{1000, 1000, 100999}));
  EXPECT_EQ(rows.at("hypercall").each(), 100U);
}

TEST(BenchReportTest, SaysWhichRowIsWrong) {
  EXPECT_EQ(std::string(failure_of([] { parse_bench_rows("\n{\"name\": \"a\", \"n\": 1}\n", "f.json"); }).what()),
            "f.json:2: no row with name, n, exits and instructions");
  const std::string twice = std::string(kRows) + std::string(kRows);
  EXPECT_EQ(std::string(failure_of([&] { parse_bench_rows(twice, "f.json"); }).what()),
            "f.json:3: the row 'hypercall' is there twice");
}

TEST(BenchReportTest, TwoPercentMoreIsARegression) {
  const std::vector<BenchRecord> history{{"2026-01-01", "old", costing(50'000)}, {"2026-01-02", "new", costing(100'000)}};
  EXPECT_TRUE(regressions(costing(102'000), history).empty()) << "exactly 2% is not more";
  EXPECT_TRUE(regressions(costing(51'000'000, 500'000), history).empty()) << "by operation, not in total";
  EXPECT_TRUE(regressions(costing(10'000), history).empty());
  const auto worse = regressions(costing(102'001), history);
  ASSERT_EQ(worse.size(), 1U);
  EXPECT_EQ(worse[0].row, "hypercall");
  EXPECT_EQ(worse[0].before, 100U);
  EXPECT_TRUE(regressions(costing(1'000'000), {}).empty()) << "nothing to compare with";
}

TEST(BenchReportTest, ComparesWithTheNewestRecordThatHasTheRow) {
  const std::vector<BenchRecord> history{{"2026-01-01", "a", costing(100'000)}, {"2026-01-02", "b", {{"other", {}}}}};
  EXPECT_EQ(regressions(costing(103'000), history).size(), 1U);
}

TEST(BenchReportTest, HistoryIsReadBackAsItWasWritten) {
  const std::vector<BenchRecord> history{{"2026-01-01", "abc", results()}};
  const auto again = parse_bench_history(format_bench_history(history), "history.json");
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].commit, "abc");
  EXPECT_EQ(again[0].results, history[0].results);
  EXPECT_TRUE(parse_bench_history("", "history.json").empty());
  EXPECT_THAT(failure_of([] { parse_bench_history("[{}]", "history.json"); }).what(), HasSubstr("history.json: "));
}

TEST(BenchReportTest, TablesHaveEveryNumber) {
  const BenchBudgets budgets{{"exits", {{"hypercall", 90}}}};
  const std::string table = format_bench_table(results(), {{"2026-01-01", "a", costing(101'009)}}, budgets);
  EXPECT_THAT(table, HasSubstr("exits            hypercall             1000      1           100       90    -0.0%\n"));
  EXPECT_THAT(table, HasSubstr("exits            wake                    10      3          1500        -      new\n"));
  const std::string markdown = format_bench_markdown(results(), budgets);
  EXPECT_THAT(markdown, HasSubstr("| `exits` | `hypercall` | 1000 | 1 | 100 | 90, missed |\n"));
  const std::string page =
      with_bench_table("a\n<!-- table: ./xtask bench --record -->\nold\n<!-- end of table -->\nb\n", markdown);
  EXPECT_EQ(page, "a\n<!-- table: ./xtask bench --record -->\n" + markdown + "<!-- end of table -->\nb\n");
  EXPECT_THAT(failure_of([] { with_bench_table("", ""); }).what(), HasSubstr("has no place for the table"));
}

TEST(BenchReportTest, ThePlotHasABarForEveryRowAndACourseForTwoRecords) {
  const std::vector<BenchRecord> history{{"2026-01-01", "a", costing(100'000)}, {"2026-01-02", "b", costing(90'000)}};
  const std::string plot = bench_plot(results(), history, {{"exits", {{"hypercall", 90}}}});
  for (const char* part : {"exits / hypercall", "exits / wake", "<polyline", "stroke-width=\"2\"", "</svg>"}) {
    EXPECT_THAT(plot, HasSubstr(part));
  }
}

TEST(BenchCommandTest, ReportsWhatWasMeasuredAndFailsOnARegression) {
  const ScratchTree tree;
  tree.write("build/b/tests/bench/rows_exits.json", kRows);
  tree.write("docs/performance.md", "<!-- table: ./xtask bench --record -->\n<!-- end of table -->\n");
  const std::string folder = (tree.root() / "build/b").string();
  EXPECT_EQ(tree.xtask({"bench", "--measured", folder, "--record"}).status, 0);
  EXPECT_THAT(read_file(tree.root() / "docs/performance.md"), HasSubstr("| `exits` | `wake` |"));
  EXPECT_TRUE(std::filesystem::exists(tree.root() / "docs/performance.svg"));
  EXPECT_EQ(tree.xtask({"bench", "--measured", folder}).status, 0);
  tree.write("build/b/tests/bench/rows_exits.json", "{\"name\": \"wake\", \"n\": 10, \"exits\": 30, \"instructions\": 15301}\n");
  const ProgramResult worse = tree.xtask({"bench", "--measured", folder, "--json"});
  EXPECT_EQ(worse.status, 1);
  EXPECT_THAT(worse.output, HasSubstr("exits: wake costs 1530 instructions, 1500 when it was recorded last"));
  EXPECT_THAT(worse.output, HasSubstr("\"instructions\": 15301"));
  EXPECT_EQ(tree.xtask({"bench", "--measured", "nowhere"}).status, 2);
}

}  // namespace
}  // namespace ax::xtask::test
