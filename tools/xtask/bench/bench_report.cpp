#include "tools/xtask/bench/bench_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "tools/xtask/core/failure.hpp"

namespace ax::xtask {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kTolerancePercent = 2;
constexpr std::string_view kTableStart = "<!-- table: ./xtask bench --record -->\n";
constexpr std::string_view kTableEnd = "<!-- end of table -->\n";

BenchRow row_of(const Json& json) {
  return {json.at("n").get<std::uint64_t>(), json.at("exits").get<std::uint64_t>(), json.at("instructions").get<std::uint64_t>()};
}

Json json_of(const BenchRow& row) { return {{"n", row.n}, {"exits", row.exits}, {"instructions", row.instructions}}; }

Json json_of(const BenchResults& results) {
  Json suites = Json::object();
  for (const auto& [suite, rows] : results) {
    for (const auto& [name, row] : rows) {
      suites[suite][name] = json_of(row);
    }
  }
  return suites;
}

std::optional<std::uint64_t> budget_of(const BenchBudgets& budgets, const std::string& suite, const std::string& row) {
  const auto in_suite = budgets.find(suite);
  if (in_suite == budgets.end()) {
    return std::nullopt;
  }
  const auto found = in_suite->second.find(row);
  return found == in_suite->second.end() ? std::nullopt : std::optional(found->second);
}

double exits_each(const BenchRow& row) { return row.n == 0 ? 0 : static_cast<double>(row.exits) / static_cast<double>(row.n); }

/// Compares totals, exactly: `after` is dearer than `before` by more than the tolerance.
bool dearer(const BenchRow& before, const BenchRow& after) {
  return before.n != 0 && after.n != 0 &&
         static_cast<__uint128_t>(after.instructions) * before.n * 100 >
             static_cast<__uint128_t>(before.instructions) * after.n * (100 + kTolerancePercent);
}

std::string change_text(const BenchRow& row, const BenchRow* before) {
  if (before == nullptr || before->each() == 0) {
    return "new";
  }
  const double percent = 100.0 * (static_cast<double>(row.instructions) / static_cast<double>(row.n)) /
                             (static_cast<double>(before->instructions) / static_cast<double>(before->n)) - 100.0;
  return row.instructions * before->n == before->instructions * row.n ? "=" : fmt::format("{:+.1f}%", percent);
}

}  // namespace

std::map<std::string, BenchRow> parse_bench_rows(std::string_view text, const std::string& file) {
  std::map<std::string, BenchRow> rows;
  std::istringstream lines{std::string(text)};
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty()) {
      continue;
    }
    try {
      const Json json = Json::parse(line);
      const std::string name = json.at("name").get<std::string>();
      if (!rows.emplace(name, row_of(json)).second) {
        throw Failure(ExitCode::Failure, fmt::format("{}:{}: the row '{}' is there twice", file, number, name));
      }
    } catch (const Json::exception&) {
      throw Failure(ExitCode::Failure, fmt::format("{}:{}: no row with name, n, exits and instructions", file, number));
    }
  }
  return rows;
}

std::map<std::string, std::uint64_t> parse_bench_budgets(std::string_view text, const std::string& file) {
  try {
    std::map<std::string, std::uint64_t> budgets;
    for (const Json& json : Json::parse(text)) {
      budgets[json.at("name").get<std::string>()] = json.at("budget").get<std::uint64_t>();
    }
    return budgets;
  } catch (const Json::exception& error) {
    throw Failure(ExitCode::Usage, fmt::format("{}: {}", file, error.what()));
  }
}

std::vector<BenchRecord> parse_bench_history(std::string_view text, const std::string& file) {
  std::vector<BenchRecord> history;
  if (text.empty()) {
    return history;
  }
  try {
    for (const Json& json : Json::parse(text)) {
      BenchRecord& record = history.emplace_back(json.at("date").get<std::string>(), json.at("commit").get<std::string>());
      for (const auto& [suite, rows] : json.at("suites").items()) {
        for (const auto& [name, row] : rows.items()) {
          record.results[suite][name] = row_of(row);
        }
      }
    }
  } catch (const Json::exception& error) {
    throw Failure(ExitCode::Usage, fmt::format("{}: {}", file, error.what()));
  }
  return history;
}

std::string format_bench_history(const std::vector<BenchRecord>& history) {
  Json out = Json::array();
  for (const BenchRecord& record : history) {
    out.push_back({{"date", record.date}, {"commit", record.commit}, {"suites", json_of(record.results)}});
  }
  return out.dump(1) + "\n";
}

std::string format_bench_json(const BenchResults& results) { return json_of(results).dump(1) + "\n"; }

