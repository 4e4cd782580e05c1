#include "counter.h"

#include <numeric>
#include <vector>

#include "text.h"

size_t counter_add(const char* text) {
  static std::vector<size_t> counts;
  counts.push_back(count_words(text));
  return std::accumulate(counts.begin(), counts.end(), size_t{0});
}
