// Ports of this machine that lead into an emulated one.
#pragma once

#include <vector>

#include "tools/app/application.hpp"

namespace ax::xtask {

/// Throws Failure(Environment) that names the first port which another program has: QEMU's own words do not say what to do.
void require_free_ports(const std::vector<app::PortForward>& ports);

}  // namespace ax::xtask
