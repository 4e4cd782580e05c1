// The [os] tables of a description, decoded and checked.
#pragma once

#include "tools/app/application.hpp"

namespace ax::app {

/// The three tables; inner ones may be absent.
struct OsSections {
  Section os;
  Section platform;
  Section qemu;
};

Os decode_os(const OsSections& sections, Diagnostics& diagnostics);

}  // namespace ax::app
