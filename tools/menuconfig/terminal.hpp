// menuconfig on a terminal: the whole screen, by ncurses.
#pragma once

#include <string>

#include "tools/menuconfig/model.hpp"

namespace ax::menuconfig {

enum class Outcome : u8 { Saved, Unchanged, Discarded };

/// Shows the model, starting with `file`, until the user leaves. `saved` tells afterwards what was written. Standard input and
/// output must be a terminal.
Outcome edit_on_terminal(Model& model, usize file, std::vector<std::string>& saved);

}  // namespace ax::menuconfig
