// A picture of who owns what: memory, CPUs, devices and interrupts of a board's virtual machines, as SVG.
#pragma once

#include <string>

#include "tools/config/configuration.hpp"

namespace ax::xtask {

/// One colour per VM throughout; whatever is drawn has its numbers as a tooltip.
std::string plot_svg(const config::Configuration& configuration);

/// The picture as a page of its own.
std::string plot_html(const config::Configuration& configuration);

}  // namespace ax::xtask
