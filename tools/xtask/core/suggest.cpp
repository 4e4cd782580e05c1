#include "tools/xtask/core/suggest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace ax::xtask {
namespace {

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_last(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest(std::string_view wrong, std::span<const std::string> candidates) {
  const size_t most_edits = std::max<size_t>(1, wrong.size() / 3);
  std::string best;
  size_t best_distance = most_edits + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.empty()) {
      continue;
    }
    const bool extends = wrong.size() >= 3 && (candidate.starts_with(wrong) || wrong.starts_with(candidate));
    const size_t distance = extends ? 1 : edit_distance(wrong, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view wrong, std::span<const std::string> candidates) {
  const std::string best = nearest(wrong, candidates);
  return best.empty() ? "" : "; did you mean '" + best + "'?";
}

}  // namespace ax::xtask
