#include "tools/config/suggest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace ax::config {
namespace {

char fold(char c) { return c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Words longer than this are not names somebody mistyped; the cost of a comparison is quadratic.
constexpr usize kMaxWord = 64;

}  // namespace

usize edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<usize>> d(a.size() + 1, std::vector<usize>(b.size() + 1));
  for (usize i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (usize j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (usize i = 1; i <= a.size(); ++i) {
    for (usize j = 1; j <= b.size(); ++j) {
      const bool same = fold(a[i - 1]) == fold(b[j - 1]);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]);
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.empty() || word.size() > kMaxWord) return std::nullopt;
  const usize limit = std::max<usize>(1, word.size() / 3);
  std::optional<std::string> best;
  usize best_distance = limit + 1;
  for (const std::string& candidate : candidates) {
    const usize distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  // Nothing alike: perhaps only the beginning was typed.
  constexpr usize kShortestBeginning = 3;
  for (const std::string& candidate : candidates) {
    if (!best && word.size() >= kShortestBeginning && candidate.starts_with(word)) best = candidate;
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates, std::string otherwise) {
  const std::optional<std::string> found = nearest(word, candidates);
  return found ? fmt::format("did you mean '{}'?", *found) : otherwise;
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += separator;
    out += word;
  }
  return out;
}

}  // namespace ax::config