const BenchRow* last_recorded(const std::vector<BenchRecord>& history, const std::string& suite, const std::string& row) {
  for (auto record = history.rbegin(); record != history.rend(); ++record) {
    const auto in_suite = record->results.find(suite);
    if (in_suite == record->results.end()) {
      continue;
    }
    const auto found = in_suite->second.find(row);
    if (found != in_suite->second.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

std::vector<BenchRegression> regressions(const BenchResults& results, const std::vector<BenchRecord>& history) {
  std::vector<BenchRegression> out;
  for (const auto& [suite, rows] : results) {
    for (const auto& [name, row] : rows) {
      const BenchRow* before = last_recorded(history, suite, name);
      if (before != nullptr && dearer(*before, row)) {
        out.push_back({suite, name, before->each(), row.each()});
      }
    }
  }
  return out;
}

std::string format_bench_table(const BenchResults& results, const std::vector<BenchRecord>& history, const BenchBudgets& budgets) {
  std::string out = fmt::format("{:<16} {:<18} {:>7} {:>6} {:>13} {:>8} {:>8}\n", "SUITE", "OPERATION", "N", "EXITS", "INSTRUCTIONS",
                                "BUDGET", "CHANGE");
  for (const auto& [suite, rows] : results) {
    for (const auto& [name, row] : rows) {
      const auto budget = budget_of(budgets, suite, name);
      out += fmt::format("{:<16} {:<18} {:>7} {:>6} {:>13} {:>8} {:>8}\n", suite, name, row.n, fmt::format("{:g}", exits_each(row)),
                         row.each(), budget ? std::to_string(*budget) : "-", change_text(row, last_recorded(history, suite, name)));
    }
  }
  return out;
}

std::string format_bench_markdown(const BenchResults& results, const BenchBudgets& budgets) {
  std::string out = "| suite | operation | n | exits each | instructions each | budget |\n|---|---|---|---|---|---|\n";
  for (const auto& [suite, rows] : results) {
    for (const auto& [name, row] : rows) {
      const auto budget = budget_of(budgets, suite, name);
      out += fmt::format("| `{}` | `{}` | {} | {:g} | {} | {} |\n", suite, name, row.n, exits_each(row), row.each(),
                         budget ? fmt::format("{}{}", *budget, row.each() > *budget ? ", missed" : "") : "");
    }
  }
  return out;
}

std::string with_bench_table(const std::string& page, const std::string& table) {
  const size_t start = page.find(kTableStart);
  const size_t end = page.find(kTableEnd);
  if (start == std::string::npos || end == std::string::npos || end < start) {
    throw Failure(ExitCode::Usage, "docs/performance.md has no place for the table",
                  fmt::format("it goes between the lines '{}' and '{}'", kTableStart.substr(0, kTableStart.size() - 1),
                              kTableEnd.substr(0, kTableEnd.size() - 1)));
  }
  return page.substr(0, start + kTableStart.size()) + table + page.substr(end);
}

std::string bench_plot(const BenchResults& results, const std::vector<BenchRecord>& history, const BenchBudgets& budgets) {
  constexpr int kRowHeight = 22, kLeft = 250, kBars = 420, kCourse = 120, kWidth = kLeft + kBars + kCourse + 90;
  std::uint64_t most = 1;
  int count = 0;
  for (const auto& [suite, rows] : results) {
    for (const auto& [name, row] : rows) {
      most = std::max({most, row.each(), budget_of(budgets, suite, name).value_or(0)});
      ++count;
    }
  }
  const auto x_of = [&](std::uint64_t value) { return kLeft + static_cast<double>(value) * kBars / static_cast<double>(most); };
  const int height = 40 + count * kRowHeight + 10;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n"
      "<text x=\"10\" y=\"20\" font-weight=\"bold\">Instructions of one operation; the line is its budget; right: recorded values</text>\n",
      kWidth, height);
  int y = 34;
  for (const auto& [suite, rows] : results) {
    for (const auto& [name, row] : rows) {
      const auto budget = budget_of(budgets, suite, name);
      const bool good = !budget || row.each() <= *budget;
      out += fmt::format("<text x=\"10\" y=\"{}\">{} / {}</text>\n<rect x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"14\" fill=\"{}\"/>\n",
                         y + 15, suite, name, kLeft, y + 4, x_of(row.each()) - kLeft, good ? "#3b78b5" : "#c98a2b");
      if (budget) {
        out += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#222\" stroke-width=\"2\"/>\n", x_of(*budget),
                           y + 1, y + 21);
      }
      out += fmt::format("<text x=\"{:.1f}\" y=\"{}\">{}</text>\n", x_of(std::max(row.each(), budget.value_or(0))) + 6, y + 15, row.each());
      std::vector<std::uint64_t> course;
      for (const BenchRecord& record : history) {
        const auto in_suite = record.results.find(suite);
        if (in_suite == record.results.end()) {
          continue;
        }
        const auto found = in_suite->second.find(name);
        if (found != in_suite->second.end()) {
          course.push_back(found->second.each());
        }
      }
      if (course.size() > 1) {
        const std::uint64_t top = std::max<std::uint64_t>(*std::max_element(course.begin(), course.end()), 1);
        std::string points;
        for (size_t i = 0; i < course.size(); ++i) {
          points += fmt::format("{:.1f},{:.1f} ", kLeft + kBars + 70 + static_cast<double>(i) * kCourse / static_cast<double>(course.size() - 1),
                                y + 18 - 14.0 * static_cast<double>(course[i]) / static_cast<double>(top));
        }
        out += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"#777\"/>\n", points);
      }
      y += kRowHeight;
    }
  }
  return out + "</svg>\n";
}

}  // namespace ax::xtask
