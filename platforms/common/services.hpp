// The live tables, for tests and reports.
#pragma once

#include <root.hpp>

namespace ax::platform {

/// Calls visit(mm::MappedLeaf<Hva>) for every leaf of the live tables, by rising address.
template <class Visit>
void walk_memory_map(Visit visit) {
  Root::instance().space.walk(visit);
}

/// Where the live tables lead; nothing where nothing is mapped.
inline std::optional<mm::Translation> translate(Hva address) { return Root::instance().space.translate(address); }

}  // namespace ax::platform
