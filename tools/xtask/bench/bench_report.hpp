// Results of the benchmarks: read from what the benchmark guests print, compared with what was recorded before, and shown.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ax::xtask {

/// One operation, measured `n` times.
struct BenchRow {
  std::uint64_t n = 0;
  std::uint64_t exits = 0;         ///< by the hypervisor's own count
  std::uint64_t instructions = 0;  ///< of all of them, with the loop around the operation

  /// Instructions of one operation, rounded down as the guests' manuals do.
  std::uint64_t each() const { return n == 0 ? 0 : instructions / n; }
  friend bool operator==(const BenchRow&, const BenchRow&) = default;
};

/// By suite ("exits-gicv3") and row ("psci_version").
using BenchResults = std::map<std::string, std::map<std::string, BenchRow>>;

/// One recorded run.
struct BenchRecord {
  std::string date;    ///< YYYY-MM-DD
  std::string commit;  ///< abbreviated
  BenchResults results;
};

/// What a row is meant to cost, from the suite's limits file.
using BenchBudgets = std::map<std::string, std::map<std::string, std::uint64_t>>;

/// JSON objects, one a line; with name, n, exits and instructions. Throws Failure(Failure) that names `file` and the line.
std::map<std::string, BenchRow> parse_bench_rows(std::string_view text, const std::string& file);
/// Row to budget. Throws Failure(Usage).
std::map<std::string, std::uint64_t> parse_bench_budgets(std::string_view text, const std::string& file);
/// Throws Failure(Usage). An empty text is an empty history.
std::vector<BenchRecord> parse_bench_history(std::string_view text, const std::string& file);
std::string format_bench_history(const std::vector<BenchRecord>& history);
/// The results alone, for programs.
std::string format_bench_json(const BenchResults& results);

/// The newest recorded value of a row, if there is one.
const BenchRow* last_recorded(const std::vector<BenchRecord>& history, const std::string& suite, const std::string& row);

struct BenchRegression {
  std::string suite, row;
  std::uint64_t before = 0, after = 0;  ///< instructions of one operation
};
/// Rows that cost more than 2% above their newest recorded value.
std::vector<BenchRegression> regressions(const BenchResults& results, const std::vector<BenchRecord>& history);

/// For a terminal.
std::string format_bench_table(const BenchResults& results, const std::vector<BenchRecord>& history, const BenchBudgets& budgets);
/// For docs/performance.md.
std::string format_bench_markdown(const BenchResults& results, const BenchBudgets& budgets);
/// `page` with what stands between its two marks replaced by `table`. Throws Failure(Usage) where it has no marks.
std::string with_bench_table(const std::string& page, const std::string& table);
/// Every row as a bar beside its budget, with the course of its recorded values.
std::string bench_plot(const BenchResults& results, const std::vector<BenchRecord>& history, const BenchBudgets& budgets);

}  // namespace ax::xtask
