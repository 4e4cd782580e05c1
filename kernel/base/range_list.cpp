#include "kernel/base/range_list.hpp"

#include <algorithm>

namespace ax {

usize sort_and_join(std::span<HpaRange> ranges) {
  sort_ranges(ranges);
  usize kept = 0;
  for (const HpaRange& range : ranges) {
    if (kept > 0 && range.base <= ranges[kept - 1].end()) {
      ranges[kept - 1].size = std::max(ranges[kept - 1].end(), range.end()) - ranges[kept - 1].base;
    } else {
      ranges[kept++] = range;
    }
  }
  return kept;
}

}  // namespace ax
