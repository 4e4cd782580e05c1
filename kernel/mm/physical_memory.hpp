// The hypervisor's view of RAM: every frame is mapped, readable and writable, at its physical address.
#pragma once

#include <cstddef>

#include "kernel/base/types.hpp"

namespace ax::mm {

/// Host-virtual address of RAM. The one place that knows of the identity map; in unit tests "RAM" is a block of the test's
/// own address space, so that it holds there too.
constexpr Hva direct_map(Hpa address) { return Hva(address.value()); }

inline std::byte* direct_map_pointer(Hpa address) { return reinterpret_cast<std::byte*>(direct_map(address).value()); }

}  // namespace ax::mm
