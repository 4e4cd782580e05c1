// What a VM may only ask of certain machines: the rules that depend on the board's architecture.
#pragma once

#include "tools/config/board.hpp"
#include "tools/config/vm.hpp"

namespace ax::config {

/// `board.target` is not null.
void check_machine(const Board& board, const Vm& vm, Diagnostics& diagnostics);

}  // namespace ax::config
