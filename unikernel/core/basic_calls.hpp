// What every program has: identity, clocks and sleep, limits, exit.
#pragma once

#include <board_config.hpp>

#include "unikernel/core/service.hpp"

namespace ax::uni {

extern const ax_service basic_service;

}  // namespace ax::uni
